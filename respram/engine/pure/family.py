"""Collections: a head, its members and the index between them.
The twin of native/family.c; decision 0120 has the shape.

Members are records like any other. This file is told of each member that is added, removed or changed, by any cause,
and keeps a `Family` for each head: its members in an array, and in their order if its kind has one (`ORDERS`).
"""

from typing import Protocol

from respram.engine.api import MEMBERS_BYTES_MAX, Member, Members, Observer, Settings
from respram.engine.pure.outbox import Outbox
from respram.engine.pure.record import ORDERS, Families, Family, Row
from respram.engine.pure.wheel import Wheel
from respram.engine.settling import SETTLED_AT_ONCE
from respram.record import (
    DATABASES,
    HASH,
    MARKS,
    SET,
    ZSET,
    Seal,
    is_member,
    key_of,
    member_key,
    name_of,
)
from respram.stamp import from_ms, to_ms

FAMILY_BYTES = 600  # overhead of a family without its members (measured)
MEMBER_BYTES = 16  # a member's place in the array, and the row's reference to it
SPARED_AT_ONCE = 512  # members of which a mark that spares some clears the others at once; of more in slices
FETCHED_BYTES_MAX = 1 << 20  # of a collection that a peer requests by its key; the rest follows with the dump
# Names under which the observer hears of members that a peer sent.
EVENTS = {HASH: b"hset", SET: b"sadd", ZSET: b"zadd"}
LET_GO = {HASH: b"hdel", SET: b"srem", ZSET: b"zrem"}
ENDED = {HASH: b"hexpired", SET: b"sexpired", ZSET: b"zexpired"}


class Store(Protocol):
    """The part of the keyspace that this file uses."""

    tables: list[dict[bytes, Row]]
    families: Families
    wheel: Wheel
    settings: Settings
    observer: Observer | None
    record_bytes: int
    clock: int
    moved: int
    writes: int
    stubs: dict[bytes, Row]
    outbox: Outbox

    def row(self, db: int, key: bytes, now_ms: int) -> Row | None: ...
    def found(self, db: int, key: bytes) -> Row | None: ...
    def head(self, db: int, key: bytes, now_ms: int) -> Row | None: ...
    def read(self, row: Row) -> bytes: ...
    def look(self, size: int = 0) -> None: ...
    def passed(self, records: int) -> None: ...
    def sealed(self, space: int, value: bytes) -> tuple[bytes, Seal | None]: ...
    def packed(self, row: Row) -> bytes: ...
    def put(
        self, db: int, key: bytes, value: bytes, seal: Seal | None, deadline_ms: int, implicit: bool, now_ms: int,
        event: bytes,
        kind: int = 0,
    ) -> None: ...  # fmt: skip
    def let_go(self, db: int, key: bytes, now_ms: int, event: bytes) -> bool: ...
    def cover(self, head: Row, until_ms: int, now_ms: int) -> None: ...
    def mark(
        self, db: int, key: bytes, clock: int, node: int, until_ms: int, now_ms: int, ended_ms: int = 0
    ) -> None: ...  # fmt: skip
    def write(
        self, row: Row | None, db: int, key: bytes, value: bytes | None, seal: Seal | None, clock: int, node: int,
        deadline_ms: int, shadow_ms: int, implicit: bool, now_ms: int, kind: int = 0,
    ) -> None: ...  # fmt: skip
    def wipe(self, row: Row, now_ms: int) -> None: ...
    def end(self, row: Row, now_ms: int) -> None: ...


def family_of(keyspace: Store, row: Row) -> Family:
    """The family of a head."""
    return keyspace.families.found[row.kind * DATABASES + row.db, row.key]


