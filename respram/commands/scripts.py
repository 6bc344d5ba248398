"""EVAL EVALSHA EVAL_RO EVALSHA_RO SCRIPT: the commands, and what a script's `redis.call` does.

A command of a script passes the same checks as one of its client, with the texts that Redis has for scripts, and runs
through the same handlers on the same connection. What it writes goes to the peers as records, like any write; the
script itself goes nowhere. Nothing in it may suspend: a key that only a peer has is asked for before the script begins,
if it is among its KEYS.

A script that runs for long (scripting/scripts.py) suspends its session for a millisecond between two slices. Meanwhile
`node.busy` has dispatch hold back all commands but a few, and after `--lua-time-limit` refuse them. The fast paths are
off (PING and ECHO answer nevertheless).
"""

from collections import deque
from collections.abc import Callable
from typing import NoReturn

from respram.catalog import COMMANDS, Command, find
from respram.catalog.keys import keys_of
from respram.commands import acl_check
from respram.commands.access import ask_for_missing
from respram.commands.node import DEBUG, INFO, WARNING, Conn, Node, Suspend
from respram.commands.notify import observe
from respram.commands.pausing import SPREADING
from respram.commands.refusals import refuse, refuse_unnamed
from respram.commands.reply import OK, Error, OverrunError, Raw, Reply, Simple, encode, split_replies
from respram.commands.running import OOM, call, count_error, let_go_on
from respram.commands.shared_scripts import find_shared, forget_shared, is_shared, share, share_text
from respram.commands.texts import NOT_AN_INTEGER, REDIS_VERSION, help_of
from respram.commands.truth import NOT_KNOWN
from respram.engine.api import LOG_WANTED, LOOK_BYTES, MAY_WANTED, Session
from respram.errors import ClientError
from respram.integers import parse_int
from respram.scripting.cache import Cached, digest_of
from respram.scripting.runtime import (
    BULK,
    ENCODED,
    FAILED,
    FAULT,
    NULLED,
    NUMBER,
    RESP,
    STATUS,
    Answer,
    CompileError,
    NoLuaError,
    Outcome,
)
from respram.scripting.scripts import Bounds, Scripts

DIGEST_CHARACTERS = 40
LIVES = frozenset({b"ttl", b"pttl", b"expiretime", b"pexpiretime"})
SCRIPT_REPLY_BYTES_MAX = 64 << 20  # of one call; Lua's own limit is usually lower
# of a reply: whoever makes such looks at the clock, as the hook of Lua does once in a hundred commands
LONG_BYTES = 4_096
PAUSE_MS = 1  # between two slices of a script that runs for long
# Then it gives way for the first time. Peers suspect a node that is silent for 1.5 s, and decide about its keys.
ALONE_MS_MAX = 500
BROKEN_BYTES_MAX = 100  # of Lua's message where it is no error table, as Redis cuts it

