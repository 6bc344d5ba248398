"""The pure engine: every method of the contract, and the file that does it.

It is the specification of the native one. Where the two differ in anything but speed, one is wrong. A file here has the
name of its twin in native/.
"""

from collections.abc import Callable, Mapping

from respram.engine.api import (
    Aside,
    Deliver,
    Dispatch,
    Entry,
    Gather,
    Member,
    Members,
    Merged,
    Observer,
    Run,
    Scan,
    Session,
    Settings,
)
from respram.engine.filters import RecordFilter
from respram.engine.pure import (
    copying,
    departed,
    dump,
    family,
    filter,
    merge,
    order,
    restamp,
    shares,
    telling,
    track,
    walk,
)
from respram.engine.pure.bits import COMBINED
from respram.engine.pure.digest import Digests
from respram.engine.pure.feed import PureSession, Wire
from respram.engine.pure.guard import Guard
from respram.engine.pure.homes import cut_replies, slot_away, waits, weave_replies
from respram.engine.pure.keyspace import ROW_BYTES, Keyspace
from respram.engine.pure.patterns import PurePatterns
from respram.engine.pure.settling import settle
from respram.engine.pure.telling import PureTold
from respram.engine.pure.watches import await_key
from respram.engine.pure.xxh3 import xxh3
from respram.engine.ranking import Item
from respram.engine.replication import BucketDigest, Cut, Digest, Fetched, Found, Selection
from respram.engine.telling import Piece, RankedPiece, Told
from respram.program import Program
from respram.record import DATABASES
from respram.seal import Ring
from respram.slots import unpack_keys

PIECE_BYTES = 16_384  # of two strings that are combined


