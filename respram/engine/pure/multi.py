"""Queues hot commands for MULTI, which EXEC runs in one go. The twin of native/multi.c."""

from collections import deque
from typing import Protocol, runtime_checkable

from respram.catalog import Command
from respram.catalog.hot import looks_itself
from respram.engine.api import KEPT_BYTES_MAX, Session
from respram.engine.pure.keyspace import Keyspace

QUEUED = b"+QUEUED\r\n"
OK = b"+OK\r\n"
WATCHED_BYTES_MAX = 4096  # of one session; a session that watches more is served by `dispatch`, which counts them
WATCHED_BYTES = 32  # overhead of a key, as in the native engine

Stamps = dict[tuple[int, bytes], tuple[int, int]]


@runtime_checkable
class Watching(Protocol):
    """The part of a session that this file uses."""

    watching: Stamps


class Kept:
    __slots__ = ("commands", "work", "bytes")

    def __init__(self) -> None:
        self.commands: deque[list[bytes]] = deque()
        self.work = 0  # keys that the queued commands name
        self.bytes = 0  # of the queued arguments

    def add(self, command: Command, argv: list[bytes], keeping: int, full: bool) -> bool:
        """Queues a command. False: it is for `dispatch`. Arguments other than their number are checked at EXEC."""
        is_one = not looks_itself(command) and (command.has_key or not command.key_specs)
        work = 1 if is_one else len(argv) - 1
        size = sum(map(len, argv))
        if self.work + work > keeping or self.bytes + size > KEPT_BYTES_MAX:
            return False
        if not abs(command.arity) <= len(argv) <= command.most or (command.writes and full):
            return False
        self.commands.append(argv)
        self.work += work
        self.bytes += size
        return True

    def drop(self) -> None:
        self.commands.clear()
        self.work = self.bytes = 0


def multi(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """Where nothing speaks against keeping what follows. EXEC and DISCARD behind it are the feed's own."""
    if not session.keeps or len(argv) != 1:
        return None
    session.begun = True
    session.hot = False
    session.keeping = session.keeps
    return b"+OK\r\n"


def without_multi(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return None


# -- WATCH and UNWATCH --------------------------------------------------------------------------------
def watch(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """Of strings that are there. No later state of a key has the stamp of an earlier one, so it is compared alone. A
    key that is missing has none: `dispatch` watches for its coming.
    """
    assert isinstance(session, Watching)
    watching = session.watching
    if session.watches or not session.keeps or len(argv) < 2:
        return None
    rows = [keyspace.row(session.db, key, now_ms) for key in argv[1:]]
    size = sum(_size(key) for _, key in watching) + sum(map(_size, argv[1:]))
    if size > WATCHED_BYTES_MAX or None in rows:
        return None
    for row in rows:
        assert row is not None
        watching.setdefault((session.db, row.key), (row.clock, row.node))
    return OK


def unwatch(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if session.watches or len(argv) != 1:
        return None
    session.take_watched()
    return OK


def is_changed(keyspace: Keyspace, watching: Stamps, now_ms: int) -> bool:
    rows = ((keyspace.row(db, key, now_ms), stamp) for (db, key), stamp in watching.items())
    return any(row is None or (row.clock, row.node) != stamp for row, stamp in rows)


def _size(key: bytes) -> int:
    return (WATCHED_BYTES + len(key) + 7) & ~7
