"""Hot commands about the lives of members: HEXPIRE and its kin, HTTL and its kin, HSETEX, HGETEX, HGETDEL.
The twin of native/lives.c.

A new deadline is a write of the same value: it stays sealed as it is. What would be cut, refused or let go of is for
`dispatch`.
"""

from dataclasses import dataclass

from respram.engine.api import HOT_ARGS_MAX, HOT_REPLY_BYTES_MAX, Session
from respram.engine.pure import family, fields, writes
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.reads import NIL, bulk
from respram.engine.pure.record import Row
from respram.integers import INT64_MAX, parse_int
from respram.record import DATABASES, HASH, member_key

CONDITIONS = (b"nx", b"xx", b"gt", b"lt")
ABSENT, NO_LIFE, NOT_MET, DONE = b":-2\r\n", b":-1\r\n", b":0\r\n", b":1\r\n"

Reply = bytes | None


def _fields(argv: list[bytes], at: int, width: int) -> int | None:
    """Reads what stands behind `FIELDS n`: where names begin, each with a value where `width` is 2. None: it says
    something else."""
    if len(argv) > HOT_ARGS_MAX or at + 2 >= len(argv) or argv[at].lower() != b"fields":
        return None
    count = parse_int(argv[at + 1])
    return at + 2 if count is not None and count >= 1 and count * width == len(argv) - at - 2 else None


def _head(keyspace: Keyspace, session: Session, key: bytes, now_ms: int) -> tuple[bool, Row | None]:
    """A collection of any kind, and whether there is no other kind of key."""
    head = keyspace.row(session.db, key, now_ms)
    return head is None or bool(head.kind), head


def _member(keyspace: Keyspace, head: Row | None, name: bytes, now_ms: int) -> Row | None:
    if head is None:
        return None
    return keyspace.row(head.kind * DATABASES + head.db, member_key(head.key, name), now_ms)


def _count(keyspace: Keyspace, head: Row | None) -> None:
    keyspace.hits += head is not None
    keyspace.misses += head is None


def _retime_member(keyspace: Keyspace, head: Row, row: Row, deadline_ms: int, now_ms: int) -> None:
    """The same value under a deadline of its own."""
    assert row.value is not None
    if deadline_ms > max(head.deadline_ms, head.shadow_ms):
        keyspace.cover(head, deadline_ms, now_ms)
    keyspace.moved += len(row.value)
    keyspace.put(row.db, row.key, row.value, row.seal, deadline_ms, False, now_ms, b"")


