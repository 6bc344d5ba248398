"""The record: one version of one key, as an engine stores it and as peers exchange it.

A record has an absolute deadline. A stub is a record without a value: it reads as missing and
outranks older stamps until its shadow has passed. The packed form is what engines merge and drain:
records one behind the other, little-endian, no padding:

    u8 flags | u8 database | u32 key bytes | u32 value bytes | u64 clock | u64 node | u64 deadline_ms
    [u64 shadow_ms, where flags say so] [u64 seal key | u64 position, likewise] [u64 sealer, likewise] | key | value

A collection is a head and its members (decision 0120). The head is the key's own record, with its kind in its flags and
no value; a member is a record of a space of its own, `16 * kind + database`, under `u32 length of the key | key |
name`. A mark, in the spaces from 64 on, is a stub under the key: what is older than it is cleared.

A stub of a key or of a member may have no key, but its name, which stands in the key's place (`stub_name`): who made it
small forgot the key (decisions 0081, 0203).

A counter that several nodes may count at once has its *shares* behind its digits (decision 0206), sealed with them:

    u64 epoch's clock | u64 epoch's node | i64 base | u64 clock of the deadline | {u64 node | u64 clock | i64 sum} ...

Its flag is that of a name, which only stubs have. There are fewer digits than a share has bytes, so that the length of
the whole says where they end.

A sealed value travels, is merged and is dumped as it lies; seal.py says what its seal means. The sealer is named
where it is not the node of the stamp. Nothing here knows an engine, a peer or a clock.
"""

import hashlib
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from respram.errors import PeerError
from respram.frozen import dataclass

IMPLICIT = 1  # the writer named no TTL: the deadline comes from the node's default
STUB = 2  # there is no value: the record has ended, and only its stamp counts
SHADOWED = 4  # a shadow_ms follows the header
SEALED = 8  # the value is sealed: a seal follows
ADOPTED = 16  # restamped by another node, whose number follows
KIND_SHIFT = 5
KIND = 3 << KIND_SHIFT  # HASH, SET or ZSET: the head of a collection; 0: a string, a member or a mark
NAMED = 128  # a stub, with the name of its key in the key's place
COUNTED = NAMED  # the same bit of a value: a counter, with its shares behind its digits
FLAGS_KNOWN = IMPLICIT | STUB | SHADOWED | SEALED | ADOPTED | KIND | NAMED
STUB_NAME_BYTES = 16
NAME_SPACE = 0x3F  # these bits of a name's last byte are its space

HEADER = Struct("<BBIIQQQ")
SHADOW = Struct("<Q")
SEAL = Struct("<QQ")
SEALER = Struct("<Q")
POSITION_MAX = 1 << 63  # of a seal: the first of its counter blocks
DATABASES = 16
SCRIPTS = 5 * DATABASES  # the space of scripts' texts, by digest: no client can select it
SPACES = SCRIPTS + 1  # keys; members of hashes, sets and sorted sets; marks; scripts
HASH, SET, ZSET = 1, 2, 3
MARKS = 4 * DATABASES
NAME_LENGTH = Struct("<I")
COUNTER = Struct("<QQqQ")
SHARE = Struct("<QQq")
SHARES_MAX = 64  # of one counter: the nodes' starts that have counted it, and with them its bytes
DIGITS_MAX = 20  # of a counter, with its sign


class Seal(NamedTuple):
    """How a value is sealed: the key, the node's start that used it, and the first counter block."""

    key: int
    sealer: int
    position: int


@dataclass(frozen=True, slots=True)
class Record:
    """One version of one key. `value` is None in a stub, ciphertext with a seal; `shadow_ms` is 0 where there is none.
    """

    db: int
    key: bytes
    value: bytes | None
    clock: int
    node: int
    deadline_ms: int
    shadow_ms: int = 0
    implicit: bool = False
    seal: Seal | None = None
    kind: int = 0
    named: bool = False  # `key` is the name of a key or a member: only in a stub
    shares: bytes = b""  # of a counter: they follow its value, and are sealed with it

    @property
    def stamp(self) -> tuple[int, int]:
        return (self.clock, self.node)


def stub_name(space: int, key: bytes) -> bytes:
    """122 bits of BLAKE2s over the space and a key or member in it, and 6 that are the space. No two keys are known
    to have one name, nor can anybody make such a pair; docs/decisions/0081 has the reasons. The twin of native/names.c.
    """
    name = hashlib.blake2s(key, digest_size=STUB_NAME_BYTES, salt=bytes((space,)), person=b"stubname").digest()
    return name[:-1] + bytes((name[-1] & ~NAME_SPACE | space,))


