"""Union, intersection and difference of sorted sets. Sets take part too, with score 1 for each member.

Redis adds up scores from the smallest set to the largest, and so do we: a sum of doubles depends on the order of its
parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from math import isnan

from respram.commands.access import ask_for_missing, glance
from respram.commands.node import Conn
from respram.commands.reply import Reply
from respram.commands.sorted_sets import FETCHED_AT_ONCE, items_of, pairs, score_in
from respram.commands.sorted_stores import store_items
from respram.commands.texts import NOT_AN_INTEGER, SYNTAX, WRONG_TYPE
from respram.engine.api import LOOK_BYTES
from respram.engine.ranking import Item
from respram.engine.scores import AGGREGATES
from respram.errors import ClientError
from respram.integers import parse_int, parse_score
from respram.record import SET, ZSET

NOT_A_WEIGHT = ClientError.saying(b"ERR weight value is not a float")
NEGATIVE_LIMIT = ClientError.saying(b"ERR LIMIT can't be negative")
UNION, INTERSECTION, DIFFERENCE = b"union", b"inter", b"diff"


@dataclass(slots=True)
class Source:
    key: bytes
    size: int
    kind: int
    weight: float = 1.0


@dataclass(slots=True)
class Operation:
    kind: bytes
    sources: list[Source] = field(default_factory=list)
    aggregate: bytes = b"sum"
    scores: bool = False
    limit: int = 0  # 0: none


def _tell(kind: bytes, conn: Conn, argv: list[bytes]) -> Reply:
    operation = _parsed(conn, b"z" + kind, kind, argv[1:], withscores=True)
    items = _result(conn, operation)
    return pairs(conn, items) if operation.scores else [name for _, name in items]


def _store(kind: bytes, conn: Conn, argv: list[bytes]) -> Reply:
    name = b"z%bstore" % kind
    operation = _parsed(conn, name, kind, argv[2:], withscores=False)
    return store_items(conn, name, argv[1], _result(conn, operation))


def zintercard(conn: Conn, argv: list[bytes]) -> Reply:
    operation = _parsed(conn, b"zintercard", INTERSECTION, argv[1:], withscores=False, counts=True)
    count = 0
    for _ in _intersection(conn, operation):
        count += 1
        if count == operation.limit:
            break
    return count


# -- what was asked ------------------------------------------------------------------------------------
def _parsed(
    conn: Conn, name: bytes, kind: bytes, words: list[bytes], *, withscores: bool, counts: bool = False
) -> Operation:
    count = parse_int(words[0])
    if count is None:
        raise NOT_AN_INTEGER
    if count < 1:
        raise ClientError(b"ERR at least 1 input key is needed for '%b' command" % name)
    if count > len(words) - 1:
        raise SYNTAX
    keys = words[1 : count + 1]
    ask_for_missing(conn, keys)
    conn.node.engine.spend(LOOK_BYTES * count)
    operation = Operation(kind, [_source(conn, key) for key in keys])
    at = count + 1
    while at < len(words):
        word, left = words[at].lower(), len(words) - at
        if word == b"weights" and left > count and kind != DIFFERENCE and not counts:
            for source, number in zip(operation.sources, words[at + 1 :], strict=False):
                source.weight = _weight(number)
            at += count
        elif (
            word == b"aggregate"
            and left > 1
            and kind != DIFFERENCE
            and not counts
            and words[at + 1].lower() in AGGREGATES
        ):
            operation.aggregate = words[at + 1].lower()
            at += 1
        elif word == b"withscores" and withscores:
            operation.scores = True
        elif word == b"limit" and left > 1 and counts:
            limit = parse_int(words[at + 1])
            if limit is None or limit < 0:
                raise NEGATIVE_LIMIT
            operation.limit = limit
            at += 1
        else:
            raise SYNTAX
        at += 1
    return operation


def _source(conn: Conn, key: bytes) -> Source:
    entry = glance(conn, key)
    if entry is None:
        return Source(key, 0, ZSET)
    if entry.kind not in (SET, ZSET):
        raise WRONG_TYPE
    return Source(key, entry.length, entry.kind)


def _weight(word: bytes) -> float:
    weight = parse_score(word)
    if weight is None:
        raise NOT_A_WEIGHT
    return weight


# -- and what comes of it ------------------------------------------------------------------------------
def _result(conn: Conn, operation: Operation) -> list[Item]:
    if operation.kind == DIFFERENCE:
        return sorted(_difference(conn, operation))
    if operation.kind == INTERSECTION:
        return sorted(_intersection(conn, operation))
    return _union(conn, operation)


def _union(conn: Conn, operation: Operation) -> list[Item]:
    aggregate = AGGREGATES[operation.aggregate]
    scores: dict[bytes, float] = {}
    for source in _by_size(operation):
        for score, name in _members(conn, source):
            weighted = _weighted(source, score)
            scores[name] = aggregate(scores[name], weighted) if name in scores else weighted
    return sorted((score, name) for name, score in scores.items())


def _intersection(conn: Conn, operation: Operation) -> Iterator[Item]:
    aggregate = AGGREGATES[operation.aggregate]
    first, *others = _by_size(operation)
    for score, name in _members(conn, first):
        total = _weighted(first, score)
        for other in others:
            its = score if other.key == first.key else _score(conn, other, name)
            if its is None:
                break
            total = aggregate(total, its * other.weight)
        else:
            yield total, name


def _difference(conn: Conn, operation: Operation) -> Iterator[Item]:
    first, *others = operation.sources
    for score, name in _members(conn, first):
        if all(_score(conn, other, name) is None for other in others):
            yield score, name


def _by_size(operation: Operation) -> list[Source]:
    return sorted(operation.sources, key=lambda source: source.size)


def _weighted(source: Source, score: float) -> float:
    weighted = source.weight * score
    return 0.0 if isnan(weighted) else weighted


def _members(conn: Conn, source: Source) -> list[Item]:
    if source.kind == ZSET:
        return items_of(conn, source.key, 0, source.size, told=False)
    engine, items, cursor = conn.node.engine, list[Item](), 0
    while source.size:
        walked = engine.members(conn.session.db, source.key, cursor, FETCHED_AT_ONCE, conn.now_ms)
        items += [(1.0, member.name) for member in walked.members]
        cursor = walked.cursor
        if not cursor:
            break
    return items


def _score(conn: Conn, source: Source, name: bytes) -> float | None:
    if source.kind == ZSET:
        return score_in(conn, source.key, name)
    return None if conn.node.engine.member(conn.session.db, source.key, name, conn.now_ms) is None else 1.0


HANDLERS = {
    b"zdiff": partial(_tell, DIFFERENCE),
    b"zdiffstore": partial(_store, DIFFERENCE),
    b"zinter": partial(_tell, INTERSECTION),
    b"zintercard": zintercard,
    b"zinterstore": partial(_store, INTERSECTION),
    b"zunion": partial(_tell, UNION),
    b"zunionstore": partial(_store, UNION),
}
