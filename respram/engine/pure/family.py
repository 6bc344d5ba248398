"""Collections: a head, its members and the index between them. The twin of native/family.c; decision 0120 has the shape.

Members are records like any other. What is here is told of each that comes, goes or changes, whoever caused it, and keeps a
`Family` for each head: which members it has, in an array, and in their order where its kind has one (`ORDERS`).
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from respram.engine.api import Member, Members
from respram.engine.pure.record import Row
from respram.record import (
    DATABASES,
    HASH,
    MARKS,
    SET,
    ZSET,
    is_member,
    key_of,
    member_key,
    name_of,
)
from respram.stamp import from_ms

if TYPE_CHECKING:
    from respram.engine.pure.keyspace import Keyspace

FAMILY_BYTES = 600  # what a family takes besides its members (measured)
MEMBER_BYTES = 16  # a place in its array, and the row's link to it
RAISED_AT_ONCE = 512  # members that a longer deadline of their head is given to in one go; the others follow in slices
FETCHED_BYTES_MAX = 1 << 20  # of a collection that a peer asks for by its key: more comes with the filling up
EVENTS = {HASH: b"hset", SET: b"sadd", ZSET: b"zadd"}  # what the observer is told of members that a peer sent
LET_GO = {HASH: b"hdel", SET: b"srem", ZSET: b"zrem"}
ENDED = {HASH: b"hexpired", SET: b"sexpired", ZSET: b"zexpired"}


class Order(Protocol):
    """What keeps the members of a family in order. It is told of every change; values are in plain."""

    def add(self, name: bytes, value: bytes) -> None: ...
    def remove(self, name: bytes, value: bytes) -> None: ...


ORDERS: dict[int, Callable[[], Order]] = {}  # by kind; made with the family


class Family:
    __slots__ = ("space", "key", "rows", "headed", "doomed", "latest", "version", "soonest_ms", "order")

    def __init__(self, space: int, key: bytes) -> None:
        self.space = space  # of its members
        self.key = key
        self.rows: list[Row] = []
        self.headed = False  # there is a head of this kind, past its deadline or not
        self.doomed = False  # its members are cleared, and wait to be wiped
        self.latest = 0  # no member's clock is above it
        self.version = 0  # another number after each change
        self.soonest_ms = 0  # no member ends before it; meaningless without members
        make = ORDERS.get(space // DATABASES)
        self.order = make() if make is not None else None


class Families:
    __slots__ = ("found", "dying", "raising", "empty", "version")

    def __init__(self) -> None:
        self.found: dict[tuple[int, bytes], Family] = {}
        self.dying: deque[Family] = deque()
        self.raising: deque[tuple[Family, int, bool]] = deque()  # how many are left, and whether only this node's own
        self.empty = [0] * DATABASES  # heads without members
        self.version = 0


def family_of(keyspace: "Keyspace", row: Row) -> Family:
    """Of a head."""
    return keyspace.families.found[row.kind * DATABASES + row.db, row.key]


def is_empty(keyspace: "Keyspace", head: Row, now_ms: int) -> bool:
    """Whether a head has no member to be seen. Writes nothing: for walks."""
    family = family_of(keyspace, head)
    if not family.rows or now_ms < family.soonest_ms:
        return not family.rows
    return all(row.deadline_ms <= now_ms for row in family.rows)


def settled(keyspace: "Keyspace", head: Row, now_ms: int) -> Family:
    """The family of a head, without members that are past their deadlines: what of them was not destroyed yet is now."""
    family = family_of(keyspace, head)
    if family.rows and now_ms >= family.soonest_ms:
        overdue = [row for row in keyspace.wheel.overdue(now_ms) if row.family is family and row.deadline_ms <= now_ms]
        for row in overdue:
            keyspace.wheel.remove(row)
            keyspace.end(row, now_ms)
        family.soonest_ms = now_ms + 1
    return family


# -- what a change of a record means for its family -----------------------------------------------------
def _family(keyspace: "Keyspace", space: int, key: bytes) -> Family:
    family = keyspace.families.found.get((space, key))
    if family is None:
        family = keyspace.families.found[space, key] = Family(space, key)
        keyspace.record_bytes += FAMILY_BYTES + len(key)
    return family


def _forget_if_bare(keyspace: "Keyspace", family: Family) -> None:
    if not family.rows and not family.headed and not family.doomed:
        del keyspace.families.found[family.space, family.key]
        keyspace.record_bytes -= FAMILY_BYTES + len(family.key)


def unlink(keyspace: "Keyspace", row: Row) -> None:
    """Before a member's value goes, or is replaced."""
    family = row.family
    assert family is not None
    if family.order is not None:
        family.order.remove(name_of(row.key), keyspace.read(row))
    last = family.rows.pop()
    if last is not row:
        family.rows[row.place] = last
        last.place = row.place
    row.family = None
    keyspace.record_bytes -= MEMBER_BYTES
    _note_change(keyspace, family)
    if family.headed and not family.rows:
        keyspace.families.empty[family.space % DATABASES] += 1
    _forget_if_bare(keyspace, family)


