"""Sorted sets, one at a time: members and their scores, ranks, walks.
Ranges are in sorted_ranges.py, several sets in sorted_algebra.py.

A sorted set is a family of records (decision 0120): the value of a member is its score, and the engine keeps them in
order. A new one gets the default TTL, as every write that names none; what changes a member keeps the deadlines that
there are.
"""

from math import isnan

from respram.commands.access import glance, room
from respram.commands.collections import drawn, parse_cursor
from respram.commands.deadlines import deadline_for
from respram.commands.node import Conn
from respram.commands.reply import OverrunError, Reply
from respram.commands.scores import scanned, stored_score, told
from respram.commands.texts import NOT_A_FLOAT, NOT_AN_INTEGER, SYNTAX, WRONG_TYPE
from respram.engine.api import Entry
from respram.engine.ranking import Item
from respram.engine.scores import score_of, with_score
from respram.errors import ClientError
from respram.glob import glob_match
from respram.integers import INT64_MAX, parse_int, parse_score
from respram.record import ZSET

NX_WITH_XX = ClientError.saying(b"ERR XX and NX options at the same time are not compatible")
GT_LT_NX = ClientError.saying(b"ERR GT, LT, and/or NX options at the same time are not compatible")
ONE_PAIR = ClientError.saying(b"ERR INCR option supports a single increment-element pair")
NOT_A_NUMBER = ClientError.saying(b"ERR resulting score is not a number (NaN)")
OUT_OF_RANGE = ClientError.saying(b"ERR value is out of range")
ZADD_WORDS = frozenset({b"nx", b"xx", b"gt", b"lt", b"ch", b"incr"})
FETCHED_AT_ONCE = 1_024  # members that a walk takes from the engine at a time
SMALL_MAX = 128  # up to this many members Redis's encoding is compact: ZSCAN returns all of them at once, in order
SCAN_COUNT_DEFAULT = 10
SCAN_COUNT_MAX = 8_192  # members walked by one ZSCAN: COUNT is a hint, and must not hold the node


def sorted_set(conn: Conn, key: bytes) -> Entry | None:
    """The sorted set, for a command that reads: a miss raises `keymiss` and asks the peers."""
    return of_its_type(glance(conn, key))


def to_be_written(conn: Conn, key: bytes) -> Entry | None:
    return of_its_type(conn.node.engine.peek(conn.session.db, key, conn.now_ms))


def of_its_type(entry: Entry | None) -> Entry | None:
    if entry is not None and entry.kind != ZSET:
        raise WRONG_TYPE
    return entry


def begin(conn: Conn, key: bytes) -> None:
    """Creates a sorted set under a missing key, before its first member."""
    deadline_ms, implicit = deadline_for(conn, None)
    conn.node.engine.found(conn.session.db, key, ZSET, deadline_ms, implicit, conn.now_ms)


def score_in(conn: Conn, key: bytes, name: bytes) -> float | None:
    member = conn.node.engine.member(conn.session.db, key, name, conn.now_ms)
    return None if member is None else score_of(member.value)


def put(conn: Conn, key: bytes, name: bytes, score: float) -> None:
    engine, db = conn.node.engine, conn.session.db
    member = engine.member(db, key, name, conn.now_ms)
    deadline_ms = member.deadline_ms if member is not None and member.own else None
    engine.put_member(db, key, name, with_score(stored_score(score)), deadline_ms, conn.now_ms)


def let_go_of(conn: Conn, key: bytes, names: list[bytes], event: bytes) -> int:
    """Removes members. The command itself needs the right by name."""
    engine, db = conn.node.engine, conn.session.db
    gone = sum(engine.let_go_member(db, key, name, conn.now_ms) for name in names)
    if gone:
        engine.tell(event, db, key)
        tell_if_empty(conn, key)
    return gone


def tell_if_empty(conn: Conn, key: bytes) -> None:
    engine, db = conn.node.engine, conn.session.db
    if engine.peek(db, key, conn.now_ms) is None:
        engine.tell(b"del", db, key)


