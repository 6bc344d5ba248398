"""Slots: which of 16,384 a key belongs to, exactly as in Redis Cluster.

CRC16 of the key (XMODEM: polynomial 0x1021, from 0, nothing reflected) mod 16,384. Where the key has a `{` and a `}`
behind it with something between, that part alone counts (the *hash tag*), so that keys can be made to share a slot.

Also what travels to a slot's home: keys packed (u32 bytes, little-endian | key), and a command as a client would send
it.
"""

from binascii import crc_hqx
from collections.abc import Iterable
from struct import Struct

SLOTS = 16_384
WEIGHT_MAX = 8  # shares of slots that one node may get: three bits of a member's entry

_LENGTH = Struct("<I")


def slot_of(key: bytes) -> int:
    opened = key.find(b"{")
    if opened >= 0:
        closed = key.find(b"}", opened + 1)
        if closed > opened + 1:
            key = key[opened + 1 : closed]
    return crc_hqx(key, 0) % SLOTS


def common_slot(keys: Iterable[bytes]) -> int | None:
    """The slot that all these keys have. None: they have several, or there is no key."""
    slots = {slot_of(key) for key in keys}
    return slots.pop() if len(slots) == 1 else None


def pack_keys(keys: Iterable[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(key)) + key for key in keys)


def unpack_keys(payload: bytes) -> list[bytes]:
    """The keys of a packed list. Raises ValueError if a length runs past the end."""
    keys, at = [], 0
    while at < len(payload):
        if len(payload) - at < _LENGTH.size:
            raise ValueError("keys cut short")
        (length,) = _LENGTH.unpack_from(payload, at)
        at += _LENGTH.size
        if length > len(payload) - at:
            raise ValueError("keys cut short")
        keys.append(payload[at : at + length])
        at += length
    return keys


def first_key(packed: bytes) -> bytes:
    (length,) = _LENGTH.unpack_from(packed)
    return packed[_LENGTH.size : _LENGTH.size + length]


def pack_command(argv: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in argv)