NO_SCRIPT = ClientError(b"NOSCRIPT No matching script. Please use EVAL.")
TOO_MANY_KEYS = ClientError(b"ERR Number of keys can't be greater than number of args")
NEGATIVE_KEYS = ClientError(b"ERR Number of keys can't be negative")
WRITES = ClientError(b"ERR Can not execute a script with write flag using *_ro command.")
SPENT = ClientError(b"ERR Script ended: those before it in its transaction ran for as long as a script may")
NOT_BUSY = ClientError(b"NOTBUSY No scripts in execution right now.")
UNKILLABLE = ClientError(
    b"UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the "
    b"script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)
FLUSH_OPTIONS = ClientError(b"ERR SCRIPT FLUSH only support SYNC|ASYNC option")
# What is told to a script; Lua puts ERR before them.
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
HELP = (
    b"SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"EXISTS <sha1> [<sha1> ...]",
    b"    Whether each of these scripts is in the cache.",
    b"FLUSH [ASYNC|SYNC]",
    b"    Forget all scripts.",
    b"KILL",
    b"    End the script that runs for too long, if it has written nothing.",
    b"LOAD <script>",
    b"    Keep a script without running it; answers with its digest.",
    b"HELP",
    b"    Shows this text.",
)


# -- what a script asks for ---------------------------------------------------------------------------
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
        # to its first commands: the engine ran them, and handed the script over
        self.replies: deque[bytes] | None = None
        self.is_fast = conn.session.hot and not self.read_only  # whether its commands may use fast paths
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
                if len(reply) > LONG_BYTES:
                    self.scripts.judge()
                return _answer_of(reply)
        command = find(argv[0].lower(), argv[1].lower() if len(argv) > 1 else b"")
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
            # a share for each: what they take together is bounded by time
            conn.node.engine.allow(LOOK_BYTES * len(argv))
            if self.scripts.judge():
                return ENDED
            said = call(conn, command, argv)
            if command.name in LIVES and self._is_implicit(argv[1]):
                said = -1
        except ClientError as error:
            count_error(conn, error.text)
            return Answer(None, FAULT, b"-" + error.text)
        except OverrunError:
            return TOO_LONG_FOR_SCRIPTS
        return _answer(said, self.proto)

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
    """Of a fast path's reply in RESP2."""
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


def _answer(reply: Reply, proto: int) -> Answer:
    if isinstance(reply, (bytes, int)):
        return Answer(reply)
    if reply is None:
        return Answer(False if proto == 2 else None)
    if isinstance(reply, Simple):
        return Answer(None, STATUS, reply.text)
    if isinstance(reply, Error):
        return Answer(None, FAULT, b"-" + reply.text)
    try:
        return Answer(None, ENCODED, encode(reply, proto, SCRIPT_REPLY_BYTES_MAX) or b"$-1\r\n")
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
    command = find(argv[0].lower(), argv[1].lower() if len(argv) > 1 else b"")
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
        return encode(call(conn, command, argv), session.proto, SCRIPT_REPLY_BYTES_MAX) or b"$-1\r\n"
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
    command = find(argv[0].lower(), argv[1].lower() if len(argv) > 1 else b"")
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


# -- EVAL and its kin ---------------------------------------------------------------------------------
def _scripts(conn: Conn, name: bytes) -> Scripts:
    node = conn.node
    if node.scripts is None:
        limits = node.limits
        bounds = Bounds(
            limits.script_ms_max,
            limits.script_memory_bytes_max,
            limits.scripts_max,
            limits.scripts_bytes_max,
        )
        try:
            node.scripts = Scripts(bounds, REDIS_VERSION, node.micros, node.engine)
        except NoLuaError:
            refuse(conn, name, b"lua")
        node.engine.aside = run_aside
    node.scripts.bounds.time_max_ms = node.limits.script_ms_max  # CONFIG SET may have changed it
    return node.scripts


def _evaluate(conn: Conn, argv: list[bytes], name: bytes, *, by_digest: bool, read_only: bool) -> Reply:
    scripts = _scripts(conn, name)
    given = conn.node.engine.take_replies()
    if conn.node.busy is conn:
        running = scripts.running
        assert running is not None and isinstance(running.host, Calls)
        return _go_on(conn, running.digest, running.host, scripts.resume)
    text = argv[1]
    if by_digest and len(text) != DIGEST_CHARACTERS:
        raise NO_SCRIPT
    count = parse_int(argv[2])
    if count is None:
        raise NOT_AN_INTEGER
    if count > len(argv) - 3:
        raise TOO_MANY_KEYS
    if count < 0:
        raise NEGATIVE_KEYS
    digest = text.lower() if by_digest else digest_of(text)
    entry = scripts.cache.find(digest)
    if entry is None:
        shared = find_shared(conn, digest) if by_digest else text
        if shared is None:
            raise NO_SCRIPT
        _load(scripts, shared)
        entry = scripts.cache.find(digest)
        assert entry is not None
    share(conn, digest, entry)
    if entry.flags is not None:
        if read_only and entry.writes:
            raise WRITES
        if entry.grows and conn.node.engine.full():
            raise OOM
    keys, arguments = argv[3 : 3 + count], argv[3 + count :]
    calls = Calls(conn, scripts, name, entry, keys, read_only=read_only)
    if given:
        calls.replies = deque(split_replies(given))
    else:
        ask_for_missing(conn, keys)
    may_wait, proto = not conn.executing, conn.session.proto
    # those of one EXEC have it together
    slice_us = conn.node.limits.script_busy_ms * 1000 - (0 if may_wait else conn.scripts_us)
    if may_wait:
        slice_us = min(slice_us, ALONE_MS_MAX * 1000)
    if slice_us <= 0:
        raise SPENT
    begun_us = conn.node.micros()
    try:
        return _go_on(
            conn,
            digest,
            calls,
            lambda: scripts.run(digest, entry, calls, keys, arguments, proto, may_wait=may_wait, slice_us=slice_us),
        )
    finally:
        conn.scripts_us += conn.node.micros() - begun_us


def _go_on(conn: Conn, digest: bytes, calls: Calls, step: Callable[[], Outcome | None]) -> Reply:
    node = conn.node
    calls.enter()
    try:
        outcome = step()
    finally:
        calls.leave()
        if node.busy is conn and (node.scripts is None or node.scripts.running is None):
            _end_busy(node)
    if outcome is None:
        _give_way(conn, digest)
    return _reply(conn, outcome, digest)


def _give_way(conn: Conn, digest: bytes) -> NoReturn:
    """Raises Suspend, for the next slice."""
    node = conn.node
    assert node.scripts is not None and node.scripts.running is not None
    if node.busy is None:
        node.busy = conn
        node.busy_told_us = node.scripts.running.started_us + node.limits.script_busy_ms * 1000
        node.busy_logged = False
        observe(node)
    if not node.busy_logged and node.micros() >= node.busy_told_us:
        node.busy_logged = True
        node.log(
            f"event=slow_script client={conn.id} sha1={digest.decode()} ms={node.limits.script_busy_ms}: others "
            "are told BUSY"
        )
    raise Suspend(conn.now_ms + PAUSE_MS)


def _end_busy(node: Node) -> None:
    node.busy = None
    observe(node)
    let_go_on(node)


def abandon(conn: Conn) -> None:
    """Ends the script of a client that is gone, which made other clients get BUSY."""
    node = conn.node
    assert node.scripts is not None and node.scripts.running is not None
    calls = node.scripts.running.host
    assert isinstance(calls, Calls)
    calls.enter()
    try:
        node.scripts.abandon()
    finally:
        calls.leave()
        _end_busy(node)


def _reply(conn: Conn, outcome: Outcome, digest: bytes) -> Reply:
    kind, value = outcome.kind, outcome.value
    if kind in (BULK, NUMBER):
        assert isinstance(value, (bytes, int))
        return value
    if kind == NULLED:
        return None
    assert isinstance(value, bytes)
    if kind == RESP:
        return Raw(value)
    if kind != FAILED:
        raise ClientError(_one_line(b"ERR Error running script %b, %b" % (digest, value[:BROKEN_BYTES_MAX])))
    text = value.split(b"\0", 1)[0]
    if outcome.source:
        text += b" script: %b, on %b:%b." % (digest, outcome.source.split(b"\0", 1)[0], outcome.line)
    text = _one_line(text)
    if not outcome.told:
        count_error(conn, b"ERR")  # not by its first word, which a script may have taken from a value
    return Error(text)


def _one_line(text: bytes) -> bytes:
    return text.strip(b"\r\n").translate(_BLANKS)


_BLANKS = bytes(32 if byte in (10, 13) else byte for byte in range(256))


def _load(scripts: Scripts, text: bytes) -> bytes:
    try:
        return scripts.load(text)
    except CompileError as error:
        raise ClientError(
            _one_line(b"ERR Error compiling script (new function): " + error.text.split(b"\0", 1)[0])
        ) from None


def eval_command(conn: Conn, argv: list[bytes]) -> Reply:
    return _evaluate(conn, argv, b"eval", by_digest=False, read_only=False)


def evalsha(conn: Conn, argv: list[bytes]) -> Reply:
    return _evaluate(conn, argv, b"evalsha", by_digest=True, read_only=False)


def eval_ro(conn: Conn, argv: list[bytes]) -> Reply:
    return _evaluate(conn, argv, b"eval_ro", by_digest=False, read_only=True)


def evalsha_ro(conn: Conn, argv: list[bytes]) -> Reply:
    return _evaluate(conn, argv, b"evalsha_ro", by_digest=True, read_only=True)


# -- SCRIPT -------------------------------------------------------------------------------------------
def script_load(conn: Conn, argv: list[bytes]) -> Reply:
    digest = _load(_scripts(conn, b"script|load"), argv[2])
    share_text(conn, digest, argv[2])
    return digest


def script_exists(conn: Conn, argv: list[bytes]) -> Reply:
    scripts = _scripts(conn, b"script|exists")
    return [int(digest.lower() in scripts.cache or is_shared(conn, digest.lower())) for digest in argv[2:]]


def script_flush(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) > 3 or (len(argv) == 3 and argv[2].lower() not in (b"sync", b"async")):
        raise FLUSH_OPTIONS
    _scripts(conn, b"script|flush").flush()
    forget_shared(conn)
    return OK


def script_kill(conn: Conn, argv: list[bytes]) -> Reply:
    scripts = _scripts(conn, b"script|kill")
    if scripts.running is None:
        raise NOT_BUSY
    if scripts.running.wrote:
        raise UNKILLABLE
    scripts.kill()
    return OK


def facts(node: Node) -> tuple[int, int, int]:
    """For INFO: scripts in the cache, the bytes of their texts, the memory of Lua."""
    scripts = node.scripts
    return (0, 0, 0) if scripts is None else (len(scripts.cache), scripts.cache.bytes, scripts.used_bytes())


HANDLERS = {
    b"eval": eval_command,
    b"evalsha": evalsha,
    b"eval_ro": eval_ro,
    b"evalsha_ro": evalsha_ro,
    b"script|exists": script_exists,
    b"script|flush": script_flush,
    b"script|help": help_of(HELP),
    b"script|kill": script_kill,
    b"script|load": script_load,
}
