"""Segments: what is sealed opens again, and nothing else does, wherever a bit is changed or a piece is missing."""

import contextlib
from random import Random

import pytest

from respram.snapshot.buckets import Bucket
from respram.snapshot.segment import (
    FRAME_HEAD,
    HEADER,
    Header,
    Opener,
    Sealer,
    Unreadable,
    owner_of,
    read_header,
    size_of,
)

OWNER = owner_of("respram", "default")
KEY, OTHER_KEY = b"k" * 32, b"l" * 32
HEAD = Header(Bucket(16, 26_000_000), OWNER, b"i" * 16, 1_700_000_000_000, b"p" * 32)
PARTS = (b"first records", b"", b"second" * 5_000)


def written(key: bytes = KEY, head: Header = HEAD) -> bytes:
    sealer = Sealer(head, key)
    return sealer.header + b"".join(sealer.frame(part, last=part is PARTS[-1]) for part in PARTS)


def opened(data: bytes, key: bytes = KEY, owner: bytes = OWNER) -> list[bytes]:
    """As a reader does it; what was opened before a fault is the fault's second argument."""
    opener = Opener(read_header(data, owner), key)
    at, last, found = read_header(data, owner).size, False, []
    try:
        while not last:
            head = data[at : at + FRAME_HEAD.size]
            size = size_of(head)
            records, last = opener.records(head, data[at + FRAME_HEAD.size : at + FRAME_HEAD.size + size])
            found.append(records)
            at += FRAME_HEAD.size + size
    except Unreadable as fault:
        raise Unreadable(str(fault), found) from None
    return found


def test_what_was_sealed_opens() -> None:
    data = written()
    assert opened(data) == list(PARTS) and read_header(data, OWNER) == HEAD
    assert not any(part and part in data for part in PARTS)


def test_a_segment_of_an_earlier_version_opens_and_has_no_proof() -> None:
    head = HEAD._replace(proof=b"")
    data = written(head=head)
    assert data[8] == 1 and opened(data) == list(PARTS) and read_header(data, OWNER) == head
    with pytest.raises(Unreadable):
        opened(data[:8] + b"\2" + data[9:])


def test_no_two_frames_are_alike_even_of_equal_records() -> None:
    sealer = Sealer(HEAD, KEY)
    assert len({sealer.frame(b"same", last=False) for _ in range(50)}) == 50


def test_a_changed_bit_anywhere_is_noticed() -> None:
    data, draw = written(), Random(seed := Random().randrange(1 << 32))
    for at in {*range(HEADER.size + 60), *(draw.randrange(len(data)) for _ in range(300))}:
        changed = data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]
        with contextlib.suppress(Unreadable):
            opened(changed)
            pytest.fail(f"a bit at {at} was not noticed, seed {seed}")


def test_every_cut_is_noticed_and_what_came_before_it_is_good() -> None:
    data = written()
    for cut in {*range(130), len(data) // 2, len(data) - 1}:
        with pytest.raises(Unreadable, match="truncated") as fault:
            opened(data[:cut])
        before = fault.value.args[1] if len(fault.value.args) > 1 else []
        assert before == list(PARTS)[: len(before)]


def test_frames_cannot_be_left_out_exchanged_or_moved() -> None:
    sealer = Sealer(HEAD, KEY)
    first, second, last = (sealer.frame(part, last=part == b"c") for part in (b"a", b"b", b"c"))
    assert opened(sealer.header + first + second + last) == [b"a", b"b", b"c"]
    other = Sealer(HEAD._replace(bucket=Bucket(16, 26_000_001)), KEY).header
    for shuffled in (
        sealer.header + second + first + last,
        sealer.header + first + last,
        other + first + second + last,
    ):
        with pytest.raises(Unreadable, match="corrupt"):
            opened(shuffled)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(Unreadable, match="corrupt"):
        opened(written(), OTHER_KEY)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (b"RSPR", "truncated"),
        (b"REDIS0011", "foreign"),
        (b"RSPRSEG1\3" + written()[9:], "foreign"),
        (written()[: HEADER.size + 31], "truncated"),
        (b"RSPRSEG1\2\x11" + written()[10:], "corrupt"),
        (written(head=HEAD._replace(owner=owner_of("respram", "blue"))), "foreign"),
        (written(head=HEAD._replace(owner=owner_of("green", "default"))), "foreign"),
        (written()[:10] + b"\xff" * 8 + written()[18:], "corrupt"),
    ],
)
def test_a_header_that_is_not_ours_says_why(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_header(data, OWNER)
