"""Strings used as bitmaps: SETBIT, GETBIT, BITCOUNT, BITPOS and BITOP. Bit 0 is the highest of byte 0. The twin of
native/bits.c.
"""

from operator import and_, or_, xor

from respram.engine.api import DRAFT_BYTES_MAX, HOT_BYTES_MAX, Session
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.parts import count_look, is_long, length_of, rewrite, value_of
from respram.engine.pure.record import Row
from respram.integers import parse_int

COMBINED = {b"and": and_, b"or": or_, b"xor": xor}
BITOP_SOURCES_MAX = 64  # of one command; more are for `dispatch`
BITOP_BYTES_MAX = 2 * DRAFT_BYTES_MAX  # of all its sources


def setbit(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    offset = _bit_offset(keyspace, argv[2]) if len(argv) == 4 else None
    if offset is None or keyspace.full() or argv[3] not in (b"0", b"1") or len(argv[1]) > HOT_BYTES_MAX:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    at, mask, wanted = offset >> 3, 0x80 >> (offset & 7), argv[3] == b"1"
    if length_of(row) > DRAFT_BYTES_MAX:
        return None
    changed = bytearray(value_of(keyspace, row))
    changed.extend(bytes(max(at + 1 - len(changed), 0)))
    old = bool(changed[at] & mask)
    if row is None or at >= length_of(row) or old != wanted:  # unchanged otherwise: no stamp and no event, as in Redis
        changed[at] = changed[at] | mask if wanted else changed[at] & ~mask
        rewrite(keyspace, session, argv[1], row, bytes(changed), now_ms, b"setbit")
    return b":%d\r\n" % old


def getbit(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    offset = _bit_offset(keyspace, argv[2]) if len(argv) == 3 else None
    if offset is None:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    at, found = offset >> 3, 0
    if row is not None and at < length_of(row):
        if is_long(row):
            return None
        found = 1 if keyspace.opened(row)[at] & (0x80 >> (offset & 7)) else 0
    count_look(keyspace, row)
    return b":%d\r\n" % found


def _bit_offset(keyspace: Keyspace, text: bytes) -> int | None:
    offset = parse_int(text)
    if offset is None or offset < 0 or offset >> 3 >= min(keyspace.settings.bulk_bytes_max, DRAFT_BYTES_MAX):
        return None
    return offset


# -- counting and finding -----------------------------------------------------------------------------
def bitcount(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """BITCOUNT key [start end [BYTE | BIT]]."""
    bounds = _bounds(argv[2:]) if len(argv) in (2, 4, 5) else None
    if bounds is None:
        return None
    start, end, in_bits = bounds
    row = keyspace.row(session.db, argv[1], now_ms)
    span = None if start < 0 and end < 0 and start > end else _bits(row, start, end, in_bits)
    if span is not None and row is not None and is_long(row):
        return None
    count_look(keyspace, row)
    if row is None or span is None:
        return b":0\r\n"
    return b":%d\r\n" % _between(keyspace.opened(row), *span).bit_count()


def bitpos(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """BITPOS key bit [start [end [BYTE | BIT]]]. Zeros go on behind the value, unless an end was named."""
    wanted, bounds = (parse_int(argv[2]), _bounds(argv[3:])) if 3 <= len(argv) <= 6 else (None, None)
    if wanted not in (0, 1) or bounds is None:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    span = _bits(row, *bounds)
    found = 0 if row is None and not wanted else -1
    if row is not None and span is not None:
        if is_long(row):
            return None
        first, last = span
        width = last - first + 1
        bits = _between(keyspace.opened(row), first, last) ^ (0 if wanted else (1 << width) - 1)
        if bits:
            found = first + width - bits.bit_length()
        elif not wanted and len(argv) < 5:
            found = length_of(row) * 8
    count_look(keyspace, row)
    return b":%d\r\n" % found


def _bounds(words: list[bytes]) -> tuple[int, int, bool] | None:
    """[start [end [BYTE | BIT]]]; None: it says something else."""
    unit = words[2].lower() if len(words) > 2 else b"byte"
    start = parse_int(words[0]) if words else 0
    end = parse_int(words[1]) if len(words) > 1 else -1
    if unit not in (b"bit", b"byte") or start is None or end is None:
        return None
    return start, end, unit == b"bit"


def _bits(row: Row | None, start: int, end: int, in_bits: bool) -> tuple[int, int] | None:
    """The first and last bit; negative bounds count from the end. None: nothing."""
    size = length_of(row) * (8 if in_bits else 1)
    start, end = (max(0, bound + size) if bound < 0 else bound for bound in (start, end))
    end = min(end, size - 1)
    if start > end:
        return None
    return (start, end) if in_bits else (start * 8, end * 8 + 7)


def _between(data: bytes, first: int, last: int) -> int:
    """The bits from first to last, both included, as one integer."""
    whole = int.from_bytes(data[first >> 3 : (last >> 3) + 1])
    return (whole >> (7 - (last & 7))) & ((1 << (last - first + 1)) - 1)


# -- BITOP --------------------------------------------------------------------------------------------
def bitop(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """BITOP operation target source ... An empty result lets go of what is there: that is for `dispatch`."""
    if len(argv) < 4:
        return None
    operation, target, names = argv[1].lower(), argv[2], argv[3:]
    if operation not in (b"and", b"or", b"xor", b"not") or not 1 <= len(names) <= BITOP_SOURCES_MAX:
        return None
    if (operation == b"not" and len(names) != 1) or len(target) > HOT_BYTES_MAX or keyspace.full():
        return None
    rows = [keyspace.row(session.db, key, now_ms) for key in names]
    longest = max(map(length_of, rows))
    if sum(map(length_of, rows)) > BITOP_BYTES_MAX:
        return None
    if longest > min(DRAFT_BYTES_MAX, keyspace.settings.bulk_bytes_max):
        return None
    if not longest and keyspace.row(session.db, target, now_ms) is not None:
        return None
    if longest:
        numbers = [int.from_bytes(value_of(keyspace, row).ljust(longest, b"\0")) for row in rows]
        result = numbers[0] if operation != b"not" else numbers[0] ^ (1 << 8 * longest) - 1
        for number in numbers[1:]:
            result = COMBINED[operation](result, number)
        deadline_ms = now_ms + keyspace.settings.default_ttl_ms
        keyspace.store(session.db, target, result.to_bytes(longest), deadline_ms, True, now_ms, b"set")
        keyspace.defaulted += 1
    for row in rows:
        count_look(keyspace, row)
    return b":%d\r\n" % longest
