"""What is done with the members of a collection when there may be many: a few at once, the others in slices between
which clients are served. The twin of native/slices.c.
"""

from typing import NamedTuple

from respram.engine.pure.family import (
    SPARED_AT_ONCE,
    Store,
    clear_one,
    cleared,
    family_of,
    forget_if_bare,
    queue,
)
from respram.engine.pure.record import Family, Row
from respram.record import DATABASES, MARKS, Record, shadow_of
from respram.stamp import from_ms, to_ms

RAISED_AT_ONCE = 512  # members that get a longer deadline of their head at once; the others follow in slices
SPARED_BEHIND = 2  # the mark of who begins anew behind an end is 1 above that of the end


class Head(NamedTuple):
    """What a head says, without its stamp."""

    db: int
    key: bytes
    kind: int
    deadline_ms: int
    shadow_ms: int
    implicit: bool


def work(keyspace: Store, now_ms: int, budget: int) -> int:
    """Wipes cleared members, goes on where a mark spares some, and lengthens the lives of others: at most so many.
    Returns how many.
    """
    waiting, done = keyspace.families.queue, 0
    while waiting and done < budget:
        family = waiting[0]
        while (family.dying or family.sparing) and done < budget:
            if family.dying:
                keyspace.wipe(family.rows[family.dying - 1], now_ms)
                done += 1
            else:
                done += _spare(keyspace, family, budget - done, now_ms)
        while family.raising and done < budget:
            done += _raise(keyspace, family, budget - done, now_ms)
        if not family.dying and not family.sparing and not family.raising:
            waiting.popleft()
            family.queued = False
            forget_if_bare(keyspace, family)
    return done


def wipe_cleared(keyspace: Store) -> None:
    """Wipes at once what is left of collections that were cleared before there were peers."""
    for family in keyspace.families.queue:
        while family.dying:
            keyspace.wipe(family.rows[family.dying - 1], 0)


# -- a longer life ----------------------------------------------------------------------------------------
def lengthen(keyspace: Store, head: Row, now_ms: int) -> None:
    """EXPIRE has made the deadline of a head later: its implicit members get it too. What this node has not seen keeps
    its end: who raised it on hearing of the head, without knowing what has replaced it elsewhere, would bring it back.
    """
    family = family_of(keyspace, head)
    family.raising = len(family.rows)
    if not family.sparing:  # else some would live on that the mark is about to clear
        _raise(keyspace, family, RAISED_AT_ONCE, now_ms)
    if family.raising:
        queue(keyspace, family)


def _raise(keyspace: Store, family: Family, count: int, now_ms: int) -> int:
    """Walks downwards, as every walk does: what fills a hole was seen already. Returns how many were looked at."""
    head = keyspace.head(family.space % DATABASES, family.key, now_ms)
    from_ = min(family.raising, len(family.rows))
    stop = max(from_ - count, family.dying)
    if head is None or not family.headed or stop >= from_:
        family.raising = 0
        return 1
    for place in range(from_ - 1, stop - 1, -1):
        row = family.rows[place]
        if not row.implicit or not now_ms < row.deadline_ms < head.deadline_ms:
            continue
        assert row.value is not None
        keyspace.moved += len(row.value)
        keyspace.put(row.db, row.key, row.value, row.seal, head.deadline_ms, True, now_ms, b"")
    family.raising = stop if stop > family.dying else 0
    return from_ - stop


# -- what is newer than what a peer has let go of ---------------------------------------------------------
def living(row: Row | None, now_ms: int) -> Head | None:
    """What stays of a head that lives, before a peer's stub takes its place."""
    if row is None or not row.kind or row.deadline_ms <= now_ms:
        return None
    return Head(row.db, row.key, row.kind, row.deadline_ms, row.shadow_ms, row.implicit)


