"""Records in the order of their points, for a node that fills up. The twin of native/dump.c."""

from respram.engine.ids import PARTITION_SHIFT, POINTS, point
from respram.engine.pure import family
from respram.engine.pure.keyspace import Keyspace
from respram.engine.replication import Found


def dump(keyspace: Keyspace, first: int, bytes_max: int, now_ms: int) -> Found:
    assert keyspace.digests is not None
    ids_key = keyspace.digests.ids_key
    payload: list[bytes] = []
    size, before = 0, -1
    numbers = {number for partitions in keyspace.partitions for number in partitions if number >= first >> PARTITION_SHIFT}
    for number in sorted(numbers):
        rows = [row for partitions in keyspace.partitions for row in partitions.get(number, {}).values()]
        placed = [(point(ids_key, row.db, row.key), row.id, row) for row in rows]
        for at, _, row in sorted(placed, key=lambda one: one[:2]):
            if at < first or max(row.deadline_ms, row.shadow_ms) <= now_ms:
                continue
            if size >= bytes_max and at != before:
                return Found(b"".join(payload), at)
            payload.append(keyspace.packed(row))
            size += len(payload[-1])
            before = at
    return Found(b"".join(payload), POINTS)


def fetch(keyspace: Keyspace, db: int, key: bytes, now_ms: int) -> bytes:
    row = keyspace.tables[db].get(key)
    if row is None or max(row.deadline_ms, row.shadow_ms) <= now_ms:
        return b""
    return family.fetch(keyspace, row, now_ms) if row.kind else keyspace.packed(row)
