"""Buckets of time: every record has one at any moment, digests add up to them, and few are ahead."""

from random import Random

import pytest

from respram.engine.pure import PureEngine
from respram.engine.replication import Cut
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS, settings
from respram.snapshot.buckets import (
    DIGEST_SHIFT,
    SHIFTS,
    Bucket,
    bucket_of,
    edges_at,
    folded,
    narrow_numbers,
    scattered,
)

DAY_MS = 86_400_000


def record(key: bytes, deadline_ms: int, value: bytes | None = b"v", shadow_ms: int = 0) -> Record:
    return Record(0, key, value, (EPOCH_MS - 60_000) << 16, 5, deadline_ms, shadow_ms)


def test_a_bucket_ends_after_its_records_and_near_ones_are_narrow() -> None:
    draw = Random(seed := Random().randrange(1 << 32))
    for _ in range(2_000):
        now_ms = EPOCH_MS + draw.randrange(400 * DAY_MS)
        ahead_ms = draw.randrange(1, draw.choice((60_000, 3_600_000, DAY_MS, 31 * DAY_MS, 3650 * DAY_MS)))
        bucket = bucket_of(now_ms + ahead_ms, edges_at(now_ms))
        assert 0 < bucket.end_ms - (now_ms + ahead_ms) <= 1 << bucket.shift, seed
        if ahead_ms < 1 << SHIFTS[1]:
            assert bucket.shift == SHIFTS[0], seed  # gone a good minute after its data, not an hour


def test_a_month_of_records_is_a_few_hundred_buckets() -> None:
    for now_ms in (EPOCH_MS, EPOCH_MS + 200_000_000):
        edges = edges_at(now_ms)
        assert len({bucket_of(end_ms, edges) for end_ms in range(now_ms, now_ms + 31 * DAY_MS, 30_000)}) <= 270


def test_as_time_passes_records_move_to_narrower_buckets_only() -> None:
    end_ms = EPOCH_MS + 20 * DAY_MS
    shifts = [bucket_of(end_ms, edges_at(now_ms)).shift for now_ms in range(EPOCH_MS, end_ms, 600_000)]
    assert shifts == sorted(shifts, reverse=True) and set(shifts) == set(SHIFTS)


def test_the_digests_of_an_engine_add_up_to_those_of_the_segments() -> None:
    engine = PureEngine(settings(7))
    engine.track(1)
    draw = Random(5)
    payload = b"".join(
        pack(record(b"k%d" % at, EPOCH_MS + draw.randrange(2_000, draw.choice((10_000_000, 20 * DAY_MS)))))
        for at in range(500)
    )
    engine.merge(payload, EPOCH_MS)
    edges = edges_at(EPOCH_MS)
    sums = folded(engine.bucket_digests(Cut((1 << 32) - 1, (EPOCH_MS >> 10) - 1), DIGEST_SHIFT, EPOCH_MS), edges)
    shares = scattered(payload, edges, sums)
    assert {bucket: one.records for bucket, one in sums.items()} == {
        bucket: len(one.records) for bucket, one in shares.items()
    }
    assert sum(one.records for one in sums.values()) == 500 and {bucket.shift for bucket in sums} == set(SHIFTS)
    assert sorted(b"".join(b"".join(one.records) for one in shares.values())) == sorted(payload)


def test_unwanted_buckets_are_left_out() -> None:
    edges = edges_at(EPOCH_MS)
    near, far = record(b"near", EPOCH_MS + 5_000), record(b"far", EPOCH_MS + DAY_MS)
    wanted = bucket_of(far.deadline_ms, edges)
    assert {bucket: one.records for bucket, one in scattered(pack(near) + pack(far), edges, {wanted}).items()} == {
        wanted: [pack(far)]
    }


def test_the_end_is_the_shadow_and_values_that_die_sooner_are_told() -> None:
    edges = edges_at(EPOCH_MS)
    shadowed = record(b"a", EPOCH_MS + 5_000, shadow_ms=EPOCH_MS + DAY_MS)
    stub = record(b"b", EPOCH_MS + 4_000, value=None, shadow_ms=EPOCH_MS + DAY_MS)
    ((bucket, share),) = scattered(pack(shadowed) + pack(stub), edges, {bucket_of(EPOCH_MS + DAY_MS, edges)}).items()
    assert bucket == bucket_of(EPOCH_MS + DAY_MS, edges) and share.values_end_ms == [EPOCH_MS + 5_000]
    assert share.records == [pack(shadowed), pack(stub)]


@pytest.mark.parametrize("shift", SHIFTS)
def test_narrow_numbers_are_those_of_the_same_time(shift: int) -> None:
    numbers = narrow_numbers(Bucket(shift, 9))
    assert (numbers.start << SHIFTS[0], numbers.stop << SHIFTS[0]) == (9 << shift, 10 << shift)
