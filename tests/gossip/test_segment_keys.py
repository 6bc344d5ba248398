"""Keys of segments on their way through the enclave: at the first word, as they are made, passed on, destroyed."""

from respram.gossip.policy import Policy, Terms
from respram.gossip.segment_keys import BUCKET_MS_MAX
from respram.sim.world import EPOCH_MS
from respram.snapshot.keys import (
    HERE,
    MADE_HERE,
    NO_COMMITMENT,
    SegmentKey,
    SegmentKeys,
    Tombstone,
    commitment_to,
    hash_of,
    pack,
    segment_key,
    tombstone_of,
    unpack,
    unpack_tombstones,
)
from respram.wire.messages import Dump, Keys

from .rig import Bench, member

LATER_MS = EPOCH_MS + 100_000


def entry(number: int, end_ms: int = LATER_MS) -> SegmentKey:
    return segment_key(end_ms, b"%032d" % number, commitment_to(b"proof %026d" % number))


def tombstone(number: int, end_ms: int = LATER_MS) -> Tombstone:
    return tombstone_of(end_ms, hash_of(b"%032d" % number), b"proof %026d" % number)


def test_a_new_link_begins_with_the_keys_that_are_held() -> None:
    bench = Bench()
    bench.meet(1, member(1))
    assert not bench.sent(Keys, 1), "nothing is held, nothing is said"
    bench.core.segment_keys.keys.add(entry(7))
    bench.meet(2, member(2))
    assert [unpack(one.entries) for one in bench.sent(Keys, 2)] == [[entry(7)]]
    bench.meet(3, member(3, enclave=b"blue"))
    assert not bench.sent(Keys, 3), "another enclave is none of their business"
    bench.core.segment_keys.keys.bury(tombstone(6))
    bench.core.segment_keys.keys.add(SegmentKey(b"1" * 16, LATER_MS, b"k" * 32, NO_COMMITMENT))
    bench.meet(4, member(4))
    assert bench.sent(Keys, 4) == [Keys(b"", pack([tombstone(6)])), Keys(pack([entry(7)]), b"")], "tombstones first"


def test_what_is_made_and_dropped_here_is_told_to_all() -> None:
    bench = Bench()
    for number in (1, 2):
        bench.meet(number, member(number))
    bench.take(bench.core.share_keys([entry(7)], [tombstone(6)], bench.now))
    for number in (1, 2):
        assert bench.sent(Keys, number) == [Keys(pack([entry(7)]), pack([tombstone(6)]))]


def test_keys_of_others_are_kept_until_their_bucket_ends_or_their_file_is_gone() -> None:
    bench = Bench()
    keys = bench.core.segment_keys.keys
    bench.meet(1, member(1))
    bench.say(1, Keys(pack([entry(7), entry(8, EPOCH_MS + 3_000), entry(9, EPOCH_MS - 1)]), b""))
    assert keys.get(entry(7).id) == entry(7).key and keys.get(entry(9, EPOCH_MS - 1).id) is None
    bench.wait(2_500)
    assert keys.get(entry(8, EPOCH_MS + 3_000).id) == entry(8).key
    bench.wait(2_000)
    assert keys.get(entry(8, EPOCH_MS + 3_000).id) is None and len(keys) == 1
    bench.say(1, Keys(b"", pack([tombstone(7)])))
    assert len(keys) == 0 and not bench.hangups()


def test_among_many_news_is_passed_on_once() -> None:
    bench = Bench(Policy(direct_peers_max=2))
    for number in (1, 2, 3):
        bench.meet(number, member(number))
    bench.forget()
    for _ in range(3):
        bench.say(1, Keys(pack([entry(7)]), b""))
    assert bench.sent(Keys, 2) == bench.sent(Keys, 3) == [Keys(pack([entry(7)]), b"")] and not bench.sent(Keys, 1)
    bench.forget()
    for _ in range(3):
        bench.say(2, Keys(b"", pack([tombstone(7), tombstone(7, LATER_MS + 1)])))
    buried = [one for sent in bench.sent(Keys, 3) for one in unpack_tombstones(sent.dropped)]
    assert tombstone(7) in buried and len(buried) == 2, "once each, whether or not the key was here"


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
    assert 1 in bench.hangups() and not len(bench.core.segment_keys.keys)


def test_a_peer_that_tells_of_more_keys_than_anybody_has_pushes_out_nobodys() -> None:
    bench = Bench()
    bench.core.segment_keys.keys = keys = SegmentKeys(keys_max=40, tombstones_max=40)
    keys.wanted.add(entry(5_001).id)
    for number in (1, 2):
        bench.meet(number, member(number))
    hostile = [entry(number) for number in range(1_000)]
    destroyed = pack(tombstone(number) for number in range(10, 1_000))
    bench.say(1, Keys(pack(hostile), b""), Keys(b"", destroyed))
    assert len(keys) == 10 and keys.refused == 990 and len(list(keys.tombstones())) == 10
    for number in range(40):
        assert keys.add(entry(2_000 + number), MADE_HERE), "the node's own snapshot"
        assert keys.add(entry(3_000 + number), HERE), "what its files need"
    assert not keys.add(entry(9_999), MADE_HERE)
    bench.say(2, Keys(pack(entry(5_000 + number) for number in range(3)), b""))
    assert all(keys.get(entry(5_000 + number).id) for number in range(3))
    first = [one.id for one in keys.shared()]
    assert set(first[:80]) == {entry(at + number).id for number in range(40) for at in (2_000, 3_000)}
    assert first.index(entry(5_000).id) < first.index(entry(0).id), "who told fewest comes first"


def test_no_peer_destroys_a_key_of_another_node() -> None:
    bench = Bench()
    for number in (1, 2):
        bench.meet(number, member(number))
    keys = bench.core.segment_keys.keys
    keys.add(entry(7), MADE_HERE)
    bench.say(1, Keys(pack([entry(8)]), b""))
    for number in (7, 8):
        one = entry(number)
        forged = [
            tombstone_of(one.end_ms, hash_of(one.key), proof) for proof in (bytes(32), one.commitment, bytes(one.key))
        ]
        bench.say(2, Keys(pack([segment_key(LATER_MS - 1, one.key, one.commitment)]), pack(forged)))
        assert keys.get(one.id) == one.key
    assert keys.drop(entry(7).id, b"proof %026d" % 7) == tombstone(7) and keys.get(entry(7).id) is None
    bench.say(2, Keys(b"", pack([tombstone(8)])))
    assert keys.get(entry(8).id) is None, "with the proof of the owner whoever brings it"


def test_an_end_that_no_bucket_has_and_a_key_without_commitment_are_refused() -> None:
    bench = Bench(Policy(terms=Terms(max_ttl_ms=1_000)))
    bench.meet(1, member(1))
    most_ms = EPOCH_MS + 1_000 + Policy().clock_offset_ms_max + BUCKET_MS_MAX
    naked = segment_key(LATER_MS, b"k" * 32, NO_COMMITMENT)
    ends = [entry(1, most_ms), entry(2, most_ms + 1), entry(3, (1 << 64) - 1), naked]
    bench.say(1, Keys(pack(ends), pack([tombstone(4, (1 << 64) - 1), tombstone(5, EPOCH_MS)])))
    keys = bench.core.segment_keys.keys
    assert [one.end_ms for one in keys.shared()] == [most_ms] and keys.refused == 3 and not keys.has_tombstones
    assert len(keys) == 1 and not bench.hangups()


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
