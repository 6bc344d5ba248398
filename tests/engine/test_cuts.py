"""Two nodes are cut off from each other: one lets go of a whole collection, the other one adds to it later. What was
added stays, what is older than the letting go does not come back, and both nodes come to show the same.
"""

import struct
from collections.abc import Callable

import pytest

from respram.engine.api import MERGED, Engine
from respram.engine.replication import Cut as Within
from respram.record import HASH, SET, ZSET

from .conftest import ENGINES
from .rig import NOW, SETTINGS
from .test_families_model import everything

KINDS = pytest.mark.parametrize("kind", [HASH, SET, ZSET])
LIFE = 60_000
Way = Callable[["Cut"], None]


class Cut:
    """Both nodes have heard of `old`, and then of nothing."""

    def __init__(self, engine: str, kind: int, nodes: tuple[int, int] = (1, 2)) -> None:
        settings = SETTINGS._replace(outbox_bytes_max=8 << 20)
        self.kind, self.now = kind, NOW
        self.near, self.far = (ENGINES[engine](settings._replace(node=node)) for node in nodes)
        self.third = ENGINES[engine](settings._replace(node=77))
        for one in (self.near, self.far, self.third):
            one.track(7, NOW)
        self.add(self.near, b"old")
        self.add(self.near, b"other")
        self.pass_on(self.near, self.far, self.third)

    def add(self, engine: Engine, name: bytes, key: bytes = b"h", life: int = LIFE, kind: int = 0) -> None:
        self.now += 1
        kind = kind or self.kind
        if engine.peek(0, key, self.now) is None:
            engine.found(0, key, kind, self.now + life, False, self.now)
        value = {HASH: b"v", SET: b"", ZSET: struct.pack("<d", 1.5)}[kind]
        engine.put_member(0, key, name, value, None, self.now)

    def let_go(self, engine: Engine, key: bytes = b"h") -> None:
        self.now += 1
        assert engine.let_go(0, key, self.now, b"del")

    def take(self, engine: Engine, name: bytes) -> None:
        self.now += 1
        assert engine.let_go_member(0, b"h", name, self.now)

    def pass_on(self, giver: Engine, *takers: Engine) -> None:
        payload = giver.drain(1 << 20)
        for taker in takers:
            merged = taker.merge(payload, self.now)
            assert not merged.refused and not merged.malformed

    def shown(self, engine: Engine, key: bytes = b"h") -> set[bytes]:
        entry = engine.peek(0, key, self.now)
        found = {one.name for one in engine.members(0, key, 0, 100, self.now).members}
        assert (entry.length if entry is not None and entry.kind else 0) == len(found)
        return found

    def agree(self, *names: bytes) -> None:
        """All show the same, and a comparison finds no difference."""
        everyone = (self.near, self.far, self.third)
        for _ in range(2):
            for giver in everyone:
                for taker in everyone:
                    taker.merge(everything(giver, self.now), self.now)
        assert [self.shown(one) for one in everyone] == [set(names)] * 3
        later = self.now + 5_000
        assert len({one.digest(Within((later >> 10) - 1, 0), later) for one in everyone}) == 1
        self.now = later
        for one in everyone:
            while one.expire(self.now, 1 << 12):
                pass
        assert [self.shown(one) for one in everyone] == [set(names)] * 3


def near_first(cut: Cut) -> None:
    cut.pass_on(cut.near, cut.far, cut.third)
    cut.pass_on(cut.far, cut.near, cut.third)


def far_first(cut: Cut) -> None:
    cut.pass_on(cut.far, cut.near, cut.third)
    cut.pass_on(cut.near, cut.far, cut.third)


def compared(cut: Cut) -> None:
    """What is found by comparison has no key where it is a stub."""
    for engine in (cut.near, cut.far):
        engine.drain(1 << 20)
    for giver, taker in ((cut.near, cut.far), (cut.far, cut.near)):
        taker.merge(everything(giver, cut.now), cut.now)


def deleted(cut: Cut) -> None:
    cut.let_go(cut.near)
    cut.add(cut.far, b"new")


def deleted_after(cut: Cut) -> None:
    cut.add(cut.far, b"early")
    cut.let_go(cut.near)
    cut.add(cut.far, b"new")


def renamed(cut: Cut) -> None:
    for name in (b"old", b"other"):
        cut.add(cut.near, name, b"g")
    cut.let_go(cut.near)
    cut.add(cut.far, b"new")


