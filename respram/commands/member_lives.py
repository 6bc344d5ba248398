"""TTLs of members: HEXPIRE and its relatives, HTTL and its relatives, HSETEX, HGETEX, HGETDEL.

The words and replies are Redis 7.4's and 8.0's for hashes; HEXPIRE and HTTL take sets and sorted sets as well here. A
field's deadline may lie behind its hash's: then it ends with the hash, unless that gets more time. A time that is not
in the future lets go of the field, if the user may DEL.
"""

from respram.commands.access import glance
from respram.commands.collections import (
    begin,
    checked,
    current_collection,
    let_go_members,
    member,
    own_deadline,
    put_member,
    read_collection,
    tell,
    tell_gone,
)
from respram.commands.deadlines import INT64_MAX, deadline_for
from respram.commands.letting_go import may_let_go
from respram.commands.node import Conn
from respram.commands.refusals import refuse
from respram.commands.reply import Reply
from respram.commands.texts import NOT_AN_INTEGER, SYNTAX, WRONG_TYPE, invalid_expire
from respram.engine.api import Entry, Member
from respram.errors import ClientError
from respram.integers import parse_int
from respram.record import HASH

NO_FIELDS = ClientError.saying(b"ERR Mandatory argument FIELDS is missing or not at the right position")
FEW_FIELDS = ClientError.saying(b"ERR Parameter `numFields` should be greater than 0")
WRONG_COUNT = ClientError.saying(b"ERR The `numfields` parameter must match the number of arguments")
WRONG_SET_COUNT = ClientError.saying(b"ERR wrong number of arguments")
NEGATIVE_TIME = ClientError.saying(b"ERR invalid expire time, must be >= 0")
CONDITIONS = (b"nx", b"xx", b"gt", b"lt")
UNITS = {b"ex": (True, False), b"px": (False, False), b"exat": (True, True), b"pxat": (False, True)}

ABSENT, NOT_MET, DONE, GONE = -2, 0, 1, 2  # HEXPIRE's replies for a field
NO_LIFE = -1  # HTTL's reply for a field with the deadline of its hash


def _fields(words: list[bytes], width: int = 1) -> list[bytes]:
    """Behind `FIELDS n`: n fields, or pairs."""
    if len(words) < 2 or words[0].lower() != b"fields":
        raise NO_FIELDS
    count = parse_int(words[1])
    if count is None or count < 1:
        raise FEW_FIELDS
    if len(words) - 2 != count * width:
        raise WRONG_COUNT
    return words[2:]


def _any_collection(entry: Entry | None) -> Entry | None:
    if entry is not None and not entry.kind:
        raise WRONG_TYPE
    return entry


# -- HEXPIRE and its kin ------------------------------------------------------------------------------------
def _expire(conn: Conn, argv: list[bytes], *, seconds: bool, absolute: bool) -> Reply:
    name, key = argv[0].lower(), argv[1]
    ttl_ms = _life_ms(conn, name, argv[2], seconds=seconds, absolute=absolute)
    words, condition = argv[3:], b""
    if words and words[0].lower() in CONDITIONS:
        condition, words = words[0].lower(), words[1:]
    fields = _fields(words)
    if _any_collection(conn.node.engine.peek(conn.session.db, key, conn.now_ms)) is None:
        return [ABSENT for _ in fields]
    if ttl_ms <= 0 and not may_let_go(conn, key):
        refuse(conn, name, b"delete", key=key)
    replies: list[Reply] = []
    for field in fields:
        replies.append(_expire_one(conn, key, field, ttl_ms, condition))
    if DONE in replies:
        tell(conn, key, b"hexpire")
    if GONE in replies:
        tell_gone(conn, key, b"hdel")
    return replies


def _life_ms(conn: Conn, name: bytes, text: bytes, *, seconds: bool, absolute: bool) -> int:
    value = parse_int(text)
    if value is None:
        raise NOT_AN_INTEGER
    if value < 0:
        raise NEGATIVE_TIME
    value_ms = value * 1000 if seconds else value
    if value_ms > INT64_MAX - (0 if absolute else conn.now_ms):
        raise invalid_expire(name)
    return value_ms - conn.now_ms if absolute else value_ms


def _expire_one(conn: Conn, key: bytes, field: bytes, ttl_ms: int, condition: bytes) -> int:
    before = member(conn, key, field)
    if before is None:
        return ABSENT
    if not _allowed(before, condition, conn.now_ms + ttl_ms):
        return NOT_MET
    if ttl_ms <= 0:
        conn.node.engine.let_go_member(conn.session.db, key, field, conn.now_ms)
        return GONE
    put_member(conn, key, field, before.value, deadline_for(conn, ttl_ms)[0])
    return DONE


def _allowed(before: Member, condition: bytes, deadline_ms: int) -> bool:
    """A field without a life of its own counts as one that never ends."""
    if condition == b"nx":
        return not before.own
    if condition == b"xx":
        return before.own
    if condition == b"gt":
        return before.own and deadline_ms > before.deadline_ms
    if condition == b"lt":
        return not before.own or deadline_ms < before.deadline_ms
    return True


def hexpire(conn: Conn, argv: list[bytes]) -> Reply:
    return _expire(conn, argv, seconds=True, absolute=False)


def hpexpire(conn: Conn, argv: list[bytes]) -> Reply:
    return _expire(conn, argv, seconds=False, absolute=False)


def hexpireat(conn: Conn, argv: list[bytes]) -> Reply:
    return _expire(conn, argv, seconds=True, absolute=True)


