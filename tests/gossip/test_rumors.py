"""Spreading: what was seen, how far a batch goes, who is asked for what did not come."""

from math import ceil, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.errors import PeerError
from respram.gossip import rumors
from respram.gossip.effects import Deliver, Merge
from respram.gossip.links import acknowledge
from respram.gossip.policy import Policy
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.wire.messages import PUBLICATION_KIND, Ack, Announce, Push, Want

from .rig import ME, Bench, member

PAYLOAD = pack(Record(0, b"k", b"v", EPOCH_MS << 16, 9, EPOCH_MS + 600_000))


@given(st.lists(st.integers(1, 60), max_size=80), st.integers(1, 8))
def test_a_batch_is_seen_for_the_first_time_once(numbers: list[int], gaps_max: int) -> None:
    core = Bench(Policy(batch_gaps_max=2 * gaps_max)).core
    firsts: set[int] = set()
    for number in numbers:
        known = core.rumors.has_seen((5, number))
        is_first = core.rumors.see((5, number))
        assert is_first is not known
        assert not (is_first and number in firsts)
        firsts.add(number)
        assert core.rumors.has_seen((5, number))
        assert len(core.rumors.seen[5].sparse) <= 2 * gaps_max
    for number in set(range(1, 61)) - firsts if len(numbers) < gaps_max else ():
        assert not core.rumors.has_seen((5, number)) or number <= core.rumors.seen[5].watermark


def test_the_set_above_the_watermark_stays_empty_where_nothing_is_missing() -> None:
    core = Bench().core
    for number in range(1, 5000):
        core.rumors.see((5, number))
    assert core.rumors.seen[5].watermark == 4999 and not core.rumors.seen[5].sparse


def test_up_to_ten_peers_get_everything_and_pass_nothing_on() -> None:
    bench = Bench()
    for number in range(10):
        bench.meet(number + 1, member(0x200 + number))
    bench.write(b"k")
    pushes = bench.sent(Push)
    assert len(pushes) == 10 and {one.spread for one in pushes} == {0}
    bench.forget()
    bench.say(1, Push(1, 0, 0x200, 1, 0, 0, PAYLOAD))
    assert [one for one in bench.effects if isinstance(one, Merge)] and not bench.sent(Push)


def crowd(count: int) -> Bench:
    bench = Bench()
    for number in range(count):
        bench.meet(number + 1, member(0x200 + number))
    bench.forget()
    return bench


def test_beyond_ten_a_write_goes_to_the_square_root() -> None:
    bench = crowd(40)
    bench.write(b"k")
    assert len(bench.sent(Push)) == 7 and {one.spread for one in bench.sent(Push)} == {1}


def test_a_receiver_passes_on_to_two_and_announces_to_some_more_once() -> None:
    bench = crowd(40)
    push = Push(1, 0, 0x999, 1, 1, 0, PAYLOAD)
    bench.say(3, push)
    passed = bench.sent(Push)
    assert [(one.origin, one.number) for one in passed] == [(0x999, 1)] * 2
    assert not bench.sent(Push, 3)
    bench.wait(20)
    assert len(bench.sent(Announce)) == ceil(log(40)) + 1
    assert rumors.unpack_names(bench.sent(Announce)[0].batches) == [(0x999, 1)]
    bench.say(4, push)
    assert len(bench.sent(Push)) == 2
    assert len([one for one in bench.effects if isinstance(one, Merge)]) == 1


def test_what_was_announced_and_does_not_come_is_asked_for_one_after_the_other() -> None:
    bench = crowd(12)
    names = rumors.pack_names([(0x999, 1)])
    for link in (3, 4, 5, 6):
        bench.say(link, Announce(names))
    assert not bench.sent(Want)
    for expected in ([3], [3, 4], [3, 4, 5], [3, 4, 5]):
        bench.wait(bench.core.policy.want_ms)
        assert [link for link in range(1, 13) if bench.sent(Want, link)] == expected
    assert not bench.core.rumors.wanted


def test_what_comes_in_time_is_not_asked_for() -> None:
    bench = crowd(12)
    bench.say(3, Announce(rumors.pack_names([(0x999, 1)])))
    bench.say(4, Push(1, 0, 0x999, 1, 1, 0, PAYLOAD))
    bench.wait(200)
    assert not bench.sent(Want)


