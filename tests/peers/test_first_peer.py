"""A node that was started alone, without a word of peers, and is joined later: on loopback, nothing proven."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import redis

from respram.config.settings import Config
from respram.server.app import App
from respram.server.meeting import Meeting
from tests.engine.conftest import ENGINES
from tests.live import SOON_S, LiveNode, running
from tests.peers.enclave import until
from tests.ports import reserve


def client_of(node: LiveNode) -> "redis.Redis":
    return redis.Redis(port=node.port, socket_timeout=SOON_S, protocol=3)


def same_digest(nodes: list["redis.Redis"]) -> Callable[[], bool]:
    def compared() -> bool:
        with contextlib.suppress(redis.ResponseError):
            at_ms = int(time.time() * 1000) - 1500
            digests = [node.execute_command("RESPRAM", "DIGEST", at_ms) for node in nodes]
            return len({(one[b"records"], one[b"digest"]) for one in digests}) == 1 and digests[0][b"records"] == 600
        return False

    return compared


@pytest.mark.parametrize("engine", list(ENGINES))
def test_what_it_had_and_what_it_gets_is_on_both(engine: str) -> None:
    peer_port = reserve()
    with running("--peer-port", str(peer_port), engine=engine) as first:
        alone = client_of(first)
        for number in range(300):
            alone.set(f"before:{number}", f"value {number}", ex=300)
        with pytest.raises(redis.ResponseError, match="no peers"):
            alone.execute_command("RESPRAM", "PEERS")
        with running("--join", f"127.0.0.1:{peer_port}", engine=engine) as second:
            joined = client_of(second)
            until(lambda: joined.get("before:299") == b"value 299", "the joiner did not get what was there")
            until(
                lambda: joined.set("probe", "x", ex=300) and joined.wait(1, 10_000) == 1,
                "the two do not push to each other",
            )
            for number in range(299):
                (alone, joined)[number % 2].set(f"after:{number}", f"value {number}", ex=300)
            until(
                lambda: alone.get("after:297") == b"value 297" and joined.get("after:298") == b"value 298",
                "writes did not spread",
            )
            until(same_digest([alone, joined]), "the two are not equal")
            assert {alone.pexpiretime(f"before:{number}") for number in (0, 150)} == {
                joined.pexpiretime(f"before:{number}") for number in (0, 150)
            }
        assert "event=first_peer" in first.log() and "event=bug" not in first.log()


def test_a_port_that_was_asked_for_and_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = ["--port", "0", "--peer-port", str(taken.getsockname()[1])]
        ended = subprocess.run(
            [sys.executable, "-m", "respram", "serve", *words],
            capture_output=True,
            text=True,
            timeout=SOON_S,
            check=False,
        )
    assert (
        ended.returncode == 1 and ended.stderr.strip().count("\n") == 0 and "choose another --peer-port" in ended.stderr
    )


def test_the_usual_port_taken_is_no_reason_not_to_start() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = replace(Config(), peer_port=taken.getsockname()[1])
        one = SimpleNamespace(config=config, log=said.append, awaiting=[])
        Meeting._await_first_peer(cast(Meeting, one))
    assert not one.awaiting and "event=peers_off" in said[0]


def test_a_password_closes_the_port_at_which_nobody_has_to_prove_anything() -> None:
    """As at a start with that password. A second node joined, read all and wrote over it."""
    peer_port = reserve()
    config = Config(port=0, peer_port=peer_port, engine="pure")

    async def main() -> None:
        app = App(config, asyncio.get_running_loop())
        app.listen()
        try:
            address = app.meeting.awaiting[0].getsockname()
            reader, writer = await asyncio.open_connection(*app.listeners[0].sockets[0].getsockname())
            writer.write(b"CONFIG SET requirepass secret\r\n")
            assert await reader.readexactly(5) == b"+OK\r\n"
            with contextlib.suppress(ConnectionError):
                _, stranger = await asyncio.open_connection(*address)
                stranger.close()
            await asyncio.sleep(0.05)
            assert not app.meeting.awaiting and not app.meeting.listeners and app.meeting.task is None
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*address)
            writer.close()
            await writer.wait_closed()
        finally:
            await app.drain()

    asyncio.run(main())
