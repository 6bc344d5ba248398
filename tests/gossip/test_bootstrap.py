"""Joining: a near source, a dump under credit, going on elsewhere, READY by an equal digest, alone when nobody is
there.
"""



from dataclasses import replace

import pytest

from respram.engine.ids import POINTS
from respram.engine.replication import Cut
from respram.gossip.effects import Dial, Report
from respram.gossip.members import LEFT
from respram.gossip.policy import Policy
from respram.gossip.repair import _DIGEST
from respram.gossip.states import ALONE, JOINING, READY
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.wire.messages import Busy, Digest, Dump, Dumped, Refuse

from .rig import Bench, hello, member

ROOT = b"root:7000"


def packed(key: bytes, size: int = 100) -> bytes:
    return pack(Record(0, key, bytes(size), EPOCH_MS - 60_000 << 16, 5, EPOCH_MS + 600_000))


def joiner() -> Bench:
    bench = Bench(roots=[ROOT])
    assert bench.core.state == JOINING
    assert Dial(ROOT) in bench.effects
    return bench


def settled(bench: Bench) -> Cut:
    """The cut of a digest some seconds from now: of all that was written before the links stood."""
    bench.ms += 3_500
    for peer in bench.core.neighbours.peers.values():
        peer.heard_ms = bench.ms
    return Cut((bench.now.wall_ms - 1_000 >> 10) - 1, bench.now.wall_ms + 2_000 >> 10)


def test_without_roots_a_node_is_ready_at_once() -> None:
    bench = Bench()
    assert bench.core.state == READY and bench.core.me.ready


def test_who_finds_nobody_says_so_serves_alone_after_a_while_and_keeps_dialling() -> None:
    bench = joiner()
    bench.take(bench.core.dial_failed(ROOT, bench.now))
    bench.wait(2_900)
    assert bench.core.state == JOINING and bench.core.unsure()
    bench.wait(600)
    assert bench.core.state == ALONE and bench.core.unsure() and not bench.core.me.ready
    assert [one.warns for one in bench.effects if isinstance(one, Report) and one.event == "alone"] == [True]
    bench.wait(26_000)
    assert bench.core.state == ALONE
    bench.wait(1_000)
    assert bench.core.state == READY and bench.core.me.ready
    assert [one.warns for one in bench.effects if isinstance(one, Report) and one.event == "ready"] == [True]
    bench.forget()
    bench.wait(20_000)
    assert Dial(ROOT) in bench.effects


@pytest.mark.parametrize("changes", [{"clock_ms": EPOCH_MS - 60_000}, {"version": 4}, {"network": b"another"}])
def test_who_is_refused_by_its_enclave_does_not_serve_alone(changes: dict[str, object]) -> None:
    """It served alone after 30 s, and counted from 1 what its enclave knew: with a clock that is ahead that won."""
    bench = joiner()
    for number in range(1, 20):
        bench.take(bench.core.opened(number, ROOT, bench.now))
        bench.say(number, hello(member(0x200), **changes))
        bench.wait(5_000)
    assert bench.core.state == ALONE and bench.core.unsure()
    [why] = bench.reports("alone")
    assert "the enclave is there, but " in why and "waits until that is corrected" in why
    bench.meet(20, member(0x200))
    bench.wait(400)
    assert bench.core.state == JOINING


def test_who_was_refused_serves_alone_once_those_others_are_gone() -> None:
    bench = joiner()
    bench.wait(5_000)
    bench.take(bench.core.opened(1, ROOT, bench.now))
    bench.say(1, Refuse(b"clocks differ by 60000 ms limit 2000"))
    assert len(bench.reports("alone")) == 2
    bench.wait(55_000)
    assert bench.core.state == ALONE
    bench.wait(10_000)
    assert bench.core.state == READY


@pytest.mark.parametrize(("address", "changes"), [
    (b"", {"network": b"another"}), (ROOT, {"enclave": b"elsewhere", "clock_ms": EPOCH_MS - 60_000}),
])  # fmt: skip
def test_a_refusal_outside_of_the_enclave_keeps_nobody_from_serving(address: bytes, changes: dict[str, object]) -> None:
    """A stranger that dials this node could keep it from serving."""
    bench = joiner()
    for number in range(1, 10):
        bench.take(bench.core.opened(number, address, bench.now))
        bench.say(number, hello(member(0x200), **changes))
        bench.wait(5_000)
    assert bench.core.state == READY