def items_of(conn: Conn, key: bytes, start: int, count: int, downwards: bool = False, told: bool = True) -> list[Item]:
    """Members by rank, taken from the engine in pieces. OverrunError where they are to be told and are more than the
    client may hold unread.
    """
    engine, found, left = conn.node.engine, list[Item](), room(conn)
    while len(found) < count:
        rank = start - len(found) if downwards else start + len(found)
        step = min(count - len(found), FETCHED_AT_ONCE)
        piece = engine.ranked(conn.session.db, key, rank, step, downwards, conn.now_ms)
        found += piece
        left -= sum(len(name) for _, name in piece)
        if told and left < 0:
            raise OverrunError
        if len(piece) < step:
            break
    return found


def pairs(conn: Conn, items: list[Item], nested: bool | None = None) -> Reply:
    """Members with their scores: one flat list in RESP2, a list of pairs in RESP3, or as `nested` says."""
    if conn.reply_proto == 3 if nested is None else nested:
        return [[name, told(score)] for score, name in items]
    return [part for score, name in items for part in (name, told(score))]


# -- writing -------------------------------------------------------------------------------------------
def zadd(conn: Conn, argv: list[bytes]) -> Reply:
    at, words = 2, set[bytes]()
    while at < len(argv) and (word := argv[at].lower()) in ZADD_WORDS:
        words.add(word)
        at += 1
    if len(argv) == at or (len(argv) - at) % 2:
        raise SYNTAX
    return _add(conn, argv[1], words, argv[at::2], argv[at + 1 :: 2])


def zincrby(conn: Conn, argv: list[bytes]) -> Reply:
    return _add(conn, argv[1], {b"incr"}, argv[2:3], argv[3:4])


def _add(conn: Conn, key: bytes, words: set[bytes], score_words: list[bytes], names: list[bytes]) -> Reply:
    increments = b"incr" in words
    if b"nx" in words and b"xx" in words:
        raise NX_WITH_XX
    if len(words & {b"gt", b"lt", b"nx"}) > 1:
        raise GT_LT_NX
    if increments and len(names) > 1:
        raise ONE_PAIR
    scores = [_score(word) for word in score_words]
    there = to_be_written(conn, key) is not None
    added = updated = 0
    result: float | None = None
    try:
        for score, name in zip(scores, names, strict=True):
            before = score_in(conn, key, name) if there else None
            after = _after(words, before, score)
            if after is None:
                continue
            result = after
            if before is None:
                if not there:
                    begin(conn, key)
                put(conn, key, name, after)
                there = True
                added += 1
            elif stored_score(after) != before:
                put(conn, key, name, after)
                updated += 1
    finally:
        if added or updated:
            conn.node.engine.tell(b"zincr" if increments else b"zadd", conn.session.db, key)
    if increments:
        return None if result is None else told(result)
    return added + updated if b"ch" in words else added


def _score(word: bytes) -> float:
    score = parse_score(word)
    if score is None:
        raise NOT_A_FLOAT
    return score


def _after(words: set[bytes], before: float | None, score: float) -> float | None:
    """The score that a member gets; None: the options leave it alone."""
    if before is None:
        return None if b"xx" in words else score
    if b"nx" in words:
        return None
    if b"incr" in words:
        score += before
        if isnan(score):
            raise NOT_A_NUMBER
    if (b"lt" in words and score >= before) or (b"gt" in words and score <= before):
        return None
    return score


def zrem(conn: Conn, argv: list[bytes]) -> Reply:
    entry = to_be_written(conn, argv[1])
    return 0 if entry is None else let_go_of(conn, argv[1], argv[2:], b"zrem")


# -- reading -------------------------------------------------------------------------------------------
def zcard(conn: Conn, argv: list[bytes]) -> Reply:
    entry = sorted_set(conn, argv[1])
    return 0 if entry is None else entry.length