def is_empty(keyspace: Store, head: Row, now_ms: int) -> bool:
    """Whether a head has no member to be seen. Writes nothing: for walks."""
    family = family_of(keyspace, head)
    if not family.count or now_ms < family.soonest_ms:
        return not family.count
    if family.last_ms <= now_ms:
        return True
    # Some live on, or did: of a crowd nobody looks for the first of them among all that have ended.
    if family.count > SETTLED_AT_ONCE:
        return False
    return all(row.deadline_ms <= now_ms for row in family.rows[family.dying :])


def settled(keyspace: Store, head: Row, now_ms: int) -> Family:
    """The family of a head, without members that are past their deadlines: what of them was not destroyed yet is now.
    """
    family = family_of(keyspace, head)
    if family.rows and now_ms >= family.soonest_ms:
        # They stand in slots of the wheel that have begun, and in the family's array. The shorter of both is walked.
        by_array = len(family.rows) <= keyspace.wheel.begun(now_ms)
        rows = family.rows if by_array else keyspace.wheel.overdue(now_ms)
        keyspace.passed(len(rows))
        for row in [row for row in rows if row.family is family and row.deadline_ms <= now_ms]:
            keyspace.wheel.remove(row)
            keyspace.end(row, now_ms)
        family.soonest_ms = min(row.deadline_ms for row in family.rows) if by_array and family.rows else now_ms + 1
    return family


def is_dying(row: Row) -> bool:
    """Whether a member is cleared but not wiped yet."""
    return row.family is not None and row.place < row.family.dying


# -- what a change of a record means for its family -----------------------------------------------------
def _family(keyspace: Store, space: int, key: bytes) -> Family:
    family = keyspace.families.found.get((space, key))
    if family is None:
        family = keyspace.families.found[space, key] = Family(space, key)
        keyspace.record_bytes += FAMILY_BYTES + len(key)
    return family


def forget_if_bare(keyspace: Store, family: Family) -> None:
    if not family.rows and not family.headed and not family.queued:
        del keyspace.families.found[family.space, family.key]
        keyspace.record_bytes -= FAMILY_BYTES + len(family.key)


def _count_empty(keyspace: Store, family: Family, by: int) -> None:
    """Before the first member comes or the head goes, and after the last member went or the head came."""
    if family.headed and not family.count:
        keyspace.families.empty[family.space % DATABASES] += by


def _move(family: Family, row: Row, place: int) -> None:
    family.rows[place] = row
    row.place = place


def unlink(keyspace: Store, row: Row) -> None:
    """Before a member's value goes, or is replaced by another while it is dying. The hole is filled from the end, that
    among the dying from theirs.
    """
    family = row.family
    assert family is not None
    was_seen = row.place >= family.dying
    if family.order is not None and was_seen:
        family.order.remove(name_of(row.key), keyspace.read(row))
    hole = row.place
    if not was_seen:
        family.dying -= 1
        _move(family, family.rows[family.dying], hole)
        hole = family.dying
    last = family.rows.pop()
    keyspace.families.crowds -= len(family.rows) == SETTLED_AT_ONCE
    if hole < len(family.rows):
        _move(family, last, hole)
    row.family = None
    keyspace.record_bytes -= MEMBER_BYTES
    if was_seen:
        _note_change(keyspace, family)
        _count_empty(keyspace, family, 1)
    forget_if_bare(keyspace, family)


def link(keyspace: Store, row: Row) -> None:
    """Adds a member that has a value now."""
    family = _family(keyspace, row.db, key_of(row.key))
    _count_empty(keyspace, family, -1)
    family.soonest_ms = min(family.soonest_ms, row.deadline_ms) if family.rows else row.deadline_ms
    row.family, row.place = family, len(family.rows)
    keyspace.families.crowds += len(family.rows) == SETTLED_AT_ONCE
    family.rows.append(row)
    keyspace.record_bytes += MEMBER_BYTES
    enter(keyspace, row)


def leave(keyspace: Store, row: Row) -> None:
    """Removes the old value of a member from the order, before it gets another."""
    assert row.family is not None
    if row.family.order is not None:
        row.family.order.remove(name_of(row.key), keyspace.read(row))