def test_who_is_not_believed_where_it_was_told_to_join_does_not_serve_alone() -> None:
    """With another secret it served alone after 30 s, and said that it was ready."""
    bench = joiner()
    for _ in range(10):
        bench.take(bench.core.distrusted(bench.now))
        bench.wait(5_000)
    assert bench.core.state == ALONE
    bench.wait(65_000)
    assert bench.core.state == READY, "nobody is there any more"


def test_who_must_not_serve_alone_waits_for_ever_and_joins_whoever_comes() -> None:
    bench = Bench(replace(Policy(), serve_alone=False), roots=[ROOT])
    bench.wait(300_000)
    assert bench.core.state == ALONE
    bench.meet(1, member(0x200))
    bench.wait(400)
    assert bench.core.state == JOINING and bench.sent(Dump, 1)


def test_who_loses_its_only_company_while_it_joins_is_alone_from_then_on() -> None:
    bench = joiner()
    bench.meet(1, member(0x200))
    bench.wait(2_500)
    bench.take(bench.core.closed(1, bench.now))
    bench.wait(2_500)
    assert bench.core.state == JOINING
    bench.wait(1_500)
    assert bench.core.state == ALONE


def test_where_nobody_is_ready_everybody_is_after_a_while() -> None:
    bench = joiner()
    bench.meet(1, member(0x200, ready=False))
    bench.wait(2_500)
    assert bench.core.state == JOINING
    bench.wait(1_000)
    assert bench.core.state == JOINING and bench.sent(Digest, 1), "they compare with each other"
    bench.wait(1_000)
    for ms in (0, 5_000):  # an equal digest of a time before all pushed to this node says too little
        cut = Cut(EPOCH_MS - 5_000 + ms >> 10, EPOCH_MS + 5_000 + ms >> 10)
        assert bench.core.state == JOINING
        bench.say(1, Digest(9, _DIGEST.pack(*cut, 0, 0, 0)))
        bench.wait(500)
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
    cut = settled(bench)
    own = bench.engine.digest(cut, bench.now.wall_ms)
    assert own is not None
    told = Digest(9, _DIGEST.pack(*cut, own.records, own.sum, 0))
    bench.say(1, told)
    assert bench.core.state == JOINING  # level with one that is not ready itself
    early = Cut(EPOCH_MS - 5_000 >> 10, cut.end)
    bench.say(2, Digest(8, _DIGEST.pack(*early, own.records, own.sum, 0)))
    assert bench.core.state == JOINING  # it leaves out what was written before everybody pushed to this node
    bench.say(2, told)
    assert bench.core.state == READY and bench.core.me.ready
    assert bench.engine.count(0, EPOCH_MS) == 2


def test_an_equal_digest_before_the_dump_is_not_enough() -> None:
    """What was written within the last second is in no digest: an empty joiner is level with a full source then."""
    bench = joiner()
    bench.meet(2, member(0x300))
    cut = Cut(EPOCH_MS - 5_000 >> 10, EPOCH_MS + 2_000 >> 10)
    bench.say(2, Digest(9, _DIGEST.pack(*cut, 0, 0, 0)))
    assert bench.core.rounds.equal == 1 and bench.core.state == JOINING
    bench.wait(400)
    bench.say(2, Dumped(1, 0, POINTS, packed(b"a")))
    cut = settled(bench)
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
        bench.core.neighbours.peers[0x300].heard_ms = bench.ms
    assert bench.core.boot.source == 0
    bench.wait(2_800)
    assert bench.sent(Dump, 2)


def test_who_fills_up_compares_with_nobody_before_it_has_its_dump() -> None:
    bench = joiner()
    bench.meet(1, member(0x200))
    bench.wait(3_000)
    assert bench.sent(Dump, 1) and not bench.sent(Digest)
    bench.say(1, Dumped(1, 0, POINTS, b""))
    assert bench.sent(Digest, 1)


def test_who_joins_again_asks_for_no_dump_and_is_ready_where_all_others_are_gone() -> None:
    bench = joiner()
    bench.core.boot.become_ready("test")
    bench.meet(1, member(0x200))
    bench.forget()
    bench.take(bench.core.stopped(5_000, bench.now, local=True))
    assert bench.core.state == JOINING and bench.core.unsure() and not bench.core.me.ready
    assert [one.warns for one in bench.effects if isinstance(one, Report) and one.event == "stopped"] == [True]
    bench.wait(1_000)
    assert bench.sent(Digest, 1) and not bench.sent(Dump, 1)
    bench.take(bench.core.closed(1, bench.now))
    bench.core.book.learn(member(0x200, incarnation=9, status=LEFT), bench.ms)
    bench.wait(1_000)
    assert bench.core.state == READY and bench.core.me.ready
