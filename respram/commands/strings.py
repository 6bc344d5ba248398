"""Commands that read and write whole values or ranges of them. The hot ones are complete here too.

The order of checks is Redis's, because a client that sends two mistakes at once is told of the first.
A SET whose time has already passed is a delete in Redis: it lets go of the key for who may DEL, and is refused
otherwise, once it is clear that it would have been carried out.
"""

from respram.commands import notify
from respram.commands.access import ask_for_missing, check_length, current, exists, read, read_any, rewrite, room, write
from respram.commands.comparing import check_operand, digest_of, holds
from respram.commands.deadlines import deadline_for, expiry_argument
from respram.commands.letting_go import let_go, let_go_or_refuse
from respram.commands.node import Conn
from respram.commands.options import GETEX_WORDS, MSETEX_WORDS, SET_WORDS, Options, parse_options
from respram.commands.refusals import refuse
from respram.commands.reply import OK, OverrunError, Reply
from respram.commands.texts import NOT_AN_INTEGER, OFFSET, wrong_arity
from respram.errors import ClientError
from respram.integers import parse_int

NUMKEYS_MAX = (1 << 31) - 1  # a C int, as in Redis
INVALID_NUMKEYS = ClientError.saying(b"ERR invalid numkeys value")
WRONG_PAIRS = ClientError.saying(b"ERR wrong number of key-value pairs")


