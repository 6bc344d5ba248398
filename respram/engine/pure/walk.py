"""Walks over, counts and samples the keyspace, without writing. The twin of native/walk.c."""

from respram.engine.api import Scan
from respram.engine.pure import family
from respram.engine.pure.keyspace import PARTITIONS, Keyspace
from respram.engine.pure.record import Row
from respram.record import DATABASES

COUNTED_KEY_BYTES = 256  # of a long key, which counts as several: 16,384 keys of 64 KiB are a gigabyte
TTL_SAMPLE = 64  # rows that are read for an average


def count(keyspace: Keyspace, db: int, now_ms: int) -> int:
    """The number of live keys, without collections whose members have all ended."""
    begun = keyspace.wheel.overdue(now_ms)
    keyspace.passed(len(begun))
    over = [row for row in begun if row.value is not None and row.deadline_ms <= now_ms]
    ended = sum(row.db == db and not (row.kind and not family.family_of(keyspace, row).count) for row in over)
    families = {row.family for row in over if row.family is not None and row.family.headed and row.db % DATABASES == db}
    for its in (its for its in families if its.count):
        head = keyspace.head(db, its.key, now_ms)
        ended += head is not None and family.is_empty(keyspace, head, now_ms)
    empty = keyspace.families.empty[db] if db < DATABASES else 0
    return keyspace.live[db] - empty - ended


def _is_shown(keyspace: Keyspace, row: Row, now_ms: int) -> bool:
    return (
        row.value is not None and row.deadline_ms > now_ms and not (row.kind and family.is_empty(keyspace, row, now_ms))
    )


def scan(keyspace: Keyspace, db: int, cursor: int, count: int, now_ms: int) -> Scan:
    """The cursor is the number of the next partition; 0 once all have been seen."""
    keys: list[bytes] = []
    seen = 0
    partitions = keyspace.partitions[db]
    for number in range(cursor, PARTITIONS):
        for key, row in partitions.get(number, {}).items():
            if _is_shown(keyspace, row, now_ms):
                keys.append(key)
                seen += 1 + len(key) // COUNTED_KEY_BYTES
        if seen >= count:
            return Scan((number + 1) % PARTITIONS, keys)
    return Scan(0, keys)


def sample(keyspace: Keyspace, db: int, draw: int, now_ms: int) -> bytes | None:
    """From a random partition on, the first that has a live key; then one of its keys."""
    partitions = keyspace.partitions[db]
    if not keyspace.live[db]:
        return None
    for step in range(PARTITIONS):
        rows = partitions.get((draw + step) % PARTITIONS, {})
        keys = [key for key, row in rows.items() if _is_shown(keyspace, row, now_ms)]
        if keys:
            return keys[(draw >> 32) % len(keys)]
    return None


def ttl_average_ms(keyspace: Keyspace, db: int, now_ms: int) -> int:
    rows: list[Row] = []
    for partition in keyspace.partitions[db].values():
        rows += partition.values()
        if len(rows) >= TTL_SAMPLE:
            break
    left = [row.deadline_ms - now_ms for row in rows if row.value is not None and row.deadline_ms > now_ms]
    return sum(left) // len(left) if left else 0


def records(keyspace: Keyspace, db: int) -> list[bytes]:
    rows = [*keyspace.tables[db].values(), *(stub for stub in keyspace.stubs.values() if stub.db == db)]
    return [keyspace.packed(row) for row in rows]
