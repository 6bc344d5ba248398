"""WAIT counts what is known to be held: never too many."""

from respram.engine.replication import Cut
from respram.gossip.effects import Acknowledged
from respram.gossip.repair import _DIGEST
from respram.wire.messages import Ack, Digest, Nudge, Push

from .rig import Bench, member


def stand(peers: int = 2) -> Bench:
    bench = Bench()
    for number in range(peers):
        bench.meet(number + 1, member(0x200 + number))
    bench.forget()
    return bench


def test_a_batch_counts_once_acknowledged() -> None:
    bench = stand()
    bench.write(b"k")
    number = bench.core.last_number()
    assert bench.core.holders(number) == 0
    bench.say(1, Ack(1, b""))
    assert bench.core.holders(number) == 1
    assert Acknowledged() in bench.effects
    bench.say(2, Ack(1, b""))
    assert bench.core.holders(number) == 2


def test_a_batch_that_was_not_kept_in_full_does_not_count() -> None:
    bench = stand()
    bench.write(b"k")
    bench.say(1, Ack(1, (1).to_bytes(8, "little")))
    bench.say(2, Ack(1, b""))
    assert bench.core.holders(1) == 1
    bench.write(b"next")
    bench.say(1, Ack(2, b""))
    assert bench.core.holders(2) == 1 and bench.core.holders(1) == 1


def test_a_peer_that_came_later_counts_for_what_came_later() -> None:
    bench = stand()
    bench.write(b"k")
    bench.say(1, Ack(1, b""))
    bench.say(2, Ack(1, b""))
    bench.meet(3, member(0x300))
    assert bench.core.holders(1) == 2
    bench.write(b"later")
    bench.say(3, Ack(1, b""))
    assert bench.core.holders(2) == 1


def test_an_equal_digest_counts_for_what_lies_well_before_its_cut() -> None:
    bench = stand()
    bench.write(b"k")
    bench.meet(3, member(0x300))
    bench.ms += 10_000
    bench.forget()
    cut = (bench.now.wall_ms - 1_000 >> 10) - 1
    end = bench.now.wall_ms + 2_000 >> 10
    own = bench.engine.digest(Cut(cut, end), bench.now.wall_ms)
    assert own is not None
    bench.say(3, Digest(1, _DIGEST.pack(cut, end, own.records, own.sum, bench.core.book.sum)))
    assert bench.core.holders(1) == 1
    assert Acknowledged() in bench.effects  # whoever waits counts again, though no acknowledgement came
    bench.forget()
    bench.say(3, Digest(2, _DIGEST.pack(cut, end, own.records, own.sum, bench.core.book.sum)))
    assert Acknowledged() not in bench.effects  # and is not woken for nothing


def test_a_queue_that_was_dropped_does_not_count() -> None:
    bench = stand(1)
    bench.write(b"first")
    bench.say(1, Ack(1, b""))
    assert bench.core.holders(1) == 1
    bench.take(bench.core.overflowed(bench.now))
    bench.write(b"second")
    bench.say(1, Ack(2, b""))
    assert bench.core.holders(2) == 1
    assert bench.core.neighbours.peers[0x200].lagging_ms is not None


def test_a_peer_without_a_link_does_not_count_until_it_has_the_batch() -> None:
    bench = stand(1)
    bench.take(bench.core.closed(1, bench.now))
    bench.write(b"k")
    assert bench.core.holders(1) == 0
    bench.meet(2, member(0x200))
    assert bench.core.holders(1) == 0
    bench.say(2, Ack(1, b""))
    assert bench.core.holders(1) == 1


def test_among_many_only_those_count_who_were_sent_the_batch_and_have_it() -> None:
    bench = stand(40)
    bench.write(b"k")
    targets = [link for link in range(1, 41) if bench.sent(Push, link)]
    assert len(targets) == 7 and bench.core.holders(1) == 0
    for link in targets[:3]:
        bench.say(link, Ack(1, b""))
    assert bench.core.holders(1) == 3


def test_who_waits_asks_for_acknowledgements_at_once() -> None:
    bench = stand()
    bench.write(b"k")
    bench.say(1, Ack(1, b""))
    bench.take(bench.core.nudge(bench.now))
    assert not bench.sent(Nudge, 1) and bench.sent(Nudge, 2)
    bench.forget()
    bench.say(1, Push(1, 0, 0x200, 1, 0, 0, b""))
    assert not bench.sent(Ack)
    bench.say(1, Nudge())
    assert [one.seq for one in bench.sent(Ack, 1)] == [1]
