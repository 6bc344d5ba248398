"""Hot commands that read whole values or facts about a key. The twin of native/reads.c."""

from respram.engine.api import HOT_ARGS_MAX, HOT_REPLY_BYTES_MAX, Session
from respram.engine.pure import walk
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.record import Row
from respram.integers import parse_int
from respram.record import DATABASES

NIL = (b"", b"", b"$-1\r\n", b"_\r\n")  # indexed by the protocol
KIND_NAMES = (b"string", b"hash", b"set", b"zset")
OK, PONG = b"+OK\r\n", b"+PONG\r\n"


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def old_value(keyspace: Keyspace, session: Session, row: Row | None) -> bytes:
    """The old value, for a command that returns it: counted as a hit or a miss."""
    if row is None:
        keyspace.misses += 1
        return NIL[session.proto]
    keyspace.hits += 1
    return bulk(keyspace.opened(row))


def get(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    row = keyspace.tables[session.db].get(argv[1])
    if row is None or row.value is None or row.deadline_ms <= now_ms:
        keyspace.misses += 1
        return NIL[session.proto]
    keyspace.hits += 1
    value = keyspace.opened(row)
    return b"$%d\r\n%b\r\n" % (len(value), value)


def mget(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if not 1 < len(argv) <= HOT_ARGS_MAX:
        return None
    rows = [keyspace.row(session.db, key, now_ms) for key in argv[1:]]
    if sum(len(row.value) for row in rows if row is not None and row.value is not None) > HOT_REPLY_BYTES_MAX:
        return None
    parts = [b"*%d\r\n" % (len(argv) - 1)]
    nil = NIL[session.proto]
    for row in rows:
        if row is None:
            keyspace.misses += 1
            parts.append(nil)
        else:
            keyspace.hits += 1
            parts.append(bulk(keyspace.opened(row)))
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


def expiretime(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    row = keyspace.seen(session.db, argv[1], now_ms)
    return b":-2\r\n" if row is None else b":%d\r\n" % ((row.deadline_ms + 500) // 1000)


def pexpiretime(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    row = keyspace.seen(session.db, argv[1], now_ms)
    return b":-2\r\n" if row is None else b":%d\r\n" % row.deadline_ms


def type_(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    row = keyspace.seen(session.db, argv[1], now_ms)
    return b"+none\r\n" if row is None else b"+%b\r\n" % KIND_NAMES[row.kind]


def dbsize(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return b":%d\r\n" % walk.count(keyspace, session.db, now_ms) if len(argv) == 1 else None


def select(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    number = parse_int(argv[1]) if len(argv) == 2 else None
    if number is None or not 0 <= number < DATABASES:
        return None
    session.db = number
    return OK
