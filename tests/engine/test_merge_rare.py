"""Both engines where records meet that seldom meet: what random records did not reach, as planted faults have shown."""

from dataclasses import replace
from itertools import product

import pytest

from respram.engine.api import MERGED, Merged
from respram.engine.pure.family import SPARED_AT_ONCE
from respram.record import (
    COUNTED,
    COUNTER,
    DATABASES,
    DIGITS_MAX,
    HASH,
    HEADER,
    MARKS,
    SCRIPTS,
    SET,
    SHARE,
    SHARES_MAX,
    ZSET,
    Record,
    Seal,
    member_key,
    pack,
    stub_name,
    unpack,
)
from respram.stamp import from_ms

from .conftest import PURE_ONLY
from .rig import NOW, RING, SETTINGS
from .test_merge_bounds import same, sides
from .test_shares_attacked import three

pytestmark = pytest.mark.skipif(PURE_ONLY, reason="there is one engine: nothing to compare")

PLAIN = Record(0, b"key", b"value", from_ms(NOW - 5_000), 7, NOW + 60_000)


def test_a_value_under_an_unknown_key_is_refused_once() -> None:
    for both in (sides(), sides()):
        sealed = replace(PLAIN, seal=Seal(key=77, position=5, sealer=7))
        assert same(both, pack(sealed) * 2) == Merged(new=0, known=0, refused=2, malformed=0, strange=2)
        for side in both:
            side.engine.use_seals(RING, True)
        assert same(both, pack(sealed)) == Merged(new=0, known=0, refused=1, malformed=0, strange=1)
        assert both[0].state(NOW) == both[1].state(NOW)


def test_what_a_peer_did_not_seal_is_sealed_here_and_with_blocks_of_its_own() -> None:
    both = sides()
    for side in both:
        side.engine.use_seals(RING, True)
    for number in range(20):
        text = replace(PLAIN, key=b"key:%d" % number, value=b"v" * (number + 1))
        member = replace(PLAIN, db=HASH * DATABASES, key=member_key(b"h", b"%d" % number), value=b"v" * (number + 1))
        assert same(both, pack(text) + pack(member)).new == 2
    for side in both:
        records = [record for db in (0, HASH * DATABASES) for one in side.engine.records(db) for record in unpack(one)]
        positions = {record.seal.position for record in records if record.seal}
        assert len(positions) == len(records) == 40
        found = [side.engine.lookup(0, b"key:%d" % number, NOW) for number in range(20)]
        assert [entry.value for entry in found if entry] == [b"v" * (number + 1) for number in range(20)]


def test_another_version_comes_to_a_member_that_has_ended() -> None:
    """The observer is told whether the collection was there before. To look for that ends no member."""
    both = sides()
    head = replace(PLAIN, key=b"h", value=b"", kind=HASH)
    stays, ends = (replace(PLAIN, db=HASH * DATABASES, key=member_key(b"h", name)) for name in (b"stays", b"ends"))
    ends = replace(ends, deadline_ms=NOW + 1_000, shadow_ms=NOW + 50_000)
    assert same(both, pack(head) + pack(stays) + pack(ends)).new == 3
    later = replace(ends, clock=ends.clock + 1, value=b"again", deadline_ms=NOW + 30_000, shadow_ms=0)
    assert same(both, pack(later), NOW + 2_000).new == 1
    assert both[0].state(NOW + 2_000) == both[1].state(NOW + 2_000)
    assert both[1].engine.counters()["stubs"] == 0
    for side in both:
        found = side.engine.members(0, b"h", 0, 10, NOW + 2_000).members
        assert sorted(one.name for one in found) == [b"ends", b"stays"]


@pytest.mark.parametrize("ended_ms", [0, NOW - 10])
@pytest.mark.parametrize("names", [[], [b"m"]])
def test_a_head_and_a_mark_of_one_stamp_in_either_order(names: list[bytes], ended_ms: int) -> None:
    """A mark of an end lives for as long as a head that is older, and not for as long as one of its own stamp."""
    both = sides()
    orders = product((0, 5), (-1, 0, 1), (6, 7, 8), (True, False))
    for number, (db, clock, node, is_head_first) in enumerate(orders):
        head = replace(PLAIN, db=db, key=b"h%d" % number, value=b"", kind=HASH)
        mark = Record(MARKS + db, head.key, None, head.clock + clock, node, ended_ms, shadow_ms=NOW + 20_000)
        member = replace(PLAIN, db=HASH * DATABASES + db, clock=head.clock + clock)
        members = b"".join(pack(replace(member, key=member_key(head.key, name))) for name in names)
        collection = pack(head) + members
        same(both, collection + pack(mark) if is_head_first else pack(mark) + collection)
        assert both[0].state(NOW) == both[1].state(NOW), (db, clock, node, is_head_first)


