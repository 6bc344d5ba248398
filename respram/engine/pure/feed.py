"""One call of `feed`: commands are parsed and executed in order, the hot ones here, all others by `dispatch`.

The twin of native/feed.c, without its batches: nothing is prefetched here.
"""

import sys
from collections import deque

from respram.catalog import Command
from respram.catalog.hot import EVERY, HOT, looks_itself
from respram.catalog.keys import decides, keys_of
from respram.engine import api
from respram.engine.api import (
    FEED_COMMAND_US,
    FEED_MOVED_BYTES_MAX,
    LOOK_BYTES,
    RUN_BYTES_MAX,
    RUN_COMMANDS_MAX,
    RUN_GROUPS_MAX,
    Dispatch,
    Group,
    Run,
    Session,
    Settings,
)
from respram.engine.pure.channels import Channels
from respram.engine.pure.effort import FEW_COMMANDS, TURN_US_MAX
from respram.engine.pure.guard import PROGRAMS, Guard
from respram.engine.pure.homes import Homes
from respram.engine.pure.hot import HANDLERS, Handler
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.multi import QUEUED, TransactionQueue
from respram.engine.pure.programs import Programs
from respram.engine.pure.record import Awaited
from respram.engine.pure.scanner import Scanner
from respram.engine.pure.settling import may_begin, queued_may_begin, settles
from respram.engine.pure.watches import is_changed
from respram.slots import pack_command, pack_keys


class PureSession:
    __slots__ = (
        "db", "proto", "hot", "trusted", "closing", "suspended", "retried", "owner", "dispatch", "scanner",
        "queue", "more", "queue_keys_max", "transaction", "defaulted", "permitted", "guard", "tracks", "hears",
        "decides", "taken", "multi_keys_max", "exec_bytes_max", "begun", "watches", "midway",
        "watching", "awaiting",
    )  # fmt: skip

    def __init__(self, dispatch: Dispatch, settings: Settings) -> None:
        self.db = 0
        self.proto = 2
        self.hot = False
        self.permitted = EVERY
        self.guard: api.Guard | None = None
        self.tracks = self.hears = False
        self.trusted = False
        self.closing = False
        self.suspended = False
        self.retried = False
        self.decides = False
        self.taken = False
        self.more = False
        self.owner: object = None
        self.dispatch = dispatch
        self.scanner = Scanner(settings)
        self.queue: deque[list[bytes]] = deque()  # parsed commands that have not run
        self.queue_keys_max = self.multi_keys_max = 0
        self.exec_bytes_max = sys.maxsize
        self.begun = self.watches = self.midway = False
        self.transaction = TransactionQueue()
        self.watching: dict[tuple[int, bytes], tuple[int, int] | None] = {}  # watched keys and their stamps
        self.awaiting: list[tuple[Awaited, int]] = []  # watched keys that were missing, and how often each had come
        self.defaulted = 0

    @property
    def fault(self) -> bytes | None:
        return self.scanner.fault

    @property
    def buffered_bytes(self) -> int:
        return self.scanner.buffered_bytes + sum(sum(map(len, argv)) for argv in self.queue)

    @property
    def queued(self) -> int:
        return self.transaction.count

    @property
    def queued_work(self) -> int:
        return self.transaction.work

    @property
    def queued_bytes(self) -> int:
        return self.transaction.bytes

    def take_queued(self) -> list[list[bytes]]:
        taken = list(self.transaction.commands)
        self.drop_queued()
        return taken

    def drop_queued(self) -> int:
        return self.transaction.drop()

    @property
    def watched(self) -> bool:
        return bool(self.watching)

    def take_watched(self) -> list[tuple[tuple[int, bytes], tuple[int, int] | None]]:
        taken = list(self.watching.items())
        self.watching.clear()
        return taken

    @property
    def has_come(self) -> bool:
        return any(one.comings != seen for one, seen in self.awaiting)

    def forget_watched(self) -> None:
        self.watching.clear()
        self.awaiting.clear()

    def leave(self) -> None:
        """Ends a MULTI that the engine has answered."""
        self.transaction.drop()
        self.forget_watched()
        self.begun = self.midway = False
        self.queue_keys_max = 0
        self.hot = True


class Notes:
    """Events of fast paths, until the observer is told of them after their replies."""

    __slots__ = ("observer", "gathering", "pending", "telling")

    def __init__(self) -> None:
        self.observer: api.Observer | None = None
        self.gathering = False  # a fast path is running
        self.pending: list[tuple[bytes, int, bytes]] = []
        self.telling: Session | None = None

    def hear(self, event: bytes, db: int, key: bytes) -> None:
        if self.gathering:
            self.pending.append((event, db, key))
        elif self.observer is not None:
            self.observer(event, db, key)

    def tell(self, session: Session) -> None:
        if not self.pending:
            return
        pending, self.pending, self.telling = self.pending, [], session
        try:
            for note in pending:
                if self.observer is not None:
                    self.observer(*note)
        finally:
            self.telling = None


