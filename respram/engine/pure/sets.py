"""Hot commands of several sets, and walks through the members of one collection. The twin of native/sets.c.

Members are looked up by name in the other sets. A command with too many lookups is for `dispatch`, which does it in
steps.
"""

from dataclasses import dataclass, field

from respram.engine.api import HOT_BYTES_MAX, HOT_REPLY_BYTES_MAX, MEMBERS_BYTES_MAX, Session
from respram.engine.pure import family
from respram.engine.pure.effort import LOOKED_US, WALKED_US
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.order import Order
from respram.engine.pure.parts import LOOKS_MAX, SEEN_BYTES, SOURCES_MAX
from respram.engine.pure.ranks import digits_of
from respram.engine.pure.reads import bulk
from respram.engine.pure.record import Row
from respram.engine.pure.stores import FRAME_BYTES, store_members
from respram.engine.scores import score_of
from respram.glob import compile_glob, fits, glob_steps
from respram.integers import parse_int
from respram.record import DATABASES, HASH, NAME_LENGTH, SET, ZSET, member_key, name_of

SCAN_COUNT = 10
SCAN_COUNT_MAX = 1024  # longer walks are left to `dispatch`
SCAN_PATTERN_BYTES_MAX = 256  # longer patterns are left to `dispatch`
SMALL_MAX = 128  # members of a sorted set that ZSCAN returns all at once, in order, as Redis does
WHOLE_MAX = float(1 << 62)  # then it writes whole scores up to this without an exponent
SCAN_STEPS_MAX = 65_536  # steps of matching names with a pattern: about 0.1 ms in the native engine
IN_ALL, IN_ANY, IN_NONE = range(3)

Reply = bytes | None
Heads = list[Row | None]


@dataclass(slots=True)
class Chosen:
    """The names of a result, and how many lookups they took."""

    names: list[bytes] = field(default_factory=list)
    looks: int = 0


def _heads(keyspace: Keyspace, session: Session, keys: list[bytes], now_ms: int) -> Heads | None:
    """None: another kind of key, or too many."""
    if not 1 <= len(keys) <= SOURCES_MAX:
        return None
    heads: Heads = []
    for key in keys:  # what stands behind another kind is not looked at: looking ends members that are overdue
        head = keyspace.row(session.db, key, now_ms)
        if head is not None and head.kind != SET:
            return None
        heads.append(head)
    return heads


def _rows(keyspace: Keyspace, head: Row | None) -> list[Row]:
    if head is None:
        return []
    its = family.family_of(keyspace, head)
    return its.rows[its.dying :]


def _has(keyspace: Keyspace, head: Row | None, name: bytes, now_ms: int) -> bool:
    if head is None:
        return False
    return keyspace.row(SET * DATABASES + head.db, member_key(head.key, name), now_ms) is not None


def _choose(keyspace: Keyspace, heads: Heads, rule: int, most: int | None, now_ms: int) -> Chosen | None:
    """Computes the names of a result. None: it is too much for one go."""
    sizes = [0 if head is None else family.family_of(keyspace, head).count for head in heads]
    its = range(len(heads)) if rule == IN_ANY else [sizes.index(min(sizes)) if rule == IN_ALL else 0]
    if sum(sizes[number] for number in its) * len(heads) > LOOKS_MAX:
        return None
    chosen = Chosen()
    for number in its:
        for row in _rows(keyspace, heads[number]):
            if most is not None and len(chosen.names) == most:
                break
            chosen.looks += 1
            if _belongs(keyspace, heads, number, rule, name_of(row.key), now_ms, chosen):
                chosen.names.append(name_of(row.key))
    return chosen


def _belongs(
    keyspace: Keyspace, heads: Heads, its: int, rule: int, name: bytes, now_ms: int, chosen: Chosen
) -> bool:  # fmt: skip
    for number, head in enumerate(heads[:its] if rule == IN_ANY else heads):
        if number == its:
            continue
        chosen.looks += 1
        if _has(keyspace, head, name, now_ms) != (rule == IN_ALL):
            return False
    return True


def _count(keyspace: Keyspace, heads: Heads, chosen: Chosen) -> None:
    keyspace.hits += sum(head is not None for head in heads)
    keyspace.misses += sum(head is None for head in heads)
    keyspace.moved += chosen.looks * SEEN_BYTES
    keyspace.effort.us += chosen.looks * LOOKED_US


