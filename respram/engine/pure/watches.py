"""WATCH, UNWATCH, and what EXEC compares. The twin of native/watches.c.

No later state of a key has the stamp of an earlier one, so a key that was there is compared by its stamp alone. A
collection has a version and a number of members besides, because its members have stamps of their own. A key that was
missing has no stamp, and can come and go in between: each time one comes, its `Awaited` counts it.
"""

from typing import Protocol, runtime_checkable
from weakref import WeakValueDictionary

from respram.engine.api import LENGTH_SHIFT, VERSION_SHIFT, Session
from respram.engine.pure import family
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.record import Awaited

OK = b"+OK\r\n"
WATCHED_BYTES_MAX = 4096  # of one session; a session that watches more is served by `dispatch`, which counts them
WATCHED_BYTES = 56  # overhead of a key, as in the native engine

Stamp = tuple[int, int]
Name = tuple[int, bytes]  # database, key


@runtime_checkable
class Watching(Protocol):
    """The part of a session that this file uses."""

    watching: dict[Name, Stamp | None]
    awaiting: list[tuple[Awaited, int]]  # missing keys, and how often each had come


def watch(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    assert isinstance(session, Watching)
    watching = session.watching
    if session.watches or not session.multi_keys_max or len(argv) < 2:
        return None
    if sum(_size(key) for _, key in watching) + sum(map(_size, argv[1:])) > WATCHED_BYTES_MAX:
        return None
    for key in argv[1:]:
        name = session.db, key
        if name not in watching:
            watching[name] = stamp_of(keyspace, name, now_ms)
            if watching[name] is None:
                await_key(keyspace, session, name)
    return OK


def unwatch(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if session.watches or len(argv) != 1:
        return None
    session.forget_watched()
    return OK


def stamp_of(keyspace: Keyspace, name: Name, now_ms: int) -> Stamp | None:
    row = keyspace.row(*name, now_ms)
    if row is None or not row.kind:
        return None if row is None else (row.clock, row.node)
    its = family.family_of(keyspace, row)
    return row.clock, row.node + (its.version << VERSION_SHIFT) + (its.count << LENGTH_SHIFT)


def is_changed(keyspace: Keyspace, session: Session, now_ms: int) -> bool:
    assert isinstance(session, Watching)
    return session.has_come or any(
        stamp_of(keyspace, name, now_ms) != stamp for name, stamp in session.watching.items()
    )


def await_key(keyspace: Keyspace, session: Session, name: Name) -> None:
    assert isinstance(session, Watching)
    awaited: WeakValueDictionary[Name, Awaited] = keyspace.awaited
    one = awaited.get(name)
    if one is None:
        one = awaited[name] = Awaited()
    session.awaiting.append((one, one.comings))


def _size(key: bytes) -> int:
    return (WATCHED_BYTES + len(key) + 7) & ~7
