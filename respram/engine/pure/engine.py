"""The pure engine: sessions and `feed`, over the scanner, the keyspace and the fast paths.

It is the specification of the native one. Where the two differ in anything but speed, one is wrong.
"""

from collections import deque

from respram.catalog import Command
from respram.catalog.hot import HOT
from respram.engine.api import KEPT_BYTES_MAX, Dispatch, Entry, Merged, Observer, Scan, Session, Settings
from respram.engine.filters import RecordFilter
from respram.engine.pure.digests import Digests
from respram.engine.pure.hot import HANDLERS, Fast
from respram.engine.pure.keyspace import ROW_BYTES, Keyspace
from respram.engine.pure.scanner import Scanner
from respram.engine.replication import Bucket, Cut, Digest, Found, Selection
from respram.seal import Ring

QUEUED = b"+QUEUED\r\n"


class PureSession:
    __slots__ = (
        "db", "proto", "hot", "trusted", "closing", "suspended", "retried", "owner", "dispatch", "scanner",
        "queue", "more", "keeping", "kept_work", "kept_bytes", "kept_commands",
    )  # fmt: skip

    def __init__(self, dispatch: Dispatch, settings: Settings) -> None:
        self.db = 0
        self.proto = 2
        self.hot = False
        self.trusted = False
        self.closing = False
        self.suspended = False
        self.retried = False
        self.more = False
        self.owner: object = None
        self.dispatch = dispatch
        self.scanner = Scanner(settings)
        self.queue: deque[list[bytes]] = deque()  # parsed and not yet executed
        self.keeping = 0
        self.kept_work = 0  # keys that the kept commands will look up
        self.kept_bytes = 0
        self.kept_commands: deque[list[bytes]] = deque()

    @property
    def buffered_bytes(self) -> int:
        return self.scanner.buffered_bytes + sum(sum(map(len, argv)) for argv in self.queue)

    @property
    def kept(self) -> int:
        return len(self.kept_commands)

    def take_kept(self) -> list[list[bytes]]:
        taken = list(self.kept_commands)
        self.drop_kept()
        return taken

    def drop_kept(self) -> None:
        self.kept_commands.clear()
        self.kept_work = self.kept_bytes = 0


