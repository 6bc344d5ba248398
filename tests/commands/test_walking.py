"""Walks over all keys: each key once, and no more remembered than all walks of a node may."""

import gc
from collections.abc import Iterator

import pytest

from respram.commands import dispatch, walking
from respram.commands.transactions import EXEC_US_MAX, FEW_COMMANDS, TOOK_TOO_LONG
from respram.config.settings import Config
from respram.slots import slot_of

from ..engine.conftest import ENGINES
from .rig import Client, Rig

FIRST = 3_000  # keys: more than are looked at in one step
ASKED = ([b"KEYS", b"*"], [b"CLUSTER", b"COUNTKEYSINSLOT", b"%d" % slot_of(b"{a}")],
         [b"CLUSTER", b"GETKEYSINSLOT", b"%d" % slot_of(b"{a}"), b"1000000"])  # fmt: skip


@pytest.fixture(params=list(ENGINES))
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(dispatch, "SLICE_US", -1)  # others are let in after each step
    # in steps even where the keys are so few that the engine would tell them in one go
    return Rig(ENGINES[request.param], hot=False, config=Config(cluster="yes"), number=0xAA)


def fill(client: Client, begin: int, end: int) -> None:
    for first in range(begin, end, 1_000):
        pairs = (part for number in range(first, min(first + 1_000, end)) for part in (b"{a}%d" % number, b"v"))
        assert client(b"MSET", *pairs) == b"+OK\r\n"


def told(argv: list[bytes], reply: bytes) -> int:
    if b"COUNTKEYSINSLOT" in argv:
        return int(reply[1:-2])
    keys = [line for line in reply.split(b"\r\n") if line.startswith(b"{a}")]
    assert len(set(keys)) == len(keys), "a key twice"
    return len(keys)


@pytest.mark.parametrize("argv", ASKED, ids=lambda argv: argv[0].decode() + str(len(argv)))
def test_a_table_that_grows_meanwhile_shows_no_key_twice(rig: Rig, argv: list[bytes]) -> None:
    writer, walker = rig.connect(), rig.connect()
    fill(writer, 0, FIRST)
    reply, begun = walker(*argv), FIRST
    assert walker.conn.session.suspended
    while walker.conn.session.suspended:
        assert rig.node.marks_held > 0
        fill(writer, begun, begun + 1_000)  # more than are walked meanwhile: the table doubles several times
        begun += 1_000 if begun < 3 * FIRST else 0
        reply += walker.wake()
    assert FIRST <= told(argv, reply) <= begun
    assert rig.node.marks_held == 0


@pytest.mark.parametrize("argv", ASKED, ids=lambda argv: argv[0].decode() + str(len(argv)))
def test_all_walks_together_remember_so_much(
    rig: Rig, argv: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One client with many connections, each of which asks for a count of a million keys: no marks without end."""
    monkeypatch.setattr(walking, "MARKS_MAX", 700)
    fill(rig.connect(), 0, FIRST)
    walkers = [rig.connect() for _ in range(5)]
    replies = [walker(*argv) for walker in walkers]
    assert 0 < rig.node.marks_held <= 700 and all(walker.conn.session.suspended for walker in walkers)
    while any(walker.conn.session.suspended for walker in walkers):
        assert rig.node.marks_held <= 700
        for number, walker in enumerate(walkers):
            if walker.conn.session.suspended:
                replies[number] += walker.wake()
    assert [told(argv, reply) for reply in replies] == [FIRST] * 5
    assert rig.node.marks_held == 0


@pytest.fixture
def uncollected() -> Iterator[None]:
    """A node collects so rarely that what lies in a circle of references stays, as far as clients are concerned."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_who_leaves_in_the_midst_of_a_walk_leaves_nothing(rig: Rig) -> None:
    fill(rig.connect(), 0, FIRST)
    for number in range(3):
        walker = rig.connect()
        walker(*ASKED[number])
        assert walker.conn.session.suspended and rig.node.marks_held > 0
        walker.close()
        assert rig.node.marks_held == 0 and walker.conn.writing is None


@pytest.mark.usefixtures("uncollected")
def test_a_transaction_that_is_out_of_time_within_a_walk_leaves_nothing(rig: Rig) -> None:
    """Its error was one object for all, which kept the frames of each raise: 50,000 keys and their hashes each."""
    fill(rig.connect(), 0, FIRST)
    client = rig.connect()
    for argv in ASKED[1:]:  # a transaction runs KEYS of so few in one go
        rig.node.worked_us = lambda: 0
        client(b"MULTI")
        for _ in range(FEW_COMMANDS + 1):
            client(*argv)
        moments = iter(range(0, 1 << 60, EXEC_US_MAX // 4))
        rig.node.worked_us = lambda moments=moments: next(moments)  # type: ignore[misc]
        assert client(b"EXEC").count(b"-" + TOOK_TOO_LONG.text) == FEW_COMMANDS + 1
        assert rig.node.marks_held == 0