def hpexpireat(conn: Conn, argv: list[bytes]) -> Reply:
    return _expire(conn, argv, seconds=False, absolute=True)


# -- HTTL and its kin ---------------------------------------------------------------------------------------
def _lives(conn: Conn, argv: list[bytes], from_ms: int, unit_ms: int) -> Reply:
    fields = _fields(argv[2:])
    if _any_collection(glance(conn, argv[1])) is None:
        return [ABSENT for _ in fields]
    replies: list[Reply] = []
    for field in fields:
        one = member(conn, argv[1], field)
        if one is None or not one.own:
            replies.append(ABSENT if one is None else NO_LIFE)
        else:
            replies.append((one.deadline_ms - from_ms + unit_ms - 1) // unit_ms)
    return replies


def httl(conn: Conn, argv: list[bytes]) -> Reply:
    return _lives(conn, argv, conn.now_ms, 1000)


def hpttl(conn: Conn, argv: list[bytes]) -> Reply:
    return _lives(conn, argv, conn.now_ms, 1)


def hexpiretime(conn: Conn, argv: list[bytes]) -> Reply:
    return _lives(conn, argv, 0, 1000)


def hpexpiretime(conn: Conn, argv: list[bytes]) -> Reply:
    return _lives(conn, argv, 0, 1)


# -- with values --------------------------------------------------------------------------------------------
def _timed(conn: Conn, name: bytes, unit: bytes, number: bytes) -> int:
    seconds, absolute = UNITS[unit]
    value = parse_int(number)
    if value is None:
        raise NOT_AN_INTEGER
    if value <= 0:
        raise invalid_expire(name)
    return _life_ms(conn, name, number, seconds=seconds, absolute=absolute)


def hsetex(conn: Conn, argv: list[bytes]) -> Reply:
    """HSETEX key [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS n field value ..."""
    key, words = argv[1], argv[2:]
    condition, ttl_ms, keeps = b"", None, False
    while words and words[0].lower() != b"fields":
        word = words[0].lower()
        if word in (b"fnx", b"fxx") and not condition:
            condition, words = word, words[1:]
        elif word == b"keepttl" and ttl_ms is None and not keeps:
            keeps, words = True, words[1:]
        elif word in UNITS and len(words) > 1 and ttl_ms is None and not keeps:
            ttl_ms, words = _timed(conn, b"hsetex", word, words[1]), words[2:]
        else:
            raise SYNTAX
    pairs = _fields(words, 2)
    entry = current_collection(conn, key, HASH)
    before = {name: member(conn, key, name) if entry is not None else None for name in pairs[::2]}
    there = [one is not None for one in before.values()]
    if (condition == b"fnx" and any(there)) or (condition == b"fxx" and not all(there)):
        return 0
    if ttl_ms is not None and ttl_ms <= 0:
        if any(there) and not may_let_go(conn, key):
            refuse(conn, b"hsetex", b"delete", key=key)
        let_go_members(conn, key, list(before), b"hdel")
        return 1
    if entry is None:
        begin(conn, key, HASH)
    deadline_ms = None if ttl_ms is None else deadline_for(conn, ttl_ms)[0]
    for name, value in zip(pairs[::2], pairs[1::2], strict=True):
        put_member(conn, key, name, value, own_deadline(before[name]) if keeps else deadline_ms)
    tell(conn, key, b"hset")
    if ttl_ms is not None:
        tell(conn, key, b"hexpire")
    return 1


def hgetex(conn: Conn, argv: list[bytes]) -> Reply:
    """HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS n field ..."""
    key, words = argv[1], argv[2:]
    ttl_ms = None
    if words and words[0].lower() == b"persist":
        _fields(words[1:])
        refuse(conn, b"hgetex", b"persisting", key=key)
    if len(words) > 1 and words[0].lower() in UNITS:
        ttl_ms, words = _timed(conn, b"hgetex", words[0].lower(), words[1]), words[2:]
    fields = _fields(words)
    if read_collection(conn, key, HASH) is None:
        return [None for _ in fields]
    found = {field: member(conn, key, field) for field in fields}
    known = {field: one for field, one in found.items() if one is not None}
    values: list[Reply] = [None if (one := found[field]) is None else one.value for field in fields]
    if ttl_ms is None or not known:
        return values
    if ttl_ms <= 0:
        if not may_let_go(conn, key):
            refuse(conn, b"hgetex", b"delete", key=key)
        let_go_members(conn, key, list(known), b"hdel")
        return values
    deadline_ms = deadline_for(conn, ttl_ms)[0]
    for field, one in known.items():
        put_member(conn, key, field, one.value, deadline_ms)
    tell(conn, key, b"hexpire")
    return values


def hgetdel(conn: Conn, argv: list[bytes]) -> Reply:
    fields = _fields(argv[2:])
    if checked(glance(conn, argv[1]), HASH) is None:
        return [None for _ in fields]
    found = [member(conn, argv[1], field) for field in fields]
    let_go_members(conn, argv[1], fields, b"hdel")
    return [None if one is None else one.value for one in found]


HANDLERS = {
    b"hexpire": hexpire,
    b"hexpireat": hexpireat,
    b"hexpiretime": hexpiretime,
    b"hgetdel": hgetdel,
    b"hgetex": hgetex,
    b"hpexpire": hpexpire,
    b"hpexpireat": hpexpireat,
    b"hpexpiretime": hpexpiretime,
    b"hpttl": hpttl,
    b"hsetex": hsetex,
    b"httl": httl,
}