def _tell_sets(keyspace: Keyspace, session: Session, argv: list[bytes], rule: int, now_ms: int) -> Reply:
    heads = _heads(keyspace, session, argv[1:], now_ms)
    chosen = None if heads is None else _choose(keyspace, heads, rule, None, now_ms)
    if heads is None or chosen is None:
        return None
    if sum(FRAME_BYTES + len(name) for name in chosen.names) > HOT_REPLY_BYTES_MAX:
        return None
    _count(keyspace, heads, chosen)
    mark = b"~" if session.proto == 3 else b"*"
    return b"%b%d\r\n%b" % (mark, len(chosen.names), b"".join(map(bulk, chosen.names)))


def sinter(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _tell_sets(keyspace, session, argv, IN_ALL, now_ms)


def sunion(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _tell_sets(keyspace, session, argv, IN_ANY, now_ms)


def sdiff(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _tell_sets(keyspace, session, argv, IN_NONE, now_ms)


def _store_sets(keyspace: Keyspace, session: Session, argv: list[bytes], rule: int, event: bytes, now_ms: int) -> Reply:
    """SINTERSTORE and its kin. A result of nothing would remove the key: that is for `dispatch`."""
    heads = None if keyspace.full() or len(argv) < 3 else _heads(keyspace, session, argv[2:], now_ms)
    chosen = None if heads is None else _choose(keyspace, heads, rule, None, now_ms)
    if heads is None or chosen is None:
        return None
    members = [(name, b"") for name in chosen.names]
    told = store_members(keyspace, session, argv[1], SET, members, event, now_ms)
    if told is not None:
        _count(keyspace, heads, chosen)
    return told


def sinterstore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _store_sets(keyspace, session, argv, IN_ALL, b"sinterstore", now_ms)


def sunionstore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _store_sets(keyspace, session, argv, IN_ANY, b"sunionstore", now_ms)


def sdiffstore(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _store_sets(keyspace, session, argv, IN_NONE, b"sdiffstore", now_ms)


def sintercard(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    """SINTERCARD n key ... [LIMIT n]"""
    count = parse_int(argv[1]) if len(argv) >= 3 else None
    if count is None or not 1 <= count <= len(argv) - 2:
        return None
    words, limit = argv[2 + count :], 0
    if words:
        number = parse_int(words[1]) if len(words) == 2 and words[0].lower() == b"limit" else None
        if number is None or number < 0:
            return None
        limit = number
    heads = _heads(keyspace, session, argv[2 : 2 + count], now_ms)
    chosen = None if heads is None else _choose(keyspace, heads, IN_ALL, limit or None, now_ms)
    if heads is None or chosen is None:
        return None
    _count(keyspace, heads, chosen)
    return b":%d\r\n" % len(chosen.names)


def smove(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    """SMOVE source target member, for a user with the right by name."""
    if len(argv) != 4:
        return None
    source, target, name = argv[1:]
    if NAME_LENGTH.size + len(target) + len(name) > min(HOT_BYTES_MAX, keyspace.settings.bulk_bytes_max):
        return None
    heads = _heads(keyspace, session, [source, target], now_ms)
    if heads is None:
        return None
    there = _has(keyspace, heads[0], name, now_ms)
    if not there or source == target:
        return b":%d\r\n" % there
    if heads[1] is None:
        family.found(keyspace, session.db, target, SET, now_ms + keyspace.settings.default_ttl_ms, True, now_ms)
        keyspace.defaulted += 1
    is_new = not _has(keyspace, keyspace.head(session.db, target, now_ms), name, now_ms)
    if is_new:
        family.put_member(keyspace, session.db, target, name, b"", None, now_ms)
    family.let_go_member(keyspace, session.db, source, name, now_ms)
    _tell(keyspace, b"srem", session, source)
    if keyspace.row(session.db, source, now_ms) is None:
        _tell(keyspace, b"del", session, source)
    if is_new:
        _tell(keyspace, b"sadd", session, target)
    return b":1\r\n"


def _tell(keyspace: Keyspace, event: bytes, session: Session, key: bytes) -> None:
    if keyspace.observer is not None:
        keyspace.observer(event, session.db, key)


# -- HSCAN, SSCAN and ZSCAN ----------------------------------------------------------------------------------
@dataclass(slots=True)
class Walking:
    cursor: int
    names_alone: bool
    count: int = SCAN_COUNT
    pattern: bytes = b"*"


def hscan(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _scan(keyspace, session, argv, HASH, now_ms)


def sscan(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _scan(keyspace, session, argv, SET, now_ms)


def zscan(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _scan(keyspace, session, argv, ZSET, now_ms)


def _walking(argv: list[bytes], kind: int) -> Walking | None:
    cursor = parse_int(argv[2]) if len(argv) >= 3 else None
    if cursor is None or cursor < 0:
        return None
    scan, words = Walking(cursor, kind == SET), argv[3:]
    while words:
        word = words[0].lower()
        if kind == HASH and word == b"novalues" and not scan.names_alone:
            scan.names_alone, words = True, words[1:]
            continue
        number = parse_int(words[1]) if len(words) > 1 and word == b"count" else None
        if len(words) > 1 and word == b"match":
            scan.pattern = words[1]
        elif number is None or not 1 <= number <= SCAN_COUNT_MAX:
            return None
        else:
            scan.count = number
        words = words[2:]
    return scan if len(scan.pattern) <= SCAN_PATTERN_BYTES_MAX else None


def _scan(keyspace: Keyspace, session: Session, argv: list[bytes], kind: int, now_ms: int) -> Reply:
    """Walks downwards, so that a member that fills a hole was seen already."""
    scan = _walking(argv, kind)
    head = None if scan is None else keyspace.row(session.db, argv[1], now_ms)
    if scan is None or (head is not None and head.kind != kind):
        return None
    its = None if head is None else family.family_of(keyspace, head)
    rows, dying = ([], 0) if its is None else (its.rows, its.dying)
    small = kind == ZSET and len(rows) - dying <= SMALL_MAX
    if small and head is not None and its is not None:  # in their order, backwards
        assert isinstance(its.order, Order)
        names = [name for _, name in its.order.from_rank(0, its.count, False)]
        table = keyspace.tables[ZSET * DATABASES + head.db]
        rows = rows[:dying] + [table[member_key(head.key, name)] for name in reversed(names)]
        scan.cursor, scan.count = 0, SMALL_MAX
    at = min(scan.cursor, len(rows)) if scan.cursor else len(rows)
    stop, walked, value_bytes, steps = max(at - scan.count, dying), 0, 0, 0
    matches = None if scan.pattern == b"*" else compile_glob(scan.pattern)
    found: list[Row] = []
    while at > stop and value_bytes < MEMBERS_BYTES_MAX:
        at -= 1
        row = rows[at]
        value_bytes += len(row.value or b"")
        walked += 1
        if matches is not None:
            steps += glob_steps(scan.pattern, len(name_of(row.key)))
            if steps > SCAN_STEPS_MAX:
                return None
            if not fits(matches, name_of(row.key)):
                continue
        found.append(row)
    size = 3 * FRAME_BYTES + sum(
        (2 + (kind == ZSET)) * FRAME_BYTES
        + len(name_of(row.key)) + (0 if scan.names_alone else len(row.value or b"")) for row in found
    )
    if size > HOT_REPLY_BYTES_MAX:
        return None
    keyspace.hits += head is not None
    keyspace.misses += head is None
    keyspace.moved += walked * SEEN_BYTES
    keyspace.effort.us += walked * WALKED_US
    told = (
        bulk(name_of(row.key)) + (b"" if scan.names_alone else bulk(_scanned(keyspace, row, small))) for row in found
    )
    cursor, parts = b"%d" % (at if at > dying else 0), len(found) * (1 if scan.names_alone else 2)
    return b"*2\r\n%b*%d\r\n%b" % (bulk(cursor), parts, b"".join(told))


def _scanned(keyspace: Keyspace, row: Row, small: bool) -> bytes:
    """A value, or a score as ZSCAN tells it."""
    value = keyspace.opened(row)
    if row.db // DATABASES != ZSET:
        return value
    score = score_of(value)
    if small and abs(score) <= WHOLE_MAX and score == score // 1:
        return b"%d" % score
    return digits_of(score)
