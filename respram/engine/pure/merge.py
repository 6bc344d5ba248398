"""What a peer sent, under the merge rules of record.py. The twin of native/merge.c."""

from respram.engine.api import EXPIRED, MERGED, NEW, Merged
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.record import Row
from respram.errors import PeerError
from respram.record import Record, Seal, shadow_of, unpack
from respram.stamp import to_ms

SHADOW_MS_MAX = 3_651 * 86_400_000  # as long as any node's --max-ttl may be: a cut record remembers the end that it was given


def merge(keyspace: Keyspace, payload: bytes, now_ms: int) -> Merged:
    new = known = refused = strange = 0
    try:
        for record in unpack(payload):
            if not _acceptable(keyspace, record, now_ms):
                refused += 1
            elif record.seal is not None and not _opens(keyspace, record.seal):
                strange += 1
            elif _merge(keyspace, record, now_ms):
                new += 1
            else:
                known += 1
    except PeerError:
        return Merged(new, known, refused + strange, 1, strange)
    return Merged(new, known, refused + strange, 0, strange)


def _opens(keyspace: Keyspace, seal: Seal) -> bool:
    return keyspace.seals is not None and keyspace.seals.ring.find(seal.key) is not None


def _acceptable(keyspace: Keyspace, record: Record, now_ms: int) -> bool:
    settings = keyspace.settings
    horizon_ms = now_ms + settings.max_ttl_ms + settings.clock_offset_ms_max
    size = len(record.key) + len(record.value or b"")
    return (
        to_ms(record.clock) <= now_ms + settings.clock_offset_ms_max
        and record.deadline_ms <= horizon_ms
        and record.shadow_ms <= now_ms + SHADOW_MS_MAX
        and size <= settings.bulk_bytes_max
        and (record.key in keyspace.tables[record.db] or not keyspace.full())
    )


def _merge(keyspace: Keyspace, record: Record, now_ms: int) -> bool:
    """One record under the merge rules; whether it became the newest version here."""
    row = keyspace.tables[record.db].get(record.key)
    if row is None:
        if max(record.deadline_ms, record.shadow_ms) <= now_ms:
            return False
        shadow_ms = record.shadow_ms
    elif (row.clock, row.node) >= record.stamp:
        _widen(keyspace, row, record, now_ms)
        return False
    else:
        shadow_ms = shadow_of(record.deadline_ms, record.shadow_ms, row.deadline_ms, row.shadow_ms)
    keyspace.clock = max(keyspace.clock, record.clock)
    was_live = row is not None and row.value is not None and row.deadline_ms > now_ms
    value = record.value if record.deadline_ms > now_ms else None
    if value is None and shadow_ms <= now_ms:
        if row is not None:
            keyspace.wheel.remove(row)
            keyspace.remove(row)
    else:
        seal = record.seal if value is not None else None
        if value is not None and seal is None:
            value, seal = keyspace.sealed(value)  # a peer that does not seal: what lies here is sealed all the same
        keyspace.write(
            row, record.db, record.key, value, seal, record.clock, record.node, record.deadline_ms,
            shadow_ms, record.implicit, now_ms,
        )  # fmt: skip
    if keyspace.observer is not None and (was_live or value is not None):
        if not was_live:
            keyspace.observer(NEW, record.db, record.key)
        keyspace.observer(EXPIRED if value is None else MERGED, record.db, record.key)
    return True


def _widen(keyspace: Keyspace, row: Row, older: Record, now_ms: int) -> None:
    """An older or equal version still tells how long the newer one must be remembered."""
    ends = 0 if (row.clock, row.node) == older.stamp else older.deadline_ms
    shadow_ms = shadow_of(row.deadline_ms, row.shadow_ms, ends, older.shadow_ms)
    if shadow_ms == row.shadow_ms:
        return
    if keyspace.digests is not None:
        keyspace.digests.drop(row, row.clock)
    row.shadow_ms = shadow_ms
    if keyspace.digests is not None:
        keyspace.digests.add(row)
    if row.value is None:
        keyspace.wheel.remove(row)
        keyspace.wheel.place(row, shadow_ms, now_ms)
