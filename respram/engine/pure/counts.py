"""Hot commands that count. The twin of native/counts.c."""

from respram.engine.api import Session
from respram.engine.pure.keyspace import Keyspace
from respram.integers import INT64_MAX, INT64_MIN, parse_int


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
