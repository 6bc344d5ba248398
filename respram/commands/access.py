"""Reads and rewrites one key for handlers: the engine's primitives plus what every command must do besides.

A read that finds nothing must ask the peers, if one of them may know more, and raise the `keymiss` event. A write that
changes part of a value must keep the key's deadline and mark. Handlers that use the engine directly need neither.
"""

from respram.commands import notify
from respram.commands.deadlines import deadline_for
from respram.commands.node import Conn, Suspend
from respram.commands.texts import TOO_LONG, WRONG_TYPE
from respram.engine.api import Entry


def read(conn: Conn, key: bytes) -> Entry | None:
    """The live record with its value, for a command that reads strings."""
    return a_string(read_any(conn, key))


def read_any(conn: Conn, key: bytes) -> Entry | None:
    entry = conn.node.engine.lookup(conn.session.db, key, conn.now_ms)
    if entry is None:
        _missed(conn, key)
    return entry


def a_string(entry: Entry | None) -> Entry | None:
    """The value of a string; an error for a collection."""
    if entry is not None and entry.kind:
        raise WRONG_TYPE
    return entry


def ask_for_missing(conn: Conn, keys: list[bytes]) -> None:
    """Asks the peers for all missing keys at once, before several keys are read: one wait instead of one for each."""
    peers, session = conn.node.peers, conn.session
    if peers is None or conn.executing or session.retried or not peers.pulls_useful():
        return
    engine, now_ms = conn.node.engine, conn.now_ms
    _pull(conn, [key for key in dict.fromkeys(keys) if engine.peek(session.db, key, now_ms) is None])


def _missed(conn: Conn, key: bytes) -> None:
    """Another node may have the key: the first read of it waits some milliseconds for an answer."""
    peers, session = conn.node.peers, conn.session
    if peers is not None and not conn.executing and peers.pulls_useful():
        if not session.retried or (session.db, key) not in conn.pulled:
            _pull(conn, [key])
    notify.miss(conn.node, session.db, key)


def _pull(conn: Conn, keys: list[bytes]) -> None:
    """Suspends the command if a peer was asked; it runs again when all answers are there."""
    peers, session = conn.node.peers, conn.session
    assert peers is not None
    if not session.retried:
        conn.pulled.clear()
    patience_ms = 0
    for key in keys:
        conn.pulled.add((session.db, key))
        patience_ms = max(patience_ms, peers.pull(conn, session.db, key))
    if patience_ms:
        raise Suspend(conn.now_ms + patience_ms)


def room(conn: Conn) -> int:
    """How many bytes a reply to this client may have, given what it has not read yet."""
    return max(conn.node.limits.output_buffer_bytes_max - conn.transport.waiting_bytes(), 0)


def overrun(conn: Conn) -> None:
    """A reply has grown beyond what its client may hold unread: the client is closed, before the memory is taken."""
    node = conn.node
    if not conn.session.closing:
        conn.session.closing = True
        node.stats.output_limit_disconnections += 1
        node.log(
            f"event=output_limit client={conn.id} waiting_bytes={conn.transport.waiting_bytes()}: closed before its "
            "reply was made"
        )


def glance(conn: Conn, key: bytes) -> Entry | None:
    """The live record without its value, for a command that reads strings."""
    entry = conn.node.engine.peek(conn.session.db, key, conn.now_ms)
    if entry is None:
        _missed(conn, key)
    return entry


def current(conn: Conn, key: bytes) -> Entry | None:
    """The live record with its value, for a command that will write it: a miss is no event."""
    return a_string(conn.node.engine.lookup(conn.session.db, key, conn.now_ms))


def exists(conn: Conn, key: bytes) -> bool:
    return conn.node.engine.peek(conn.session.db, key, conn.now_ms) is not None


def rewrite(conn: Conn, key: bytes, entry: Entry | None, value: bytes, event: bytes) -> None:
    """A changed value under the old deadline and mark; a key that was missing gets the default TTL."""
    if entry is None:
        deadline_ms, implicit = deadline_for(conn, None)
    else:
        deadline_ms, implicit = entry.deadline_ms, entry.implicit
    conn.node.engine.store(conn.session.db, key, value, deadline_ms, implicit, conn.now_ms, event)


def add(conn: Conn, key: bytes, entry: Entry | None, step: int) -> int:
    """Like `rewrite`, for a counter."""
    if entry is None:
        deadline_ms, implicit = deadline_for(conn, None)
    else:
        deadline_ms, implicit = entry.deadline_ms, entry.implicit
    return conn.node.engine.add(conn.session.db, key, step, deadline_ms, implicit, conn.now_ms, b"incrby")


def write(conn: Conn, key: bytes, value: bytes, ttl_ms: int | None, event: bytes) -> None:
    """A new value with a TTL, or with the default one."""
    deadline_ms, implicit = deadline_for(conn, ttl_ms)
    conn.node.engine.store(conn.session.db, key, value, deadline_ms, implicit, conn.now_ms, event)


def check_length(conn: Conn, size: int) -> None:
    """Refuses a value that has grown beyond what one command could have sent."""
    if size > conn.node.settings.bulk_bytes_max:
        raise TOO_LONG
