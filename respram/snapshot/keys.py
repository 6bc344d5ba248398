"""The keys of segments: held in memory, handed to the enclave's nodes, destroyed with their bucket.

Every version of a segment has a key of its own, so destroying a key makes a file noise: the file of a bucket that has
passed, and the older version of one that was written anew (what was overwritten goes with it). A key travels, and is
kept in the ring file, as one entry:

    16 bytes id | u64 end_ms | 32 bytes key                 little-endian

The id is a hash of the key, so nobody can give another key for it.

A key that was destroyed leaves a tombstone until its bucket has passed: an entry whose key is all zeros. Without it a
peer that was cut off meanwhile would hand the key back, and an old copy of the segment would open again. A node with a
tombstone accepts the key from no peer.

The ring file exists only where the operator gives a key file. It holds the entries of the node's own segments under
AES-256-GCM; its key is derived from the operator's secret and a salt that is fresh with every writing, so no nonce
repeats: magic | 32 bytes salt | ciphertext. Somebody with the operator's secret *and* an old copy of this file *and*
old segments can read what should be forgotten: docs/operating.md says so.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from respram.errors import PeerError

ID_BYTES, KEY_BYTES, SALT_BYTES = 16, 32, 32
TOMBSTONES_MAX = 65_536  # the oldest are dropped first: all nodes were told of them long ago
KEYS_MAX = 65_536  # of all nodes together: 4 MiB on the wire; about a hundred nodes with a few hundred segments each
RING_MAGIC = b"RSPRING1"
RING_BYTES_MAX = 64 << 20  # a larger file was not written by this program
QUOTA_SHARE = 4  # of others' keys, and of tombstones, one in this many may come from one peer
HERE, MADE_HERE = 0, -1  # in place of a peer's number: from a file of this node; made in this boot
_ENTRY = Struct("<16sQ32s")
_SIZE = Struct("<I")
NO_KEY = bytes(KEY_BYTES)
_NONCE = bytes(12)  # each key is used once


class SegmentKey(NamedTuple):
    id: bytes
    end_ms: int  # of the bucket: then the key is destroyed
    key: bytes | bytearray

    @property
    def is_tombstone(self) -> bool:
        return self.key == NO_KEY


class SegmentKeys:
    """Keys by id. What is dropped is overwritten first; copies that Python made on the way are not in reach.

    Keys of this node's own segments, and of files that it waits to read, always find room. What a peer tells of others'
    is a favour within its quota: one that tells of more than anybody has cannot push out the others'. Nor can it
    destroy a key that this node made itself: only the owner decides which of its keys exist.
    """

    def __init__(self, keys_max: int = KEYS_MAX, tombstones_max: int = TOMBSTONES_MAX) -> None:
        self.keys_max = keys_max  # own keys; and as many of other nodes
        self.tombstones_max = tombstones_max
        self.refused = 0  # keys without room, or with an end that no bucket has
        self.wanted: set[bytes] = set()  # keys of files on this node
        self._keys: dict[bytes, tuple[int, bytearray, int]] = {}  # end of the bucket, key, and the node that sent it
        self._ids_of: dict[int, dict[bytes, None]] = {}  # keys by their sender, in order of arrival
        self._gone: dict[int, OrderedDict[bytes, int]] = {}  # by sender: destroyed keys, and when their buckets end
        self._teller_of: dict[bytes, int] = {}  # senders of destroyed keys

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, entry: SegmentKey, teller: int = HERE) -> bool:
        """Adds a key or a tombstone, and returns whether it is new here. `teller`: the peer that sent it, HERE or
        MADE_HERE.
        """
        if entry.is_tombstone:
            return self._bury(entry.id, entry.end_ms, teller)
        if entry.id in self._keys or entry.id in self._teller_of:
            return False
        if not self._has_room(entry.id, teller):
            self.refused += 1
            return False
        self._keys[entry.id] = (entry.end_ms, bytearray(entry.key), teller)
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
        return found[1] if found is not None else None

    def drop(self, id: bytes, teller: int = HERE) -> bool:
        """Destroys a key, and returns whether it was here and the teller may destroy it."""
        found = self._keys.get(id)
        if found is None or (found[2] == MADE_HERE and teller > HERE):
            return False
        self._forget(id)
        self._bury(id, found[0], teller)
        return True

    def _forget(self, id: bytes) -> None:
        _, key, teller = self._keys.pop(id)
        key[:] = bytes(len(key))
        del self._ids_of[teller][id]
        if not self._ids_of[teller]:
            del self._ids_of[teller]

    def _bury(self, id: bytes, end_ms: int, teller: int) -> bool:
        """Of two ends the later holds, that of the key's bucket among them: a tombstone that ended before would let the
        key back in."""
        if id in self._teller_of:
            gone = self._gone[self._teller_of[id]]
            is_later = end_ms > gone[id]
            gone[id] = max(gone[id], end_ms)
            return is_later
        if id in self._keys:
            if self._keys[id][2] == MADE_HERE and teller > HERE:
                return False
            end_ms = max(end_ms, self._keys[id][0])
        self._teller_of[id] = teller
        gone = self._gone.setdefault(teller, OrderedDict())
        gone[id] = end_ms
        if id in self._keys:
            self._forget(id)
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

    def tombstones(self, ids: Iterable[bytes] | None = None) -> Iterator[SegmentKey]:
        """Of these keys, or of all that were destroyed before their buckets ended."""
        for id in list(self._teller_of if ids is None else ids):
            if id in self._teller_of:
                yield SegmentKey(id, self._gone[self._teller_of[id]][id], NO_KEY)

    def expire(self, now_ms: int) -> int:
        """Destroys the keys and tombstones of buckets that have passed; returns how many."""
        past = [id for id, (end_ms, _, _) in self._keys.items() if end_ms <= now_ms]
        for id in past:
            self._forget(id)
        for id, teller in list(self._teller_of.items()):
            if self._gone[teller][id] <= now_ms:
                self._dig(id, teller)
        return len(past)

    def entries(self, ids: Iterable[bytes] | None = None) -> Iterator[SegmentKey]:
        """These, or all: this node's own first, then those of whoever told fewest, for a receiver has a quota as well.
        """
        if ids is None:
            ids = sorted(self._keys, key=lambda id: (self._keys[id][2] > HERE, self._count_of(self._keys[id][2])))
        for id in ids:
            if id in self._keys:
                yield SegmentKey(id, *self._keys[id][:2])


def id_of(key: bytes | bytearray) -> bytes:
    return sha256(b"respram segment key " + bytes(key)).digest()[:ID_BYTES]


def pack(entries: Iterable[SegmentKey]) -> bytes:
    return b"".join(_ENTRY.pack(*entry) for entry in entries)


def unpack(payload: bytes) -> list[SegmentKey]:
    if len(payload) % _ENTRY.size or len(payload) // _ENTRY.size > KEYS_MAX:
        raise PeerError("keys cannot be read")
    return [SegmentKey(*fields) for fields in _ENTRY.iter_unpack(payload)]


def unpack_ids(payload: bytes) -> list[bytes]:
    if len(payload) % ID_BYTES or len(payload) // ID_BYTES > KEYS_MAX:
        raise PeerError("ids of keys cannot be read")
    return [payload[at : at + ID_BYTES] for at in range(0, len(payload), ID_BYTES)]


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
    if not content.startswith(RING_MAGIC) or len(content) < start:
        raise ValueError("not a ring")
    try:
        plain = _cipher(secret, content[len(RING_MAGIC) : start]).decrypt(_NONCE, content[start:], RING_MAGIC + owner)
    except InvalidTag:
        raise ValueError("another key or damaged") from None
    (size,) = _SIZE.unpack_from(plain)
    return unpack(plain[_SIZE.size : _SIZE.size + size]), plain[_SIZE.size + size :]


def _cipher(secret: str, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), KEY_BYTES, salt, b"respram snapshot ring").derive(secret.encode()))
