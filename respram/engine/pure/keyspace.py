"""The record table of the pure engine: lookups, local writes, forgetting. The twin of native/keyspace.c.

One dict per database holds the rows; beside it lies an index of 4,096 hash partitions, which only
new and vanishing keys touch, so that SCAN has a cursor that survives every change between two calls.
A value is sealed in `sealed` on its way into `write`, and opened in `read`; nobody else touches one.
"""

from bisect import bisect_left

from respram.engine.api import EXPIRED, LATE_BOUNDS_MS, LATE_MS, NEW, Entry, Observer, Settings
from respram.engine.ids import PARTITION_SHIFT, point
from respram.engine.pure.digest import Digests
from respram.engine.pure.outbox import Outbox
from respram.engine.pure.record import Row
from respram.engine.pure.seal import Seals
from respram.engine.pure.wheel import Wheel
from respram.record import DATABASES, Record, Seal, pack, shadow_of
from respram.seal import Ring
from respram.stamp import advance

PARTITIONS = 4096
SEAL_BYTES = 96  # what a row's seal takes
ROW_BYTES = 320  # what a row, its dict, wheel and partition entries take besides key and value (measured)


class Keyspace:
    __slots__ = (
        "settings", "hot_reads", "tables", "partitions", "live", "wheel", "outbox", "observer", "clock",
        "late", "late_sum_ms", "wiped_bytes", "late_last_at_ms", "late_last_by_ms", "record_bytes", "writes", "expired", "stubs",
        "stub_key_bytes", "hits", "misses", "defaulted", "digests", "row_bytes",
        "seals", "in_use",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.hot_reads = True  # whether hot commands may answer where a miss is told or asked for
        self.tables: list[dict[bytes, Row]] = [{} for _ in range(DATABASES)]
        self.partitions: list[dict[int, dict[bytes, Row]]] = [{} for _ in range(DATABASES)]
        self.live = [0] * DATABASES  # rows with a value, past their deadline or not
        self.wheel = Wheel()
        self.outbox = Outbox(settings.outbox_bytes_max)
        self.observer: Observer | None = None
        self.clock = 0  # of the last stamp given here or merged
        self.record_bytes = 0
        self.writes = self.expired = self.stubs = self.stub_key_bytes = 0
        self.late = [0] * (len(LATE_BOUNDS_MS) + 1)
        self.late_sum_ms = self.wiped_bytes = self.late_last_at_ms = self.late_last_by_ms = 0
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
        self.put(db, key, *self.sealed(value), deadline_ms, implicit, now_ms, event)

    def sealed(self, value: bytes) -> tuple[bytes, Seal | None]:
        return self.seals.seal(value) if self.seals is not None and self.seals.writes else (value, None)

    def put(
        self, db: int, key: bytes, value: bytes, seal: Seal | None, deadline_ms: int, implicit: bool, now_ms: int, event: bytes
    ) -> None:  # fmt: skip
        """A local write of what is sealed already, where it is to be."""
        row = self.tables[db].get(key)
        is_new = row is None or row.value is None or row.deadline_ms <= now_ms
        shadow_ms = self._shadow_left(row, deadline_ms)
        self.clock = advance(self.clock, now_ms, 0 if row is None else row.clock)
        node = self.settings.node
        self.write(row, db, key, value, seal, self.clock, node, deadline_ms, shadow_ms, implicit, now_ms)
        self.writes += 1
        if self.outbox.bytes_max:
            self.outbox.add(db, key, len(key) + len(value))
        if self.observer is not None:
            if is_new:
                self.observer(NEW, db, key)
            self.observer(event, db, key)

    def _shadow_left(self, replaced: Row | None, deadline_ms: int) -> int:
        """The shadow rule for a local write. Where nobody else can hold the older value, no peer and no file, there is
        nothing to be remembered."""
        if replaced is None or (self.digests is None and not self.outbox.bytes_max):
            return 0
        return shadow_of(deadline_ms, 0, replaced.deadline_ms, replaced.shadow_ms)

    def _count_stub(self, row: Row, by: int) -> None:
        self.stubs += by
        self.stub_key_bytes += by * len(row.key)

    @property
    def stub_bytes(self) -> int:
        return self.stub_key_bytes + self.stubs * self.row_bytes

    def retime(self, db: int, key: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes) -> bool:
        row = self.row(db, key, now_ms)
        if row is None or row.value is None:
            return False
        self.put(db, key, row.value, row.seal, deadline_ms, implicit, now_ms, event)  # the seal says where it was made
        return True

    def let_go(self, db: int, key: bytes, now_ms: int, event: bytes) -> bool:
        row = self.row(db, key, now_ms)
        if row is None:
            return False
        shadow_ms = self._shadow_left(row, now_ms)
        self.clock = advance(self.clock, now_ms, row.clock)
        if shadow_ms:
            self.write(row, db, key, None, None, self.clock, self.settings.node, now_ms, shadow_ms, False, now_ms)
        else:
            self.wheel.remove(row)
            self.remove(row)
        self.writes += 1
        if self.outbox.bytes_max:
            self.outbox.add(db, key, len(key))
        if self.observer is not None:
            self.observer(event, db, key)
        return True

    def write(
        self, row: Row | None, db: int, key: bytes, value: bytes | None, seal: Seal | None, clock: int, node: int,
        deadline_ms: int, shadow_ms: int, implicit: bool, now_ms: int,
    ) -> None:  # fmt: skip
        """Makes `row` (or a new one) hold this version. Values and stubs both come through here."""
        if row is None:
            row = Row()
            row.db, row.key, row.value, row.seal = db, key, None, None
            self.tables[db][key] = row
            self.partitions[db].setdefault(self.partition(db, key), {})[key] = row
            self.record_bytes += self.row_bytes + len(key)
            self._count_stub(row, 1)
        else:
            self.wheel.remove(row)
            if self.digests is not None:
                self.digests.drop(row, clock)
        if row.value is None:
            self._count_stub(row, -1)
        else:
            self.record_bytes -= len(row.value)
            self.live[db] -= 1
        if value is None:
            self._count_stub(row, 1)
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

    def partition(self, db: int, key: bytes) -> int:
        """Peers must agree on it, so with digests it is the cluster's; alone, the process's own hash serves."""
        return (
            hash(key) % PARTITIONS if self.digests is None else point(self.digests.ids_key, db, key) >> PARTITION_SHIFT
        )

    def remove(self, row: Row) -> None:
        """Takes a row out of table, index and counts; the wheel has let go of it already."""
        del self.tables[row.db][row.key]
        number = self.partition(row.db, row.key)
        partition = self.partitions[row.db][number]
        del partition[row.key]
        if not partition:
            del self.partitions[row.db][number]
        if self.digests is not None:
            self.digests.drop(row, row.clock)
        self._note_seal(row, None)
        self.record_bytes -= self.row_bytes + len(row.key)
        if row.value is None:
            self._count_stub(row, -1)
        else:
            self.record_bytes -= len(row.value)
            self.live[row.db] -= 1

    # -- time -------------------------------------------------------------------------------------
    def expire(self, now_ms: int, budget: int) -> int:
        due = self.wheel.take_due(now_ms, budget)
        for row in due:
            if row.value is not None:
                self.expired += 1
                self._note_lateness(now_ms - row.deadline_ms, len(row.value), now_ms)
                if row.shadow_ms > now_ms:
                    self._become_stub(row, now_ms)
                else:
                    self.remove(row)
                if self.observer is not None:
                    self.observer(EXPIRED, row.db, row.key)
            else:
                self.remove(row)
        return len(due) + self.wheel.cascade(now_ms, budget - len(due))

    def _note_lateness(self, by_ms: int, value_bytes: int, now_ms: int) -> None:
        self.late[bisect_left(LATE_BOUNDS_MS, by_ms)] += 1
        self.late_sum_ms += by_ms
        self.wiped_bytes += value_bytes
        if by_ms > LATE_MS and (now_ms != self.late_last_at_ms or by_ms > self.late_last_by_ms):
            self.late_last_at_ms, self.late_last_by_ms = now_ms, by_ms

    def _become_stub(self, row: Row, now_ms: int) -> None:
        assert row.value is not None
        self.record_bytes -= len(row.value)
        self.live[row.db] -= 1
        self._count_stub(row, 1)
        row.value = None
        self._note_seal(row, None)
        self.wheel.place(row, row.shadow_ms, now_ms)

    def next_due_ms(self) -> int | None:
        return self.wheel.next_due_ms()

    def packed(self, row: Row) -> bytes:
        return pack(Record(
            row.db, row.key, row.value, row.clock, row.node, row.deadline_ms, row.shadow_ms, row.implicit, row.seal
        ))  # fmt: skip

    def drain(self, bytes_max: int) -> bytes:
        payload: list[bytes] = []
        size = 0
        while size < bytes_max and (oldest := self.outbox.take()) is not None:
            row = self.tables[oldest[0]].get(oldest[1])
            if row is not None:
                payload.append(self.packed(row))
                size += len(payload[-1])
        return b"".join(payload)

    # -- numbers ----------------------------------------------------------------------------------
    def used_bytes(self) -> int:
        return self.record_bytes + self.outbox.used_bytes

    def full(self) -> bool:
        limit = self.settings.memory_bytes_max
        return limit > 0 and self.record_bytes + self.outbox.used_bytes > limit
