"""The tools over both transports, with the SDK's own client. It is imported by the tests that run it: that takes a
second of a core, and each process of a run collects every file."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import redis

from tests.gateway.faces import LiveGateway, serving
from tests.live import SOON_S, LiveNode

if TYPE_CHECKING:
    from mcp import Client

NAMES = {"repram_store", "repram_retrieve", "repram_exists", "repram_list_keys", "repram_watch"}

Use = Callable[["Client"], Awaitable[None]]


@asynccontextmanager
async def over_stdio(node: LiveNode, gateway: LiveGateway) -> "AsyncIterator[Client]":
    from mcp import Client, StdioServerParameters, stdio_client

    command = StdioServerParameters(
        command=sys.executable, args=["-m", "respram", "mcp", "--url", f"redis://127.0.0.1:{node.port}"]
    )
    async with Client(stdio_client(command)) as client:
        yield client


@asynccontextmanager
async def over_http(node: LiveNode, gateway: LiveGateway) -> "AsyncIterator[Client]":
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async with Client(streamable_http_client(f"{gateway.base}/mcp")) as client:
        yield client


BOTH = pytest.mark.parametrize("connect", [over_stdio, over_http], ids=["stdio", "http"])


def run(connect: Any, node: LiveNode, gateway: LiveGateway, use: Use) -> None:
    async def main() -> None:
        async with connect(node, gateway) as client:
            await use(client)

    asyncio.run(main())


async def call(client: "Client", name: str, **words: object) -> dict[str, Any]:
    result = await client.call_tool(name, words)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


@BOTH
def test_an_agent_is_told_what_is_forgotten_and_that_nothing_is_deleted(
    connect: Any, node: LiveNode, gateway: LiveGateway
) -> None:
    async def use(client: "Client") -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == NAMES
        assert all(tool.description and tool.output_schema and tool.annotations for tool in tools.values())
        assert "Nothing can be deleted" in " ".join((tools["repram_store"].description or "").split())
        assert "not an error" in " ".join((tools["repram_retrieve"].description or "").split())
        assert "Nothing can be deleted" in " ".join((client.instructions or "").split())
        assert tools["repram_retrieve"].annotations is not None and tools["repram_retrieve"].annotations.read_only_hint

    run(connect, node, gateway, use)


@BOTH
def test_store_retrieve_exists_and_list(
    connect: Any, node: LiveNode, gateway: LiveGateway, direct: "redis.Redis"
) -> None:
    async def use(client: "Client") -> None:
        stored = await call(client, "repram_store", data="päyload", ttl_seconds=3600)
        assert stored["stored"] and stored["ttl_seconds"] == 3600 and stored["confirmed"] and len(stored["key"]) == 36
        got = await call(client, "repram_retrieve", key=stored["key"])
        assert (
            got["found"]
            and got["data"] == "päyload"
            and got["encoding"] == "utf-8"
            and 0 < got["remaining_ttl_seconds"] <= 3600
        )
        assert direct.get(stored["key"]) == "päyload".encode()
        await call(client, "repram_store", data="1", key="agents:b", ttl_seconds=3600)
        await call(client, "repram_store", data="1", key="agents:a", ttl_seconds=3600)
        again = await call(client, "repram_store", data="2", key="agents:a", ttl_seconds=3600, only_if_absent=True)
        assert not again["stored"] and 0 < again["ttl_seconds"] <= 3600 and direct.get("agents:a") == b"1"
        assert await call(client, "repram_list_keys", prefix="agents:") == {
            "keys": ["agents:a", "agents:b"],
            "more": False,
        }
        assert await call(client, "repram_list_keys", prefix="agents:", limit=1) == {"keys": ["agents:a"], "more": True}
        there = await call(client, "repram_exists", key="agents:a")
        assert there["exists"] and 0 < there["remaining_ttl_seconds"] <= 3600
        assert not (await call(client, "repram_exists", key="agents:none"))["exists"]
        assert not (await call(client, "repram_retrieve", key="agents:none"))["found"]
        resource = await client.read_resource("respram://keys/agents%3A")
        lines = resource.contents[0].text.splitlines()  # type: ignore[union-attr]
        assert [line.split("\t")[0] for line in lines] == ["agents:a", "agents:b"]

    run(connect, node, gateway, use)


def test_bytes_that_are_no_text_come_in_base64_and_names_that_are_none_are_not_listed(
    node: LiveNode, gateway: LiveGateway, direct: "redis.Redis"
) -> None:
    direct.set("raw:1", b"\xff\0", ex=60)
    direct.set(b"raw:\xff", 1, ex=60)

    async def use(client: "Client") -> None:
        got = await call(client, "repram_retrieve", key="raw:1")
        assert (got["data"], got["encoding"]) == ("/wA=", "base64")
        assert await call(client, "repram_list_keys", prefix="raw:") == {"keys": ["raw:1"], "more": False}

    run(over_http, node, gateway, use)


@contextmanager
def written_again_and_again(client: "redis.Redis", key: str) -> Iterator[None]:
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.5):
            client.set(key, 1, ex=60)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


@BOTH
def test_watch_returns_as_soon_as_something_happens_and_not_before(
    connect: Any, node: LiveNode, gateway: LiveGateway, direct: "redis.Redis"
) -> None:
    async def use(client: "Client") -> None:
        assert await call(client, "repram_watch", prefix="heard:", wait_seconds=0.2) == {"events": [], "lost": 0}
        with written_again_and_again(direct, "heard:1"):  # before the watch has begun it is not heard
            got = await call(client, "repram_watch", prefix="heard:", wait_seconds=20)
        assert {(one["event"], one["key"]) for one in got["events"]} == {("set", "heard:1")}

    run(connect, node, gateway, use)


@BOTH
def test_what_is_asked_wrongly_is_an_error_that_repeats_no_data(connect: Any, node: LiveNode,
                                                                gateway: LiveGateway) -> None:
    async def use(client: "Client") -> None:
        for name, words in (
            ("repram_store", {"data": "x", "ttl_seconds": 0}), ("repram_retrieve", {"key": ""}),
            ("repram_list_keys", {"limit": 0}),
            ("repram_watch", {"wait_seconds": 1e9}), ("repram_store", {"data": "x", "key": "k" * 5000}),
        ):  # fmt: skip
            assert (await client.call_tool(name, words)).is_error, name

    run(connect, node, gateway, use)


def test_over_http_the_rights_are_those_of_the_requests_login(node: LiveNode, gateway: LiveGateway,
                                                              direct: "redis.Redis") -> None:
    import httpx

    direct.execute_command("ACL", "SETUSER", "agent", "on", ">word", "~mine:*", "&*", "+@all", "-@admin", "-@dangerous")
    body = {
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "repram_store", "arguments": {"data": "secret", "key": "yours:1"}},
    }  # fmt: skip
    headers = {"Accept": "application/json, text/event-stream", "Authorization": "Bearer agent:word"}
    got = httpx.post(f"{gateway.base}/mcp", json=body, headers=headers, trust_env=False)
    assert got.json()["result"]["isError"] and "secret" not in got.text and not direct.exists("yours:1")
    body["params"]["arguments"]["key"] = "mine:1"  # type: ignore[index]
    assert not httpx.post(f"{gateway.base}/mcp", json=body, headers=headers, trust_env=False).json()["result"][
        "isError"
    ]
    wrong = {**headers, "Authorization": "Bearer agent:other"}
    assert httpx.post(f"{gateway.base}/mcp", json=body, headers=wrong, trust_env=False).json()["result"]["isError"]
    assert "secret" not in gateway.log()


async def answered(gateway: LiveGateway, body: bytes, **headers: str) -> httpx.Response:
    said = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
    async with httpx.AsyncClient(base_url=gateway.base, timeout=SOON_S, trust_env=False) as client:
        return await client.post("/mcp", content=body, headers=said)


CALL = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
    b'"params":{"name":"repram_store","arguments":{"data":"%b","x":[%b0]}}}'
)


@pytest.mark.parametrize("inside", [b"{},", b"[],", b'"",', b"0,"])
def test_a_call_that_is_more_structure_than_text_is_refused_before_anything_is_made_of_it(
    gateway: LiveGateway, inside: bytes
) -> None:
    """20 MB of `{},` took a gateway 600 MB, and all others 1.5 s."""
    assert asyncio.run(answered(gateway, CALL % (b"", inside * 100_000))).status_code == 413
    small = asyncio.run(answered(gateway, CALL % (b'\\"{}' * 100_000, inside * 100)))
    assert small.status_code == 200, "braces in a text are text"


def test_bodies_of_calls_count_with_all_others(node: LiveNode) -> None:
    """40 calls that were not whole lay in a gateway with 770 MB."""
    with serving(f"redis://127.0.0.1:{node.port}", words=("--max-bodies", "1mb")) as gateway:
        assert asyncio.run(answered(gateway, CALL % (b"x" * 2_000_000, b""))).status_code == 503
        assert asyncio.run(answered(gateway, CALL % (b"x" * 500_000, b""))).status_code == 200
        assert asyncio.run(answered(gateway, CALL % (b"x" * 500_000, b""))).status_code == 200, "it was given back"
