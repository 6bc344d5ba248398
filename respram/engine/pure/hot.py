"""The fast paths: the common, successful form of the commands that carry the traffic.

Each takes (keyspace, session, argv, now_ms) and answers with reply bytes, or with None to decline:
then the command goes to `respram/commands/`, which knows every form and every error. What is here
must answer as that does, byte for byte.
"""

from collections.abc import Callable

from respram.engine.api import HOT_ARGS_MAX, HOT_BYTES_MAX, Session
from respram.engine.pure.keyspace import Keyspace
from respram.integers import INT64_MAX, INT64_MIN, parse_int

Handler = Callable[[Keyspace, Session, list[bytes], int], bytes | None]

NIL = (b"", b"", b"$-1\r\n", b"_\r\n")  # by protocol
OK, PONG = b"+OK\r\n", b"+PONG\r\n"


def get(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    row = keyspace.tables[session.db].get(argv[1])
    if row is None or row.value is None or row.deadline_ms <= now_ms:
        keyspace.misses += 1
        return NIL[session.proto]
    keyspace.hits += 1
    value = keyspace.read(row)
    return b"$%d\r\n%b\r\n" % (len(value), value)


def mget(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if not 1 < len(argv) <= HOT_ARGS_MAX:
        return None
    parts = [b"*%d\r\n" % (len(argv) - 1)]
    table, nil = keyspace.tables[session.db], NIL[session.proto]
    for key in argv[1:]:
        row = table.get(key)
        if row is None or row.value is None or row.deadline_ms <= now_ms:
            keyspace.misses += 1
            parts.append(nil)
        else:
            keyspace.hits += 1
            value = keyspace.read(row)
            parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
    return b"".join(parts)


def exists(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if not 1 < len(argv) <= HOT_ARGS_MAX:
        return None
    return b":%d\r\n" % sum(keyspace.seen(session.db, key, now_ms) is not None for key in argv[1:])


def pttl(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    row = keyspace.seen(session.db, argv[1], now_ms)
    return b":-2\r\n" if row is None else b":%d\r\n" % (row.deadline_ms - now_ms)


def ttl(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    row = keyspace.seen(session.db, argv[1], now_ms)
    return b":-2\r\n" if row is None else b":%d\r\n" % ((row.deadline_ms - now_ms + 500) // 1000)


def strlen(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    row = keyspace.seen(session.db, argv[1], now_ms)
    return b":0\r\n" if row is None or row.value is None else b":%d\r\n" % len(row.value)


def ping(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) == 1:
        return PONG
    return b"$%d\r\n%b\r\n" % (len(argv[1]), argv[1]) if len(argv) == 2 else None


def echo(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return b"$%d\r\n%b\r\n" % (len(argv[1]), argv[1]) if len(argv) == 2 else None


def set_(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """SET key value [EX s | PX ms] [NX | XX], options in any order."""
    count = len(argv)
    if count == 3:
        return _store(keyspace, session, argv[1], argv[2], None, now_ms)
    ttl_ms: int | None = None
    condition = b""
    at = 3
    while at < count:
        option = argv[at].upper()
        if option in (b"EX", b"PX") and ttl_ms is None and at + 1 < count:
            ttl_ms = _ttl_ms(keyspace, argv[at + 1], 1000 if option == b"EX" else 1)
            if ttl_ms is None:
                return None
            at += 2
        elif option in (b"NX", b"XX") and not condition:
            condition = option
            at += 1
        else:
            return None
    if count < 3 or keyspace.full():
        return None
    if condition and (keyspace.row(session.db, argv[1], now_ms) is None) != (condition == b"NX"):
        return NIL[session.proto]
    return _store(keyspace, session, argv[1], argv[2], ttl_ms, now_ms)


def setex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _set_with(keyspace, session, argv, 1000, now_ms)


def psetex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _set_with(keyspace, session, argv, 1, now_ms)


def setnx(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """The value of a missing key."""
    if len(argv) != 3 or keyspace.full():
        return None
    there = keyspace.row(session.db, argv[1], now_ms) is not None
    if not there and _store(keyspace, session, argv[1], argv[2], None, now_ms) is None:
        return None
    keyspace.hits += there
    keyspace.misses += not there
    return b":0\r\n" if there else b":1\r\n"


def expire(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _retime(keyspace, session, argv, 1000, now_ms)


def pexpire(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _retime(keyspace, session, argv, 1, now_ms)


def getex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """GETEX key EX s | PX ms."""
    unit_ms = {b"EX": 1000, b"PX": 1}.get(argv[2].upper()) if len(argv) == 4 else None
    ttl_ms = None if unit_ms is None else _ttl_ms(keyspace, argv[3], unit_ms)
    if ttl_ms is None:
        return None
    row = keyspace.seen(session.db, argv[1], now_ms)
    if row is None:
        return NIL[session.proto]
    value = keyspace.read(row)
    keyspace.retime(session.db, argv[1], now_ms + ttl_ms, False, now_ms, b"expire")
    return b"$%d\r\n%b\r\n" % (len(value), value)


def incr(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _add(keyspace, session, argv[1], 1, now_ms) if len(argv) == 2 else None


def decr(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _add(keyspace, session, argv[1], -1, now_ms) if len(argv) == 2 else None


def incrby(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    step = parse_int(argv[2]) if len(argv) == 3 else None
    return None if step is None else _add(keyspace, session, argv[1], step, now_ms)


def decrby(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    step = parse_int(argv[2]) if len(argv) == 3 else None
    return None if step is None or step == INT64_MIN else _add(keyspace, session, argv[1], -step, now_ms)


# By name, as the command table has it.
HANDLERS: dict[bytes, Handler] = {
    b"decr": decr,
    b"decrby": decrby,
    b"echo": echo,
    b"exists": exists,
    b"expire": expire,
    b"get": get,
    b"getex": getex,
    b"incr": incr,
    b"incrby": incrby,
    b"mget": mget,
    b"pexpire": pexpire,
    b"ping": ping,
    b"psetex": psetex,
    b"pttl": pttl,
    b"set": set_,
    b"setex": setex,
    b"setnx": setnx,
    b"strlen": strlen,
    b"ttl": ttl,
}


def _ttl_ms(keyspace: Keyspace, digits: bytes, unit_ms: int) -> int | None:
    """A time to live that needs neither an error nor cutting."""
    number = parse_int(digits)
    if number is None or not 0 < number * unit_ms <= keyspace.settings.max_ttl_ms:
        return None
    return number * unit_ms


def _set_with(keyspace: Keyspace, session: Session, argv: list[bytes], unit_ms: int, now_ms: int) -> bytes | None:
    ttl_ms = _ttl_ms(keyspace, argv[2], unit_ms) if len(argv) == 4 else None
    return None if ttl_ms is None else _store(keyspace, session, argv[1], argv[3], ttl_ms, now_ms)


def _retime(keyspace: Keyspace, session: Session, argv: list[bytes], unit_ms: int, now_ms: int) -> bytes | None:
    """The same value under a new deadline."""
    ttl_ms = _ttl_ms(keyspace, argv[2], unit_ms) if len(argv) == 3 else None
    if ttl_ms is None:
        return None
    if keyspace.seen(session.db, argv[1], now_ms) is None:
        return b":0\r\n"
    keyspace.retime(session.db, argv[1], now_ms + ttl_ms, False, now_ms, b"expire")
    return b":1\r\n"


def _store(
    keyspace: Keyspace, session: Session, key: bytes, value: bytes, ttl_ms: int | None, now_ms: int
) -> bytes | None:
    if keyspace.full() or len(value) > HOT_BYTES_MAX or len(key) > HOT_BYTES_MAX:
        return None
    if ttl_ms == 1 and not value:
        return None  # how everybody lets go: see commands/strings.py
    if ttl_ms is None:
        keyspace.defaulted += 1
        deadline_ms = now_ms + keyspace.settings.default_ttl_ms
        keyspace.store(session.db, key, value, deadline_ms, True, now_ms, b"set")
    else:
        keyspace.store(session.db, key, value, now_ms + ttl_ms, False, now_ms, b"set")
    return OK


def _add(keyspace: Keyspace, session: Session, key: bytes, step: int, now_ms: int) -> bytes | None:
    """The deadline of a number that is there stays; a missing one starts at 0 with the default TTL."""
    if keyspace.full():
        return None
    row = keyspace.row(session.db, key, now_ms)
    number = 0 if row is None else parse_int(keyspace.read(row))
    if number is None or not INT64_MIN <= number + step <= INT64_MAX:
        return None
    value = b"%d" % (number + step)
    if row is None:
        keyspace.defaulted += 1
        deadline_ms = now_ms + keyspace.settings.default_ttl_ms
        keyspace.store(session.db, key, value, deadline_ms, True, now_ms, b"incrby")
    else:
        keyspace.store(session.db, key, value, row.deadline_ms, row.implicit, now_ms, b"incrby")
    return b":%b\r\n" % value
