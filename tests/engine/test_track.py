"""Digests begun late: the first peer comes to a node that has been alone, and has records."""

import random
from collections.abc import Callable

import pytest

from respram.engine.api import Engine
from respram.engine.filters import RecordFilter
from respram.engine.replication import Cut, Digest, Selection
from respram.record import Record, unpack

from .conftest import ENGINES
from .rig import NOW, SETTINGS

IDS_KEY = 99
WHOLE = Cut(stamp=(NOW >> 10) + 100_000, end=0)


@pytest.fixture(params=list(ENGINES))
def lone(request: pytest.FixtureRequest) -> Callable[[], Engine]:
    return lambda: ENGINES[request.param](SETTINGS)


def write(peer: Engine, seed: int, writes: int, at_ms: int = NOW) -> int:
    """Some of everything: databases, sizes, shadows, stubs, and a table that grows. The time afterwards."""
    rng = random.Random(seed)
    for number in range(writes):
        db, key = rng.choice((0, 0, 3)), b"key:%d" % rng.randrange(writes)
        deadline_ms = at_ms + rng.choice((5, 40_000, 90_000))
        peer.store(db, key, bytes(rng.randrange(200)), deadline_ms, False, at_ms, b"set")
        at_ms += number % 3
        peer.expire(at_ms, 1000)
    return at_ms


def dump(peer: Engine, now_ms: int) -> set[Record]:
    records: set[Record] = set()
    at = 0
    while at < 1 << 32:
        found = peer.dump(at, 10_000, now_ms)
        records.update(unpack(found.payload))
        at = found.cursor
    return records


@pytest.mark.parametrize("writes", [0, 1, 700, 5000])
def test_who_begins_late_is_the_same_as_who_began_early(lone: Callable[[], Engine], writes: int) -> None:
    early, late = lone(), lone()
    early.track(IDS_KEY)
    for peer in (early, late):
        now_ms = write(peer, writes, writes)
    before = {db: sorted(late.records(db)) for db in (0, 3)}
    late.track(IDS_KEY, now_ms)
    assert {db: sorted(late.records(db)) for db in (0, 3)} == before
    for _ in range(2):
        assert late.digest(WHOLE, now_ms) == early.digest(WHOLE, now_ms)
        assert late.bucket_digests(WHOLE, 0, now_ms) == early.bucket_digests(WHOLE, 0, now_ms)
        assert late.used_bytes() == pytest.approx(early.used_bytes(), rel=0.1)
        assert dump(late, now_ms) == dump(early, now_ms)
        empty = RecordFilter(10, 1)
        everything = Selection(WHOLE, 0, frozenset(), 0)
        lacking = [peer.lacking(empty, everything, 0, 1 << 30, 1 << 30).payload for peer in (early, late)]
        assert len(lacking[0]) == len(lacking[1])
        begun_ms = now_ms + 1000
        for peer in (early, late):  # and goes on as it: overwrites, ends
            now_ms = write(peer, 5, 900, begun_ms)
    end_ms = now_ms + 200_000
    while late.expire(end_ms, 10_000):
        pass
    assert not late.records(0) and not late.count(0, end_ms)
    digest = late.digest(Cut(stamp=(end_ms >> 10) + 1, end=0), end_ms)
    assert digest == Digest(0, 0)


def test_values_are_read_and_walks_go_on_behind_the_change(lone: Callable[[], Engine]) -> None:
    peer = lone()
    for number in range(3000):
        peer.store(0, b"%d" % number, b"value %d" % number, NOW + 50_000, True, NOW, b"set")
    first = peer.scan(0, 0, 100, NOW)
    peer.track(IDS_KEY, NOW)
    for number in range(3000):
        entry = peer.lookup(0, b"%d" % number, NOW)
        assert entry is not None and entry.value == b"value %d" % number and entry.implicit
    if peer.name == "native":
        seen, cursor = set(first.keys), first.cursor
        while cursor:
            part = peer.scan(0, cursor, 100, NOW)
            seen.update(part.keys)
            cursor = part.cursor
        assert len(seen) == 3000


def test_nobody_begins_twice(lone: Callable[[], Engine]) -> None:
    peer = lone()
    peer.track(IDS_KEY)
    with pytest.raises(AssertionError):
        peer.track(IDS_KEY)
