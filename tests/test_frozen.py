"""Equal and hashed by its fields, without a dictionary; and made without a call for each field."""

import dataclasses

from respram.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    one: int
    two: bytes = b""


@dataclass(slots=True)
class Open:
    one: int


def test_it_is_equal_and_hashed_by_its_fields() -> None:
    assert Pair(1) == Pair(1, b"") != Pair(1, b"x")
    assert len({Pair(1), Pair(1), Pair(2)}) == 2
    assert dataclasses.replace(Pair(1), two=b"y") == Pair(1, b"y")
    assert repr(Pair(1)) == "Pair(one=1, two=b'')"


def test_it_has_no_dictionary_and_sets_fields_plainly() -> None:
    assert not hasattr(Pair(1), "__dict__")
    assert Pair.__setattr__ is object.__setattr__, "a frozen class has its own, which costs a call for each field"


def test_what_may_change_has_no_hash() -> None:
    one = Open(1)
    one.one = 2
    assert one == Open(2) and Open.__hash__ is None
