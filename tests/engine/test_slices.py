"""Collections of many members: an end elsewhere clears some and spares others, in slices between which clients are
served.

The writer's collection has ended there; the hearer had let go of it before, has begun it anew and was not heard yet.
Some of what lies in it is a third node's, which has written nothing again: that is cleared.
"""

import struct
from itertools import pairwise

import pytest

from respram.engine.api import Engine
from respram.record import HASH, SET, ZSET, unpack
from tests import dear

from .conftest import ENGINES
from .rig import NOW, SETTINGS
from .test_families_model import everything

SPARED, CLEARED, STEP = 1_500, 700, 64
END, LATER = NOW + 1_000, NOW + 1_100
KINDS = pytest.mark.parametrize("kind", [HASH, SET, ZSET])


def value(kind: int, number: int) -> bytes:
    return {HASH: b"v%d" % number, SET: b"", ZSET: struct.pack("<d", number)}[kind]


def put(engine: Engine, kind: int, name: bytes, number: int, now_ms: int, deadline_ms: int | None = None) -> None:
    engine.put_member(0, b"a", name, value(kind, number), deadline_ms, now_ms)


def begun_anew(name: str, kind: int) -> tuple[Engine, Engine, bytes]:
    """The hearer, another node that knows what it knows, and the mark of the end elsewhere."""
    settings = SETTINGS._replace(outbox_bytes_max=8 << 20)
    writer, hearer, third, other = (ENGINES[name](settings._replace(node=node)) for node in (1, 2, 3, 4))
    for engine in (writer, hearer, third, other):
        engine.track(7, NOW)
    writer.found(0, b"a", kind, END, False, NOW)
    put(writer, kind, b"old", 0, NOW, END + 1_000)
    hearer.merge(everything(writer, NOW), NOW)
    third.merge(everything(writer, NOW), NOW)
    third.found(0, b"a", kind, END + 50_000, False, NOW + 2)
    for number in range(CLEARED):
        put(third, kind, b"c%d" % number, number, NOW + 2)
    hearer.let_go(0, b"a", NOW + 1, b"")
    hearer.found(0, b"a", kind, END + 60_000, False, NOW + 5)
    for number in range(SPARED):
        put(hearer, kind, b"m%d" % number, number, NOW + 5)
    hearer.merge(everything(third, NOW + 6), NOW + 6)
    while hearer.expire(NOW + 6, 1 << 12):
        pass
    other.merge(everything(hearer, NOW + 6), NOW + 6)
    hearer.drain(1 << 30)
    finish(writer)
    return hearer, other, everything(writer, LATER)


def shown(engine: Engine) -> dict[bytes, bytes]:
    cursor, found = 0, dict[bytes, bytes]()
    while True:
        page = engine.members(0, b"a", cursor, 4_096, LATER)
        found |= {member.name: member.value for member in page.members}
        cursor = page.cursor
        if not cursor:
            return found


def spared(kind: int) -> dict[bytes, bytes]:
    return {b"m%d" % number: value(kind, number) for number in range(SPARED)}


def finish(engine: Engine) -> None:
    while engine.expire(LATER, STEP):
        pass


@pytest.mark.parametrize("name", ENGINES)
@KINDS
def test_an_end_elsewhere_spares_many_members_in_slices(name: str, kind: int) -> None:
    hearer, other, mark = begun_anew(name, kind)
    hearer.merge(mark, LATER)
    assert len(list(unpack(hearer.drain(1 << 30)))) < SPARED, "all in one go"
    seen = [len(shown(hearer))]
    for _ in range(10_000):
        assert spared(kind).items() <= shown(hearer).items(), "what it had put is seen all the time"
        if not hearer.expire(LATER, STEP):
            break
        seen.append(len(shown(hearer)))
    assert shown(hearer) == spared(kind)
    assert max(one - next_ for one, next_ in pairwise(seen)) <= STEP
    other.merge(mark, LATER)
    finish(other)
    assert shown(other) == {}, "the mark clears it, until it is written again"
    other.merge(everything(hearer, LATER), LATER)
    assert shown(other) == spared(kind)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("slices", dear.first(2, [1, 9, 0, 100]))
@KINDS
def test_who_is_asked_in_between_ends_with_the_same(name: str, kind: int, slices: int) -> None:
    """What is in the middle of it is dumped to another node, and written to, and let go of in part."""
    hearer, other, mark = begun_anew(name, kind)
    hearer.merge(mark, LATER)
    for _ in range(slices):
        hearer.expire(LATER, STEP)
    other.merge(everything(hearer, LATER), LATER)
    put(hearer, kind, b"m7", 77, LATER)
    put(hearer, kind, b"n", 5, LATER)
    hearer.let_go_member(0, b"a", b"m9", LATER)
    hearer.merge(mark, LATER)
    finish(hearer)
    expected = spared(kind) | {b"m7": value(kind, 77), b"n": value(kind, 5)}
    del expected[b"m9"]
    assert shown(hearer) == expected
    other.merge(everything(hearer, LATER), LATER)
    finish(other)
    assert shown(other) == expected


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("slices", dear.first(1, [1, 0, 9]))
@KINDS
def test_a_collection_let_go_of_in_between_is_gone(name: str, kind: int, slices: int) -> None:
    hearer, other, mark = begun_anew(name, kind)
    hearer.merge(mark, LATER)
    for _ in range(slices):
        hearer.expire(LATER, STEP)
    hearer.let_go(0, b"a", LATER, b"")
    assert shown(hearer) == {}
    hearer.found(0, b"a", kind, LATER + 9_000, False, LATER)
    assert shown(hearer) == {}
    put(hearer, kind, b"new", 1, LATER)
    finish(hearer)
    assert shown(hearer) == {b"new": value(kind, 1)}
    other.merge(everything(hearer, LATER), LATER)
    finish(other)
    assert shown(other) == {b"new": value(kind, 1)}


@pytest.mark.parametrize("name", ENGINES)
@KINDS
def test_a_longer_life_in_between_reaches_every_member(name: str, kind: int) -> None:
    """EXPIRE walks through the same members in slices of its own."""
    hearer, _other, mark = begun_anew(name, kind)
    hearer.merge(mark, LATER)
    hearer.expire(LATER, STEP)
    hearer.retime(0, b"a", LATER + 900_000, False, LATER, b"")
    finish(hearer)
    page = hearer.members(0, b"a", 0, 1 << 20, LATER).members
    assert {member.deadline_ms for member in page} == {LATER + 900_000}
    assert len(page) == SPARED
