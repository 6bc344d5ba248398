"""Lists in pieces, as their owners see them; Batch and AppendLog are tested by themselves."""

from typing import Any

import pytest

from respram.patterns import TooMany, Unreadable, pieces


def test_a_list_grows_by_rewriting_its_last_piece_until_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 8)
    lengths: list[int] = []
    last: list[object] = []
    written: dict[bytes, bytes] = {}
    for item in range(7):
        lengths, last, command = pieces.grown(b"key", lengths, last, item, 1000, "list")
        assert command[0] == "SET" and command[3:] == ("PX", 1000)
        assert isinstance(command[1], bytes) and isinstance(command[2], bytes)
        written[command[1]] = command[2]
    assert lengths == [3, 3, 1] and last == [6]
    assert written == {b"key:0": b"[0,1,2]", b"key:1": b"[3,4,5]", b"key:2": b"[6]"}
    lengths, last, command = pieces.grown(b"key", lengths, last, "longer than a piece", 1000, "list")
    assert lengths == [3, 3, 1, 1], "an item that is larger than a piece has one of its own"
    assert [each[1] for each in pieces.lengthened(b"key", lengths, 9)] == [b"key:%d" % number for number in range(4)]


def test_the_number_of_pieces_is_bounded_and_their_record_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1)
    monkeypatch.setattr(pieces, "PIECES_MAX", 2)
    with pytest.raises(TooMany):
        pieces.grown(b"key", [1, 1], [1], 2, 1000, "list")
    assert pieces.lengths_of([1, 2], "list") == [1, 2]
    every: tuple[Any, ...] = (None, {}, [0], [-1], ["1"], [1, 1, 1])
    for damaged in every:
        with pytest.raises(Unreadable):
            pieces.lengths_of(damaged, "list")
