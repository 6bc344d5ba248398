"""Hot commands that read and write parts of a value. The twin of native/parts.c.

A value is opened, worked on, and stored as a whole: what is sealed is sealed anew, and what peers are told is the
result.
"""

from respram.engine.api import DRAFT_BYTES_MAX, HOT_BYTES_MAX, Session
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.reads import bulk
from respram.engine.pure.record import Row
from respram.integers import parse_int


def getrange(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """GETRANGE and SUBSTR."""
    bounds = _bounds(argv[2:4]) if len(argv) == 4 else None
    if bounds is None:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    span = _span(row, *bounds)
    if span is not None and row is not None and _is_long(row):
        return None
    _count(keyspace, row)
    return bulk(b"" if row is None or span is None else keyspace.opened(row)[span[0] : span[1] + 1])


def append(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 3 or keyspace.full() or len(argv[1]) > HOT_BYTES_MAX:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    size = _length(row) + len(argv[2])
    if size > min(keyspace.settings.bulk_bytes_max, DRAFT_BYTES_MAX):
        return None
    _rewrite(keyspace, session, argv[1], row, _value(keyspace, row) + argv[2], now_ms, b"append")
    return b":%d\r\n" % size


def setrange(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    offset = parse_int(argv[2]) if len(argv) == 4 else None
    if offset is None or not 0 <= offset <= DRAFT_BYTES_MAX or keyspace.full():
        return None
    key, piece = argv[1], argv[3]
    row = keyspace.row(session.db, key, now_ms)
    end = offset + len(piece)
    if not piece:
        return b":%d\r\n" % _length(row)
    if end > keyspace.settings.bulk_bytes_max or len(key) > HOT_BYTES_MAX or max(end, _length(row)) > DRAFT_BYTES_MAX:
        return None
    value = bytearray(_value(keyspace, row))
    value.extend(bytes(max(end - len(value), 0)))
    value[offset:end] = piece
    _rewrite(keyspace, session, key, row, bytes(value), now_ms, b"setrange")
    return b":%d\r\n" % len(value)


# -- bits: bit 0 is the highest of byte 0 -------------------------------------------------------------


def setbit(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    offset = _bit_offset(keyspace, argv[2]) if len(argv) == 4 else None
    if offset is None or keyspace.full() or argv[3] not in (b"0", b"1") or len(argv[1]) > HOT_BYTES_MAX:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    at, mask, wanted = offset >> 3, 0x80 >> (offset & 7), argv[3] == b"1"
    if _length(row) > DRAFT_BYTES_MAX:
        return None
    value = bytearray(_value(keyspace, row))
    value.extend(bytes(max(at + 1 - len(value), 0)))
    old = bool(value[at] & mask)
    if row is None or at >= _length(row) or old != wanted:  # unchanged otherwise: no stamp and no event, as in Redis
        value[at] = value[at] | mask if wanted else value[at] & ~mask
        _rewrite(keyspace, session, argv[1], row, bytes(value), now_ms, b"setbit")
    return b":%d\r\n" % old


def getbit(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    offset = _bit_offset(keyspace, argv[2]) if len(argv) == 3 else None
    if offset is None:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    at, found = offset >> 3, 0
    if row is not None and at < _length(row):
        if _is_long(row):
            return None
        found = 1 if keyspace.opened(row)[at] & (0x80 >> (offset & 7)) else 0
    _count(keyspace, row)
    return b":%d\r\n" % found


def bitcount(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """BITCOUNT key [start end [BYTE]]."""
    if len(argv) not in (2, 4, 5) or (len(argv) == 5 and argv[4].upper() != b"BYTE"):
        return None
    bounds = _bounds(argv[2:4]) if len(argv) > 2 else (0, -1)
    if bounds is None:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    span = _span(row, *bounds)
    if span is not None and row is not None and _is_long(row):
        return None
    _count(keyspace, row)
    if row is None or span is None:
        return b":0\r\n"
    return b":%d\r\n" % int.from_bytes(keyspace.opened(row)[span[0] : span[1] + 1]).bit_count()


def bitpos(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """BITPOS key bit [start [end [BYTE]]]. Zeros go on behind the value, unless an end was named."""
    if not 3 <= len(argv) <= 6 or (len(argv) == 6 and argv[5].upper() != b"BYTE"):
        return None
    given = argv[3:5]
    wanted, bounds = parse_int(argv[2]), _bounds(given + [b"0", b"-1"][len(given) :])
    if wanted not in (0, 1) or bounds is None:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    if row is None:
        keyspace.misses += 1
        return b":-1\r\n" if wanted else b":0\r\n"
    length = _length(row)
    start, end = (max(0, bound + length) if bound < 0 else bound for bound in bounds)
    end = min(end, length - 1)
    found = -1
    if start <= end:
        if _is_long(row):
            return None
        value = keyspace.opened(row)[start : end + 1].lstrip(b"\0" if wanted else b"\xff")
        if value:
            byte = value[0] if wanted else value[0] ^ 0xFF
            found = (end + 1 - len(value)) * 8 + 8 - byte.bit_length()
        elif not wanted and len(argv) < 5:
            found = length * 8
    keyspace.hits += 1
    return b":%d\r\n" % found


def copy(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """COPY source target [REPLACE]: the copy lives exactly as long as its source, and carries its mark."""
    if (len(argv) != 3 and not (len(argv) == 4 and argv[3].upper() == b"REPLACE")) or keyspace.full():
        return None
    source, target = argv[1:3]
    if source == target or len(target) > HOT_BYTES_MAX:
        return None
    row, copied = keyspace.row(session.db, source, now_ms), False
    if row is not None:
        if _is_long(row):
            return None
        if len(argv) == 4 or keyspace.row(session.db, target, now_ms) is None:
            keyspace.store(session.db, target, keyspace.opened(row), row.deadline_ms, row.implicit, now_ms, b"copy_to")
            copied = True
    _count(keyspace, row)
    return b":%d\r\n" % copied


def _bit_offset(keyspace: Keyspace, text: bytes) -> int | None:
    offset = parse_int(text)
    if offset is None or offset < 0 or offset >> 3 >= min(keyspace.settings.bulk_bytes_max, DRAFT_BYTES_MAX):
        return None
    return offset


def _bounds(words: list[bytes]) -> tuple[int, int] | None:
    start, end = map(parse_int, words)
    return None if start is None or end is None else (start, end)


def _span(row: Row | None, start: int, end: int) -> tuple[int, int] | None:
    """First and last position; negative ones count from the end. None: nothing."""
    if row is None or (start < 0 and end < 0 and start > end):
        return None
    length = _length(row)
    start, end = (max(0, bound + length) if bound < 0 else bound for bound in (start, end))
    end = min(end, length - 1)
    return None if start > end else (start, end)


def _count(keyspace: Keyspace, row: Row | None) -> None:
    keyspace.hits += row is not None
    keyspace.misses += row is None


def _length(row: Row | None) -> int:
    return 0 if row is None or row.value is None else len(row.value)


def _is_long(row: Row) -> bool:
    """Whether a value is too long to be decrypted here."""
    return _length(row) > DRAFT_BYTES_MAX


def _value(keyspace: Keyspace, row: Row | None) -> bytes:
    return b"" if row is None else keyspace.opened(row)


def _rewrite(
    keyspace: Keyspace, session: Session, key: bytes, row: Row | None, value: bytes, now_ms: int, event: bytes
) -> None:
    """Writes a value under its old deadline and mark; a missing key gets the default TTL."""
    if row is None:
        keyspace.defaulted += 1
        deadline_ms, implicit = now_ms + keyspace.settings.default_ttl_ms, True
    else:
        deadline_ms, implicit = row.deadline_ms, row.implicit
    keyspace.store(session.db, key, value, deadline_ms, implicit, now_ms, event)
