"""The record table of the pure engine: lookups, local writes, forgetting. The twin of native/keyspace.c.

One dict per database holds the rows; beside it lies an index of 4,096 hash partitions, which only
new and vanishing keys touch, so that SCAN has a cursor that survives every change between two calls.
A value is sealed in `sealed` on its way into `write`, and opened in `read`; nobody else touches one.
"""

from bisect import bisect_left
from collections.abc import Callable
from weakref import WeakValueDictionary

from respram.engine.api import (
    ALLOWED_BYTES_LEAST,
    EXPIRED,
    LATE_BOUNDS_MS,
    LATE_MS,
    LOOK_BYTES,
    NEW,
    PASSED_BYTES,
    Entry,
    Observer,
    Session,
    Settings,
)
from respram.engine.ids import PARTITION_SHIFT, point
from respram.engine.pure import departed, effort, family, slices
from respram.engine.pure.digest import ROW_BYTES as DIGEST_BYTES
from respram.engine.pure.digest import Digests
from respram.engine.pure.draws import Draws
from respram.engine.pure.outbox import Outbox
from respram.engine.pure.record import Awaited, Families, Row
from respram.engine.pure.seal import Seals
from respram.engine.pure.wheel import Wheel
from respram.engine.replication import GRANULE_SHIFT
from respram.errors import AllowanceError
from respram.record import (
    DATABASES,
    MARKS,
    NAME_SPACE,
    SCRIPTS,
    SPACES,
    Record,
    Seal,
    has_value,
    is_member,
    pack,
    shadow_of,
    stub_name,
)
from respram.seal import Ring
from respram.stamp import advance, to_ms

PARTITIONS = 4096
SEAL_BYTES = 96  # overhead of a row's seal
STUB_BYTES = 400  # of a stub: its row, its name and all entries (measured)
ROW_BYTES = 320  # of a row: its entries in the dict, wheel and partition, without key and value (measured)