def link(keyspace: "Keyspace", row: Row) -> None:
    """A member has a value now."""
    family = _family(keyspace, row.db, key_of(row.key))
    if family.headed and not family.rows:
        keyspace.families.empty[family.space % DATABASES] -= 1
    family.soonest_ms = min(family.soonest_ms, row.deadline_ms) if family.rows else row.deadline_ms
    row.family, row.place = family, len(family.rows)
    family.rows.append(row)
    keyspace.record_bytes += MEMBER_BYTES
    enter(keyspace, row)


def leave(keyspace: "Keyspace", row: Row) -> None:
    """A member in its place gets another value: the old one leaves the order."""
    assert row.family is not None
    if row.family.order is not None:
        row.family.order.remove(name_of(row.key), keyspace.read(row))


def enter(keyspace: "Keyspace", row: Row) -> None:
    """The new one enters it."""
    family = row.family
    assert family is not None
    family.latest = max(family.latest, row.clock)
    family.soonest_ms = min(family.soonest_ms, row.deadline_ms)
    if family.order is not None:
        family.order.add(name_of(row.key), keyspace.read(row))
    _note_change(keyspace, family)


def _note_change(keyspace: "Keyspace", family: Family) -> None:
    keyspace.families.version += 1
    family.version = keyspace.families.version


def head_goes(keyspace: "Keyspace", row: Row, cleared: int, now_ms: int) -> None:
    """A head with a value is none any more: its members are cleared up to this clock."""
    family = family_of(keyspace, row)
    family.headed = False
    if not family.rows:
        keyspace.families.empty[row.db] -= 1
    clear(keyspace, family, cleared, now_ms)


def head_comes(keyspace: "Keyspace", row: Row) -> None:
    family = _family(keyspace, row.kind * DATABASES + row.db, row.key)
    family.headed = True
    if not family.rows:
        keyspace.families.empty[row.db] += 1


def before_head(
    keyspace: "Keyspace", row: Row | None, db: int, key: bytes, kind: int, clock: int, now_ms: int
) -> bool:
    """Before the record of a key changes that is a head, or becomes one. Whether it is the same head after that."""
    if row is None:
        return False
    is_live = row.value is not None and row.deadline_ms > now_ms
    if is_live and row.kind == kind:
        return True
    if row.kind:
        head_goes(keyspace, row, clock if is_live else ended_at(row), now_ms)
    end_ms = max(row.deadline_ms, row.shadow_ms)
    if kind and end_ms > now_ms:
        keyspace.mark(db, key, row.clock if is_live else ended_at(row), row.node, end_ms, now_ms)
    return False