def written_again(cut: Cut) -> None:
    """What was there counts as new where it is written again after the letting go."""
    cut.let_go(cut.near)
    cut.add(cut.far, b"old")


def begun_again(cut: Cut) -> None:
    cut.let_go(cut.near)
    cut.add(cut.near, b"own")
    cut.add(cut.far, b"new")


def begun_again_at_once(cut: Cut) -> None:
    cut.now += 1
    assert cut.near.let_go(0, b"h", cut.now, b"del")
    cut.near.found(0, b"h", cut.kind, cut.now + 20_000, False, cut.now)
    cut.near.put_member(0, b"h", b"own", b"" if cut.kind == SET else struct.pack("<d", 2.5), None, cut.now)
    cut.add(cut.far, b"new")


def deleted_twice(cut: Cut) -> None:
    cut.let_go(cut.near)
    cut.add(cut.far, b"early")
    cut.add(cut.near, b"own")
    cut.let_go(cut.near)
    cut.add(cut.far, b"new")


def deleted_on_both_sides(cut: Cut) -> None:
    cut.let_go(cut.near)
    cut.let_go(cut.far)
    cut.add(cut.far, b"new")


def deleted_last_on_the_far_side(cut: Cut) -> None:
    cut.add(cut.near, b"early")
    cut.let_go(cut.near)
    cut.add(cut.near, b"own")
    cut.let_go(cut.far)
    cut.add(cut.near, b"new")


def emptied(cut: Cut) -> None:
    """SPOP or ZPOPMIN until nothing is left, or HDEL of all fields: one member after another."""
    cut.take(cut.near, b"old")
    cut.add(cut.far, b"new")
    cut.take(cut.near, b"other")


def deleted_by_both_then_nothing(cut: Cut) -> None:
    cut.add(cut.far, b"early")
    cut.let_go(cut.far)
    cut.let_go(cut.near)


def taken_and_deleted(cut: Cut) -> None:
    cut.let_go(cut.near)
    cut.add(cut.far, b"new")
    cut.add(cut.far, b"gone")
    cut.take(cut.far, b"gone")


KEPT: dict[Way, set[bytes]] = {
    deleted: {b"new"},
    deleted_after: {b"new"},
    renamed: {b"new"},
    written_again: {b"old"},
    begun_again: {b"new", b"own"},
    begun_again_at_once: {b"new", b"own"},
    deleted_twice: {b"new"},
    deleted_on_both_sides: {b"new"},
    deleted_last_on_the_far_side: {b"new"},
    emptied: {b"new"},
    deleted_by_both_then_nothing: set(),
    taken_and_deleted: {b"new"},
}


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("nodes", [(1, 2), (2, 1)])
@pytest.mark.parametrize("heal", [near_first, far_first, compared])
@pytest.mark.parametrize("way", KEPT)
@KINDS
def test_what_is_added_after_a_letting_go_elsewhere_stays(
    name: str, nodes: tuple[int, int], heal: Way, way: Way, kind: int
) -> None:
    cut = Cut(name, kind, nodes)
    way(cut)
    heal(cut)
    cut.agree(*KEPT[way])
    if way is renamed:
        assert cut.shown(cut.far, b"g") == {b"old", b"other"}


@pytest.mark.parametrize("name", ENGINES)
@KINDS
def test_the_life_that_stays_is_that_of_the_side_that_added(name: str, kind: int) -> None:
    cut = Cut(name, kind)
    assert cut.far.retime(0, b"h", NOW + 2 * LIFE, False, cut.now, b"expire")
    deleted(cut)
    near_first(cut)
    cut.agree(b"new")
    for engine in (cut.near, cut.far, cut.third):
        entry = engine.peek(0, b"h", cut.now)
        assert entry is not None and entry.deadline_ms == NOW + 2 * LIFE
        assert engine.peek(0, b"h", NOW + 2 * LIFE) is None


@pytest.mark.parametrize("name", ENGINES)
@KINDS
def test_what_is_added_behind_the_end_that_another_side_gave_stays(name: str, kind: int) -> None:
    """EXPIRE made it shorter, and was not heard: what is older than that end goes with it."""
    cut = Cut(name, kind)
    cut.now += 1
    assert cut.near.retime(0, b"h", cut.now + 50, False, cut.now, b"expire")
    cut.add(cut.far, b"early")
    cut.now += 60
    while cut.near.expire(cut.now, 1 << 12):
        pass
    cut.add(cut.far, b"new")
    near_first(cut)
    cut.agree(b"new")


