"""SLOWLOG: commands that took long, without their values.

Redis keeps the arguments as they came. Here an entry is made of what cannot be a secret: the
command, its subcommand, the first key (shortened), and of everything else only the length.
"""

from respram.catalog import Command
from respram.commands.node import Conn, Node
from respram.commands.reply import OK, Reply
from respram.commands.stats import Slow
from respram.commands.texts import help_of, unknown_subcommand
from respram.errors import ClientError
from respram.integers import parse_int

SLOW_ARGS_MAX = 32  # arguments of one entry, as in Redis; a last one says how many were left out
SLOW_KEY_BYTES_MAX = 64  # of the first key, as shown
SLOW_NAME_BYTES_MAX = 64  # of the client's name, as stored
SHOWN_BY_DEFAULT = 10  # entries that SLOWLOG GET shows without a number

HELP = (
    b"SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"GET [<count>]",
    b"    The newest entries (10 unless told, -1: all), each with id, Unix time, microseconds,",
    b"    command with the lengths of its values, client address and client name.",
    b"LEN",
    b"    How many entries there are.",
    b"RESET",
    b"    Forgets all entries.",
    b"HELP",
    b"    Shows this text.",
)


def note_slow(conn: Conn, command: Command, argv: list[bytes], micros: int) -> None:
    """Called after every command that was timed; keeps those at or above the threshold."""
    node = conn.node
    threshold_us = node.limits.slow_threshold_us
    if micros < threshold_us or threshold_us < 0 or b"skip_slowlog" in command.flags:
        return
    entry = Slow(
        id=node.slow_id,
        command=command.name,
        ended_us=node.wall_us(),
        micros=micros,
        argv=shortened(command, argv),
        address=conn.address,
        name=conn.name[:SLOW_NAME_BYTES_MAX],
    )
    node.slow_id += 1
    node.slow_log.appendleft(entry)
    trim(node)


def trim(node: Node) -> None:
    """Drops the oldest entries beyond the limit, which CONFIG SET may have lowered."""
    while len(node.slow_log) > node.limits.slow_entries_max:
        node.slow_log.pop()


def shortened(command: Command, argv: list[bytes]) -> list[bytes]:
    """The arguments as the slow log may keep them: no value, and no more than a bounded size."""
    named = 2 if b"|" in command.name else 1
    shown = argv[:named]  # spelled as the client sent it
    for at in range(named, min(len(argv), SLOW_ARGS_MAX)):
        if at == SLOW_ARGS_MAX - 1 and len(argv) > SLOW_ARGS_MAX:
            shown.append(b"... (%d more arguments)" % (len(argv) - SLOW_ARGS_MAX + 1))
        elif at == command.first_key:
            shown.append(_short_key(argv[at]))
        else:
            shown.append(b"(%d bytes)" % len(argv[at]))
    return shown


def _short_key(key: bytes) -> bytes:
    if len(key) <= SLOW_KEY_BYTES_MAX:
        return key
    return b"%b... (%d more bytes)" % (key[:SLOW_KEY_BYTES_MAX], len(key) - SLOW_KEY_BYTES_MAX)


def slowlog_get(conn: Conn, argv: list[bytes]) -> Reply:
    count = SHOWN_BY_DEFAULT
    if len(argv) > 3:
        raise unknown_subcommand(b"slowlog", argv[1])
    if len(argv) == 3:
        wanted = parse_int(argv[2])
        if wanted is None or wanted < -1:
            raise ClientError(b"ERR count should be greater than or equal to -1")
        count = len(conn.node.slow_log) if wanted == -1 else wanted
    entries: list[Reply] = []
    for entry in conn.node.slow_log:
        if len(entries) >= count:
            break
        entries.append(
            [entry.id, entry.ended_us // 1_000_000, entry.micros, list(entry.argv), entry.address, entry.name]
        )
    return entries


def slowlog_len(conn: Conn, argv: list[bytes]) -> Reply:
    return len(conn.node.slow_log)


def slowlog_reset(conn: Conn, argv: list[bytes]) -> Reply:
    conn.node.slow_log.clear()
    return OK


HANDLERS = {
    b"slowlog|get": slowlog_get,
    b"slowlog|len": slowlog_len,
    b"slowlog|reset": slowlog_reset,
    b"slowlog|help": help_of(HELP),
}