def enter(keyspace: Store, row: Row) -> None:
    """Adds the new value of a member to the order."""
    family = row.family
    assert family is not None
    family.latest = max(family.latest, row.clock)
    family.soonest_ms = min(family.soonest_ms, row.deadline_ms)
    family.last_ms = max(family.last_ms, row.deadline_ms)
    if family.order is not None:
        family.order.add(name_of(row.key), keyspace.read(row))
    _note_change(keyspace, family)


def _note_change(keyspace: Store, family: Family) -> None:
    keyspace.families.version += 1
    family.version = keyspace.families.version


def head_goes(keyspace: Store, row: Row, cleared: int) -> None:
    """A head with a value is none any more: its members are cleared up to this clock. Where its end is over, they are
    over, and what is there is of another head that has not come yet: then the clock is 0.
    """
    family = family_of(keyspace, row)
    _count_empty(keyspace, family, -1)
    family.headed = False
    family.shown = family.latest
    clear(keyspace, family, cleared)
    forget_if_bare(keyspace, family)


def head_comes(keyspace: Store, row: Row) -> None:
    family = _family(keyspace, row.kind * DATABASES + row.db, row.key)
    family.headed, family.began = True, row.clock
    _count_empty(keyspace, family, 1)


def before_head(
    keyspace: Store, row: Row | None, db: int, key: bytes, kind: int, clock: int, node: int, now_ms: int
) -> bool:
    """Before the record of a key changes that is a head, or becomes one. Whether it is the same head after that.

    A peer's clock may be ahead: what still lives here had ended for whoever wrote a head of the same kind behind its
    deadline.
    """
    is_own, is_over, is_early = node == keyspace.settings.node and not keyspace.families.goes_on, True, False
    cleared, end_ms, of = 0, 0, node
    if row is not None:
        is_early = row.kind == kind and not is_own and clock >= from_ms(row.deadline_ms)
        is_over = row.value is None or row.deadline_ms <= now_ms or is_early
        if not is_over and row.kind == kind:
            return True
        end_ms, of = max(row.deadline_ms, row.shadow_ms), row.node
        cleared = ended_at(row) if is_over else row.clock
    is_stub = row is not None and row.value is None
    if is_over and kind and (is_own or is_early) and end_ms > now_ms and not is_stub:
        cleared = max(cleared, min(_latest(keyspace, db, key), clock - 1))
    if is_over and kind and is_own:
        shown, last_ms = _outlived(keyspace, db, key)
        if shown:
            cleared, end_ms = max(cleared, min(shown, clock - 1)), max(end_ms, last_ms)
    ended_ms = to_ms(row.clock) if is_over and row is not None and row.kind and cleared == ended_at(row) else 0
    if is_over and kind and is_own:
        # Who begins anew has seen the end, and clears by a write what that end cleared.
        mark = keyspace.tables[MARKS + db].get(key)
        if mark is not None and mark.deadline_ms and mark.clock >= cleared:
            cleared, ended_ms = mark.clock, mark.deadline_ms
        if ended_ms:
            cleared, ended_ms = max(cleared, min(cleared + 1, clock)), 0
    if row is not None and row.kind:
        head_goes(keyspace, row, clock if not is_over else cleared if end_ms > now_ms else 0)
    if kind and end_ms > now_ms:
        keyspace.mark(db, key, cleared, of, end_ms, now_ms, ended_ms)
    return False


def _outlived(keyspace: Store, db: int, key: bytes) -> tuple[int, int]:
    """Members that were shown here under a head that has ended, and live by the head of a peer that has not come: the
    latest clock and the last end among them.
    """
    shown = last_ms = 0
    for kind in (HASH, SET, ZSET):
        family = keyspace.families.found.get((kind * DATABASES + db, key))
        if family is not None and family.count:
            shown = max(shown, family.latest if family.headed else family.shown)
            last_ms = max(last_ms, family.last_ms)
    return shown, last_ms


