"""Commands about hashes: fields with values, each of which may end by itself.

A field is a member of a family of records, so fields of one hash that two nodes write are both kept. HSET takes a
field's own deadline away, as in Redis; what changes a part of a value keeps it.
"""

from respram.commands.collections import (
    begin,
    current_collection,
    draw_count,
    drawn,
    drawn_one,
    is_long,
    let_go_members,
    member,
    members,
    own_deadline,
    put_member,
    read_collection,
    scan_members,
    tell,
    told,
)
from respram.commands.counters import NOT_FINITE, OVERFLOW
from respram.commands.node import Conn
from respram.commands.reply import OK, Reply
from respram.commands.texts import NOT_A_FLOAT, NOT_AN_INTEGER, SYNTAX, wrong_arity
from respram.engine.telling import TELL_NAMES, TELL_VALUES
from respram.errors import ClientError
from respram.integers import INT64_MAX, INT64_MIN, parse_float, parse_int, parse_ratio
from respram.longdouble import formatted, rounded
from respram.record import HASH

NOT_A_HASH_INTEGER = ClientError.saying(b"ERR hash value is not an integer")
NOT_A_HASH_FLOAT = ClientError.saying(b"ERR hash value is not a float")


def hset(conn: Conn, argv: list[bytes]) -> Reply:
    return _set(conn, argv)


def hmset(conn: Conn, argv: list[bytes]) -> Reply:
    _set(conn, argv)
    return OK


def _set(conn: Conn, argv: list[bytes]) -> int:
    key = argv[1]
    if len(argv) % 2:
        raise wrong_arity(argv[0].lower())
    if current_collection(conn, key, HASH) is None:
        begin(conn, key, HASH)
    new = sum(put_member(conn, key, name, value) for name, value in zip(argv[2::2], argv[3::2], strict=True))
    tell(conn, key, b"hset")
    return new


def hsetnx(conn: Conn, argv: list[bytes]) -> Reply:
    key, name, value = argv[1:]
    entry = current_collection(conn, key, HASH)
    if entry is None:
        begin(conn, key, HASH)
    elif member(conn, key, name) is not None:
        return 0
    put_member(conn, key, name, value)
    tell(conn, key, b"hset")
    return 1


def hget(conn: Conn, argv: list[bytes]) -> Reply:
    return _value(conn, argv[1], argv[2]) if read_collection(conn, argv[1], HASH) is not None else None


def _value(conn: Conn, key: bytes, name: bytes) -> bytes | None:
    found = member(conn, key, name)
    return None if found is None else found.value


def hmget(conn: Conn, argv: list[bytes]) -> Reply:
    there = read_collection(conn, argv[1], HASH) is not None
    return [_value(conn, argv[1], name) if there else None for name in argv[2:]]


def hgetall(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read_collection(conn, argv[1], HASH)
    if entry is None:
        return {}
    if is_long(conn, entry):
        return told(conn, argv[1], entry, b"%", TELL_NAMES | TELL_VALUES)
    return {one.name: one.value for one in members(conn, argv[1])}


def hkeys(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read_collection(conn, argv[1], HASH)
    return [] if entry is None else told(conn, argv[1], entry, b"*", TELL_NAMES)


def hvals(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read_collection(conn, argv[1], HASH)
    return [] if entry is None else told(conn, argv[1], entry, b"*", TELL_VALUES)


def hlen(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read_collection(conn, argv[1], HASH)
    return 0 if entry is None else entry.length


def hexists(conn: Conn, argv: list[bytes]) -> Reply:
    return int(read_collection(conn, argv[1], HASH) is not None and member(conn, argv[1], argv[2]) is not None)


def hstrlen(conn: Conn, argv: list[bytes]) -> Reply:
    value = _value(conn, argv[1], argv[2]) if read_collection(conn, argv[1], HASH) is not None else None
    return 0 if value is None else len(value)


def hdel(conn: Conn, argv: list[bytes]) -> Reply:
    if current_collection(conn, argv[1], HASH) is None:
        return 0
    return let_go_members(conn, argv[1], argv[2:], b"hdel")


def hscan(conn: Conn, argv: list[bytes]) -> Reply:
    cursor, found = scan_members(conn, argv, HASH)
    if _names_alone(argv[3:]):
        return [cursor, [one.name for one in found]]
    return [cursor, [part for one in found for part in (one.name, one.value)]]


def _names_alone(words: list[bytes]) -> bool:
    """NOVALUES, where an option stands and no pattern."""
    at = 0
    while at < len(words):
        if words[at].lower() == b"novalues":
            return True
        at += 2
    return False


def hrandfield(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        one = drawn_one(conn, argv[1], HASH)
        return None if one is None else one.name
    with_values = len(argv) == 4 and argv[3].lower() == b"withvalues"
    count = draw_count(argv[2], with_values)
    if len(argv) > 4 or (len(argv) == 4 and not with_values):
        raise SYNTAX
    if read_collection(conn, argv[1], HASH) is None:
        return []
    found = drawn(conn, argv[1], count)
    if not with_values:
        return [one.name for one in found]
    if conn.reply_proto == 3:
        return [[one.name, one.value] for one in found]
    return [part for one in found for part in (one.name, one.value)]


# -- counting ---------------------------------------------------------------------------------------------
def hincrby(conn: Conn, argv: list[bytes]) -> Reply:
    key, name = argv[1], argv[2]
    step = parse_int(argv[3])
    if step is None:
        raise NOT_AN_INTEGER
    entry = current_collection(conn, key, HASH)
    before = member(conn, key, name) if entry is not None else None
    value = parse_int(before.value) if before is not None else 0
    if value is None:
        raise NOT_A_HASH_INTEGER
    value += step
    if not INT64_MIN <= value <= INT64_MAX:
        raise OVERFLOW
    if entry is None:
        begin(conn, key, HASH)
    put_member(conn, key, name, b"%d" % value, own_deadline(before))
    tell(conn, key, b"hincrby")
    return value


def hincrbyfloat(conn: Conn, argv: list[bytes]) -> Reply:
    key, name = argv[1], argv[2]
    step = parse_ratio(argv[3])
    if step is None and parse_float(argv[3]) is None:
        raise NOT_A_FLOAT
    if step is None:
        raise NOT_A_FINITE_STEP
    entry = current_collection(conn, key, HASH)
    before = member(conn, key, name) if entry is not None else None
    old = parse_ratio(before.value) if before is not None else parse_ratio(b"0")
    if old is None:
        raise NOT_FINITE if before is not None and parse_float(before.value) is not None else NOT_A_HASH_FLOAT
    exact_old, exact_step = rounded(old), rounded(step)
    value = None if exact_old is None or exact_step is None else rounded(exact_old + exact_step)
    if value is None:
        raise NOT_FINITE
    text = formatted(value)
    if entry is None:
        begin(conn, key, HASH)
    put_member(conn, key, name, text, own_deadline(before))
    tell(conn, key, b"hincrbyfloat")
    return text


NOT_A_FINITE_STEP = ClientError.saying(b"ERR value is NaN or Infinity")


HANDLERS = {
    b"hdel": hdel,
    b"hexists": hexists,
    b"hget": hget,
    b"hgetall": hgetall,
    b"hincrby": hincrby,
    b"hincrbyfloat": hincrbyfloat,
    b"hkeys": hkeys,
    b"hlen": hlen,
    b"hmget": hmget,
    b"hmset": hmset,
    b"hrandfield": hrandfield,
    b"hscan": hscan,
    b"hset": hset,
    b"hsetnx": hsetnx,
    b"hstrlen": hstrlen,
    b"hvals": hvals,
}
