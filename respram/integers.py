"""Numbers out of bytes, as strictly as Redis reads them. The only place that turns wire bytes into numbers.

Python's own `int()` and `float()` accept `b"1_000"`, `b" 12 "` and `b"+7"`; a number read from a client
must have one spelling, because INCR compares and writes it back. Every function answers None for what
is not a number, since what the client is told depends on the command.
"""

import re
from fractions import Fraction
from math import isfinite

INT64_MAX = (1 << 63) - 1
INT64_MIN = -(1 << 63)
UINT64_MAX = (1 << 64) - 1

INT_CHARS_MAX = 20  # "-9223372036854775808" and "18446744073709551615"
FLOAT_CHARS_MAX = 5 * 1024 - 1  # Redis copies the text into a buffer of 5 KiB, with a final NUL
EXPONENT_DIGITS_MAX = 9  # a longer exponent is out of range for every mantissa

# Redis computes in the 80-bit long double of x86: 64 bits of mantissa, exponents to 16383. What rounds
# above its maximum, or to zero below its minimum, is an error there and here.
LONG_DOUBLE_OVERFLOW = Fraction((1 << 65) - 1) * (1 << (16383 - 64))
LONG_DOUBLE_UNDERFLOW = Fraction(1, 1 << 16446)

_DECIMAL = re.compile(rb"([+-]?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))(?:[eE]([+-]?)([0-9]+))?")
_HEXADECIMAL = re.compile(
    rb"([+-]?)0[xX](?:([0-9a-fA-F]+)\.?([0-9a-fA-F]*)|\.([0-9a-fA-F]+))(?:[pP]([+-]?)([0-9]+))?"
)
_INFINITY = re.compile(rb"([+-]?)(?:inf|infinity)", re.IGNORECASE)


def parse_int(data: bytes) -> int | None:
    """A signed 64-bit integer in its one spelling: no blanks, no plus sign, no leading zeros, no `-0`."""
    digits = data[1:] if data[:1] == b"-" else data
    if not digits.isdigit() or len(data) > INT_CHARS_MAX:
        return None
    if digits[0] == 48 and len(data) > 1:  # "0" is the only number that begins with a zero
        return None
    value = int(data)
    return value if INT64_MIN <= value <= INT64_MAX else None


def parse_uint(data: bytes) -> int | None:
    """An unsigned 64-bit integer in its one spelling, for cursors and identifiers."""
    if not data.isdigit() or len(data) > INT_CHARS_MAX:
        return None
    if data[0] == 48 and len(data) > 1:
        return None
    value = int(data)
    return value if value <= UINT64_MAX else None


def parse_float(data: bytes) -> float | None:
    """A number as C's `strtold` reads it, whole and without blanks: decimal, hexadecimal, infinite.

    Never a NaN. What a long double holds and a double does not (beyond 1.8e308) comes out as an
    infinity, and what is below 4.9e-324 as zero: whoever must be exact there asks `parse_ratio`.
    """
    infinite = _INFINITY.fullmatch(data)
    if infinite:
        return float("-inf") if infinite[1] == b"-" else float("inf")
    if len(data) <= FLOAT_CHARS_MAX and _DECIMAL.fullmatch(data):
        value = float(data)
        if value != 0.0 and isfinite(value):  # the common case avoids arithmetic on long integers
            return value
    ratio = parse_ratio(data)
    if ratio is None:
        return None
    negative = data[:1] == b"-"
    try:
        value = float(ratio)
    except OverflowError:
        value = float("-inf") if negative else float("inf")
    return -0.0 if negative and value == 0.0 else value


def parse_double(data: bytes) -> float | None:
    """A number as C's `strtod` reads it, whole and without blanks. What is too large is infinite, too small zero; never
    a NaN.
    """
    infinite = _INFINITY.fullmatch(data)
    if infinite:
        return float("-inf") if infinite[1] == b"-" else float("inf")
    if len(data) > FLOAT_CHARS_MAX:
        return None
    if _DECIMAL.fullmatch(data):
        return float(data)
    if not _HEXADECIMAL.fullmatch(data):
        return None
    try:
        return float.fromhex(data.decode("ascii"))
    except OverflowError:
        return float("-inf") if data[:1] == b"-" else float("inf")


def parse_score(data: bytes) -> float | None:
    """A number as `parse_double` reads it, where Redis asks for a number as such: what a double cannot hold is none."""
    value = parse_double(data)
    if value is None or _INFINITY.fullmatch(data):
        return value
    mantissa = re.split(b"[pP]" if b"x" in data or b"X" in data else b"[eE]", data)[0]
    if not isfinite(value) or (value == 0.0 and mantissa.strip(b"+-0.xX")):
        return None
    return value


def parse_ratio(data: bytes) -> Fraction | None:
    """The exact value of a finite number that `parse_float` reads; None for infinities too."""
    if len(data) > FLOAT_CHARS_MAX:
        return None
    found = _DECIMAL.fullmatch(data)
    if found:
        return _scaled(found, radix=10, base=10, shift=1)
    found = _HEXADECIMAL.fullmatch(data)
    return _scaled(found, radix=16, base=2, shift=4) if found else None


def _scaled(found: re.Match[bytes], *, radix: int, base: int, shift: int) -> Fraction | None:
    """Mantissa times base to the exponent, within a long double's range.

    The size of the power is checked before the power is computed: an exponent of nine digits would
    otherwise be a number of a gigabyte.
    """
    fraction = found[3] or found[4] or b""
    digits = ((found[2] or b"") + fraction).lstrip(b"0")
    if not digits:
        return Fraction(0)
    exponent_digits = (found[6] or b"").lstrip(b"0")
    if len(exponent_digits) > EXPONENT_DIGITS_MAX:
        return None
    exponent = int(exponent_digits or b"0") * (-1 if found[5] == b"-" else 1) - shift * len(fraction)
    bits_per_digit = 4 if base == 2 else 3
    if not -70_000 < exponent * (1 if base == 2 else bits_per_digit) < 70_000:
        return None
    mantissa = _integer(digits, radix)
    value = Fraction(mantissa) * Fraction(base) ** exponent
    if value >= LONG_DOUBLE_OVERFLOW or value <= LONG_DOUBLE_UNDERFLOW:
        return None
    return -value if found[1] == b"-" else value


def _integer(digits: bytes, radix: int) -> int:
    """Digits of any number, in pieces: Python refuses more than 4,300 decimal digits at a time."""
    if len(digits) <= 4000:
        return int(digits, radix)
    half = len(digits) // 2
    place = int(radix ** (len(digits) - half))
    return _integer(digits[:half], radix) * place + _integer(digits[half:], radix)
