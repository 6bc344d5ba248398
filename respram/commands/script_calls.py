"""What a script's `redis.call` and its kin do: the host of a script.

A command of a script passes the same checks as one of its client, with the texts that Redis has for scripts, and runs
through the same handlers on the same connection. Nothing here may suspend: scripts.py requests the keys that only a
peer has before the script begins, if they are among its KEYS.
"""

from collections import deque

from respram.catalog import COMMANDS, Command, find
from respram.catalog.keys import keys_of
from respram.commands import acl_check
from respram.commands.node import DEBUG, INFO, WARNING, Conn
from respram.commands.pausing import SPREADING
from respram.commands.refusals import refuse_unnamed
from respram.commands.reply import Error, OverrunError, Reply, Simple, encode
from respram.commands.running import OOM, call, count_error
from respram.commands.truth import NOT_KNOWN
from respram.engine.api import LOG_WANTED, LOOK_BYTES, MAY_WANTED, Session
from respram.errors import ClientError
from respram.integers import parse_int
from respram.scripting.cache import Cached
from respram.scripting.runtime import ENCODED, FAULT, STATUS, Answer
from respram.scripting.scripts import Scripts

LIVES = frozenset({b"ttl", b"pttl", b"expiretime", b"pexpiretime"})
# of a reply: after a longer one the clock is checked, as Lua's hook does once in a hundred commands
LONG_BYTES = 4_096
FAST_AT_ONCE = 4  # fast paths between two looks at the clock: one may take 35 ms, with a reply of 4 bytes
# Error texts for scripts; Lua puts ERR before them.
UNKNOWN = Answer(None, FAULT, b"Unknown Redis command called from script")
WRONG_ARITY = Answer(None, FAULT, b"Wrong number of args calling Redis command from script")
NOT_IN_SCRIPTS = Answer(None, FAULT, b"This Redis command is not allowed from script")
READ_ONLY = Answer(None, FAULT, b"Write commands are not allowed from read-only scripts.")
TOO_LONG_FOR_SCRIPTS = Answer(None, FAULT, b"The reply is too long for a script")
ENDED = Answer(None, FAULT, b"Script killed by user with SCRIPT KILL...")
DENIED = b"The user executing the script %b"
REASONS = {
    b"command": b"can't run this command or subcommand",
    b"key": b"can't access at least one of the keys mentioned in the command arguments",
    b"channel": b"can't publish to the channel mentioned in the command",
}
HOT = {
    spelt: command.writes
    for command in COMMANDS.values()
    if command.hot
    for spelt in (command.name, command.name.upper())
}
LOG_LEVELS = (DEBUG, DEBUG, INFO, WARNING)  # for redis.LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE and LOG_WARNING
DOLLAR, COLON, MINUS, PLUS = b"$:-+"
MISSING, DONE = b"$-1\r\n", b"+OK\r\n"
DONE_ANSWER = Answer(None, STATUS, b"OK")


