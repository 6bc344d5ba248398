"""How handlers read and rewrite one key: the engine's primitives plus what every command owes.

A read that finds nothing owes the `keymiss` event; a write that changes part of a value owes the key
its old deadline and mark. Handlers that go to the engine directly do so because they owe neither.
"""

from respram.commands import notify
from respram.commands.conn import Conn
from respram.commands.deadlines import deadline_for
from respram.commands.texts import TOO_LONG
from respram.engine.api import Entry


def read(conn: Conn, key: bytes) -> Entry | None:
    """The live record with its value, for a command that reads."""
    entry = conn.node.engine.lookup(conn.session.db, key, conn.now_ms)
    if entry is None:
        notify.miss(conn.node, conn.session.db, key)
    return entry


def glance(conn: Conn, key: bytes) -> Entry | None:
    """The same without the value."""
    entry = conn.node.engine.peek(conn.session.db, key, conn.now_ms)
    if entry is None:
        notify.miss(conn.node, conn.session.db, key)
    return entry


def current(conn: Conn, key: bytes) -> Entry | None:
    """The live record with its value, for a command that will write it: a miss is no event."""
    return conn.node.engine.lookup(conn.session.db, key, conn.now_ms)


def exists(conn: Conn, key: bytes) -> bool:
    return conn.node.engine.peek(conn.session.db, key, conn.now_ms) is not None


def rewrite(conn: Conn, key: bytes, entry: Entry | None, value: bytes, event: bytes) -> None:
    """A changed value under the old deadline and mark; a key that was missing gets the default TTL."""
    if entry is None:
        deadline_ms, implicit = deadline_for(conn, None)
    else:
        deadline_ms, implicit = entry.deadline_ms, entry.implicit
    conn.node.engine.store(conn.session.db, key, value, deadline_ms, implicit, conn.now_ms, event)


def write(conn: Conn, key: bytes, value: bytes, ttl_ms: int | None, event: bytes) -> None:
    """A new value with a TTL, or with the default one."""
    deadline_ms, implicit = deadline_for(conn, ttl_ms)
    conn.node.engine.store(conn.session.db, key, value, deadline_ms, implicit, conn.now_ms, event)


def check_length(conn: Conn, size: int) -> None:
    """Refuses a value that has grown beyond what one command could have sent."""
    if size > conn.node.settings.bulk_bytes_max:
        raise TOO_LONG
