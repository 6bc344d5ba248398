"""Merges a peer's records by the rules of record.py. The twin of native/merge.c."""

from dataclasses import replace

from respram.engine.api import EXPIRED, MERGED, Merged
from respram.engine.pure import departed, family, shares, slices
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.record import Row
from respram.errors import PeerError
from respram.record import (
    DATABASES,
    HASH,
    MARKS,
    SCRIPTS,
    SET,
    ZSET,
    Record,
    Seal,
    is_member,
    is_too_large,
    key_of,
    shadow_of,
    stub_name,
    unpack,
)
from respram.stamp import from_ms, to_ms

# the longest --max-ttl of any node: a shortened record remembers its original end
SHADOW_MS_MAX = 3_651 * 86_400_000
SWEPT_MAX = 1 << 20  # members that the records of one payload may have looked at together; native/merge.c says why


def merge(keyspace: Keyspace, payload: bytes, now_ms: int) -> Merged:
    new = known = refused = strange = 0
    keyspace.sweeps_left = SWEPT_MAX
    try:
        for arrived in unpack(payload):
            record, row = _known(keyspace, arrived)
            if not _acceptable(keyspace, record, row, now_ms):
                refused += 1
            elif record.seal is not None and not _opens(keyspace, record.seal):
                strange += 1
            else:
                merged = _merge(keyspace, record, row, now_ms)
                new += merged is True
                known += merged is False
                refused += merged is None
    except PeerError:
        return Merged(new, known, refused + strange, 1, strange)
    return Merged(new, known, refused + strange, 0, strange)


def _opens(keyspace: Keyspace, seal: Seal) -> bool:
    return keyspace.seals is not None and keyspace.seals.ring.find(seal.key) is not None


def _known(keyspace: Keyspace, record: Record) -> tuple[Record, Row | None]:
    """What there is of its key: a row, a stub, or nothing. A stub that came without a key finds both by its name, and
    where there is a row it has its key again.
    """
    if not record.named:
        return record, keyspace.found(record.db, record.key)
    row = keyspace.named.get(record.key)
    return (record, keyspace.stubs.get(record.key)) if row is None else (replace(record, key=row.key, named=False), row)


def _acceptable(keyspace: Keyspace, record: Record, row: Row | None, now_ms: int) -> bool:
    settings = keyspace.settings
    if record.named and keyspace.digests is None:
        return False  # it did not find the row that it refers to
    horizon_ms = now_ms + settings.max_ttl_ms + settings.clock_offset_ms_max
    size = len(record.value or b"") + len(record.shares)
    return (
        to_ms(record.clock) <= now_ms + settings.clock_offset_ms_max
        # a stub has no value, and remembers one that others may hold
        and record.deadline_ms <= (horizon_ms if record.value is not None else now_ms + SHADOW_MS_MAX)
        and record.shadow_ms <= now_ms + SHADOW_MS_MAX
        # A key that is too large here is stored as a stub.
        and (record.value is None or not is_too_large(record.db, record.key, size, settings.bulk_bytes_max))
        and (row is not None or not keyspace.full())
    )


def _may_sweep(keyspace: Keyspace, record: Record, row: Row | None) -> bool:
    is_head = record.db < DATABASES and (record.kind or (row is not None and row.kind))
    if record.named or not (is_head or MARKS <= record.db < SCRIPTS):
        return True
    members = family.sweep(keyspace, record.db % DATABASES, record.key, record.clock)
    if members > keyspace.sweeps_left < SWEPT_MAX:
        return False
    keyspace.sweeps_left -= min(members, keyspace.sweeps_left)
    return True


