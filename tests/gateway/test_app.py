"""The application as a whole: REPRAM's own examples, its other paths, and mounted below somebody else's."""

import asyncio
import contextlib
import shutil
import subprocess

import httpx
import pytest
from starlette.applications import Starlette

from respram.gateway import gateway as make_gateway
from tests.gateway.faces import LiveGateway, pair
from tests.live import SOON_S, LiveNode

# As they stand in REPRAM's README (API Reference), the port and {key} apart.
EXAMPLES = """
curl -X PUT -H "X-TTL: 300" -d "hello" http://localhost:8080/v1/data/mykey
curl http://localhost:8080/v1/data/mykey
curl -X PUT -H "X-TTL: 300" -d "your data here" http://localhost:8080/v1/data/{key}
curl http://localhost:8080/v1/data/{key}
curl -I http://localhost:8080/v1/data/{key}
curl http://localhost:8080/v1/keys
curl http://localhost:8080/v1/keys?prefix=myapp/
curl "http://localhost:8080/v1/keys?limit=10"
curl "http://localhost:8080/v1/keys?limit=10&cursor=last-key-from-previous-page"
curl http://localhost:8080/v1/health
curl http://localhost:8080/v1/status
curl http://localhost:8080/v1/topology
curl http://localhost:8080/v1/metrics
"""


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are for curl, which is not installed")
@pytest.mark.parametrize("engine", ["pure", "native"])
def test_reprams_published_examples_run_unchanged(engine: str) -> None:
    with contextlib.suppress(ImportError), pair("--engine", engine) as (_, gateway):
        said = {}
        for line in EXAMPLES.strip().splitlines():
            line = line.replace("localhost:8080", f"localhost:{gateway.port}").replace("{key}", "other")
            words = ["bash", "-c", line.replace("curl", "curl -sS --noproxy '*' -w '\\n%{http_code}'", 1)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=SOON_S, check=True)
            body, _, code = done.stdout.rpartition("\n")
            said[line.partition(" ")[2].replace(str(gateway.port), "8080")] = code, body
        (created, ok), (read, hello), *_ = said.values()
        assert (created, ok, read, hello) == ("201", "OK", "200", "hello")
        headers = said["-I http://localhost:8080/v1/data/other"][1].lower()
        assert all(f"\n{name}: " in headers for name in ("x-created-at", "x-original-ttl", "x-remaining-ttl"))
        assert said["http://localhost:8080/v1/keys"][1] == '{"keys": ["mykey", "other"]}'
        assert said["http://localhost:8080/v1/keys?prefix=myapp/"][1] == '{"keys": []}'
        assert '"status": "healthy", "node_id": "' in said["http://localhost:8080/v1/health"][1]
        assert "\nrespram_node_keys 2.0\n" in said["http://localhost:8080/v1/metrics"][1]
        assert all(code.startswith("20") for code, _ in said.values())
        return
    pytest.fail("nothing ran")


def test_a_gateway_is_mounted_below_another_application(node: LiveNode) -> None:
    app = make_gateway(f"redis://127.0.0.1:{node.port}")
    whole = Starlette()
    whole.mount("/store", app)

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://127.0.0.1") as client:
            assert (await client.put("/store/v1/data/mount%2F1", content=b"1")).status_code == 201
            assert (await client.get("/store/v1/data/mount%2F1")).content == b"1"
            location = (await client.post("/store/v1/data", content=b"2")).headers["location"]
            assert location.startswith("/store/v1/data/") and (await client.get(location)).content == b"2"
            assert (await client.get("/store/openapi.json")).json()["servers"] == [{"url": "/store"}]
            page = (await client.get("/store/v1/keys?prefix=mount&limit=1")).json()
            assert page == {"keys": ["mount/1"]}
            body = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": "repram_exists", "arguments": {"key": "mount/1"}},
            }
            accept = {"Accept": "application/json, text/event-stream"}
            assert (await client.post("/store/mcp", json=body, headers=accept)).json()["result"]["structuredContent"][
                "exists"
            ]
        await app.close()

    asyncio.run(main())


def test_status_and_topology_tell_what_the_node_says(client: httpx.Client) -> None:
    status = client.get("/v1/status").json()
    assert status["engine"] == "pure" and status["memory"]["used_memory"] >= 0 and status["default_ttl"] == 3600
    assert client.get("/v1/topology").json()["peers"] == []


def test_methods_that_are_not_allowed_are_named(client: httpx.Client) -> None:
    got = client.post("/v1/keys")
    assert got.status_code == 405 and got.headers["allow"] == "GET, HEAD"
    assert client.options("/v1/data/x").headers["allow"] == "GET, HEAD, PUT, OPTIONS"
    assert client.get("/nothing").status_code == 404 and client.request("PROPFIND", "/v1/data/x").status_code == 405


def test_a_page_of_an_allowed_origin_may_read_the_answer(node: LiveNode) -> None:
    app = make_gateway(f"redis://127.0.0.1:{node.port}", allow_origins=["https://app.example"])

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            headers = {"Origin": "https://app.example"}
            got = await client.get("/v1/keys", headers=headers)
            assert (
                got.headers["access-control-allow-origin"] == "https://app.example" and got.headers["vary"] == "Origin"
            )
            assert (await client.options("/v1/data/x", headers=headers)).status_code == 204
        await app.close()

    asyncio.run(main())


def test_no_answer_sets_a_cookie(client: httpx.Client, gateway: LiveGateway) -> None:
    for path in ("/v1/keys", "/v1/data/x", "/openapi.json", "/v1/health", "/mcp", "/"):
        assert "set-cookie" not in client.get(path).headers