def member_key(key: bytes, name: bytes) -> bytes:
    return NAME_LENGTH.pack(len(key)) + key + name


def is_of_collection(packed: bytes) -> bool:
    """Whether a packed record is a head, a member or a mark."""
    return bool(packed[0] & KIND) or DATABASES <= packed[1] < SCRIPTS


def key_of(member: bytes) -> bytes:
    """The key of the collection to which a member's record belongs."""
    (size,) = NAME_LENGTH.unpack_from(member)
    return member[NAME_LENGTH.size : NAME_LENGTH.size + size]


def name_of(member: bytes) -> bytes:
    (size,) = NAME_LENGTH.unpack_from(member)
    return member[NAME_LENGTH.size + size :]


def is_member(space: int) -> bool:
    return DATABASES <= space < MARKS


def has_value(space: int) -> bool:
    """Members of sets have none: neither an engine nor a peer gives them one."""
    return space // DATABASES != SET


def is_too_large(space: int, key: bytes, value_bytes: int, bytes_max: int) -> bool:
    """Whether a node whose arguments have so many bytes at most may not hold a record: each part may be so large, as in
    a command, but two of a member's parts at most, since one frame holds it.
    """
    if value_bytes > bytes_max:
        return True
    if not is_member(space):
        return len(key) > bytes_max
    part = len(key_of(key))
    name = len(key) - NAME_LENGTH.size - part
    return part > bytes_max or name > bytes_max or part + name + value_bytes > 2 * bytes_max


def shadow_of(deadline_ms: int, own_shadow_ms: int, replaced_deadline_ms: int, replaced_shadow_ms: int) -> int:
    """The shadow rule: how long a record must be remembered for the sake of what it replaced.

    The latest end of everything it replaced, where that lies behind its own deadline; else 0. Taken
    whichever of the two arrived first, so that merging commutes.
    """
    latest = max(own_shadow_ms, replaced_deadline_ms, replaced_shadow_ms)
    return latest if latest > deadline_ms else 0


def head_bytes(flags: int) -> int:
    """The number of bytes before the key in a packed record."""
    return (
        HEADER.size
        + (SHADOW.size if flags & SHADOWED else 0)
        + (SEAL.size if flags & SEALED else 0)
        + (SEALER.size if flags & ADOPTED else 0)
    )


_HEADS = tuple(head_bytes(flags) for flags in range(FLAGS_KNOWN + 1))


def pack(record: Record) -> bytes:
    value = b"" if record.value is None else record.value + record.shares
    seal = record.seal if record.value is not None else None
    adopted = seal is not None and seal.sealer != record.node
    flags = (
        (IMPLICIT if record.implicit else 0)
        | (STUB if record.value is None else 0)
        | (SHADOWED if record.shadow_ms else 0)
        | (SEALED if seal else 0)
        | (ADOPTED if adopted else 0)
        | record.kind << KIND_SHIFT
        | (NAMED if record.named else 0)
        | (COUNTED if record.shares and record.value is not None else 0)
    )
    parts = [HEADER.pack(flags, record.db, len(record.key), len(value), record.clock, record.node, record.deadline_ms)]
    if record.shadow_ms:
        parts.append(SHADOW.pack(record.shadow_ms))
    if seal is not None:
        parts.append(SEAL.pack(seal.key, seal.position))
        if adopted:
            parts.append(SEALER.pack(seal.sealer))
    return b"".join((*parts, record.key, value))


