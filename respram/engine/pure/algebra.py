"""Hot commands of several sorted sets. Sets take part too, with score 1 for each member. The twin of native/algebra.c.

Members are looked up by name in the other sources. Scores are added up from the smallest source to the largest, as
Redis does: a sum of doubles depends on the order of its parts. A command with too many lookups is for `dispatch`.
"""

from dataclasses import dataclass, field
from math import isnan

from respram.engine.api import HOT_REPLY_BYTES_MAX, Session
from respram.engine.pure import family
from respram.engine.pure.effort import LOOKED_US
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.parts import LOOKS_MAX, SEEN_BYTES, SOURCES_MAX
from respram.engine.pure.ranks import MEMBER_BYTES, SCORE_BYTES, plain, told_score
from respram.engine.pure.reads import bulk
from respram.engine.pure.record import Row
from respram.engine.pure.stores import store_members
from respram.engine.ranking import Item
from respram.engine.scores import AGGREGATES, score_of, with_score
from respram.integers import parse_int
from respram.record import DATABASES, SET, ZSET, member_key, name_of

UNION, INTERSECTION, DIFFERENCE = range(3)

Reply = bytes | None


@dataclass(slots=True)
class Source:
    key: bytes
    weight: float = 1.0
    head: Row | None = None
    size: int = 0


@dataclass(slots=True)
class Operation:
    rule: int
    sources: list[Source]
    aggregate: bytes = b"sum"
    scores: bool = False
    limit: int = 0  # 0: none
    looks: int = 0  # members that were looked at, and lookups
    items: list[Item] = field(default_factory=list)


