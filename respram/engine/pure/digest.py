"""The pure engine's digests: count and sum of record ids by granule of end, kept as records come and go.

Rows hang in granules (1,024 ms of their end), so that a digest of all is one number, a digest by buckets is a sum
over granules, and a filter walks rows soonest to end first. Rows written in the last 16 s are counted a second
time, by granule of their stamp, so that a cut can leave the young ones out without looking at any row.
What a young row replaced is taken off there, so that a cut before its stamp still has the version of then: else
nodes would differ by every overwrite that is on its way.
"""

from collections.abc import Iterator
from itertools import islice

from respram.engine.filters import RecordFilter
from respram.engine.ids import M64, identity, identity_by_name
from respram.engine.pure.record import Row
from respram.engine.replication import (
    DONE,
    GRANULE_SHIFT,
    PLACE_BITS,
    STAMP_GRANULE_SHIFT,
    YOUNG_GRANULES,
    BucketDigest,
    Cut,
    Digest,
    Selection,
)
from respram.record import MARKS

NOTHING_COUNTS = 1 << 62  # a stamp granule that no row has
ROW_BYTES = 170  # cost of a row: its id, its entry in a granule, its share of the counts


class Granule:
    __slots__ = ("rows", "sum")

    def __init__(self) -> None:
        self.rows: dict[Row, None] = {}
        self.sum = 0


