"""Hot commands that count. The twin of native/counts.c."""

import re
from fractions import Fraction

from respram.engine.api import Session
from respram.engine.pure.keyspace import Keyspace
from respram.integers import INT64_MAX, INT64_MIN, parse_int
from respram.longdouble import formatted, rounded

# of a number that INCRBYFLOAT adds here: they and their power of ten are long doubles without rounding
FLOAT_DIGITS_MAX = 18
_PLAIN = re.compile(rb"-?(0|[1-9][0-9]*)(?:\.([0-9]+))?")


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


def incrbyfloat(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    step = _plain(argv[2]) if len(argv) == 3 else None
    if step is None or keyspace.full():
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    number = Fraction(0) if row is None else _plain(keyspace.read(row))
    if number is None:
        return None
    total = rounded(number + step)
    assert total is not None, "so few digits are far from infinite"
    value = formatted(total)
    if row is None:
        keyspace.defaulted += 1
        deadline_ms = now_ms + keyspace.settings.default_ttl_ms
        keyspace.store(session.db, argv[1], value, deadline_ms, True, now_ms, b"incrbyfloat")
    else:
        keyspace.store(session.db, argv[1], value, row.deadline_ms, row.implicit, now_ms, b"incrbyfloat")
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _plain(text: bytes) -> Fraction | None:
    """Digits with a sign and a point, as long doubles have them; None for every other form."""
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    whole, decimals = match[1], match[2] or b""
    if len(whole) + len(decimals) > FLOAT_DIGITS_MAX:
        return None
    digits = parse_int((whole + decimals).lstrip(b"0") or b"0")
    assert digits is not None
    return rounded(Fraction(-digits if text.startswith(b"-") else digits, 10 ** len(decimals)))
