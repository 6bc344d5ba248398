"""Long replies in slices: both engines tell the same members, each once, whatever is written between two slices."""

import random
import struct
from collections.abc import Iterator

import pytest

from respram.engine.api import Engine
from respram.engine.telling import OTHERS_MAX, TELL_NAMES, TELL_VALUES
from respram.record import HASH, SET, ZSET

from .conftest import ENGINES
from .rig import NOW, SETTINGS

FAR = NOW + 1_000_000
BOTH = pytest.mark.parametrize("name", ENGINES)


def filled(name: str, kind: int, count: int, key: bytes = b"k", step: int = 1, value: bytes = b"v%d") -> Engine:
    engine: Engine = ENGINES[name](SETTINGS)
    engine.track(7, NOW)
    add(engine, kind, count, key, step, value)
    return engine


def add(engine: Engine, kind: int, count: int, key: bytes, step: int = 1, value: bytes = b"v%d") -> None:
    engine.found(0, key, kind, FAR, False, NOW)
    for number in range(0, count * step, step):
        its = {HASH: value.replace(b"%d", b"%d" % number), SET: b"", ZSET: struct.pack("<d", number / 4)}[kind]
        engine.put_member(0, key, b"m%d" % number, its, None, NOW)


def bulks(encoded: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(encoded):
        line_end = encoded.index(b"\r\n", at)
        assert encoded[at : at + 1] == b"$"
        size = int(encoded[at + 1 : line_end])
        found.append(encoded[line_end + 2 : line_end + 2 + size])
        assert encoded[line_end + 2 + size : line_end + 4 + size] == b"\r\n"
        at = line_end + 4 + size
    return found


def slices(
    engine: Engine, parts: int, keys: tuple[bytes, ...] = (b"k",), others: tuple[bytes, ...] = (), among: bool = True
) -> Iterator[list[bytes]]:
    told = engine.begin_telling()
    for key in keys:
        cursor = 0
        while True:
            piece = engine.tell_members(told, 0, key, cursor, parts, list(others), among, NOW)
            found = bulks(piece.encoded)
            assert len(found) == piece.members * (2 if parts == TELL_NAMES | TELL_VALUES else 1)
            yield found
            cursor = piece.cursor
            if not cursor:
                break
    freed = 0
    while told.forget():
        freed += 1
    assert freed


def all_of(*arguments: object) -> list[bytes]:
    return [one for found in slices(*arguments) for one in found]  # type: ignore[arg-type]


@BOTH
@pytest.mark.parametrize("kind", [HASH, SET])
def test_each_member_is_told_once_with_what_is_asked_of_it(name: str, kind: int) -> None:
    engine = filled(name, kind, 3_000)
    names = {b"m%d" % number for number in range(3_000)}
    values = {b"v%d" % number for number in range(3_000)} if kind == HASH else {b""}
    found = all_of(engine, TELL_NAMES)
    assert len(found) == 3_000 and set(found) == names
    found = all_of(engine, TELL_VALUES)
    assert len(found) == 3_000 and set(found) == values
    found = all_of(engine, TELL_NAMES | TELL_VALUES)
    assert len(found) == 6_000 and set(found[::2]) == names and set(found[1::2]) == values
    if kind == HASH:
        assert all(name[1:] == value[1:] for name, value in zip(found[::2], found[1::2], strict=True))
    assert all_of(engine, TELL_NAMES, (b"missing",)) == []


@BOTH
def test_a_slice_is_short(name: str) -> None:
    engine = filled(name, HASH, 3_000)
    assert max(len(found) for found in slices(engine, TELL_NAMES)) <= 512
    engine = filled(name, HASH, 40, value=b"v" * 100_000)
    sizes = [sum(map(len, found)) for found in slices(engine, TELL_VALUES)]
    assert sum(sizes) == 40 * 100_000 and max(sizes) <= 400_000


@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_whoever_is_there_all_the_while_is_told_once(name: str, seed: int) -> None:
    rng = random.Random(seed)
    engine = filled(name, SET, 4_000)
    stay, told = {b"m%d" % number for number in range(4_000)}, list[bytes]()
    for found in slices(engine, TELL_NAMES):
        told += found
        for _ in range(40):
            gone = b"m%d" % rng.randrange(4_000)
            engine.let_go_member(0, b"k", gone, NOW)
            stay.discard(gone)
            if rng.random() < 0.3:
                engine.put_member(0, b"k", gone, b"", None, NOW)
            engine.put_member(0, b"k", b"new%d" % rng.randrange(10_000), b"", None, NOW)
    assert len(told) == len(set(told)) and stay <= set(told)


@BOTH
def test_a_collection_that_goes_between_two_slices_ends_the_reply(name: str) -> None:
    engine = filled(name, HASH, 3_000)
    told = slices(engine, TELL_NAMES)
    first = next(told)
    engine.let_go(0, b"k", NOW, b"del")
    assert first and [one for found in told for one in found] == []


@BOTH
def test_several_sets_are_united_compared_and_taken_apart(name: str) -> None:
    engine = filled(name, SET, 2_000)
    add(engine, SET, 1_000, b"two", step=2)
    add(engine, SET, 1_000, b"three", step=3)
    every = set(range(2_000))
    two, three = {2 * one for one in range(1_000)}, {3 * one for one in range(1_000)}

    def numbers(found: list[bytes]) -> set[int]:
        assert len(found) == len(set(found))
        return {int(one[1:]) for one in found}

    assert numbers(all_of(engine, TELL_NAMES, (b"k", b"two", b"three"))) == every | two | three
    assert numbers(all_of(engine, TELL_NAMES, (b"k",), (b"two", b"three"))) == every & two & three
    assert numbers(all_of(engine, TELL_NAMES, (b"k",), (b"two", b"three"), False)) == every - two - three
    assert numbers(all_of(engine, TELL_NAMES, (b"k",), (b"missing",))) == set()
    assert numbers(all_of(engine, TELL_NAMES, (b"k",), (b"missing",), False)) == every
    many = tuple(b"none%d" % number for number in range(OTHERS_MAX))
    assert numbers(all_of(engine, TELL_NAMES, (b"k",), many, False)) == every


@BOTH
@pytest.mark.parametrize("downwards", [False, True])
@pytest.mark.parametrize("proto", [2, 3])
def test_ranks_are_told_with_their_scores_and_without(name: str, downwards: bool, proto: int) -> None:
    engine = filled(name, ZSET, 1_500)
    for scores in (False, True):
        told, rank, found, members = engine.begin_telling(), 1_499 if downwards else 0, b"", 0
        while members < 1_500:
            piece = engine.tell_ranked(told, 0, b"k", rank, 1_500 - members, downwards, scores, proto, NOW)
            assert piece.last is not None and 0 < piece.members <= 512
            members, found = members + piece.members, found + piece.encoded
            rank = 1_500 - members if downwards else members - 1
            assert piece.last == (rank / 4, b"m%d" % rank)
            rank += -1 if downwards else 1
        order = range(1_499, -1, -1) if downwards else range(1_500)
        expected = b""
        for number in order:
            text, digits = b"m%d" % number, b"%.17g" % (number / 4)
            expected += b"*2\r\n" if scores and proto == 3 else b""
            expected += b"$%d\r\n%b\r\n" % (len(text), text)
            if scores:
                expected += b",%b\r\n" % digits if proto == 3 else b"$%d\r\n%b\r\n" % (len(digits), digits)
        assert found == expected
    assert engine.tell_ranked(told, 0, b"k", 1_500, 5, downwards, True, proto, NOW).last is None
    assert engine.tell_ranked(told, 0, b"k", 0, 0, downwards, True, proto, NOW).last is None
    assert engine.tell_ranked(told, 0, b"none", 0, 5, downwards, True, proto, NOW).last is None