def _latest(keyspace: Store, db: int, key: bytes) -> int:
    """Members of what ended may be newer than its deadline, by the clocks of peers that are ahead."""
    found = (keyspace.families.found.get((kind * DATABASES + db, key)) for kind in (HASH, SET, ZSET))
    return max((family.latest for family in found if family is not None), default=0)


def ended_at(row: Row) -> int:
    """The clock up to which what ended with this record is cleared: members may be younger than their head, not than
    its end.
    """
    return max(row.clock, from_ms(row.deadline_ms)) if row.kind else row.clock


def marked(keyspace: Store, db: int, key: bytes, clock: int) -> None:
    """A mark has come: what is older is cleared, of any kind."""
    for kind in (HASH, SET, ZSET):
        family = keyspace.families.found.get((kind * DATABASES + db, key))
        if family is not None:
            clear(keyspace, family, clock)


def sweep(keyspace: Store, db: int, key: bytes, clock: int) -> int:
    """How many members of a key would be looked at, were it cleared up to this clock: none, where all of them go."""
    found = (keyspace.families.found.get((kind * DATABASES + db, key)) for kind in (HASH, SET, ZSET))
    return sum(family.count for family in found if family is not None and family.latest > clock)


def clear(keyspace: Store, family: Family, clock: int) -> None:
    """Nearly always every member is older: then it is one number that changes, and slices wipe them. Of many members,
    some of which are spared, slices clear the others (decision 0211).
    """
    if not family.count or not clock or (family.sparing and clock <= family.spared_to):
        return
    family.sparing = 0
    if keyspace.families.spare_from and family.headed and family.count > SPARED_AT_ONCE:
        family.sparing = len(family.rows)
        family.spared_from, family.spared_to = keyspace.families.spare_from, clock
        queue(keyspace, family)
        return
    if family.latest > clock:
        for row in [row for row in family.rows[family.dying :] if row.clock <= clock]:
            clear_one(keyspace, family, row)
    else:
        _drop_order(family)
        family.dying = len(family.rows)
    cleared(keyspace, family)


def cleared(keyspace: Store, family: Family) -> None:
    """Brings the counts up to date after some members were cleared."""
    _note_change(keyspace, family)
    _count_empty(keyspace, family, 1)
    queue(keyspace, family)


def clear_one(keyspace: Store, family: Family, row: Row) -> None:
    if family.order is not None:
        family.order.remove(name_of(row.key), keyspace.read(row))
    place = row.place
    _move(family, family.rows[family.dying], place)
    _move(family, row, family.dying)
    family.dying += 1


