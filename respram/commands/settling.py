"""A command about a crowd (engine/settling.py) waits while members that have ended are destroyed, a slice at a time.

The engine's fast paths leave such a command to `dispatch`. A transaction and a script are checked for all of their keys
before they begin, because they cannot wait once they have begun.
"""

from collections.abc import Iterable, Iterator

from respram.catalog import find
from respram.catalog.keys import key_positions
from respram.commands.node import Conn, Suspend, Watched
from respram.commands.truth import Queued, database, database_of
from respram.engine.settling import ENDED_AT_ONCE, KEYS_UNASKED_MAX

WAIT_MS = 2  # before a command looks again
# Clients that wait are woken one after the other: thousands of them at one moment would hold up everybody else.
WOKEN_EACH_MS = 20


def await_settled(conn: Conn, *commands: Queued) -> None:
    """Raises Suspend while members of the collections of these commands, which are to run together, have ended and are
    not destroyed yet.
    """
    if conn.node.engine.crowded or any(len(argv) > KEYS_UNASKED_MAX for _, argv in commands):
        _await(conn, _names(conn, commands))


def await_further(conn: Conn, argv: list[bytes]) -> None:
    """The same for a command whose reply is being made in pieces."""
    if conn.node.engine.crowded and (command := find(argv[0].lower(), b"")) is not None:
        try:
            await_settled(conn, (command, argv))
        finally:
            conn.was_held = False  # it has begun


def await_together(conn: Conn) -> None:
    """The same for EXEC."""
    engine = conn.node.engine
    if not engine.crowded:
        return
    if not engine.settle_queued(conn.session, conn.now_ms):
        _wait(conn)
    _await(conn, conn.watched)
    if conn.queue:
        _await(conn, _names(conn, conn.queue))


def _await(conn: Conn, names: Iterable[Watched]) -> None:
    settle, now_ms, left = conn.node.engine.settle, conn.now_ms, ENDED_AT_ONCE
    for db, key in names:
        ended = settle(db, key, now_ms)
        if ended < 0 or ended > left:
            _wait(conn)
        left -= ended


def _wait(conn: Conn) -> None:
    node = conn.node
    conn.was_held = True
    node.woken_ms = max(conn.now_ms + WAIT_MS, node.woken_ms + 1 / WOKEN_EACH_MS)
    raise Suspend(int(node.woken_ms))


def _names(conn: Conn, commands: Iterable[Queued]) -> Iterator[Watched]:
    """Database and key of all that the commands name."""
    db = conn.session.db
    for command, argv in commands:
        if command.name == b"select":
            db = database(argv[1], db)
        elif command.key_specs:
            for position, _ in key_positions(command, argv) or ():
                yield database_of(command, argv, position, db), argv[position]
