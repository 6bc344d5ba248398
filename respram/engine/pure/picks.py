"""Hot commands that draw members: SRANDMEMBER, HRANDFIELD, ZRANDMEMBER and SPOP. The twin of native/picks.c."""

from respram.engine.api import HOT_REPLY_BYTES_MAX, Session
from respram.engine.pure import family
from respram.engine.pure.effort import TOLD_US
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.order import Order
from respram.engine.pure.parts import SEEN_BYTES
from respram.engine.pure.ranks import told_score
from respram.engine.pure.reads import NIL, bulk
from respram.engine.pure.record import Row
from respram.engine.scores import score_of
from respram.integers import INT64_MAX, parse_int
from respram.record import DATABASES, HASH, SET, ZSET, member_key, name_of

PICKED_MAX = 1024  # members of one command; more are for `dispatch`
FRAME_BYTES = 32  # of a part of a reply, as the native engine counts it

Reply = bytes | None


def srandmember(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _tell_some(keyspace, session, argv, SET, None, now_ms)


def hrandfield(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _tell_some(keyspace, session, argv, HASH, b"withvalues", now_ms)


def zrandmember(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    return _tell_some(keyspace, session, argv, ZSET, b"withscores", now_ms)


def _tell_some(
    keyspace: Keyspace, session: Session, argv: list[bytes], kind: int, word: bytes | None, now_ms: int
) -> Reply:  # fmt: skip
    """SRANDMEMBER and its kin: key [count [`word`]]."""
    count = 1 if len(argv) == 2 else parse_int(argv[2]) if 2 < len(argv) <= 4 else None
    if count is None or abs(count) > INT64_MAX // 2 or (len(argv) == 4 and argv[3].lower() != word):
        return None
    head = keyspace.row(session.db, argv[1], now_ms)
    if head is not None and head.kind != kind:
        return None
    rows = _pick(keyspace, head, count)
    if rows is None:
        return None
    told = _told_rows(keyspace, session, rows, b"*", len(argv) == 4) if len(argv) > 2 else _one(keyspace, session, rows)
    if told is not None:
        keyspace.hits += head is not None
        keyspace.misses += head is None
    return told


def spop(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> Reply:
    """SPOP, for a user with the right by name."""
    count = 1 if len(argv) == 2 else parse_int(argv[2]) if len(argv) == 3 else None
    head = keyspace.row(session.db, argv[1], now_ms) if count is not None and count >= 0 else None
    if count is None or count < 0 or (head is not None and head.kind != SET):
        return None
    rows = _pick(keyspace, head, count)
    if rows is None:
        return None
    mark = b"~" if session.proto == 3 else b"*"
    told = _told_rows(keyspace, session, rows, mark, False) if len(argv) > 2 else _one(keyspace, session, rows)
    if told is None:
        return None
    for name in [name_of(row.key) for row in rows]:
        family.let_go_member(keyspace, session.db, argv[1], name, now_ms)
    keyspace.hits += head is not None
    keyspace.misses += head is None
    if rows and keyspace.observer is not None:
        keyspace.observer(b"spop", session.db, argv[1])
        if keyspace.row(session.db, argv[1], now_ms) is None:
            keyspace.observer(b"del", session.db, argv[1])
    return told


def _pick(keyspace: Keyspace, head: Row | None, count: int) -> list[Row] | None:
    """So many different members, all of them if there are no more; of a negative count as many, each drawn anew. None:
    too many.
    """
    if head is None or not count:
        return []
    its, draw = family.family_of(keyspace, head), keyspace.draws.below
    if count >= its.count:
        return None if its.count > PICKED_MAX else _all(keyspace, head)
    if abs(count) > PICKED_MAX:
        return None
    if count < 0:
        return [its.rows[its.dying + draw(its.count)] for _ in range(-count)]
    places: dict[int, None] = {}  # by Floyd's method: one draw for each, whatever their share of all
    for last in range(its.count - count, its.count):
        place = draw(last + 1)
        places[last if place in places else place] = None
    return [its.rows[its.dying + place] for place in places]


def _all(keyspace: Keyspace, head: Row) -> list[Row]:
    its = family.family_of(keyspace, head)
    if not isinstance(its.order, Order):
        return its.rows[its.dying :]
    space, names = ZSET * DATABASES + head.db, its.order.from_rank(0, its.count, False)
    return [keyspace.tables[space][member_key(head.key, name)] for _, name in names]


def _told_rows(keyspace: Keyspace, session: Session, rows: list[Row], mark: bytes, with_values: bool) -> Reply:
    more = 2 * FRAME_BYTES if with_values else 0
    size = FRAME_BYTES + sum(
        2 * FRAME_BYTES + len(row.key) + more + (len(row.value or b"") if with_values else 0) for row in rows
    )
    if size > HOT_REPLY_BYTES_MAX:
        return None
    keyspace.moved += size + len(rows) * SEEN_BYTES
    keyspace.effort.us += len(rows) * TOLD_US
    nested = with_values and session.proto == 3
    parts = [
        b"*2\r\n" * nested + bulk(name_of(row.key)) + (_value(keyspace, session, row) if with_values else b"")
        for row in rows
    ]
    return b"%b%d\r\n%b" % (mark, len(rows) * (1 + (with_values and not nested)), b"".join(parts))


def _value(keyspace: Keyspace, session: Session, row: Row) -> bytes:
    value = keyspace.read(row)
    return told_score(session, score_of(value)) if row.db // DATABASES == ZSET else bulk(value)


def _one(keyspace: Keyspace, session: Session, rows: list[Row]) -> bytes:
    keyspace.moved += len(rows) * SEEN_BYTES
    return bulk(name_of(rows[0].key)) if rows else NIL[session.proto]
