"""Clients who never come to an end, against a server in this process whose patience is short."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
import uvicorn

from respram.gateway import patience as patience_file
from respram.gateway.patience import Patience
from tests.live import SOON_S


def with_server(
    monkeypatch: pytest.MonkeyPatch,
    use: Callable[[int], Awaitable[None]],
    body: bytes = b"ok",
    head_s: float = 0.3,
    patience: Patience | None = None,
    streams: bool = False,
) -> None:
    """`streams`: the answer never comes to its end."""
    for name, value in (("HEAD_S", head_s), ("STUCK_S", 0.5), ("LOOK_S", 0.05)):
        monkeypatch.setattr(patience_file, name, value)

    async def app(
        scope: dict[str, object],
        receive: Callable[[], Awaitable[object]],
        send: Callable[[object], Awaitable[None]],
    ) -> None:
        await receive()
        if streams:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body, "more_body": True})
            while (await receive())["type"] != "http.disconnect":  # type: ignore[index]
                pass
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async def main() -> None:
        protocol = (patience or Patience()).protocol
        config = uvicorn.Config(
            app,
            http=protocol,  # type: ignore[arg-type]
            lifespan="off",
            log_config=None,
            access_log=False,
            port=0,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server._serve())
        while not server.started:
            await asyncio.sleep(0.01)
        await use(server.servers[0].sockets[0].getsockname()[1])
        server.should_exit = True
        await running

    asyncio.run(main())


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(SOON_S):
        return await reader.read()


def test_a_head_that_does_not_end_is_not_awaited_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(port: int) -> None:
        for begin in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX: "):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begin)
            dripping = asyncio.create_task(drip(writer)) if begin.endswith(b": ") else None
            assert (await until_closed(reader)).startswith(b"HTTP/1.1 408 ")
            if dripping is not None:
                dripping.cancel()
            writer.close()

    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"a")
            await asyncio.sleep(0.05)

    with_server(monkeypatch, use)


def test_a_head_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000)
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 431 ")
        writer.close()

    with_server(monkeypatch, use)


def test_a_client_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience()

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(SOON_S):
            for there in (True, False):  # it came, and was let go
                while bool(patience.connections) is not there:
                    await asyncio.sleep(0.01)
        got = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := await asyncio.wait_for(reader.read(1 << 20), SOON_S):
                got += len(piece)
        assert got < 64 << 20, "it ended before all of it came"
        writer.close()

    with_server(monkeypatch, use, b"x" * (64 << 20), patience=patience)


def test_whoever_comes_to_an_end_is_served_and_may_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for wait in (0.0, 2.2, 0.2):  # longer than a head may take: but none is awaited between two requests
            await asyncio.sleep(wait)
            writer.write(b"GET / HTTP/1.1\r\n")
            await asyncio.sleep(0.1)
            writer.write(b"Host: x\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 ")
        writer.close()

    with_server(monkeypatch, use, head_s=2.0)


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
FIELD = b"A: " + b"b" * 100 + b"\r\n"
BEHIND = {  # a request whose answer is under way, and what uvicorn collects behind it
    "head": (GET, b"GET / HTTP/1.1\r\n", FIELD * 500),
    "value": (GET, b"GET / HTTP/1.1\r\nA: ", b"b" * 50_000),
    "target": (GET, b"GET /", b"b" * 50_000),
    "trailers": (CHUNKED, b"", FIELD * 500),
    "trailer": (CHUNKED, b"A: ", b"b" * 50_000),
    "requests": (GET, b"", GET * 500),
}


@pytest.mark.parametrize("what", BEHIND)
def test_what_comes_behind_a_request_that_is_being_answered_has_an_end(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Half a gigabyte of headers lay in a gateway, behind one GET /v1/watch."""
    first, begin, piece = BEHIND[what]

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(first)
        await reader.readuntil(b"ok")
        writer.write(begin)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 64 << 20 and not reader.at_eof():
                writer.write(piece)
                sent += len(piece)
                async with asyncio.timeout(SOON_S):
                    await writer.drain()
                await asyncio.sleep(0)
        assert sent < 64 << 20, "it is closed long before"
        writer.close()

    with_server(monkeypatch, use, head_s=SOON_S, streams=True)


def test_some_requests_may_wait_behind_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET * 20)
        for _ in range(20):
            assert (await reader.readuntil(b"\r\n\r\nok")).startswith(b"HTTP/1.1 200 ")
        writer.close()

    with_server(monkeypatch, use)