class Calls:
    """The host of one script: its client's connection, with what is the script's own put in place while it runs."""

    def __init__(
        self, conn: Conn, scripts: Scripts, command: bytes, entry: Cached, keys: list[bytes], *, read_only: bool
    ) -> None:
        self.conn = conn
        self.scripts = scripts
        self.command = command
        self.keys = keys
        self.read_only = read_only or not entry.writes
        self.allows_oom = entry.flags is not None and b"allow-oom" in entry.flags
        self.now_ms = conn.now_ms  # constant during a script, as in Redis
        self.db = conn.session.db
        self.proto = 2  # protocol of the replies that it sees, until it calls redis.setresp
        # replies to its first commands, which the engine ran before it handed the script over
        self.replies: deque[bytes] | None = None
        self.is_fast = conn.session.hot and not self.read_only  # whether its commands may use fast paths
        self.fast_calls = 0
        self.call_inside = conn.node.engine.call_inside
        self._outside = (False, 0, 0)

    def enter(self) -> None:
        conn = self.conn
        self._outside = conn.executing, conn.session.db, conn.now_ms
        conn.executing, conn.session.db, conn.now_ms = True, self.db, self.now_ms

    def leave(self) -> None:
        conn = self.conn
        self.db = conn.session.db
        conn.executing, conn.session.db, conn.now_ms = self._outside
        conn.last_command = self.command

    def call(self, argv: list[bytes]) -> Answer | bytes | int:
        conn, running = self.conn, self.scripts.running
        assert running is not None
        if self.replies:
            return self._given(argv)
        if running.reason:
            return ENDED
        if self.is_fast and argv[0] in HOT:
            reply = self.call_inside(conn.session, argv, conn.now_ms)
            if reply is not None:
                running.wrote |= HOT[argv[0]]
                self.fast_calls += 1
                if len(reply) > LONG_BYTES or not self.fast_calls % FAST_AT_ONCE:
                    self.scripts.judge()
                return _answer_of(reply)
        command = find(argv[0].lower(), argv[1] if len(argv) > 1 else b"")
        if command is None or (command.subcommands and len(argv) > 1):
            return UNKNOWN
        if not command.takes(len(argv)):
            return WRONG_ARITY
        if b"noscript" in command.flags:
            return NOT_IN_SCRIPTS
        try:
            fault = self._denied(command, argv)
            if fault is not None:
                return fault
            if conn.node.truth is not None and not set(self.keys).issuperset(keys_of(command, argv)):
                raise NOT_KNOWN  # a script cannot wait; the values of its KEYS were requested before it began
            if command.writes:
                if command.grows and not (running.wrote or self.allows_oom) and conn.node.engine.full():
                    raise OOM
                running.wrote = True
            # each script gets a share of its own; together they are bounded by time
            conn.node.engine.allow(LOOK_BYTES * len(argv))
            if self.scripts.judge():
                return ENDED
            conn.script_proto = self.proto
            said = call(conn, command, argv)
            if command.name in LIVES and self._is_implicit(argv[1]):
                said = -1
        except ClientError as error:
            count_error(conn, error.text)
            return Answer(None, FAULT, b"-" + error.text)
        except OverrunError:
            return TOO_LONG_FOR_SCRIPTS
        finally:
            conn.script_proto = 0
        return _answer(said, self.proto, _reply_bytes_max(conn))

    def _given(self, argv: list[bytes]) -> Answer | bytes | int:
        """The reply of a command that the engine has already run for this script."""
        assert self.replies is not None and self.scripts.running is not None
        command, reply = find(argv[0].lower(), b""), self.replies.popleft()
        self.scripts.running.wrote |= command is not None and command.writes
        return _answer_of(reply)

    def _is_implicit(self, key: bytes) -> bool:
        """A deadline that nobody named counts as none, as for EXPIRE NX: scripts give a counter its window where PTTL
        says -1.
        """
        entry = self.conn.node.engine.peek(self.conn.session.db, key, self.conn.now_ms)
        return entry is not None and entry.implicit

    def _denied(self, command: Command, argv: list[bytes]) -> Answer | None:
        conn = self.conn
        if acl_check.is_unnamed(conn, command):
            refuse_unnamed(conn, command, argv)
        if not conn.account.unrestricted:
            denied = _denied(conn, command, argv)
            if denied is not None:
                return denied
        if self.read_only and (command.writes or command.name in SPREADING):
            return READ_ONLY
        return None

    def may(self, argv: list[bytes]) -> bool | None:
        if self.replies:
            number = parse_int(self.replies.popleft()[1:-2])
            return None if number == -1 else number == 1
        return _may(self.conn, argv)

    def set_proto(self, proto: int) -> None:
        self.proto = proto
        self.is_fast &= proto == 2

    def log(self, level: int, size: int) -> None:
        if self.replies:
            self.replies.popleft()  # it has been written
        else:
            _log(self.conn, level, size)

    def tick(self) -> int:
        return self.scripts.judge()


def _answer_of(reply: bytes) -> Answer | bytes | int:
    """The answer for a script, made of a fast path's reply in RESP2."""
    kind = reply[0]
    if kind == DOLLAR:
        return False if reply == MISSING else reply[reply.index(b"\n") + 1 : -2]
    if kind == COLON:
        number = parse_int(reply[1:-2])
        assert number is not None
        return number
    if reply == DONE:
        return DONE_ANSWER
    if kind == MINUS:
        return Answer(None, FAULT, reply[:-2])
    return Answer(None, STATUS, reply[1:-2]) if kind == PLUS else Answer(None, ENCODED, reply)


