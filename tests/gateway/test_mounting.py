"""The two lines of docs/gateway.md in a FastAPI application, served by uvicorn: both applications answer, neither
disturbs the other.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

import respram
from respram.gateway import gateway
from respram.gateway.app import Gateway
from tests.live import SOON_S

PAGE = Path(__file__).parent.parent.parent / "docs/gateway.md"


def test_the_two_lines_of_the_page_mount_it() -> None:
    """As they stand there, but for the port."""
    import fastapi
    import uvicorn

    code = next(one for one in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "api.mount" in one)
    assert len(code.strip().splitlines()) == 2

    async def main() -> None:
        async with respram.AsyncServer(engine="pure") as node:
            api = fastapi.FastAPI()

            @api.get("/own")
            def own() -> dict[str, str]:
                return {"whose": "FastAPI's"}

            names: dict[str, object] = {"api": api}
            exec(code.replace("redis://127.0.0.1:6379", node.url), names)  # noqa: S102 - the page's own lines
            server = uvicorn.Server(uvicorn.Config(api, port=0, log_level="critical"))
            serving = asyncio.create_task(server.serve())
            try:
                async with asyncio.timeout(SOON_S):
                    while not server.started:
                        await asyncio.sleep(0.01)
                port = server.servers[0].sockets[0].getsockname()[1]
                await asked(f"http://127.0.0.1:{port}")
            finally:
                server.should_exit = True
                await serving

    asyncio.run(main())


async def asked(base: str) -> None:
    async with httpx.AsyncClient(base_url=base, timeout=SOON_S, trust_env=False) as client:
        assert (await client.get("/own")).json() == {"whose": "FastAPI's"}
        assert (await client.get("/nothing")).json() == {"detail": "Not Found"}, "FastAPI's own answer"
        assert (await client.put("/respram/v1/data/a%2Fb", content=b"1", headers={"X-TTL": "60"})).status_code == 201
        got = await client.get("/respram/v1/data/a/b")
        assert got.content == b"1" and 0 < int(got.headers["x-remaining-ttl"]) <= 60
        assert (await client.delete("/respram/v1/data/a%2Fb")).status_code == 405
        assert (await client.get("/respram/v1/keys")).json() == {"keys": ["a/b"]}
        location = (await client.post("/respram/v1/data", content=b"2")).headers["location"]
        assert location.startswith("/respram/v1/data/") and (await client.get(location)).content == b"2"
        assert (await client.get("/respram/openapi.json")).json()["servers"] == [{"url": "/respram"}]
        assert "text/html" in (await client.get("/respram/")).headers["content-type"], "the live page"
        assert "respram_gateway_requests_total" in (await client.get("/respram/v1/metrics")).text
        assert list((await client.get("/openapi.json")).json()["paths"]) == ["/own"], "FastAPI describes its own"
        call = {"name": "repram_retrieve", "arguments": {"key": "a/b"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        said = await client.post("/respram/mcp", json=body, headers={"Accept": "application/json, text/event-stream"})
        assert said.json()["result"]["structuredContent"]["data"] == "1"
        for headers in ({"Origin": "https://elsewhere.example"}, {"Host": "elsewhere.example"}):
            assert (await client.get("/respram/v1/keys", headers=headers)).status_code in (403, 421)
        assert (await client.get("/own", headers={"Host": "elsewhere.example"})).status_code == 200


@contextlib.asynccontextmanager
async def closing(app: Gateway) -> AsyncIterator[None]:
    yield
    await app.close()


def test_what_is_mounted_ends_with_the_application() -> None:
    import fastapi

    async def main() -> None:
        async with respram.AsyncServer(engine="pure") as node:
            app = gateway(node.url)
            api = fastapi.FastAPI(lifespan=lambda _: closing(app))
            api.mount("/store", app)
            transport = httpx.ASGITransport(api)
            async with (
                api.router.lifespan_context(api),
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
            ):
                assert (await client.put("/store/v1/data/a", content=b"1")).status_code == 201
                link = await app.nodes.link()
            async with asyncio.timeout(SOON_S):
                while not link.ended:
                    await asyncio.sleep(0.01)

    asyncio.run(main())
