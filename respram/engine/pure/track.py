"""Starts to keep digests, whether or not there are records. The twin of native/track.c."""

from respram.engine.pure import slices
from respram.engine.pure.digest import ROW_BYTES, Digests
from respram.engine.pure.keyspace import Keyspace
from respram.record import MARKS, stub_name


def track(keyspace: Keyspace, ids_key: int) -> None:
    assert keyspace.digests is None, "digests are kept already"
    slices.wipe_cleared(keyspace)  # no mark says of them that they are
    keyspace.digests = Digests(ids_key)
    keyspace.row_bytes += ROW_BYTES
    for table, partitions in zip(keyspace.tables, keyspace.partitions, strict=True):
        keyspace.record_bytes += ROW_BYTES * len(table)
        partitions.clear()
        for key, row in table.items():
            partitions.setdefault(keyspace.partition(row.db, key), {})[key] = row
            if row.db < MARKS:
                keyspace.named[stub_name(row.db, key)] = row
            keyspace.digests.add(row)
    for stub in keyspace.stubs.values():
        keyspace.digests.add(stub)
