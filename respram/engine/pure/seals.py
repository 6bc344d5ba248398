"""How the pure engine seals and opens values, with pads of keystream made ahead. See respram/seal.py.

The native engine spends its blocks in the same order: a value takes whole blocks of the pad, one that does not fit
takes a new pad, and one longer than a pad as many as it needs. So both make the same ciphertext of the same writes.
"""

from struct import Struct

from respram.record import Seal
from respram.seal import BLOCK_BYTES, PAD_BLOCKS, Ring, SealKey, blocks_of, keystream, xor

FEW_BLOCKS = 16  # to build these in Python and encrypt them is cheaper than a cipher made for CTR


class Seals:
    __slots__ = ("ring", "node", "writes", "position", "pad", "pad_key", "spent")

    def __init__(self, ring: Ring, node: int, writes: bool) -> None:
        self.ring = ring
        self.node = node
        self.writes = writes  # whether local writes are sealed; what comes sealed is opened in any case
        self.position = 0  # of the first block behind the pad
        self.pad = bytearray()
        self.pad_key: SealKey | None = None
        self.spent = 0  # blocks of the pad

    def seal(self, value: bytes) -> tuple[bytes, Seal]:
        blocks = blocks_of(len(value))
        if self.pad_key is None or self.spent + blocks > len(self.pad) // BLOCK_BYTES:
            self._refill((blocks + PAD_BLOCKS - 1) // PAD_BLOCKS * PAD_BLOCKS if blocks > PAD_BLOCKS else PAD_BLOCKS)
        assert self.pad_key is not None
        start, end = self.spent * BLOCK_BYTES, (self.spent + blocks) * BLOCK_BYTES
        sealed = xor(value, self.pad[start:end])
        self.pad[start:end] = bytes(end - start)
        seal = Seal(self.pad_key.id, self.node, self.position - len(self.pad) // BLOCK_BYTES + self.spent)
        self.spent += blocks
        return sealed, seal

    def _refill(self, blocks: int) -> None:
        self.pad[:] = bytes(len(self.pad))
        self.pad_key = self.ring.take()
        self.pad = bytearray(keystream(self.pad_key, self.node, self.position, blocks))
        self.position += blocks
        self.spent = 0

    def open(self, value: bytes, seal: Seal) -> bytes:
        key = self.ring.find(seal.key)
        assert key is not None, "a key that records need is kept"
        blocks = blocks_of(len(value))
        if blocks > FEW_BLOCKS:
            return xor(value, keystream(key, seal.sealer, seal.position, blocks))
        stream = bytearray((blocks + 1) * BLOCK_BYTES)
        counters = []
        for position in range(seal.position, seal.position + blocks):
            counters += [seal.sealer, position]
        key.encrypt(_COUNTERS[blocks].pack(*counters), stream)
        return xor(value, stream)


_COUNTERS = tuple(Struct(f">{2 * blocks}Q") for blocks in range(FEW_BLOCKS + 1))
