"""Chance for the families: a seeded generator with the pools from which keys, values and numbers are drawn.

The pools hold what has broken servers before: signs, blanks, leading zeros, the edges of 64 bits, bytes
that look like protocol, and lengths on both sides of a buffer.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

from compat.oracle.stream import Send, Word

T = TypeVar("T")

KEYS = (b"k0", b"k1", b"k2", b"k3", b"k4", b"k5")
ODD_KEYS = (b"", b"a b", b"\r\n", b"\xff\x00\xfe", b"{tag}x", b"x" * 300, b"*1\r\n$4\r\nPING\r\n")
INTEGERS = (
    b"0", b"1", b"-1", b"7", b"10", b"42", b"100", b"-100", b"9999", b"10000", b"2147483647", b"2147483648",
    b"-2147483648",
    b"4294967296", b"9223372036854775806", b"9223372036854775807", b"-9223372036854775807", b"-9223372036854775808",
)  # fmt: skip
NOT_INTEGERS = (
    b"", b" ", b"abc", b"1.5", b"1.0", b" 1", b"1 ", b"+1", b"01", b"-0", b"00", b"0x10", b"1e3", b"1_000", b"--1",
    b"-",
    b"9223372036854775808", b"-9223372036854775809", b"18446744073709551615", b"99999999999999999999999", b"1\x00",
    b"\xd9\xa1",
    b"inf", b"nan", b"12a", b"1\n",
)  # fmt: skip
FLOATS = (
    b"0", b"-0", b"1", b"-1", b"1.5", b"0.1", b"0.2", b"-0.5", b"3.0", b"3.00", b".5", b"5.", b"1e3", b"1E3", b"-1e-3",
    b"1e-5",
    b"1e17", b"1e18", b"1e-17", b"1e-18", b"123456789.123456789", b"10.50", b"0.000000000000000001",
    b"9223372036854775807",
    b"18446744073709551616", b"1e300", b"-1e300", b"0x10", b"0x1p4", b"+5", b"005", b"3.14159265358979323846", b"1e22",
    b"1e-20",
    b"99999999999999999999", b"0.30000000000000004", b"1e4000", b"-1e4000",
)  # fmt: skip
NOT_FLOATS = (
    b"", b" ", b"abc", b" 1", b"1 ", b"1.5.5", b"1,5", b"nan", b"NaN", b"-nan", b"1e", b"e5", b"--1", b"1\x00",
    b"1e5000", b"1.5x",
    b"0x", b"inf", b"-inf", b"+inf", b"Infinity", b"infinit", b"1_0",
)  # fmt: skip
# Times to live in seconds that no stream lives to see the end of. All differ, so that GT and LT between
# any two of them do not hang on a millisecond.
TTLS_S = (100, 200, 300, 450, 999, 1000, 5000, 86_400, 604_800, 2_000_000)
BAD_TTLS = (
    b"0", b"-1", b"abc", b"", b"1.5", b" 10", b"+10", b"010", b"9223372036854775807", b"9223372036854775808",
    b"-9223372036854775808", b"9223372036854775", b"9223372036854776",
)  # fmt: skip


class Draw:
    """One family's chance: everything follows from the seed."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        self._ttl = 0

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        return items[self.rng.randrange(len(items))]

    def number(self, least: int, most: int) -> int:
        return self.rng.randint(least, most)

    def some(self, items: Sequence[T], least: int, most: int) -> list[T]:
        """With repetition."""
        return [self.pick(items) for _ in range(self.number(least, most))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        mixed = list(items)
        self.rng.shuffle(mixed)
        return mixed

    def case(self, word: bytes) -> bytes:
        """The word as it is mostly, else in lower or mixed case."""
        how = self.number(0, 5)
        if how < 3:
            return word
        if how < 5:
            return word.lower()
        return bytes(byte ^ 32 if chr(byte).isalpha() and self.chance(0.5) else byte for byte in word)

    def key(self) -> bytes:
        return self.pick(ODD_KEYS) if self.chance(0.06) else self.pick(KEYS)

    def value(self) -> bytes:
        how = self.number(0, 9)
        if how < 3:
            return self.pick(INTEGERS)
        if how == 3:
            return self.pick(NOT_INTEGERS)
        if how == 4:
            return self.pick(FLOATS)
        if how < 8:
            return self.rng.randbytes(self.number(0, 12))
        return self.blob()

    def blob(self) -> bytes:
        """A length near one where servers change their mind."""
        length = self.pick((0, 1, 43, 44, 45, 63, 64, 65, 255, 256, 1023, 4096))
        if self.chance(0.02):
            length = self.pick((16_384, 32_768, 40_000, 65_536, 70_000))
        return self.rng.randbytes(length)

    def integer(self, wrong: float = 0.15) -> bytes:
        return self.pick(NOT_INTEGERS) if self.chance(wrong) else self.pick(INTEGERS)

    def ttl_s(self) -> int:
        """A different one each time, for some hundred draws."""
        self._ttl += 1
        return self.pick(TTLS_S) + 3 * self._ttl


def send(draw: Draw, conn: int, name: bytes, *words: Word) -> Send:
    """A command, its name in some case."""
    return Send(conn, (draw.case(name), *words))