@pytest.mark.parametrize("name", ENGINES)
@KINDS
def test_a_string_or_another_kind_hides_what_was_added(name: str, kind: int) -> None:
    """The later word about the key itself decides what it is."""
    for other in (0, SET if kind == HASH else HASH):
        cut = Cut(name, kind)
        cut.let_go(cut.near)
        if other:
            cut.add(cut.near, b"own", kind=other)
        else:
            cut.near.store(0, b"h", b"string", cut.now + LIFE, False, cut.now, b"set")
        cut.add(cut.far, b"new")
        near_first(cut)
        for engine in (cut.near, cut.far, cut.third):
            entry = engine.peek(0, b"h", cut.now)
            assert entry is not None and entry.kind == other


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("nodes", [(1, 2), (2, 1)])
@KINDS
def test_whatever_was_said_behind_the_letting_go_outranks_what_stays(
    name: str, nodes: tuple[int, int], kind: int
) -> None:
    """The letting go itself is heard, and then in one millisecond a string was put: the string stays."""
    cut = Cut(name, kind, nodes)
    cut.add(cut.far, b"new")
    cut.far.drain(1 << 20)
    cut.now = NOW + 1  # a clock behind that of the other side
    assert cut.near.let_go(0, b"h", cut.now, b"del")
    cut.pass_on(cut.near, cut.far)
    assert cut.shown(cut.far) == {b"new"}
    cut.near.store(0, b"h", b"string", NOW + LIFE, False, cut.now, b"set")
    far_first(cut)
    for engine in (cut.near, cut.far, cut.third):
        entry = engine.peek(0, b"h", NOW + 10)
        assert entry is not None and not entry.kind


@pytest.mark.parametrize("name", ENGINES)
@KINDS
def test_the_collection_does_not_end_for_who_watches_it(name: str, kind: int) -> None:
    cut = Cut(name, kind)
    events: list[tuple[bytes, int, bytes]] = []
    deleted(cut)
    cut.far.observer = lambda event, db, key: events.append((event, db, key))
    cut.pass_on(cut.near, cut.far)
    assert (b"expired", 0, b"h") not in events and (MERGED, 0, b"h") in events


@pytest.mark.parametrize("name", ENGINES)
@KINDS
def test_a_node_that_holds_what_another_added_keeps_it_where_that_one_is_gone(name: str, kind: int) -> None:
    cut = Cut(name, kind)
    cut.let_go(cut.near)
    cut.add(cut.far, b"new")
    cut.pass_on(cut.far, cut.near, cut.third)
    cut.pass_on(cut.near, cut.third)
    cut.pass_on(cut.third, cut.near)
    assert cut.shown(cut.third) == cut.shown(cut.near) == {b"new"}


@KINDS
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lengthened", [False, True], ids=["", "and its life was made longer"])
@pytest.mark.parametrize("head_first", [True, False], ids=["the head comes second", "the mark comes second"])
def test_a_mark_of_an_end_outlives_what_it_clears(engine: str, kind: int, head_first: bool, lengthened: bool) -> None:
    """One side ends a collection that the other one has begun anew meanwhile, and clears what it hears of it. If the
    mark of that end is forgotten before the other side comes back, nobody can tell that side of it.
    """
    cut = Cut(engine, kind)
    near, far, third = cut.near, cut.far, cut.third
    cut.add(near, b"first", b"e", 10_000)
    assert near.retime(0, b"e", cut.now + 3_000, False, cut.now, b"")
    near.drain(1 << 20)
    cut.now += 1_000
    cut.add(far, b"mine", b"e", 100_000)
    cut.pass_on(far, third)
    cut.now += 3_000
    if lengthened:  # by who has not put that member, which keeps its stamp
        assert third.retime(0, b"e", cut.now + 200_000, False, cut.now, b"")
    while near.expire(cut.now, 1 << 12):
        pass
    assert [cut.shown(one, b"e") for one in (near, far, third)] == [set(), {b"mine"}, {b"mine"}]
    if head_first:  # the far side's head and member come to the mark, and then nobody else hears of it in time
        near.merge(everything(third, cut.now), cut.now)
    else:
        third.merge(everything(near, cut.now), cut.now)
    cut.now += 20_000
    for one in (near, far, third):
        one.drain(1 << 20)
        while one.expire(cut.now, 1 << 12):
            pass
    cut.agree(b"old", b"other")
    assert [cut.shown(one, b"e") for one in (near, far, third)] == [{b"mine"}] * 3