def ended_at(row: Row) -> int:
    """The clock up to which what ended with this record is cleared."""
    return max(row.clock, from_ms(row.deadline_ms))


def marked(keyspace: "Keyspace", db: int, key: bytes, clock: int, now_ms: int) -> None:
    """A mark has come: what is older is cleared, of any kind."""
    for kind in (HASH, SET, ZSET):
        family = keyspace.families.found.get((kind * DATABASES + db, key))
        if family is not None:
            clear(keyspace, family, clock, now_ms)


def clear(keyspace: "Keyspace", family: Family, clock: int, now_ms: int) -> None:
    """All at once where every member is older, which is nearly always: then slices wipe them."""
    if family.latest > clock:
        for row in [row for row in family.rows if row.clock <= clock]:
            keyspace.wipe(row, now_ms)
        return
    if not family.rows:
        _forget_if_bare(keyspace, family)
        return
    families = keyspace.families
    family.doomed = True
    del families.found[family.space, family.key]
    keyspace.record_bytes -= FAMILY_BYTES + len(family.key)
    families.dying.append(family)
    if family.headed:  # the members go, the head stays
        family.headed = False
        heir = _family(keyspace, family.space, family.key)
        heir.headed = True
        families.empty[family.space % DATABASES] += 1


def is_cleared(keyspace: "Keyspace", space: int, member: bytes, clock: int, now_ms: int) -> bool:
    """Whether a member that a peer sends is of a collection that has ended here."""
    db, key = space % DATABASES, key_of(member)
    mark = keyspace.tables[MARKS + db].get(key)
    if mark is not None and clock <= mark.clock:
        return True
    row = keyspace.tables[db].get(key)
    if row is None:
        return False
    if row.value is not None and row.deadline_ms > now_ms:
        return row.kind != space // DATABASES and clock <= row.clock
    return clock <= ended_at(row)


# -- slices -----------------------------------------------------------------------------------------------
def work(keyspace: "Keyspace", now_ms: int, budget: int) -> int:
    """Wipes cleared members and lengthens the lives of others, at most so many; how many."""
    families, done = keyspace.families, 0
    while families.dying and done < budget:
        rows = families.dying[0].rows
        while rows and done < budget:
            keyspace.wipe(rows[-1], now_ms)
            done += 1
        if not rows:
            families.dying.popleft()
    while families.raising and done < budget:
        family, left, own = families.raising.popleft()
        step = min(left, budget - done, len(family.rows)) if not family.doomed else 0
        done += step
        if step:
            _raise(keyspace, family, min(left, len(family.rows)), step, own, now_ms)
        if left > step and step:
            families.raising.append((family, left - step, own))
    return done


def lengthen(keyspace: "Keyspace", head: Row, own: bool, now_ms: int) -> None:
    """The deadline of a head is later than it was: its implicit members get it too."""
    family = family_of(keyspace, head)
    count = len(family.rows)
    if not own:
        _raise(keyspace, family, count, min(count, RAISED_AT_ONCE), own, now_ms)
        count -= RAISED_AT_ONCE
    if count > 0:
        keyspace.families.raising.append((family, count, own))


def _raise(keyspace: "Keyspace", family: Family, from_: int, count: int, own: bool, now_ms: int) -> None:
    """Of the members before `from_`, downwards: one that moves is moved from the end."""
    head = keyspace.tables[family.space % DATABASES].get(family.key)
    if head is None or head.value is None or head.kind != family.space // DATABASES or head.deadline_ms <= now_ms:
        return
    for place in range(from_ - 1, from_ - 1 - count, -1):
        row = family.rows[place]
        if not row.implicit or not now_ms < row.deadline_ms < head.deadline_ms or (own and row.node != keyspace.settings.node):
            continue
        assert row.value is not None
        keyspace.put(row.db, row.key, row.value, row.seal, head.deadline_ms, True, now_ms, b"")


