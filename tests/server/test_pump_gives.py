"""What another node has answered goes to its client in one step, if nothing else is to be done for it."""

import asyncio
from collections.abc import Iterator

import pytest

from respram.engine.api import Engine, Session
from tests.engine.conftest import PURE_ONLY
from tests.engine.rig import request

from .test_pump import Bench, Seen


class Taking:
    """Takes a command out of its session, as one that another node decides about."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __call__(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        self.engine.take(session)
        return None


@pytest.fixture(params=[] if PURE_ONLY else ["native"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """(The portable pump leaves all to the client.)"""
    loop = asyncio.new_event_loop()
    bench = Bench(request.param, loop)
    bench.cold = Taking(bench.engine)  # type: ignore[assignment]
    yield bench
    bench.pump.close()
    for sock in bench.open:
        sock.close()
    loop.close()


def gives(bench: Bench, client: Seen, data: bytes) -> bool:
    return bench.pump.give(client, data)  # type: ignore[arg-type]


def test_who_is_answered_reads_on(bench: Bench) -> None:
    theirs, client = bench.connect()
    for reply in (b":1\r\n", b":2\r\n"):
        theirs.sendall(request(b"RENAME", b"a", b"2"))
        bench.turn(lambda: client.session.taken)
        before = bench.pump.output_bytes
        assert gives(bench, client, reply) and not client.session.suspended
        assert bench.pump.output_bytes == before + len(reply)
        assert bench.exchange(theirs, request(b"PING"), 11) == reply + b"+PONG\r\n"
    assert client.calls == [], "it was watched all the time, and the pump knows what it waits for"


def test_an_answer_may_be_empty(bench: Bench) -> None:
    theirs, client = bench.connect()
    theirs.sendall(request(b"RENAME", b"a", b"2"))
    bench.turn(lambda: client.session.taken)
    assert gives(bench, client, b"")
    assert bench.exchange(theirs, request(b"PING"), 7) == b"+PONG\r\n"


def test_what_the_kernel_does_not_take_is_kept(bench: Bench) -> None:
    theirs, client = bench.connect()
    theirs.sendall(request(b"RENAME", b"a", b"2"))
    bench.turn(lambda: client.session.taken)
    data = bytes(range(256)) * 40_000
    assert gives(bench, client, data) and client.kept and data.endswith(client.kept)
    assert bench.exchange(theirs, b"", len(data) - len(client.kept)) + client.kept == data


def test_who_is_gone_is_lost(bench: Bench) -> None:
    theirs, client = bench.connect()
    theirs.sendall(request(b"RENAME", b"a", b"2"))
    bench.turn(lambda: client.session.taken)
    theirs.close()
    assert gives(bench, client, b":1\r\n")
    assert client.calls == ["lost"]


@pytest.mark.parametrize("more", ["batch", "output", "unwatched", "stopping", "not taken"])
def test_where_more_is_to_be_done_it_does_nothing(bench: Bench, more: str) -> None:
    theirs, client = bench.connect()
    commands = request(b"RENAME", b"a", b"2")
    if more != "not taken":
        theirs.sendall(commands * 2 if more == "batch" else commands)
        bench.turn(lambda: client.session.taken)
    if more == "output":
        bench.pump.hold(client, True)  # type: ignore[arg-type]
    elif more == "unwatched":
        bench.pump.unwatch(client)  # type: ignore[arg-type]
    client.last_read = more == "stopping"
    assert not gives(bench, client, b":1\r\n")
    assert client.session.taken == (more != "not taken")
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