class Keyspace:
    __slots__ = (
        "settings", "hot_reads", "tables", "partitions", "live", "wheel", "outbox", "observer", "clock",
        "late", "late_sum_ms", "wiped_bytes", "late_last_at_ms", "late_last_by_ms", "record_bytes", "writes", "expired",
        "stubs", "named", "stub_rows", "stub_key_bytes", "hits", "misses", "defaulted", "digests", "row_bytes", "moved",
        "moved_max", "effort", "sweeps_left", "seals", "in_use", "families", "run_program", "publish", "draws",
        "counters_merged", "retime_counter", "awaited", "departed",
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.hot_reads = True  # False: reads of missing keys go through `dispatch`, which reports or requests them
        self.tables: list[dict[bytes, Row]] = [{} for _ in range(SPACES)]
        self.partitions: list[dict[int, dict[bytes, Row]]] = [{} for _ in range(SPACES)]
        # set by programs.py, which needs the fast paths too
        self.run_program: Callable[[Session, list[bytes], int], bytes | None]
        self.publish: Callable[[Session, list[bytes]], bytes | None]  # set by feed.py, as the one above
        self.live = [0] * SPACES  # rows with a value, past their deadline or not, by space
        self.wheel = Wheel()
        self.outbox = Outbox(settings.outbox_bytes_max)
        self.observer: Observer | None = None
        self.awaited: WeakValueDictionary[tuple[int, bytes], Awaited] = WeakValueDictionary()  # missing, and watched
        self.clock = 0  # of the latest stamp that was made or merged here
        self.record_bytes = 0
        # of keys and members, by their names; each has a row or a stub, never both
        self.stubs: dict[bytes, Row] = {}
        self.departed = departed.Departed()
        self.named: dict[bytes, Row] = {}  # rows with values by the names of their keys, if digests are stored
        self.stub_rows = self.stub_key_bytes = 0  # marks: ordinary rows
        self.writes = self.expired = 0
        self.late = [0] * (len(LATE_BOUNDS_MS) + 1)
        self.late_sum_ms = self.wiped_bytes = self.late_last_at_ms = self.late_last_by_ms = 0
        self.hits = self.misses = 0  # reads by commands that found a key, or did not
        self.defaulted = 0  # writes without a TTL on fast paths
        self.moved = 0  # bytes of values that were read and written
        self.effort = effort.Effort()  # for members of collections
        self.sweeps_left = 0  # of the payload that is merged
        self.moved_max: int | None = None  # at this many bytes, the running command has used its share
        self.digests: Digests | None = None  # set if there may be peers
        self.row_bytes = ROW_BYTES
        self.seals: Seals | None = None
        self.families = Families()
        self.draws = Draws(settings.seed)
        self.counters_merged = 0
        self.retime_counter: Callable[[Row, int, bool, int, bytes], None]  # set by shares.py, which imports this file
        self.in_use: dict[int, int] = {}  # rows by the key that seals their values

    # -- reading ----------------------------------------------------------------------------------
    def row(self, db: int, key: bytes, now_ms: int) -> Row | None:
        """The live row of a key."""
        row = self.tables[db].get(key)
        if row is None or row.value is None or row.deadline_ms <= now_ms:
            return None
        if row.kind and not family.settled(self, row, now_ms).count:
            return None  # without members the key does not exist
        return None if row.family is not None and family.is_dying(row) else row

    def shows(self, db: int, key: bytes, now_ms: int) -> bool:
        """Whether there is a live row, for observers: it ends nothing, and does not look through a crowd."""
        row = self.tables[db].get(key)
        if row is None or row.value is None or row.deadline_ms <= now_ms:
            return False
        return not (family.is_empty(self, row, now_ms) if row.kind else row.family is not None and family.is_dying(row))

    def found(self, db: int, key: bytes) -> Row | None:
        """The row of a key, its stub, or None."""
        row = self.tables[db].get(key)
        return self.stubs.get(stub_name(db, key)) if row is None and self.stubs and db < MARKS else row

    def head(self, db: int, key: bytes, now_ms: int) -> Row | None:
        """The head of a collection, with members or without."""
        row = self.tables[db].get(key)
        return None if row is None or row.value is None or row.deadline_ms <= now_ms or not row.kind else row

    def seen(self, db: int, key: bytes, now_ms: int) -> Row | None:
        """The live row, for a command that reads: counted as a hit or a miss."""
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

    def opened(self, row: Row) -> bytes:
        """The same for a command that works on it or answers with it: counted as moved."""
        value = self.read(row)
        self.moved += len(value)
        return value

    def lookup(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        row = self.seen(db, key, now_ms)
        if row is None or row.value is None:
            return None
        if self.moved_max is not None and self.moved + len(row.value) > self.moved_max:
            raise AllowanceError
        value = self.opened(row)
        return self._entry(row, value, len(value))

    def look(self, size: int = 0) -> None:
        """Charges a command for a look at a member with a value of this length."""
        if self.moved_max is not None and self.moved + size >= self.moved_max:
            raise AllowanceError
        self.moved += LOOK_BYTES + size

    def passed(self, records: int) -> None:
        """Counts records that a look at what is overdue passes: for the turn, and not for the command's own share."""
        self.moved += records * PASSED_BYTES
        if self.moved_max is not None:
            self.moved_max += records * PASSED_BYTES

    def allow(self, own_bytes: int) -> None:
        self.moved_max = self.moved + 2 * self.settings.bulk_bytes_max + ALLOWED_BYTES_LEAST + own_bytes
        self.effort.begin()

    def allow_at_most(self, size: int) -> bool:
        is_less = self.moved_max is not None and self.moved + size < self.moved_max
        if is_less:
            self.moved_max = self.moved + size
        return is_less

    def is_spent(self) -> bool:
        return self.effort.is_spent or (self.moved_max is not None and self.moved >= self.moved_max)

    def peek(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        row = self.seen(db, key, now_ms)
        if row is None or row.value is None:
            return None
        return self._entry(row, b"", len(row.value))

    def _entry(self, row: Row, value: bytes, length: int) -> Entry:
        if not row.kind:
            return Entry(
                value, length, row.deadline_ms, row.implicit, row.clock, row.node, shares_bytes=len(row.shares)
            )
        its = family.family_of(self, row)
        return Entry(b"", its.count, row.deadline_ms, row.implicit, row.clock, row.node, row.kind, its.version)

    # -- local writes -----------------------------------------------------------------------------
    def store(
        self, db: int, key: bytes, value: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes
    ) -> None:
        self.moved += len(value)
        self.put(db, key, *self.sealed(db, value), deadline_ms, implicit, now_ms, event)

    def sealed(self, space: int, value: bytes) -> tuple[bytes, Seal | None]:
        if not has_value(space):
            return b"", None
        return self.seals.seal(value) if self.seals is not None and self.seals.writes else (value, None)

    def put(
        self, db: int, key: bytes, value: bytes, seal: Seal | None, deadline_ms: int, implicit: bool, now_ms: int,
        event: bytes,
        kind: int = 0, shares: bytes = b"",
    ) -> None:  # fmt: skip
        """A local write of a value that is sealed, if values are. Without an event the observer is not told."""
        row = self.found(db, key)
        is_new = self.looks and not self.shows(db, key, now_ms)
        shadow_ms = self._shadow_left(row, deadline_ms, kind)
        self.clock = advance(self.clock, now_ms, 0 if row is None else row.clock)
        node = self.settings.node
        self.write(
            row, db, key, value, seal, self.clock, node, deadline_ms, shadow_ms, implicit, now_ms, kind, shares
        )
        self.writes += 1
        if self.outbox.bytes_max:
            self.outbox.add(db, key, len(key) + len(value) + len(shares))
        if is_new and db < DATABASES:
            self.came(db, key)
        if event and self.observer is not None and db < DATABASES:
            self.observer(event, db, key)

    @property
    def looks(self) -> bool:
        """Whether somebody is told when a key comes."""
        return self.observer is not None or len(self.awaited) > 0

    def came(self, db: int, key: bytes) -> None:
        awaited = self.awaited.get((db, key))
        if awaited is not None:
            awaited.comings += 1
        if self.observer is not None:
            self.observer(NEW, db, key)

    @property
    def converges(self) -> bool:
        """Whether counters keep their shares: where there may be peers, and no majority decides."""
        return self.settings.counters and self.digests is not None

    def cover(self, head: Row, until_ms: int, now_ms: int) -> None:
        """Prolongs the shadow of a head, because one of its members ends later than the head."""
        self.clock = advance(self.clock, now_ms, head.clock)
        self.write(
            head, head.db, head.key, b"", None, self.clock, self.settings.node, head.deadline_ms, until_ms,
            head.implicit, now_ms, head.kind,
        )  # fmt: skip
        if self.outbox.bytes_max:
            self.outbox.add(head.db, head.key, len(head.key))

    def mark(
        self, db: int, key: bytes, clock: int, node: int, until_ms: int, now_ms: int, ended_ms: int = 0
    ) -> None:  # fmt: skip
        """Members of a key up to this clock are cleared, on all nodes, for as long as one of them could be alive.
        `ended_ms`: not because of a write, but because a head of that millisecond has ended (decision 0211); a mark
        keeps it as its deadline.
        """
        if not self.remembers:
            family.marked(self, db, key, clock)
            return
        row = self.tables[MARKS + db].get(key)
        if row is not None and (row.clock, row.node) >= (clock, node):
            if until_ms <= row.shadow_ms:
                return
            clock, node, ended_ms = row.clock, row.node, row.deadline_ms
        shadow_ms = until_ms if row is None else max(until_ms, row.shadow_ms)
        self.clock = max(self.clock, clock)
        self.write(row, MARKS + db, key, None, None, clock, node, ended_ms, shadow_ms, False, now_ms)
        if self.outbox.bytes_max:
            self.outbox.add(MARKS + db, key, len(key))

    @property
    def remembers(self) -> bool:
        """Whether somebody else can hold an older value: a peer or a file. If not, nothing is left of it."""
        return self.digests is not None or self.outbox.bytes_max > 0

    def _shadow_left(self, replaced: Row | None, deadline_ms: int, kind: int) -> int:
        """The shadow rule for a local write. A head always has its shadow: its members may live for longer than it, and
        go with it.
        """
        if replaced is None or not (self.remembers or kind):
            return 0
        return shadow_of(deadline_ms, 0, replaced.deadline_ms, replaced.shadow_ms)

    def _count_stub(self, row: Row, by: int) -> None:
        self.stub_rows += by
        self.stub_key_bytes += by * len(row.key)

    @property
    def stub_bytes(self) -> int:
        return self.stub_key_bytes + self.stub_rows * self.row_bytes + self._named_bytes()

    def _named_bytes(self) -> int:
        return len(self.stubs) * (STUB_BYTES + (0 if self.digests is None else DIGEST_BYTES))

    def retime(self, db: int, key: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes) -> bool:
        row = self.row(db, key, now_ms)
        if row is None or row.value is None:
            return False
        before_ms = row.deadline_ms
        if row.shares and self.converges:
            self.retime_counter(row, deadline_ms, implicit, now_ms, event)
            return True
        self.moved += len(row.value)
        # the seal holds the sealing node
        self.put(db, key, row.value, row.seal, deadline_ms, implicit, now_ms, event, row.kind)
        if row.kind and deadline_ms > before_ms:
            slices.lengthen(self, row, now_ms)
        return True

    def let_go(self, db: int, key: bytes, now_ms: int, event: bytes) -> bool:
        row = self.row(db, key, now_ms)
        if row is None:
            return False
        shadow_ms = self._shadow_left(row, now_ms, 0)
        self.clock = advance(self.clock, now_ms, row.clock)
        if not shadow_ms:
            self.wheel.remove(row)
            self.remove(row, self.clock)
        elif db < MARKS:
            stub = self.bury(row, stub_name(db, key), self.clock, self.settings.node, 0, shadow_ms, now_ms)
            departed.note(self, db, key, stub)
        else:
            self.write(row, db, key, None, None, self.clock, self.settings.node, now_ms, shadow_ms, False, now_ms)
        self.writes += 1
        if self.outbox.bytes_max:
            self.outbox.add(db, key, len(key))
        if self.observer is not None and event:
            self.observer(event, db, key)
        return True

    def write(
        self, row: Row | None, db: int, key: bytes, value: bytes | None, seal: Seal | None, clock: int, node: int,
        deadline_ms: int, shadow_ms: int, implicit: bool, now_ms: int, kind: int = 0, shares: bytes = b"",
    ) -> None:  # fmt: skip
        """Makes `row` (or a new one; a stub's place is taken by a new one) hold this version. Values come through here,
        and marks.
        """
        assert value is not None or db >= MARKS
        stays = False
        if db < DATABASES and (kind or (row is not None and row.kind)):
            stays = family.before_head(self, row, db, key, kind, clock, node, now_ms)
        elif row is not None and row.family is not None:
            stays = value is not None and not family.is_dying(row)
            (family.leave if stays else family.unlink)(self, row)
        if row is not None and row.value is None and db < MARKS:
            self.wheel.remove(row)
            self.remove(row, successor=clock)
            row = None
        if row is None:
            row = Row()
            row.db, row.key, row.value, row.seal, row.kind, row.family = db, key, None, None, 0, None
            row.shares = b""
            self.tables[db][key] = row
            self.partitions[db].setdefault(self.partition(db, key), {})[key] = row
            if self.digests is not None and db < MARKS:
                self.named[stub_name(db, key)] = row
            self.record_bytes += self.row_bytes + len(key)
            self._count_stub(row, 1)
        else:
            self.wheel.remove(row)
            if self.digests is not None:
                self.digests.drop(row, clock)
        if row.value is None:
            self._count_stub(row, -1)
        else:
            self.record_bytes -= len(row.value) + len(row.shares)
            self.live[db] -= 1
        if value is None:
            self._count_stub(row, 1)
        else:
            self.record_bytes += len(value) + len(shares)
            self.live[db] += 1
        self._note_seal(row, seal)
        row.value, row.clock, row.node, row.kind, row.shares = value, clock, node, kind, shares
        row.deadline_ms, row.shadow_ms, row.implicit = deadline_ms, shadow_ms, implicit
        self.wheel.place(row, deadline_ms if value is not None else max(deadline_ms, shadow_ms), now_ms)
        if self.digests is not None:
            self.digests.add(row)
        if db < DATABASES:
            if kind and not stays:
                family.head_comes(self, row)
        elif MARKS <= db < SCRIPTS:
            family.marked(self, db - MARKS, key, clock)
        elif value is not None and is_member(db):
            (family.enter if stays else family.link)(self, row)

    # -- stubs: the twin of native/stubs.c ----------------------------------------------------------
    def bury(
        self, row: Row | None, name: bytes, clock: int, node: int, deadline_ms: int, shadow_ms: int, now_ms: int
    ) -> Row:
        """A stub takes the place of what there is of a key or a member: a row, another stub, or nothing. They are
        forgotten by the granule of their end, once that has passed whole. That end is the shadow; where there is none,
        the deadline of a member."""
        if row is not None:
            if row.kind:
                family.before_head(self, row, row.db, row.key, 0, clock, node, now_ms)
                row.kind = 0
            self.wheel.remove(row)
            self.remove(row, successor=clock)
        stub = Row()
        stub.db, stub.key, stub.value, stub.seal = name[-1] & NAME_SPACE, name, None, None
        stub.clock, stub.node = clock, node
        stub.deadline_ms, stub.shadow_ms = 0 if shadow_ms else deadline_ms, shadow_ms
        stub.implicit, stub.kind, stub.family, stub.shares = False, 0, None, b""
        self.stubs[name] = stub
        self.wheel.place(stub, max(stub.deadline_ms, shadow_ms) | (1 << GRANULE_SHIFT) - 1, now_ms)
        if self.digests is not None:
            self.digests.add(stub)
        return stub

    def _note_seal(self, row: Row, seal: Seal | None) -> None:
        """Counts the rows that need a seal key, so that unneeded keys can be wiped."""
        before = row.seal
        row.seal = seal
        if seal is not None:
            self.in_use[seal.key] = self.in_use.get(seal.key, 0) + 1
        if before is not None:
            self.in_use[before.key] -= 1
            if not self.in_use[before.key]:
                del self.in_use[before.key]

    def use_seals(self, ring: Ring, writes: bool) -> None:
        assert not any(self.tables) and not self.stubs, "sealing is begun before the first record"
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

    def remove(self, row: Row, cleared: int = 0, successor: int = 0) -> None:
        """Takes a row or a stub out of table, index and counts; the wheel has let go of it already. With a head goes
        what is as old as the clock `cleared`. `successor`: the clock of what takes its place.
        """
        if row.value is None and row.db < MARKS:
            if self.digests is not None:
                self.digests.drop(row, max(successor, row.clock))
            del self.stubs[row.key]
            return
        if row.kind:
            family.head_goes(self, row, cleared)
        elif row.family is not None:
            family.unlink(self, row)
        del self.tables[row.db][row.key]
        number = self.partition(row.db, row.key)
        partition = self.partitions[row.db][number]
        del partition[row.key]
        if not partition:
            del self.partitions[row.db][number]
        if self.digests is not None:
            self.digests.drop(row, max(successor, row.clock))
            if row.db < MARKS:
                del self.named[stub_name(row.db, row.key)]
        self._note_seal(row, None)
        self.record_bytes -= self.row_bytes + len(row.key)
        if row.value is None:
            self._count_stub(row, -1)
        else:
            self.record_bytes -= len(row.value) + len(row.shares)
            self.live[row.db] -= 1

    # -- time -------------------------------------------------------------------------------------
    def expire(self, now_ms: int, budget: int) -> int:
        moved = self.wheel.cascade(now_ms, budget)
        due = self.wheel.take_due(now_ms, budget - moved)
        # marks first: removing a head writes its mark again
        for row in sorted(due, key=lambda row: row.value is not None):
            self.end(row, now_ms)
        done = moved + len(due)
        return done + slices.work(self, now_ms, budget - done)

    def end(self, row: Row, now_ms: int) -> None:
        """Handles a row that the wheel has returned as due."""
        if row.value is None:
            self.remove(row)
            return
        if is_member(row.db):
            self._end_member(row, now_ms)
            return
        is_seen = not row.kind or bool(family.family_of(self, row).count)
        self._destroy(row, now_ms)
        self.expired += is_seen
        if self.observer is not None and is_seen:
            self.observer(EXPIRED, row.db, row.key)

    def _end_member(self, row: Row, now_ms: int) -> None:
        its, was_seen = row.family, not family.is_dying(row)
        assert its is not None
        stub = self._destroy(row, now_ms)
        if stub is not None and was_seen:
            departed.note(self, row.db, row.key, stub)
        # With its last member the key ends, whether its head is overdue or not.
        is_last = was_seen and its.headed and not its.count
        self.expired += is_last
        if self.observer is not None and was_seen:
            family.told_of_member(self, family.ENDED, row.db, row.key, now_ms)
            if is_last:
                self.observer(EXPIRED, its.space % DATABASES, its.key)

    def _destroy(self, row: Row, now_ms: int) -> Row | None:
        assert row.value is not None
        self._note_lateness(now_ms - row.deadline_ms, len(row.value) + len(row.shares), now_ms)
        if row.shadow_ms > now_ms:
            return self._become_stub(row, now_ms)
        self.remove(row)
        return None

    def wipe(self, row: Row, now_ms: int) -> None:
        """The value of a cleared member goes; its stamp, deadline and shadow stay, and so does its id."""
        assert row.value is not None
        if row.deadline_ms <= now_ms:
            self._note_lateness(now_ms - row.deadline_ms, len(row.value), now_ms)
        self.wheel.remove(row)
        self._become_stub(row, now_ms)

    def _note_lateness(self, by_ms: int, value_bytes: int, now_ms: int) -> None:
        self.late[bisect_left(LATE_BOUNDS_MS, by_ms)] += 1
        self.late_sum_ms += by_ms
        self.wiped_bytes += value_bytes
        if by_ms > LATE_MS and (now_ms != self.late_last_at_ms or by_ms > self.late_last_by_ms):
            self.late_last_at_ms, self.late_last_by_ms = now_ms, by_ms

    def _become_stub(self, row: Row, now_ms: int) -> Row | None:
        """The same version as a stub. A mark remembers until when what has ended took members: a stub has no deadline
        of its head.
        """
        assert row.value is not None
        if row.db >= MARKS:  # a script: it has no name, and stays a row under its key
            self.record_bytes -= len(row.value)
            self.live[row.db] -= 1
            self._count_stub(row, 1)
            row.value = None
            self._note_seal(row, None)
            self.wheel.place(row, row.shadow_ms, now_ms)
            return None
        ended = family.ended_at(row) if row.kind else 0
        if not self.remembers:
            self.remove(row, ended)
            return None
        if row.kind:
            self.mark(row.db, row.key, ended, row.node, row.shadow_ms, now_ms, to_ms(row.clock))
        self.remove(row, ended)
        name = stub_name(row.db, row.key)
        return self.bury(None, name, row.clock, row.node, row.deadline_ms, row.shadow_ms, now_ms)

    def next_due_ms(self) -> int | None:
        return 0 if self.families.queue else self.wheel.next_due_ms()

    def packed(self, row: Row, key: bytes | None = None) -> bytes:
        """A stub goes by its name, unless its key is given."""
        is_stub = row.value is None and row.db < MARKS
        deadline_ms = min(to_ms(row.clock), row.shadow_ms) if is_stub and row.shadow_ms else row.deadline_ms
        return pack(Record(
            row.db, row.key if key is None else key, row.value, row.clock, row.node, deadline_ms, row.shadow_ms,
            row.implicit,
            row.seal, row.kind, is_stub and key is None, row.shares,
        ))  # fmt: skip

    def drain(self, bytes_max: int) -> bytes:
        payload: list[bytes] = []
        size = 0
        while size < bytes_max and (oldest := self.outbox.take()) is not None:
            row = self.found(*oldest)
            if row is not None:
                payload.append(self.packed(row, oldest[1]))
                size += len(payload[-1])
        return b"".join(payload)

    # -- numbers ----------------------------------------------------------------------------------
    def used_bytes(self) -> int:
        return self.record_bytes + self._named_bytes() + self.outbox.used_bytes

    def full(self) -> bool:
        limit = self.settings.memory_bytes_max
        return limit > 0 and self.used_bytes() > limit
