"""Finds the records that a peer lacks, by its filter. The walk is in digest.py. The twin of native/filter.c."""

from respram.engine.filters import RecordFilter
from respram.engine.pure.digest import belongs
from respram.engine.pure.keyspace import Keyspace
from respram.engine.replication import Found, Selection


def lacking(
    keyspace: Keyspace, bloom: RecordFilter, selection: Selection, cursor: int, bytes_max: int, budget: int
) -> Found:
    assert keyspace.digests is not None
    payload: list[bytes] = []
    size = 0
    for at, rows in keyspace.digests.walk(selection, cursor, budget):
        if rows and size >= bytes_max:
            break
        for place, row in enumerate(rows):
            if belongs(row, selection) and bloom.lacks(row.id):
                if size >= bytes_max:
                    return Found(b"".join(payload), at + place)
                payload.append(keyspace.packed(row))
                size += len(payload[-1])
    return Found(b"".join(payload), at)