def _merge(keyspace: Keyspace, record: Record, row: Row | None, now_ms: int) -> bool | None:
    """Merges one record, and returns whether it changed what is here; None: it is refused for now."""
    if row is not None and shares.meet(keyspace, record, row, now_ms):
        seen = None if not keyspace.looks else _Seen(keyspace, record, now_ms)
        if shares.merge(keyspace, record, row, now_ms):
            if seen is not None:
                seen.tell(keyspace, record.value, now_ms)
            return True
    if row is None:
        if max(record.deadline_ms, record.shadow_ms) <= now_ms:
            return False
        shadow_ms = record.shadow_ms
    elif (row.clock, row.node) >= record.stamp:
        _widen(keyspace, row, record, now_ms)
        return False
    else:
        shadow_ms = shadow_of(record.deadline_ms, record.shadow_ms, row.deadline_ms, row.shadow_ms)
    if not _may_sweep(keyspace, record, row):
        return None
    if is_member(record.db) and shadow_ms <= record.deadline_ms:
        shadow_ms = 0  # only a peer at fault says so: a stub could not keep both
    if record.value is None and record.db < DATABASES and record.deadline_ms > shadow_ms:
        shadow_ms = record.deadline_ms  # the sender's clock is ahead of this one
    keyspace.clock = max(keyspace.clock, record.clock)
    value = record.value if record.deadline_ms > now_ms else None
    if value is not None and is_member(record.db) and family.is_cleared(keyspace, record.db, record.key, record.clock,
                                                                        now_ms):
        value = None  # stored as a stub for as long as other nodes may hold it
        mark = keyspace.tables[MARKS + record.db % DATABASES].get(key_of(record.key))
        if mark is not None and record.clock <= mark.clock:  # see _outlive
            _remember(keyspace, mark, max(mark.shadow_ms, record.deadline_ms, shadow_ms), now_ms)
    seen = None if not keyspace.looks or record.named else _Seen(keyspace, record, now_ms)
    if value is None and max(record.deadline_ms, shadow_ms) <= now_ms:
        if row is not None:
            keyspace.wheel.remove(row)
            keyspace.remove(row, record.clock)
    elif value is None and record.db < MARKS:
        if record.kind:  # it has ended: a mark stores the end, since a stub has no deadline
            ended = max(record.clock, from_ms(record.deadline_ms))
            keyspace.mark(record.db, record.key, ended, record.node, shadow_ms, now_ms, to_ms(record.clock))
        name = record.key if record.named else stub_name(record.db, record.key)
        head = slices.living(row, now_ms)
        stub = keyspace.bury(row, name, record.clock, record.node, record.deadline_ms, shadow_ms, now_ms)
        if not record.named and (record.value is None or record.deadline_ms <= now_ms):
            departed.note(keyspace, record.db, record.key, stub)
        if head is not None:
            slices.begin_behind(keyspace, head, name, now_ms)
    else:
        if MARKS <= record.db < SCRIPTS and record.deadline_ms:
            shadow_ms = max(shadow_ms, _outliving_ms(keyspace, record, now_ms))
            slices.restamp(keyspace, record, now_ms)
        seal = record.seal if value is not None else None
        own = record.shares if value is not None else b""
        if value is not None and seal is None and not record.kind:
            # the peer does not seal values, and this node does
            sealed, seal = keyspace.sealed(record.db, value + own)
            value, own = sealed[: len(value)], sealed[len(value) :]
        keyspace.write(
            row, record.db, record.key, value, seal, record.clock, record.node, record.deadline_ms,
            shadow_ms, record.implicit, now_ms, record.kind if value is not None else 0,
            own,
        )  # fmt: skip
        keyspace.families.spare_from = 0
        if record.kind and value is not None:
            _outlive(keyspace, record, shadow_ms, now_ms)
    if seen is not None:
        seen.tell(keyspace, value, now_ms)
    return True


def _outlive(keyspace: Keyspace, head: Record, shadow_ms: int, now_ms: int) -> None:
    """A mark lives for as long as what it clears, and a mark of an end as long as a head that was begun before that
    end. A node that was cut off meanwhile may show such members until they end: it has to hear of the mark (decision
    0254). Here a head comes to such a mark.
    """
    mark = keyspace.tables[MARKS + head.db].get(head.key)
    if mark is not None and mark.deadline_ms and head.clock < mark.clock:
        _remember(keyspace, mark, max(mark.shadow_ms, head.deadline_ms, shadow_ms), now_ms)


def _outliving_ms(keyspace: Keyspace, mark: Record, now_ms: int) -> int:
    """And here a mark of an end comes to what it may clear."""
    db, last_ms = mark.db - MARKS, 0
    head = keyspace.head(db, mark.key, now_ms)
    if head is not None and head.clock < mark.clock:
        last_ms = max(head.deadline_ms, head.shadow_ms)
    for kind in (HASH, SET, ZSET):
        found = keyspace.families.found.get((kind * DATABASES + db, mark.key))
        if found is not None and found.count:
            last_ms = max(last_ms, found.last_ms)
    return last_ms


class _Seen:
    """What was visible under a key before a record was merged, for the observer."""

    def __init__(self, keyspace: Keyspace, record: Record, now_ms: int) -> None:
        self.record = record
        self.db = record.db % DATABASES
        self.key = key_of(record.key) if is_member(record.db) else record.key
        self.key_before = keyspace.shows(self.db, self.key, now_ms)
        self.member_before = is_member(record.db) and keyspace.row(record.db, record.key, now_ms) is not None

    def tell(self, keyspace: Keyspace, value: bytes | None, now_ms: int) -> None:
        key_after = keyspace.shows(self.db, self.key, now_ms)
        if key_after and not self.key_before:
            keyspace.came(self.db, self.key)
        if keyspace.observer is None:
            return
        if is_member(self.record.db) and (value is not None or self.member_before):
            family.told_of_member(
                keyspace, family.LET_GO if value is None else family.EVENTS, self.record.db, self.record.key, now_ms
            )
        if self.key_before and not key_after:
            keyspace.observer(EXPIRED, self.db, self.key)
        elif key_after and self.record.db < DATABASES:
            keyspace.observer(MERGED, self.db, self.key)


def _widen(keyspace: Keyspace, row: Row, older: Record, now_ms: int) -> None:
    """An older or equal version still tells how long the newer one must be remembered."""
    ends = 0 if (row.clock, row.node) == older.stamp else older.deadline_ms
    shadow_ms = shadow_of(row.deadline_ms, row.shadow_ms, ends, older.shadow_ms)
    _remember(keyspace, row, shadow_ms, now_ms)


def _remember(keyspace: Keyspace, row: Row, shadow_ms: int, now_ms: int) -> None:
    if shadow_ms == row.shadow_ms:
        return
    if row.value is None and row.db < MARKS:
        keyspace.bury(row, row.key, row.clock, row.node, row.deadline_ms, shadow_ms, now_ms)
        return
    if keyspace.digests is not None:
        keyspace.digests.drop(row, row.clock)
    row.shadow_ms = shadow_ms
    if keyspace.digests is not None:
        keyspace.digests.add(row)
    if row.value is None:
        keyspace.wheel.remove(row)
        keyspace.wheel.place(row, max(row.deadline_ms, shadow_ms), now_ms)
