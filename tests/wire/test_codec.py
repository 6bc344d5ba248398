"""Every message survives encoding and decoding; whatever else arrives is a peer's error."""

from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.errors import PeerError
from respram.wire.codec import LAYOUTS, decode, encode
from respram.wire.messages import MESSAGES, SEQUENCED, Message


def any_of(message: type[Message]) -> st.SearchStrategy[Message]:
    hints = get_type_hints(message, include_extras=True)
    given_fields: dict[str, Any] = {}
    for one in fields(message):
        kind, most = get_args(hints[one.name])
        given_fields[one.name] = st.integers(0, most) if kind is int else st.binary(max_size=min(most, 80))
    return st.builds(message, **given_fields)


anything = st.one_of([any_of(message) for message in MESSAGES])


def arguments(frame: bytes) -> list[bytes]:
    """An encoded frame read by hand, so that encoder and decoder are not their own witnesses."""
    head, rest = frame.split(b"\r\n", 1)
    assert head[:1] == b"*"
    argv = []
    for _ in range(int(head[1:])):
        length, rest = rest.split(b"\r\n", 1)
        assert length[:1] == b"$"
        size = int(length[1:])
        argv.append(rest[:size])
        assert rest[size : size + 2] == b"\r\n"
        rest = rest[size + 2 :]
    assert not rest
    return argv


@given(anything)
def test_a_message_survives(message: Message) -> None:
    argv = arguments(encode(message))
    assert argv[0] == message.word
    assert decode(argv) == message


def test_words_are_unique_and_sequenced_messages_begin_alike() -> None:
    assert len(LAYOUTS) == len(MESSAGES) == len({message.word for message in MESSAGES})
    for message in SEQUENCED:
        assert [one.name for one in LAYOUTS[message.word].fields[:2]] == ["seq", "ack"]


@pytest.mark.parametrize(
    "argv",
    [
        [b"NOISE"],
        [b"hello"],
        [b"SAME"],
        [b"SAME", b"1", b"2"],
        [b"SAME", b"-1"],
        [b"SAME", b"01"],
        [b"SAME", b"1_0"],
        [b"SAME", b" 1"],
        [b"SAME", b""],
        [b"SAME", b"4294967296"],
        [b"SAME", b"9" * 5000],
        [b"REFUSE", b"r" * 257],
    ],
)
def test_what_no_peer_may_send_is_refused(argv: list[bytes]) -> None:
    with pytest.raises(PeerError) as caught:
        decode(argv)
    assert not any(text in str(caught.value) for text in ("NOISE", "999", "rrr", "1_0"))
