"""The Helm chart: what helm says of it, and whether what it makes is what nodes take.
Without helm its text is checked alone.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import respram
from respram.cli.main import parse_flags
from respram.config.options import OPTIONS, Address, Service
from respram.config.settings import load
from respram.gateway.settings import FLAGS, WORDS
from tests.live import SOON_S
from tests.test_deploy import POD, with_files

CHART = Path(__file__).parent.parent / "deploy/helm/respram"
EVERYTHING = (
    "gateway.enabled=true", "metrics.serviceMonitor.enabled=true", "tls.clientCertificates=optional",
    "settings.RESPRAM_DEFAULT_TTL=600", "gateway.allowHosts={store.example.org}",
)  # fmt: skip
needs_helm = pytest.mark.skipif(shutil.which("helm") is None, reason="helm is not installed")

Made = dict[tuple[str, str], dict[str, Any]]


def helm(*words: str) -> "subprocess.CompletedProcess[str]":
    tool = shutil.which("helm")
    assert tool
    return subprocess.run([tool, *words], capture_output=True, text=True, timeout=SOON_S, check=False)


def made(*settings: str, release: str = "store") -> Made:
    """Every object by kind and name."""
    words = [word for one in settings for word in ("--set", one)]
    done = helm("template", release, str(CHART), "-n", "cache", "--kube-version", "1.30.0", *words)
    assert done.returncode == 0, done.stderr
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    found = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    assert len(found) == len(objects)
    return found


def variables(container: dict[str, Any]) -> dict[str, str]:
    found = {one["name"]: one.get("value", "") for one in container["env"] if one["name"].startswith("RESPRAM_")}
    for word, value in POD.items():
        found = {name: text.replace(word, value) for name, text in found.items()}
    return found


# -- without helm -----------------------------------------------------------------------------------
def test_the_versions_are_the_packages_own() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == respram.__version__ and chart["apiVersion"] == "v2"


def test_the_defaults_keep_to_the_schema_and_every_value_is_used_and_described() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    assert set(schema["properties"]) == set(values) | {"global"}
    used = set(
        re.findall(r"\.Values\.([a-zA-Z.]+)", "".join(one.read_text() for one in (CHART / "templates").iterdir()))
    )
    for name, value in values.items():
        inner = (
            [f"{name}.{one}" for one in value] if isinstance(value, dict) and value and name != "resources" else [name]
        )
        assert all(any(word == one or word.startswith(f"{one}.") for word in used) for one in inner), name
    for wrong in ({"replica": 3}, {"settings": {"RESPRAM_REQUIREPASS": "word"}}, {"replicas": 0}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**values, **wrong}, schema)


def test_every_variable_of_the_templates_is_an_options() -> None:
    text = "".join(one.read_text() for one in (CHART / "templates").glob("*.yaml"))
    names = set(re.findall(r"name: (RESPRAM_\w+)", text))
    assert names <= {option.variable for option in OPTIONS} | {word.variable for word in WORDS} and len(names) > 12
    assert "from-literal" not in text and "secretKeyRef" not in text, "secrets are files"


# -- with it --------------------------------------------------------------------------------------
@needs_helm
@pytest.mark.parametrize("settings", [(), EVERYTHING,
                                      ("tls.enabled=false", "metrics.enabled=false", "networkPolicy.enabled=false")])
def test_helm_finds_nothing_wrong(settings: tuple[str, ...]) -> None:
    done = helm("lint", "--strict", str(CHART), *(word for one in settings for word in ("--set", one)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert made(*settings)


@needs_helm
@pytest.mark.parametrize("tls", ["true", "false"])
def test_nodes_start_with_what_the_chart_says(tls: str, tmp_path: Path) -> None:
    found = made(*EVERYTHING, f"tls.enabled={tls}")
    stateful = found["StatefulSet", "store-respram"]
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    said = variables(container)
    files = with_files(said, tmp_path)
    files = {name: str(tmp_path / "ca.pem") if name == "RESPRAM_TLS_CA" else text for name, text in files.items()}
    config = load({}, files)
    assert config.join == (Service("_peers._tcp.store-respram-peers.cache.svc.cluster.local"),)
    assert config.advertise == Address("respram-0.store-respram-peers.cache.svc.cluster.local", 16379)
    assert (config.port, config.tls_port) == ((0, 6380) if tls == "true" else (6380, 0))
    assert config.metrics_port == 9464 and config.default_ttl_s == 600 and config.requirepass and config.cluster_secret
    mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"] if one["readOnly"]}
    volumes = {one["name"]: one["secret"]["defaultMode"] for one in pod["volumes"]}
    assert set(volumes) == set(mounted.values()) and set(volumes.values()) == {0o440}
    assert all(str(Path(text).parent) in mounted for text in said.values() if text.startswith("/"))
    assert pod["securityContext"]["runAsUser"] == 10001 and container["securityContext"]["readOnlyRootFilesystem"]


@needs_helm
def test_selectors_and_ports_meet_their_pods() -> None:
    found = made(*EVERYTHING)
    pods = {
        kind: found[kind, name]["spec"]["template"]
        for kind, name in (("StatefulSet", "store-respram"), ("Deployment", "store-respram-gateway"))
    }  # fmt: skip
    ports = {kind: {one["name"] for one in pod["spec"]["containers"][0]["ports"]} for kind, pod in pods.items()}

    def chosen(selector: dict[str, str]) -> list[str]:
        return [kind for kind, pod in pods.items() if selector.items() <= pod["metadata"]["labels"].items()]

    for (kind, name), one in found.items():
        if kind == "Service":
            (target,) = chosen(one["spec"]["selector"])
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports[target], name
        if kind in ("PodDisruptionBudget", "NetworkPolicy"):
            selector = one["spec"].get("selector") or one["spec"]["podSelector"]
            assert chosen(selector["matchLabels"]) == ["StatefulSet"], name
    service = found["Service", "store-respram-peers"]
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
    monitor = found["ServiceMonitor", "store-respram"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    client = found["Service", "store-respram"]
    assert not monitor["selector"]["matchLabels"].items() <= client["metadata"]["labels"].items(), (
        "no node is scraped twice"
    )
    assert {one["port"] for one in monitor["endpoints"]} <= {one["name"] for one in service["spec"]["ports"]}
    rules = found["NetworkPolicy", "store-respram"]["spec"]["ingress"]
    (peers,) = (rule for rule in rules if rule["ports"] == [{"port": "peers"}])
    assert chosen(peers["from"][0]["podSelector"]["matchLabels"]) == ["StatefulSet"], "nodes alone are peers"


@needs_helm
def test_the_gateway_reads_its_urls_from_a_file() -> None:
    found = made(*EVERYTHING)
    (container,) = found["Deployment", "store-respram-gateway"]["spec"]["template"]["spec"]["containers"]
    name, *words = container["args"]
    assert name == "gateway" and parse_flags(words, FLAGS) == {"url-file": "/secrets/urls"}
    assert variables(container)["RESPRAM_GATEWAY_ALLOW_HOST"] == "store.example.org"
    assert ("Deployment", "store-respram-gateway") not in made()


@needs_helm
def test_two_releases_beside_each_other_share_nothing() -> None:
    one, other = made(release="one"), made(release="other")
    assert not set(one) & set(other)
    labels = one["StatefulSet", "one-respram"]["spec"]["template"]["metadata"]["labels"]
    selector = other["Service", "other-respram"]["spec"]["selector"]
    assert not selector.items() <= labels.items()


@needs_helm
def test_wrong_values_are_refused() -> None:
    for wrong in (
        "replica=3",
        "settings.RESPRAM_REQUIREPASS=word",
        "image.digest=sha256:abc",
        "tls.clientCertificates=maybe",
    ):
        assert helm("template", "x", str(CHART), "--kube-version", "1.30.0", "--set", wrong).returncode != 0, wrong



@needs_helm
def test_a_large_number_of_a_values_file_stays_one(tmp_path: Path) -> None:
    """Numbers of a file are floating-point ones to helm: 6.4e+07 is no size."""
    (tmp_path / "values.yaml").write_text("settings: {RESPRAM_MAXMEMORY: 64000000, RESPRAM_SEAL_MEMORY: true}\n")
    done = helm("template", "x", str(CHART), "--kube-version", "1.30.0", "-f", str(tmp_path / "values.yaml"))
    assert (
        '{name: RESPRAM_MAXMEMORY, value: "64000000"}' in done.stdout
        and '{name: RESPRAM_SEAL_MEMORY, value: "true"}' in done.stdout
    )