# -- for commands -----------------------------------------------------------------------------------------
def found(keyspace: "Keyspace", db: int, key: bytes, kind: int, deadline_ms: int, implicit: bool, now_ms: int) -> None:
    keyspace.put(db, key, b"", None, deadline_ms, implicit, now_ms, b"", kind)


def _member_row(keyspace: "Keyspace", head: Row, name: bytes, now_ms: int) -> Row | None:
    return keyspace.row(head.kind * DATABASES + head.db, member_key(head.key, name), now_ms)


def member(keyspace: "Keyspace", db: int, key: bytes, name: bytes, now_ms: int) -> Member | None:
    head = keyspace.head(db, key, now_ms)
    row = _member_row(keyspace, head, name, now_ms) if head is not None else None
    return None if row is None else _shown(keyspace, row)


def _shown(keyspace: "Keyspace", row: Row) -> Member:
    return Member(name_of(row.key), keyspace.read(row), row.deadline_ms, not row.implicit)


def put_member(
    keyspace: "Keyspace", db: int, key: bytes, name: bytes, value: bytes, deadline_ms: int | None, now_ms: int
) -> bool:
    head = keyspace.head(db, key, now_ms)
    assert head is not None, "the head comes first"
    if deadline_ms is not None and deadline_ms > max(head.deadline_ms, head.shadow_ms):
        keyspace.cover(head, deadline_ms, now_ms)
    space, name = head.kind * DATABASES + db, member_key(key, name)
    is_new = keyspace.row(space, name, now_ms) is None
    value, seal = keyspace.sealed(value)
    is_implicit = deadline_ms is None
    keyspace.put(space, name, value, seal, head.deadline_ms if deadline_ms is None else deadline_ms, is_implicit, now_ms, b"")
    return is_new


def let_go_member(keyspace: "Keyspace", db: int, key: bytes, name: bytes, now_ms: int) -> bool:
    head = keyspace.head(db, key, now_ms)
    return head is not None and keyspace.let_go(head.kind * DATABASES + db, member_key(key, name), now_ms, b"")


def members(keyspace: "Keyspace", db: int, key: bytes, cursor: int, count: int, now_ms: int) -> Members:
    head = keyspace.head(db, key, now_ms)
    if head is None:
        return Members(0, [])
    rows = settled(keyspace, head, now_ms).rows
    at = min(cursor, len(rows)) if cursor else len(rows)
    stop = max(at - count, 0)
    return Members(stop, [_shown(keyspace, row) for row in reversed(rows[stop:at])])


def draw_member(keyspace: "Keyspace", db: int, key: bytes, draw: int, now_ms: int) -> Member | None:
    head = keyspace.head(db, key, now_ms)
    rows = settled(keyspace, head, now_ms).rows if head is not None else []
    return _shown(keyspace, rows[draw % len(rows)]) if rows else None


def fetch(keyspace: "Keyspace", head: Row, now_ms: int) -> bytes:
    """A head for a peer that asks for it, with as many of its members as there is room for; the mark first, the head last."""
    mark = keyspace.tables[MARKS + head.db].get(head.key)
    payload = [keyspace.packed(mark)] if mark is not None and mark.shadow_ms > now_ms else []
    size = 0
    for row in settled(keyspace, head, now_ms).rows:
        payload.append(keyspace.packed(row))
        size += len(payload[-1])
        if size > FETCHED_BYTES_MAX:
            break
    return b"".join((*payload, keyspace.packed(head)))


def told_of_member(keyspace: "Keyspace", events: dict[int, bytes], space: int, member: bytes, now_ms: int) -> None:
    """What becomes of a member is an event of its key, while that can be seen."""
    assert keyspace.observer is not None and is_member(space)
    db, key = space % DATABASES, key_of(member)
    head = keyspace.tables[db].get(key)
    if head is not None and head.value is not None and head.kind == space // DATABASES and head.deadline_ms > now_ms:
        keyspace.observer(events[head.kind], db, key)
