"""`/v1/metrics`: what it tells, to whom, and that a scraper reads it."""

import base64
import re

import httpx
import redis
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

import respram
from respram.gateway.metrics import BOUNDS_S, METHODS, Traffic
from tests.gateway.faces import LiveGateway, pair, serving
from tests.live import SOON_S, LiveNode
from tests.ports import reserve

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3"}


def samples(answer: httpx.Response) -> dict[str, float]:
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    read = read_openmetrics if "openmetrics" in answer.headers["content-type"] else read_text
    return {
        one.name + "".join(f",{name}={value}" for name, value in sorted(one.labels.items())): one.value
        for family in read(answer.text) for one in family.samples
    }  # fmt: skip


def test_requests_are_counted_by_route_and_never_by_key() -> None:
    with pair() as (_, gateway), gateway.client() as client:
        client.put("/v1/data/private-name", content=b"private-value")
        client.get("/v1/data/private-name")
        client.get("/v1/data/no-such-name")
        client.delete("/v1/data/private-name")
        client.get("/private-path")
        client.request("PROPFIND", "/v1/keys")
        for headers in ({}, OPENMETRICS):
            got = client.get("/v1/metrics", headers=headers)
            assert ("openmetrics" in got.headers["content-type"]) == bool(headers)
            assert "private" not in got.text
            found = samples(got)
            name = "respram_gateway_requests_total,method=%s,route=%s,status=%d"
            data = "/v1/data/{key}"
            assert [found[name % one] for one in (
                ("PUT", data, 201), ("GET", data, 200), ("GET", data, 404), ("DELETE", data, 405),
                ("GET", "other", 404),
                ("other", "/v1/keys", 405),
            )] == [1] * 6  # fmt: skip
            assert found[f"respram_gateway_answer_seconds_count,route={data}"] == 4
            assert found[f"respram_gateway_answer_seconds_bucket,le=+Inf,route={data}"] == 4
            assert (
                found["respram_gateway_node_up"] == 1
                and found["respram_node_keys"] == 1
                and found["respram_node_writes_total"] == 1
            )
            assert found["respram_gateway_body_bytes"] == 0 and found["respram_gateway_watchers"] == 0


def test_head_has_no_body(client: httpx.Client) -> None:
    got = client.head("/v1/metrics")
    assert got.status_code == 200 and got.content == b"" and int(got.headers["content-length"]) > 1000


def test_peers_have_reprams_own_name() -> None:
    with respram.Enclave(2, engine="pure") as nodes, serving(nodes[0].url) as gateway, gateway.client() as client:
        found = samples(client.get("/v1/metrics"))
        assert found["repram_peers_active"] == 1 and found["respram_node_replication_lag_seconds"] < SOON_S


def test_a_user_sees_what_the_node_shows_it(node: LiveNode, gateway: LiveGateway, direct: "redis.Redis") -> None:
    direct.execute_command("ACL", "SETUSER", "reader", "on", ">reader-word", "~*", "+get", "+ping")
    direct.execute_command("ACL", "SETUSER", "looker", "on", ">looker-word", "~*", "+info", "+ping")
    with gateway.client() as client:
        def ask(login: str) -> httpx.Response:
            return client.get(
                "/v1/metrics", headers={"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
            )

        assert "respram_node_keys" in samples(ask("looker:looker-word"))
        found = samples(ask("reader:reader-word"))
        assert found["respram_gateway_node_up"] == 1 and not [name for name in found if name.startswith("respram_node")]
        assert ask("reader:wrong-word").status_code == 401


def test_without_a_node_it_tells_of_itself_and_nothing_to_a_login_that_nobody_can_check() -> None:
    with serving(f"redis://127.0.0.1:{reserve()}") as gateway, gateway.client() as client:
        assert client.get("/v1/keys").status_code == 503
        found = samples(client.get("/v1/metrics"))
        assert found["respram_gateway_node_up"] == 0
        assert found["respram_gateway_requests_total,method=GET,route=/v1/keys,status=503"] == 1
        assert client.get("/v1/metrics", headers={"Authorization": "Bearer somebody:word"}).status_code == 503


def test_counts_are_bounded_whatever_is_asked() -> None:
    traffic = Traffic({b"/v1/keys": None})
    for number in range(2_000):
        traffic.count(b"/v1/data/%d" % number, f"M{number}", 200 + number % 5, number)
        traffic.count(b"/%d" % number, "GET", 404, 0.0)
    assert len(traffic.counts) == 6 and set(traffic.waits) == {"/v1/data/{key}", "other"} and "GET" in METHODS
    assert traffic.waits["other"][0] == 2_000 and len(traffic.waits["other"]) == len(BOUNDS_S) + 1


def test_names_keep_to_the_conventions(client: httpx.Client) -> None:
    text = client.get("/v1/metrics").text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert kinds and all(name.endswith("_total") == (kind == "counter") for name, kind in kinds.items())
    assert all(text.count(f"# HELP {name} ") == 1 for name in kinds)
