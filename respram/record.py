"""The record: the unit of truth, as it stands in an engine and as it travels between peers.

A record has an absolute deadline. A stub is a record without a value: it reads as missing and
outranks older stamps until its shadow has passed. The packed form is what engines merge and drain:
records one behind the other, little-endian, no padding:

    u8 flags | u8 database | u32 key bytes | u32 value bytes | u64 clock | u64 node | u64 deadline_ms
    [u64 shadow_ms, where flags say so] | key | value

Nothing here knows an engine, a peer or a clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from respram.errors import PeerError

IMPLICIT = 1  # the writer named no TTL: the deadline comes from the node's default
STUB = 2  # no value: its life is over, only its stamp still counts
SHADOWED = 4  # a shadow_ms follows the header
FLAGS_KNOWN = IMPLICIT | STUB | SHADOWED

HEADER = Struct("<BBIIQQQ")
SHADOW = Struct("<Q")
DATABASES = 16


@dataclass(frozen=True, slots=True)
class Record:
    """One version of one key. `value` is None in a stub; `shadow_ms` is 0 where there is none."""

    db: int
    key: bytes
    value: bytes | None
    clock: int
    node: int
    deadline_ms: int
    shadow_ms: int = 0
    implicit: bool = False

    @property
    def stamp(self) -> tuple[int, int]:
        return (self.clock, self.node)


def shadow_of(deadline_ms: int, own_shadow_ms: int, replaced_deadline_ms: int, replaced_shadow_ms: int) -> int:
    """The shadow rule: how long a record must be remembered for the sake of what it replaced.

    The latest end of everything it replaced, where that lies behind its own deadline; else 0. Taken
    whichever of the two arrived first, so that merging commutes.
    """
    latest = max(own_shadow_ms, replaced_deadline_ms, replaced_shadow_ms)
    return latest if latest > deadline_ms else 0


def pack(record: Record) -> bytes:
    value = b"" if record.value is None else record.value
    flags = (
        (IMPLICIT if record.implicit else 0)
        | (STUB if record.value is None else 0)
        | (SHADOWED if record.shadow_ms else 0)
    )
    head = HEADER.pack(
        flags, record.db, len(record.key), len(value), record.clock, record.node, record.deadline_ms
    )
    shadow = SHADOW.pack(record.shadow_ms) if record.shadow_ms else b""
    return b"".join((head, shadow, record.key, value))


def unpack(payload: bytes) -> Iterator[Record]:
    """The records of a packed payload. Raises PeerError where a length runs past the end or a field
    cannot be: what came before has been yielded by then."""
    at, end = 0, len(payload)
    while at < end:
        if end - at < HEADER.size:
            raise PeerError("record header cut short")
        flags, db, key_bytes, value_bytes, clock, node, deadline_ms = HEADER.unpack_from(payload, at)
        at += HEADER.size
        shadow_ms = 0
        if flags & ~FLAGS_KNOWN or db >= DATABASES or (flags & STUB and value_bytes):
            raise PeerError("record header out of range")
        if flags & SHADOWED:
            if end - at < SHADOW.size:
                raise PeerError("record header cut short")
            (shadow_ms,) = SHADOW.unpack_from(payload, at)
            at += SHADOW.size
        if key_bytes + value_bytes > end - at:
            raise PeerError("record cut short")
        key = payload[at : at + key_bytes]
        value = None if flags & STUB else payload[at + key_bytes : at + key_bytes + value_bytes]
        at += key_bytes + value_bytes
        yield Record(db, key, value, clock, node, deadline_ms, shadow_ms, bool(flags & IMPLICIT))