def test_whoever_asks_gets_what_is_kept_and_what_is_kept_is_bounded() -> None:
    bench = crowd(12)
    bench.say(3, Push(1, 0, 0x999, 1, 1, 0, PAYLOAD))
    bench.forget()
    bench.say(7, Want(rumors.pack_names([(0x999, 1), (0x999, 2)])))
    assert [(one.origin, one.number, one.payload) for one in bench.sent(Push, 7)] == [(0x999, 1, PAYLOAD)]
    for number in range(2, 200):
        bench.say(3, Push(number, 0, 0x999, number, 1, 0, bytes(60_000)))
        for link in bench.core.neighbours.greeted():
            acknowledge(link, 1 << 60)
    assert bench.core.rumors.cached_bytes <= bench.core.policy.batch_cache_bytes_max
    assert 50 < len(bench.core.rumors.cached) < 75


def test_a_publication_reaches_subscribers_once_and_behind_the_writes() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    payload = rumors.pack_publication(b"news", b"hello")
    bench.say(1, Push(1, 0, 0x200, 1, 0, PUBLICATION_KIND, payload), Push(2, 0, 0x200, 1, 0, PUBLICATION_KIND, payload))
    assert [one for one in bench.effects if isinstance(one, Deliver)] == [Deliver(b"news", b"hello")]
    bench.write(b"k")
    bench.take(bench.core.publish(b"c", b"m", bench.now))
    assert [one.kind for one in bench.sent(Push)] == [0, PUBLICATION_KIND]


def test_ones_own_batch_that_comes_back_is_not_taken() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.say(1, Push(1, 0, ME, 1, 1, 0, PAYLOAD))
    assert not [one for one in bench.effects if isinstance(one, Merge)]


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05\0\0\0abc", b"\xff\xff\xff\xffabc"])
def test_a_publication_that_cannot_be_read_is_a_peers_error(payload: bytes) -> None:
    with pytest.raises(PeerError):
        rumors.unpack_publication(payload)


def test_an_announcement_that_cannot_be_read_ends_the_link() -> None:
    bench = crowd(12)
    bench.say(3, Announce(b"seven b"))
    assert list(bench.hangups()) == [3]


def test_a_peer_that_stays_away_costs_one_queue_and_one_line() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.take(bench.core.closed(1, bench.now))
    peer = bench.core.neighbours.peers[0x200]
    worst_bytes = 0
    for number in range(700):
        bench.write(b"k%d" % number, bytes(60_000))
        worst_bytes = max(worst_bytes, peer.queue_bytes)
    assert 15 << 20 < worst_bytes <= bench.core.policy.queue_bytes_max
    assert peer.queue_bytes == 0 and len(bench.reports("lagging")) == 1
    bench.meet(2, member(0x200))
    bench.write(b"after")
    assert len(bench.sent(Push, 2)) == 1
    assert bench.core.holders(bench.core.last_number() - 1) == 0


def test_what_was_written_before_anybody_was_met_goes_to_the_first_who_are() -> None:
    """Comparison leaves what is younger than a second alone: a node that is stopped before it is that old would take it
    along.
    """
    bench = Bench(roots=[b"10.0.0.9:7"])
    bench.write(b"a")
    bench.write(b"b")
    assert not bench.sent(Push) and bench.core.quorum.left(2) == (1, 0), "somebody is looked for"
    bench.meet(1, member(0x200))
    bench.meet(2, member(0x300))
    bench.meet(3, member(0x400, enclave=b"other"))
    bench.write(b"c")
    assert [[push.number for push in bench.sent(Push, link)] for link in (1, 2, 3)] == [[1, 2, 3], [1, 2, 3], []]
    assert bench.core.quorum.left(3).peers == 2 and not bench.core.quorum.holds(bench.core.neighbours.peers[0x200], 1)


def test_what_a_node_wrote_before_it_met_anybody_is_bounded() -> None:
    bench = Bench(Policy(queue_bytes_max=2_000), roots=[b"10.0.0.9:7"])
    for number in range(100):
        bench.write(b"k%d" % number, b"x" * 100)
        assert bench.core.rumors.early_bytes <= 2_000
    bench.meet(1, member(0x200))
    assert 0 < len(bench.sent(Push)) < 20


def test_what_a_node_that_stops_would_take_with_it() -> None:
    bench = Bench()
    core = bench.core
    assert core.quorum.left(0) == (0, 0)
    bench.meet(1, member(0x200))
    bench.meet(2, member(0x300))
    bench.write(b"k")
    left = core.quorum.left(1)
    assert left.peers == 2 and left.bytes > 0
    for link in (1, 2):
        bench.say(link, Ack(bench.sent(Push, link)[0].seq, b""))
        assert core.quorum.left(1).peers == 2 - link
