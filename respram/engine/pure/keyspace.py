"""The record table of the pure engine: lookups, local writes, merging, forgetting, walking.

One dict per database holds the rows; beside it lies an index of 4,096 hash partitions, which only
new and vanishing keys touch, so that SCAN has a cursor that survives every change between two calls.
A value is sealed in `_sealed` on its way into `_write`, and opened in `read`; nobody else touches one.
"""

from respram.engine.api import EXPIRED, MERGED, NEW, Entry, Merged, Observer, Scan, Settings
from respram.engine.filters import RecordFilter
from respram.engine.ids import PARTITION_SHIFT, POINTS, point
from respram.engine.pure.digests import ROW_BYTES as DIGEST_BYTES
from respram.engine.pure.digests import Digests, belongs
from respram.engine.pure.outbox import Outbox
from respram.engine.pure.row import Row
from respram.engine.pure.seals import Seals
from respram.engine.pure.wheel import Wheel
from respram.engine.replication import Found, Selection
from respram.errors import PeerError
from respram.record import DATABASES, Record, Seal, pack, shadow_of, unpack
from respram.seal import Ring
from respram.stamp import advance, from_ms, to_ms

PARTITIONS = 4096
SEAL_BYTES = 96  # what a row's seal takes
ROW_BYTES = 320  # what a row, its dict, wheel and partition entries take besides key and value (measured)
TTL_SAMPLE = 64  # rows looked at for an average


