"""The long double of x86: rounding at its edges, and the digits that a real server prints."""

import random
from fractions import Fraction

import pytest

from respram.longdouble import LARGEST, formatted, rounded
from tests.commands.conftest import reference, reference_server  # noqa: F401  (fixtures)
from tests.commands.rig import Reference

SEED, ROUNDS = 20260922, 2000


@pytest.mark.parametrize(
    ("exact", "text"),
    [
        (Fraction(0), b"0"),
        (Fraction(1, 10), b"0.1"),
        (Fraction(-1, 10), b"-0.1"),
        (Fraction(3), b"3"),
        (Fraction(1, 10**18), b"0"),
        (Fraction(-1, 10**18), b"0"),
        (Fraction(1, 3), b"0.33333333333333333"),
        (Fraction(2**64 + 1), b"18446744073709551616"),
        (Fraction(2**64 + 3), b"18446744073709551620"),
    ],
)
def test_a_number_is_rounded_and_printed(exact: Fraction, text: bytes) -> None:
    value = rounded(exact)
    assert value is not None
    assert formatted(value) == text


def test_what_is_beyond_the_largest_is_infinite() -> None:
    assert rounded(LARGEST) == LARGEST
    assert rounded(-LARGEST) == -LARGEST
    assert rounded(LARGEST + 1) == LARGEST  # less than half a step above it
    assert rounded(LARGEST * 2) is None
    assert len(formatted(LARGEST)) == 4933


def test_the_smallest_numbers_lose_bits_and_then_vanish() -> None:
    least = Fraction(1, 2**16445)
    assert rounded(least) == least
    assert rounded(least * 3 / 2) == least * 2
    assert rounded(least / 2) == 0
    assert rounded(least * 2 / 3) == least


def test_random_sums_print_as_in_redis(reference: Reference) -> None:  # noqa: F811
    source = random.Random(SEED)

    def number() -> str:
        digits = source.randrange(1, 22)
        text = f"{source.randrange(10**digits)}.{source.randrange(10**digits)}"
        return source.choice(("", "-")) + text + source.choice(("", f"e{source.randrange(-30, 30)}"))

    for _ in range(ROUNDS):
        one, two = number(), number()
        reference(b"SET", b"f", one.encode())
        reply = reference(b"INCRBYFLOAT", b"f", two.encode())
        first, second = rounded(Fraction(one)), rounded(Fraction(two))
        assert first is not None and second is not None
        total = rounded(first + second)
        assert total is not None
        assert reply == b"$%d\r\n%b\r\n" % (len(formatted(total)), formatted(total)), (SEED, one, two)
