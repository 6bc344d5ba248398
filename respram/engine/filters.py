"""The Bloom filter that peers exchange: size and wire format of pybloom-live, but its own hash positions.

On the wire: `salt u64 | error rate f64 | slices u64 | bits per slice u64 | capacity u64 | count u64 | bits`,
little-endian; all after the salt is what pybloom-live's `tofile` writes. pybloom-live itself hashes
`repr(key)` at about 2 us and knows no salt. Here the position in slice i is

    a = mix(id XOR salt);  b = mix(a + SPREAD) OR 1;  position = (((a + i * b) mod 2**64) * bits_per_slice) >> 64

where mix is the finalizer of splitmix64. The multiplication in place of a remainder is a third of the cost in C.
The salt makes every false positive a matter of one round: the same record is not passed over twice.

A header from a peer is hostile until checked: nothing is allocated before it fits the bytes that came.
"""

from io import BytesIO
from math import ceil, exp, log
from struct import Struct

from bitarray import bitarray
from pybloom_live import BloomFilter

from respram.engine.ids import M64, SPREAD
from respram.errors import PeerError

HEADER = Struct("<QdQQQQ")
SLICES_MAX = 24  # enough for an error rate of 6e-8
ERROR_RATE = 0.01  # 9.6 bits a record; a record that is missed by chance is found in the next round, with a new salt
CAPACITY_MAX = 4 << 20  # records of one filter: 5 MiB at this rate


class RecordFilter(BloomFilter):  # type: ignore[misc]
    """A filter of record ids. `count` and `capacity` come from the sender; `bitarray` has the bits, by slices."""

    def __init__(self, capacity: int, salt: int, error_rate: float = ERROR_RATE) -> None:
        super().__init__(max(capacity, 1), error_rate)
        self.salt = salt

    def add_ids(self, ids: list[int]) -> None:
        bits, width, slices, salt = self.bitarray, self.bits_per_slice, self.num_slices, self.salt
        for one in ids:
            a = mix(one ^ salt)
            b = mix((a + SPREAD) & M64) | 1
            base = 0
            for _ in range(slices):
                bits[base + (a * width >> 64)] = 1
                a = (a + b) & M64
                base += width
        self.count += len(ids)

    def lacks(self, one: int) -> bool:
        bits, width = self.bitarray, self.bits_per_slice
        a = mix(one ^ self.salt)
        b = mix((a + SPREAD) & M64) | 1
        for base in range(0, self.num_bits, width):
            if not bits[base + (a * width >> 64)]:
                return True
            a = (a + b) & M64
        return False

    def to_bytes(self) -> bytes:
        out = BytesIO(Struct("<Q").pack(self.salt))
        out.seek(8)
        self.tofile(out)
        return out.getvalue()


def mix(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & M64
    return x ^ x >> 31


def positions(one: int, salt: int, slices: int, width: int) -> list[int]:
    """The bit of each slice for one id, as the formula above says it: for vectors and tests."""
    a = mix(one ^ salt)
    b = mix((a + SPREAD) & M64) | 1
    return [i * width + (((a + i * b) & M64) * width >> 64) for i in range(slices)]


def from_bytes(data: bytes) -> RecordFilter:
    """A filter from a peer. Raises PeerError where the header cannot be, or is not of these bytes."""
    if len(data) < HEADER.size:
        raise PeerError("filter header cut short")
    salt, error_rate, slices, width, capacity, count = HEADER.unpack_from(data)
    if not 1e-9 < error_rate < 0.5 or not 1 <= slices <= SLICES_MAX or not 1 <= capacity <= CAPACITY_MAX:
        raise PeerError("filter header out of range")
    if slices != ceil(log(1.0 / error_rate, 2)) or count > capacity or width != _width(capacity, error_rate, slices):
        raise PeerError("filter header contradicts itself")
    if (slices * width + 7) // 8 != len(data) - HEADER.size:
        raise PeerError("filter is not as long as its header says")
    bloom = RecordFilter(1, salt, 0.4)
    bloom._setup(error_rate, slices, width, capacity, count)
    bloom.bitarray = bitarray(endian="little")
    bloom.bitarray.frombytes(data[HEADER.size :])
    set_bits = bloom.bitarray.count()
    if set_bits > slices * count or 2 * set_bits < _expected_bits(count, slices, width):
        raise PeerError("filter does not hold what its header says")  # only ones, or only zeros
    return bloom


def _expected_bits(count: int, slices: int, width: int) -> float:
    """How many bits are set, on average, after `count` ids."""
    return slices * width * (1.0 - exp(-count / width))


def _width(capacity: int, error_rate: float, slices: int) -> int:
    return ceil(capacity * abs(log(error_rate)) / (slices * log(2) ** 2))
