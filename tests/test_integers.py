"""Numbers from the wire: one spelling for integers, C's own reading for floats."""

import ctypes
import errno
import math
import sys
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from respram.integers import (
    FLOAT_CHARS_MAX,
    INT64_MAX,
    INT64_MIN,
    UINT64_MAX,
    parse_float,
    parse_int,
    parse_ratio,
    parse_uint,
)

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.strtold.restype = ctypes.c_longdouble
LIBC.strtold.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
BLANKS = b" \t\n\v\f\r"
NOT_INTEGERS = [
    b"", b"-", b"+1", b"01", b"-01", b"00", b"-0", b" 1", b"1 ", b"1_000", b"1.0", b"0x1", b"1e3", b"\xd9\xa3", b"1\n",
    b"1\0", b"--1", b"9" * 21,
]  # fmt: skip


@given(
    st.integers(INT64_MIN - 3, INT64_MAX + 3) | st.sampled_from([INT64_MIN, INT64_MIN - 1, INT64_MAX, INT64_MAX + 1])
)
def test_an_integer_is_read_exactly_when_it_fits_64_bits(number: int) -> None:
    assert parse_int(b"%d" % number) == (number if INT64_MIN <= number <= INT64_MAX else None)


@given(st.integers(-3, UINT64_MAX + 3) | st.sampled_from([UINT64_MAX, UINT64_MAX + 1]))
def test_an_unsigned_integer_is_read_exactly_when_it_fits_64_bits(number: int) -> None:
    assert parse_uint(b"%d" % number) == (number if 0 <= number <= UINT64_MAX else None)


@pytest.mark.parametrize("data", NOT_INTEGERS)
def test_an_integer_has_one_spelling_only(data: bytes) -> None:
    assert parse_int(data) is None
    assert parse_uint(data) is None


@given(st.binary(max_size=24) | st.text("0123456789+-_ .", max_size=22).map(str.encode))
def test_what_is_read_as_an_integer_is_written_back_the_same(data: bytes) -> None:
    value = parse_int(data)
    assert value is None or b"%d" % value == data
    assert parse_uint(data) == (value if value is None or value >= 0 else None) or len(data) > 18


def x87(data: bytes) -> tuple[int, int]:
    """Exponent and mantissa of the long double itself, before ctypes makes a double of it."""
    held = ctypes.create_string_buffer(16)
    LIBC.sscanf(ctypes.c_char_p(data), b"%Lf", held)
    return int.from_bytes(held.raw[8:10], "little") & 0x7FFF, int.from_bytes(held.raw[:8], "little")


def mantissa(data: bytes) -> int:
    return x87(data)[1]


def is_huge(data: bytes) -> bool:
    return x87(data)[0] == 0x7FFF


def strtold(data: bytes) -> float | None:
    """Redis's rule around the C library's function: the whole text, no blank before it, in range, no NaN."""
    if not data or len(data) > FLOAT_CHARS_MAX or b"\0" in data or data[:1] in [bytes((one,)) for one in BLANKS]:
        return None
    end = ctypes.c_void_p()
    buffer = ctypes.create_string_buffer(data)
    ctypes.set_errno(0)
    value = float(LIBC.strtold(ctypes.cast(buffer, ctypes.c_char_p), ctypes.byref(end)))
    whole = (end.value or 0) - ctypes.addressof(buffer) == len(data)
    out_of_range = ctypes.get_errno() == errno.ERANGE and (is_huge(data) or not mantissa(data))
    return None if not whole or out_of_range or math.isnan(value) else value


DECIMALS = st.from_regex(rb"[+-]?[0-9]{0,30}\.?[0-9]{0,30}([eE][+-]?[0-9]{1,5})?", fullmatch=True)
HEXADECIMALS = st.from_regex(rb"[+-]?0[xX][0-9a-fA-F]{0,20}\.?[0-9a-fA-F]{0,8}([pP][+-]?[0-9]{1,5})?", fullmatch=True)
WORDS = st.sampled_from(
    [b"inf", b"-INF", b"+Infinity", b"infinit", b"nan", b"-nan", b"nan(1)", b"INFINITY ", b"0x", b"e5", b"."]
)
ODD = st.text("0123456789.eExXpP+-_ \tinfa", max_size=12).map(str.encode)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the C library's long double is x86's only there")
@pytest.mark.skipif(ctypes.sizeof(ctypes.c_longdouble) != 16, reason="no 80-bit long double on this machine")
@given(DECIMALS | HEXADECIMALS | WORDS | ODD)
@example(b"1" * 5000)
@example(b"0." + b"0" * 4900 + b"1")
@example(b"1e4932")
@example(b"1.18973149535723176502e+4932")
@example(b"1.18973149535723176509e+4932")
@example(b"3.6e-4951")
@example(b"1.8e-4951")
@example(b"1e-4952")
@example(b"0e999999999999")
@example(b"1e999999999999")
def test_a_float_is_read_as_the_c_library_reads_it(data: bytes) -> None:
    expected, read = strtold(data), parse_float(data)
    if expected is None or read is None:
        assert read == expected
    elif 0 < abs(read) < math.inf:  # ctypes rounds the long double a second time
        assert math.isclose(read, expected, rel_tol=1e-15, abs_tol=5e-324)
    else:
        assert (read, math.copysign(1, read)) == (expected, math.copysign(1, expected))


@pytest.mark.parametrize(
    "data", [b"", b" 1", b"1 ", b"1_0", b"1,5", b"nan", b"1\0", b"1.5.", b"--1", b"0x", b"0x.p1", b"e1"]
)
def test_what_is_no_float_is_refused(data: bytes) -> None:
    assert parse_float(data) is None
    assert parse_ratio(data) is None


def test_a_ratio_is_exact_where_a_float_is_not() -> None:
    assert parse_ratio(b"-0.1") == Fraction(-1, 10)
    assert parse_ratio(b"1e400") == Fraction(10) ** 400
    assert parse_float(b"1e400") == math.inf
    assert parse_ratio(b"0x1.8p1") == 3
    assert parse_ratio(b"inf") is None


def test_a_text_of_five_kilobytes_is_too_long_for_a_float() -> None:
    assert parse_float(b"0" * FLOAT_CHARS_MAX) == 0.0
    assert parse_float(b"0" * (FLOAT_CHARS_MAX + 1)) is None
