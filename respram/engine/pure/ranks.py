"""Hot commands of sorted sets: one member at a time, where the set is there. The twin of native/ranks.c.

A score is read here where it is a plain number of at most 15 digits, which a double holds to the last of them; all
others are for `dispatch`.
"""

import re
from math import inf, isnan

from respram.engine.api import HOT_BYTES_MAX, HOT_REPLY_BYTES_MAX, Session
from respram.engine.pure import family
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.order import Order
from respram.engine.pure.reads import NIL, bulk
from respram.engine.pure.record import Row
from respram.engine.ranking import Item
from respram.engine.scores import score_of, with_score
from respram.integers import parse_double, parse_int
from respram.record import DATABASES, ZSET, member_key

PLAIN = re.compile(rb"-?[0-9]+(\.[0-9]*)?")
MEMBER_BYTES, SCORE_BYTES = 64, 64  # of a reply besides its names, as the native engine counts them
ENDLESS = {b"inf": inf, b"+inf": inf, b"-inf": -inf}
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
    _put(keyspace, head, row, argv[3], score, now_ms, b"zadd")
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
    _put(keyspace, head, row, argv[3], score, now_ms, b"zincr")
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


def zrange(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """By rank alone."""
    words = [word.lower() for word in argv[4:]]
    if not 4 <= len(argv) <= 6 or not {b"withscores", b"rev"}.issuperset(words) or words.count(b"rev") > 1:
        return None
    first, last = parse_int(argv[2]), parse_int(argv[3])
    head = keyspace.row(session.db, argv[1], now_ms)
    if first is None or last is None or (head is not None and head.kind != ZSET):
        return None
    order, downwards = _order(keyspace, head), b"rev" in words
    size = len(order) if order is not None else 0
    start = max(first + size if first < 0 else first, 0)
    end = min(last + size if last < 0 else last, size - 1)
    return _range(
        keyspace,
        session,
        order,
        size - 1 - start if downwards else start,
        max(end - start + 1, 0),
        downwards,
        b"withscores" in words,
    )


def zrangebyscore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if not 4 <= len(argv) <= 8:
        return None
    low, high = _bound(argv[2]), _bound(argv[3])
    offset, limit, scores = 0, -1, False
    words = argv[4:]
    while words:
        option = words[0].lower()
        if option == b"withscores":
            scores, words = True, words[1:]
        elif option == b"limit" and len(words) > 2:
            one, other = parse_int(words[1]), parse_int(words[2])
            if one is None or other is None:
                return None
            offset, limit, words = one, other, words[3:]
        else:
            return None
    head = keyspace.row(session.db, argv[1], now_ms)
    if low is None or high is None or (head is not None and head.kind != ZSET):
        return None
    order = _order(keyspace, head)
    start = count = 0
    if order is not None and offset >= 0:
        start = order.place(low[0], None, low[1]) + offset
        count = max(order.place(high[0], None, not high[1]) - start, 0)
    return _range(keyspace, session, order, start, count if limit < 0 else min(count, limit), False, scores)


def _order(keyspace: Keyspace, head: Row | None) -> Order | None:
    order = None if head is None else family.family_of(keyspace, head).order
    assert order is None or isinstance(order, Order)
    return order


def _range(
    keyspace: Keyspace, session: Session, order: Order | None, start: int, count: int, downwards: bool, scores: bool
) -> bytes | None:  # fmt: skip
    items: list[Item] = [] if order is None or not count else order.from_rank(start, count, downwards)
    key_bytes = 0 if order is None else MEMBER_BYTES + (SCORE_BYTES if scores else 0)
    size = sum(key_bytes + len(name) for _, name in items)
    if size > HOT_REPLY_BYTES_MAX:
        return None
    keyspace.moved += size
    keyspace.hits += order is not None
    keyspace.misses += order is None
    nested = scores and session.proto == 3
    told = (
        b"*2\r\n" * nested + bulk(name) + (_told(session, score) if scores else b"") for score, name in items
    )  # fmt: skip
    return b"*%d\r\n%b" % (len(items) * (1 + (scores and not nested)), b"".join(told))


def _bound(word: bytes) -> tuple[float, bool] | None:
    """An end of a range of scores, in the forms that are no work to read, and whether it is exclusive."""
    exclusive = word[:1] == b"("
    text = word[1:] if exclusive else word
    score = ENDLESS[text.lower()] if text.lower() in ENDLESS else _plain(text)
    return None if score is None else (score, exclusive)


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


def _put(keyspace: Keyspace, head: Row, row: Row | None, name: bytes, score: float, now_ms: int, event: bytes) -> None:
    if row is not None and score_of(keyspace.read(row)) == score:
        return
    deadline_ms = None if row is None or row.implicit else row.deadline_ms
    family.put_member(keyspace, head.db, head.key, name, with_score(score + 0.0), deadline_ms, now_ms)
    if keyspace.observer is not None:
        keyspace.observer(event, head.db, head.key)


def _plain(word: bytes) -> float | None:
    if (
        len(word) > DIGITS_MAX + 2
        or PLAIN.fullmatch(word) is None
        or len(word.strip(b"-").replace(b".", b"")) > DIGITS_MAX
    ):
        return None
    return parse_double(word)


def _told(session: Session, score: float) -> bytes:
    digits = (b"inf" if score > 0 else b"-inf") if abs(score) == inf else b"%.17g" % score
    return b",%b\r\n" % digits if session.proto == 3 else bulk(digits)
