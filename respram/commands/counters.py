"""Commands that count: INCR and its kin, INCRBYFLOAT, and INCREX with its bounds and window.

A counter keeps the deadline it has. Results are written, never increments: a peer that sees a write
twice must not count twice. With peers the engine keeps each node's share beside an integer (engine/pure/shares.py).
"""

from dataclasses import dataclass
from fractions import Fraction

from respram.commands import notify
from respram.commands.access import add, current, rewrite
from respram.commands.deadlines import deadline_for, expiry_argument
from respram.commands.letting_go import let_go_or_refuse
from respram.commands.node import Conn
from respram.commands.refusals import refuse
from respram.commands.reply import Double, Reply
from respram.commands.texts import NOT_A_FLOAT, NOT_AN_INTEGER, SYNTAX
from respram.engine.api import Entry
from respram.errors import ClientError
from respram.integers import INT64_MAX, INT64_MIN, parse_float, parse_int, parse_ratio
from respram.longdouble import LARGEST, formatted, rounded

OVERFLOW = ClientError.saying(b"ERR increment or decrement would overflow")
DECREMENT_OVERFLOW = ClientError.saying(b"ERR decrement would overflow")
NOT_FINITE = ClientError.saying(b"ERR increment would produce NaN or Infinity")
BOUNDS_CROSSED = ClientError.saying(b"ERR LBOUND must be less than or equal to UBOUND")
ENX_WITHOUT_TIME = ClientError.saying(b"ERR ENX requires one of EX, PX, EXAT or PXAT")


def incr(conn: Conn, argv: list[bytes]) -> Reply:
    return _count(conn, argv[1], 1)


def decr(conn: Conn, argv: list[bytes]) -> Reply:
    return _count(conn, argv[1], -1)


def incrby(conn: Conn, argv: list[bytes]) -> Reply:
    step = parse_int(argv[2])
    if step is None:
        raise NOT_AN_INTEGER
    return _count(conn, argv[1], step)


def decrby(conn: Conn, argv: list[bytes]) -> Reply:
    step = parse_int(argv[2])
    if step is None:
        raise NOT_AN_INTEGER
    if step == INT64_MIN:
        raise DECREMENT_OVERFLOW
    return _count(conn, argv[1], -step)


def _count(conn: Conn, key: bytes, step: int) -> Reply:
    entry = current(conn, key)
    if not INT64_MIN <= _integer(entry) + step <= INT64_MAX:
        raise OVERFLOW
    return add(conn, key, entry, step)


def _integer(entry: Entry | None) -> int:
    if entry is None:
        return 0
    value = parse_int(entry.value)
    if value is None:
        raise NOT_AN_INTEGER
    return value


def incrbyfloat(conn: Conn, argv: list[bytes]) -> Reply:
    entry = current(conn, argv[1])
    old = _float(b"0" if entry is None else entry.value)
    step = _float(argv[2])
    value = None if old is None or step is None else rounded(old + step)
    if value is None:
        raise NOT_FINITE
    text = formatted(value)
    rewrite(conn, argv[1], entry, text, b"incrbyfloat")
    return text


def _float(text: bytes) -> Fraction | None:
    """A long double; None when it is infinite, an error when it is no number."""
    exact = parse_ratio(text)
    if exact is not None:
        return rounded(exact)
    if parse_float(text) is None:
        raise NOT_A_FLOAT
    return None


# -- INCREX -------------------------------------------------------------------------------------------
# A limiter of fixed windows in one command: `INCREX key UBOUND 100 EX 60 ENX` counts up to 100, and the
# first count opens a window of a minute. Beyond a bound nothing is written and the applied step is 0,
# so that a refused caller neither counts nor prolongs; SATURATE stops at the bound instead.


@dataclass(slots=True)
class Increment:
    step: Fraction = Fraction(1)
    floats: bool = False
    chosen: bytes = b""  # BYINT or BYFLOAT, once given
    low: bytes | None = None
    high: bytes | None = None
    saturate: bool = False
    unit: bytes = b""  # ex, px, exat, pxat or persist
    number: bytes = b""
    only_new: bool = False  # ENX
    presence: bytes = b""  # NX or XX, as in Valkey: count only if the key is absent, or present


