"""Hot commands of hashes and sets. The twin of native/fields.c."""

from respram.engine.api import HOT_ARGS_MAX, HOT_BYTES_MAX, HOT_REPLY_BYTES_MAX, Session
from respram.engine.pure import family
from respram.engine.pure.effort import TOLD_US
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.reads import NIL, bulk
from respram.engine.pure.record import Row
from respram.engine.telling import RETRIED_MEMBERS_MAX
from respram.integers import INT64_MAX, INT64_MIN, parse_int
from respram.record import DATABASES, HASH, NAME_LENGTH, SET, member_key, name_of

DIGITS_BYTES = 20
FRAME_BYTES = 32  # cost of a part of a reply, as in the native engine

Reply = bytes | None


# -- writing ------------------------------------------------------------------------------------------
def hset(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    added = _set(keyspace, session, argv, now_ms)
    return None if added is None else b":%d\r\n" % added


def hmset(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return None if _set(keyspace, session, argv, now_ms) is None else b"+OK\r\n"


def _set(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> int | None:
    if (
        len(argv) < 4
        or len(argv) % 2
        or len(argv) > HOT_ARGS_MAX
        or keyspace.full()
        or not are_short(keyspace, argv, 2, 2)
    ):
        return None
    there = _is_there(keyspace, session, argv, HASH, now_ms)
    if there is None:
        return None
    _count(keyspace, there)
    if not there:
        begin(keyspace, session, argv, HASH, now_ms)
    pairs = zip(argv[2::2], argv[3::2], strict=True)
    added = sum(family.put_member(keyspace, session.db, argv[1], name, value, None, now_ms) for name, value in pairs)
    tell(keyspace, b"hset", session, argv)
    return added


def hsetnx(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    if len(argv) != 4 or keyspace.full() or not are_short(keyspace, argv, 2, 2):
        return None
    there = _is_there(keyspace, session, argv, HASH, now_ms)
    if there is None:
        return None
    _count(keyspace, there)
    if there and _member(keyspace, session, argv, HASH, argv[2], now_ms) is not None:
        return b":0\r\n"
    if not there:
        begin(keyspace, session, argv, HASH, now_ms)
    family.put_member(keyspace, session.db, argv[1], argv[2], argv[3], None, now_ms)
    tell(keyspace, b"hset", session, argv)
    return b":1\r\n"


def hincrby(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    step = parse_int(argv[3]) if len(argv) == 4 else None
    if step is None or keyspace.full():
        return None
    size = NAME_LENGTH.size + len(argv[1]) + len(argv[2]) + DIGITS_BYTES
    there = _is_there(keyspace, session, argv, HASH, now_ms)
    if there is None or size > min(HOT_BYTES_MAX, keyspace.settings.bulk_bytes_max):
        return None
    row = _member(keyspace, session, argv, HASH, argv[2], now_ms) if there else None
    number = parse_int(keyspace.read(row)) if row is not None else 0
    if number is None or not INT64_MIN <= number + step <= INT64_MAX:
        return None
    own_ms = row.deadline_ms if row is not None and not row.implicit else None
    _count(keyspace, there)
    if not there:
        begin(keyspace, session, argv, HASH, now_ms)
    digits = b"%d" % (number + step)
    family.put_member(keyspace, session.db, argv[1], argv[2], digits, own_ms, now_ms)
    tell(keyspace, b"hincrby", session, argv)
    return b":%b\r\n" % digits


def sadd(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    if len(argv) < 3 or len(argv) > HOT_ARGS_MAX or keyspace.full() or not are_short(keyspace, argv, 2, 1):
        return None
    there = _is_there(keyspace, session, argv, SET, now_ms)
    if there is None:
        return None
    _count(keyspace, there)
    if not there:
        begin(keyspace, session, argv, SET, now_ms)
    added = 0
    for name in argv[2:]:
        if _member(keyspace, session, argv, SET, name, now_ms) is None:
            family.put_member(keyspace, session.db, argv[1], name, b"", None, now_ms)
            added += 1
    if added:
        tell(keyspace, b"sadd", session, argv)
    return b":%d\r\n" % added


def hdel(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return let_go_members(keyspace, session, argv, HASH, now_ms)


def srem(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return let_go_members(keyspace, session, argv, SET, now_ms)


def let_go_members(keyspace: Keyspace, session: Session, argv: list[bytes], kind: int, now_ms: int) -> Reply:
    """Removes members, for a user with the right by name. With the last member the key is removed."""
    there = _is_there(keyspace, session, argv, kind, now_ms) if 3 <= len(argv) <= HOT_ARGS_MAX else None
    if there is None:
        return None
    _count(keyspace, there)
    gone = 0
    if there:
        gone = sum(family.let_go_member(keyspace, session.db, argv[1], name, now_ms) for name in argv[2:])
    if gone:
        tell(keyspace, family.LET_GO[kind], session, argv)
        if keyspace.row(session.db, argv[1], now_ms) is None:
            tell(keyspace, b"del", session, argv)
    return b":%d\r\n" % gone


# -- reading ------------------------------------------------------------------------------------------
def hget(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    there = _is_there(keyspace, session, argv, HASH, now_ms) if len(argv) == 3 else None
    if there is None:
        return None
    _count(keyspace, there)
    row = _member(keyspace, session, argv, HASH, argv[2], now_ms) if there else None
    return NIL[session.proto] if row is None else bulk(keyspace.read(row))


def hmget(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    there = _is_there(keyspace, session, argv, HASH, now_ms) if 3 <= len(argv) <= HOT_ARGS_MAX else None
    if there is None:
        return None
    rows = [_member(keyspace, session, argv, HASH, name, now_ms) if there else None for name in argv[2:]]
    if sum(len(row.value or b"") for row in rows if row is not None) > HOT_REPLY_BYTES_MAX:
        return None
    _count(keyspace, there)
    nil = NIL[session.proto]
    return b"*%d\r\n%b" % (len(rows), b"".join(nil if row is None else bulk(keyspace.read(row)) for row in rows))


def hgetall(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    rows = _rows(keyspace, session, argv, HASH, now_ms)
    if rows is None:
        return None
    head = b"%%%d\r\n" % len(rows) if session.proto == 3 else b"*%d\r\n" % (2 * len(rows))
    return head + b"".join(bulk(name_of(row.key)) + bulk(keyspace.read(row)) for row in rows)


def hkeys(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    rows = _rows(keyspace, session, argv, HASH, now_ms)
    return None if rows is None else b"*%d\r\n%b" % (len(rows), b"".join(bulk(name_of(row.key)) for row in rows))


def hvals(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    rows = _rows(keyspace, session, argv, HASH, now_ms)
    return None if rows is None else b"*%d\r\n%b" % (len(rows), b"".join(bulk(keyspace.read(row)) for row in rows))


def smembers(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    rows = _rows(keyspace, session, argv, SET, now_ms)
    if rows is None:
        return None
    mark = b"~" if session.proto == 3 else b"*"
    return b"%b%d\r\n%b" % (mark, len(rows), b"".join(bulk(name_of(row.key)) for row in rows))


def _rows(keyspace: Keyspace, session: Session, argv: list[bytes], kind: int, now_ms: int) -> list[Row] | None:
    """All members, as they came, as long as none went. None: too many to be told at once, or another kind of key."""
    there = _is_there(keyspace, session, argv, kind, now_ms) if len(argv) == 2 else None
    if there is None:
        return None
    rows: list[Row] = []
    if there:
        its = keyspace.families.found[kind * DATABASES + session.db, argv[1]]
        rows = its.rows[its.dying :]
    size = FRAME_BYTES + sum(2 * FRAME_BYTES + len(row.key) + len(row.value or b"") for row in rows)
    if size > HOT_REPLY_BYTES_MAX or (session.retried and len(rows) > RETRIED_MEMBERS_MAX):
        return None
    keyspace.moved += size  # the frames of a walk's replies count too
    keyspace.effort.us += len(rows) * TOLD_US
    _count(keyspace, there)
    return rows


def hstrlen(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    there = _is_there(keyspace, session, argv, HASH, now_ms) if len(argv) == 3 else None
    if there is None:
        return None
    _count(keyspace, there)
    row = _member(keyspace, session, argv, HASH, argv[2], now_ms) if there else None
    return b":%d\r\n" % (0 if row is None else len(row.value or b""))


def smismember(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    there = _is_there(keyspace, session, argv, SET, now_ms) if 3 <= len(argv) <= HOT_ARGS_MAX else None
    if there is None:
        return None
    _count(keyspace, there)
    keyspace.effort.us += (len(argv) - 2) * TOLD_US
    found = (there and _member(keyspace, session, argv, SET, name, now_ms) is not None for name in argv[2:])
    return b"*%d\r\n%b" % (len(argv) - 2, b"".join(b":%d\r\n" % one for one in found))


def hexists(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _has(keyspace, session, argv, HASH, now_ms)


def sismember(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _has(keyspace, session, argv, SET, now_ms)


def _has(keyspace: Keyspace, session: Session, argv: list[bytes], kind: int, now_ms: int) -> Reply:
    there = _is_there(keyspace, session, argv, kind, now_ms) if len(argv) == 3 else None
    if there is None:
        return None
    _count(keyspace, there)
    return b":%d\r\n" % (there and _member(keyspace, session, argv, kind, argv[2], now_ms) is not None)


def hlen(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _length(keyspace, session, argv, HASH, now_ms)


def scard(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _length(keyspace, session, argv, SET, now_ms)


def _length(keyspace: Keyspace, session: Session, argv: list[bytes], kind: int, now_ms: int) -> Reply:
    there = _is_there(keyspace, session, argv, kind, now_ms) if len(argv) == 2 else None
    if there is None:
        return None
    _count(keyspace, there)
    return b":%d\r\n" % (keyspace.families.found[kind * DATABASES + session.db, argv[1]].count if there else 0)


# -- the collection -----------------------------------------------------------------------------------
def _is_there(keyspace: Keyspace, session: Session, argv: list[bytes], kind: int, now_ms: int) -> bool | None:
    """Whether there is a collection of this kind; None: there is another kind of key."""
    head = keyspace.row(session.db, argv[1], now_ms)
    if head is None:
        return False
    return True if head.kind == kind else None


def _count(keyspace: Keyspace, there: bool) -> None:
    keyspace.hits += there
    keyspace.misses += not there


def begin(keyspace: Keyspace, session: Session, argv: list[bytes], kind: int, now_ms: int) -> None:
    family.found(keyspace, session.db, argv[1], kind, now_ms + keyspace.settings.default_ttl_ms, True, now_ms)
    keyspace.defaulted += 1


def _member(keyspace: Keyspace, session: Session, argv: list[bytes], kind: int, name: bytes, now_ms: int) -> Row | None:
    return keyspace.row(kind * DATABASES + session.db, member_key(argv[1], name), now_ms)


def tell(keyspace: Keyspace, event: bytes, session: Session, argv: list[bytes]) -> None:
    if keyspace.observer is not None:
        keyspace.observer(event, session.db, argv[1])


def are_short(keyspace: Keyspace, argv: list[bytes], first: int, step: int) -> bool:
    """Whether names from `first` on, with what stands behind each up to `step`, are what a command may bring. Which is
    too long `dispatch` says.
    """
    key_bytes = NAME_LENGTH.size + len(argv[1])
    sizes = [sum(map(len, argv[at : at + step])) for at in range(first, len(argv), step)]
    return key_bytes + max(sizes) <= keyspace.settings.bulk_bytes_max and key_bytes + sum(sizes) <= HOT_BYTES_MAX