def get(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read(conn, argv[1])
    return None if entry is None else entry.value


def mget(conn: Conn, argv: list[bytes]) -> Reply:
    ask_for_missing(conn, argv[1:])
    values: list[Reply] = []
    left = room(conn)
    for key in argv[1:]:
        entry = read_any(conn, key)
        if entry is None or entry.kind:
            values.append(None)
            continue
        left -= entry.length
        if left < 0:
            raise OverrunError
        values.append(entry.value)
    return values


def strlen(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read(conn, argv[1])
    return 0 if entry is None else entry.length


def digest(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read(conn, argv[1])
    return None if entry is None else digest_of(conn, entry.value)


def getrange(conn: Conn, argv: list[bytes]) -> Reply:
    start, end = parse_int(argv[2]), parse_int(argv[3])
    if start is None or end is None:
        raise NOT_AN_INTEGER
    entry = read(conn, argv[1])
    if entry is None or (start < 0 and end < 0 and start > end):
        return b""
    if start < 0:
        start = max(0, start + entry.length)
    if end < 0:
        end = max(0, end + entry.length)
    return entry.value[start : end + 1]


# -- SET and its older forms --------------------------------------------------------------------------


def set_command(conn: Conn, argv: list[bytes]) -> Reply:
    key, value = argv[1], argv[2]
    options = parse_options(argv[3:], SET_WORDS)
    check_operand(options.comparison, options.operand)
    ttl_ms = _ttl_ms(conn, b"set", options)
    entry = None
    if options.get:
        entry = read(conn, key)
    elif options.comparison or options.keep:
        entry = current(conn, key)
    present = entry is not None or (not options.get and exists(conn, key))
    answer: Reply = None if entry is None else entry.value
    matches = holds(conn, entry, options.comparison, options.operand)
    if (options.nx and present) or (options.xx and not present) or not matches:
        return answer if options.get else None
    if ttl_ms is not None and ttl_ms <= 0:
        let_go_or_refuse(conn, b"set", key)
    elif options.keep:
        rewrite(conn, key, entry, value, b"set")
    else:
        _set(conn, key, value, ttl_ms)
    return answer if options.get else OK


def setnx(conn: Conn, argv: list[bytes]) -> Reply:
    if exists(conn, argv[1]):
        return 0
    write(conn, argv[1], argv[2], None, b"set")
    return 1


def setex(conn: Conn, argv: list[bytes]) -> Reply:
    _set(conn, argv[1], argv[3], expiry_argument(conn, b"setex", argv[2], seconds=True, absolute=False))
    return OK


def psetex(conn: Conn, argv: list[bytes]) -> Reply:
    _set(conn, argv[1], argv[3], expiry_argument(conn, b"psetex", argv[2], seconds=False, absolute=False))
    return OK


def getset(conn: Conn, argv: list[bytes]) -> Reply:
    entry = read(conn, argv[1])
    write(conn, argv[1], argv[2], None, b"set")
    return None if entry is None else entry.value


def getex(conn: Conn, argv: list[bytes]) -> Reply:
    """A new deadline is a write: the record gets a new stamp, and peers hear of it."""
    key = argv[1]
    options = parse_options(argv[2:], GETEX_WORDS)
    entry = read(conn, key)
    if entry is None:
        return None
    ttl_ms = _ttl_ms(conn, b"getex", options)
    if options.persist:
        refuse(conn, b"getex", b"persisting")
    if ttl_ms is not None and ttl_ms <= 0:
        let_go_or_refuse(conn, b"getex", key)
    elif ttl_ms is not None:
        deadline_ms, implicit = deadline_for(conn, ttl_ms)
        conn.node.engine.retime(conn.session.db, key, deadline_ms, implicit, conn.now_ms, b"expire")
    return entry.value


def _ttl_ms(conn: Conn, name: bytes, options: Options) -> int | None:
    if options.unit is None:
        return None
    seconds = options.unit in (b"ex", b"exat")
    absolute = options.unit in (b"exat", b"pxat")
    return expiry_argument(conn, name, options.number, seconds=seconds, absolute=absolute)


def _set(conn: Conn, key: bytes, value: bytes, ttl_ms: int | None) -> None:
    if ttl_ms == 1 and not value and let_go(conn, key):
        # `SET key "" PX 1` is how clients let go of a key: nobody is to read the empty value for its millisecond.
        return
    write(conn, key, value, ttl_ms, b"set")
    if ttl_ms is not None:
        notify.event(conn.node, b"expire", conn.session.db, key)


# -- many keys at once --------------------------------------------------------------------------------


def mset(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) % 2 == 0:
        raise wrong_arity(b"mset")
    for key, value in zip(argv[1::2], argv[2::2], strict=True):
        write(conn, key, value, None, b"set")
    return OK


def msetnx(conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) % 2 == 0:
        raise wrong_arity(b"msetnx")
    if any(exists(conn, key) for key in argv[1::2]):
        return 0
    for key, value in zip(argv[1::2], argv[2::2], strict=True):
        write(conn, key, value, None, b"set")
    return 1


def msetex(conn: Conn, argv: list[bytes]) -> Reply:
    """All or nothing: 1 when all keys were written, 0 when the condition failed for one of them."""
    count = parse_int(argv[1])
    if count is None or not 1 <= count <= NUMKEYS_MAX:
        raise INVALID_NUMKEYS
    end = 2 + 2 * count
    if end > len(argv):
        raise WRONG_PAIRS
    options = parse_options(argv[end:], MSETEX_WORDS)
    ttl_ms = _ttl_ms(conn, b"msetex", options)
    names = argv[2:end:2]
    if options.nx and any(exists(conn, key) for key in names):
        return 0
    if options.xx and not all(exists(conn, key) for key in names):
        return 0
    if ttl_ms is not None and ttl_ms <= 0:
        for key in names:
            let_go_or_refuse(conn, b"msetex", key)
        return 1
    for key, value in zip(names, argv[3:end:2], strict=True):
        if options.keep:
            rewrite(conn, key, current(conn, key), value, b"set")
        else:
            _set(conn, key, value, ttl_ms)
    return 1


# -- parts of a value ---------------------------------------------------------------------------------


def append(conn: Conn, argv: list[bytes]) -> Reply:
    entry = current(conn, argv[1])
    value = argv[2] if entry is None else entry.value + argv[2]
    check_length(conn, len(value))
    rewrite(conn, argv[1], entry, value, b"append")
    return len(value)


def setrange(conn: Conn, argv: list[bytes]) -> Reply:
    offset, piece = parse_int(argv[2]), argv[3]
    if offset is None:
        raise NOT_AN_INTEGER
    if offset < 0:
        raise OFFSET
    entry = current(conn, argv[1])
    if not piece:
        return 0 if entry is None else entry.length
    check_length(conn, offset + len(piece))
    value = bytearray(b"" if entry is None else entry.value)
    if len(value) < offset:
        value.extend(bytes(offset - len(value)))
    value[offset : offset + len(piece)] = piece
    rewrite(conn, argv[1], entry, bytes(value), b"setrange")
    return len(value)


HANDLERS = {
    b"append": append,
    b"digest": digest,
    b"get": get,
    b"getex": getex,
    b"getrange": getrange,
    b"getset": getset,
    b"mget": mget,
    b"mset": mset,
    b"msetex": msetex,
    b"msetnx": msetnx,
    b"psetex": psetex,
    b"set": set_command,
    b"setex": setex,
    b"setnx": setnx,
    b"setrange": setrange,
    b"strlen": strlen,
    b"substr": getrange,
}
