"""The methods of an engine for peers, besides `merge` and `drain`: digests, filters, dumps.

Both engines keep this contract, to the bit: nodes of different engines compare these numbers. Ids, points
and partitions are defined in ids.py, filter positions in filters.py.

**Granules.** Time is cut into granules of 1,024 ms (`GRANULE_SHIFT`). A record's *end* is max(deadline, shadow); its
end granule is `end >> 10`, its stamp granule `clock >> 26` (the milliseconds of its clock, `>> 10`). A stub counts like
any record: its end is its shadow, and its id does not change at its deadline.

**Cuts.** Two nodes can only compare sums over the same set, so whoever asks names the cut, and both compute with
it: a record belongs when its stamp granule is at most `cut.stamp` and its end granule is greater than `cut.end`. So
neither a skewed clock nor the time a message takes makes a difference where there is none. The asker chooses a
cut that leaves out records younger than 1 s and those that end within 2 s. Sums are of the versions of then: what
a record beyond the cut replaced counts as if it were still there, else every overwrite on its way would look like
a difference. (Filters and what they lack are of what is there now: they may say too little, never too much.)

Cost that is expected: `digest` is independent of the number of records; `bucket_digests` grows with the number of
granules; `fill` and `lacking` with the records they look at, and they stop after about `budget` of them.

**Cursors.** Any number of records may end in one granule, so a walk stops within it too: a cursor names the granule and
the engine's own place in it, and is good for the engine that gave it. A record that comes, goes or is overwritten
between two slices may shift others by a place, and one of these may then be passed over or met twice: who compares
again finds it.
"""

from typing import NamedTuple, Protocol

from respram.engine.filters import RecordFilter

GRANULE_SHIFT = 10
STAMP_GRANULE_SHIFT = 26
PLACE_BITS = 32  # a cursor is an end granule, and below it the place among its records
DONE = 1 << 62 + PLACE_BITS  # the cursor after the last granule
FETCHED_PIECE_BYTES = 256 << 10  # a piece ends after the record that reaches it
DEPARTED_MAX = 4096  # members of all collections that went last and are told of: 100 KB natively
YOUNG_GRANULES = 16  # stamp granules before now that a cut may name; an older cut cannot be computed


class Cut(NamedTuple):
    stamp: int  # the youngest stamp granule that counts
    end: int  # the last end granule that does not count


class Digest(NamedTuple):
    records: int
    sum: int  # of ids, mod 2**64


class BucketDigest(NamedTuple):
    number: int  # end granule >> shift
    records: int
    sum: int


class Selection(NamedTuple):
    """Records within a cut: of some buckets, written in or after a stamp granule."""

    cut: Cut
    shift: int  # 0..22: a bucket covers 2**shift end granules
    buckets: frozenset[int]  # empty: all buckets
    since: int  # stamp granule; 0: all records


class Found(NamedTuple):
    payload: bytes  # packed records
    cursor: int  # where to continue; DONE when the selection is exhausted


class Fetched(NamedTuple):
    pieces: list[bytes]  # packed records, about FETCHED_PIECE_BYTES each
    partial: bool  # some records are missing: they belong to a collection, or were written in the meantime


class Replicating(Protocol):
    """An engine that replicates. `track` has to be called first."""

    slice_records: int  # records that `fill` or `lacking` visits in about 5 ms

    def track(self, ids_key: int, now_ms: int = 0) -> None:
        """Keeps digests from now on, under this 64-bit key. With records already there, which take half a second a
        million, `now_ms` is the time; a SCAN of the pure engine that is under way may then miss keys. MemoryError
        when there is not enough: no record is lost, and there are no digests. AssertionError: there are already."""

    def digest(self, cut: Cut, now_ms: int) -> Digest | None:
        """The digest over all databases. None: the cut lies more than YOUNG_GRANULES back, and nobody can tell any
        more."""

    def bucket_digests(self, cut: Cut, shift: int, now_ms: int) -> list[BucketDigest]:
        """The digests of the buckets that have records within the cut, by number. Empty for a cut that cannot be
        told."""

    def count_since(self, since: int) -> int:
        """How many records have a stamp granule of `since` or later, whatever their deadline."""

    def fill(self, bloom: RecordFilter, selection: Selection, cursor: int, budget: int) -> int:
        """Adds the ids of the selection to the filter, from `cursor` (0: all) on. The next cursor, or DONE.
        Beyond the filter's capacity nothing more is added and the answer is DONE."""

    def lacking(self, bloom: RecordFilter, selection: Selection, cursor: int, bytes_max: int, budget: int) -> Found:
        """Records of the selection that the filter has not, packed, soonest end granule first, from `cursor`
        (0: all) on. Stops at the first record beyond the budget of records or of bytes: one may pass `bytes_max`."""

    def dump(self, point: int, bytes_max: int, now_ms: int) -> Found:
        """Records and stubs with an end after now, packed, in order of their points, from `point` on. The cursor is
        the next point to ask for, 2**32 at the end; records of one point are never torn apart, so the answer may
        pass `bytes_max`. Any peer can go on where another stopped."""

    def fetch(self, db: int, key: bytes, now_ms: int) -> bytes:
        """The packed record or stub of a key; b"" where there is none."""

    def fetch_all(self, db: int, keys: bytes, now_ms: int, waiting: bool = True) -> Fetched:
        """The packed records or stubs of packed keys (slots.py), in order. `waiting` False: without strings that
        `drain` has still to return.
        """

    def departed(self, db: int, key: bytes, since: int, now_ms: int) -> Found:
        """The packed stubs of members of a collection that were let go of, or ended before their time, among the last
        DEPARTED_MAX of all keys: `fetch` says who is there, and not who went. By their names, the latest first, at most
        58 bytes each. Those that are overdue end now, as far as `settle` goes. `since`: the cursor of an earlier
        answer, whose stubs are left out; 0: all. None are noted before `track`.
        """

    def restamp(self, now_ms: int) -> int:
        """After the clock was set back, once peers agree with it: records with a clock beyond from_ms(now +
        clock_offset_ms_max), which every peer refuses, get fresh stamps of this node from there on (+1, +2, ... in the
        order of their old stamps), deadlines cut to now + max TTL, and enter the outbox; the engine's clock
        follows. How many there were; usually 0, and then it costs one comparison. (The comparison allows one
        millisecond more, so that the fresh stamps are not given anew themselves.)"""

    def last_clock(self) -> int:
        """The clock of the last stamp that was given here or merged. The next stamp's clock is later."""

    def waiting_bytes(self) -> int:
        """About how many bytes `drain` would return; 0 if there are none."""
