"""Frames out of a stream: in any split the same messages, and hostile input stopped at its header."""

import contextlib
import random
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.errors import PeerError
from respram.wire import _fields as native
from respram.wire import codec
from respram.wire import fields as pure
from respram.wire import frames as wire_frames
from respram.wire._fields import NativeSplitter
from respram.wire.codec import encode
from respram.wire.fields import Splitter
from respram.wire.frames import STRANGER_FRAME_BYTES_MAX, Frames
from respram.wire.messages import Hello, Members, Message, Push, Same

from .test_codec import anything

HELLO = Hello(1, b"net", 7, b"enclave", b"127.0.0.1:1", 1_800_000_000_000, 0, b"entry", b"terms")
MIB = 1 << 20


@pytest.fixture(autouse=True, scope="module", params=["pure", "native"])
def each_twin(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire_frames, "SPLITTER", Splitter if request.param == "pure" else NativeSplitter)
        twin = pure if request.param == "pure" else native
        patch.setattr(codec, "read_fields", twin.read_fields)
        patch.setattr(codec, "pack_fields", twin.pack_fields)
        yield


def greeted(frame_bytes_max: int = MIB) -> Frames:
    frames = Frames(frame_bytes_max)
    assert frames.push(encode(HELLO)) == [HELLO]
    return frames


def push_all(frames: Frames, pieces: list[bytes]) -> None:
    for piece in pieces:
        frames.push(piece)


@given(st.lists(anything, min_size=1, max_size=6), st.integers(0, 2**32))
def test_whole_byte_by_byte_and_in_random_pieces(messages: list[Message], seed: int) -> None:
    stream = b"".join(map(encode, messages))
    rng = random.Random(seed)
    cuts = sorted(rng.randrange(len(stream)) for _ in range(5))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    for split in ([stream], [stream[at : at + 1] for at in range(len(stream))], pieces):
        frames = greeted()
        assert [message for piece in split for message in frames.push(piece)] == messages


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"*2147483647\r\n",
        b"*99999999999999999999\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n$-1\r\n",
        b"*2\r\n*2\r\n",
        b"*2\r\n:1\r\n",
        b"*2\r\n$99999999999\r\n",
        b"*2\r\n$ 4\r\nSAME\r\n",
        b"*2\n$4\nSAME\n",
        b"$4\r\nSAME\r\n",
        b"*" + b"1" * 100,
        b"\x00" * 100,
    ],
)
@pytest.mark.parametrize("known", [False, True])
def test_headers_that_no_frame_has_are_stopped(data: bytes, known: bool) -> None:
    tracemalloc.start()
    for split in ([data], [data[at : at + 1] for at in range(len(data))]):
        frames = greeted() if known else Frames(MIB)
        with pytest.raises(PeerError):
            push_all(frames, split)
    assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    tracemalloc.stop()


def test_strangers_get_a_small_frame_and_only_hello() -> None:
    with pytest.raises(PeerError, match="HELLO"):
        Frames(MIB).push(encode(Same(1)))
    with pytest.raises(PeerError, match="long"):
        Frames(MIB).push(b"*9\r\n$5\r\nHELLO\r\n$%d\r\n" % STRANGER_FRAME_BYTES_MAX)


def test_a_frame_may_be_as_long_as_said_and_no_longer() -> None:
    body = bytes(MIB - 64)
    assert greeted().push(encode(Push(1, 0, 7, 1, 0, 0, body))) == [Push(1, 0, 7, 1, 0, 0, body)]
    with pytest.raises(PeerError, match="long"):
        greeted().push(encode(Members(0, bytes(MIB))))


def test_a_body_without_its_line_end_is_stopped() -> None:
    with pytest.raises(PeerError):
        greeted().push(b"*2\r\n$4\r\nSAMEXX$1\r\n1\r\n")


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_messages_or_a_peers_error(data: bytes, known: bool) -> None:
    frames = greeted() if known else Frames(MIB)
    with contextlib.suppress(PeerError):
        frames.push(data)


@given(st.lists(anything, min_size=1, max_size=3), st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
def test_a_damaged_stream_is_messages_or_a_peers_error(messages: list[Message], place: int, damage: bytes) -> None:
    stream = b"".join(map(encode, messages))
    at = place % len(stream)
    frames = greeted()
    with contextlib.suppress(PeerError):
        frames.push(stream[:at] + damage + stream[at + len(damage) :])
