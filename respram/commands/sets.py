"""Commands about sets. A member is a record without a value, so what two nodes add is kept from both.

SINTERSTORE and its kin overwrite their target, as SET does; where the result is empty they delete it in Redis, and so
they let go of it here, for who may DEL.
"""

from collections.abc import Callable, Iterator

from respram.commands.access import ask_for_missing
from respram.commands.collections import (
    STEP_MEMBERS,
    TOLD_AT_ONCE,
    begin,
    checked,
    current_collection,
    draw_count,
    drawn,
    drawn_one,
    is_long,
    let_go_members,
    member,
    members,
    pieces,
    put_member,
    read_collection,
    replace,
    scan_members,
    tell,
    tell_gone,
    told,
    walked,
)
from respram.commands.letting_go import let_go_or_refuse
from respram.commands.node import Conn
from respram.commands.reply import BREATH, Breath, Each, Flags, Reply, Some
from respram.commands.texts import SYNTAX
from respram.engine.api import LOOK_BYTES
from respram.engine.telling import OTHERS_MAX, TELL_NAMES
from respram.errors import ClientError
from respram.integers import parse_int
from respram.record import SET

Names = dict[bytes, bytes]
Combine = Callable[[Conn, list[bytes]], Names]

NO_KEYS = ClientError.saying(b"ERR numkeys should be greater than 0")
TOO_FEW_ARGUMENTS = ClientError.saying(b"ERR Number of keys can't be greater than number of args")
NEGATIVE_LIMIT = ClientError.saying(b"ERR LIMIT can't be negative")
NOT_POSITIVE = ClientError.saying(b"ERR value is out of range, must be positive")


def sadd(conn: Conn, argv: list[bytes]) -> Reply:
    key = argv[1]
    entry = current_collection(conn, key, SET)
    if entry is None:
        begin(conn, key, SET)
    new = 0
    for name in argv[2:]:
        if member(conn, key, name) is None:
            put_member(conn, key, name, b"")
            new += 1
    if new:
        tell(conn, key, b"sadd")
    return new


def srem(conn: Conn, argv: list[bytes]) -> Reply:
    if current_collection(conn, argv[1], SET) is None:
        return 0
    return let_go_members(conn, argv[1], argv[2:], b"srem")


def smove(conn: Conn, argv: list[bytes]) -> Reply:
    source, target, name = argv[1:]
    if current_collection(conn, source, SET) is None:
        return 0
    current_collection(conn, target, SET)
    there = member(conn, source, name)
    if source == target or there is None:
        return int(there is not None)
    let_go_members(conn, source, [name], b"srem")
    if current_collection(conn, target, SET) is None:
        begin(conn, target, SET)
    if member(conn, target, name) is None:
        put_member(conn, target, name, b"")
        tell(conn, target, b"sadd")
    return 1