@pytest.mark.parametrize("value", [b"v", None])
def test_an_overdue_version_is_replaced_by_one_that_ends_now_or_beside_it(value: bytes | None) -> None:
    both, now = sides(), NOW + 500
    for number, (before_ms, after_ms, shadow_ms) in enumerate(product((499, 500, 501), (499, 500, 501), (0, 500, 501))):
        before = replace(PLAIN, key=b"key:%d" % number, deadline_ms=NOW + before_ms)
        after = replace(before, value=value, clock=before.clock + 1, deadline_ms=NOW + after_ms,
                        shadow_ms=shadow_ms and NOW + shadow_ms)  # fmt: skip
        assert same(both, pack(before)).new == 1
        same(both, pack(after), now)
        assert both[0].state(now)[:4] == both[1].state(now)[:4], (before_ms, after_ms, shadow_ms)


def test_the_observer_hears_of_a_counter_that_two_have_counted() -> None:
    both, (one, other, _) = sides(SETTINGS._replace(counters=True)), three("pure")
    one.run(b"incrby", b"n", b"5")
    first = one.engine.drain(1 << 20)
    other.engine.merge(first, NOW)
    payloads = [first]
    for side in (one, other):
        side.run(b"incr", b"n", at=NOW + 1)
        payloads.append(side.engine.drain(1 << 20))
    for number, payload in enumerate(payloads):
        assert same(both, payload, NOW + 2).new == 1
        assert both[0].state(NOW + 2) == both[1].state(NOW + 2)
        assert [event for event, _, _ in both[1].events].count(MERGED) == number + 1
    entry = both[1].engine.lookup(0, b"n", NOW + 2)
    assert entry is not None and entry.value == b"7"


def test_only_a_text_may_be_a_counter() -> None:
    both, key, size = sides(), member_key(b"c", b"1"), 1 + COUNTER.size + SHARE.size
    taken = {}
    for db in (0, DATABASES - 1, DATABASES, MARKS - 1, MARKS, SCRIPTS):
        head = HEADER.pack(COUNTED, db, len(key), size, from_ms(NOW), 9, NOW + 10_000)
        taken[db] = same(both, head + key + b"1" * size).malformed
    assert taken == {0: 0, DATABASES - 1: 0, DATABASES: 1, MARKS - 1: 1, MARKS: 1, SCRIPTS: 1}
    assert both[0].state(NOW) == both[1].state(NOW)


def test_a_value_that_a_sets_member_does_not_have_is_not_too_large() -> None:
    both = sides(SETTINGS._replace(bulk_bytes_max=64))
    for size in (64, 65, 200):
        member = replace(PLAIN, db=SET * DATABASES, key=member_key(b"s", b"%d" % size), value=b"v" * size)
        assert same(both, pack(member)) == Merged(new=1, known=0, refused=0, malformed=0)


def test_a_counter_with_as_many_shares_as_there_may_be_and_with_more() -> None:
    both, malformed = sides(), set[int]()
    for shares, digits in product((0, 1, SHARES_MAX - 1, SHARES_MAX, SHARES_MAX + 1, SHARES_MAX + 2),
                                  (0, 1, DIGITS_MAX, DIGITS_MAX + 1)):  # fmt: skip
        size = digits + COUNTER.size + shares * SHARE.size
        head = HEADER.pack(COUNTED, 0, 3, size, from_ms(NOW), 9, NOW + 10_000)
        malformed.add(same(both, head + b"key" + b"1" * size).malformed)
    assert malformed == {0, 1} and both[0].state(NOW) == both[1].state(NOW)