class PureEngine:
    name = "pure"
    slice_records = 2_000

    def __init__(self, settings: Settings) -> None:
        self.keyspace = Keyspace(settings)
        self.settings = settings
        self.hot_reads = True
        self.hot_writes = True
        self._out: list[bytes] = []  # replies of the feed under way
        self._said_bytes = 0  # of them
        self._calls = {command.name: 0 for command in HOT}
        # By the name as sent, in the two spellings that clients use; others are found by lower().
        self._hot: dict[bytes, tuple[Command, Fast]] = {
            name: (command, HANDLERS[command.name]) for command in HOT for name in (command.name, command.name.upper())
        }

    @property
    def observer(self) -> Observer | None:
        return self.keyspace.observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        self.keyspace.observer = observer

    def configure(self, settings: Settings) -> None:
        self.settings = self.keyspace.settings = settings._replace(node=self.settings.node, secret=self.settings.secret)
        self.keyspace.outbox.bytes_max = settings.outbox_bytes_max

    # -- the wire ---------------------------------------------------------------------------------
    def session(self, dispatch: Dispatch) -> PureSession:
        return PureSession(dispatch, self.settings)

    def feed(self, session: Session, data: bytes | bytearray | memoryview, now_ms: int) -> bytes:
        assert isinstance(session, PureSession)
        if data:
            session.scanner.push(bytes(data))
            if not isinstance(data, bytes) and not memoryview(data).readonly:
                data[:] = bytes(len(data))  # the receive buffer holds no value longer than needed
        session.more = False
        if session.suspended or session.closing:
            return b""
        session.scanner.settings = self.settings
        self._out.clear()
        self._said_bytes = 0
        self._run(session, now_ms)
        return b"".join(self._out)

    def _run(self, session: PureSession, now_ms: int) -> None:
        """Executes until the input, a budget or the session's patience ends."""
        queue, scanner = session.queue, session.scanner
        commands_left = self.settings.feed_commands_max
        bytes_max = self.settings.feed_reply_bytes_max
        while True:
            if not queue:
                queue.extend(scanner.take(session.trusted))
                if not queue:
                    break
            if commands_left <= 0 or self._said_bytes >= bytes_max:
                session.more = True
                return
            argv = queue.popleft()
            reply = self._fast_reply(session, argv, now_ms) if session.hot else self._keep(session, argv)
            if reply is None:
                reply = session.dispatch(session, argv, now_ms)
                if reply is None:
                    queue.appendleft(argv)
                    session.suspended = True
                    return
                session.retried = False
            self.say(reply)
            commands_left -= 1
            if session.closing:
                self.close(session)
                return
        if scanner.fault is not None:
            if scanner.fault:
                self.say(b"-ERR Protocol error: %b\r\n" % scanner.fault)
            session.closing = True
            session.drop_kept()

    def _fast_reply(self, session: PureSession, argv: list[bytes], now_ms: int) -> bytes | None:
        found = self._hot.get(argv[0]) or self._hot.get(argv[0].lower())
        if found is None:
            return None
        command, handler = found
        if (command.writes and not self.hot_writes) or (command.asks and not self.hot_reads):
            return None
        reply = handler(self.keyspace, session, argv, now_ms)
        if reply is not None:
            self._calls[command.name] += 1
        return reply

    def _keep(self, session: PureSession, argv: list[bytes]) -> bytes | None:
        """In MULTI. None: it is for `dispatch`."""
        found = self._hot.get(argv[0]) or self._hot.get(argv[0].lower()) if session.keeping else None
        if found is None:
            return None
        command = found[0]
        work = 1 if command.has_key or not command.first_key else len(argv) - 1
        size = sum(map(len, argv))
        if session.kept_work + work > session.keeping or session.kept_bytes + size > KEPT_BYTES_MAX:
            return None
        if not (abs(command.arity) <= len(argv) <= command.most) or (command.writes and self.keyspace.full()):
            return None
        session.kept_commands.append(argv)
        session.kept_work += work
        session.kept_bytes += size
        return QUEUED

    def say(self, reply: bytes) -> None:
        self._out.append(reply)
        self._said_bytes += len(reply)

    def run_kept(self, session: Session, now_ms: int, reply_bytes_max: int) -> list[bytes] | None:
        assert isinstance(session, PureSession)
        while session.kept_commands:
            argv = session.kept_commands.popleft()
            reply = self._fast_reply(session, argv, now_ms)
            if reply is None:
                return argv
            self.say(reply)
            if self._said_bytes > reply_bytes_max:
                session.closing = True
                self._out.clear()
                self._said_bytes = 0
        if session.closing:
            self._out.clear()  # the rest of them too: they would be taken for those of other commands
        return None

    def resume(self, session: Session) -> None:
        session.suspended = False
        session.retried = True

    def close(self, session: Session) -> None:
        assert isinstance(session, PureSession)
        session.closing = True
        session.queue.clear()
        session.drop_kept()
        session.scanner.wipe()

    # -- sealing ----------------------------------------------------------------------------------
    def use_seals(self, ring: Ring, writes: bool) -> None:
        self.keyspace.use_seals(ring, writes)

    def seal_keys(self) -> set[int]:
        return self.keyspace.seal_keys()

    # -- the keyspace, for commands ---------------------------------------------------------------
    def lookup(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        return self.keyspace.lookup(db, key, now_ms)

    def peek(self, db: int, key: bytes, now_ms: int) -> Entry | None:
        return self.keyspace.peek(db, key, now_ms)

    def store(
        self, db: int, key: bytes, value: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes
    ) -> None:
        self.keyspace.store(db, key, value, deadline_ms, implicit, now_ms, event)

    def retime(self, db: int, key: bytes, deadline_ms: int, implicit: bool, now_ms: int, event: bytes) -> bool:
        return self.keyspace.retime(db, key, deadline_ms, implicit, now_ms, event)

    def let_go(self, db: int, key: bytes, now_ms: int, event: bytes) -> bool:
        return self.keyspace.let_go(db, key, now_ms, event)

    def full(self) -> bool:
        return self.keyspace.full()

    def count(self, db: int, now_ms: int) -> int:
        return self.keyspace.count(db, now_ms)

    def scan(self, db: int, cursor: int, count: int, now_ms: int) -> Scan:
        return self.keyspace.scan(db, cursor, count, now_ms)

    def sample(self, db: int, draw: int, now_ms: int) -> bytes | None:
        return self.keyspace.sample(db, draw, now_ms)

    def ttl_average_ms(self, db: int, now_ms: int) -> int:
        return self.keyspace.ttl_average_ms(db, now_ms)

    # -- time -------------------------------------------------------------------------------------
    def expire(self, now_ms: int, budget: int) -> int:
        return self.keyspace.expire(now_ms, budget)

    def next_due_ms(self, now_ms: int) -> int | None:
        return self.keyspace.next_due_ms()

    # -- replication ------------------------------------------------------------------------------
    def merge(self, payload: bytes | memoryview, now_ms: int) -> Merged:
        return self.keyspace.merge(bytes(payload), now_ms)

    def drain(self, bytes_max: int) -> bytes:
        return self.keyspace.drain(bytes_max)

    def outbox_overflowed(self) -> bool:
        overflowed, self.keyspace.outbox.overflowed = self.keyspace.outbox.overflowed, False
        return overflowed

    def restamp(self, now_ms: int) -> int:
        return self.keyspace.restamp(now_ms)

    def waiting_bytes(self) -> int:
        return self.keyspace.outbox.used_bytes

    def track(self, ids_key: int, now_ms: int = 0) -> None:
        self.keyspace.track(ids_key)

    @property
    def _digests(self) -> Digests:
        digests = self.keyspace.digests
        assert digests is not None, "track comes first"
        return digests

    def digest(self, cut: Cut, now_ms: int) -> Digest | None:
        return self._digests.digest(cut, now_ms)

    def bucket_digests(self, cut: Cut, shift: int, now_ms: int) -> list[Bucket]:
        return self._digests.bucket_digests(cut, shift, now_ms)

    def count_since(self, since: int) -> int:
        return self._digests.count_since(since)

    def fill(self, bloom: RecordFilter, selection: Selection, cursor: int, budget: int) -> int:
        return self._digests.fill(bloom, selection, cursor, budget)

    def lacking(self, bloom: RecordFilter, selection: Selection, cursor: int, bytes_max: int, budget: int) -> Found:
        return self.keyspace.lacking(bloom, selection, cursor, bytes_max, budget)

    def dump(self, point: int, bytes_max: int, now_ms: int) -> Found:
        return self.keyspace.dump(point, bytes_max, now_ms)

    def fetch(self, db: int, key: bytes, now_ms: int) -> bytes:
        return self.keyspace.fetch(db, key, now_ms)

    def records(self, db: int) -> list[bytes]:
        return self.keyspace.records(db)

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
            "stubs": keyspace.stubs,
            "records": sum(keyspace.live),
            "defaulted": keyspace.defaulted,
            "record_overhead_bytes": ROW_BYTES,
        } | {f"hot_{name.decode()}": count for name, count in self._calls.items()}