def increx(conn: Conn, argv: list[bytes]) -> Reply:
    key = argv[1]
    wanted = _increment(argv[2:])
    low, high = _bounds(wanted)
    ttl_ms = _increx_ttl_ms(conn, wanted)
    entry = current(conn, key)
    old = _start(entry, wanted.floats)
    if entry is None and wanted.presence == b"xx":
        return [None, _pair(old, Fraction(0), wanted.floats)[1]]
    if entry is not None and wanted.presence == b"nx":
        return _pair(old, Fraction(0), wanted.floats)
    value = rounded(old + wanted.step) if wanted.floats else old + wanted.step
    if value is None or not low <= value <= high:
        if not wanted.saturate:
            return _pair(old, Fraction(0), wanted.floats)
        value = low if old + wanted.step < low else high
    applied = value - old
    if not wanted.floats and not INT64_MIN <= applied <= INT64_MAX:
        raise OVERFLOW
    if wanted.floats and rounded(applied) is None:
        raise NOT_FINITE
    if wanted.unit == b"persist" and entry is not None:
        refuse(conn, b"increx", b"persisting")
    if ttl_ms is not None and ttl_ms <= 0:
        let_go_or_refuse(conn, b"increx", key)
        return _pair(value, applied, wanted.floats)
    if ttl_ms is None or (wanted.only_new and entry is not None and not entry.implicit):
        if wanted.floats:
            rewrite(conn, key, entry, formatted(value), b"incrbyfloat")
        else:
            add(conn, key, entry, applied.numerator)
    else:
        deadline_ms, implicit = deadline_for(conn, ttl_ms)
        engine, db = conn.node.engine, conn.session.db
        if wanted.floats:
            engine.store(db, key, formatted(value), deadline_ms, implicit, conn.now_ms, b"incrbyfloat")
        else:
            engine.add(db, key, applied.numerator, deadline_ms, implicit, conn.now_ms, b"incrby")
        notify.event(conn.node, b"expire", conn.session.db, key)
    return _pair(value, applied, wanted.floats)


def _increment(words: list[bytes]) -> Increment:
    wanted = Increment()
    at = 0
    while at < len(words):
        word = words[at].lower()
        if word in (b"saturate", b"enx"):
            wanted.saturate = wanted.saturate or word == b"saturate"
            wanted.only_new = wanted.only_new or word == b"enx"
            at += 1
        elif word in (b"nx", b"xx"):
            if wanted.presence not in (b"", word):
                raise SYNTAX
            wanted.presence = word
            at += 1
        elif word == b"persist":
            if wanted.unit not in (b"", word):
                raise SYNTAX
            wanted.unit = word
            at += 1
        elif at + 1 == len(words):
            raise SYNTAX
        else:
            _increment_option(wanted, word, words[at + 1])
            at += 2
    if wanted.only_new and wanted.unit in (b"", b"persist"):
        raise ENX_WITHOUT_TIME
    return wanted


def _increment_option(wanted: Increment, word: bytes, argument: bytes) -> None:
    if word in (b"byint", b"byfloat"):
        if wanted.chosen not in (b"", word):
            raise SYNTAX
        wanted.chosen = word
        wanted.floats = word == b"byfloat"
        wanted.step = _number(argument, wanted.floats)
    elif word == b"lbound":
        wanted.low = argument
    elif word == b"ubound":
        wanted.high = argument
    elif word in (b"ex", b"px", b"exat", b"pxat"):
        if wanted.unit not in (b"", word):
            raise SYNTAX
        wanted.unit, wanted.number = word, argument
    else:
        raise SYNTAX


def _number(text: bytes, floats: bool) -> Fraction:
    if floats:
        value = _float(text)
        if value is None:
            raise NOT_FINITE
        return value
    number = parse_int(text)
    if number is None:
        raise NOT_AN_INTEGER
    return Fraction(number)


def _bounds(wanted: Increment) -> tuple[Fraction, Fraction]:
    if wanted.floats:
        low, high = -LARGEST, LARGEST
    else:
        low, high = Fraction(INT64_MIN), Fraction(INT64_MAX)
    if wanted.low is not None:
        low = _number(wanted.low, wanted.floats)
    if wanted.high is not None:
        high = _number(wanted.high, wanted.floats)
    if low > high:
        raise BOUNDS_CROSSED
    return low, high


def _start(entry: Entry | None, floats: bool) -> Fraction:
    if not floats:
        return Fraction(_integer(entry))
    value = _float(b"0" if entry is None else entry.value)
    if value is None:
        raise NOT_FINITE
    return value


def _increx_ttl_ms(conn: Conn, wanted: Increment) -> int | None:
    if wanted.unit in (b"", b"persist"):
        return None
    return expiry_argument(
        conn,
        b"increx",
        wanted.number,
        seconds=wanted.unit in (b"ex", b"exat"),
        absolute=wanted.unit in (b"exat", b"pxat"),
    )


def _pair(value: Fraction, applied: Fraction, floats: bool) -> list[Reply]:
    if floats:
        return [Double(formatted(value)), Double(formatted(rounded(applied) or applied))]
    return [value.numerator, applied.numerator]


HANDLERS = {
    b"decr": decr,
    b"decrby": decrby,
    b"incr": incr,
    b"incrby": incrby,
    b"incrbyfloat": incrbyfloat,
    b"increx": increx,
}