def _reply_bytes_max(conn: Conn) -> int:
    """Of one call, unless the reply is one value: Lua has it as it came and as values, and makes something of it."""
    return conn.node.limits.script_memory_bytes_max // 3


def _answer(reply: Reply, proto: int, bytes_max: int) -> Answer:
    if isinstance(reply, (bytes, int)):
        return Answer(reply)
    if reply is None:
        return Answer(False if proto == 2 else None)
    if isinstance(reply, Simple):
        return Answer(None, STATUS, reply.text)
    if isinstance(reply, Error):
        return Answer(None, FAULT, b"-" + reply.text)
    try:
        return Answer(None, ENCODED, encode(reply, proto, bytes_max) or b"$-1\r\n")
    except OverrunError:
        return TOO_LONG_FOR_SCRIPTS


def run_aside(session: Session, argv: list[bytes], now_ms: int, wanted: int) -> bytes | None:
    """A command without a fast path of a script that the engine runs: its reply. None: Python has to run the script,
    which is so where a script cannot have the answer at once. What is said of a command that does not pass a check is
    what `Calls.call` says.
    """
    conn = session.owner
    assert isinstance(conn, Conn)
    if wanted == LOG_WANTED:
        _log(conn, parse_int(argv[0]) or 0, parse_int(argv[1]) or 0)
        return b":0\r\n"
    if wanted == MAY_WANTED:
        allowed = _may(conn, argv)
        return b":-1\r\n" if allowed is None else b":%d\r\n" % allowed
    node = conn.node
    command = find(argv[0].lower(), argv[1] if len(argv) > 1 else b"")
    if command is None or (command.subcommands and len(argv) > 1):
        return _fault(UNKNOWN)
    if not command.takes(len(argv)):
        return _fault(WRONG_ARITY)
    if b"noscript" in command.flags:
        return _fault(NOT_IN_SCRIPTS)
    if (
        command.name in LIVES
        or not (command.key_specs or command.name in SPREADING)
        or node.truth is not None
        or (command.grows and node.engine.full())
    ):
        return None
    outside = conn.executing, conn.now_ms, conn.last_command, node.current
    conn.executing, conn.now_ms, node.current = True, now_ms, conn
    try:
        if acl_check.is_unnamed(conn, command):
            refuse_unnamed(conn, command, argv)
        if not conn.account.unrestricted:
            denied = _denied(conn, command, argv)
            if denied is not None:
                return _fault(denied)
        node.engine.allow(LOOK_BYTES * len(argv))
        return encode(call(conn, command, argv), session.proto, _reply_bytes_max(conn)) or b"$-1\r\n"
    except ClientError as error:
        count_error(conn, error.text)
        return b"-%b\r\n" % error.text
    except OverrunError:
        return _fault(TOO_LONG_FOR_SCRIPTS)
    finally:
        conn.executing, conn.now_ms, conn.last_command, node.current = outside


def _fault(answer: Answer) -> bytes:
    return b"-ERR %b\r\n" % answer.text


def _denied(conn: Conn, command: Command, argv: list[bytes]) -> Answer | None:
    found = acl_check.denial(conn.account, command, argv)
    if found is None:
        return None
    acl_check.note_denied(conn, found.reason, found.object, conn.user, in_script=True)
    return Answer(None, FAULT, DENIED % REASONS[found.reason])


def _may(conn: Conn, argv: list[bytes]) -> bool | None:
    """redis.acl_check_cmd. None: there is no such command."""
    command = find(argv[0].lower(), argv[1] if len(argv) > 1 else b"")
    if command is None or (command.subcommands and len(argv) > 1):
        return None
    if acl_check.is_unnamed(conn, command):
        return False
    return conn.account.unrestricted or acl_check.denial(conn.account, command, argv) is None


def _log(conn: Conn, level: int, size: int) -> None:
    conn.node.log(
        f"event=script_log client={conn.id} level={level} bytes={size}: what scripts log is not shown",
        LOG_LEVELS[level],
    )
