"""Hot commands that read and write parts of a value. The twin of native/parts.c.

A value is opened, worked on, and stored as a whole: what is sealed is sealed anew, and what peers are told is the
result.
"""

from respram.engine.api import DRAFT_BYTES_MAX, HOT_BYTES_MAX, Session
from respram.engine.pure import copying
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.reads import bulk
from respram.engine.pure.record import Row
from respram.integers import parse_int
from respram.record import DATABASES

# Of commands that look members up in several sets.
SOURCES_MAX = 16  # sets of one command; more are left to `dispatch`
LOOKS_MAX = 8192  # lookups of one command, about 1 ms in the native engine; more are left to `dispatch`
SEEN_BYTES = 128  # a member that is looked up counts for this many bytes of values


def getrange(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """GETRANGE and SUBSTR."""
    bounds = _bounds(argv[2:4]) if len(argv) == 4 else None
    if bounds is None:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    span = _span(row, *bounds)
    if span is not None and row is not None and is_long(row):
        return None
    count_look(keyspace, row)
    return bulk(b"" if row is None or span is None else keyspace.opened(row)[span[0] : span[1] + 1])


def append(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 3 or keyspace.full() or len(argv[1]) > HOT_BYTES_MAX:
        return None
    row = keyspace.row(session.db, argv[1], now_ms)
    size = length_of(row) + len(argv[2])
    if size > min(keyspace.settings.bulk_bytes_max, DRAFT_BYTES_MAX):
        return None
    rewrite(keyspace, session, argv[1], row, value_of(keyspace, row) + argv[2], now_ms, b"append")
    return b":%d\r\n" % size


def setrange(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    offset = parse_int(argv[2]) if len(argv) == 4 else None
    if offset is None or not 0 <= offset <= DRAFT_BYTES_MAX or keyspace.full():
        return None
    key, piece = argv[1], argv[3]
    row = keyspace.row(session.db, key, now_ms)
    end = offset + len(piece)
    if not piece:
        return b":%d\r\n" % length_of(row)
    if end > keyspace.settings.bulk_bytes_max or len(key) > HOT_BYTES_MAX or max(end, length_of(row)) > DRAFT_BYTES_MAX:
        return None
    value = bytearray(value_of(keyspace, row))
    value.extend(bytes(max(end - len(value), 0)))
    value[offset:end] = piece
    rewrite(keyspace, session, key, row, bytes(value), now_ms, b"setrange")
    return b":%d\r\n" % len(value)


def copy(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """COPY source target [REPLACE] [DB n]: the copy lives exactly as long as its source, and carries its mark."""
    words = _copy_words(argv[3:], session.db)
    if len(argv) < 3 or words is None or keyspace.full():
        return None
    (source, target), (db, replaces) = argv[1:3], words
    if (db == session.db and source == target) or len(target) > HOT_BYTES_MAX:
        return None
    if db != session.db and session.decides:
        return None  # `dispatch` says to the node that asked that more was written than the keys it named
    row, copied = keyspace.row(session.db, source, now_ms), False
    if row is not None and row.kind:
        return copying.collection(keyspace, session, row, target, replaces, now_ms) if db == session.db else None
    old = keyspace.tables[db].get(target)
    if (row is not None and is_long(row)) or (old is not None and old.kind):
        return None  # a collection that a string replaces is for `dispatch`
    if row is not None and (replaces or keyspace.row(db, target, now_ms) is None):
        keyspace.store(db, target, keyspace.opened(row), row.deadline_ms, row.implicit, now_ms, b"copy_to")
        copied = True
    count_look(keyspace, row)
    return b":%d\r\n" % copied


def _copy_words(words: list[bytes], db: int) -> tuple[int, bool] | None:
    """The words [REPLACE] [DB n] of COPY, in any order. None: it says something else."""
    replaces = False
    while words:
        if words[0].lower() == b"replace":
            replaces, words = True, words[1:]
            continue
        number = parse_int(words[1]) if words[0].lower() == b"db" and len(words) > 1 else None
        if number is None or not 0 <= number < DATABASES:
            return None
        db, words = number, words[2:]
    return db, replaces


def _bounds(words: list[bytes]) -> tuple[int, int] | None:
    start, end = map(parse_int, words)
    return None if start is None or end is None else (start, end)


def _span(row: Row | None, start: int, end: int) -> tuple[int, int] | None:
    """First and last position; negative ones count from the end. None: nothing."""
    if row is None or (start < 0 and end < 0 and start > end):
        return None
    length = length_of(row)
    start, end = (max(0, bound + length) if bound < 0 else bound for bound in (start, end))
    end = min(end, length - 1)
    return None if start > end else (start, end)


def count_look(keyspace: Keyspace, row: Row | None) -> None:
    keyspace.hits += row is not None
    keyspace.misses += row is None


def length_of(row: Row | None) -> int:
    return 0 if row is None or row.value is None else len(row.value)


def is_long(row: Row) -> bool:
    """Whether a value is too long to be decrypted here."""
    return length_of(row) > DRAFT_BYTES_MAX


def value_of(keyspace: Keyspace, row: Row | None) -> bytes:
    return b"" if row is None else keyspace.opened(row)


def rewrite(
    keyspace: Keyspace, session: Session, key: bytes, row: Row | None, value: bytes, now_ms: int, event: bytes
) -> None:
    """Writes a value under its old deadline and mark; a missing key gets the default TTL."""
    if row is None:
        keyspace.defaulted += 1
        deadline_ms, implicit = now_ms + keyspace.settings.default_ttl_ms, True
    else:
        deadline_ms, implicit = row.deadline_ms, row.implicit
    keyspace.store(session.db, key, value, deadline_ms, implicit, now_ms, event)
