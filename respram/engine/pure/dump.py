"""Walks over the records in the order of their points, for a dump. The twin of native/dump.c."""

from respram.engine.ids import PARTITION_SHIFT, POINTS, point, point_by_name
from respram.engine.pure import family
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.record import Row
from respram.engine.replication import FETCHED_PIECE_BYTES, Fetched, Found
from respram.record import is_of_collection
from respram.slots import unpack_keys


def dump(keyspace: Keyspace, first: int, bytes_max: int, now_ms: int) -> Found:
    assert keyspace.digests is not None
    ids_key = keyspace.digests.ids_key
    payload: list[bytes] = []
    size, before = 0, -1
    stubs: dict[int, list[tuple[int, int, Row]]] = {}
    for name, stub in keyspace.stubs.items():
        at = point_by_name(ids_key, name)
        stubs.setdefault(at >> PARTITION_SHIFT, []).append((at, stub.id, stub))
    numbers = {number for partitions in keyspace.partitions for number in partitions} | set(stubs)
    for number in sorted(number for number in numbers if number >= first >> PARTITION_SHIFT):
        rows = [row for partitions in keyspace.partitions for row in partitions.get(number, {}).values()]
        placed = [(point(ids_key, row.db, row.key), row.id, row) for row in rows] + stubs.get(number, [])
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
    row = keyspace.found(db, key)
    if row is None or max(row.deadline_ms, row.shadow_ms) <= now_ms:
        return b""
    return family.fetch(keyspace, row, now_ms) if row.kind else keyspace.packed(row, key)


def fetch_all(keyspace: Keyspace, db: int, keys: bytes, now_ms: int, waiting: bool) -> Fetched:
    pieces, piece, collections = [], b"", False
    for key in unpack_keys(keys):
        row = keyspace.found(db, key)
        if not waiting and (row is None or not row.kind) and keyspace.outbox.has(db, key):
            continue
        record = fetch(keyspace, db, key, now_ms)
        collections = collections or record != b"" and is_of_collection(record)
        piece += record
        if len(piece) >= FETCHED_PIECE_BYTES:
            pieces.append(piece)
            piece = b""
    return Fetched([*pieces, piece] if piece else pieces, collections)
