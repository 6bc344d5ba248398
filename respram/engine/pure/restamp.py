"""Fresh stamps after the clock was set back. The twin of native/restamp.c."""

from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.merge import SHADOW_MS_MAX
from respram.record import MARKS
from respram.stamp import from_ms


def restamp(keyspace: Keyspace, now_ms: int) -> int:
    latest = from_ms(now_ms + keyspace.settings.clock_offset_ms_max)
    if keyspace.clock < latest + (1 << 16):
        return 0
    ahead = [row for table in (*keyspace.tables, keyspace.stubs) for row in table.values() if row.clock > latest]
    keyspace.clock, node = latest, keyspace.settings.node
    horizon_ms = now_ms + keyspace.settings.max_ttl_ms
    for row in sorted(ahead, key=lambda row: (row.clock, row.node, row.db, row.key)):
        keyspace.clock += 1
        value = row.value
        deadline_ms, shadow_ms = min(row.deadline_ms, horizon_ms), min(row.shadow_ms, now_ms + SHADOW_MS_MAX)
        # without its key it cannot be sent; peers find by comparison that they lack it
        if value is None and row.db < MARKS:
            keyspace.bury(row, row.key, keyspace.clock, node, deadline_ms, shadow_ms, now_ms)
            continue
        keyspace.write(
            row, row.db, row.key, value, row.seal, keyspace.clock, node, deadline_ms, shadow_ms, row.implicit, now_ms,
            row.kind
        )
        keyspace.outbox.add(row.db, row.key, len(row.key) + len(value or b""))
    if keyspace.digests is not None:
        keyspace.digests.doubt()
    return len(ahead)
