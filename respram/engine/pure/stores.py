"""A whole collection as the result of a hot command: SINTERSTORE, ZUNIONSTORE, ZRANGESTORE and their kin. The twin of
native/stores.c.

It is a write over whatever is under the key, with the default TTL. A result of nothing would remove the key: that is
for `dispatch`, which knows who may.
"""

from respram.engine.api import HOT_BYTES_MAX, STORED_BYTES, Session
from respram.engine.pure import family
from respram.engine.pure.effort import STORED_US
from respram.engine.pure.keyspace import Keyspace
from respram.record import NAME_LENGTH

FRAME_BYTES = 32  # cost of a part of a reply, as in the native engine

Member = tuple[bytes, bytes]  # name and value


def store_members(
    keyspace: Keyspace, session: Session, target: bytes, kind: int, members: list[Member], event: bytes, now_ms: int
) -> bytes | None:
    """The reply. None: it is for `dispatch`, and nothing has changed."""
    names = [name for name, _ in members]
    if len(target) + sum(FRAME_BYTES + len(name) for name in names) > HOT_BYTES_MAX:
        return None
    if any(NAME_LENGTH.size + len(target) + len(name) > keyspace.settings.bulk_bytes_max for name in names):
        return None
    if not members:
        return b":0\r\n" if keyspace.row(session.db, target, now_ms) is None else None
    keyspace.let_go(session.db, target, now_ms, b"")
    family.found(keyspace, session.db, target, kind, now_ms + keyspace.settings.default_ttl_ms, True, now_ms)
    keyspace.defaulted += 1
    keyspace.moved += len(members) * STORED_BYTES
    keyspace.effort.us += len(members) * STORED_US
    for name, value in members:
        family.put_member(keyspace, session.db, target, name, value, None, now_ms)
    if keyspace.observer is not None:
        keyspace.observer(event, session.db, target)
    return b":%d\r\n" % len(members)
