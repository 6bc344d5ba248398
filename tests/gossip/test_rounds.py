"""The pace of comparison: at once after progress, slower while nothing happens or helps."""

from dataclasses import replace

import pytest

from respram.gossip.members import ALIVE, DEAD
from respram.gossip.repair import Repair
from respram.gossip.timers import Now
from respram.sim.world import EPOCH_MS

from .pair import Pair
from .rig import Bench, member


def test_a_peer_that_does_not_keep_what_it_gets_slows_the_pace() -> None:
    pair = Pair()
    pair.stock(pair.one, range(10))
    begun = pair.one.core.rounds
    for _ in range(5):
        pair.one.core.repair.begin()
        assert begun.own is not None
        begun.own.refused = True
        begun.own.moved = 1
        pair.one.core.rounds.finish(begun.own)
    assert begun.interval_ms == 8_000


def test_progress_is_followed_at_once_and_quiet_slows_down() -> None:
    core = Bench().core
    core.rounds.adapt(progress=True, equal=False)
    assert core.rounds.interval_ms == core.policy.round_ms_least
    for expected_ms in (2_000, 4_000, 8_000, 8_000):
        core.rounds.adapt(progress=False, equal=True)
        assert core.rounds.interval_ms == expected_ms
    core.rounds.note_change()
    assert core.rounds.interval_ms == core.policy.round_ms
    core.rounds.adapt(progress=False, equal=True)
    assert core.rounds.interval_ms == core.policy.round_ms  # something had been written


def test_the_pace_is_that_of_a_busy_time_while_members_come_back_from_the_dead() -> None:
    bench = Bench()
    core, policy = bench.core, bench.core.policy
    for status in (ALIVE, DEAD):
        core.books.learn_member(replace(member(0x300), status=status))
    for _ in range(3):
        core.rounds.adapt(progress=False, equal=True)
    assert core.rounds.interval_ms == policy.round_ms_max
    core.books.learn_member(replace(member(0x300), incarnation=2))
    assert core.rounds.interval_ms == policy.round_ms and core.rounds.soon_ms
    for _ in range(3):
        core.rounds.adapt(progress=False, equal=True)
        assert core.rounds.interval_ms == policy.round_ms
    core.now = Now(policy.reunion_ms, EPOCH_MS)
    core.rounds.adapt(progress=False, equal=True)
    assert core.rounds.interval_ms == 2 * policy.round_ms
    core.books.learn_member(member(0x400))  # a new one has nothing from beyond a cut
    core.rounds.interval_ms = policy.round_ms_max
    core.rounds.adapt(progress=False, equal=True)
    assert core.rounds.interval_ms == policy.round_ms_max


def test_peers_that_lack_nothing_have_nothing_to_ask_of_each_other() -> None:
    """One wrote a key three times, the second version never left: digests of that moment differ, and nothing is
    lacking.
    """
    pair = Pair()
    differ_by_what_never_left(pair)
    pair.round()
    assert [line for line in pair.lines if line.startswith("B BUCKETS")], "their digests do not differ"
    for bench in (pair.one, pair.other):
        assert not bench.core.neighbours.differing and not bench.core.pulls_useful()
        assert not any(peer.differs for peer in bench.core.neighbours.peers.values())


def differ_by_what_never_left(pair: Pair) -> None:
    for ago_ms, leaves in ((10_000, True), (3_000, False), (0, True)):
        pair.one.engine.store(0, b"hot", b"%d" % ago_ms, EPOCH_MS + 600_000, False, EPOCH_MS - ago_ms, b"set")
        if leaves:
            pair.other.engine.merge(pair.one.engine.drain(1 << 20), EPOCH_MS)


def filters(lines: list[str]) -> int:
    return sum(" FILTER " in line for line in lines)


def test_filters_that_found_nothing_twice_are_not_exchanged_again_soon() -> None:
    """Keys that several nodes write all the time differ in every digest, in what nobody needs any more."""
    pair = Pair()
    differ_by_what_never_left(pair)
    assert filters(pair.round()) == 2, "one may be chance: a filter passes a record over now and then"
    assert filters(pair.round()) == 2
    assert pair.round() == ["A DIGEST", "B BUCKETS 1"]
    for bench in (pair.one, pair.other):
        assert not bench.core.pulls_useful()
    patience_ms = pair.one.core.policy.fruitless_ms
    pair.one.ms += patience_ms  # at the same wall time, or the digests would be equal
    pair.one.core.now = Now(patience_ms, EPOCH_MS)
    pair.one.core.repair.begin()
    assert not pair.one.core.rounds.rests(pair.one.core.neighbours.peers[0x200])


def test_a_peer_that_lags_or_was_cut_off_is_never_left_to_rest() -> None:
    core = Pair().one.core
    peer = core.neighbours.peers[0x200]
    peer.rest_until_ms = 8_000
    assert core.rounds.rests(peer)
    peer.lagging_ms = 0
    assert not core.rounds.rests(peer)
    peer.lagging_ms, peer.unreachable = None, True
    assert not core.rounds.rests(peer)


def test_a_round_that_moves_something_or_an_equal_digest_ends_the_rest() -> None:
    pair = Pair()
    differ_by_what_never_left(pair)
    pair.round()
    pair.stock(pair.other, range(10))
    assert filters(pair.round()) == 2 and pair.one.engine.count(0, EPOCH_MS) == 11
    assert filters(pair.round()) == 2, "counted from the start again"
    peer = pair.one.core.neighbours.peers[0x200]
    peer.rest_until_ms = 8_000
    pair.one.core.repair.equal(peer, 1)
    assert not pair.one.core.rounds.rests(peer)


def test_one_round_is_due_before_the_pace_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes without end and peers that differ: every round led to another, and the pace to one more each."""
    bench = Bench()
    begun: list[int] = []
    monkeypatch.setattr(Repair, "paced", lambda self: None)
    monkeypatch.setattr(Repair, "begin", lambda self: begun.append(self.host.now.ms))
    for in_ms in (1_000, 1_000, 250, 1_000):
        bench.core.rounds.hurry(in_ms)
    bench.wait(2_000)
    assert len(begun) == 1 and begun[0] <= 300, "the soonest, and it alone"
    bench.core.rounds.hurry(1_000)
    bench.wait(2_000)
    assert len(begun) == 2


def test_peers_of_which_one_lacks_something_may_ask() -> None:
    pair = Pair()
    pair.stock(pair.one, range(10))
    pair.round()
    assert pair.held() == (10, 10)
    assert pair.one.core.pulls_useful() and pair.other.core.pulls_useful(), "until a digest is equal"
    pair.round()
    assert not pair.one.core.pulls_useful() and not pair.other.core.pulls_useful()


def test_a_round_that_goes_silent_is_given_up() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.wait(1_300)
    first = bench.core.rounds.own
    assert first is not None
    bench.core.neighbours.peers[0x200].heard_ms = 1 << 40
    bench.wait(bench.core.policy.round_patience_ms + 1_300)
    assert bench.core.rounds.own is not first
