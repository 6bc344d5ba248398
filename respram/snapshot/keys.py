"""The keys of segments: held in memory, handed to the enclave's nodes, destroyed with their bucket.

Every version of a segment has a key of its own, so destroying a key makes a file noise: the file of a bucket that has
passed, and the older version of one that was written anew (what was overwritten goes with it). A key travels, and is
kept in the ring file, as one entry:

    16 bytes id | u64 end_ms | 32 bytes key                 little-endian

A key that was destroyed leaves a tombstone until its bucket has passed: an entry whose key is all zeros. Without it a peer that was
cut off meanwhile would hand the key back, and an old copy of the segment would open again. Who holds a tombstone takes the key from nobody.

The ring file exists only where the operator gives a key file. It holds the entries of the node's own segments under
AES-256-GCM; its key is derived from the operator's secret and a salt that is fresh with every writing, so no nonce
repeats: magic | 32 bytes salt | ciphertext. Who has the operator's secret *and* an old copy of this file *and* old
segments can read what should be forgotten: docs/operating.md says so.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from respram.errors import PeerError

ID_BYTES, KEY_BYTES, SALT_BYTES = 16, 32, 32
TOMBSTONES_MAX = 65_536  # the oldest go first: they were told to everybody long ago
KEYS_MAX = 65_536  # of all nodes together: 4 MiB as they travel; some hundred nodes with a few hundred segments each
RING_MAGIC = b"RSPRING1"
RING_BYTES_MAX = 64 << 20  # a larger one is not ours
_ENTRY = Struct("<16sQ32s")
_SIZE = Struct("<I")
NO_KEY = bytes(KEY_BYTES)
_NONCE = bytes(12)  # the key is never used twice


class Entry(NamedTuple):
    id: bytes
    end_ms: int  # of the bucket: from here on the key is gone
    key: bytes | bytearray

    @property
    def is_tombstone(self) -> bool:
        return self.key == NO_KEY


class SegmentKeys:
    """Keys by id. What is dropped is overwritten first; copies that Python made on the way are not in reach."""

    def __init__(self, keys_max: int = KEYS_MAX, tombstones_max: int = TOMBSTONES_MAX) -> None:
        self.keys_max = keys_max
        self.tombstones_max = tombstones_max
        self._gone: OrderedDict[bytes, int] = OrderedDict()  # destroyed, and when their buckets end
        self.refused = 0  # for want of room
        self._keys: dict[bytes, tuple[int, bytearray]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, entry: Entry) -> bool:
        """Whether it is new here: a key, or that it is destroyed."""
        if entry.is_tombstone:
            return self._bury(entry.id, entry.end_ms)
        if entry.id in self._keys or entry.id in self._gone:
            return False
        if len(self._keys) >= self.keys_max:
            self.refused += 1
            return False
        self._keys[entry.id] = (entry.end_ms, bytearray(entry.key))
        return True

    def get(self, id: bytes) -> bytearray | None:
        found = self._keys.get(id)
        return found[1] if found is not None else None

    def drop(self, id: bytes) -> bool:
        found = self._keys.pop(id, None)
        if found is None:
            return False
        found[1][:] = bytes(len(found[1]))
        self._bury(id, found[0])
        return True

    def _bury(self, id: bytes, end_ms: int) -> bool:
        if id in self._gone:
            return False
        self._gone[id] = end_ms
        self.drop(id)
        while len(self._gone) > self.tombstones_max:
            self._gone.popitem(last=False)
        return True

    @property
    def has_tombstones(self) -> bool:
        return bool(self._gone)

    def tombstones(self, ids: Iterable[bytes] | None = None) -> Iterator[Entry]:
        """Of these keys, or of all that were destroyed before their buckets ended."""
        for id in list(self._gone if ids is None else ids):
            if id in self._gone:
                yield Entry(id, self._gone[id], NO_KEY)

    def expire(self, now_ms: int) -> int:
        """Destroys the keys of buckets that have passed; how many. Their tombstones go with them."""
        count = sum(self.drop(id) for id in [id for id, (end_ms, _) in self._keys.items() if end_ms <= now_ms])
        for id in [id for id, end_ms in self._gone.items() if end_ms <= now_ms]:
            del self._gone[id]
        return count

    def entries(self, ids: Iterable[bytes] | None = None) -> Iterator[Entry]:
        for id in list(self._keys if ids is None else ids):
            if id in self._keys:
                yield Entry(id, *self._keys[id])


def pack(entries: Iterable[Entry]) -> bytes:
    return b"".join(_ENTRY.pack(*entry) for entry in entries)


def unpack(payload: bytes) -> list[Entry]:
    if len(payload) % _ENTRY.size or len(payload) // _ENTRY.size > KEYS_MAX:
        raise PeerError("keys cannot be read")
    return [Entry(*fields) for fields in _ENTRY.iter_unpack(payload)]


def unpack_ids(payload: bytes) -> list[bytes]:
    if len(payload) % ID_BYTES or len(payload) // ID_BYTES > KEYS_MAX:
        raise PeerError("ids of keys cannot be read")
    return [payload[at : at + ID_BYTES] for at in range(0, len(payload), ID_BYTES)]


# -- the ring file ------------------------------------------------------------------------------------
def lock_ring(secret: str, salt: bytes, owner: bytes, entries: Iterable[Entry], extra: bytes = b"") -> bytes:
    """The content of a ring file. `salt`: fresh random bytes. `extra`: what else must survive a restart."""
    assert len(salt) == SALT_BYTES
    packed = pack(entries)
    sealed = _cipher(secret, salt).encrypt(_NONCE, _SIZE.pack(len(packed)) + packed + extra, RING_MAGIC + owner)
    return RING_MAGIC + salt + sealed


def unlock_ring(secret: str, owner: bytes, content: bytes) -> tuple[list[Entry], bytes]:
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