def zscore(conn: Conn, argv: list[bytes]) -> Reply:
    score = score_in(conn, argv[1], argv[2]) if sorted_set(conn, argv[1]) is not None else None
    return None if score is None else told(score)


def zmscore(conn: Conn, argv: list[bytes]) -> Reply:
    entry = sorted_set(conn, argv[1])
    scores = [score_in(conn, argv[1], name) if entry is not None else None for name in argv[2:]]
    return [None if score is None else told(score) for score in scores]


def zrank(conn: Conn, argv: list[bytes]) -> Reply:
    return _rank(conn, argv[1], argv[2], reverse=False)


def zrevrank(conn: Conn, argv: list[bytes]) -> Reply:
    return _rank(conn, argv[1], argv[2], reverse=True)


def _rank(conn: Conn, key: bytes, name: bytes, reverse: bool) -> Reply:
    entry = sorted_set(conn, key)
    score = score_in(conn, key, name) if entry is not None else None
    if entry is None or score is None:
        return None
    rank = conn.node.engine.place(conn.session.db, key, score, name, False, conn.now_ms)
    return entry.length - 1 - rank if reverse else rank


def zrandmember(conn: Conn, argv: list[bytes]) -> Reply:
    key, with_scores = argv[1], len(argv) == 4
    if len(argv) > 4 or (with_scores and argv[3].lower() != b"withscores"):
        raise SYNTAX
    count = _integer(argv[2]) if len(argv) > 2 else None
    if count is not None and (count < -INT64_MAX or (with_scores and abs(count) > INT64_MAX // 2)):
        raise OUT_OF_RANGE
    entry = sorted_set(conn, key)
    items = [] if entry is None else _drawn(conn, key, entry.length, 1 if count is None else count)
    if count is None:
        return items[0][1] if items else None
    return pairs(conn, items) if with_scores else [name for _, name in items]


def _drawn(conn: Conn, key: bytes, size: int, count: int) -> list[Item]:
    """All of them are told in their order."""
    if count >= size:
        return items_of(conn, key, 0, size)
    return [(score_of(one.value), one.name) for one in drawn(conn, key, count)]


def _integer(word: bytes) -> int:
    number = parse_int(word)
    if number is None:
        raise NOT_AN_INTEGER
    return number


def zscan(conn: Conn, argv: list[bytes]) -> Reply:
    cursor = parse_cursor(argv[2])
    entry = sorted_set(conn, argv[1])
    if entry is None:
        return [b"0", []]
    count, pattern = _scan_options(argv[3:])
    small = entry.length <= SMALL_MAX
    if small:
        cursor, items = 0, items_of(conn, argv[1], 0, entry.length)
    else:
        walked = conn.node.engine.members(conn.session.db, argv[1], cursor, count, conn.now_ms)
        cursor, items = walked.cursor, [(score_of(member.value), member.name) for member in walked.members]
    matching = [item for item in items if pattern == b"*" or glob_match(pattern, item[1])]
    return [b"%d" % cursor, [part for score, name in matching for part in (name, scanned(score, small))]]


def _scan_options(words: list[bytes]) -> tuple[int, bytes]:
    count, pattern = SCAN_COUNT_DEFAULT, b"*"
    for at in range(0, len(words), 2):
        option = words[at].lower()
        if at + 1 == len(words) or option not in (b"count", b"match"):
            raise SYNTAX
        if option == b"match":
            pattern = words[at + 1]
        else:
            count = min(_integer(words[at + 1]), SCAN_COUNT_MAX)
            if count < 1:
                raise SYNTAX
    return count, pattern


HANDLERS = {
    b"zadd": zadd,
    b"zcard": zcard,
    b"zincrby": zincrby,
    b"zmscore": zmscore,
    b"zrandmember": zrandmember,
    b"zrank": zrank,
    b"zrem": zrem,
    b"zrevrank": zrevrank,
    b"zscan": zscan,
    b"zscore": zscore,
}