def zunion(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _tell(keyspace, session, argv, UNION, now_ms)


def zinter(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _tell(keyspace, session, argv, INTERSECTION, now_ms)


def zdiff(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _tell(keyspace, session, argv, DIFFERENCE, now_ms)


def zunionstore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _store(keyspace, session, argv, UNION, b"zunionstore", now_ms)


def zinterstore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _store(keyspace, session, argv, INTERSECTION, b"zinterstore", now_ms)


def zdiffstore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _store(keyspace, session, argv, DIFFERENCE, b"zdiffstore", now_ms)


def zintercard(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    """ZINTERCARD n key ... [LIMIT n]"""
    operation = _operation(argv[1:], INTERSECTION, withscores=False, counts=True)
    if operation is None or not _choose(keyspace, session, operation, now_ms):
        return None
    _count(keyspace, operation)
    return b":%d\r\n" % len(operation.items)


def _tell(keyspace: Keyspace, session: Session, argv: list[bytes], rule: int, now_ms: int) -> Reply:
    operation = _operation(argv[1:], rule, withscores=True)
    if operation is None or not _choose(keyspace, session, operation, now_ms):
        return None
    items, scores = operation.items, operation.scores
    item_bytes = MEMBER_BYTES + (SCORE_BYTES if scores else 0)
    if sum(item_bytes + len(name) for _, name in items) > HOT_REPLY_BYTES_MAX:
        return None
    _count(keyspace, operation)
    nested = scores and session.proto == 3
    told = (
        b"*2\r\n" * nested + bulk(name) + (told_score(session, score) if scores else b"")
        for score, name in sorted(items)
    )
    return b"*%d\r\n%b" % (len(items) * (1 + (scores and not nested)), b"".join(told))


def _store(keyspace: Keyspace, session: Session, argv: list[bytes], rule: int, event: bytes, now_ms: int) -> Reply:
    operation = None if keyspace.full() or len(argv) < 4 else _operation(argv[2:], rule, withscores=False)
    if operation is None or not _choose(keyspace, session, operation, now_ms):
        return None
    members = [(name, with_score(score + 0.0)) for score, name in sorted(operation.items)]  # no -0
    told = store_members(keyspace, session, argv[1], ZSET, members, event, now_ms)
    if told is not None:
        _count(keyspace, operation)
    return told


def _operation(words: list[bytes], rule: int, *, withscores: bool, counts: bool = False) -> Operation | None:
    """Reads an operation from the number of keys on. None: `dispatch` judges."""
    count = parse_int(words[0]) if words else None
    if count is None or not 1 <= count <= min(len(words) - 1, SOURCES_MAX):
        return None
    operation = Operation(rule, [Source(key) for key in words[1 : count + 1]])
    rest, weighs = words[count + 1 :], rule != DIFFERENCE and not counts
    while rest:
        word, taken = rest[0].lower(), 2
        if word == b"weights" and weighs and len(rest) > count:
            for source, number in zip(operation.sources, rest[1:], strict=False):
                weight = plain(number)
                if weight is None:
                    return None
                source.weight = weight
            taken = count + 1
        elif word == b"aggregate" and weighs and len(rest) > 1 and rest[1].lower() in AGGREGATES:
            operation.aggregate = rest[1].lower()
        elif word == b"limit" and counts and len(rest) > 1:
            limit = parse_int(rest[1])
            if limit is None or limit < 0:
                return None
            operation.limit = limit
        elif word == b"withscores" and withscores:
            operation.scores, taken = True, 1
        else:
            return None
        rest = rest[taken:]
    return operation


def _choose(keyspace: Keyspace, session: Session, operation: Operation, now_ms: int) -> bool:
    """Puts the result into `items`, in no order. False: another kind of key, or too much for one go."""
    sources, rule = operation.sources, operation.rule
    for source in sources:
        source.head = keyspace.row(session.db, source.key, now_ms)
        if source.head is not None:
            if source.head.kind not in (SET, ZSET):
                return False
            source.size = family.family_of(keyspace, source.head).count
    if rule != DIFFERENCE:
        sources.sort(key=lambda source: source.size)
    walked = sources if rule == UNION else sources[:1]
    if sum(source.size for source in walked) * len(sources) > LOOKS_MAX:
        return False
    for its, source in enumerate(walked):
        for score, name in _members(keyspace, source):
            if operation.limit and len(operation.items) == operation.limit:
                return True
            operation.looks += 1
            total = _total(keyspace, operation, its, score, name, now_ms)
            if total is not None:
                operation.items.append((total, name))
    return True


def _total(
    keyspace: Keyspace, operation: Operation, its: int, score: float, name: bytes, now_ms: int
) -> float | None:  # fmt: skip
    """The score of a member of source number `its` in the result. None: it is not in it, or was found before."""
    sources, rule, aggregate = operation.sources, operation.rule, AGGREGATES[operation.aggregate]
    total = score if rule == DIFFERENCE else _weighted(sources[its], score)
    for number, other in enumerate(sources):
        if number == its:
            continue
        operation.looks += 1
        its_score = _score(keyspace, other, name, now_ms)
        if rule == UNION and number < its or rule == DIFFERENCE:
            if its_score is not None:
                return None
        elif its_score is None:
            if rule == INTERSECTION:
                return None
        else:
            value = _weighted(other, its_score) if rule == UNION else other.weight * its_score
            total = aggregate(total, value)
    return total


def _weighted(source: Source, score: float) -> float:
    weighted = source.weight * score
    return 0.0 if isnan(weighted) else weighted


def _members(keyspace: Keyspace, source: Source) -> list[Item]:
    if source.head is None:
        return []
    its, scored = family.family_of(keyspace, source.head), source.head.kind == ZSET
    return [(score_of(keyspace.read(row)) if scored else 1.0, name_of(row.key)) for row in its.rows[its.dying :]]


def _score(keyspace: Keyspace, source: Source, name: bytes, now_ms: int) -> float | None:
    head = source.head
    if head is None:
        return None
    row = keyspace.row(head.kind * DATABASES + head.db, member_key(head.key, name), now_ms)
    if row is None:
        return None
    return score_of(keyspace.read(row)) if head.kind == ZSET else 1.0


def _count(keyspace: Keyspace, operation: Operation) -> None:
    keyspace.hits += sum(source.head is not None for source in operation.sources)
    keyspace.misses += sum(source.head is None for source in operation.sources)
    keyspace.moved += operation.looks * SEEN_BYTES
    keyspace.effort.us += operation.looks * LOOKED_US
