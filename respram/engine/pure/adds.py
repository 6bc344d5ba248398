"""Hot commands that give members scores: ZADD and ZINCRBY. The twin of native/adds.c."""

from math import isnan

from respram.engine.api import HOT_ARGS_MAX, HOT_BYTES_MAX, Session
from respram.engine.pure import family
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.ranks import member_row, plain, tell, told_score
from respram.engine.pure.reads import NIL
from respram.engine.pure.record import Row
from respram.engine.scores import score_of, with_score
from respram.record import ZSET

ADD_WORDS = frozenset({b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"})


def zadd(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    at, words = 2, set[bytes]()
    while at < len(argv) and (word := argv[at].lower()) in ADD_WORDS:
        words.add(word)
        at += 1
    if len(argv) > HOT_ARGS_MAX or at >= len(argv) or (len(argv) - at) % 2 or keyspace.full():
        return None
    increments = b"incr" in words
    if increments and len(argv) - at != 2:
        return None
    if {b"nx", b"xx"} <= words or len(words & {b"nx", b"gt", b"lt"}) > 1:
        return None
    head = keyspace.row(session.db, argv[1], now_ms)
    if head is not None and head.kind != ZSET:
        return None
    scores, names = [plain(word) for word in argv[at::2]], argv[at + 1 :: 2]
    if None in scores or sum(map(len, names)) > HOT_BYTES_MAX:
        return None
    there = head is not None
    added = updated = 0
    result: float | None = None
    for score, name in zip(scores, names, strict=True):
        assert score is not None
        row = member_row(keyspace, head, name, now_ms) if head is not None else None
        before = None if row is None else score_of(keyspace.read(row))
        if increments and before is not None and b"nx" not in words:
            score += before
            if isnan(score):
                return None
        if not _may_add(words, before, score):
            continue
        if head is None:
            family.found(
                keyspace, session.db, argv[1], ZSET, now_ms + keyspace.settings.default_ttl_ms, True, now_ms
            )  # fmt: skip
            keyspace.defaulted += 1
            head = keyspace.head(session.db, argv[1], now_ms)
            assert head is not None
        added, result = added + (row is None), score
        updated += _put(keyspace, head, row, name, score, now_ms) and row is not None
    keyspace.hits += there
    keyspace.misses += not there
    if added or updated:
        tell(keyspace, b"zincr" if increments else b"zadd", session, argv)
    if increments:
        return NIL[session.proto] if result is None else told_score(session, result)
    return b":%d\r\n" % (added + updated if b"ch" in words else added)


def _may_add(words: set[bytes], before: float | None, score: float) -> bool:
    if before is None:
        return b"xx" not in words
    return not (b"nx" in words or (b"lt" in words and score >= before) or (b"gt" in words and score <= before))


def zincrby(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 4:
        return None
    step = plain(argv[2])
    head = _head(keyspace, session, argv[1], now_ms)
    if step is None or head is None or keyspace.full() or len(argv[3]) > HOT_BYTES_MAX:
        return None
    row = member_row(keyspace, head, argv[3], now_ms)
    score = step if row is None else score_of(keyspace.read(row)) + step
    if isnan(score):
        return None
    keyspace.hits += 1
    if _put(keyspace, head, row, argv[3], score, now_ms):
        tell(keyspace, b"zincr", session, argv)
    return told_score(session, score)


def _head(keyspace: Keyspace, session: Session, key: bytes, now_ms: int) -> Row | None:
    """The head of a sorted set that exists."""
    head = keyspace.row(session.db, key, now_ms)
    return head if head is not None and head.kind == ZSET else None


def _put(keyspace: Keyspace, head: Row, row: Row | None, name: bytes, score: float, now_ms: int) -> bool:
    """Writes a member, and returns whether something has changed."""
    if row is not None and score_of(keyspace.read(row)) == score:
        return False
    deadline_ms = None if row is None or row.implicit else row.deadline_ms
    family.put_member(keyspace, head.db, head.key, name, with_score(score + 0.0), deadline_ms, now_ms)
    return True
