"""A segment: the records of one bucket of time, encrypted. Its layout, and the sealing and opening of its frames.

    header   magic 8 | version u8 | shift u8 | number u64 | owner 16 | key id 16 | written_ms u64 | proof 32
    frame    u32 size, the top bit set in the last one | AES-256-GCM ciphertext and its tag

little-endian. A frame's plaintext is packed records. The key is used for this one file and nothing else, and the
nonce is the frame's place in it, so none repeats. Header, place and the mark of the last frame are authenticated with
each: frames cannot be exchanged, left out, or put into another bucket, network or enclave. What was opened before a
fault is good: records merge one by one.

The proof shows to other nodes that the key was destroyed by its owner (keys.py). Version 1 has none.
"""

import hashlib
from struct import Struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from respram.snapshot.buckets import SHIFTS, Bucket
from respram.snapshot.keys import PROOF_BYTES

MAGIC = b"RSPRSEG1"
VERSION, EARLIER_VERSION = 2, 1
FRAME_BYTES = 32 << 10  # of plaintext, approximately; a larger record has a frame of its own
TAG_BYTES = 16
LAST = 1 << 31
HEADER = Struct("<8sBBQ16s16sQ")  # the whole of it in version 1
HEADER_BYTES_MAX = HEADER.size + PROOF_BYTES  # older versions have no proof
FRAME_HEAD = Struct("<I")
_PLACE = Struct("<QB")
_NONCE = Struct("<Q4x")


class Unreadable(Exception):
    """A file cannot be used: it is `foreign`, `corrupt` or `truncated`."""


class Header(NamedTuple):
    bucket: Bucket
    owner: bytes
    key_id: bytes
    written_ms: int
    proof: bytes  # b"" in version 1

    @property
    def size(self) -> int:
        return HEADER.size + len(self.proof)

    def packed(self) -> bytes:
        version = VERSION if self.proof else EARLIER_VERSION
        bucket = self.bucket
        head = HEADER.pack(MAGIC, version, bucket.shift, bucket.number, self.owner, self.key_id, self.written_ms)
        return head + self.proof


def owner_of(network: str, enclave: str) -> bytes:
    """The owner of a segment, a hash of network and enclave: segments of other owners are not read."""
    return hashlib.sha256(b"respram snapshot\0" + network.encode() + b"\0" + enclave.encode()).digest()[:16]


def read_header(data: bytes, owner: bytes) -> Header:
    if not data.startswith(MAGIC):
        raise Unreadable("foreign" if len(data) >= len(MAGIC) or not MAGIC.startswith(data) else "truncated")
    if len(data) < HEADER.size:
        raise Unreadable("truncated")
    _, version, shift, number, whose, key_id, written_ms = HEADER.unpack_from(data)
    if version not in (VERSION, EARLIER_VERSION) or whose != owner:
        raise Unreadable("foreign")
    proof = data[HEADER.size : HEADER_BYTES_MAX] if version == VERSION else b""
    if version == VERSION and len(proof) < PROOF_BYTES:
        raise Unreadable("truncated")
    if shift not in SHIFTS or number >> 63 - shift:
        raise Unreadable("corrupt")
    return Header(Bucket(shift, number), whose, key_id, written_ms, proof)


class Sealer:
    """Encrypts the frames of one file, in order."""

    __slots__ = ("header", "_cipher", "_place")

    def __init__(self, header: Header, key: bytes | bytearray) -> None:
        self.header = header.packed()
        self._cipher = AESGCM(bytes(key))
        self._place = 0

    def frame(self, records: bytes | bytearray, last: bool) -> bytes:
        sealed = self._cipher.encrypt(
            _NONCE.pack(self._place), bytes(records), self.header + _PLACE.pack(self._place, last)
        )
        self._place += 1
        return FRAME_HEAD.pack(len(sealed) | (LAST if last else 0)) + sealed


class Opener:
    """Decrypts the frames of one file. The caller reads a head, asks how many bytes follow, and hands them in."""

    __slots__ = ("_header", "_cipher", "_place")

    def __init__(self, header: Header, key: bytes | bytearray) -> None:
        self._header = header.packed()
        self._cipher = AESGCM(bytes(key))
        self._place = 0

    def records(self, head: bytes, sealed: bytes) -> tuple[bytes, bool]:
        """The packed records of a frame, and whether it is the last."""
        if len(head) < FRAME_HEAD.size or len(sealed) < size_of(head):
            raise Unreadable("truncated")
        last = bool(FRAME_HEAD.unpack(head)[0] & LAST)
        try:
            plain = self._cipher.decrypt(
                _NONCE.pack(self._place), sealed, self._header + _PLACE.pack(self._place, last)
            )
        except InvalidTag:
            raise Unreadable("corrupt") from None
        self._place += 1
        return plain, last


def size_of(head: bytes) -> int:
    if len(head) < FRAME_HEAD.size:
        raise Unreadable("truncated")
    (mark,) = FRAME_HEAD.unpack(head)
    size: int = mark & (LAST - 1)
    if size < TAG_BYTES:
        raise Unreadable("corrupt")
    return size
