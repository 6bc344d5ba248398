"""XXH3-64 without a seed: the digest that DIGEST returns and IFDEQ and IFDNE compare.

Written after the specification of xxHash (github.com/Cyan4973/xxHash), whose default secret the table below is. The
twin of native/xxh3.c, which takes about 0.06 ns a byte of a long value where this takes 60. It is no cryptographic
hash: whoever chooses both values can make their digests equal.
"""

from struct import Struct

from respram.engine.ids import M64

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
M32 = (1 << 32) - 1
P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
START = (P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0])
STRIPE = Struct("<8Q")
STRIPE_BYTES = 64
BLOCK_BYTES = 1024  # 16 stripes, after which the sums are scrambled
KEYS = tuple(STRIPE.unpack_from(SECRET, 8 * stripe) for stripe in range(BLOCK_BYTES // STRIPE_BYTES))
SCRAMBLE = STRIPE.unpack_from(SECRET, len(SECRET) - STRIPE_BYTES)
LAST = STRIPE.unpack_from(SECRET, len(SECRET) - STRIPE_BYTES - 7)


def xxh3(data: bytes) -> int:
    size = len(data)
    if size > 240:
        return _long(data)
    if size > 16:
        return _middle(data)
    if size > 8:
        low = _u64(data, 0) ^ _u64(SECRET, 24) ^ _u64(SECRET, 32)
        high = _u64(data, size - 8) ^ _u64(SECRET, 40) ^ _u64(SECRET, 48)
        swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
        return _avalanche(size + swapped + high + _fold(low, high))
    if size > 3:
        both = _u32(data, size - 4) + (_u32(data, 0) << 32)
        return _mix_short(both ^ _u64(SECRET, 8) ^ _u64(SECRET, 16), size)
    if size:
        joined = data[0] << 16 | data[size >> 1] << 24 | data[size - 1] | size << 8
        return _avalanche_64(joined ^ _u32(SECRET, 0) ^ _u32(SECRET, 4))
    return _avalanche_64(_u64(SECRET, 56) ^ _u64(SECRET, 64))


def _middle(data: bytes) -> int:
    """17 to 240 bytes: pairs of words, up to 128 from both ends inwards, then from the front."""
    size = len(data)
    total = size * P64[0]
    if size <= 128:
        for pair in range((size - 1) // 32 + 1):
            total += _pair(data, 16 * pair, 32 * pair) + _pair(data, size - 16 * (pair + 1), 32 * pair + 16)
        return _avalanche(total)
    for pair in range(8):
        total += _pair(data, 16 * pair, 16 * pair)
    total = _avalanche(total)
    for pair in range(8, size // 16):
        total += _pair(data, 16 * pair, 16 * (pair - 8) + 3)
    return _avalanche(total + _pair(data, size - 16, 136 - 17))


def _long(data: bytes) -> int:
    size = len(data)
    sums = list(START)
    last = size - 1 - (size - 1) % BLOCK_BYTES  # start of the last block, which is not scrambled
    for start in range(0, last, BLOCK_BYTES):
        for stripe, key in enumerate(KEYS):
            _accumulate(sums, STRIPE.unpack_from(data, start + STRIPE_BYTES * stripe), key)
        for lane, key_word in enumerate(SCRAMBLE):
            word = sums[lane]
            sums[lane] = (word ^ word >> 47 ^ key_word) * P32[0] & M64
    for stripe in range((size - 1 - last) // STRIPE_BYTES):
        _accumulate(sums, STRIPE.unpack_from(data, last + STRIPE_BYTES * stripe), KEYS[stripe])
    _accumulate(sums, STRIPE.unpack_from(data, size - STRIPE_BYTES), LAST)
    total = size * P64[0]
    for lane in range(0, 8, 2):
        total += _fold(sums[lane] ^ _u64(SECRET, 11 + 8 * lane), sums[lane + 1] ^ _u64(SECRET, 19 + 8 * lane))
    return _avalanche(total)


def _accumulate(sums: list[int], words: tuple[int, ...], key: tuple[int, ...]) -> None:
    for lane, word in enumerate(words):
        keyed = word ^ key[lane]
        sums[lane ^ 1] = sums[lane ^ 1] + word & M64
        sums[lane] = sums[lane] + (keyed & M32) * (keyed >> 32) & M64


def _pair(data: bytes, at: int, secret_at: int) -> int:
    return _fold(_u64(data, at) ^ _u64(SECRET, secret_at), _u64(data, at + 8) ^ _u64(SECRET, secret_at + 8))


def _fold(a: int, b: int) -> int:
    product = a * b
    return product & M64 ^ product >> 64


def _avalanche(x: int) -> int:
    x &= M64
    x = (x ^ x >> 37) * 0x165667919E3779F9 & M64
    return x ^ x >> 32


def _avalanche_64(x: int) -> int:
    x = (x ^ x >> 33) * P64[1] & M64
    x = (x ^ x >> 29) * P64[2] & M64
    return x ^ x >> 32


def _mix_short(x: int, size: int) -> int:
    x ^= _turn(x, 49) ^ _turn(x, 24)
    x = x * 0x9FB21C651E98DF25 & M64
    x = (x ^ (x >> 35) + size) * 0x9FB21C651E98DF25 & M64
    return x ^ x >> 28


def _turn(x: int, by: int) -> int:
    return (x << by | x >> 64 - by) & M64


def _u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
