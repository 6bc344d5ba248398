"""The source of a dump: chunks one a turn within the joiner's credit, two joiners at a time, and nothing held up by it.
"""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from respram.engine.ids import POINTS
from respram.sim.world import EPOCH_MS
from respram.wire.messages import Ack, Busy, Digest, Dump, Dumped, Push

from .rig import Bench, member
from .test_bootstrap import joiner, packed


def source(records: int = 3_000, size: int = 1_000) -> Bench:
    bench = Bench()
    for number in range(records):
        bench.engine.merge(packed(b"k%d" % number, size), EPOCH_MS)
    for link in (1, 2, 3):
        bench.meet(link, member(0x200 + link, ready=False))
    bench.forget()
    return bench


def test_chunks_are_made_one_a_turn_and_only_within_the_joiners_credit() -> None:
    bench = source()
    bench.say(1, Dump(0))
    for made in (0, 0, 1, 2):
        assert len(bench.sent(Dumped)) == made, (
            "clients of the source wait for one thing at a time, not for all that fits"
        )
        assert bench.core.next_deadline() == bench.ms
        bench.take(bench.core.tick(bench.now))
    bench.wait(1)
    first = bench.sent(Dumped)
    credit = bench.core.policy.dump_in_flight_bytes_max
    assert credit // 2 < sum(len(one.payload) for one in first) <= credit
    bench.wait(100)
    assert len(bench.sent(Dumped)) == len(first)
    bench.say(1, Ack(1, b""))
    assert len(bench.sent(Dumped)) == len(first)
    bench.wait(1)
    assert len(bench.sent(Dumped)) == len(first) + 1
    while bench.sent(Dumped)[-1].point < POINTS:
        bench.say(1, Ack(bench.sent(Dumped)[-1].seq, b""))
        bench.wait(1)
    chunks = bench.sent(Dumped)
    assert sum(len(one.payload) for one in chunks) == sum(
        len(packed(b"k%d" % number, 1_000)) for number in range(3_000)
    )
    assert bench.core.neighbours.links[1].dump_point is None and not bench.core.neighbours.links[1].feeding


def test_a_chunk_without_memory_is_made_when_the_joiner_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = source()

    def dump(point: int, bytes_max: int, now_ms: int) -> Dump:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(bench.core, "store", SimpleNamespace(dump=dump))
        bench.say(1, Dump(0))
        bench.take(bench.core.tick(bench.now))
        with pytest.raises(MemoryError):
            bench.core.tick(bench.now)
    bench.say(1, Dump(0))
    bench.wait(1)
    assert bench.sent(Dumped)


def test_a_dump_ends_with_its_link() -> None:
    bench = source()
    bench.say(1, Dump(0))
    for _ in range(2):
        bench.take(bench.core.tick(bench.now))
    bench.take(bench.core.closed(1, bench.now))
    bench.wait(10)
    assert len(bench.sent(Dumped)) == 1


def test_nobody_compares_with_one_that_fills_up() -> None:
    bench = source()
    for _ in range(20):
        bench.wait(1_000)
        for peer in bench.core.neighbours.peers.values():
            peer.heard_ms = bench.ms
    assert not bench.sent(Digest)
    bench.meet(4, member(0x300))
    bench.wait(10_000)
    assert bench.sent(Digest, 4) and not bench.sent(Digest, 1)


def test_two_joiners_are_served_at_a_time() -> None:
    bench = source()
    for link in (1, 2, 3):
        bench.say(link, Dump(0))
    bench.wait(1)
    assert bench.sent(Dumped, 1) and bench.sent(Dumped, 2)
    assert bench.sent(Busy, 3) and not bench.sent(Dumped, 3)


def test_who_is_not_ready_gives_no_dump() -> None:
    bench = joiner()
    bench.meet(1, replace(member(0x200), ready=False))
    bench.say(1, Dump(0))
    assert bench.sent(Busy, 1)


def test_writes_pass_a_dump() -> None:
    bench = source()
    bench.say(1, Dump(0))
    bench.write(b"new")
    assert bench.sent(Push, 1)
