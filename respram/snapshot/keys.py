"""The keys of segments: held in memory, handed to the enclave's nodes, destroyed with their bucket.

Every version of a segment has a key of its own, so destroying a key makes a file noise: the file of a bucket that has
passed, and the older version of one that was written anew (what was overwritten goes with it). A key travels, and is
kept in the ring file, as one entry:

    u64 end_ms | 32 bytes key | 32 bytes commitment         little-endian

A key that was destroyed leaves a tombstone until its bucket has passed. Without it a peer that was cut off meanwhile
would hand the key back, and an old copy of the segment would open again. A node with a tombstone accepts the key from
no peer.

    u64 end_ms | 32 bytes hash of the key | 32 bytes proof

Only the owner can destroy a key: the proof is 32 random bytes that it drew together with the key, and the commitment is
their hash. The proof stays in the owner's memory and in the header of the segment, where the owner finds it after a
restart; it is shown to others in the tombstone alone. A key's id is a hash of the end, the key's hash and the
commitment. So both entries name no id: it follows from what they hold. Nobody can give another key, end or commitment
for an id, and a tombstone without the right proof has the id of a key that nobody holds.

The ring file exists only where the operator gives a key file. It holds the entries of the node's own segments under
AES-256-GCM; its key is derived from the operator's secret and a salt that is fresh with every writing, so no nonce
repeats: magic | 32 bytes salt | ciphertext. Somebody with the operator's secret *and* an old copy of this file *and*
old segments can read what should be forgotten: docs/operating.md says so. Keys of version 6 and before had no
commitment: they are read from the ring file, and no peer hears of them.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from struct import Struct
from typing import NamedTuple, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from respram.errors import PeerError

ID_BYTES, KEY_BYTES, PROOF_BYTES, SALT_BYTES = 16, 32, 32, 32
TOMBSTONES_MAX = 65_536  # the oldest are dropped first: all nodes were told of them long ago
KEYS_MAX = 65_536  # of all nodes together: 4.5 MiB on the wire; about a hundred nodes with a few hundred segments each
RING_MAGIC, EARLIER_RING_MAGIC = b"RSPRING2", b"RSPRING1"
RING_BYTES_MAX = 64 << 20  # a larger file was not written by this program
QUOTA_SHARE = 4  # of others' keys, and of tombstones, one in this many may come from one peer
HERE, MADE_HERE = 0, -1  # in place of a peer's number: from a file of this node; made in this boot
_ENTRY = Struct("<Q32s32s")
_EARLIER_ENTRY = Struct("<16sQ32s")  # of a ring file of version 6 or before
_END = Struct("<Q")
_SIZE = Struct("<I")
NO_COMMITMENT = bytes(32)
_NONCE = bytes(12)  # each key is used once


class SegmentKey(NamedTuple):
    id: bytes
    end_ms: int  # of the bucket: then the key is destroyed
    key: bytes | bytearray
    commitment: bytes = NO_COMMITMENT


class Tombstone(NamedTuple):
    id: bytes
    end_ms: int
    key_hash: bytes
    proof: bytes


class SegmentKeys:
    """Keys by id. What is dropped is overwritten first; copies that Python made on the way are not in reach.

    Keys of this node's own segments, and of files that it waits to read, always find room. What a peer tells of others'
    is a favour within its quota: one that tells of more than anybody has cannot push out the others'.
    """

    def __init__(self, keys_max: int = KEYS_MAX, tombstones_max: int = TOMBSTONES_MAX) -> None:
        self.keys_max = keys_max  # own keys; and as many of other nodes
        self.tombstones_max = tombstones_max
        self.refused = 0  # keys without room, or with an end that no bucket has
        self.wanted: set[bytes] = set()  # keys of files on this node
        self._keys: dict[bytes, tuple[SegmentKey, int]] = {}  # each with the node that sent it
        self._ids_of: dict[int, dict[bytes, None]] = {}  # keys by their sender, in order of arrival
        self._gone: dict[int, OrderedDict[bytes, Tombstone]] = {}  # destroyed keys, by sender
        self._teller_of: dict[bytes, int] = {}  # senders of tombstones

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, entry: SegmentKey, teller: int = HERE) -> bool:
        """Adds a key, and returns whether it is new here. `teller`: the peer that sent it, HERE or MADE_HERE."""
        if entry.id in self._keys or entry.id in self._teller_of:
            return False
        if not self._has_room(entry.id, teller):
            self.refused += 1
            return False
        self._keys[entry.id] = (entry._replace(key=bytearray(entry.key)), teller)
        self._ids_of.setdefault(teller, {})[entry.id] = None
        return True

    def _has_room(self, id: bytes, teller: int) -> bool:
        """Makes room, if need be, at the cost of whoever has told of most: many names are no more room."""
        count = self._count_of(teller)
        if teller <= HERE or id in self.wanted:
            return count < self.keys_max
        if count >= max(self.keys_max // QUOTA_SHARE, 1):
            return False
        if len(self._keys) - self._count_of(HERE) - self._count_of(MADE_HERE) < self.keys_max:
            return True
        richest = max((one for one in self._ids_of if one > HERE), key=self._count_of)
        last = next(reversed(self._ids_of[richest]))
        if self._count_of(richest) <= count + 1 or last in self.wanted:
            return False
        self._forget(last)
        self.refused += 1
        return True

    def _count_of(self, teller: int) -> int:
        return len(self._ids_of.get(teller, ()))

    def get(self, id: bytes) -> bytearray | None:
        found = self._keys.get(id)
        return cast(bytearray, found[0].key) if found is not None else None

    def drop(self, id: bytes, proof: bytes) -> Tombstone | None:
        """Destroys a key of this node's own, and returns the tombstone by which the others do. None: it was not here,
        or it was made by a version whose keys no other node has.
        """
        if id not in self._keys:
            return None
        entry = self._keys[id][0]
        tombstone = tombstone_of(entry.end_ms, hash_of(entry.key), proof)
        self._forget(id)
        return tombstone if tombstone.id == id and self.bury(tombstone) else None

    def _forget(self, id: bytes) -> None:
        entry, teller = self._keys.pop(id)
        entry.key[:] = bytes(KEY_BYTES)  # type: ignore[index]  # add() has made it a bytearray
        del self._ids_of[teller][id]
        if not self._ids_of[teller]:
            del self._ids_of[teller]

    def bury(self, tombstone: Tombstone, teller: int = HERE) -> bool:
        """Destroys a key that its owner has destroyed, and returns whether that is news. Its id proves the owner."""
        id = tombstone.id
        if id in self._teller_of:
            return False
        if id in self._keys:
            if self._keys[id][1] == MADE_HERE and teller > HERE:  # somebody has read this node's disk
                return False
            self._forget(id)
        self._teller_of[id] = teller
        gone = self._gone.setdefault(teller, OrderedDict())
        gone[id] = tombstone
        if len(gone) > (self.tombstones_max if teller <= HERE else max(self.tombstones_max // QUOTA_SHARE, 1)):
            self._forget_oldest(teller)
        while len(self._teller_of) > 2 * self.tombstones_max:  # those of this node, and of all others together
            self._forget_oldest(max(self._gone, key=lambda one: len(self._gone[one]) if one > HERE else 0))
        return True

    def _forget_oldest(self, teller: int) -> None:
        self._dig(next(iter(self._gone[teller])), teller)

    def _dig(self, id: bytes, teller: int) -> None:
        del self._teller_of[id]
        del self._gone[teller][id]
        if not self._gone[teller]:
            del self._gone[teller]

    @property
    def has_tombstones(self) -> bool:
        return bool(self._gone)

    def tombstones(self) -> Iterator[Tombstone]:
        """Of all keys that were destroyed before their buckets ended."""
        for gone in list(self._gone.values()):
            yield from list(gone.values())

    def expire(self, now_ms: int) -> int:
        """Destroys the keys and tombstones of buckets that have passed; returns how many."""
        past = [id for id, (entry, _) in self._keys.items() if entry.end_ms <= now_ms]
        for id in past:
            self._forget(id)
        for id, teller in list(self._teller_of.items()):
            if self._gone[teller][id].end_ms <= now_ms:
                self._dig(id, teller)
        return len(past)

    def entries(self, ids: Iterable[bytes]) -> Iterator[SegmentKey]:
        for id in ids:
            if id in self._keys:
                yield self._keys[id][0]

    def shared(self) -> Iterator[SegmentKey]:
        """What a peer is told when a link is made: this node's own keys first, then those of whoever told fewest, for a
        receiver has a quota as well.
        """
        ids = sorted(self._keys, key=lambda id: (self._keys[id][1] > HERE, self._count_of(self._keys[id][1])))
        return (one for one in self.entries(ids) if one.commitment != NO_COMMITMENT)


def segment_key(end_ms: int, key: bytes | bytearray, commitment: bytes) -> SegmentKey:
    return SegmentKey(id_of(end_ms, hash_of(key), commitment), end_ms, key, commitment)


def tombstone_of(end_ms: int, key_hash: bytes, proof: bytes) -> Tombstone:
    return Tombstone(id_of(end_ms, key_hash, commitment_to(proof)), end_ms, key_hash, proof)


def id_of(end_ms: int, key_hash: bytes, commitment: bytes) -> bytes:
    if commitment == NO_COMMITMENT:
        return key_hash[:ID_BYTES]
    return sha256(b"respram segment " + _END.pack(end_ms) + key_hash + commitment).digest()[:ID_BYTES]


def hash_of(key: bytes | bytearray) -> bytes:
    return sha256(b"respram segment key " + key).digest()


def commitment_to(proof: bytes) -> bytes:
    return sha256(b"respram tombstone " + proof).digest()


def pack(entries: Iterable[SegmentKey | Tombstone]) -> bytes:
    return b"".join(_ENTRY.pack(*entry[1:]) for entry in entries)


def unpack(payload: bytes) -> list[SegmentKey]:
    return [segment_key(*fields) for fields in _fields(payload)]


def unpack_tombstones(payload: bytes) -> list[Tombstone]:
    return [tombstone_of(*fields) for fields in _fields(payload)]


def _fields(payload: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    if len(payload) % _ENTRY.size or len(payload) // _ENTRY.size > KEYS_MAX:
        raise PeerError("keys cannot be read")
    return _ENTRY.iter_unpack(payload)


# -- the ring file ------------------------------------------------------------------------------------
def lock_ring(secret: str, salt: bytes, owner: bytes, entries: Iterable[SegmentKey], extra: bytes = b"") -> bytes:
    """The content of a ring file. `salt`: fresh random bytes. `extra`: what else must survive a restart."""
    assert len(salt) == SALT_BYTES
    packed = pack(entries)
    sealed = _cipher(secret, salt).encrypt(_NONCE, _SIZE.pack(len(packed)) + packed + extra, RING_MAGIC + owner)
    return RING_MAGIC + salt + sealed


def unlock_ring(secret: str, owner: bytes, content: bytes) -> tuple[list[SegmentKey], bytes]:
    """Its entries and the extra. ValueError, with the reason in two or three words, where it cannot be."""
    start = len(RING_MAGIC) + SALT_BYTES
    magic = content[: len(RING_MAGIC)]
    if magic not in (RING_MAGIC, EARLIER_RING_MAGIC) or len(content) < start:
        raise ValueError("not a ring")
    try:
        plain = _cipher(secret, content[len(magic) : start]).decrypt(_NONCE, content[start:], magic + owner)
    except InvalidTag:
        raise ValueError("another key or damaged") from None
    (size,) = _SIZE.unpack_from(plain)
    packed, extra = plain[_SIZE.size : _SIZE.size + size], plain[_SIZE.size + size :]
    if magic == RING_MAGIC:
        return unpack(packed), extra
    return [SegmentKey(*fields) for fields in _EARLIER_ENTRY.iter_unpack(packed)], extra


def _cipher(secret: str, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), KEY_BYTES, salt, b"respram snapshot ring").derive(secret.encode()))
