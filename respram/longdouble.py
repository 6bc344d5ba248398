"""Redis's floating point: the 80-bit long double of x86, in exact integer arithmetic.

INCRBYFLOAT adds two long doubles and prints the sum with 17 decimals. A sum of Python floats would
differ in the last digits (0.1 + 0.2), and Decimal rounds elsewhere. So a number is an exact Fraction
here, rounded to 64 bits of mantissa wherever a long double would round. Pure; no command is known.
"""

from fractions import Fraction

MANTISSA_BITS = 64
EXPONENT_MIN = -16445  # exponent of the last mantissa bit of a denormal number
DECIMALS = 17
LARGEST = Fraction((1 << MANTISSA_BITS) - 1) * (1 << (16383 - 63))


def rounded(exact: Fraction) -> Fraction | None:
    """The nearest long double, ties to even; None when it would be infinite."""
    if not exact:
        return exact
    magnitude = abs(exact)
    exponent = _floor_log2(magnitude) - (MANTISSA_BITS - 1)
    unit = Fraction(2) ** max(exponent, EXPONENT_MIN)
    nearest = round(magnitude / unit) * unit  # Python rounds a Fraction half to even
    if nearest > LARGEST:
        return None
    return nearest if exact > 0 else -nearest


def formatted(value: Fraction) -> bytes:
    """A long double as `%.17Lf` prints it, without the zeros at its end; never in exponent form, never `-0`."""
    scaled = round(abs(value) * 10**DECIMALS)
    whole, decimals = divmod(scaled, 10**DECIMALS)
    text = _digits(whole)
    if decimals:
        text += (b".%017d" % decimals).rstrip(b"0")
    return b"-" + text if value < 0 and scaled else text


def _floor_log2(magnitude: Fraction) -> int:
    estimate = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return estimate if magnitude >= Fraction(2) ** estimate else estimate - 1


def _digits(whole: int) -> bytes:
    """Decimal digits of an integer of any length: Python prints 4,300 of them at a time, no more."""
    pieces: list[bytes] = []
    while whole >= 10**4000:
        whole, low = divmod(whole, 10**4000)
        pieces.append(b"%04000d" % low)
    pieces.append(b"%d" % whole)
    return b"".join(reversed(pieces))