class Keyspace:
    __slots__ = (
        "settings", "tables", "partitions", "live", "wheel", "outbox", "observer", "clock",
        "record_bytes", "writes", "expired", "stubs", "hits", "misses", "defaulted", "digests", "row_bytes",
        "seals", "in_use",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tables: list[dict[bytes, Row]] = [{} for _ in range(DATABASES)]
        self.partitions: list[dict[int, dict[bytes, Row]]] = [{} for _ in range(DATABASES)]
        self.live = [0] * DATABASES  # rows with a value, past their deadline or not
        self.wheel = Wheel()
        self.outbox = Outbox(settings.outbox_bytes_max)
        self.observer: Observer | None = None
        self.clock = 0  # of the last stamp given here or merged
        self.record_bytes = 0
        self.writes = self.expired = self.stubs = 0
        self.hits = self.misses = 0  # of reads by commands
        self.defaulted = 0  # writes of the fast paths that named no TTL
        self.digests: Digests | None = None  # kept where there may be peers
        self.row_bytes = ROW_BYTES
        self.seals: Seals | None = None
        self.in_use: dict[int, int] = {}  # rows by the key that their values are sealed with

    # -- reading ----------------------------------------------------------------------------------
    def row(self, db: int, key: bytes, now_ms: int) -> Row | None:
        """The live row of a key."""
        row = self.tables[db].get(key)
        if row is None or row.value is None or row.deadline_ms <= now_ms:
            return None
        return row

    def seen(self, db: int, key: bytes, now_ms: int) -> Row | None:
        """The same for a command that reads: counted as a hit or a miss."""
        row = self.row(db, key, now_ms)
        if row is None:
            self.misses += 1
        else:
            self.hits += 1
        return row

    def read(self, row: Row) -> bytes:
        assert row.value is not None
        if row.seal is None:
            return row.value
        assert self.seals is not None
        return self.seals.open(row.value, row.seal)

    def lookup(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        row = self.seen(db, key, now_ms)
        if row is None:
            return None
        value = self.read(row)
        return Entry(value, len(value), row.deadline_ms, row.implicit, row.clock, row.node)

    def peek(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        row = self.seen(db, key, now_ms)
        if row is None or row.value is None:
            return None
        return Entry(b"", len(row.value), row.deadline_ms, row.implicit, row.clock, row.node)

    # -- local writes -----------------------------------------------------------------------------
    def store(
        self, db: int, key: bytes, value: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes
    ) -> None:
        self._put(db, key, *self._sealed(value), deadline_ms, implicit, now_ms, event)

    def _sealed(self, value: bytes) -> tuple[bytes, Seal | None]:
        return self.seals.seal(value) if self.seals is not None and self.seals.writes else (value, None)

    def _put(
        self, db: int, key: bytes, value: bytes, seal: Seal | None, deadline_ms: int, implicit: bool, now_ms: int, event: bytes
    ) -> None:  # fmt: skip
        """A local write of what is sealed already, where it is to be."""
        row = self.tables[db].get(key)
        is_new = row is None or row.value is None or row.deadline_ms <= now_ms
        shadow_ms = 0 if row is None else shadow_of(deadline_ms, 0, row.deadline_ms, row.shadow_ms)
        self.clock = advance(self.clock, now_ms, 0 if row is None else row.clock)
        node = self.settings.node
        self._write(row, db, key, value, seal, self.clock, node, deadline_ms, shadow_ms, implicit, now_ms)
        self.writes += 1
        if self.outbox.bytes_max:
            self.outbox.add(db, key, len(key) + len(value))
        if self.observer is not None:
            if is_new:
                self.observer(NEW, db, key)
            self.observer(event, db, key)

    def retime(self, db: int, key: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes) -> bool:
        row = self.row(db, key, now_ms)
        if row is None or row.value is None:
            return False
        self._put(db, key, row.value, row.seal, deadline_ms, implicit, now_ms, event)  # the seal says where it was made
        return True

    def let_go(self, db: int, key: bytes, now_ms: int, event: bytes) -> bool:
        row = self.row(db, key, now_ms)
        if row is None:
            return False
        shadow_ms = shadow_of(now_ms, 0, row.deadline_ms, row.shadow_ms)
        self.clock = advance(self.clock, now_ms, row.clock)
        self._write(row, db, key, None, None, self.clock, self.settings.node, now_ms, shadow_ms, False, now_ms)
        self.writes += 1
        if self.outbox.bytes_max:
            self.outbox.add(db, key, len(key))
        if self.observer is not None:
            self.observer(event, db, key)
        return True

    def _write(
        self, row: Row | None, db: int, key: bytes, value: bytes | None, seal: Seal | None, clock: int, node: int,
        deadline_ms: int, shadow_ms: int, implicit: bool, now_ms: int,
    ) -> None:  # fmt: skip
        """Makes `row` (or a new one) hold this version. Values and stubs both come through here."""
        if row is None:
            row = Row()
            row.db, row.key, row.value, row.seal = db, key, None, None
            self.tables[db][key] = row
            self.partitions[db].setdefault(self._partition(db, key), {})[key] = row
            self.record_bytes += self.row_bytes + len(key)
            self.stubs += 1
        else:
            self.wheel.remove(row)
            if self.digests is not None:
                self.digests.drop(row, clock)
        if row.value is None:
            self.stubs -= 1
        else:
            self.record_bytes -= len(row.value)
            self.live[db] -= 1
        if value is None:
            self.stubs += 1
        else:
            self.record_bytes += len(value)
            self.live[db] += 1
        self._note_seal(row, seal)
        row.value, row.clock, row.node = value, clock, node
        row.deadline_ms, row.shadow_ms, row.implicit = deadline_ms, shadow_ms, implicit
        self.wheel.place(row, deadline_ms if value is not None else shadow_ms, now_ms)
        if self.digests is not None:
            self.digests.add(row)

    def _note_seal(self, row: Row, seal: Seal | None) -> None:
        """Keys that rows need are counted, so that the others can be forgotten."""
        before = row.seal
        row.seal = seal
        if seal is not None:
            self.in_use[seal.key] = self.in_use.get(seal.key, 0) + 1
        if before is not None:
            self.in_use[before.key] -= 1
            if not self.in_use[before.key]:
                del self.in_use[before.key]

    def use_seals(self, ring: Ring, writes: bool) -> None:
        assert not any(self.tables), "sealing is begun before the first record"
        self.seals = Seals(ring, self.settings.node, writes)
        self.row_bytes += SEAL_BYTES

    def seal_keys(self) -> set[int]:
        pad_key = self.seals.pad_key if self.seals is not None else None
        return {*self.in_use, *([pad_key.id] if pad_key is not None else [])}

    def _partition(self, db: int, key: bytes) -> int:
        """Peers must agree on it, so with digests it is the cluster's; alone, the process's own hash serves."""
        return (
            hash(key) % PARTITIONS if self.digests is None else point(self.digests.ids_key, db, key) >> PARTITION_SHIFT
        )

    def _remove(self, row: Row) -> None:
        """Takes a row out of table, index and counts; the wheel has let go of it already."""
        del self.tables[row.db][row.key]
        number = self._partition(row.db, row.key)
        partition = self.partitions[row.db][number]
        del partition[row.key]
        if not partition:
            del self.partitions[row.db][number]
        if self.digests is not None:
            self.digests.drop(row, row.clock)
        self._note_seal(row, None)
        self.record_bytes -= self.row_bytes + len(row.key)
        if row.value is None:
            self.stubs -= 1
        else:
            self.record_bytes -= len(row.value)
            self.live[row.db] -= 1

    # -- time -------------------------------------------------------------------------------------
    def expire(self, now_ms: int, budget: int) -> int:
        due = self.wheel.take_due(now_ms, budget)
        for row in due:
            if row.value is not None:
                self.expired += 1
                if row.shadow_ms > now_ms:
                    self._become_stub(row, now_ms)
                else:
                    self._remove(row)
                if self.observer is not None:
                    self.observer(EXPIRED, row.db, row.key)
            else:
                self._remove(row)
        return len(due) + self.wheel.cascade(now_ms, budget - len(due))

    def _become_stub(self, row: Row, now_ms: int) -> None:
        assert row.value is not None
        self.record_bytes -= len(row.value)
        self.live[row.db] -= 1
        self.stubs += 1
        row.value = None
        self._note_seal(row, None)
        self.wheel.place(row, row.shadow_ms, now_ms)

    def next_due_ms(self) -> int | None:
        return self.wheel.next_due_ms()

    # -- walking and counting ---------------------------------------------------------------------
    def count(self, db: int, now_ms: int) -> int:
        overdue = self.wheel.overdue(now_ms)
        return self.live[db] - sum(
            row.db == db and row.value is not None and row.deadline_ms <= now_ms for row in overdue
        )

    def scan(self, db: int, cursor: int, count: int, now_ms: int) -> Scan:
        """The cursor is the number of the next partition; 0 once all have been seen."""
        keys: list[bytes] = []
        partitions = self.partitions[db]
        for number in range(cursor, PARTITIONS):
            for key, row in partitions.get(number, {}).items():
                if row.value is not None and row.deadline_ms > now_ms:
                    keys.append(key)
            if len(keys) >= count:
                return Scan((number + 1) % PARTITIONS, keys)
        return Scan(0, keys)

    def sample(self, db: int, draw: int, now_ms: int) -> bytes | None:
        """From a random partition on, the first that has a live key; then one of its keys."""
        partitions = self.partitions[db]
        if not self.live[db]:
            return None
        for step in range(PARTITIONS):
            rows = partitions.get((draw + step) % PARTITIONS, {})
            keys = [key for key, row in rows.items() if row.value is not None and row.deadline_ms > now_ms]
            if keys:
                return keys[(draw >> 32) % len(keys)]
        return None

    def ttl_average_ms(self, db: int, now_ms: int) -> int:
        rows: list[Row] = []
        for partition in self.partitions[db].values():
            rows += partition.values()
            if len(rows) >= TTL_SAMPLE:
                break
        left = [row.deadline_ms - now_ms for row in rows if row.value is not None and row.deadline_ms > now_ms]
        return sum(left) // len(left) if left else 0

    # -- replication ------------------------------------------------------------------------------
    def merge(self, payload: bytes, now_ms: int) -> Merged:
        new = known = refused = strange = 0
        try:
            for record in unpack(payload):
                if not self._acceptable(record, now_ms):
                    refused += 1
                elif record.seal is not None and not self._opens(record.seal):
                    strange += 1
                elif self._merge(record, now_ms):
                    new += 1
                else:
                    known += 1
        except PeerError:
            return Merged(new, known, refused + strange, 1, strange)
        return Merged(new, known, refused + strange, 0, strange)

    def _opens(self, seal: Seal) -> bool:
        return self.seals is not None and self.seals.ring.find(seal.key) is not None

    def _acceptable(self, record: Record, now_ms: int) -> bool:
        settings = self.settings
        horizon_ms = now_ms + settings.max_ttl_ms + settings.clock_offset_ms_max
        size = len(record.key) + len(record.value or b"")
        return (
            to_ms(record.clock) <= now_ms + settings.clock_offset_ms_max
            and record.deadline_ms <= horizon_ms
            and record.shadow_ms <= horizon_ms
            and size <= settings.bulk_bytes_max
            and (record.key in self.tables[record.db] or not self.full())
        )

    def _merge(self, record: Record, now_ms: int) -> bool:
        """One record under the merge rules; whether it became the newest version here."""
        row = self.tables[record.db].get(record.key)
        if row is None:
            if max(record.deadline_ms, record.shadow_ms) <= now_ms:
                return False
            shadow_ms = record.shadow_ms
        elif (row.clock, row.node) >= record.stamp:
            self._widen(row, record, now_ms)
            return False
        else:
            shadow_ms = shadow_of(record.deadline_ms, record.shadow_ms, row.deadline_ms, row.shadow_ms)
        self.clock = max(self.clock, record.clock)
        was_live = row is not None and row.value is not None and row.deadline_ms > now_ms
        value = record.value if record.deadline_ms > now_ms else None
        if value is None and shadow_ms <= now_ms:
            if row is not None:
                self.wheel.remove(row)
                self._remove(row)
        else:
            seal = record.seal if value is not None else None
            if value is not None and seal is None:
                value, seal = self._sealed(value)  # a peer that does not seal: what lies here is sealed all the same
            self._write(
                row, record.db, record.key, value, seal, record.clock, record.node, record.deadline_ms,
                shadow_ms, record.implicit, now_ms,
            )  # fmt: skip
        if self.observer is not None and (was_live or value is not None):
            if not was_live:
                self.observer(NEW, record.db, record.key)
            self.observer(EXPIRED if value is None else MERGED, record.db, record.key)
        return True

    def _widen(self, row: Row, older: Record, now_ms: int) -> None:
        """An older or equal version still tells how long the newer one must be remembered."""
        ends = 0 if (row.clock, row.node) == older.stamp else older.deadline_ms
        shadow_ms = shadow_of(row.deadline_ms, row.shadow_ms, ends, older.shadow_ms)
        if shadow_ms == row.shadow_ms:
            return
        if self.digests is not None:
            self.digests.drop(row, row.clock)
        row.shadow_ms = shadow_ms
        if self.digests is not None:
            self.digests.add(row)
        if row.value is None:
            self.wheel.remove(row)
            self.wheel.place(row, shadow_ms, now_ms)

    def drain(self, bytes_max: int) -> bytes:
        payload: list[bytes] = []
        size = 0
        while size < bytes_max and (oldest := self.outbox.take()) is not None:
            row = self.tables[oldest[0]].get(oldest[1])
            if row is not None:
                payload.append(self._packed(row))
                size += len(payload[-1])
        return b"".join(payload)

    def track(self, ids_key: int) -> None:
        assert self.digests is None, "digests are kept already"
        self.digests = Digests(ids_key)
        self.row_bytes += DIGEST_BYTES
        for table, partitions in zip(self.tables, self.partitions, strict=True):
            self.record_bytes += DIGEST_BYTES * len(table)
            partitions.clear()
            for key, row in table.items():
                partitions.setdefault(self._partition(row.db, key), {})[key] = row
                self.digests.add(row)

    def lacking(self, bloom: RecordFilter, selection: Selection, cursor: int, bytes_max: int, budget: int) -> Found:
        assert self.digests is not None
        payload: list[bytes] = []
        size = 0
        for at, rows in self.digests.walk(selection, cursor, budget):
            if rows and size >= bytes_max:
                break
            for place, row in enumerate(rows):
                if belongs(row, selection) and bloom.lacks(row.id):
                    if size >= bytes_max:
                        return Found(b"".join(payload), at + place)
                    payload.append(self._packed(row))
                    size += len(payload[-1])
        return Found(b"".join(payload), at)

    def dump(self, first: int, bytes_max: int, now_ms: int) -> Found:
        assert self.digests is not None
        ids_key = self.digests.ids_key
        payload: list[bytes] = []
        size, before = 0, -1
        numbers = {number for partitions in self.partitions for number in partitions if number >= first >> PARTITION_SHIFT}
        for number in sorted(numbers):
            rows = [row for partitions in self.partitions for row in partitions.get(number, {}).values()]
            placed = [(point(ids_key, row.db, row.key), row.id, row) for row in rows]
            for at, _, row in sorted(placed, key=lambda one: one[:2]):
                if at < first or max(row.deadline_ms, row.shadow_ms) <= now_ms:
                    continue
                if size >= bytes_max and at != before:
                    return Found(b"".join(payload), at)
                payload.append(self._packed(row))
                size += len(payload[-1])
                before = at
        return Found(b"".join(payload), POINTS)

    def restamp(self, now_ms: int) -> int:
        latest = from_ms(now_ms + self.settings.clock_offset_ms_max)
        if self.clock < latest + (1 << 16):
            return 0
        ahead = [row for table in self.tables for row in table.values() if row.clock > latest]
        self.clock, node = latest, self.settings.node
        horizon_ms = now_ms + self.settings.max_ttl_ms
        for row in sorted(ahead, key=lambda row: (row.clock, row.node, row.db, row.key)):
            self.clock += 1
            value = row.value
            deadline_ms, shadow_ms = min(row.deadline_ms, horizon_ms), min(row.shadow_ms, horizon_ms)
            self._write(row, row.db, row.key, value, row.seal, self.clock, node, deadline_ms, shadow_ms, row.implicit, now_ms)
            self.outbox.add(row.db, row.key, len(row.key) + len(value or b""))
        return len(ahead)

    def fetch(self, db: int, key: bytes, now_ms: int) -> bytes:
        row = self.tables[db].get(key)
        return b"" if row is None or max(row.deadline_ms, row.shadow_ms) <= now_ms else self._packed(row)

    def records(self, db: int) -> list[bytes]:
        return [self._packed(row) for row in self.tables[db].values()]

    def _packed(self, row: Row) -> bytes:
        return pack(Record(
            row.db, row.key, row.value, row.clock, row.node, row.deadline_ms, row.shadow_ms, row.implicit, row.seal
        ))  # fmt: skip

    # -- numbers ----------------------------------------------------------------------------------
    def used_bytes(self) -> int:
        return self.record_bytes + self.outbox.used_bytes

    def full(self) -> bool:
        limit = self.settings.memory_bytes_max
        return limit > 0 and self.record_bytes + self.outbox.used_bytes > limit
