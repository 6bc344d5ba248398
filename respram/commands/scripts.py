"""EVAL EVALSHA EVAL_RO EVALSHA_RO SCRIPT. What a script's `redis.call` does is in script_calls.py.

What a script writes goes to the peers as records, like any write; the script itself goes nowhere. Nothing in it may
suspend: a key that only a peer has is asked for before the script begins, if it is among its KEYS.

A script that runs for long (scripting/scripts.py) suspends its session for a millisecond between two slices. Meanwhile
`node.busy` has dispatch hold back all commands but a few, and after `--lua-time-limit` refuse them. The fast paths are
off (PING and ECHO answer nevertheless).
"""

from collections import deque
from collections.abc import Callable
from typing import NoReturn

from respram.commands.access import ask_for_missing
from respram.commands.node import Conn, Node, Suspend
from respram.commands.notify import observe
from respram.commands.refusals import refuse
from respram.commands.reply import OK, Error, Raw, Reply, split_replies
from respram.commands.running import OOM, count_error, let_go_on
from respram.commands.script_calls import Calls, run_aside
from respram.commands.shared_scripts import find_shared, forget_shared, is_shared, share, share_text
from respram.commands.texts import NOT_AN_INTEGER, REDIS_VERSION, help_of
from respram.errors import ClientError
from respram.integers import parse_int
from respram.scripting.cache import digest_of
from respram.scripting.runtime import (
    BULK,
    FAILED,
    NULLED,
    NUMBER,
    RESP,
    CompileError,
    NoLuaError,
    Outcome,
)
from respram.scripting.scripts import Bounds, Scripts

DIGEST_CHARACTERS = 40
PAUSE_MS = 1  # between two slices of a script that runs for long
# Time until a script first gives way. Peers suspect a node that is silent for 1.5 s, and decide about its keys.
ALONE_MS_MAX = 500
BROKEN_BYTES_MAX = 100  # of Lua's message where it is no error table, as Redis cuts it

NO_SCRIPT = ClientError.saying(b"NOSCRIPT No matching script. Please use EVAL.")
TOO_MANY_KEYS = ClientError.saying(b"ERR Number of keys can't be greater than number of args")
NEGATIVE_KEYS = ClientError.saying(b"ERR Number of keys can't be negative")
WRITES = ClientError.saying(b"ERR Can not execute a script with write flag using *_ro command.")
SPENT = ClientError.saying(
    b"ERR Script ended: the scripts of its transaction have used up the time that one script may take"
)
NOT_BUSY = ClientError.saying(b"NOTBUSY No scripts in execution right now.")
UNKILLABLE = ClientError.saying(
    b"UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the "
    b"script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)
FLUSH_OPTIONS = ClientError.saying(b"ERR SCRIPT FLUSH only support SYNC|ASYNC option")
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
    # the scripts of one EXEC share it
    slice_us = conn.node.limits.script_busy_ms * 1000 - (0 if may_wait else conn.scripts_us)
    if may_wait:
        slice_us = min(slice_us, ALONE_MS_MAX * 1000)
    if slice_us <= 0:
        raise SPENT
    begun_us, worked_us = conn.node.micros(), conn.node.worked_us()
    try:
        return _go_on(
            conn,
            digest,
            calls,
            lambda: scripts.run(digest, entry, calls, keys, arguments, proto, may_wait=may_wait, slice_us=slice_us),
        )
    finally:
        conn.scripts_us += conn.node.micros() - begun_us
        conn.exec_end_us += conn.node.worked_us() - worked_us


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
            f"event=slow_script client={conn.id} sha1={digest.decode()} ms={node.limits.script_busy_ms}: other "
            "clients get BUSY"
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
