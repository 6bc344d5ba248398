"""What peers ask of an engine: ids, digests, filters, what a filter lacks, the dump. Vectors pin the formulas."""

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from struct import Struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pybloom_live import BloomFilter

from respram.engine import filters
from respram.engine.api import Engine
from respram.engine.ids import M64, SPREAD, identity, identity_by_name, keyed_hash, point, point_by_name, siphash13
from respram.engine.replication import DONE, FETCHED_PIECE_BYTES, PLACE_BITS, BucketDigest, Cut, Fetched, Selection
from respram.errors import PeerError
from respram.record import SET, Record, member_key, pack, stub_name, unpack
from respram.slots import pack_keys

from .conftest import ENGINES
from .rig import NOW, SETTINGS

IDS_KEY = 0x0F0E0D0C0B0A0908
WHOLE = Cut(stamp=(NOW >> 10) + 100, end=0)


TRACKERS: dict[str, Callable[[], Engine]] = {
    name: partial(make, SETTINGS) for name, make in ENGINES.items()
}


@pytest.fixture(params=list(TRACKERS))
def peer(request: pytest.FixtureRequest) -> Engine:
    engine = TRACKERS[request.param]()
    engine.track(IDS_KEY)
    return engine


def all_of(cut: Cut) -> Selection:
    return Selection(cut, 0, frozenset(), 0)


def held(peer: Engine) -> list[Record]:
    return [record for db in range(16) for packed in peer.records(db) for record in unpack(packed)]


# -- the formulas -------------------------------------------------------------------------------------
def test_the_hash_agrees_with_its_vectors_in_both_forms() -> None:
    vectors = {0: 0x6CF803E7D919EA33, 1: 0x0DB98F5B36E189E7, 8: 0x689E9E6E3E8947BB, 33: 0x06B57840757A9602}
    for length, expected in vectors.items():
        data = bytes(range(length))
        assert (siphash13(IDS_KEY, data), keyed_hash(IDS_KEY, data)) == (expected, expected), length
    for key in (0, 1, M64, 1 << 63):
        assert keyed_hash(key, b"respram") == siphash13(key, b"respram")


def test_an_id_depends_on_all_of_the_version_and_on_its_shadow() -> None:
    base = identity(IDS_KEY, 3, b"key", 1 << 40, 7, 0)
    assert base == 0x8E8F89131DD500C2
    others = [
        identity(IDS_KEY + 1, 3, b"key", 1 << 40, 7, 0),
        identity(IDS_KEY, 4, b"key", 1 << 40, 7, 0),
        identity(IDS_KEY, 3, b"kez", 1 << 40, 7, 0),
        identity(IDS_KEY, 3, b"key", (1 << 40) + 1, 7, 0),
        identity(IDS_KEY, 3, b"key", 1 << 40, 8, 0),
        identity(IDS_KEY, 3, b"key", 1 << 40, 7, 1),
    ]
    assert len({base, *others}) == 7
    assert identity(IDS_KEY, 3, b"key", 1 << 40, 7, 3) == (others[-1] + 2 * SPREAD) & M64
    assert identity_by_name(IDS_KEY, stub_name(3, b"key"), 1 << 40, 7, 1) == others[-1] == 0xDDA0A0362BF9B4D0
    assert point(IDS_KEY, 3, b"key") == point_by_name(IDS_KEY, stub_name(3, b"key")) == 0x80FEDCC0


def test_a_name_agrees_with_its_vectors_and_says_its_database() -> None:
    vectors = {
        (0, b""): "7475ca99f648a9fde75c5090798f98c0", (3, b"key"): "98d6b328cf00b874ddc874b5c8d58303",
        (15, b"k" * 64): "b3c021f37b8fecb5bd0100b0da085a0f", (0, b"k" * 65): "e9954924a538cd81d2af72b80472dcc0",
        (1, bytes(range(256)) * 3): "72da5df87503d2be7cae88c19174fbc1",
        (35, member_key(b"set", b"m")): "c9e464549c6c4ff53d805d1eabc21d63",
    }  # fmt: skip
    for (db, key), expected in vectors.items():
        assert stub_name(db, key).hex() == expected
        assert stub_name(db, key)[-1] & 0x3F == db
    assert len({stub_name(db, key) for db in range(16)
                for key in (b"", b"\0", b"\0\0", b"a" * 64, b"a" * 64 + b"\0", b"a" * 128)}) == 96


