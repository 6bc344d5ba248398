"""Hot commands that count. The twin of native/counts.c."""

import re
from dataclasses import dataclass
from fractions import Fraction

from respram.engine.api import HOT_BYTES_MAX, Session
from respram.engine.pure import family, fields, shares, writes
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.reads import NIL
from respram.integers import INT64_MAX, INT64_MIN, parse_int
from respram.longdouble import formatted, rounded
from respram.record import DATABASES, HASH, NAME_LENGTH, member_key

# digits of a number that INCRBYFLOAT adds here: they and their power of ten are exact as long doubles
FLOAT_DIGITS_MAX = 18
FLOAT_TEXT_BYTES = 48  # the longest text of a sum
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
    if row is None:
        keyspace.defaulted += 1
        deadline_ms = now_ms + keyspace.settings.default_ttl_ms
        value = shares.add(keyspace, session.db, key, step, deadline_ms, True, now_ms, b"incrby")
    else:
        value = shares.add(keyspace, session.db, key, step, row.deadline_ms, row.implicit, now_ms, b"incrby")
    return b":%d\r\n" % value


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


# -- INCREX: bounds and a window ----------------------------------------------------------------------
@dataclass(slots=True)
class Increment:
    """The options of INCREX, each given once."""

    step: int | None = None
    low: int | None = None
    high: int | None = None
    ttl_ms: int | None = None
    saturates: bool = False
    only_new: bool = False
    condition: bytes = b""  # NX or XX


def increx(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    wanted = _increment(keyspace, argv, now_ms) if len(argv) > 1 and not keyspace.full() else None
    if wanted is None:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    old = 0 if row is None else parse_int(keyspace.read(row))
    if old is None:
        return None
    low = INT64_MIN if wanted.low is None else wanted.low
    high = INT64_MAX if wanted.high is None else wanted.high
    total = old + (1 if wanted.step is None else wanted.step)
    value = min(max(total, low), high)
    refused = wanted.condition == (b"xx" if row is None else b"nx") or not (wanted.saturates or value == total)
    if refused:
        is_none = row is None and wanted.condition == b"xx"
        return b"*2\r\n%b:0\r\n" % (NIL[session.proto] if is_none else b":%d\r\n" % old)
    if not INT64_MIN <= value - old <= INT64_MAX:
        return None
    applied = value - old
    if wanted.ttl_ms is not None and not (wanted.only_new and row is not None and not row.implicit):
        shares.add(keyspace, session.db, argv[1], applied, now_ms + wanted.ttl_ms, False, now_ms, b"incrby")
    elif row is None:
        keyspace.defaulted += 1
        deadline_ms = now_ms + keyspace.settings.default_ttl_ms
        shares.add(keyspace, session.db, argv[1], applied, deadline_ms, True, now_ms, b"incrby")
    else:
        shares.add(keyspace, session.db, argv[1], applied, row.deadline_ms, row.implicit, now_ms, b"incrby")
    return b"*2\r\n:%d\r\n:%d\r\n" % (value, value - old)


def _increment(keyspace: Keyspace, argv: list[bytes], now_ms: int) -> Increment | None:
    """Reads the options of INCREX. None: floats, an odd form, a mistake, or a time that has passed."""
    wanted, at = Increment(), 2
    while at < len(argv):
        word, number = argv[at].lower(), parse_int(argv[at + 1]) if at + 1 < len(argv) else None
        at += 1
        if word == b"saturate" and not wanted.saturates:
            wanted.saturates = True
        elif word == b"enx" and not wanted.only_new:
            wanted.only_new = True
        elif word in (b"nx", b"xx") and not wanted.condition:
            wanted.condition = word
        elif number is None:
            return None
        else:
            at += 1
            if word == b"byint" and wanted.step is None:
                wanted.step = number
            elif word == b"lbound" and wanted.low is None:
                wanted.low = number
            elif word == b"ubound" and wanted.high is None:
                wanted.high = number
            elif wanted.ttl_ms is None:
                wanted.ttl_ms = writes.life_ms(keyspace, word.upper(), argv[at - 1], now_ms)
                if wanted.ttl_ms is None:
                    return None
            else:
                return None
    if wanted.low is not None and wanted.high is not None and wanted.low > wanted.high:
        return None
    return None if wanted.only_new and wanted.ttl_ms is None else wanted


# -- HINCRBYFLOAT -------------------------------------------------------------------------------------
def hincrbyfloat(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    step = _plain(argv[3]) if len(argv) == 4 else None
    if step is None or keyspace.full():
        return None
    head = keyspace.row(session.db, argv[1], now_ms)
    size = NAME_LENGTH.size + len(argv[1]) + len(argv[2]) + FLOAT_TEXT_BYTES
    if (head is not None and head.kind != HASH) or size > min(HOT_BYTES_MAX, keyspace.settings.bulk_bytes_max):
        return None
    name = member_key(argv[1], argv[2])
    row = None if head is None else keyspace.row(HASH * DATABASES + session.db, name, now_ms)
    number = Fraction(0) if row is None else _plain(keyspace.read(row))
    if number is None:
        return None
    total = rounded(number + step)
    assert total is not None, "so few digits are far from infinite"
    value = formatted(total)
    keyspace.hits += head is not None
    keyspace.misses += head is None
    if head is None:
        fields.begin(keyspace, session, argv, HASH, now_ms)
    deadline_ms = row.deadline_ms if row is not None and not row.implicit else None
    family.put_member(keyspace, session.db, argv[1], argv[2], value, deadline_ms, now_ms)
    fields.tell(keyspace, b"hincrbyfloat", session, argv)
    return b"$%d\r\n%b\r\n" % (len(value), value)
