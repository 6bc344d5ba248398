"""Assigns a record to a segment: the bucket of time with its end (the later of deadline and shadow).

A segment is destroyed when its bucket has passed, so a bucket's width is how long a file may outlive its data. Narrow
buckets for all of 31 days would be 40,000 files; so they widen with distance, as the slots of the timing wheel do: 65 s
wide up to about 2 h ahead, 70 min up to 6 days, 75 h beyond. As a wide bucket comes near, its records move to narrow
ones at the next writing. At most 128 buckets of each width but the last are ahead at any time.

Edges between widths are multiples of the wider one, so the narrow digests that an engine gives add up to wide ones.
"""

from collections.abc import Container, Iterable
from typing import NamedTuple

from respram.engine.replication import GRANULE_SHIFT, BucketDigest
from respram.record import ends

SHIFTS = (16, 22, 28)  # powers of two of milliseconds: 65.5 s, 70 min, 75 h
DIGEST_SHIFT = SHIFTS[0] - GRANULE_SHIFT  # width of the engine's digests, as a power of two granules

Edges = tuple[int, ...]


class Bucket(NamedTuple):
    shift: int
    number: int

    @property
    def start_ms(self) -> int:
        return self.number << self.shift

    @property
    def end_ms(self) -> int:
        """The end of a bucket: from this time on nothing in it is alive."""
        return (self.number + 1) << self.shift


class Sum(NamedTuple):
    """Count and sum of record ids: two that are equal hold the same versions."""

    records: int
    sum: int


def edges_at(now_ms: int) -> Edges:
    """The time at which each width but the last ends, in Unix milliseconds."""
    return tuple(((now_ms >> wider) + 2) << wider for wider in SHIFTS[1:])


def bucket_of(end_ms: int, edges: Edges) -> Bucket:
    for shift, edge_ms in zip(SHIFTS, edges, strict=False):
        if end_ms < edge_ms:
            return Bucket(shift, end_ms >> shift)
    return Bucket(SHIFTS[-1], end_ms >> SHIFTS[-1])


def folded(digests: Iterable[BucketDigest], edges: Edges) -> dict[Bucket, Sum]:
    """Digests of narrow buckets (DIGEST_SHIFT) as sums of the buckets that segments are made of."""
    sums: dict[Bucket, Sum] = {}
    for number, records, total in digests:
        bucket = bucket_of(number << SHIFTS[0], edges)
        before = sums.get(bucket, Sum(0, 0))
        sums[bucket] = Sum(before.records + records, (before.sum + total) & (1 << 64) - 1)
    return sums


def narrow_numbers(bucket: Bucket) -> range:
    """The numbers of the digest buckets of which a segment's bucket consists."""
    wider = bucket.shift - SHIFTS[0]
    return range(bucket.number << wider, (bucket.number + 1) << wider)


class Share(NamedTuple):
    """The records of a payload that belong to one bucket."""

    records: list[bytes]
    values_end_ms: list[int]  # of records whose value ends before the bucket: only their shadow remains


def scattered(payload: bytes, edges: Edges, wanted: Container[Bucket]) -> dict[Bucket, Share]:
    """Packed records by bucket, without those of unwanted buckets."""
    found: dict[Bucket, Share] = {}
    places: dict[int, Share | None] = {}  # by narrow number: a lookup instead of arithmetic for every record
    narrow = SHIFTS[0]
    for start, end, end_ms, value_ends_ms in ends(payload):
        number = end_ms >> narrow
        if number in places:
            share = places[number]
        else:
            bucket = bucket_of(end_ms, edges)
            share = places[number] = found.setdefault(bucket, Share([], [])) if bucket in wanted else None
        if share is not None:
            share.records.append(payload[start:end])
            if value_ends_ms:
                share.values_end_ms.append(value_ends_ms)
    return found
