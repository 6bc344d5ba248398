"""Running one command: its handler is called, timed and counted. Below the handlers, so that EXEC can call it too.

The handlers are in the table that `handlers.py` fills: a handler that runs others (EXEC, scripts) would otherwise
import the file that imports it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable

from respram.catalog import Command
from respram.catalog.keys import keys_of
from respram.commands.invalidation import remember
from respram.commands.node import Conn, Node, Suspend
from respram.commands.reply import Reply
from respram.commands.slowlog import note_slow
from respram.commands.stats import MICROS_BOUNDS, CommandStat
from respram.errors import AllowanceError, ClientError

Handler = Callable[[Conn, list[bytes]], Reply]

HANDLERS: dict[bytes, Handler] = {}  # by full name

READS_TOO_MUCH = ClientError.saying(
    b"ERR the command or transaction reads more than twice proto-max-bulk-len of values and members"
)
OOM = ClientError.saying(b"OOM command not allowed when used memory > 'maxmemory'.")
KEY_TOO_LONG = ClientError.saying(b"ERR key is longer than key-size-limit")
GIVES_NAMES = frozenset({b"rename", b"renamenx", b"smove"})  # what makes a key, beside the commands that need memory


HELD_MS_MAX = 3_600_000  # for who is woken when the script ends, and not told BUSY before
BUSY = ClientError.saying(b"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.")


def wait_while_paused(conn: Conn, commands: Iterable[Command]) -> None:
    """Raises Suspend when one of the commands, which are to run together, must wait for the end of a pause."""
    if conn.node.pause.holds(conn.now_ms, commands):
        conn.was_held = True
        raise Suspend(conn.node.pause.until_ms)


def wait_for_script(conn: Conn) -> None:
    """For a command that another client's script keeps waiting: raises Suspend, and after `--lua-time-limit` BUSY.

    A command that waited already, for a key or for peers, waits on until the script ends, as in Redis.
    """
    node = conn.node
    left_ms = HELD_MS_MAX
    if not conn.blocked_until_ms and conn.wait_state is None:
        left_ms = -((node.micros() - node.busy_told_us) // 1000)
        if left_ms <= 0:
            raise BUSY
    conn.was_held = True
    node.held[conn] = None
    raise Suspend(conn.now_ms + left_ms)


def let_go_on(node: Node) -> None:
    """Wakes the clients that waited for the end of a script."""
    held, node.held = node.held, {}
    for conn in held:
        if conn.was_held:
            conn.wake()


def call(conn: Conn, command: Command, argv: list[bytes]) -> Reply:
    """Runs one command, timed and counted. EXEC calls it for each that was queued."""
    node = conn.node
    if conn.last_command != command.name:
        conn.last_command = command.name
    stat = node.stats.by_command.get(command.name)
    if stat is None:
        stat = node.stats.by_command[command.name] = CommandStat()
    started = node.micros()
    try:
        if command.grows or command.name in GIVES_NAMES:
            _refuse_long_keys(node.limits.key_bytes_max, command, argv)
        reply = HANDLERS[command.name](conn, argv)
    except ClientError:
        _account(conn, command, argv, stat, started, failed=True)
        raise
    except MemoryError:
        _account(conn, command, argv, stat, started, failed=True)
        raise OOM from None
    except AllowanceError:
        _account(conn, command, argv, stat, started, failed=True)
        raise READS_TOO_MUCH from None
    _account(conn, command, argv, stat, started, failed=False)
    if conn.tracking is not None:
        remember(conn, command, argv)
    return reply


def _refuse_long_keys(bytes_max: int, command: Command, argv: list[bytes]) -> None:
    if any(len(word) > bytes_max for word in argv) and any(len(key) > bytes_max for key in keys_of(command, argv)):
        raise KEY_TOO_LONG


def _account(conn: Conn, command: Command, argv: list[bytes], stat: CommandStat, started: int, failed: bool) -> None:
    """A command that failed took its time too. One that waits is counted when it has run."""
    micros = conn.node.micros() - started
    conn.node.stats.commands += 1
    stat.calls += 1
    stat.failed += failed
    stat.micros += micros
    stat.times[bisect_left(MICROS_BOUNDS, micros)] += 1
    note_slow(conn, command, argv, micros)
    conn.node.engine.took(micros)


def count_error(conn: Conn, text: bytes) -> None:
    count_errors(conn.node, text, 1)


def count_errors(node: Node, text: bytes, times: int) -> None:
    errors = node.stats.errors
    word = text.split(b" ", 1)[0][:32]
    if word in errors or len(errors) < node.limits.error_kinds_max:
        errors[word] = errors.get(word, 0) + times