def test_filter_positions_agree_with_their_vectors() -> None:
    assert filters.positions(0x0123456789ABCDEF, 0xFEDCBA9876543210, 7, 1000) == [
        706,
        1352,
        2999,
        3645,
        4291,
        5938,
        6584,
    ]


# -- filters ------------------------------------------------------------------------------------------
def test_a_filter_is_pybloom_lives_own_behind_its_salt() -> None:
    bloom = filters.RecordFilter(100, salt=42)
    theirs = BloomFilter(100, filters.ERROR_RATE)
    assert (bloom.num_slices, bloom.bits_per_slice) == (theirs.num_slices, theirs.bits_per_slice)
    bloom.add_ids([mark * SPREAD & M64 for mark in range(100)])
    sent = bloom.to_bytes()
    assert len(sent) == filters.HEADER.size + (theirs.num_bits + 7) // 8
    again = filters.from_bytes(sent)
    assert (again.salt, again.count, again.capacity, again.to_bytes()) == (42, 100, 100, sent)
    assert not any(again.lacks(mark * SPREAD & M64) for mark in range(100))


def test_the_bits_are_those_of_the_positions() -> None:
    bloom = filters.RecordFilter(10, salt=9)
    bloom.add_ids([77])
    expected = filters.positions(77, 9, bloom.num_slices, bloom.bits_per_slice)
    assert [place for place in range(bloom.num_bits) if bloom.bitarray[place]] == sorted(expected)


def test_a_fresh_salt_gives_fresh_false_positives() -> None:
    rng = random.Random(5)
    inside, outside = ([rng.getrandbits(64) for _ in range(5000)] for _ in range(2))

    def passed_over(salt: int) -> set[int]:
        bloom = filters.RecordFilter(len(inside), salt)
        bloom.add_ids(inside)
        return {one for one in outside if not bloom.lacks(one)}

    first, second = passed_over(1), passed_over(2)
    assert 20 < len(first) < 90 and 20 < len(second) < 90  # 1% of 5,000
    assert len(first & second) < 8
    assert first == passed_over(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda sent: sent[:40],
        lambda sent: sent[:-1],
        lambda sent: sent + b"\0",
        lambda sent: sent[:8] + Struct("<d").pack(float("nan")) + sent[16:],
        lambda sent: sent[:8] + Struct("<d").pack(1e-300) + sent[16:],
        lambda sent: sent[:16] + Struct("<Q").pack(1 << 40) + sent[24:],
        lambda sent: sent[:24] + Struct("<Q").pack(1 << 62) + sent[32:],
        lambda sent: sent[:32] + Struct("<Q").pack(1 << 50) + sent[40:],
        lambda sent: sent[:40] + Struct("<Q").pack(1 << 50) + sent[48:],
        lambda sent: sent[:16] + Struct("<Q").pack(0) + sent[24:],
    ],
)
def test_a_header_that_lies_is_refused_before_anything_is_allocated(change: Callable[[bytes], bytes]) -> None:
    sent = filters.RecordFilter(100, salt=42).to_bytes()
    filters.from_bytes(sent)
    with pytest.raises(PeerError):
        filters.from_bytes(change(sent))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_filter_or_a_peers_error(data: bytes) -> None:
    with contextlib.suppress(PeerError):
        filters.from_bytes(data)