def unpack(payload: bytes) -> Iterator[Record]:
    """The records of a packed payload. Raises PeerError where a length runs past the end or a field
    cannot be: what came before has been yielded by then."""
    at, end = 0, len(payload)
    while at < end:
        if end - at < HEADER.size:
            raise PeerError("record header cut short")
        flags, db, key_bytes, value_bytes, clock, node, deadline_ms = HEADER.unpack_from(payload, at)
        if flags & ~FLAGS_KNOWN or db >= SPACES or _contradicts(flags, db, value_bytes):
            raise PeerError("record header out of range")
        if end - at < head_bytes(flags):
            raise PeerError("record header cut short")
        at += HEADER.size
        shadow_ms, seal = 0, None
        if flags & SHADOWED:
            (shadow_ms,) = SHADOW.unpack_from(payload, at)
            at += SHADOW.size
        if flags & SEALED:
            seal_key, position = SEAL.unpack_from(payload, at)
            at += SEAL.size
            sealer = node
            if flags & ADOPTED:
                (sealer,) = SEALER.unpack_from(payload, at)
                at += SEALER.size
            if position >= POSITION_MAX:
                raise PeerError("record header out of range")
            seal = Seal(seal_key, sealer, position)
        if key_bytes + value_bytes > end - at:
            raise PeerError("record cut short")
        key = payload[at : at + key_bytes]
        end_of_key = at + key_bytes
        at += key_bytes + value_bytes
        value, shares = None if flags & STUB else payload[end_of_key:at], b""
        if value is not None and flags & COUNTED:
            digits = digits_of_counter(value_bytes)
            value, shares = value[:digits], value[digits:]
        if value is not None and not has_value(db):
            value, seal = b"", None
        named = bool(flags & NAMED and flags & STUB)
        if is_member(db) and not named and not _names_a_member(key):
            raise PeerError("the record belongs to no member")
        if named:
            if key_bytes != STUB_NAME_BYTES:
                raise PeerError("record header out of range")
            if db < DATABASES:  # in files of version 4 bits of the hash stand above those of the database
                key = key[:-1] + bytes((key[-1] & ~NAME_SPACE | key[-1] & DATABASES - 1,))
            if key[-1] & NAME_SPACE != db:
                raise PeerError("record header out of range")
        kind = (flags & KIND) >> KIND_SHIFT
        yield Record(
            db, key, value, clock, node, deadline_ms, shadow_ms, bool(flags & IMPLICIT), seal, kind, named, shares
        )


def _contradicts(flags: int, db: int, value_bytes: int) -> bool:
    """A stub has nothing to seal, and who names a sealer names a seal. A head is a key's and has no value; a mark is a
    stub.
    Only a stub of a key, with a shadow, or of a member goes by a name."""
    if (
        flags & KIND
        and (flags & (STUB | SEALED) or value_bytes or db >= DATABASES)
        or MARKS <= db < SCRIPTS
        and not flags & STUB
    ):
        return True
    if flags & NAMED and flags & STUB and (db < DATABASES and not flags & SHADOWED or db >= MARKS):
        return True
    if flags & COUNTED and not flags & STUB and (db >= DATABASES or not _has_shares(value_bytes)):
        return True
    return bool(flags & STUB and (value_bytes or flags & SEALED) or flags & ADOPTED and not flags & SEALED)


def digits_of_counter(value_bytes: int) -> int:
    return (value_bytes - COUNTER.size) % SHARE.size


def _has_shares(value_bytes: int) -> bool:
    """Whether digits and shares can be so long together."""
    fits = 0 < value_bytes - COUNTER.size <= DIGITS_MAX + SHARES_MAX * SHARE.size
    return fits and 1 <= digits_of_counter(value_bytes) <= DIGITS_MAX


def _names_a_member(key: bytes) -> bool:
    return len(key) >= NAME_LENGTH.size and NAME_LENGTH.unpack_from(key)[0] <= len(key) - NAME_LENGTH.size


def ends(payload: bytes) -> Iterator[tuple[int, int, int, int]]:
    """For each packed record of an engine's own payload: where it starts and ends, and its end in time (the later of
    deadline and shadow), and when its value dies, where that is sooner; else 0.
    """
    at, size, heads = 0, len(payload), _HEADS
    while at < size:
        flags, _, key_bytes, value_bytes, _, _, deadline_ms = HEADER.unpack_from(payload, at)
        end = at + heads[flags] + key_bytes + value_bytes
        if flags & SHADOWED:
            (shadow_ms,) = SHADOW.unpack_from(payload, at + HEADER.size)
            yield at, end, max(deadline_ms, shadow_ms), 0 if flags & STUB else deadline_ms
        else:
            yield at, end, deadline_ms, 0
        at = end


def slices(payload: bytes) -> list[tuple[tuple[int, bytes], int, int]]:
    """The place of each packed record in an engine's own payload: (database, key), start, end. The name of one that has
    no key stands under a database of its own, so that it is no key.
    """
    found = []
    at = 0
    while at < len(payload):
        flags, db, key_bytes, value_bytes, _, _, _ = HEADER.unpack_from(payload, at)
        key_at = at + head_bytes(flags)
        end = key_at + key_bytes + value_bytes
        found.append(((db | (flags & NAMED if flags & STUB else 0), payload[key_at : key_at + key_bytes]), at, end))
        at = end
    return found


def split(payload: bytes, bytes_max: int) -> list[bytes]:
    """Packed records in parts of about `bytes_max`, cut between records."""
    if len(payload) <= bytes_max:
        return [payload] if payload else []
    parts, start, last = [], 0, 0
    for _, _, end in slices(payload):
        if end - start > bytes_max and last > start:
            parts.append(payload[start:last])
            start = last
        last = end
    parts.append(payload[start:])
    return parts
