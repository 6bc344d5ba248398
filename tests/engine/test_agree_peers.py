"""The two engines as peers see them: after any writes, merges and time the same ids, digests, filters and dumps, to the
bit.
"""

from functools import partial
from typing import cast

import pytest
from hypothesis import event
from hypothesis import strategies as st

from respram.engine import filters
from respram.engine.api import Engine
from respram.engine.ids import POINTS
from respram.engine.replication import DONE, Cut, Found, Selection
from respram.record import DATABASES, Record, pack, unpack
from tests import dear

from .conftest import ENGINES, PURE_ONLY
from .rig import NOW, SETTINGS

pytestmark = pytest.mark.skipif(PURE_ONLY, reason="there is one engine: nothing to compare")

IDS_KEY = 0xFEDCBA9876543210
DAY_MS = 86_400_000
# Around the eight bytes that a hash takes at once, and the one that the database takes of the first.
keys = st.one_of(st.binary(max_size=18), st.sampled_from([b"", b"k", b"1234567", b"12345678", b"a" * 255, b"b" * 300]))
lives = st.one_of(st.integers(1, 3_000), st.integers(1, 100_000), st.sampled_from([DAY_MS, 31 * DAY_MS]))
records = st.builds(
    Record,
    db=st.integers(0, DATABASES - 1),
    key=keys,
    value=st.one_of(st.none(), st.binary(max_size=60)),
    clock=st.integers(NOW - 40_000, NOW + 2_000).map(lambda ms: ms << 16),
    node=st.sampled_from([1, 2**63, 2**64 - 1]),
    deadline_ms=lives.map(lambda ms: NOW + ms),
    shadow_ms=st.sampled_from([0, 0, NOW + 900, NOW + 50_000, NOW + DAY_MS]),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.integers(0, 15), keys, lives),
        st.tuples(st.just("merge"), st.lists(records, max_size=20)),
        st.tuples(st.just("wait"), st.integers(0, 20_000)),
        # all that is due: which of it a small budget takes is an engine's own
        st.tuples(st.just("expire"), st.just(1_000)),
        st.tuples(st.just("back"), st.sampled_from([3_000, 40_000])),  # the clock is set back, and trusted again
    ),
    min_size=1,
    max_size=15,
)


def made() -> list[Engine]:
    engines = [partial(make, SETTINGS)() for make in ENGINES.values()]
    for engine in engines:
        engine.track(IDS_KEY)
    return engines


def take(engine: Engine, step: tuple[object, ...], now: int) -> object:
    match step:
        case "store", int(db), bytes(key), int(life_ms):
            engine.store(db, key, b"value", now + life_ms, False, now, b"set")
        case "merge", list(arrived):
            return engine.merge(b"".join(map(pack, arrived)), now)
        case "expire", int(budget):
            for _ in range(6):
                engine.expire(now, budget)
        case "back", _:
            return engine.restamp(now), engine.drain(1 << 30)
    return None


def filled(engine: Engine, selection: Selection, capacity: int) -> bytes:
    bloom, cursor = filters.RecordFilter(capacity, salt=len(selection.buckets) * 7919), 0
    while cursor != DONE:
        cursor = engine.fill(bloom, selection, cursor, 3)
    return bloom.to_bytes()


def lacked(engine: Engine, bloom: filters.RecordFilter, selection: Selection) -> list[Record]:
    """Soonest first; of those that end in one granule, in no order."""
    cursor, found = 0, []
    while cursor != DONE:
        payload, cursor = engine.lacking(bloom, selection, cursor, 1 << 30, 3)
        found += list(unpack(payload))
    ends = [max(one.deadline_ms, one.shadow_ms) >> 10 for one in found]
    assert ends == sorted(ends)
    return sorted(found, key=lambda one: (one.db, one.key))


def dumped(engine: Engine, bytes_max: int, now: int) -> list[Found]:
    pieces, cursor = [], 0
    while cursor < POINTS:
        pieces.append(engine.dump(cursor, bytes_max, now))
        cursor = pieces[-1].cursor
    return pieces


@dear.sampled(50, 150, steps, st.integers(-20, 2), st.integers(-2, 60), st.integers(0, 22), st.integers(1, 400))
def test_engines_compare_alike(
    plan: list[tuple[object, ...]], young: int, ahead: int, shift: int, bytes_max: int
) -> None:
    engines, now = made(), NOW
    for step in plan:
        if step[0] == "wait":
            now += cast(int, step[1])
        elif step[0] == "back":
            now -= cast(int, step[1])
        pure, native = (take(engine, step, now) for engine in engines)
        assert native == pure
        cut = Cut((now >> 10) + young, (now >> 10) + ahead)
        told, same = (engine.digest(cut, now) for engine in engines)
        assert same == told
    pure_buckets, buckets = (engine.bucket_digests(cut, shift, now) for engine in engines)
    assert buckets == pure_buckets
    event("some buckets" if buckets else "no bucket")
    for since in (0, (now >> 10) - 5):
        counts = [engine.count_since(since) for engine in engines]
        assert counts[0] == counts[1]
        for chosen in (frozenset[int](), frozenset(one.number for one in buckets[::2])):
            selection = Selection(cut, shift, chosen, since)
            sent, again = (filled(engine, selection, max(counts[0], 1)) for engine in engines)
            assert sent == again
            half = filters.RecordFilter(max(counts[0] // 2, 1), salt=5)
            engines[0].fill(half, selection, 0, 4)
            missing, same_missing = (lacked(engine, half, selection) for engine in engines)
            assert missing == same_missing
            event("something lacks" if missing else "nothing lacks")
    pieces, same_pieces = (dumped(engine, bytes_max, now) for engine in engines)
    assert pieces == same_pieces
    for record in unpack(b"".join(payload for payload, _ in pieces)):
        one, other = (engine.fetch(record.db, record.key, now) for engine in engines)
        assert one == other == (b"" if record.named else pack(record))  # whose key nobody knows, nobody can ask for
