"""A whole collection under another key: COPY, and RENAME. The twin of native/copying.c.

Members go from row to row, as they lie: a value's seal tells where it was made, whatever its key and stamp.
"""

from respram.engine.api import HOT_BYTES_MAX, LOOK_BYTES, STORED_BYTES, Session
from respram.engine.pure import family
from respram.engine.pure.effort import STORED_US
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.record import Row
from respram.errors import AllowanceError
from respram.record import DATABASES, NAME_LENGTH, member_key, name_of

COPIED_AT_ONCE = 2048  # members in a fast path; with more, `dispatch` asks what it may take


def copy(keyspace: Keyspace, db: int, key: bytes, target_db: int, target: bytes, now_ms: int) -> None:
    """What was under the target is let go of: its members would show otherwise. AllowanceError: nothing has changed."""
    head = keyspace.head(db, key, now_ms)
    assert head is not None, "there is no collection"
    family.settled(keyspace, head, now_ms)
    size = _size(keyspace, head)
    if keyspace.moved_max is not None and keyspace.moved + size >= keyspace.moved_max:
        raise AllowanceError
    keyspace.moved += size
    _copy(keyspace, head, target_db, target, now_ms)


def collection(
    keyspace: Keyspace, session: Session, head: Row, target: bytes, replaces: bool, now_ms: int
) -> bytes | None:
    """COPY of a collection within its database. None: it is for `dispatch`, and nothing has changed."""
    found = family.family_of(keyspace, head)
    rows = found.rows[found.dying :]
    if len(rows) > COPIED_AT_ONCE:
        return None
    size, longest = _size(keyspace, head), max((len(name_of(row.key)) for row in rows), default=0)
    if (
        size - len(rows) * (LOOK_BYTES + STORED_BYTES) > HOT_BYTES_MAX
        or NAME_LENGTH.size + len(target) + longest > keyspace.settings.bulk_bytes_max
    ):
        return None
    copies = replaces or keyspace.row(session.db, target, now_ms) is None
    keyspace.hits += 1
    if copies:
        keyspace.moved += size
        keyspace.effort.us += len(rows) * STORED_US
        _copy(keyspace, head, session.db, target, now_ms)
        if keyspace.observer is not None:
            keyspace.observer(b"copy_to", session.db, target)
    return b":%d\r\n" % copies


def _size(keyspace: Keyspace, head: Row) -> int:
    """What a copy counts for: all that is looked at and stored."""
    found = family.family_of(keyspace, head)
    return sum(LOOK_BYTES + STORED_BYTES + len(row.value or b"") for row in found.rows[found.dying :])


def _copy(keyspace: Keyspace, head: Row, db: int, target: bytes, now_ms: int) -> None:
    kind, found = head.kind, family.family_of(keyspace, head)
    keyspace.let_go(db, target, now_ms, b"")
    family.found(keyspace, db, target, kind, head.deadline_ms, head.implicit, now_ms)
    for row in found.rows[found.dying :]:
        made = keyspace.head(db, target, now_ms)
        assert made is not None and row.value is not None
        deadline_ms = made.deadline_ms if row.implicit else row.deadline_ms  # one of its own stays
        if deadline_ms <= now_ms:
            continue
        if deadline_ms > max(made.deadline_ms, made.shadow_ms):
            keyspace.cover(made, deadline_ms, now_ms)
        name = member_key(target, name_of(row.key))
        keyspace.put(kind * DATABASES + db, name, row.value, row.seal, deadline_ms, row.implicit, now_ms, b"")
