"""Hot commands of sorted sets: one member at a time, where the set is there. The twin of native/ranks.c.

A score is read here where it is a plain number of at most 15 digits, which a double holds to the last of them; all others are
for `dispatch`.
"""

import re
from math import inf, isnan

from respram.engine.api import HOT_BYTES_MAX, Session
from respram.engine.pure import family
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.order import Order
from respram.engine.pure.reads import NIL, bulk
from respram.engine.pure.record import Row
from respram.engine.scores import score_of, with_score
from respram.integers import parse_double
from respram.record import DATABASES, ZSET, member_key

PLAIN = re.compile(rb"-?[0-9]+(\.[0-9]*)?")
DIGITS_MAX = 15  # a double holds so many to the last of them


def zadd(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 4:
        return None
    score = _plain(argv[2])
    head = _head(keyspace, session, argv[1], now_ms)
    if score is None or head is None or keyspace.full() or len(argv[3]) > HOT_BYTES_MAX:
        return None
    row = _member(keyspace, head, argv[3], now_ms)
    keyspace.hits += 1
    _put(keyspace, head, row, argv[3], score, now_ms)
    return b":0\r\n" if row is not None else b":1\r\n"


def zincrby(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 4:
        return None
    step = _plain(argv[2])
    head = _head(keyspace, session, argv[1], now_ms)
    if step is None or head is None or keyspace.full() or len(argv[3]) > HOT_BYTES_MAX:
        return None
    row = _member(keyspace, head, argv[3], now_ms)
    score = step if row is None else score_of(keyspace.read(row)) + step
    if isnan(score):
        return None
    keyspace.hits += 1
    _put(keyspace, head, row, argv[3], score, now_ms)
    return _told(session, score)


def zscore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 3:
        return None
    head = keyspace.row(session.db, argv[1], now_ms)
    if head is not None and head.kind != ZSET:
        return None
    row = _counted(keyspace, head, argv[2], now_ms)
    return NIL[session.proto] if row is None else _told(session, score_of(keyspace.read(row)))


def zrank(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 3:
        return None
    head = keyspace.row(session.db, argv[1], now_ms)
    if head is not None and head.kind != ZSET:
        return None
    row = _counted(keyspace, head, argv[2], now_ms)
    if row is None or head is None:
        return NIL[session.proto]
    order = family.family_of(keyspace, head).order
    assert isinstance(order, Order)
    return b":%d\r\n" % order.place(score_of(keyspace.read(row)), argv[2], False)


def zcard(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    head = keyspace.row(session.db, argv[1], now_ms)
    if head is None:
        keyspace.misses += 1
        return b":0\r\n"
    if head.kind != ZSET:
        return None
    keyspace.hits += 1
    return b":%d\r\n" % family.family_of(keyspace, head).count


def _head(keyspace: Keyspace, session: Session, key: bytes, now_ms: int) -> Row | None:
    """Of a sorted set that is there."""
    head = keyspace.row(session.db, key, now_ms)
    return head if head is not None and head.kind == ZSET else None


def _member(keyspace: Keyspace, head: Row, name: bytes, now_ms: int) -> Row | None:
    return keyspace.row(ZSET * DATABASES + head.db, member_key(head.key, name), now_ms)


def _counted(keyspace: Keyspace, head: Row | None, name: bytes, now_ms: int) -> Row | None:
    """A member for a command that reads: its key is counted as a hit or a miss."""
    keyspace.hits += head is not None
    keyspace.misses += head is None
    return None if head is None else _member(keyspace, head, name, now_ms)


def _put(keyspace: Keyspace, head: Row, row: Row | None, name: bytes, score: float, now_ms: int) -> None:
    if row is not None and score_of(keyspace.read(row)) == score:
        return
    deadline_ms = None if row is None or row.implicit else row.deadline_ms
    family.put_member(keyspace, head.db, head.key, name, with_score(score + 0.0), deadline_ms, now_ms)


def _plain(word: bytes) -> float | None:
    if len(word) > DIGITS_MAX + 2 or PLAIN.fullmatch(word) is None or len(word.strip(b"-").replace(b".", b"")) > DIGITS_MAX:
        return None
    return parse_double(word)


def _told(session: Session, score: float) -> bytes:
    digits = (b"inf" if score > 0 else b"-inf") if abs(score) == inf else b"%.17g" % score
    return b",%b\r\n" % digits if session.proto == 3 else bulk(digits)
