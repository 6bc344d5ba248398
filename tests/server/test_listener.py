"""A way in for clients: who comes gets a socket that is ready for a pump, or a word why not."""

import asyncio
import socket
from pathlib import Path

import pytest

from respram.config.settings import Config
from respram.engine import make
from respram.errors import BindError
from respram.server.listener import ACCEPTS_MAX, Listener, prepare, spell
from respram.server.pump import PortablePump


def run(test: object, **wraps: object) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pump = PortablePump(make("pure", Config().engine_settings(1, b"s" * 16, 5)), loop)
        listener = Listener("clients", pump, **wraps)  # type: ignore[arg-type]
        listener.bind("127.0.0.1", 0, 128)
        try:
            await test(loop, listener)  # type: ignore[operator]
        finally:
            listener.close(loop)
            pump.close()

    asyncio.run(main())


def test_a_crowd_is_let_in_some_a_turn_and_with_sockets_that_do_not_block() -> None:
    async def test(loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        came: list[socket.socket] = []
        listener.start(loop, lambda _, sock: came.append(sock), pytest.fail)
        ways = [socket.create_connection(listener.sockets[0].getsockname()) for _ in range(ACCEPTS_MAX + 8)]
        await asyncio.sleep(0)  # the loop's first turn finds the descriptor
        while not came:
            await asyncio.sleep(0)
        assert len(came) == ACCEPTS_MAX
        while len(came) < len(ways):
            await asyncio.sleep(0.001)
        assert not any(sock.getblocking() for sock in came)
        for sock in (*came, *ways):
            sock.close()

    run(test)


def test_what_is_closed_is_not_watched_any_more_and_its_port_is_free() -> None:
    async def test(loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        listener.start(loop, lambda _, sock: sock.close(), pytest.fail)
        host, port = listener.sockets[0].getsockname()
        assert listener.spelled() == f"127.0.0.1:{port}"
        listener.close(loop)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port))
        assert not listener.sockets and listener.spelled() == ""

    run(test)


def test_a_taken_port_is_named_with_what_to_do() -> None:
    async def test(loop: asyncio.AbstractEventLoop, listener: Listener) -> None:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(BindError, match=f"127.0.0.1:{port}.*choose another --port"):
            Listener("clients", listener.pump).bind("127.0.0.1", port, 8)

    run(test)


def test_keepalive_is_for_tcp_alone() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs, socket.socket() as tcp:
        prepare(ours, 300)
        prepare(tcp, 300)
        assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


def test_addresses_are_spelled_as_redis_spells_them() -> None:
    assert spell(("127.0.0.1", 6379)) == b"127.0.0.1:6379" and spell(("::1", 6379, 0, 0)) == b"[::1]:6379"


def test_a_unix_socket_serves_clients_and_goes_with_its_node(tmp_path: Path) -> None:
    """Its permissions are those asked for; what a killed node left is replaced, what is in use or is no socket is not.
    """
    path = tmp_path / "node.sock"
    loop = asyncio.new_event_loop()
    pump = PortablePump(make("pure", Config().engine_settings(1, b"s" * 16, 5)), loop)
    one = Listener("unix_clients", pump, path=str(path))
    one.bind_path(one.path, 0o770, 5)
    assert path.is_socket() and path.stat().st_mode & 0o777 == 0o770
    assert one.spelled() == f"{path}:0"
    other = Listener("unix_clients", pump, path=str(path))
    with pytest.raises(BindError, match="in use"):
        other.bind_path(other.path, 0, 5)
    one.sockets[0].close()  # as if killed: the path stays
    one.sockets.clear()
    other.bind_path(other.path, 0, 5)
    other.close(loop)
    assert not path.exists()
    path.write_text("somebody's")
    with pytest.raises(BindError, match="exists"):
        other.bind_path(other.path, 0, 5)
    assert path.read_text() == "somebody's"
    pump.close()
    loop.close()