def spop(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise SYNTAX
    count = parse_int(argv[2]) if len(argv) == 3 else 1
    if count is None or count < 0:
        raise NOT_POSITIVE
    there = current_collection(conn, argv[1], SET) is not None
    names = [one.name for one in drawn(conn, argv[1], count)] if there else []
    for name in names:
        conn.node.engine.let_go_member(conn.session.db, argv[1], name, conn.now_ms)
    if names:
        tell_gone(conn, argv[1], b"spop")
    if len(argv) == 3:
        return Flags(list(names))
    return names[0] if names else None


def sismember(conn: Conn, argv: list[bytes]) -> Reply:
    return int(read_collection(conn, argv[1], SET) is not None and member(conn, argv[1], argv[2]) is not None)


def smismember(conn: Conn, argv: list[bytes]) -> Reply:
    there = read_collection(conn, argv[1], SET) is not None
    return [int(there and member(conn, argv[1], name) is not None) for name in argv[2:]]


def smembers(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read_collection(conn, argv[1], SET)
    if entry is not None and is_long(conn, entry):
        return told(conn, argv[1], entry, b"~", TELL_NAMES)
    return Flags(list(_names(conn, argv[1])))


def scard(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read_collection(conn, argv[1], SET)
    return 0 if entry is None else entry.length


def sscan(conn: Conn, argv: list[bytes]) -> Reply:
    cursor, found = scan_members(conn, argv, SET)
    return [cursor, [one.name for one in found]]


def srandmember(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) == 2:
        one = drawn_one(conn, argv[1], SET)
        return None if one is None else one.name
    if len(argv) > 3:
        raise SYNTAX
    count = draw_count(argv[2])
    if read_collection(conn, argv[1], SET) is None:
        return []
    return [one.name for one in drawn(conn, argv[1], count)]


# -- of several -------------------------------------------------------------------------------------------
def _names(conn: Conn, key: bytes) -> Names:
    """The members of a set; a missing key has none."""
    if read_collection(conn, key, SET) is None:
        return {}
    return {one.name: b"" for one in members(conn, key)}


def _sets(conn: Conn, keys: list[bytes]) -> list[Names]:
    ask_for_missing(conn, keys)
    for key in keys:
        checked(conn.node.engine.peek(conn.session.db, key, conn.now_ms), SET)
    found = {key: _names(conn, key) for key in dict.fromkeys(keys)}  # a set that is named a thousand times is read once
    return [found[key] for key in keys]


def _intersected(conn: Conn, keys: list[bytes]) -> Names:
    one, *others = sorted(_sets(conn, list(dict.fromkeys(keys))), key=len)
    return {name: b"" for name in one if all(name in other for other in others)}


def _united(conn: Conn, keys: list[bytes]) -> Names:
    found: Names = {}
    for its in _sets(conn, list(dict.fromkeys(keys))):
        found |= its  # in place: a new set for each of many small ones would take quadratic time
    return found


def _difference(conn: Conn, keys: list[bytes]) -> Names:
    first, *others = _sets(conn, keys)
    return {name: b"" for name in first if not any(name in other for other in others)}


def sinter(conn: Conn, argv: list[bytes]) -> Reply:
    return _tell(conn, argv[1:], _intersected, lambda keys: _chosen(conn, keys, among=True))


def sunion(conn: Conn, argv: list[bytes]) -> Reply:
    return _tell(conn, argv[1:], _united, lambda keys: pieces(conn, dict.fromkeys(keys), TELL_NAMES))


def sdiff(conn: Conn, argv: list[bytes]) -> Reply:
    return _tell(conn, argv[1:], _difference, lambda keys: _chosen(conn, keys, among=False))


def _tell(
    conn: Conn, keys: list[bytes], combine: Combine, steps: Callable[[list[bytes]], Iterator[Reply | Breath | Some]]
) -> Reply:
    """Replies with members: at one moment, or in steps if there is much to look at."""
    ask_for_missing(conn, keys)
    lengths: dict[bytes, int] = {}
    for key in keys:
        entry = checked(conn.node.engine.peek(conn.session.db, key, conn.now_ms), SET)
        lengths[key] = 0 if entry is None else entry.length
    if conn.executing or sum(lengths[key] for key in keys) <= TOLD_AT_ONCE:
        conn.node.engine.spend(LOOK_BYTES * len(keys))
        return Flags(list(combine(conn, keys)))
    for key in keys:
        read_collection(conn, key, SET)
    if combine is _intersected:
        keys = sorted(dict.fromkeys(keys), key=lengths.__getitem__)
    return Each(steps(keys), b"~")


def _chosen(conn: Conn, keys: list[bytes], *, among: bool) -> "Iterator[Reply | Breath | Some]":
    """The members of the first set that are in all others, or in none."""
    first, *others = keys
    others = list(dict.fromkeys(others))
    if len(others) <= OTHERS_MAX:
        yield from pieces(conn, [first], TELL_NAMES, others, among)
        return
    looks = 0
    for one in walked(conn, first):
        if isinstance(one, Breath):
            yield one
            continue
        for other in others:
            looks += 1
            if not looks % STEP_MEMBERS:
                yield BREATH
            if (member(conn, other, one.name) is not None) is not among:
                break
        else:
            yield one.name


def _store(conn: Conn, argv: list[bytes], combine: Combine) -> int:
    name, target = argv[0].lower(), argv[1]
    conn.node.engine.spend(LOOK_BYTES * (len(argv) - 2))
    found = combine(conn, argv[2:])
    if found:
        replace(conn, target, SET, found, name)
    elif conn.node.engine.peek(conn.session.db, target, conn.now_ms) is not None:
        let_go_or_refuse(conn, name, target)
    return len(found)


def sinterstore(conn: Conn, argv: list[bytes]) -> Reply:
    return _store(conn, argv, _intersected)


def sunionstore(conn: Conn, argv: list[bytes]) -> Reply:
    return _store(conn, argv, _united)


def sdiffstore(conn: Conn, argv: list[bytes]) -> Reply:
    return _store(conn, argv, _difference)


def sintercard(conn: Conn, argv: list[bytes]) -> Reply:
    count = parse_int(argv[1])
    if count is None or not 0 < count < 1 << 63:
        raise NO_KEYS
    if count > len(argv) - 2:
        raise TOO_FEW_ARGUMENTS
    limit, words = 0, argv[2 + count :]
    while words:
        if len(words) < 2 or words[0].lower() != b"limit":
            raise SYNTAX
        number = parse_int(words[1])
        if number is None or number < 0:
            raise NEGATIVE_LIMIT
        limit, words = number, words[2:]
    conn.node.engine.spend(LOOK_BYTES * count)
    found = len(_intersected(conn, argv[2 : 2 + count]))
    return min(found, limit) if limit else found


HANDLERS = {
    b"sadd": sadd,
    b"scard": scard,
    b"sdiff": sdiff,
    b"sdiffstore": sdiffstore,
    b"sinter": sinter,
    b"sintercard": sintercard,
    b"sinterstore": sinterstore,
    b"sismember": sismember,
    b"smembers": smembers,
    b"smismember": smismember,
    b"smove": smove,
    b"spop": spop,
    b"srandmember": srandmember,
    b"srem": srem,
    b"sscan": sscan,
    b"sunion": sunion,
    b"sunionstore": sunionstore,
}