def begin_behind(keyspace: Store, head: Head, name: bytes, now_ms: int) -> None:
    """A peer has let go of a collection, or it has ended there, and this node has members of it that are newer. They
    get their head again, right behind the stub (decision 0248): nobody who has seen the stub writes there (`STEP`), so
    any later word about the key outranks this head. One of whose members this node has put outranks the others: its
    end is the one that these members were put under.
    """
    family, stub = keyspace.families.found.get((head.kind * DATABASES + head.db, head.key)), keyspace.stubs[name]
    rows = [] if family is None else [row for row in family.rows[family.dying :] if row.deadline_ms > now_ms]
    if not rows:
        return
    own = keyspace.settings.node
    clock = stub.clock + (2 if any(row.node == own for row in rows) else 1)
    keyspace.clock = max(keyspace.clock, clock)
    shadow_ms = shadow_of(head.deadline_ms, head.shadow_ms, stub.deadline_ms, stub.shadow_ms)
    keyspace.families.goes_on = True
    keyspace.write(
        stub, head.db, head.key, b"", None, clock, own, head.deadline_ms, shadow_ms, head.implicit, now_ms, head.kind
    )
    keyspace.families.goes_on = False
    if keyspace.outbox.bytes_max:
        keyspace.outbox.add(head.db, head.key, len(head.key))


# -- an end that spares what was begun before it ----------------------------------------------------------
def restamp(keyspace: Store, mark: Record, now_ms: int) -> None:
    """Before a peer's mark comes that says that a head has ended there. If the collection here was begun behind that
    head, but before its end, then what this node has put into it is written again, behind the end: the mark would clear
    it on all nodes (decision 0211). Of many members `clear` leaves that to slices.
    """
    clock, own = mark.clock, keyspace.settings.node
    head = keyspace.head(mark.db - MARKS, mark.key, now_ms)
    if head is None or from_ms(head.deadline_ms) <= clock:
        return
    family = family_of(keyspace, head)
    # A mark of a write that is here already: a peer has begun anew, and the head here became its own.
    known = keyspace.tables[mark.db].get(mark.key)
    began = family.began if known is None or known.deadline_ms else max(family.began, min(known.clock, head.clock))
    is_behind = to_ms(began) > mark.deadline_ms or head.node == mark.node == own
    if not is_behind or began > clock:
        return
    keyspace.clock = max(keyspace.clock, clock + SPARED_BEHIND)
    keyspace.families.spare_from = began
    if family.count > SPARED_AT_ONCE:
        return
    for row in reversed(family.rows[family.dying :]):
        if _is_spared(keyspace, row, began, clock, now_ms):
            _write_again(keyspace, row, clock, now_ms)


def _spare(keyspace: Store, family: Family, count: int, now_ms: int) -> int:
    """Downwards: what fills a hole was seen already, but for what takes the place of one that is cleared. How many were
    looked at.
    """
    done, place, is_some_cleared = 0, min(family.sparing, len(family.rows)), False
    while place > family.dying and done < count:
        row = family.rows[place - 1]
        done += 1
        if _is_spared(keyspace, row, family.spared_from, family.spared_to, now_ms):
            _write_again(keyspace, row, family.spared_to, now_ms)
        elif row.clock <= family.spared_to:
            clear_one(keyspace, family, row)
            is_some_cleared = True
            continue
        place -= 1
    family.sparing = place if place > family.dying else 0
    if is_some_cleared:
        cleared(keyspace, family)
    if not family.sparing and family.raising:
        family.raising = len(family.rows)  # members have changed places
    return done


def _is_spared(keyspace: Store, row: Row, from_: int, to: int, now_ms: int) -> bool:
    """Whether this node has put a member between two clocks, and it lives."""
    return row.node == keyspace.settings.node and from_ < row.clock <= to and row.deadline_ms > now_ms


def _write_again(keyspace: Store, row: Row, mark: int, now_ms: int) -> None:
    """Right behind the mark: whoever has let go of it or replaced it since, unheard, outranks it (decision 0248)."""
    assert row.value is not None
    keyspace.moved += len(row.value)
    keyspace.write(
        row, row.db, row.key, row.value, row.seal, mark + SPARED_BEHIND, keyspace.settings.node, row.deadline_ms,
        row.shadow_ms, row.implicit, now_ms,
    )  # fmt: skip
    keyspace.writes += 1
    if keyspace.outbox.bytes_max:
        keyspace.outbox.add(row.db, row.key, len(row.key) + len(row.value))