@pytest.mark.parametrize("kind", [HASH, SET, ZSET])
def test_a_mark_of_an_end_outlives_members_of_each_kind_whose_head_has_not_come(kind: int) -> None:
    both = sides()
    for db in (0, 3, DATABASES - 1):
        member = replace(PLAIN, db=kind * DATABASES + db, key=member_key(b"c", b"1"), value=b"")
        mark = Record(MARKS + db, b"c", None, member.clock + 5, 9, NOW - 10, shadow_ms=NOW + 20_000)
        assert same(both, pack(member) + pack(mark)).new == 2
        assert both[0].state(NOW) == both[1].state(NOW)
        for side in both:
            (kept,) = (record for packed in side.engine.records(MARKS + db) for record in unpack(packed))
            assert kept.shadow_ms == member.deadline_ms


def test_a_mark_spares_a_collection_that_was_begun_after_the_end_and_until_it_is_over_itself() -> None:
    """Each bound: an end in the millisecond of the beginning or beside it, and a mark that is over now or a bit later.
    """
    spared = set[int]()
    for end_ms, over_ms, left_ms in product((-1, 0, 1), (-1, 0, 1, 90_000), (899, 900, 901, 60_000)):
        both = sides()
        for side in both:
            side.engine.found(0, b"h", HASH, NOW + left_ms, False, NOW)
            side.engine.put_member(0, b"h", b"m", b"v", None, NOW)
        mark = Record(MARKS, b"h", None, from_ms(NOW + 900), 9, NOW + end_ms, shadow_ms=NOW + over_ms)
        same(both, pack(mark))
        assert both[0].state(NOW) == both[1].state(NOW), (end_ms, over_ms, left_ms)
        spared.add(len(both[1].engine.members(0, b"h", 0, 10, NOW).members))
    assert spared == {0, 1}


def test_only_the_mark_that_spares_members_of_a_large_collection_spares_them() -> None:
    """Above SPARED_AT_ONCE members slices clear what is not spared: not of the next mark, which spares nothing."""
    both = sides()
    for key in (b"spared", b"cleared"):
        for side in both:
            side.engine.found(0, key, HASH, NOW + 60_000, False, NOW)
            for number in range(SPARED_AT_ONCE + 10):
                side.engine.put_member(0, key, b"%d" % number, b"v", None, NOW)
    end = Record(MARKS, b"spared", None, from_ms(NOW + 1_000), 9, NOW - 10, shadow_ms=NOW + 90_000)
    write = Record(MARKS, b"cleared", None, from_ms(NOW + 1_100), 9, 0, shadow_ms=NOW + 90_000)
    for mark in (end, write):
        assert same(both, pack(mark)).new == 1
        assert both[0].state(NOW) == both[1].state(NOW)
        counts = [[len(side.engine.members(0, key, 0, 1_000, NOW).members) for key in (b"spared", b"cleared")]
                  for side in both]  # fmt: skip
        assert counts == [[SPARED_AT_ONCE + 10, 0 if mark is write else SPARED_AT_ONCE + 10]] * 2
    for side in both:
        assert any(not side.engine.expire(NOW + 10, 1 << 30) for _ in range(100)), "it is never done"
        assert len(side.engine.members(0, b"spared", 0, 1_000, NOW + 10).members) == SPARED_AT_ONCE + 10
    assert both[0].state(NOW + 10) == both[1].state(NOW + 10)


def test_names_of_members_of_each_kind_and_database() -> None:
    both = sides()
    for db in range(DATABASES, MARKS):
        record = replace(PLAIN, db=db, key=member_key(b"c", b"1"), value=b"")
        stub = replace(record, key=stub_name(db, record.key), value=None, named=True, clock=record.clock + 1,
                       shadow_ms=NOW + 70_000)  # fmt: skip
        for arrived in (record, stub, replace(stub, clock=stub.clock + 1)):
            assert same(both, pack(arrived)) == Merged(new=1, known=0, refused=0, malformed=0)
            assert both[0].state(NOW) == both[1].state(NOW)


def test_names_of_each_database_and_with_bits_of_a_hash_above_it() -> None:
    both = sides()
    for db, above in product(range(DATABASES), (0, 0x10, 0x20, 0x30)):
        record = replace(PLAIN, db=db, key=b"key:%d" % above)
        name = stub_name(db, record.key)
        stub = replace(record, key=name[:-1] + bytes([name[-1] | above]), value=None, named=True,
                       clock=record.clock + 1, shadow_ms=NOW + 60_000)  # fmt: skip
        assert same(both, pack(record) + pack(stub)) == Merged(new=2, known=0, refused=0, malformed=0)
        assert both[0].state(NOW) == both[1].state(NOW)