class PureEngine:
    name = "pure"
    slice_records = 2_000

    def __init__(self, settings: Settings) -> None:
        self.keyspace = Keyspace(settings)
        shares.begin(self.keyspace)
        self.wire = Wire(self.keyspace, settings)
        self.aside: Aside | None = None

    @property
    def hot_reads(self) -> bool:
        return self.keyspace.hot_reads

    @hot_reads.setter
    def hot_reads(self, allowed: bool) -> None:
        self.keyspace.hot_reads = allowed

    @property
    def hot_writes(self) -> bool:
        return self.wire.hot_writes

    @hot_writes.setter
    def hot_writes(self, allowed: bool) -> None:
        self.wire.hot_writes = allowed

    @property
    def awake_until_ms(self) -> int:
        return self.wire.awake_until_ms

    @awake_until_ms.setter
    def awake_until_ms(self, moment_ms: int) -> None:
        self.wire.awake_until_ms = moment_ms

    @property
    def observer(self) -> Observer | None:
        return self.wire.notes.observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        self.wire.notes.observer = observer
        self.keyspace.observer = None if observer is None else self.wire.notes.hear

    @property
    def telling(self) -> Session | None:
        return self.wire.notes.telling

    def configure(self, settings: Settings) -> None:
        before = self.keyspace.settings
        self.wire.settings = self.keyspace.settings = settings._replace(node=before.node, secret=before.secret)
        self.keyspace.outbox.bytes_max = settings.outbox_bytes_max

    # -- the wire ---------------------------------------------------------------------------------
    def patterns(self) -> PurePatterns:
        return PurePatterns()

    def session(self, dispatch: Dispatch) -> PureSession:
        return PureSession(dispatch, self.wire.settings)

    def guard(self, patterns: Mapping[bytes, int]) -> Guard:
        return Guard(patterns)

    def feed(self, session: Session, data: bytes | bytearray | memoryview, now_ms: int) -> bytes:
        return self.wire.feed(session, data, now_ms)

    def forget_reply(self) -> None:
        self.wire.forget_reply()

    def say(self, reply: bytes) -> None:
        self.wire.say(reply)

    def run_queued(self, session: Session, now_ms: int, reply_bytes_max: int) -> list[bytes] | None:
        return self.wire.run_queued(session, now_ms, reply_bytes_max)

    def teach(self, name: bytes, program: Program) -> bool:
        return self.wire.programs.teach(name, program)

    def open_lua(self, path: bytes) -> bytes | None:
        return None

    def limit_lua(self, bytes_max: int, worn_bytes: int) -> None:
        """Does nothing: this engine runs no Lua."""

    def close_lua(self) -> None:
        """There is none."""

    def teach_script(self, name: bytes, script: int, digest: bytes) -> bool:
        return False

    def unteach(self, name: bytes) -> None:
        self.wire.programs.unteach(name)

    def call_inside(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        reply = self.wire.programs.call_inside(session, argv, now_ms)
        self.wire.channels.hand_over()
        self.wire.notes.tell(session)
        return reply

    def take_replies(self) -> bytes:
        return self.wire.programs.take_replies()

    def allow(self, own_bytes: int) -> None:
        if self.wire.is_feeding:
            self.keyspace.allow(own_bytes)

    def allow_at_most(self, size: int) -> bool:
        return self.keyspace.allow_at_most(size)

    def spend(self, size: int) -> None:
        self.keyspace.look(size)

    def spent(self) -> bool:
        return self.keyspace.is_spent()

    def combine(self, operation: bytes, into: bytearray, value: bytes) -> None:
        """Works on a piece at a time, which stays in the processor's cache: four times as fast."""
        if operation not in COMBINED:
            raise ValueError("no such operation")
        combined, length = COMBINED[operation], min(len(into), len(value))
        for at in range(0, length, PIECE_BYTES):
            end = min(at + PIECE_BYTES, length)
            together = combined(int.from_bytes(into[at:end]), int.from_bytes(value[at:end]))
            into[at:end] = together.to_bytes(end - at)

    def took(self, micros: int) -> None:
        self.wire.took(micros)

    def resume(self, session: Session) -> None:
        assert isinstance(session, PureSession)
        session.suspended = False
        session.retried = not session.taken
        session.taken = False

    @property
    def gather(self) -> Gather | None:
        return self.wire.gather

    @gather.setter
    def gather(self, gather: Gather | None) -> None:
        self.wire.gather = gather

    def slot_away(self, keys: bytes, table: bytes) -> int:
        return slot_away(keys, table)

    def cut_replies(self, data: bytes, counts: list[int]) -> list[bytes]:
        return cut_replies(data, counts)

    def weave_replies(self, order: bytes, groups: list[bytes]) -> bytes:
        return weave_replies(order, groups)

    def use_homes(self, homes: bytes | None) -> None:
        self.wire.homes.use(homes)

    def queued_home(self, session: Session) -> int:
        return self.wire.queued_home(session)

    def take(self, session: Session) -> None:
        self.wire.take(session)

    def take_next(self, session: Session) -> None:
        self.wire.take_next()

    def behind(self, session: Session) -> list[bytes] | None:
        return self.wire.behind(session)

    def take_run(self, session: Session) -> Run | None:
        return self.wire.take_run(session)

    def close(self, session: Session) -> None:
        self.wire.close(session)

    # -- publications -----------------------------------------------------------------------------
    @property
    def deliver(self) -> Deliver | None:
        return self.wire.channels.deliver

    @deliver.setter
    def deliver(self, deliver: Deliver | None) -> None:
        self.wire.channels.deliver = deliver

    @property
    def hear(self) -> Callable[[Session], None] | None:
        return self.wire.channels.hear

    @hear.setter
    def hear(self, hear: Callable[[Session], None] | None) -> None:
        self.wire.channels.hear = hear

    @property
    def spreads(self) -> bool:
        return self.wire.channels.spreads

    @spreads.setter
    def spreads(self, spreads: bool) -> None:
        self.wire.channels.spreads = spreads

    def listen(self, session: Session, name: bytes, by_pattern: bool = False) -> None:
        self.wire.channels.listen(session, name, by_pattern)

    def unlisten(self, session: Session, name: bytes, by_pattern: bool = False) -> None:
        self.wire.channels.unlisten(session, name, by_pattern)

    def published(self) -> bool:
        return bool(self.wire.channels.spread)

    def take_published(self) -> list[tuple[bytes, bytes]]:
        return self.wire.channels.take_published()

    # -- sealing ----------------------------------------------------------------------------------
    def use_seals(self, ring: Ring, writes: bool) -> None:
        self.keyspace.use_seals(ring, writes)

    @property
    def cipher(self) -> str:
        return "cryptography"

    def seal_keys(self) -> set[int]:
        return self.keyspace.seal_keys()

    def leave_pad(self) -> None:
        if self.keyspace.seals is not None:
            self.keyspace.seals.leave_pad()

    # -- the keyspace, for commands ---------------------------------------------------------------
    def lookup(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        return self.keyspace.lookup(db, key, now_ms)

    def peek(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        return self.keyspace.peek(db, key, now_ms)

    @property
    def crowded(self) -> bool:
        return self.keyspace.families.crowds > 0

    def settle(self, db: int, key: bytes, now_ms: int) -> int:
        return settle(self.keyspace, db, key, now_ms)

    def settle_queued(self, session: Session, now_ms: int) -> bool:
        assert isinstance(session, PureSession)
        return self.wire.settle_queued(session, now_ms)

    def await_key(self, session: Session, db: int, key: bytes) -> None:
        await_key(self.keyspace, session, (db, key))

    @property
    def awaited(self) -> int:
        return len(self.keyspace.awaited)

    def store(
        self, db: int, key: bytes, value: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes
    ) -> None:
        self.keyspace.store(db, key, value, deadline_ms, implicit, now_ms, event)

    def add(self, db: int, key: bytes, step: int, deadline_ms: int, implicit: bool, now_ms: int, event: bytes) -> int:
        return shares.add(self.keyspace, db, key, step, deadline_ms, implicit, now_ms, event)

    def retime(self, db: int, key: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes) -> bool:
        return self.keyspace.retime(db, key, deadline_ms, implicit, now_ms, event)

    def let_go(self, db: int, key: bytes, now_ms: int, event: bytes) -> bool:
        return self.keyspace.let_go(db, key, now_ms, event)

    def digest_value(self, value: bytes) -> int:
        return xxh3(value)

    def full(self) -> bool:
        return self.keyspace.full()

    def count(self, db: int, now_ms: int) -> int:
        return walk.count(self.keyspace, db, now_ms)

    def scan(self, db: int, cursor: int, count: int, now_ms: int) -> Scan:
        return walk.scan(self.keyspace, db, cursor, count, now_ms)

    def sample(self, db: int, draw: int, now_ms: int) -> bytes | None:
        return walk.sample(self.keyspace, db, draw, now_ms)

    def ttl_average_ms(self, db: int, now_ms: int) -> int:
        return walk.ttl_average_ms(self.keyspace, db, now_ms)

    # -- collections ------------------------------------------------------------------------------
    def found(self, db: int, key: bytes, kind: int, deadline_ms: int, implicit: bool, now_ms: int) -> None:
        family.found(self.keyspace, db, key, kind, deadline_ms, implicit, now_ms)

    def member(self, db: int, key: bytes, name: bytes, now_ms: int) -> Member | None:
        return family.member(self.keyspace, db, key, name, now_ms)

    def put_member(self, db: int, key: bytes, name: bytes, value: bytes, deadline_ms: int | None, now_ms: int) -> bool:
        return family.put_member(self.keyspace, db, key, name, value, deadline_ms, now_ms)

    def copy_collection(self, db: int, key: bytes, target_db: int, target: bytes, now_ms: int) -> None:
        copying.copy(self.keyspace, db, key, target_db, target, now_ms)

    def let_go_member(self, db: int, key: bytes, name: bytes, now_ms: int) -> bool:
        return family.let_go_member(self.keyspace, db, key, name, now_ms)

    def members(self, db: int, key: bytes, cursor: int, count: int, now_ms: int) -> Members:
        return family.members(self.keyspace, db, key, cursor, count, now_ms)

    def member_at(self, db: int, key: bytes, place: int, now_ms: int) -> Member | None:
        return family.member_at(self.keyspace, db, key, place, now_ms)

    def draw(self, below: int) -> int:
        return self.keyspace.draws.below(below)

    def place(self, db: int, key: bytes, score: float, name: bytes | None, after: bool, now_ms: int) -> int:
        return order.place(self.keyspace, db, key, score, name, after, now_ms)

    def ranked(self, db: int, key: bytes, start: int, count: int, downwards: bool, now_ms: int) -> list[Item]:
        return order.ranked(self.keyspace, db, key, start, count, downwards, now_ms)

    def begin_telling(self) -> PureTold:
        return PureTold()

    def tell_members(
        self, told: Told, db: int, key: bytes, cursor: int, parts: int, others: list[bytes], among: bool, now_ms: int
    ) -> Piece:
        assert isinstance(told, PureTold)
        return telling.tell_members(self.keyspace, told, db, key, cursor, parts, others, among, now_ms)

    def tell_ranked(
        self, told: Told, db: int, key: bytes, start: int, most: int, downwards: bool, scores: bool, proto: int,
        now_ms: int,
    ) -> RankedPiece:  # fmt: skip
        return telling.tell_ranked(self.keyspace, db, key, start, most, downwards, scores, proto, now_ms)

    def tell(self, event: bytes, db: int, key: bytes) -> None:
        if self.keyspace.observer is not None:
            self.keyspace.observer(event, db, key)

    # -- time -------------------------------------------------------------------------------------
    def expire(self, now_ms: int, budget: int) -> int:
        return self.keyspace.expire(now_ms, budget)

    def next_due_ms(self, now_ms: int) -> int | None:
        return self.keyspace.next_due_ms()

    # -- replication ------------------------------------------------------------------------------
    def merge(self, payload: bytes | memoryview, now_ms: int) -> Merged:
        return merge.merge(self.keyspace, bytes(payload), now_ms)

    def drain(self, bytes_max: int) -> bytes:
        return self.keyspace.drain(bytes_max)

    def waits(self, db: int, keys: bytes) -> bool:
        return waits(self.keyspace, db, unpack_keys(keys))

    def outbox_overflowed(self) -> bool:
        overflowed, self.keyspace.outbox.overflowed = self.keyspace.outbox.overflowed, False
        return overflowed

    def restamp(self, now_ms: int) -> int:
        return restamp.restamp(self.keyspace, now_ms)

    def last_clock(self) -> int:
        return self.keyspace.clock

    def waiting_bytes(self) -> int:
        return self.keyspace.outbox.used_bytes

    def track(self, ids_key: int, now_ms: int = 0) -> None:
        track.track(self.keyspace, ids_key)

    @property
    def _digests(self) -> Digests:
        digests = self.keyspace.digests
        assert digests is not None, "track comes first"
        return digests

    def digest(self, cut: Cut, now_ms: int) -> Digest | None:
        return self._digests.digest(cut, now_ms)

    def bucket_digests(self, cut: Cut, shift: int, now_ms: int) -> list[BucketDigest]:
        return self._digests.bucket_digests(cut, shift, now_ms)

    def count_since(self, since: int) -> int:
        return self._digests.count_since(since)

    def fill(self, bloom: RecordFilter, selection: Selection, cursor: int, budget: int) -> int:
        return self._digests.fill(bloom, selection, cursor, budget)

    def lacking(self, bloom: RecordFilter, selection: Selection, cursor: int, bytes_max: int, budget: int) -> Found:
        return filter.lacking(self.keyspace, bloom, selection, cursor, bytes_max, budget)

    def dump(self, point: int, bytes_max: int, now_ms: int) -> Found:
        return dump.dump(self.keyspace, point, bytes_max, now_ms)

    def fetch(self, db: int, key: bytes, now_ms: int) -> bytes:
        return dump.fetch(self.keyspace, db, key, now_ms)

    def fetch_all(self, db: int, keys: bytes, now_ms: int, waiting: bool = True) -> Fetched:
        return dump.fetch_all(self.keyspace, db, keys, now_ms, waiting)

    def departed(self, db: int, key: bytes, since: int, now_ms: int) -> Found:
        assert 0 <= db < DATABASES
        settle(self.keyspace, db, key, now_ms)
        return departed.departed(self.keyspace, db, key, since, now_ms)

    def records(self, db: int) -> list[bytes]:
        return walk.records(self.keyspace, db)

    # -- numbers ----------------------------------------------------------------------------------
    def used_bytes(self) -> int:
        return self.keyspace.used_bytes()

    def counters(self) -> dict[str, int]:
        keyspace = self.keyspace
        return {
            "hits": keyspace.hits,
            "misses": keyspace.misses,
            "writes": keyspace.writes,
            "expired": keyspace.expired,
            "stubs": len(keyspace.stubs) + keyspace.stub_rows,
            "stub_bytes": keyspace.stub_bytes,
            "records": sum(keyspace.live),
            "defaulted": keyspace.defaulted,
            "counters_merged": keyspace.counters_merged,
            "script_errors": 0,
            "record_overhead_bytes": ROW_BYTES,
            **{f"late_{number}": count for number, count in enumerate(keyspace.late)},
            "late_sum_ms": keyspace.late_sum_ms, "wiped_bytes": keyspace.wiped_bytes,
            "late_last_at_ms": keyspace.late_last_at_ms, "late_last_by_ms": keyspace.late_last_by_ms,
        } | {f"hot_{name.decode()}": count for name, count in self.wire.calls.items()}
