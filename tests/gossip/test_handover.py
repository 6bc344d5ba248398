"""Keys of segments on their way through the enclave: at the first word, as they are made, passed on, destroyed."""

from respram.gossip.policy import Policy
from respram.sim.world import EPOCH_MS
from respram.snapshot.keys import Entry, pack, unpack
from respram.wire.messages import Dump, Keys

from .rig import Bench, member

LATER_MS = EPOCH_MS + 100_000


def entry(number: int, end_ms: int = LATER_MS) -> Entry:
    return Entry(b"%016d" % number, end_ms, b"%032d" % number)


def test_a_new_link_begins_with_the_keys_that_are_held() -> None:
    bench = Bench()
    bench.meet(1, member(1))
    assert not bench.sent(Keys, 1), "nothing is held, nothing is said"
    bench.core.handover.keys.add(entry(7))
    bench.meet(2, member(2))
    assert [unpack(one.entries) for one in bench.sent(Keys, 2)] == [[entry(7)]]
    bench.meet(3, member(3, enclave=b"blue"))
    assert not bench.sent(Keys, 3), "another enclave is none of their business"


def test_what_is_made_and_dropped_here_is_told_to_all() -> None:
    bench = Bench()
    for number in (1, 2):
        bench.meet(number, member(number))
    bench.take(bench.core.share_keys([entry(7)], [entry(6).id], bench.now))
    for number in (1, 2):
        assert bench.sent(Keys, number) == [Keys(pack([entry(7)]), entry(6).id)]


def test_keys_of_others_are_kept_until_their_bucket_ends_or_their_file_is_gone() -> None:
    bench = Bench()
    bench.meet(1, member(1))
    bench.say(1, Keys(pack([entry(7), entry(8, EPOCH_MS + 3_000), entry(9, EPOCH_MS - 1)]), b""))
    assert bench.core.handover.keys.get(entry(7).id) == entry(7).key and bench.core.handover.keys.get(entry(9).id) is None
    bench.wait(2_500)
    assert bench.core.handover.keys.get(entry(8).id) == entry(8).key
    bench.wait(2_000)
    assert bench.core.handover.keys.get(entry(8).id) is None and len(bench.core.handover.keys) == 1
    bench.say(1, Keys(b"", entry(7).id))
    assert len(bench.core.handover.keys) == 0 and not bench.hangups()


def test_among_many_news_is_passed_on_once() -> None:
    bench = Bench(Policy(direct_peers_max=2))
    for number in (1, 2, 3):
        bench.meet(number, member(number))
    bench.forget()
    for _ in range(3):
        bench.say(1, Keys(pack([entry(7)]), b""))
    assert bench.sent(Keys, 2) == bench.sent(Keys, 3) == [Keys(pack([entry(7)]), b"")] and not bench.sent(Keys, 1)


def test_keys_that_cannot_be_read_cost_the_link() -> None:
    for broken in (Keys(b"x", b""), Keys(b"", b"x")):
        bench = Bench()
        bench.meet(1, member(1))
        bench.say(1, broken)
        assert 1 in bench.hangups()


def test_keys_from_another_enclave_cost_the_link() -> None:
    bench = Bench()
    bench.meet(1, member(1, enclave=b"blue"))
    bench.say(1, Keys(pack([entry(7)]), b""))
    assert 1 in bench.hangups() and not len(bench.core.handover.keys)


# -- what restoring means for joining -----------------------------------------------------------------
def joiner() -> Bench:
    bench = Bench(roots=[member(1).address])
    bench.core.boot.restoring = True
    return bench


def test_a_joiner_asks_for_no_dump_while_it_reads_its_snapshot() -> None:
    bench = joiner()
    bench.meet(1, member(1))
    bench.wait(5_000)
    assert not bench.sent(Dump) and bench.core.state == "joining"
    bench.take(bench.core.restored(0, bench.now))
    bench.wait(1_000)
    assert bench.sent(Dump), "nothing came of it"


def test_a_snapshot_stands_in_for_the_dump() -> None:
    bench = joiner()
    bench.meet(1, member(1))
    bench.take(bench.core.restored(1_000, bench.now))
    bench.wait(3_000)
    assert not bench.sent(Dump) and bench.core.boot.dumped
    bench.core.boot.compared(1_000, 2_001)
    bench.wait(1_000)
    assert bench.sent(Dump), "a peer has more than twice as much"


def test_a_snapshot_that_takes_for_ever_is_not_waited_for() -> None:
    bench = Bench(Policy(restore_ms_max=3_000), roots=[member(1).address])
    bench.core.boot.restoring = True
    bench.meet(1, member(1))
    bench.wait(2_900)
    assert not bench.sent(Dump)
    bench.wait(600)
    assert bench.sent(Dump)