# -- HEXPIRE and its kin ------------------------------------------------------------------------------
def hexpire(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _retime(keyspace, session, argv, 1000, 0, now_ms)


def hpexpire(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _retime(keyspace, session, argv, 1, 0, now_ms)


def hexpireat(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _retime(keyspace, session, argv, 1000, now_ms, now_ms)


def hpexpireat(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _retime(keyspace, session, argv, 1, now_ms, now_ms)


def _retime(
    keyspace: Keyspace, session: Session, argv: list[bytes], unit_ms: int, from_ms: int, now_ms: int
) -> Reply:  # fmt: skip
    if len(argv) < 6:
        return None
    condition = word if (word := argv[3].lower()) in CONDITIONS else b""
    first, number = _fields(argv, 4 if condition else 3, 1), parse_int(argv[2])
    if first is None or number is None or not 0 <= number * unit_ms <= INT64_MAX or keyspace.full():
        return None
    ttl_ms = number * unit_ms - from_ms
    fits, head = _head(keyspace, session, argv[1], now_ms)
    if not fits or not 0 < ttl_ms <= keyspace.settings.max_ttl_ms:
        return None
    _count(keyspace, head)
    replies: list[bytes] = []
    for name in argv[first:]:
        row = _member(keyspace, head, name, now_ms)
        if row is None or head is None:
            replies.append(ABSENT)
        elif not _may_retime(condition, row, now_ms + ttl_ms):
            replies.append(NOT_MET)
        else:
            _retime_member(keyspace, head, row, now_ms + ttl_ms, now_ms)
            replies.append(DONE)
    if DONE in replies:
        fields.tell(keyspace, b"hexpire", session, argv)
    return b"*%d\r\n%b" % (len(replies), b"".join(replies))


def _may_retime(condition: bytes, row: Row, deadline_ms: int) -> bool:
    """Whether the condition allows the new deadline. A field without a life of its own counts as one that never
    ends."""
    if condition == b"nx":
        return row.implicit
    if condition == b"xx":
        return not row.implicit
    if condition == b"gt":
        return not row.implicit and deadline_ms > row.deadline_ms
    if condition == b"lt":
        return row.implicit or deadline_ms < row.deadline_ms
    return True


# -- HTTL and its kin ---------------------------------------------------------------------------------
def httl(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _lives(keyspace, session, argv, 1000, now_ms, now_ms)


def hpttl(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _lives(keyspace, session, argv, 1, now_ms, now_ms)


def hexpiretime(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _lives(keyspace, session, argv, 1000, 0, now_ms)


def hpexpiretime(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _lives(keyspace, session, argv, 1, 0, now_ms)


def _lives(
    keyspace: Keyspace, session: Session, argv: list[bytes], unit_ms: int, from_ms: int, now_ms: int
) -> Reply:  # fmt: skip
    first = _fields(argv, 2, 1)
    if first is None:
        return None
    fits, head = _head(keyspace, session, argv[1], now_ms)
    if not fits:
        return None
    _count(keyspace, head)
    replies = [_life(_member(keyspace, head, name, now_ms), unit_ms, from_ms) for name in argv[first:]]
    return b"*%d\r\n%b" % (len(replies), b"".join(replies))


def _life(row: Row | None, unit_ms: int, from_ms: int) -> bytes:
    if row is None or row.implicit:
        return ABSENT if row is None else NO_LIFE
    return b":%d\r\n" % ((row.deadline_ms - from_ms + unit_ms - 1) // unit_ms)


# -- with values --------------------------------------------------------------------------------------
@dataclass(slots=True)
class Wanted:
    """The options of HSETEX before FIELDS, each given once."""

    ttl_ms: int | None = None
    condition: bytes = b""
    keeps: bool = False
    first: int = 0


def hsetex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    wanted = _wanted(keyspace, argv, now_ms)
    if wanted is None or keyspace.full() or not fields.are_short(keyspace, argv, wanted.first, 2):
        return None
    head = keyspace.row(session.db, argv[1], now_ms)
    if head is not None and head.kind != HASH:
        return None
    _count(keyspace, head)
    names, values = argv[wanted.first :: 2], argv[wanted.first + 1 :: 2]
    there = [_member(keyspace, head, name, now_ms) is not None for name in names]
    if (wanted.condition == b"fnx" and any(there)) or (wanted.condition == b"fxx" and not all(there)):
        return b":0\r\n"
    if head is None:
        fields.begin(keyspace, session, argv, HASH, now_ms)
    for name, value in zip(names, values, strict=True):
        deadline_ms = None if wanted.ttl_ms is None else now_ms + wanted.ttl_ms
        if wanted.keeps:
            row = _member(keyspace, keyspace.head(session.db, argv[1], now_ms), name, now_ms)
            deadline_ms = row.deadline_ms if row is not None and not row.implicit else None
        family.put_member(keyspace, session.db, argv[1], name, value, deadline_ms, now_ms)
    fields.tell(keyspace, b"hset", session, argv)
    if wanted.ttl_ms is not None:
        fields.tell(keyspace, b"hexpire", session, argv)
    return b":1\r\n"


def _wanted(keyspace: Keyspace, argv: list[bytes], now_ms: int) -> Wanted | None:
    wanted, at = Wanted(), 2
    while at < len(argv) and (word := argv[at].lower()) != b"fields":
        timed = wanted.keeps or wanted.ttl_ms is not None
        if not wanted.condition and word in (b"fnx", b"fxx"):
            wanted.condition = word
        elif not timed and word == b"keepttl":
            wanted.keeps = True
        elif timed or at + 1 == len(argv):
            return None
        else:
            at += 1
            wanted.ttl_ms = writes.life_ms(keyspace, word.upper(), argv[at], now_ms)
            if wanted.ttl_ms is None:
                return None
        at += 1
    first = _fields(argv, at, 2)
    if first is None:
        return None
    wanted.first = first
    return wanted


def _reply_fields(keyspace: Keyspace, session: Session, rows: list[Row | None]) -> bytes | None:
    """The values of the rows. None: they are too long for a fast path."""
    if sum(len(row.value or b"") for row in rows if row is not None) > HOT_REPLY_BYTES_MAX:
        return None
    nil = NIL[session.proto]
    values = b"".join(nil if row is None else bulk(keyspace.opened(row)) for row in rows)
    return b"*%d\r\n%b" % (len(rows), values)


def hgetex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    """HGETEX key [EX s | PX ms | EXAT s | PXAT ms] FIELDS n field ..."""
    if len(argv) < 5:
        return None
    timed = argv[2].lower() != b"fields"
    first = _fields(argv, 4 if timed else 2, 1)
    ttl_ms = writes.life_ms(keyspace, argv[2].upper(), argv[3], now_ms) if timed else None
    if first is None or (timed and ttl_ms is None):
        return None
    head = keyspace.row(session.db, argv[1], now_ms)
    if head is not None and head.kind != HASH:
        return None
    rows, known = [_member(keyspace, head, name, now_ms) for name in argv[first:]], False
    reply = _reply_fields(keyspace, session, rows)
    if reply is None:
        return None
    _count(keyspace, head)
    for row in rows:
        if row is not None and head is not None and ttl_ms is not None:
            _retime_member(keyspace, head, row, now_ms + ttl_ms, now_ms)
            known = True
    if known:
        fields.tell(keyspace, b"hexpire", session, argv)
    return reply


def hgetdel(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    """HGETDEL key FIELDS n field ..., for a user with the right by name."""
    first = _fields(argv, 2, 1)
    head = None if first is None else keyspace.row(session.db, argv[1], now_ms)
    if first is None or (head is not None and head.kind != HASH):
        return None
    rows = [_member(keyspace, head, name, now_ms) for name in argv[first:]]
    reply = _reply_fields(keyspace, session, rows)
    if reply is None:
        return None
    _count(keyspace, head)
    if sum(family.let_go_member(keyspace, session.db, argv[1], name, now_ms) for name in argv[first:]):
        fields.tell(keyspace, b"hdel", session, argv)
        if keyspace.row(session.db, argv[1], now_ms) is None:
            fields.tell(keyspace, b"del", session, argv)
    return reply
