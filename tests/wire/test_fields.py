"""The twins that cut frames and read fields: the same frames, the same faults, whatever comes in whatever pieces."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from respram.errors import PeerError
from respram.wire import _fields as native
from respram.wire import fields as pure
from respram.wire.fields import Kinds, Splitter

U64 = (1 << 64) - 1
FRAME_BYTES_MAX = 200

# what headers are made of, and what is near to it
piece = st.one_of(
    st.sampled_from([b"*", b"$", b"\r\n", b"\r", b"\n", b"0", b"1", b"2", b"12", b"3\r\n", b"*1\r\n$1\r\n", b"x"]),
    st.integers(0, 250).map(lambda count: b"*1\r\n$%d\r\n" % count + b"b" * count + b"\r\n"),
    st.lists(st.binary(max_size=40), min_size=1, max_size=4).map(lambda argv: frame(argv)),
    st.binary(max_size=30),
)


def frame(argv: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in argv)


def cut(splitter: Splitter, pieces: list[bytes]) -> tuple[list[list[bytes]], str]:
    """The frames, and what the fault is that ended them."""
    found: list[list[bytes]] = []
    for data in pieces:
        try:
            found += splitter.push(data, FRAME_BYTES_MAX)
        except PeerError as error:
            return found, str(error)
    return found, ""


@given(st.lists(piece, max_size=12), st.integers(0, 2**32))
@example([b"*3\r\n$0\r\n\r\n$1\r\na\r\n$0\r\n\r\n"], 0)
@example([b"*1\r\n$16\r\n" + b"\r\n" * 8 + b"\r\n*1\r\n$"], 1)
def test_both_twins_cut_the_same(made: list[bytes], seed: int) -> None:
    stream = b"".join(made)
    rng = random.Random(seed)
    places = sorted(rng.randrange(len(stream) + 1) for _ in range(6))
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    for split in ([stream], [stream[at : at + 1] for at in range(len(stream))], pieces):
        assert cut(native.NativeSplitter(4), split) == cut(Splitter(4), split)


def test_a_body_in_many_pieces_is_one() -> None:
    body = random.Random(1).randbytes(100_000)
    for splitter in (Splitter(4), native.NativeSplitter(4)):
        stream, found = frame([b"PUSH", body, b""]), []
        start = stream.index(body)
        for at in range(0, len(stream), 1_000):
            found += splitter.push(stream[at : at + 1_000], 1 << 20)
            if at + 1_000 > start:
                assert splitter.body_left == max(start + len(body) - at - 1_000, 0), "what the body lacks"
        assert found == [[b"PUSH", body, b""]]


def test_a_stream_that_was_given_up_harms_nobody_who_goes_on() -> None:
    splitter = native.NativeSplitter(4)
    for _ in range(100):
        for data in (b"*" + b"1" * 40, b"x" * 17, b"*1\r\n$5\r\nab", b"$1\r\n"):
            try:
                splitter.push(data, FRAME_BYTES_MAX)
            except PeerError:
                continue


@given(
    st.lists(
        st.one_of(
            st.integers(0, U64).map(lambda number: b"%d" % number),
            st.sampled_from([b"", b"0", b"00", b"-1", b"+1", b" 1", b"1_0", b"9" * 19, b"9" * 20, b"9" * 21,
                             b"%d" % U64, b"%d" % (U64 + 1), b"18446744073709551620", b"1\x00", "\u0661".encode()]),
            st.binary(max_size=8),
        ), min_size=3, max_size=3),
    st.tuples(*[st.tuples(st.booleans(), st.sampled_from([0, 1, 7, 255, 1 << 32, U64]))] * 3),
)  # fmt: skip
def test_both_twins_read_the_same(values: list[bytes], kinds: Kinds) -> None:
    assert native.read_fields([b"WORD", *values], kinds) == pure.read_fields([b"WORD", *values], kinds)


@given(st.lists(st.one_of(st.integers(0, U64), st.integers(), st.binary(max_size=300)), max_size=14))
@example([0, U64, U64 + 1, -1, b"", True])
def test_both_twins_pack_the_same(values: list[int | bytes]) -> None:
    head = b"*9\r\n$4\r\nWORD\r\n"
    assert native.pack_fields(head, tuple(values)) == pure.pack_fields(head, tuple(values))


def test_what_is_no_number_and_no_bytes_is_an_error_and_no_harm() -> None:
    with pytest.raises(TypeError):
        native.pack_fields(b"", (None,))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        native.read_fields([b"WORD", None], ((False, 1),))  # type: ignore[list-item]
    with pytest.raises(IndexError):
        native.read_fields([b"WORD"], ((False, 1),))