class Digests:
    __slots__ = ("ids_key", "count", "sum", "granules", "lowest", "young", "young_from", "stamps")

    def __init__(self, ids_key: int) -> None:
        self.ids_key = ids_key
        self.count = 0
        self.sum = 0
        self.granules: dict[int, Granule] = {}
        self.lowest = 0  # no granule lies before it; undefined while there are none
        self.young: dict[int, dict[int, list[int]]] = {}  # stamp granule to end granule to count and sum
        self.young_from = 0  # older stamp granules are no longer counted separately
        self.stamps: dict[int, int] = {}  # rows by stamp granule

    def add(self, row: Row) -> None:
        if row.value is None and row.db < MARKS:
            row.id = identity_by_name(self.ids_key, row.key, row.clock, row.node, row.shadow_ms)
        else:
            row.id = identity(self.ids_key, row.db, row.key, row.clock, row.node, row.shadow_ms)
        end = max(row.deadline_ms, row.shadow_ms) >> GRANULE_SHIFT
        granule = self.granules.get(end)
        if granule is None:
            self.lowest = min(self.lowest, end) if self.granules else end
            granule = self.granules[end] = Granule()
        granule.rows[row] = None
        granule.sum += row.id
        self.count += 1
        self.sum += row.id
        stamp = row.clock >> STAMP_GRANULE_SHIFT
        self.stamps[stamp] = self.stamps.get(stamp, 0) + 1
        if stamp >= self.young_from:
            tally = self.young.setdefault(stamp, {}).setdefault(end, [0, 0])
            tally[0] += 1
            tally[1] += row.id

    def drop(self, row: Row, clock: int) -> None:
        """Removes a row before it changes. `clock` is that of its replacement, or its own if there is none.
        """
        end = max(row.deadline_ms, row.shadow_ms) >> GRANULE_SHIFT
        granule = self.granules[end]
        del granule.rows[row]
        granule.sum -= row.id
        if not granule.rows:
            del self.granules[end]
        self.count -= 1
        self.sum -= row.id
        stamp = row.clock >> STAMP_GRANULE_SHIFT
        self.stamps[stamp] -= 1
        if not self.stamps[stamp]:
            del self.stamps[stamp]
        gone = max(stamp, clock >> STAMP_GRANULE_SHIFT)  # a cut between the two still contains the row
        if gone >= self.young_from:
            tally = self.young.setdefault(gone, {}).setdefault(end, [0, 0])
            tally[0] -= 1
            tally[1] -= row.id

    # -- digests ----------------------------------------------------------------------------------
    def digest(self, cut: Cut, now_ms: int) -> Digest | None:
        if not self._age(cut, now_ms):
            return None
        count, total = self.count, self.sum
        for end in self._ending(cut.end):
            granule = self.granules[end]
            count -= len(granule.rows)
            total -= granule.sum
        for tallies in self._young_beyond(cut):
            for end, (young, young_sum) in tallies.items():
                if end > cut.end:
                    count -= young
                    total -= young_sum
        return Digest(count, total & M64)

    def bucket_digests(self, cut: Cut, shift: int, now_ms: int) -> list[BucketDigest]:
        if not self._age(cut, now_ms):
            return []
        sums: dict[int, list[int]] = {}
        for end, granule in self.granules.items():
            if end > cut.end:
                tally = sums.setdefault(end >> shift, [0, 0])
                tally[0] += len(granule.rows)
                tally[1] += granule.sum
        for tallies in self._young_beyond(cut):
            for end, (young, young_sum) in tallies.items():
                if end > cut.end:
                    tally = sums.setdefault(end >> shift, [0, 0])
                    tally[0] -= young
                    tally[1] -= young_sum
        return [BucketDigest(number, count, total & M64) for number, (count, total) in sorted(sums.items()) if count]

    def _age(self, cut: Cut, now_ms: int) -> bool:
        """Lets go of what is young no more; whether the cut can still be told."""
        young_from = (now_ms >> GRANULE_SHIFT) - YOUNG_GRANULES
        if young_from < self.young_from - YOUNG_GRANULES:
            self._recount(young_from)
        if young_from > self.young_from:
            for stamp in [stamp for stamp in self.young if stamp < young_from]:
                del self.young[stamp]
            self.young_from = young_from
        return cut.stamp >= self.young_from - 1

    def doubt(self) -> None:
        """What is young is counted anew when it is asked for next. A row that got a stamp ahead, and then a fresh one,
        has left what it replaced under the stamp ahead: digests would lack that until then, for a day perhaps.
        """
        self.young, self.young_from = {}, NOTHING_COUNTS

    def _recount(self, young_from: int) -> None:
        """The clock was set back: what had ceased to be young is so again. A walk over everything, once."""
        self.young, self.young_from = {}, young_from
        for end, granule in self.granules.items():
            for row in granule.rows:
                stamp = row.clock >> STAMP_GRANULE_SHIFT
                if stamp >= young_from:
                    tally = self.young.setdefault(stamp, {}).setdefault(end, [0, 0])
                    tally[0] += 1
                    tally[1] += row.id

    def _young_beyond(self, cut: Cut) -> Iterator[dict[int, list[int]]]:
        return (tallies for stamp, tallies in self.young.items() if stamp > cut.stamp)

    def _ending(self, last: int) -> Iterator[int]:
        """Granules up to `last`. The low mark moves up over the empty ones, so that each is passed once."""
        if not self.granules:
            return
        if last - self.lowest > len(self.granules):
            self.lowest = min(self.granules)
        while self.lowest <= last and self.lowest not in self.granules:
            self.lowest += 1
        yield from (end for end in range(self.lowest, last + 1) if end in self.granules)

    # -- selections -------------------------------------------------------------------------------
    def count_since(self, since: int) -> int:
        return sum(count for stamp, count in self.stamps.items() if stamp >= since)

    def walk(self, selection: Selection, cursor: int, budget: int) -> Iterator[tuple[int, list[Row]]]:
        """Rows of the selection's buckets, whenever written, by granule: the cursor of the first and the rows from
        there on.
        The last piece is empty, and its cursor says where to go on."""
        cut, shift, buckets, _ = selection
        begun, place = cursor >> PLACE_BITS, cursor & (1 << PLACE_BITS) - 1
        first = max(begun, cut.end + 1)
        ends = [end for end in self.granules if end >= first and (not buckets or end >> shift in buckets)]
        for end in sorted(ends):
            rows = self.granules[end].rows
            skipped = place if end == begun else 0
            at = end << PLACE_BITS | skipped
            if budget <= 0:
                yield at, []
                return
            if piece := list(islice(rows, skipped, skipped + budget)):
                yield at, piece
            if skipped + len(piece) < len(rows):
                yield at + len(piece), []
                return
            budget -= max(len(piece), 1)
        yield DONE, []

    def fill(self, bloom: RecordFilter, selection: Selection, cursor: int, budget: int) -> int:
        for next_cursor, rows in self.walk(selection, cursor, budget):
            cursor = next_cursor
            ids = [row.id for row in rows if belongs(row, selection)]
            room = bloom.capacity - bloom.count
            bloom.add_ids(ids[:room])
            if len(ids) > room:
                return DONE
        return cursor


def belongs(row: Row, selection: Selection) -> bool:
    return selection.since <= row.clock >> STAMP_GRANULE_SHIFT <= selection.cut.stamp
