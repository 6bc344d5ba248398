"""Slots: which of 16,384 a key belongs to, exactly as in Redis Cluster.

CRC16 of the key (XMODEM: polynomial 0x1021, from 0, nothing reflected) mod 16,384. Where the key has a `{` and a `}` behind
it with something between, that part alone counts (the *hash tag*), so that keys can be made to share a slot.
"""

from binascii import crc_hqx
from collections.abc import Iterable

SLOTS = 16_384


def slot_of(key: bytes) -> int:
    opened = key.find(b"{")
    if opened >= 0:
        closed = key.find(b"}", opened + 1)
        if closed > opened + 1:
            key = key[opened + 1 : closed]
    return crc_hqx(key, 0) % SLOTS


def common_slot(keys: Iterable[bytes]) -> int | None:
    """The slot of all of them; None where they have more than one, or there is none."""
    slots = {slot_of(key) for key in keys}
    return slots.pop() if len(slots) == 1 else None
