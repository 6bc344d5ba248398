"""Hot commands of sorted sets: members by name, by rank and by score. The twin of native/ranks.c.

A score is read here where it is a plain number of at most 15 digits, which a double holds to the last of them; all
others are for `dispatch`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from respram.engine.api import HOT_ARGS_MAX, HOT_REPLY_BYTES_MAX, Session
from respram.engine.pure import family, fields
from respram.engine.pure.effort import TOLD_US
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.order import Order
from respram.engine.pure.reads import NIL, bulk
from respram.engine.pure.record import Row
from respram.engine.pure.stores import store_members
from respram.engine.ranking import Item
from respram.engine.scores import score_of, with_score
from respram.engine.telling import RETRIED_MEMBERS_MAX
from respram.integers import parse_double, parse_int
from respram.record import DATABASES, ZSET, member_key

PLAIN = re.compile(rb"-?[0-9]+(\.[0-9]*)?")
MEMBER_BYTES, SCORE_BYTES = 64, 64  # cost of a part of a reply besides the names, as in the native engine
ENDLESS = {b"inf": inf, b"+inf": inf, b"-inf": -inf}
LET_GO_AT_ONCE = 1024  # members that one command removes; `dispatch` removes more
STORED_AT_ONCE = 8192  # members that one command stores, about 1 ms; `dispatch` stores more
DIGITS_MAX = 15  # a double represents all numbers with this many digits

Covers = Callable[[Order], tuple[int, int]]  # the first rank, and how many


def zrem(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return fields.let_go_members(keyspace, session, argv, ZSET, now_ms)


def zscore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 3:
        return None
    head = keyspace.row(session.db, argv[1], now_ms)
    if head is not None and head.kind != ZSET:
        return None
    row = _counted(keyspace, head, argv[2], now_ms)
    return NIL[session.proto] if row is None else told_score(session, score_of(keyspace.read(row)))


def zmscore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    head = keyspace.row(session.db, argv[1], now_ms) if 3 <= len(argv) <= HOT_ARGS_MAX else None
    if not 3 <= len(argv) <= HOT_ARGS_MAX or (head is not None and head.kind != ZSET):
        return None
    keyspace.hits += head is not None
    keyspace.misses += head is None
    rows = [None if head is None else member_row(keyspace, head, name, now_ms) for name in argv[2:]]
    nil = NIL[session.proto]
    told = (nil if row is None else told_score(session, score_of(keyspace.read(row))) for row in rows)
    return b"*%d\r\n%b" % (len(rows), b"".join(told))


def zrank(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _rank(keyspace, session, argv, False, now_ms)


def zrevrank(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _rank(keyspace, session, argv, True, now_ms)


def _rank(keyspace: Keyspace, session: Session, argv: list[bytes], downwards: bool, now_ms: int) -> bytes | None:
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
    place = order.place(score_of(keyspace.read(row)), argv[2], False)
    return b":%d\r\n" % (len(order) - 1 - place if downwards else place)


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


@dataclass(slots=True)
class Words:
    """The words behind the key and the two ends of a range."""

    by_score: bool = False
    by_name: bool = False
    downwards: bool = False
    scores: bool = False
    limited: bool = False
    offset: int = 0
    limit: int = -1


def zrange(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _tell_range(keyspace, session, argv, Words(), now_ms, free=True)


def zrevrange(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _tell_range(keyspace, session, argv, Words(downwards=True), now_ms, free=False)


def zrangebyscore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _tell_range(keyspace, session, argv, Words(by_score=True), now_ms, free=False)


def zrevrangebyscore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _tell_range(keyspace, session, argv, Words(by_score=True, downwards=True), now_ms, free=False)


def zcount(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _count(keyspace, session, argv, _by_score(argv), now_ms)


def zremrangebyscore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _let_go_range(keyspace, session, argv, _by_score(argv), b"zremrangebyscore", now_ms)


def zrangebylex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _tell_range(keyspace, session, argv, Words(by_name=True), now_ms, free=False)


def zrevrangebylex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _tell_range(keyspace, session, argv, Words(by_name=True, downwards=True), now_ms, free=False)


def zlexcount(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _count(keyspace, session, argv, _by_name(argv), now_ms)


def zremrangebylex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _let_go_range(keyspace, session, argv, _by_name(argv), b"zremrangebylex", now_ms)


def _by_score(argv: list[bytes]) -> Covers | None:
    """What lies between two scores. None: `dispatch` reads them."""
    ends = _ends(argv[2], argv[3]) if len(argv) == 4 else None
    return None if ends is None else lambda order: _cover(order, ends)


def _by_name(argv: list[bytes]) -> Covers | None:
    names = _name_ends(argv[2], argv[3]) if len(argv) == 4 else None
    return None if names is None else lambda order: _cover_names(order, names)


def _count(
    keyspace: Keyspace, session: Session, argv: list[bytes], covers: Covers | None, now_ms: int
) -> bytes | None:  # fmt: skip
    head = keyspace.row(session.db, argv[1], now_ms) if covers is not None else None
    if covers is None or (head is not None and head.kind != ZSET):
        return None
    keyspace.hits += head is not None
    keyspace.misses += head is None
    order = _order(keyspace, head)
    return b":%d\r\n" % (0 if order is None else covers(order)[1])


def _let_go_range(
    keyspace: Keyspace, session: Session, argv: list[bytes], covers: Covers | None, event: bytes, now_ms: int
) -> bytes | None:  # fmt: skip
    head = keyspace.row(session.db, argv[1], now_ms) if covers is not None else None
    if covers is None or (head is not None and head.kind != ZSET):
        return None
    order = _order(keyspace, head)
    start, count = (0, 0) if order is None else covers(order)
    return _let_go(keyspace, session, argv[1], order, start, count, event, now_ms)


def zpopmin(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _pop(keyspace, session, argv, False, now_ms)


def zpopmax(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _pop(keyspace, session, argv, True, now_ms)


def _pop(keyspace: Keyspace, session: Session, argv: list[bytes], highest: bool, now_ms: int) -> bytes | None:
    """ZPOPMIN and ZPOPMAX, for a user with the right by name. The members are told first, then let go of."""
    count = parse_int(argv[2]) if len(argv) == 3 else 1 if len(argv) == 2 else None
    head = keyspace.row(session.db, argv[1], now_ms) if count is not None and count >= 0 else None
    if count is None or count < 0:
        return None
    nested = session.proto == 3 and len(argv) == 3
    return _popped(keyspace, session, argv[1], head, count, highest, nested, now_ms)


def _popped(
    keyspace: Keyspace, session: Session, key: bytes, head: Row | None, count: int, highest: bool, nested: bool,
    now_ms: int,
) -> bytes | None:  # fmt: skip
    if head is not None and head.kind != ZSET:
        return None
    order = _order(keyspace, head)
    size = 0 if order is None else len(order)
    count = min(count, size)
    if count > LET_GO_AT_ONCE:
        return None
    hits, misses = keyspace.hits, keyspace.misses
    rank = size - 1 if highest else 0
    told = _range(keyspace, session, order, rank, count, highest, True, nested)
    if told is None:
        return None
    keyspace.hits, keyspace.misses = hits, misses  # only the second lookup counts
    event = b"zpopmax" if highest else b"zpopmin"
    _let_go(keyspace, session, key, order, size - count if highest else 0, count, event, now_ms)
    return told


def zmpop(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """ZMPOP n key ... MIN|MAX [COUNT n]: from the first that is there."""
    numkeys = parse_int(argv[1]) if 4 <= len(argv) <= HOT_ARGS_MAX else None
    if numkeys is None or not 1 <= numkeys <= len(argv) - 3:
        return None
    end, words = argv[2 + numkeys].lower(), argv[3 + numkeys :]
    count = parse_int(words[1]) if len(words) == 2 and words[0].lower() == b"count" else None if words else 1
    if end not in (b"min", b"max") or count is None or count < 1:
        return None
    for missed, key in enumerate(argv[2 : 2 + numkeys]):
        head = keyspace.row(session.db, key, now_ms)
        if head is None:
            continue
        told = _popped(keyspace, session, key, head, count, end == b"max", True, now_ms)
        if told is None:
            return None
        keyspace.misses += missed
        return b"*2\r\n%b%b" % (bulk(key), told)
    keyspace.misses += numkeys
    return b"_\r\n" if session.proto == 3 else b"*-1\r\n"


def zremrangebyrank(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    first, last = (parse_int(argv[2]), parse_int(argv[3])) if len(argv) == 4 else (None, None)
    head = keyspace.row(session.db, argv[1], now_ms) if first is not None and last is not None else None
    if first is None or last is None or (head is not None and head.kind != ZSET):
        return None
    order = _order(keyspace, head)
    start, count = _between(0 if order is None else len(order), first, last)
    return _let_go(keyspace, session, argv[1], order, start, count, b"zremrangebyrank", now_ms)


def _let_go(
    keyspace: Keyspace, session: Session, key: bytes, order: Order | None, start: int, count: int, event: bytes,
    now_ms: int,
) -> bytes | None:  # fmt: skip
    """Removes members, for a user with the right by name. With the last member the key is removed."""
    if count > LET_GO_AT_ONCE:
        return None
    names = [] if order is None or not count else [name for _, name in order.from_rank(start, count, False)]
    keyspace.hits += order is not None
    keyspace.misses += order is None
    gone = sum(family.let_go_member(keyspace, session.db, key, name, now_ms) for name in names)
    if gone and keyspace.observer is not None:
        keyspace.observer(event, session.db, key)
        if keyspace.row(session.db, key, now_ms) is None:
            keyspace.observer(b"del", session.db, key)
    return b":%d\r\n" % gone


def _between(size: int, first: int, last: int) -> tuple[int, int]:
    """The ranks between two that count from the end where they are below 0: the first, and how many."""
    start = max(first + size if first < 0 else first, 0)
    return start, max(min(last + size if last < 0 else last, size - 1) - start + 1, 0)


def _tell_range(
    keyspace: Keyspace, session: Session, argv: list[bytes], words: Words, now_ms: int, *, free: bool
) -> bytes | None:  # fmt: skip
    covered = _covered(keyspace, session, argv[1:], words, now_ms, free=free)
    if covered is None:
        return None
    return _range(keyspace, session, covered.order, covered.start, covered.count, words.downwards, words.scores)


def zrangestore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """ZRANGESTORE target key low high ..."""
    words = Words()
    covered = None if keyspace.full() else _covered(keyspace, session, argv[2:], words, now_ms, free=True)
    if covered is None or words.scores or covered.count > STORED_AT_ONCE:
        return None
    order, count = covered.order, covered.count
    items = [] if order is None or not count else order.from_rank(covered.start, count, words.downwards)
    members = [(name, with_score(score + 0.0)) for score, name in items]  # no -0
    told = store_members(keyspace, session, argv[1], ZSET, members, b"zrangestore", now_ms)
    if told is not None:
        keyspace.hits += order is not None
        keyspace.misses += order is None
    return told


@dataclass(frozen=True, slots=True)
class Covered:
    """The ranks that a range covers; none if there is no key."""

    order: Order | None
    start: int
    count: int


def _covered(
    keyspace: Keyspace, session: Session, argv: list[bytes], words: Words, now_ms: int, *, free: bool
) -> Covered | None:  # fmt: skip
    """The ranks of a range. `argv` begins with the key. None: `dispatch` judges."""
    if len(argv) < 3 or not _read_words(argv[3:], words, free):
        return None
    one, other = argv[1:3]
    ends, names, first, last = None, None, None, None
    if words.by_name:
        names = _name_ends(other, one) if words.downwards else _name_ends(one, other)
    elif words.by_score:
        ends = _ends(other, one) if words.downwards else _ends(one, other)
    else:
        first, last = parse_int(one), parse_int(other)
    if ends is None and names is None and (first is None or last is None):
        return None
    head = keyspace.row(session.db, argv[0], now_ms)
    if head is not None and head.kind != ZSET:
        return None
    order = _order(keyspace, head)
    start = count = 0
    if ends is None and names is None:
        assert first is not None and last is not None
        size = len(order) if order is not None else 0
        start, count = _between(size, first, last)
        start = size - 1 - start if words.downwards else start
    elif order is not None and words.offset >= 0:
        if names is not None:
            start, count = _cover_names(order, names)
        else:
            assert ends is not None
            start, count = _cover(order, ends)
        count = max(count - words.offset, 0)
        start = start + count - 1 if words.downwards else start + words.offset
        count = count if words.limit < 0 else min(count, words.limit)
    return Covered(order, start, count)


def _read_words(rest: list[bytes], words: Words, free: bool) -> bool:
    """`free`: they may say kind and direction, too. False: what `dispatch` has to judge."""
    kinded = turned = not free
    while rest:
        word = rest[0].lower()
        if word == b"withscores":
            words.scores, rest = True, rest[1:]
        elif word == b"limit" and len(rest) > 2:
            offset, limit = parse_int(rest[1]), parse_int(rest[2])
            if offset is None or limit is None:
                return False
            words.limited, words.offset, words.limit, rest = True, offset, limit, rest[3:]
        elif word == b"rev" and not turned:
            words.downwards = turned = True
            rest = rest[1:]
        elif word == b"byscore" and not kinded:
            words.by_score = kinded = True
            rest = rest[1:]
        elif word == b"bylex" and not kinded:
            words.by_name = kinded = True
            rest = rest[1:]
        else:
            return False
    return not words.scores if words.by_name else words.by_score or not words.limited


def _ends(low: bytes, high: bytes) -> tuple[tuple[float, bool], tuple[float, bool]] | None:
    one, other = _bound(low), _bound(high)
    return None if one is None or other is None else (one, other)


def _name_ends(low: bytes, high: bytes) -> tuple[bytes, bytes] | None:
    """The two ends of a range of names, if both are such ends."""
    fit = all(word in (b"-", b"+") or word[:1] in (b"[", b"(") for word in (low, high))
    return (low, high) if fit else None


def _cover_names(order: Order, ends: tuple[bytes, bytes]) -> tuple[int, int]:
    """The first rank of a range of names, and how many it has, by the score of the first member: with several scores
    the result is undefined.
    """
    if not len(order):
        return 0, 0
    score = order.from_rank(0, 1, False)[0][0]
    low, high = ends
    start = _name_place(order, score, low, low[:1] == b"(")
    return start, max(_name_place(order, score, high, high[:1] != b"(") - start, 0)


def _name_place(order: Order, score: float, end: bytes, after: bool) -> int:
    if end in (b"-", b"+"):
        return len(order) if end == b"+" else 0
    return order.place(score, end[1:], after)


def _cover(order: Order, ends: tuple[tuple[float, bool], tuple[float, bool]]) -> tuple[int, int]:
    """The first rank of a range of scores, and how many it has."""
    (low, above), (high, below) = ends
    start = order.place(low, None, above)
    return start, max(order.place(high, None, not below) - start, 0)


def _order(keyspace: Keyspace, head: Row | None) -> Order | None:
    order = None if head is None else family.family_of(keyspace, head).order
    assert order is None or isinstance(order, Order)
    return order


def _range(
    keyspace: Keyspace, session: Session, order: Order | None, start: int, count: int, downwards: bool, scores: bool,
    nested: bool | None = None,
) -> bytes | None:  # fmt: skip
    """`nested`: whether scores come in pairs; None: where the protocol has pairs."""
    items: list[Item] = [] if order is None or not count else order.from_rank(start, count, downwards)
    key_bytes = 0 if order is None else MEMBER_BYTES + (SCORE_BYTES if scores else 0)
    size = sum(key_bytes + len(name) for _, name in items)
    if size > HOT_REPLY_BYTES_MAX or (session.retried and len(items) > RETRIED_MEMBERS_MAX):
        return None
    keyspace.moved += size
    keyspace.effort.us += len(items) * TOLD_US
    keyspace.hits += order is not None
    keyspace.misses += order is None
    nested = scores and (session.proto == 3 if nested is None else nested)
    told = (
        b"*2\r\n" * nested + bulk(name) + (told_score(session, score) if scores else b"") for score, name in items
    )  # fmt: skip
    return b"*%d\r\n%b" % (len(items) * (1 + (scores and not nested)), b"".join(told))


def _bound(word: bytes) -> tuple[float, bool] | None:
    """An end of a range of scores, in the forms that are no work to read, and whether it is exclusive."""
    exclusive = word[:1] == b"("
    text = word[1:] if exclusive else word
    score = ENDLESS[text.lower()] if text.lower() in ENDLESS else plain(text)
    return None if score is None else (score, exclusive)


def member_row(keyspace: Keyspace, head: Row, name: bytes, now_ms: int) -> Row | None:
    return keyspace.row(ZSET * DATABASES + head.db, member_key(head.key, name), now_ms)


def _counted(keyspace: Keyspace, head: Row | None, name: bytes, now_ms: int) -> Row | None:
    """The member, for a command that reads: its key counts as a hit or a miss."""
    keyspace.hits += head is not None
    keyspace.misses += head is None
    return None if head is None else member_row(keyspace, head, name, now_ms)


def tell(keyspace: Keyspace, event: bytes, session: Session, argv: list[bytes]) -> None:
    if keyspace.observer is not None:
        keyspace.observer(event, session.db, argv[1])


def plain(word: bytes) -> float | None:
    if (
        len(word) > DIGITS_MAX + 2
        or PLAIN.fullmatch(word) is None
        or len(word.strip(b"-").replace(b".", b"")) > DIGITS_MAX
    ):
        return None
    return parse_double(word)


def told_score(session: Session, score: float) -> bytes:
    return b",%b\r\n" % digits_of(score) if session.proto == 3 else bulk(digits_of(score))


def digits_of(score: float) -> bytes:
    return (b"inf" if score > 0 else b"-inf") if abs(score) == inf else b"%.17g" % score
