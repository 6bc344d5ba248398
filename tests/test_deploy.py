"""What `deploy/` starts: every variable is an option's, with a value that it takes; and an enclave started just so."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import redis
import yaml

from compat.tls import issue
from respram.cli.main import main, parse_flags
from respram.config.options import OPTIONS, Address, Service
from respram.config.settings import load
from respram.gateway.settings import FLAGS, read_targets
from tests.engine.conftest import ENGINES
from tests.live import SOON_S
from tests.peers.enclave import SECRET, Member, until, until_linked, until_ready
from tests.ports import reserve

PASSWORD = "a-password-of-this-test"
DEPLOY = Path(__file__).parent.parent / "deploy"
IN_IMAGE = re.compile(r"(RESPRAM_\w+)=(\S+)")  # as the Dockerfile has them
IN_COMPOSE = re.compile(r"^ +(RESPRAM_\w+): (.+)$", re.MULTILINE)
IN_KUBERNETES = re.compile(r'name: (RESPRAM_\w+), value: "?([^"}]+)"?\}')
POD = {"$(POD_NAME)": "respram-0", "$(POD_NAMESPACE)": "cache"}


def variables(name: str, pattern: re.Pattern[str]) -> dict[str, str]:
    text = (DEPLOY / name).read_text()
    found = dict(pattern.findall(text))
    # Each mention but those in comments was understood.
    mentioned = {word for line in text.splitlines() for word in re.findall(r"RESPRAM_\w+", line.partition("#")[0])}
    assert set(found) == mentioned
    for word, value in POD.items():
        found = {key: one.replace(word, value) for key, one in found.items()}
    image = dict(IN_IMAGE.findall((DEPLOY.parent / "Dockerfile").read_text().rpartition("\nFROM ")[2]))
    return image | found


BOTH = pytest.mark.parametrize(
    "found",
    [variables("compose.yaml", IN_COMPOSE), variables("kubernetes.yaml", IN_KUBERNETES)],
    ids=["compose", "kubernetes"],
)


def with_files(found: dict[str, str], folder: Path) -> dict[str, str]:
    """The same with secrets that are there."""
    (folder / "cluster-secret").write_text(SECRET + "\n")
    (folder / "password").write_text(PASSWORD + "\n")
    issue(folder)
    for name, one in (("node.pem", "tls.crt"), ("node.key", "tls.key")):
        (folder / name).rename(folder / one)
    files = ("RESPRAM_TLS_CERT", "RESPRAM_TLS_KEY")
    return {
        name: str(folder / Path(one).name) if name.endswith("_FILE") or name in files else one
        for name, one in found.items()
    }


@BOTH
def test_every_variable_is_an_options(found: dict[str, str], tmp_path: Path) -> None:
    assert set(found) <= {option.variable for option in OPTIONS}
    assert {"RESPRAM_JOIN", "RESPRAM_CLUSTER_SECRET_FILE", "RESPRAM_REQUIREPASS_FILE", "RESPRAM_BIND"} <= set(found)
    config = load({}, with_files(found, tmp_path))
    assert config.has_peers and config.requirepass and config.cluster_secret and config.engine == "native"
    ports = (0, 6380) if "RESPRAM_TLS_PORT" in found else (6379, 0)  # a plain port or one for TLS, never both
    assert (config.port, config.tls_port, config.peer_port) == (*ports, 16379)
    assert "127.0.0.1" not in config.bind and "127.0.0.1" not in config.peer_hosts


def test_nodes_of_the_compose_file_join_all_of_them() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    hosts = re.findall(r"^    hostname: (\S+)$", text, re.MULTILINE)
    config = load({}, {"RESPRAM_JOIN": variables("compose.yaml", IN_COMPOSE)["RESPRAM_JOIN"]})
    assert len(hosts) == 3 and config.join == tuple(Address(host, 16379) for host in hosts)


def test_pods_ask_for_the_name_of_their_headless_service() -> None:
    text = (DEPLOY / "kubernetes.yaml").read_text()
    found = variables("kubernetes.yaml", IN_KUBERNETES)
    config = load({}, {name: found[name] for name in ("RESPRAM_JOIN", "RESPRAM_ADVERTISE")})
    assert config.join == (Service("_peers._tcp.respram-peers.cache.svc.cluster.local"),)
    assert config.advertise == Address("respram-0.respram-peers.cache.svc.cluster.local", 16379)
    assert "serviceName: respram-peers" in text and "{name: peers, port: 16379, targetPort: peers}" in text
    assert "{name: peers, containerPort: 16379}" in text and "{name: clients, containerPort: 6380}" in text
    assert text.count("app: respram") == 8, "selectors and labels must say the same"


def test_a_pod_reads_secrets_as_files_and_no_command_line_shows_one() -> None:
    text = (DEPLOY / "kubernetes.yaml").read_text()
    (stateful,) = (one for one in yaml.safe_load_all(text) if one["kind"] == "StatefulSet")
    pod = stateful["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "from-literal" not in text and "secretKeyRef" not in text
    assert not {"RESPRAM_REQUIREPASS", "RESPRAM_CLUSTER_SECRET"} & {one["name"] for one in container["env"]}
    mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"] if one["readOnly"]}
    volumes = {one["name"]: one["secret"] for one in pod["volumes"]}
    for one in container["env"]:
        if one.get("value", "").startswith("/"):
            volume = volumes[mounted[str(Path(one["value"]).parent)]]
            assert volume["defaultMode"] == 0o440
    assert volumes.keys() == set(mounted.values()) == {"secrets", "tls"}


@pytest.mark.skipif("native" not in ENGINES, reason="the image insists on the native engine")
@BOTH
def test_three_nodes_start_with_the_same_words(
    found: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only addresses are others: here there is one machine and no such name."""
    settled = with_files(found, tmp_path) | {"RESPRAM_BIND": "127.0.0.1"}
    for name in ("RESPRAM_ADVERTISE", "RESPRAM_METRICS_PORT", "RESPRAM_METRICS_BIND"):  # one machine has one such port
        settled.pop(name, None)
    for name in [name for name in os.environ if name.startswith("RESPRAM_")]:
        monkeypatch.delenv(name)
    for name, value in settled.items():
        monkeypatch.setenv(name, value)
    ports = [reserve() for _ in range(3)]
    join = ",".join(f"127.0.0.1:{port}" for port in ports)
    secure = (
        [reserve() for _ in ports] if "RESPRAM_TLS_PORT" in settled else []
    )  # a pod's only port; here the plain one helps
    members = [
        Member(reserve(), port, join, settled["RESPRAM_ENGINE"], ("--tls-port", str(secure[n])) if secure else (), "")
        for n, port in enumerate(ports)
    ]
    for member in members:
        member.clients.append(redis.Redis(port=member.port, password=PASSWORD, socket_timeout=SOON_S))
    try:
        for member in members:
            member.start()
        until_linked(members)
        until_ready(members)
        first, last = (
            (_over_tls(port, tmp_path) for port in (secure[0], secure[2]))
            if secure
            else (members[0].client, members[2].client)
        )
        first.set("greeting", "hello", ex=60)
        until(lambda: last.get("greeting") == b"hello", "the record did not spread")
        # The probe of the pod, word for word: the variables say which port is asked, and how.
        asked = {"RESPRAM_TLS_PORT": str(secure[1])} if secure else {"RESPRAM_PORT": str(members[1].port)}
        assert main(["ping", "--ready"], settled | asked) == 0
        assert "proof=secret" in members[0].log()
    finally:
        for member in members:
            member.stop()