# -- digests ------------------------------------------------------------------------------------------
def test_a_digest_is_count_and_sum_of_the_ids_within_the_cut(peer: Engine) -> None:
    granule = NOW >> 10
    for number, ttl_ms in enumerate((1_500, 5_000, 60_000, 3_600_000)):
        peer.store(number, b"k%d" % number, b"v", NOW + ttl_ms, False, NOW, b"set")
    records = held(peer)
    assert len(records) == 4
    for cut in (WHOLE, Cut(granule, granule + 2), Cut(granule, granule + 10), Cut(granule - 1, 0)):
        inside = [
            identity(IDS_KEY, one.db, one.key, one.clock, one.node, one.shadow_ms)
            for one in records
            if one.clock >> 26 <= cut.stamp and max(one.deadline_ms, one.shadow_ms) >> 10 > cut.end
        ]
        assert peer.digest(cut, NOW) == (len(inside), sum(inside) & M64)
    assert peer.digest(Cut(granule - 100, 0), NOW) is None
    assert peer.bucket_digests(Cut(granule - 100, 0), 0, NOW) == []


ops = st.lists(
    st.tuples(
        st.sampled_from(["store", "merge", "let_go", "wait", "expire"]),
        st.integers(0, 5),
        st.one_of(st.integers(1, 4000), st.integers(1, 100_000)),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(ops, st.integers(0, 6), st.integers(-3, 3), st.integers(0, 40))
@example([("store", 1, 90_000), ("wait", 1, 3000), ("store", 1, 50_000)], 0, -2, 0)
def test_digests_follow_every_change(steps: list[tuple[str, int, int]], shift: int, back: int, ahead: int) -> None:
    for make in TRACKERS.values():
        peer = make()
        peer.track(IDS_KEY)
        now = NOW
        versions: dict[bytes, list[Record]] = {}  # of what is held, the last one as it is
        for act, number, ms in steps:
            if act == "store":
                peer.store(0, b"%d" % number, b"v", now + ms, False, now, b"set")
            elif act == "merge":
                clock, shadow_ms = (now + number * 100 - 2000 << 16), (now + 2 * ms if number & 1 else 0)
                peer.merge(pack(Record(0, b"%d" % number, b"w", clock, 9, now + ms, shadow_ms)), now)
            elif act == "let_go":
                peer.let_go(0, b"%d" % number, now, b"del")
            elif act == "wait":
                now += ms
            else:
                peer.expire(now, ms)
            records = {one.key if one.named else stub_name(0, one.key): one for one in held(peer)}
            versions = {
                key: [old for old in versions.get(key, []) if old != one] + [one] for key, one in records.items()
            }
        cut = Cut((now >> 10) + back, (now >> 10) + ahead)
        then = [[one for one in known if one.clock >> 26 <= cut.stamp][-1:] for known in versions.values()]
        ids = {mark(one): end_of(one) >> shift for known in then for one in known if end_of(one) > cut.end}
        assert peer.digest(cut, now) == (len(ids), sum(ids) & M64)
        expected = [
            BucketDigest(number, list(ids.values()).count(number), sum(one for one in ids if ids[one] == number) & M64)
            for number in sorted(set(ids.values()))
        ]
        assert peer.bucket_digests(cut, shift, now) == expected
        since = (now >> 10) - 1
        assert peer.count_since(since) == sum(one.clock >> 26 >= since for one in held(peer))


def test_an_overwrite_on_its_way_makes_no_difference() -> None:
    for make in TRACKERS.values():
        one, other = make(), make()
        for peer in (one, other):
            peer.track(IDS_KEY)
        for number in range(20):
            one.store(0, b"k%d" % number, b"old", NOW + 60_000 + number, False, NOW, b"set")
        other.merge(one.drain(1 << 20), NOW)
        later = NOW + 5_000
        for number in range(0, 20, 2):  # lives that grow, and lives that shrink
            one.store(0, b"k%d" % number, b"new", later + (9_000 if number % 4 else 90_000), False, later, b"set")
        cut = Cut((later - 1_000 >> 10) - 1, later + 2_000 >> 10)
        was = other.digest(cut, later)
        assert was is not None and was.records == 20
        assert one.digest(cut, later) == was and one.bucket_digests(cut, 0, later) == other.bucket_digests(
            cut, 0, later
        )
        other.merge(one.drain(1 << 20), later + 2)
        assert other.digest(cut, later + 2) == was
        settled = Cut((later >> 10) + 1, later + 2_000 >> 10)
        now = one.digest(settled, later + 4_000)
        assert now == other.digest(settled, later + 4_000) and now is not None and now.records == 20 and now != was


def test_a_clock_that_was_a_day_ahead_leaves_digests_right(peer: Engine) -> None:
    day_ms = 86_400_000
    peer.store(0, b"before", b"v", NOW + 90_000, False, NOW, b"set")
    ahead = Cut((NOW + day_ms >> 10), 0)
    assert peer.digest(ahead, NOW + day_ms) is not None
    peer.store(0, b"during", b"v", NOW + day_ms + 90_000, False, NOW + day_ms, b"set")
    cut = Cut((NOW >> 10) + 1, 0)
    inside = [one for one in held(peer) if one.key == b"before"]
    assert peer.digest(cut, NOW + 2_000) == (1, mark(inside[0]))
    assert peer.digest(Cut((NOW >> 10) - 2, 0), NOW + 2_000) == (0, 0)


@pytest.mark.parametrize("asked", [False, True], ids=["nobody asked", "asked while ahead"])
def test_fresh_stamps_leave_digests_right(peer: Engine, asked: bool) -> None:
    """What a record with a stamp ahead had replaced was missing from digests, until that stamp was in the past."""
    day_ms = 86_400_000
    for number in range(6):
        peer.store(0, b"k%d" % number, b"old", NOW + 2 * day_ms, False, NOW, b"set")
    for number in range(3):
        peer.store(0, b"k%d" % number, b"new", NOW + 2 * day_ms, False, NOW + day_ms, b"set")
    peer.store(0, b"k0", b"newer", NOW + 2 * day_ms, False, NOW + day_ms, b"set")
    assert not asked or peer.digest(Cut(NOW + day_ms >> 10, 0), NOW + day_ms) is not None
    assert peer.restamp(NOW) == 3
    peer.store(0, b"k4", b"after", NOW + 2 * day_ms, False, NOW + 1, b"set")
    for later_ms in (10_000, 20_000, 40_000, 80_000):
        records = held(peer)
        cut, sums = Cut((NOW + later_ms >> 10) - 1, 0), sum(map(mark, records)) & M64
        assert peer.digest(cut, NOW + later_ms) == (len(records), sums)
        assert [(one.records, one.sum) for one in peer.bucket_digests(cut, 22, NOW + later_ms)] == [(6, sums)]


def test_stamps_from_a_wrong_clock_are_given_anew(peer: Engine) -> None:
    day_ms = 86_400_000
    peer.store(0, b"long", b"v", NOW + day_ms + SETTINGS.max_ttl_ms, False, NOW + day_ms, b"set")
    peer.store(0, b"stub", b"old", NOW + day_ms + 90_000, False, NOW + day_ms, b"set")
    peer.store(0, b"stub", b"new", NOW + day_ms + 5, False, NOW + day_ms, b"set")
    peer.merge(pack(Record(0, b"theirs", b"v", NOW << 16, 9, NOW + 5_000)), NOW)
    peer.expire(NOW + day_ms + 100, 100)
    peer.drain(1 << 20)
    assert peer.restamp(NOW) == 2
    assert peer.restamp(NOW) == 0
    records = {one.key: one for one in held(peer)}
    latest_ms = NOW + SETTINGS.clock_offset_ms_max
    stub = records[stub_name(0, b"stub")]
    assert (records[b"long"].clock >> 16, stub.clock >> 16) == (latest_ms, latest_ms)
    assert records[b"long"].deadline_ms == NOW + SETTINGS.max_ttl_ms
    assert stub.value is None and stub.shadow_ms == NOW + day_ms + 90_000
    assert {one.key for one in unpack(peer.drain(1 << 20))} == {b"long"}  # of a stub nobody knows the key any more
    peer.store(0, b"next", b"v", NOW + 9_000, False, NOW + 1, b"set")
    assert {one.key: one.clock for one in held(peer)}[b"next"] >> 16 == latest_ms


def test_a_fresh_stamp_remembers_as_long_as_the_old_one(peer: Engine) -> None:
    """Under a max-ttl that was lowered since, too: who was away may have the older value for as long as it was given.
    It was cut.
    """
    day_ms = 86_400_000
    peer.store(0, b"k", b"old", NOW + 20 * day_ms, False, NOW, b"set")
    peer.store(0, b"k", b"new", NOW + day_ms + 60_000, False, NOW + day_ms, b"set")
    peer.configure(SETTINGS._replace(max_ttl_ms=3_600_000, default_ttl_ms=60_000))
    assert peer.restamp(NOW) == 1
    [record] = held(peer)
    assert (record.deadline_ms, record.shadow_ms) == (NOW + 3_600_000, NOW + 20 * day_ms)


def test_one_stamp_on_many_keys_is_restamped_in_the_order_of_their_names(peer: Engine) -> None:
    """No honest peer sends such; both engines must still do the same with it."""
    names = [(db, key) for db in (0, 1) for key in (b"", b"\0", b"\0\0", b"a", b"a" * 9, b"b", b"\xff")]
    shuffled = random.Random(7).sample(names, len(names))
    ahead = NOW + 60_000
    peer.merge(b"".join(pack(Record(db, key, b"v", ahead << 16, 9, ahead + 90_000)) for db, key in shuffled), ahead)
    assert peer.restamp(NOW) == len(names)
    records = [record for db in (0, 1) for packed in peer.records(db) for record in unpack(packed)]
    assert [(one.db, one.key) for one in sorted(records, key=lambda one: one.clock)] == names



def end_of(record: Record) -> int:
    return max(record.deadline_ms, record.shadow_ms) >> 10


def mark(record: Record) -> int:
    if record.named:
        return identity_by_name(IDS_KEY, record.key, record.clock, record.node, record.shadow_ms)
    return identity(IDS_KEY, record.db, record.key, record.clock, record.node, record.shadow_ms)


def test_a_widened_shadow_shows_in_the_digest(peer: Engine) -> None:
    newer = Record(0, b"k", b"new", NOW - 10_000 << 16, 1, NOW + 10_000)
    older = Record(0, b"k", b"old", NOW - 20_000 << 16, 2, NOW + 99_000)
    peer.merge(pack(newer), NOW)
    before = peer.digest(WHOLE, NOW)
    assert peer.merge(pack(older), NOW).known == 1
    after = peer.digest(WHOLE, NOW)
    assert before is not None and after is not None and before.records == after.records == 1 and before.sum != after.sum


# -- what a filter lacks ------------------------------------------------------------------------------
def filled(peer: Engine, selection: Selection, capacity: int, budget: int = 1 << 30) -> filters.RecordFilter:
    bloom, cursor = filters.RecordFilter(capacity, salt=77), 0
    while cursor != DONE:
        cursor = peer.fill(bloom, selection, cursor, budget)
    return bloom


def stock(peer: Engine, numbers: range) -> None:
    for number in numbers:
        clock = NOW - 60_000 + number << 16
        peer.merge(pack(Record(number % 16, b"k%d" % number, b"v" * 20, clock, 5, NOW + 10_000 + number * 137)), NOW)


@pytest.mark.parametrize("budget", [1, 7, 1 << 30])
def test_what_the_filter_lacks_comes_soonest_first(peer: Engine, budget: int) -> None:
    other = TRACKERS["pure"]()
    other.track(IDS_KEY)
    stock(peer, range(500))
    stock(other, range(100, 500))
    bloom = filled(other, all_of(WHOLE), 400, budget)
    assert bloom.to_bytes() == filled(other, all_of(WHOLE), 400).to_bytes()
    cursor, found = 0, []
    while cursor != DONE:
        payload, cursor = peer.lacking(bloom, all_of(WHOLE), cursor, 1 << 30, budget)
        found += [end_of(record) for record in unpack(payload)]
    assert 90 <= len(found) <= 100  # some are passed over by chance
    assert found == sorted(found)


def test_the_byte_budget_holds_within_a_granule_too(peer: Engine) -> None:
    for number in range(100):
        peer.merge(pack(Record(0, b"%d" % number, b"v" * 100, NOW - 9000 << 16, 5, NOW + 10_000)), NOW)
    payload, cursor = peer.lacking(filters.RecordFilter(1, 1), all_of(WHOLE), 0, 1000, 1 << 30)
    assert 1000 <= len(payload) < 1200
    assert cursor >> PLACE_BITS == NOW + 10_000 >> 10
    found = len(list(unpack(payload)))
    while cursor != DONE:
        payload, cursor = peer.lacking(filters.RecordFilter(1, 1), all_of(WHOLE), cursor, 1000, 1 << 30)
        assert len(payload) < 1200
        found += len(list(unpack(payload)))
    assert found == 100


def test_the_budget_of_records_holds_within_a_granule_too(peer: Engine) -> None:
    """A million keys may share a second: neither filling a filter nor asking it may look at all of them at once."""
    for number in range(100):
        peer.merge(pack(Record(0, b"%d" % number, b"", NOW - 9000 << 16, 5, NOW + 10_000)), NOW)
    bloom, cursor, slices = filters.RecordFilter(100, 1), 0, 0
    while cursor != DONE:
        before, cursor, slices = bloom.count, peer.fill(bloom, all_of(WHOLE), cursor, 7), slices + 1
        assert bloom.count - before <= 7
    assert bloom.count == 100 and slices >= 100 // 7
    cursor, found = 0, []
    while cursor != DONE:
        payload, cursor = peer.lacking(filters.RecordFilter(1, 1), all_of(WHOLE), cursor, 1 << 30, 7)
        found.append(len(list(unpack(payload))))
    assert sum(found) == 100 and max(found) <= 7


def test_a_walk_goes_on_where_records_have_left(peer: Engine) -> None:
    for number in range(100):
        peer.merge(pack(Record(0, b"%d" % number, b"", NOW - 9000 << 16, 5, NOW + 10_000)), NOW)
    nothing = filters.RecordFilter(1, 1)
    _, cursor = peer.lacking(nothing, all_of(WHOLE), 0, 1 << 30, 90)
    for number in range(5, 100):  # to another granule
        peer.merge(pack(Record(0, b"%d" % number, b"", NOW - 8000 << 16, 5, NOW + 30_000)), NOW)
    payload, cursor = peer.lacking(nothing, all_of(WHOLE), cursor, 1 << 30, 1 << 30)
    assert cursor == DONE and len(list(unpack(payload))) == 95


@pytest.mark.parametrize("left", [0, 1, 5_000, 9_000])
def test_many_records_of_one_granule_leave_in_any_order_and_the_others_stay_listed(peer: Engine, left: int) -> None:
    """Their list is in blocks of 4,096, which go back as records leave; holes are filled little by little."""
    numbers = list(range(20_000))
    for first in range(0, len(numbers), 1_000):
        peer.merge(b"".join(_ending(number, 7000, 10_000) for number in numbers[first : first + 1_000]), NOW)
    random.Random(left).shuffle(numbers)
    for first in range(0, len(numbers) - left, 1_000):
        moving = numbers[first : min(first + 1_000, len(numbers) - left)]
        peer.merge(b"".join(_ending(number, 6000, 40_000) for number in moving), NOW)
    peer.merge(b"".join(_ending(number, 5000, 10_000) for number in range(20_000, 20_100)), NOW)  # and some come
    nothing, cursor, found = filters.RecordFilter(1, 1), 0, []
    while cursor != DONE:
        payload, cursor = peer.lacking(nothing, all_of(WHOLE), cursor, 1 << 30, 777)
        found += list(unpack(payload))
    assert sorted(int(one.key) for one in found) == list(range(20_100))
    here = {int(one.key) for one in found if end_of(one) == NOW + 10_000 >> 10}
    assert here == {*range(20_000, 20_100), *numbers[len(numbers) - left :]}
    other = TRACKERS["pure"]()
    other.track(IDS_KEY)
    other.merge(b"".join(pack(one) for one in found), NOW)
    assert other.digest(WHOLE, NOW) == peer.digest(WHOLE, NOW)


def _ending(number: int, written_ms_ago: int, life_ms: int) -> bytes:
    return pack(Record(0, b"%d" % number, b"", NOW - written_ms_ago << 16, 5, NOW + life_ms))


def test_selections_narrow_by_bucket_and_by_time_of_writing(peer: Engine) -> None:
    stock(peer, range(300))
    bucket = NOW + 20_000 >> 13
    nothing = filters.RecordFilter(1, 1)
    by_bucket = peer.lacking(nothing, Selection(WHOLE, 3, frozenset({bucket}), 0), 0, 1 << 30, 1 << 30)
    assert {end_of(one) >> 3 for one in unpack(by_bucket.payload)} == {bucket}
    since = NOW - 60_000 + 150 >> 10
    written = peer.lacking(nothing, Selection(WHOLE, 0, frozenset(), since), 0, 1 << 30, 1 << 30)
    stamps = {one.clock >> 26 for one in unpack(written.payload)}
    assert min(stamps) == since and len(list(unpack(written.payload))) == peer.count_since(since)


def test_a_filter_stops_at_its_capacity(peer: Engine) -> None:
    stock(peer, range(50))
    bloom = filters.RecordFilter(10, 1)
    assert peer.fill(bloom, all_of(WHOLE), 0, 1 << 30) == DONE
    assert bloom.count == 10


# -- the dump -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("bytes_max", [1, 500, 1 << 20])
def test_a_dump_gives_every_record_once_and_another_peer_can_go_on(peer: Engine, bytes_max: int) -> None:
    other = TRACKERS["pure"]()
    other.track(IDS_KEY)
    stock(peer, range(300))
    stock(other, range(300))
    sources, cursor, keys, turns = (peer, other), 0, [], 0
    while cursor < 1 << 32:
        payload, cursor = sources[turns % 2].dump(cursor, bytes_max, NOW)
        keys += [(record.db, record.key) for record in unpack(payload)]
        turns += 1
    assert len(keys) == len(set(keys)) == 300
    points = [point(IDS_KEY, db, key) for db, key in keys]
    assert points == sorted(points)
    assert turns > (3 if bytes_max < 1000 else 0)


def test_a_dump_has_stubs_and_nothing_that_is_over(peer: Engine) -> None:
    peer.merge(pack(Record(0, b"stub", None, NOW << 16, 5, NOW - 5, NOW + 900)), NOW)
    peer.merge(pack(Record(0, b"over", b"v", NOW << 16, 5, NOW + 100)), NOW)
    [record] = unpack(peer.dump(0, 1 << 20, NOW + 200).payload)
    assert (record.key, record.named, record.value) == (stub_name(0, b"stub"), True, None)
    assert peer.fetch(0, b"stub", NOW + 200) == pack(replace(record, key=b"stub", named=False))
    assert peer.fetch(0, b"over", NOW + 200) == peer.fetch(0, b"never", NOW) == b""


def test_what_many_keys_hold_comes_in_order_and_in_pieces(peer: Engine) -> None:
    for name, size in ((b"a", 1), (b"b", FETCHED_PIECE_BYTES), (b"c", 2), (b"d", 3)):
        peer.merge(pack(Record(0, name, b"v" * size, NOW << 16, 5, NOW + 900)), NOW)
    a, b, c, d = (peer.fetch(0, name, NOW) for name in (b"a", b"b", b"c", b"d"))
    assert peer.fetch_all(0, pack_keys([b"a", b"none", b"b", b"d", b"c"]), NOW) == Fetched([a + b, d + c], False)
    for db, names, at_ms in ((0, [], NOW), (1, [b"a"], NOW), (0, [b"a"], NOW + 900)):
        assert peer.fetch_all(db, pack_keys(names), at_ms) == Fetched([], False)
    peer.merge(pack(Record(0, b"stub", None, NOW << 16, 5, NOW - 5, NOW + 900)), NOW)
    assert peer.fetch_all(0, pack_keys([b"stub"]), NOW + 200) == Fetched([peer.fetch(0, b"stub", NOW + 200)], False)
    for cut in range(1, len(pack_keys([b"ab"]))):
        with pytest.raises(ValueError, match="cut short"):
            peer.fetch_all(0, pack_keys([b"ab"])[:cut], NOW)


def test_strings_that_wait_for_peers_are_left_out_of_what_many_keys_hold(peer: Engine) -> None:
    peer.merge(pack(Record(0, b"merged", b"v", NOW << 16, 5, NOW + 900)), NOW)
    for name in (b"written", b"gone"):
        peer.store(0, name, b"v", NOW + 9_000, False, NOW, b"set")
    peer.let_go(0, b"gone", NOW, b"del")
    peer.found(0, b"set", SET, NOW + 9_000, False, NOW)
    peer.put_member(0, b"set", b"m", b"", None, NOW)
    names = pack_keys([b"written", b"merged", b"gone", b"none", b"set"])
    left = peer.fetch_all(0, names, NOW, waiting=False)
    keys = [record.key for piece in left.pieces for record in unpack(piece)]
    assert b"merged" in keys and b"set" in keys and b"written" not in keys and b"gone" not in keys and left.partial
    gone = [record for piece in peer.fetch_all(0, names, NOW).pieces for record in unpack(piece)]
    assert {b"written", b"merged", b"gone", b"set"} <= {record.key for record in gone}
    drained = {record.key for record in unpack(peer.drain(1 << 20))}
    assert {b"written", b"gone"} <= drained, "they are in what is drained next"
    assert peer.fetch_all(0, names, NOW, waiting=False) == peer.fetch_all(0, names, NOW)


def test_what_was_written_alone_does_not_wait_for_peers() -> None:
    for make in TRACKERS.values():
        peer = make()
        peer.store(0, b"k", b"v", NOW + 1000, False, NOW, b"set")
        assert peer.waiting_bytes() > 0
        peer.drain(1 << 20)
        assert peer.waiting_bytes() == 0


def test_a_stub_whose_deadline_is_beyond_the_limit_here_is_taken(peer: Engine) -> None:
    """What a collection's end leaves of a member keeps the deadline that it had elsewhere: it was refused for ever. A
    live value that would live so long is refused as ever, and cut by whoever asks for it.
    """
    peer.configure(SETTINGS._replace(max_ttl_ms=3_600_000, default_ttl_ms=60_000))
    day_ms, space = 86_400_000, 16
    stub = Record(space, member_key(b"hash", b"field"), None, NOW << 16, 5, NOW + day_ms)
    assert peer.merge(pack(stub), NOW).new == 1
    name = stub_name(space, stub.key)
    assert list(unpack(b"".join(peer.records(space)))) == [replace(stub, key=name, named=True)]
    for strange in (
        replace(stub, value=b"v", clock=stub.clock + 1),
        replace(stub, deadline_ms=NOW + 3_652 * day_ms, clock=stub.clock + 1),
    ):
        assert peer.merge(pack(strange), NOW).refused == 1