def _drop_order(family: Family) -> None:
    if family.order is not None:
        family.order = ORDERS[family.space // DATABASES]()


def queue(keyspace: Store, family: Family) -> None:
    if not family.queued:
        family.queued = True
        keyspace.families.queue.append(family)


def is_cleared(keyspace: Store, space: int, member: bytes, clock: int, now_ms: int) -> bool:
    """Whether a member from a peer belongs to a collection that has ended here."""
    db, key = space % DATABASES, key_of(member)
    mark = keyspace.tables[MARKS + db].get(key)
    if mark is not None and clock <= mark.clock:
        return True
    row = keyspace.found(db, key)
    if row is None or max(row.deadline_ms, row.shadow_ms) <= now_ms:
        return False  # no record that ended with it can exist anywhere
    if row.value is not None and row.deadline_ms > now_ms:
        return row.kind != space // DATABASES and clock <= row.clock
    return clock <= ended_at(row)


# -- for commands -----------------------------------------------------------------------------------------
def found(keyspace: Store, db: int, key: bytes, kind: int, deadline_ms: int, implicit: bool, now_ms: int) -> None:
    keyspace.put(db, key, b"", None, deadline_ms, implicit, now_ms, b"", kind)


def _member_row(keyspace: Store, head: Row, name: bytes, now_ms: int) -> Row | None:
    return keyspace.row(head.kind * DATABASES + head.db, member_key(head.key, name), now_ms)


def member(keyspace: Store, db: int, key: bytes, name: bytes, now_ms: int) -> Member | None:
    head = keyspace.head(db, key, now_ms)
    row = _member_row(keyspace, head, name, now_ms) if head is not None else None
    if row is None:
        keyspace.look()
    return None if row is None else _shown(keyspace, row)


def _shown(keyspace: Store, row: Row) -> Member:
    assert row.value is not None
    keyspace.look(len(row.value))
    return Member(name_of(row.key), keyspace.read(row), row.deadline_ms, not row.implicit)


def put_member(
    keyspace: Store, db: int, key: bytes, name: bytes, value: bytes, deadline_ms: int | None, now_ms: int
) -> bool:
    head = keyspace.head(db, key, now_ms)
    assert head is not None, "the head comes first"
    if deadline_ms is not None and deadline_ms > max(head.deadline_ms, head.shadow_ms):
        keyspace.cover(head, deadline_ms, now_ms)
    space, name = head.kind * DATABASES + db, member_key(key, name)
    is_new = keyspace.row(space, name, now_ms) is None
    keyspace.moved += len(value)
    value, seal = keyspace.sealed(space, value)
    is_implicit = deadline_ms is None
    keyspace.put(
        space, name, value, seal, head.deadline_ms if deadline_ms is None else deadline_ms, is_implicit, now_ms, b""
    )
    return is_new


def let_go_member(keyspace: Store, db: int, key: bytes, name: bytes, now_ms: int) -> bool:
    head = keyspace.head(db, key, now_ms)
    return head is not None and keyspace.let_go(head.kind * DATABASES + db, member_key(key, name), now_ms, b"")


def members(keyspace: Store, db: int, key: bytes, cursor: int, count: int, now_ms: int) -> Members:
    head = keyspace.head(db, key, now_ms)
    if head is None:
        return Members(0, [])
    family = settled(keyspace, head, now_ms)
    rows = family.rows
    at = min(cursor, len(rows)) if cursor else len(rows)
    stop = max(at - count, family.dying)
    found, size = list[Member](), 0
    while at > stop and size < MEMBERS_BYTES_MAX:
        at -= 1
        found.append(_shown(keyspace, rows[at]))
        size += len(found[-1].value)
    return Members(at if at > family.dying else 0, found)


def member_at(keyspace: Store, db: int, key: bytes, place: int, now_ms: int) -> Member | None:
    head = keyspace.head(db, key, now_ms)
    family = settled(keyspace, head, now_ms) if head is not None else None
    if family is None or not 0 <= place < family.count:
        return None
    return _shown(keyspace, family.rows[family.dying + place])


def fetch(keyspace: Store, head: Row, now_ms: int) -> bytes:
    """A head for a peer that asks for it, with as many of its members as there is room for; the mark first, the head
    last.
    """
    mark = keyspace.tables[MARKS + head.db].get(head.key)
    payload = [keyspace.packed(mark)] if mark is not None and mark.shadow_ms > now_ms else []
    size = 0
    family = family_of(keyspace, head)
    for row in family.rows[family.dying :]:
        if row.deadline_ms <= now_ms:
            continue
        payload.append(keyspace.packed(row))
        size += len(payload[-1])
        if size > FETCHED_BYTES_MAX:
            break
    return b"".join((*payload, keyspace.packed(head)))


def told_of_member(keyspace: Store, events: dict[int, bytes], space: int, member: bytes, now_ms: int) -> None:
    """What becomes of a member is an event of its key, while that can be seen."""
    assert keyspace.observer is not None and is_member(space)
    db, key = space % DATABASES, key_of(member)
    head = keyspace.tables[db].get(key)
    if head is not None and head.value is not None and head.kind == space // DATABASES and head.deadline_ms > now_ms:
        keyspace.observer(events[head.kind], db, key)