class Wire:
    """The sessions of an engine: replies in the making, the switches, and how often each hot command ran."""

    def __init__(self, keyspace: Keyspace, settings: Settings) -> None:
        self.keyspace = keyspace
        self.settings = settings
        self.hot_writes = True
        self.awake_until_ms = 0
        self.notes = Notes()
        self.calls = {command.name: 0 for command in HOT}
        self._out: list[bytes] = []  # replies of this feed
        self._said_bytes = 0  # bytes of these replies
        self._commands_left = 0  # commands that may still run in this turn
        self.is_feeding = False
        self.homes = Homes()
        self.gather: api.Gather | None = None
        self.channels = Channels()
        keyspace.publish = self.channels.publish
        self._current: list[bytes] | None = None  # the command that dispatch is handling
        self._taken = 0  # commands of the batch that it has sent to other nodes
        # By the name as sent, in the two spellings that clients use; others are found by lower().
        self.programs = Programs(keyspace, self._fast_reply)
        self._hot: dict[bytes, tuple[Command, Handler, int]] = {
            name: (command, HANDLERS[command.name], 1 << number)
            for number, command in enumerate(HOT, 1)
            for name in (command.name, command.name.upper())
        }

    def feed(self, session: Session, data: bytes | bytearray | memoryview, now_ms: int) -> bytes:
        assert isinstance(session, PureSession)
        if self.channels.hear is not None:
            self.channels.hear(session)
        if data:
            session.scanner.push(bytes(data))
            if not isinstance(data, bytes) and not memoryview(data).readonly:
                data[:] = bytes(len(data))  # wipes the receive buffer, so that no value stays longer than needed
        session.more = False
        if self.awake_until_ms and now_ms > self.awake_until_ms:
            self.keyspace.hot_reads = self.hot_writes = False
        if session.suspended or session.closing:
            return b""
        session.scanner.settings = self.settings
        self._out.clear()
        self._said_bytes = 0
        before = self.keyspace.defaulted
        self.is_feeding = True
        try:
            self._run(session, now_ms)
            self.channels.hand_over()
            self.notes.tell(session)
        finally:
            self.notes.gathering = False
            self.is_feeding = False
            self.keyspace.moved_max = None
            session.defaulted += self.keyspace.defaulted - before
        return b"".join(self._out)

    def _run(self, session: PureSession, now_ms: int) -> None:
        """Executes commands until the input or a budget ends, or the session has to wait."""
        queue, scanner = session.queue, session.scanner
        self._commands_left = self.settings.feed_commands_max
        keyspace, bytes_max = self.keyspace, self.settings.feed_reply_bytes_max
        moved_max, us_max = keyspace.moved + FEED_MOVED_BYTES_MAX, keyspace.effort.us + TURN_US_MAX
        while True:
            if not queue:
                queue.extend(scanner.take(session.trusted))
                if not queue:
                    break
            is_over = keyspace.moved > moved_max or keyspace.effort.us > us_max
            if is_over or self._commands_left <= 0 or self._said_bytes >= bytes_max:
                session.more = True
                return
            argv = queue.popleft()
            reply = (
                self._fast_reply(session, argv, now_ms) if session.hot else self._queued_reply(session, argv, now_ms)
            )
            if reply is None:
                self.channels.hand_over()
                if not session.midway:  # of an EXEC that has begun its reply `run_queued` tells: see feed.pxi
                    self.notes.tell(session)
                # by what was told or said before this command; an EXEC is finished
                if session.closing and not session.midway:
                    self.close(session)
                    return
                if not session.midway:  # otherwise a part of an EXEC's budget may be spent
                    self.keyspace.allow(LOOK_BYTES * len(argv))
                self._current, self._taken = argv, 0
                reply = None if self._gathered(session) else session.dispatch(session, argv, now_ms)
                self._current = None
                if reply is None:
                    if not self._taken:
                        queue.appendleft(argv)
                    for _ in range(self._taken - 1):
                        queue.popleft()
                    session.taken = self._taken > 0
                    session.suspended = True
                    return
                session.retried = False
            self.say(reply)
            if session.hears and self.notes.pending:
                self.notes.tell(session)
            self._commands_left -= 1
            if session.closing:
                self.close(session)
                return
        if scanner.fault is not None:
            if scanner.fault:
                self.say(b"-ERR Protocol error: %b\r\n" % scanner.fault)
            session.closing = True
            session.drop_queued()
            session.forget_watched()

    def _fast_reply(self, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
        found = self._hot.get(argv[0]) or self._hot.get(argv[0].lower())
        if found is None or not _permitted(session, found, argv):
            return None
        command, handler, _ = found
        if self.homes.table is not None and not session.decides and self.homes.home_of(command, argv):
            return None
        is_write = command.writes or command.shape == b"decides" or command.group == b"pubsub"
        if (is_write and not self.hot_writes) or (command.asks and not self.keyspace.hot_reads):
            return None
        if is_write and self._makes_long_key(command, argv):
            return None
        if self.keyspace.families.found and self._meets_head(session.db, command, argv):
            return None
        if not may_begin(self.keyspace, session.db, command, argv, now_ms):
            return None  # members of its collections have ended, and are destroyed before it begins
        if session.tracks and command.counts_keys and command.name not in PROGRAMS:
            return None  # a handler that runs it records which keys it reads
        if command.group == b"pubsub" and self.notes.pending:
            return None  # a client that tracks a key is told of its change before it sees a later message
        self.notes.gathering = True
        reply = handler(self.keyspace, session, argv, now_ms)
        self.notes.gathering = False
        if reply is not None:
            self.calls[command.name] += 1
            if session.tracks and command.shape == b"reads" and command.first_key:
                last = command.last_key if command.last_key >= 0 else len(argv) + command.last_key
                self.notes.pending += [
                    (api.SEEN, session.db, key) for key in argv[command.first_key : last + 1 : command.key_step]
                ]
        return reply

    def _makes_long_key(self, command: Command, argv: list[bytes]) -> bool:
        """Whether a key that the command may make is longer than such a key may be: `dispatch` says so."""
        most = self.keyspace.settings.key_bytes_max
        last = command.last_key if command.last_key >= 0 else len(argv) + command.last_key
        return command.first_key > 0 and any(
            len(key) > most for key in argv[command.first_key : last + 1 : command.key_step]
        )

    def _meets_head(self, db: int, command: Command, argv: list[bytes]) -> bool:
        """Whether a command for strings meets a collection, which fast paths leave to `dispatch`."""
        if not command.first_key or looks_itself(command):
            return False
        table = self.keyspace.tables[db]
        last = command.last_key if command.last_key > 0 else len(argv) - 1
        return any(
            (row := table.get(key)) is not None and row.kind
            for key in argv[command.first_key : last + 1 : command.key_step]
        )

    def _queued_reply(self, session: PureSession, argv: list[bytes], now_ms: int) -> bytes | None:
        """The reply to a command inside MULTI. None: it is for `dispatch`."""
        found = self._hot.get(argv[0]) or self._hot.get(argv[0].lower()) if session.queue_keys_max else None
        if found is None or not _permitted(session, found, argv):
            return None
        name = found[0].name
        if name in (b"exec", b"discard") and session.begun and not session.watches and len(argv) == 1:
            reply = self._exec(session, now_ms) if name == b"exec" else b"+OK\r\n"
            if reply is not None:
                session.leave()
                self.calls[name] += 1
            return reply
        if b"noscript" in found[0].flags:
            return None
        if not session.transaction.add(found[0], argv, session.queue_keys_max, self.keyspace.full()):
            return None
        return QUEUED

    def _exec(self, session: PureSession, now_ms: int) -> bytes | None:
        """Runs EXEC and writes its replies. If one command is for `dispatch`, so is the rest of EXEC (`midway`)."""
        keyspace = self.keyspace
        if not (keyspace.hot_reads and self.hot_writes) or keyspace.full():
            return None
        if self.homes.table is not None and not session.decides and (session.watching or self.queued_home(session)):
            return None
        if not self.settle_queued(session, now_ms):
            return None
        if session.watching:
            if is_changed(keyspace, session, now_ms):
                return b"_\r\n" if session.proto == 3 else b"*-1\r\n"
            session.forget_watched()  # EXEC's own writes do not count as changes
        self.say(b"*%d\r\n" % session.queued)
        keyspace.allow(session.queued_bytes + LOOK_BYTES * session.queued_work)
        argv = self._run_queued(session, now_ms, session.exec_bytes_max)
        if argv is None:
            return b""
        session.transaction.commands.appendleft(argv)
        session.midway = True
        return None

    def settle_queued(self, session: PureSession, now_ms: int) -> bool:
        keyspace = self.keyspace
        if not keyspace.families.crowds:
            return True
        commands = (((self._hot.get(argv[0]) or self._hot[argv[0].lower()])[0], argv)
                    for argv in session.transaction.commands)
        return all(settles(keyspace, db, (key,), now_ms) for db, key in session.watching) and queued_may_begin(
            keyspace, session.db, commands, now_ms
        )

    def took(self, micros: int) -> None:
        self._commands_left -= micros // FEED_COMMAND_US

    def queued_home(self, session: Session) -> int:
        assert isinstance(session, PureSession)
        for argv in session.transaction.commands:
            command = (self._hot.get(argv[0]) or self._hot[argv[0].lower()])[0]
            if decides(command, argv) and keys_of(command, argv):
                return self.homes.home_of(command, argv)
        return 0

    def _gathered(self, session: PureSession) -> bool:
        if self.gather is None or not (self.hot_writes and self.keyspace.hot_reads) or session.decides:
            return False
        run = self.take_run(session)
        if run is None or self.gather(session, run):
            return run is not None
        self._taken = 0
        return False

    def take(self, session: Session) -> None:
        assert self._current is not None, "commands are taken by dispatch"
        self._taken = 1

    def take_next(self) -> None:
        assert self._taken, "the first is taken by `take`"
        self._taken += 1

    def behind(self, session: Session) -> list[bytes] | None:
        assert isinstance(session, PureSession) and self._taken, "the first is taken by `take`"
        return session.queue[self._taken - 1] if self._taken <= len(session.queue) else None

    def take_run(self, session: Session) -> Run | None:
        assert isinstance(session, PureSession) and self._current is not None, "commands are taken by dispatch"
        if not self._travels(session, self._current) or not self._home_of(self._current):
            return None
        groups: dict[int, list[list[bytes]]] = {}
        order, size = bytearray(), 0
        for argv in (self._current, *session.queue):
            size += sum(map(len, argv))
            if not self._travels(session, argv) or (order and (size > RUN_BYTES_MAX or len(order) == RUN_COMMANDS_MAX)):
                break
            home = self._home_of(argv)
            if home not in groups and len(groups) == RUN_GROUPS_MAX:
                break
            groups.setdefault(home, []).append(argv)
            order.append(list(groups).index(home))
        self._taken = len(order)
        return Run(bytes(order), [
            Group(home, len(taken), b"".join(map(pack_command, taken)),
                  pack_keys(dict.fromkeys(argv[1] for argv in taken)))
            for home, taken in groups.items()
        ])  # fmt: skip

    def _travels(self, session: PureSession, argv: list[bytes]) -> bool:
        """Whether one key decides about a hot command, so that it can travel with others."""
        found = self._hot.get(argv[0]) or self._hot.get(argv[0].lower()) if session.hot else None
        if found is None or not _permitted(session, found, argv):
            return False
        command = found[0]
        return command.has_key and abs(command.arity) <= len(argv) <= command.most and decides(command, argv)

    def _home_of(self, argv: list[bytes]) -> int:
        return self.homes.home_of((self._hot.get(argv[0]) or self._hot[argv[0].lower()])[0], argv)

    def forget_reply(self) -> None:
        self._out.clear()  # the references go; Python's objects cannot be overwritten

    def say(self, reply: bytes) -> None:
        self._out.append(reply)
        self._said_bytes += len(reply)

    def run_queued(self, session: Session, now_ms: int, reply_bytes_max: int) -> list[bytes] | None:
        assert isinstance(session, PureSession)
        try:
            return self._run_queued(session, now_ms, reply_bytes_max)
        finally:
            self.channels.hand_over()
            self.notes.tell(session)

    def _run_queued(self, session: PureSession, now_ms: int, reply_bytes_max: int) -> list[bytes] | None:
        if session.transaction.count <= FEW_COMMANDS:
            self.keyspace.effort.us_max = None
        while session.transaction.commands:
            argv = session.transaction.commands.popleft()
            reply = None if self.keyspace.is_spent() else self._fast_reply(session, argv, now_ms)
            if reply is None:
                return argv
            self.say(reply)
            if self._said_bytes > reply_bytes_max:
                session.closing = True
                self._out.clear()
                self._said_bytes = 0
        if session.closing:
            self._out.clear()  # the remaining replies too: they would be taken for replies to other commands
        return None

    def close(self, session: Session) -> None:
        assert isinstance(session, PureSession)
        session.closing = True
        self.channels.leave(session)
        session.queue.clear()
        session.drop_queued()
        session.forget_watched()
        session.scanner.wipe()


def _permitted(session: Session, found: tuple[Command, Handler, int], argv: list[bytes]) -> bool:
    if not session.permitted & found[2]:
        return False
    guard = session.guard
    assert guard is None or isinstance(guard, Guard)
    return guard is None or guard.allows(found[0], argv)
