"""Joining: a near source, a dump under credit, going on elsewhere, READY by an equal digest, alone when nobody is there."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from respram.engine.ids import POINTS
from respram.engine.replication import Cut
from respram.gossip.bootstrap import JOINING, READY
from respram.gossip.effects import Dial
from respram.gossip.repair import _DIGEST
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.wire.messages import Ack, Busy, Digest, Dump, Dumped, Push

from .rig import Bench, member

ROOT = b"root:7000"


def packed(key: bytes, size: int = 100) -> bytes:
    return pack(Record(0, key, bytes(size), EPOCH_MS - 60_000 << 16, 5, EPOCH_MS + 600_000))


def joiner() -> Bench:
    bench = Bench(roots=[ROOT])
    assert bench.core.state == JOINING
    assert Dial(ROOT) in bench.effects
    return bench


def test_without_roots_a_node_is_ready_at_once() -> None:
    bench = Bench()
    assert bench.core.state == READY and bench.core.me.ready


def test_who_finds_nobody_serves_alone_and_keeps_dialling() -> None:
    bench = joiner()
    bench.take(bench.core.dial_failed(ROOT, bench.now))
    bench.wait(3_500)
    assert bench.core.state == READY and bench.core.boot.alone
    bench.forget()
    bench.wait(20_000)
    assert Dial(ROOT) in bench.effects


def test_where_nobody_is_ready_everybody_is_after_a_while() -> None:
    bench = joiner()
    bench.meet(1, member(0x200, ready=False))
    bench.wait(2_500)
    assert bench.core.state == JOINING
    bench.wait(1_000)
    assert bench.core.state == READY


def test_a_dump_is_asked_of_a_near_ready_peer_and_ends_with_an_equal_digest() -> None:
    bench = joiner()
    bench.meet(1, member(0x200, ready=False))
    bench.meet(2, member(0x300))
    bench.wait(400)
    assert not bench.sent(Dump, 1) and [one.point for one in bench.sent(Dump, 2)] == [0]
    bench.say(2, Dumped(1, 0, POINTS // 2, packed(b"a")), Dumped(2, 0, POINTS, packed(b"b")))
    assert bench.core.boot.dumped and bench.core.state == JOINING
    assert "percent=50" in bench.reports("bootstrap")[1] and "percent=100" in bench.reports("bootstrap")[2]
    cut = Cut(EPOCH_MS - 5_000 >> 10, EPOCH_MS + 2_000 >> 10)
    own = bench.engine.digest(cut, bench.now.wall_ms)
    assert own is not None
    told = Digest(9, _DIGEST.pack(*cut, own.records, own.sum, 0))
    bench.say(1, told)
    assert bench.core.state == JOINING  # level with one that is not ready itself
    bench.say(2, told)
    assert bench.core.state == READY and bench.core.me.ready
    assert bench.engine.count(0, EPOCH_MS) == 2


def test_an_equal_digest_before_the_dump_is_not_enough() -> None:
    """What was written within the last second is in no digest: an empty joiner is level with a full source then."""
    bench = joiner()
    bench.meet(2, member(0x300))
    cut = Cut(EPOCH_MS - 5_000 >> 10, EPOCH_MS + 2_000 >> 10)
    bench.say(2, Digest(9, _DIGEST.pack(*cut, 0, 0, 0)))
    assert bench.core.repair.equal == 1 and bench.core.state == JOINING
    bench.wait(400)
    bench.say(2, Dumped(1, 0, POINTS, packed(b"a")))
    own = bench.engine.digest(cut, bench.now.wall_ms)
    assert own is not None
    bench.say(2, Digest(10, _DIGEST.pack(*cut, own.records, own.sum, 0)))
    assert bench.core.state == READY


def test_a_dump_goes_on_with_another_peer_where_the_first_stopped() -> None:
    bench = joiner()
    bench.meet(2, member(0x300))
    bench.wait(400)
    bench.say(2, Dumped(1, 0, 1 << 30, packed(b"a")), Dumped(3, 0, 3 << 30, packed(b"c")))
    bench.take(bench.core.closed(2, bench.now))
    bench.meet(3, member(0x400))
    bench.wait(400)
    assert [one.point for one in bench.sent(Dump, 3)] == [1 << 30]


def test_a_busy_source_is_left_for_another_and_asked_again_later() -> None:
    bench = joiner()
    bench.meet(2, member(0x300))
    bench.wait(400)
    bench.say(2, Busy())
    bench.meet(3, member(0x400))
    bench.wait(400)
    assert bench.sent(Dump, 3)
    bench.say(3, Busy())
    bench.forget()
    bench.wait(2_800)
    assert bench.sent(Dump)


def test_a_silent_source_is_given_up() -> None:
    bench = joiner()
    bench.meet(2, member(0x300))
    bench.wait(400)
    assert bench.core.boot.source == 0x300
    bench.forget()
    for _ in range(13):
        bench.wait(800)
        bench.core.peers[0x300].heard_ms = bench.ms
    assert bench.core.boot.source == 0
    bench.wait(2_800)
    assert bench.sent(Dump, 2)


# -- the source ---------------------------------------------------------------------------------------
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
        assert len(bench.sent(Dumped)) == made, "clients of the source wait for one thing at a time, not for all that fits"
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
    assert sum(len(one.payload) for one in chunks) == sum(len(packed(b"k%d" % number, 1_000)) for number in range(3_000))
    assert bench.core.links[1].dump_point is None and not bench.core.links[1].feeding


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
        for peer in bench.core.peers.values():
            peer.heard_ms = bench.ms
    assert not bench.sent(Digest)
    bench.meet(4, member(0x300))
    bench.wait(10_000)
    assert bench.sent(Digest, 4) and not bench.sent(Digest, 1)


def test_who_fills_up_compares_with_nobody_before_it_has_its_dump() -> None:
    bench = joiner()
    bench.meet(1, member(0x200))
    bench.wait(3_000)
    assert bench.sent(Dump, 1) and not bench.sent(Digest)
    bench.say(1, Dumped(1, 0, POINTS, b""))
    assert bench.sent(Digest, 1)


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
