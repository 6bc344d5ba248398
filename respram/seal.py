"""Seal keys: the keys that encrypt values in memory, which nodes have them, and the used blocks of AES-256-CTR.

A value is sealed by XOR with the cipher of counter blocks, and its record says by which key, by which node, from which
position on. A counter block is 16 bytes, big-endian:

    u64 sealer (the node number of the boot that sealed) | u64 position (blocks used by that boot before, under any key)

Node numbers are drawn anew at every boot, and a boot's position only grows, across changes of the key too: so no block
is ever used twice, wherever the record travels. A key's id is a hash of the key, so that no two nodes can give one id
to two keys.

Long values have a second number of the boot for their sealer, and positions `count << 32 | 2`. Their blocks are those
that AES-256-GCM would use with the nonce sealer | count: some processors run through a value by GCM twice as fast as by
CTR, and the bytes are the same.

A **ring** holds the keys of an enclave. A node makes one at its start and *takes* it for its first write; only keys in
use are told to peers. Of all keys in use everybody seals with the newest, so nodes that met agree at their next pad.
How new a key is nobody can claim: one from the future counts as made when it came. So no key wins for good: a node
makes another when the newest is a day old, and when it stops believing a secret or a peer (`renew_by`). Whoever was put
out before then knows no key that anything is sealed with afterwards. A key that no record needs any more is wiped.

There is no randomness, clock or I/O in here: fresh keys, times and the memory that keys lie in come from outside.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB

from respram.errors import PeerError

KEY_BYTES = 32
BLOCK_BYTES = 16
PAD_BLOCKS = 1024  # keystream made at once: 16 KiB in 2.2 us, a thousandth of a microsecond per 8 bytes
GCM_TAG_BYTES = 16  # added by GCM, and not stored
# a longer value is encrypted by itself; see native/seal.c
LONG_BYTES = PAD_BLOCKS * BLOCK_BYTES // 2
LONG_SEALER = 1 << 63  # the bit of the node number that is inverted in the sealer of long values
LONG_FIRST = 2  # GCM's counter at its first block; 1 is used for the tag
LONG_COUNT_MAX = 1 << 31  # long values of one boot; further ones use positions like all others
# keys of a ring: one for each day of a record's life, and one for each boot that writes before it meets the others
KEYS_MAX = 1024
OWN_ROOM = 32  # of them are reserved for this node's own keys
QUOTA_KEYS = 512  # keys that one peer may introduce
RING_BYTES = KEYS_MAX * KEY_BYTES  # eight pages, which can be locked even under a low limit
DAY_MS = 86_400_000  # age at which a new key is made ...
CROWDED_KEYS = KEYS_MAX // 2  # ... while there are fewer keys than this: TTLs of years would need a key for each day
SPREAD_MS = 3_600_000  # variation of that age between nodes: the first node makes the key for all
RENEW_SPREAD_MS = 10_000  # the same after a secret is no longer trusted
HERE = 0  # stands for this node in place of a peer's number
IDLE_MS = 60_000  # a key that no record has needed for this long may be replaced if there is no room
FORGET_MS = 600_000  # a key that no record needs is kept this long, for records still on their way

_PACKED = Struct("<Q32s")  # made_ms and key
_NO_KEY = bytes(KEY_BYTES)
_ID_CONTEXT = b"respram seal key "

Encrypt = Callable[[bytes | bytearray | memoryview, bytearray | memoryview], int]  # (blocks, out) -> bytes written
Whole = Callable[[bytes, bytes | memoryview, None, bytearray | memoryview], int]


@dataclass(slots=True, eq=False)
class SealKey:
    id: int
    made_ms: int
    key: memoryview  # part of the ring's memory
    encrypt: Encrypt  # counter blocks to keystream; `out` needs BLOCK_BYTES more room than the input
    # the same with GCM if that is faster: (nonce, value, None, out), where `out` has GCM_TAG_BYTES more room
    whole: Whole | None
    run: CipherContext  # in CTR mode, for one value at a time: `reset_nonce` to its first block, then `update`
    used: bool
    at: int = 0  # offset in the ring's memory
    teller: int = HERE  # the node that introduced it
    needed_ms: int = 0  # when it was last received or found in use; see `forget`
    held_ms: int = 0  # when a record was last found that needs it; before, when it arrived


class Ring:
    """The seal keys that a node holds. `memory` is theirs alone: RING_BYTES, all zeros, locked if it can be."""

    def __init__(self, memory: bytearray | memoryview, own: bytes, made_ms: int, by_gcm: bool = False) -> None:
        """`by_gcm`: long values are sealed and opened by GCM, which gives the same bytes."""
        self.by_gcm = by_gcm
        assert len(memory) >= RING_BYTES and len(own) == KEY_BYTES
        self.version = 0  # counts the changes that peers are to be told of
        self.refused = 0  # keys of other nodes that found no room
        self._memory = memoryview(memory)
        self._keys: dict[int, SealKey] = {}
        self._free = list(reversed(range(0, RING_BYTES, KEY_BYTES)))
        # reveals nothing about the key
        self._own_draw = int.from_bytes(sha256(b"respram spread " + own).digest()[:2], "little")
        self._least_ms = self._renew_ms = 0
        self._current = self._add(own, made_ms, used=False)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def current(self) -> int:
        """The id of the key that the next pad is made with."""
        return self._current.id

    # -- for engines ------------------------------------------------------------------------------
    def take(self) -> SealKey:
        """The key to seal with from now on, until it is taken again."""
        if not self._current.used:
            self._current.used = True
            self.version += 1
        return self._current

    def renew_by(self, now_ms: int) -> None:
        """Requires a new key, because an excluded node knows the present ones: nothing more is sealed with those.
        `is_due` says when another has to be made here, unless one comes from elsewhere before.
        """
        self._least_ms = max(now_ms, self._current.made_ms + 1)
        self._renew_ms = now_ms + (RENEW_SPREAD_MS * self._own_draw >> 16)

    def is_due(self, now_ms: int) -> bool:
        """Whether a new key is due, so that `make` has to be called."""
        if self._current.made_ms < self._least_ms and now_ms >= self._renew_ms:
            return True
        spread_ms = SPREAD_MS * self._own_draw >> 16
        return (
            self._current.used
            and len(self._keys) < CROWDED_KEYS
            and now_ms - self._current.made_ms >= DAY_MS + spread_ms
        )

    def make(self, own: bytes, now_ms: int) -> bool:
        """Makes a new key, used from the next pad on. False: there is no room, or no use for it."""
        made_ms = max([now_ms, self._least_ms, *(one.made_ms + 1 for one in self._keys.values())])
        if not self._current.used:  # no peer has been told of it
            self._current.made_ms = made_ms
            return False
        if not self._free:
            self.refused += 1
            self._renew_ms = now_ms + RENEW_SPREAD_MS
            return False
        self._current = self._add(own, made_ms, used=False)
        return True

    def find(self, number: int) -> SealKey | None:
        found = self._keys.get(number)
        return found if found is not None and found.used else None

    # -- for peers and snapshots ------------------------------------------------------------------
    def export(self, only: Collection[int] = ()) -> bytes:
        """The keys in use, or those of them that are named, as `learn` takes them. Its holder can decrypt every value.
        """
        counts = Counter(one.teller for one in self._keys.values())
        told = [one for one in self._keys.values() if one.used and (not only or one.id in only)]
        # the receiver has a quota too
        told.sort(key=lambda one: (one is not self._current, one.teller != HERE, counts[one.teller]))
        return b"".join(_PACKED.pack(one.made_ms, bytes(one.key)) for one in told)

    def learn(self, exported: bytes, now_ms: int, teller: int = HERE) -> int:
        """Adds keys of other nodes and returns how many were new; those that do not fit are refused. Raises PeerError.
        """
        if len(exported) % _PACKED.size or len(exported) > KEYS_MAX * _PACKED.size:
            raise PeerError("seal keys cannot be read")
        entries = list(_PACKED.iter_unpack(exported))
        if any(key == _NO_KEY for _, key in entries):
            raise PeerError("a seal key of zeros")
        new = 0
        for made_ms, key in entries:
            known = self._keys.get(id_of(key))
            if known is None and not self._has_room(teller, now_ms):
                self.refused += 1
                continue
            if known is None:
                known = self._add(key, min(made_ms, now_ms), used=True)
                known.teller, known.held_ms = teller, now_ms
                new += 1
            known.needed_ms = now_ms
        if new:
            self.version += 1
            self._choose()
        return new

    def _has_room(self, teller: int, now_ms: int) -> bool:
        """For one more key of others. Keys that nothing has needed since they came give way to it, those of whoever
        told most first.
        """
        counts = Counter(one.teller for one in self._keys.values())
        is_over = teller != HERE and counts[teller] >= QUOTA_KEYS  # only this peer's own keys may be replaced then
        if len(self._free) > OWN_ROOM and not is_over:
            return True
        idle = [one for one in self._keys.values() if one is not self._current and now_ms - one.held_ms >= IDLE_MS]
        idle = [one for one in idle if not is_over or one.teller == teller]
        if not idle:
            return False
        self._drop(max(idle, key=lambda one: (counts[one.teller], -one.held_ms)))
        return True

    def forget(self, needed: Collection[int], now_ms: int) -> int:
        """Wipes keys that no record needs and no node seals with; returns how many. To be called now and then."""
        gone = []
        for one in self._keys.values():
            if one is self._current or one.id in needed:
                one.held_ms = now_ms
            if one is self._current or one.id in needed or not one.needed_ms:
                one.needed_ms = now_ms
            elif now_ms - one.needed_ms >= FORGET_MS:
                gone.append(one)
        for one in gone:
            self._drop(one)
        return len(gone)

    def wipe(self) -> None:
        """Wipes all keys at the end. The ring must not be used again."""
        self._keys.clear()
        self._memory[:RING_BYTES] = bytes(RING_BYTES)

    # -- inside -----------------------------------------------------------------------------------
    def _add(self, key: bytes, made_ms: int, used: bool) -> SealKey:
        at = self._free.pop()
        place = self._memory[at : at + KEY_BYTES]
        place[:] = key
        # ECB over distinct counter blocks is CTR, and one call can encrypt the blocks of many values.
        encrypt = Cipher(AES(place), ECB()).encryptor().update_into  # noqa: S305
        run = Cipher(AES(place), CTR(bytes(BLOCK_BYTES))).encryptor()
        whole = AESGCM(place).encrypt_into if self.by_gcm else None
        one = SealKey(id_of(key), made_ms, place, encrypt, whole, run, used, at)
        self._keys[one.id] = one
        return one

    def _drop(self, one: SealKey) -> None:
        one.key[:] = bytes(KEY_BYTES)
        del self._keys[one.id]
        self._free.append(one.at)

    def _choose(self) -> None:
        """The newest in use is what everybody comes to. An own key that was never used is needed no more, unless it is
        the only one that somebody who is out cannot know.
        """
        before = self._current
        newest = max((one for one in self._keys.values() if one.used), key=lambda one: (one.made_ms, one.id))
        if not before.used and newest.made_ms < self._least_ms <= before.made_ms:
            return
        self._current = newest
        if not before.used:
            self._drop(before)


def id_of(key: bytes | memoryview) -> int:
    return int.from_bytes(sha256(_ID_CONTEXT + bytes(key)).digest()[:8], "little") or 1


# -- keystream ------------------------------------------------------------------------------------
def blocks_of(value_bytes: int) -> int:
    return (value_bytes + BLOCK_BYTES - 1) // BLOCK_BYTES


def run_through(key: SealKey, sealer: int, position: int, value: bytes) -> bytes:
    """Seals, or opens: XOR with the keystream from that block on. By CTR, whose counter is the block above as one
    number:
    positions stay far below where it would carry over."""
    key.run.reset_nonce(sealer.to_bytes(8, "big") + position.to_bytes(8, "big"))
    return key.run.update(value)


def xor(one: bytes, other: bytes | bytearray) -> bytes:
    """XOR of two byte strings, as long as `one`. The other may be longer."""
    size = len(one)
    return (int.from_bytes(one, "little") ^ int.from_bytes(other[:size], "little")).to_bytes(size, "little")
