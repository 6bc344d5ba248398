"""Encrypts and decrypts values in the pure engine, with keystream made ahead. See respram/seal.py.

The native engine spends its blocks in the same order: a short value takes whole blocks of the pad, one that does not
fit takes a new pad, and a long one takes a count of its own. So both make the same ciphertext of the same writes.
"""

from respram.record import Seal
from respram.seal import (
    BLOCK_BYTES,
    LONG_BYTES,
    LONG_COUNT_MAX,
    LONG_FIRST,
    LONG_SEALER,
    PAD_BLOCKS,
    Ring,
    SealKey,
    blocks_of,
    run_through,
    xor,
)


class Seals:
    __slots__ = ("ring", "node", "writes", "position", "long_count", "pad", "pad_key", "pad_position", "spent")

    def __init__(self, ring: Ring, node: int, writes: bool) -> None:
        self.ring = ring
        self.node = node
        self.writes = writes  # local writes are sealed; sealed records from peers are opened in any case
        self.position = 0  # the next unused counter block
        self.long_count = 0
        self.pad = bytearray()
        self.pad_key: SealKey | None = None
        self.pad_position = 0  # position of the pad's first block
        self.spent = 0  # used blocks of the pad

    def seal(self, value: bytes) -> tuple[bytes, Seal]:
        blocks = blocks_of(len(value))
        if len(value) >= LONG_BYTES:
            key, (sealer, position) = self.ring.take(), self._long(blocks)
            return run_through(key, sealer, position, value), Seal(key.id, sealer, position)
        if self.pad_key is None or self.spent + blocks > PAD_BLOCKS:
            self._refill()
        assert self.pad_key is not None
        start, end = self.spent * BLOCK_BYTES, (self.spent + blocks) * BLOCK_BYTES
        sealed = xor(value, self.pad[start:end])
        self.pad[start:end] = bytes(end - start)
        seal = Seal(self.pad_key.id, self.node, self.pad_position + self.spent)
        self.spent += blocks
        return sealed, seal

    def _long(self, blocks: int) -> tuple[int, int]:
        if self.long_count == LONG_COUNT_MAX:
            return self.node, self._spend(blocks)
        self.long_count += 1
        return self.node ^ LONG_SEALER, self.long_count - 1 << 32 | LONG_FIRST

    def _spend(self, blocks: int) -> int:
        first = self.position
        self.position += blocks
        return first

    def _refill(self) -> None:
        self.pad_key = self.ring.take()
        self.pad_position = self._spend(PAD_BLOCKS)
        self.pad[:] = run_through(self.pad_key, self.node, self.pad_position, bytes(PAD_BLOCKS * BLOCK_BYTES))
        self.spent = 0

    def leave_pad(self) -> None:
        """Drops the pad: the rest of its keystream is overwritten and never used."""
        self.pad[:] = bytes(len(self.pad))
        self.pad_key = None

    def open(self, value: bytes, seal: Seal) -> bytes:
        key = self.ring.find(seal.key)
        assert key is not None, "a key that records need is kept"
        return run_through(key, seal.sealer, seal.position, value)