def _over_tls(port: int, folder: Path) -> "redis.Redis":
    """As a client outside: the authority is known, the name is compared, no certificate of its own."""
    return redis.Redis(
        "localhost", port, password=PASSWORD, ssl=True, ssl_ca_certs=str(folder / "ca.pem"), socket_timeout=SOON_S
    )


def test_the_unit_of_systemd_is_hardened_and_starts_what_there_is() -> None:
    unit = DEPLOY / "systemd/respram.service"
    text = unit.read_text()
    names = set(re.findall(r"^Environment=(RESPRAM_\w+)=", text, re.MULTILINE)) | set(
        re.findall(r"RESPRAM_\w+(?==)", text)
    )
    assert names and names <= {option.variable for option in OPTIONS}
    assert all(
        f"{word}=" in text for word in ("LimitMEMLOCK", "DynamicUser", "LoadCredential", "CapabilityBoundingSet")
    )
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        [tool, "security", "--offline=yes", str(unit)], capture_output=True, text=True, timeout=SOON_S, check=False
    )
    found = re.search(r"exposure level for respram.service: ([0-9.]+)", done.stdout)
    assert found and float(found[1]) < 2.5, done.stdout + done.stderr


def test_the_recipe_of_the_compose_file_makes_files_that_the_nodes_can_read(tmp_path: Path) -> None:
    """As printed, with a stand-in for `respram`: the folder is the owner's alone, the files are for the container's
    user.
    """
    text = (DEPLOY / "compose.yaml").read_text()
    lines = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#   ")]
    recipe = [line for line in lines if line.startswith(("mkdir", "for node", "chmod"))]
    assert len(recipe) == 4
    script = "respram() { echo made-by-respram-secret-for-a-test-0123456789; }; set -e; " + "; ".join(
        line.partition("  #")[0] for line in recipe
    )
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, timeout=SOON_S)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    for one in re.findall(r"file: \./(\S+)", text):
        assert (tmp_path / one).stat().st_mode & 0o004, f"user 10001 cannot read {one}"
    targets = read_targets({"url-file": str(tmp_path / "secrets/gateway-urls")}, (), {})
    hosts = re.findall(r"^    hostname: (\S+)$", text, re.MULTILINE)
    assert [one.host for one in targets] == hosts and all(one.login and one.login.password for one in targets)


def test_the_profile_of_the_compose_file_mounts_what_is_there_and_says_what_the_commands_take() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    faces = {name: one for name, one in compose["services"].items() if "profiles" in one}
    assert set(faces) == {"gateway", "prometheus", "grafana"} and all(
        one["profiles"] == ["faces"] for one in faces.values()
    )
    for one in faces.values():
        assert all(port.startswith("127.0.0.1:") for port in one["ports"]), "on loopback alone"
        assert set(one.get("secrets", ())) <= set(compose["secrets"])
        for volume in one.get("volumes", ()):
            assert volume.endswith(":ro") and (DEPLOY / volume.partition(":")[0]).exists(), volume
    name, *words = faces["gateway"]["command"]
    flags = parse_flags(words, FLAGS)
    assert name == "gateway" and flags == {"bind": "0.0.0.0", "url-file": "/run/secrets/gateway-urls"}
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    (job,) = scraped["scrape_configs"]
    nodes = [one["hostname"] for one in compose["services"].values() if "hostname" in one]
    port = compose["x-node"]["environment"]["RESPRAM_METRICS_PORT"]
    assert job["job_name"] == "respram" and job["static_configs"][0]["targets"] == [f"{node}:{port}" for node in nodes]
    tool = shutil.which("promtool")
    if tool is not None:
        words = [tool, "check", "config", str(DEPLOY / "prometheus/prometheus.yml")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=SOON_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/respram.yaml").read_text())["providers"]
    assert source["type"] == "prometheus" and source["url"].endswith(":9090") and source["isDefault"]
    assert f"{provider['options']['path']}/respram.json" in str(faces["grafana"]["volumes"])
