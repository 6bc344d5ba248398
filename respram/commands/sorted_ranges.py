"""Ranges of sorted sets: by rank, by score or by name; told, counted, stored, taken away.

Every range becomes ranks first (scores.py), then it is one walk through the order, whichever command asks. What Redis
parses before it looks at the key is parsed before it here, since a client that sends two mistakes is told of the first.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from respram.commands.blocking import forget_blocked, parse_timeout, wait_for
from respram.commands.collections import TOLD_AT_ONCE
from respram.commands.node import Conn
from respram.commands.reply import BREATH, NIL_ARRAY, Breath, Each, Reply, Some
from respram.commands.scores import Place, Range, by_name, by_rank, by_score, name_bounds, score_bounds, told
from respram.commands.sorted_sets import items_of, let_go_of, pairs, sorted_set, to_be_written
from respram.commands.sorted_stores import store_items
from respram.commands.texts import NOT_AN_INTEGER, SYNTAX
from respram.engine.api import Entry
from respram.engine.ranking import Item
from respram.errors import ClientError
from respram.integers import parse_int
from respram.record import ZSET

LIMIT_OF_RANKS = ClientError.saying(
    b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
SCORES_OF_NAMES = ClientError.saying(b"ERR syntax error, WITHSCORES not supported in combination with BYLEX")
NOT_POSITIVE = ClientError.saying(b"ERR value is out of range, must be positive")
NUMKEYS = ClientError.saying(b"ERR numkeys should be greater than 0")
COUNT = ClientError.saying(b"ERR count should be greater than 0")
RANK, SCORE, NAME = b"", b"byscore", b"bylex"

Cover = Callable[[Conn, bytes, Entry], Range]  # computes the ranks of a range in this sorted set


@dataclass(slots=True)
class Wanted:
    """What ZRANGE and its older forms were told behind the key and the two ends."""

    kind: bytes = RANK
    reverse: bool = False
    scores: bool = False
    offset: int = 0
    limit: int = -1


def zrange(conn: Conn, argv: list[bytes]) -> Reply:
    return _tell(conn, argv, Wanted(), free=True)


def zrevrange(conn: Conn, argv: list[bytes]) -> Reply:
    return _tell(conn, argv, Wanted(reverse=True), free=False)


def zrangebyscore(conn: Conn, argv: list[bytes]) -> Reply:
    return _tell(conn, argv, Wanted(SCORE), free=False)


def zrevrangebyscore(conn: Conn, argv: list[bytes]) -> Reply:
    return _tell(conn, argv, Wanted(SCORE, reverse=True), free=False)


def zrangebylex(conn: Conn, argv: list[bytes]) -> Reply:
    return _tell(conn, argv, Wanted(NAME), free=False)


def zrevrangebylex(conn: Conn, argv: list[bytes]) -> Reply:
    return _tell(conn, argv, Wanted(NAME, reverse=True), free=False)


def _tell(conn: Conn, argv: list[bytes], wanted: Wanted, *, free: bool) -> Reply:
    cover = _parsed(argv[2], argv[3], argv[4:], wanted, free=free, stores=False)
    entry = sorted_set(conn, argv[1])
    if entry is None:
        return []
    start, count = _ranks(conn, argv[1], entry, cover, wanted)
    if count > TOLD_AT_ONCE and not conn.executing:
        return Each(_in_steps(conn, argv[1], start, count, wanted))
    items = items_of(conn, argv[1], start, count, wanted.reverse)
    return pairs(conn, items) if wanted.scores else [name for _, name in items]


def _in_steps(conn: Conn, key: bytes, rank: int, count: int, wanted: Wanted) -> Iterator[Some | Breath]:
    """Up to the member that is the last of them now. Each step begins behind the member that was told last, wherever
    that is or would be by then.
    """
    engine, db, down = conn.node.engine, conn.session.db, wanted.reverse
    ((end_score, end_name),) = engine.ranked(
        db, key, rank - count + 1 if down else rank + count - 1, 1, False, conn.now_ms
    )
    told, of_each = engine.begin_telling(), 2 if wanted.scores and conn.reply_proto == 2 else 1
    while (entry := engine.peek(db, key, conn.now_ms)) is not None and entry.kind == ZSET:
        end = engine.place(db, key, end_score, end_name, not down, conn.now_ms)
        count = rank - end + 1 if down else end - rank
        piece = engine.tell_ranked(told, db, key, rank, count, down, wanted.scores, conn.reply_proto, conn.now_ms)
        if piece.last is None:
            return
        yield Some(piece.members * of_each, piece.encoded)
        yield BREATH
        score, name = piece.last
        rank = engine.place(db, key, score, name, not down, conn.now_ms) - down


def zrangestore(conn: Conn, argv: list[bytes]) -> Reply:
    wanted = Wanted()
    cover = _parsed(argv[3], argv[4], argv[5:], wanted, free=True, stores=True)
    entry = sorted_set(conn, argv[2])
    items: list[Item] = []
    if entry is not None:
        start, count = _ranks(conn, argv[2], entry, cover, wanted)
        items = items_of(conn, argv[2], start, count, wanted.reverse, told=False)
    return store_items(conn, b"zrangestore", argv[1], items)


def _parsed(low: bytes, high: bytes, words: list[bytes], wanted: Wanted, *, free: bool, stores: bool) -> Cover:
    """`free`: the words may say kind and direction, too, once they were not said by another."""
    turned = kinded = not free
    at = 0
    while at < len(words):
        word = words[at].lower()
        if word == b"withscores" and not stores:
            wanted.scores = True
        elif word == b"limit" and at + 2 < len(words):
            wanted.offset, wanted.limit = _integer(words[at + 1]), _integer(words[at + 2])
            at += 2
        elif word == b"rev" and not turned:
            wanted.reverse = turned = True
        elif word in (SCORE, NAME) and not kinded:
            wanted.kind, kinded = word, True
        else:
            raise SYNTAX
        at += 1
    if wanted.kind == RANK and wanted.limit == -1:
        wanted.offset = 0  # Redis reads it and does not apply it
    if wanted.limit != -1 and wanted.kind == RANK:
        raise LIMIT_OF_RANKS
    if wanted.scores and wanted.kind == NAME:
        raise SCORES_OF_NAMES
    if wanted.reverse and wanted.kind != RANK:
        low, high = high, low
    return cover_of(wanted.kind, low, high, wanted.reverse)


def cover_of(kind: bytes, low: bytes, high: bytes, reverse: bool = False) -> Cover:
    if kind == SCORE:
        scores = score_bounds(low, high)
        return lambda conn, key, entry: by_score(scores, _place(conn, key))
    if kind == NAME:
        names = name_bounds(low, high)
        return lambda conn, key, entry: by_name(names, _place(conn, key), _first_score(conn, key), entry.length)
    first, last = _integer(low), _integer(high)

    def ranks(conn: Conn, key: bytes, entry: Entry) -> Range:
        start, stop = by_rank(first, last, entry.length)
        return Range(entry.length - stop, entry.length - start) if reverse else Range(start, stop)

    return ranks


def _place(conn: Conn, key: bytes) -> Place:
    def place(score: float, name: bytes | None, after: bool) -> int:
        return conn.node.engine.place(conn.session.db, key, score, name, after, conn.now_ms)

    return place


def _first_score(conn: Conn, key: bytes) -> float:
    return conn.node.engine.ranked(conn.session.db, key, 0, 1, False, conn.now_ms)[0][0]


def _ranks(conn: Conn, key: bytes, entry: Entry, cover: Cover, wanted: Wanted) -> tuple[int, int]:
    """The first rank and how many."""
    start, stop = cover(conn, key, entry)
    count = stop - start - wanted.offset
    if wanted.offset < 0 or count <= 0:
        return 0, 0
    count = count if wanted.limit < 0 else min(count, wanted.limit)
    return (stop - 1 - wanted.offset if wanted.reverse else start + wanted.offset), count


def _integer(word: bytes) -> int:
    number = parse_int(word)
    if number is None:
        raise NOT_AN_INTEGER
    return number


# -- counted, taken away -------------------------------------------------------------------------------
def _count(kind: bytes, conn: Conn, argv: list[bytes]) -> Reply:
    cover = cover_of(kind, argv[2], argv[3])
    entry = sorted_set(conn, argv[1])
    if entry is None:
        return 0
    start, stop = cover(conn, argv[1], entry)
    return max(stop - start, 0)


def _remove(kind: bytes, event: bytes, conn: Conn, argv: list[bytes]) -> Reply:
    cover = cover_of(kind, argv[2], argv[3])
    entry = to_be_written(conn, argv[1])
    if entry is None:
        return 0
    start, stop = cover(conn, argv[1], entry)
    names = [name for _, name in items_of(conn, argv[1], start, max(stop - start, 0), told=False)]
    return let_go_of(conn, argv[1], names, event)


def _pop(highest: bool, conn: Conn, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise SYNTAX
    count = 1
    if len(argv) == 3:
        number = parse_int(argv[2])
        if number is None or number < 0:
            raise NOT_POSITIVE
        count = number
    items = _popped(conn, argv[1], count, highest)
    return pairs(conn, items, nested=conn.reply_proto == 3 and len(argv) == 3)


def _popped(conn: Conn, key: bytes, count: int, highest: bool) -> list[Item]:
    entry = to_be_written(conn, key)
    if entry is None or not count:
        return []
    items = items_of(conn, key, entry.length - 1 if highest else 0, min(count, entry.length), highest)
    let_go_of(conn, key, [name for _, name in items], b"zpopmax" if highest else b"zpopmin")
    return items


def _pop_or_wait(highest: bool, conn: Conn, argv: list[bytes]) -> Reply:
    timeout_ms, keys = parse_timeout(argv[-1]), argv[1:-1]
    for key in keys:
        items = _popped_of_waiting(conn, key, 1, highest)
        if items:
            return [key, items[0][1], told(items[0][0])]
    return wait_for(conn, keys, timeout_ms)


def _popped_of_waiting(conn: Conn, key: bytes, count: int, highest: bool) -> list[Item]:
    """The reply for a woken client. A key of another type that appeared meanwhile is no error for it."""
    if conn.blocked_until_ms:
        entry = conn.node.engine.peek(conn.session.db, key, conn.now_ms)
        if entry is None or entry.kind != ZSET or conn.unblocked or conn.transport.is_gone():
            return []
    items = _popped(conn, key, count, highest)
    if items:
        forget_blocked(conn)
    return items


def bzmpop(conn: Conn, argv: list[bytes]) -> Reply:
    timeout_ms = parse_timeout(argv[1])
    keys, count, highest = _several(argv[1:])
    for key in keys:
        items = _popped_of_waiting(conn, key, count, highest)
        if items:
            return [key, pairs(conn, items, nested=True)]
    return wait_for(conn, keys, timeout_ms)


def zmpop(conn: Conn, argv: list[bytes]) -> Reply:
    keys, count, highest = _several(argv)
    for key in keys:
        items = _popped(conn, key, count, highest)
        if items:
            return [key, pairs(conn, items, nested=True)]
    return NIL_ARRAY


def _several(argv: list[bytes]) -> tuple[list[bytes], int, bool]:
    """Keys, COUNT and whether it is MAX; the number of keys stands behind the name."""
    numkeys = parse_int(argv[1])
    if numkeys is None or numkeys < 1:
        raise NUMKEYS
    where = 2 + numkeys
    if where >= len(argv) or argv[where].lower() not in (b"min", b"max"):
        raise SYNTAX
    count, words = 1, argv[where + 1 :]
    if words:
        if len(words) != 2 or words[0].lower() != b"count":
            raise SYNTAX
        number = parse_int(words[1])
        if number is None or number < 1:
            raise COUNT
        count = number
    return argv[2:where], count, argv[where].lower() == b"max"


HANDLERS = {
    b"bzmpop": bzmpop,
    b"bzpopmax": partial(_pop_or_wait, True),
    b"bzpopmin": partial(_pop_or_wait, False),
    b"zcount": partial(_count, SCORE),
    b"zlexcount": partial(_count, NAME),
    b"zmpop": zmpop,
    b"zpopmax": partial(_pop, True),
    b"zpopmin": partial(_pop, False),
    b"zrange": zrange,
    b"zrangebylex": zrangebylex,
    b"zrangebyscore": zrangebyscore,
    b"zrangestore": zrangestore,
    b"zremrangebylex": partial(_remove, NAME, b"zremrangebylex"),
    b"zremrangebyrank": partial(_remove, RANK, b"zremrangebyrank"),
    b"zremrangebyscore": partial(_remove, SCORE, b"zremrangebyscore"),
    b"zrevrange": zrevrange,
    b"zrevrangebylex": zrevrangebylex,
    b"zrevrangebyscore": zrevrangebyscore,
}
