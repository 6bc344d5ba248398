"""What a node says of the members that lately went: a peer that has not heard of it shows them no more."""

import random

import pytest

from respram.engine import make
from respram.engine.api import Engine
from respram.engine.replication import DEPARTED_MAX, Cut
from respram.record import HASH, SET, ZSET, unpack
from tests.engine.conftest import ENGINES
from tests.engine.test_stubs import DAY_MS, NOW, PEERED, SETTINGS, name

__all__ = ["name"]  # the fixture
KEY = b"key"
SCORE = b"\0" * 8
KINDS = (HASH, SET, ZSET)
CUT = Cut((NOW >> 10) + 100, 0)


def peer(name: str, node: int) -> Engine:
    engine = make(name, PEERED._replace(node=node))
    engine.track(7, NOW)
    return engine


def value_of(kind: int) -> bytes:
    return {HASH: b"v", SET: b"", ZSET: SCORE}[kind]


def add(engine: Engine, kind: int, *members: bytes, key: bytes = KEY, end_ms: int | None = None) -> None:
    if engine.peek(0, key, NOW) is None:
        engine.found(0, key, kind, NOW + DAY_MS, False, NOW)
    for member in members:
        engine.put_member(0, key, member, value_of(kind), end_ms, NOW)


def shown(engine: Engine, now_ms: int = NOW, key: bytes = KEY) -> set[bytes]:
    return {one.name for one in engine.members(0, key, 0, 10_000, now_ms).members}


def pushed(giver: Engine, *takers: Engine, now_ms: int = NOW) -> None:
    payload = giver.drain(1 << 30)
    assert payload
    for taker in takers:
        assert not taker.merge(payload, now_ms).refused


def stubs(engine: Engine, since: int = 0, now_ms: int = NOW, key: bytes = KEY) -> int:
    found = list(unpack(engine.departed(0, key, since, now_ms).payload))
    assert all(one.value is None and one.named for one in found)
    assert len({one.key for one in found}) == len(found), "each once"
    return len(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", ENGINES)
def test_who_heard_of_it_tells_a_third_that_did_not(name: str, other: str, kind: int) -> None:
    home, asked, third = peer(other, 1), peer(name, 2), peer(other, 3)
    add(home, kind, b"stays", b"goes", b"stays too")
    pushed(home, asked, third)
    assert home.let_go_member(0, KEY, b"goes", NOW + 1)
    pushed(home, asked, now_ms=NOW + 1)
    along = asked.fetch(0, KEY, NOW + 1)
    third.merge(along, NOW + 1)
    assert shown(third, NOW + 1) == {b"stays", b"goes", b"stays too"}, "what is there says nothing of what is not"
    found = asked.departed(0, KEY, 0, NOW + 1)
    assert third.merge(found.payload, NOW + 1).new == 1
    assert shown(third, NOW + 1) == shown(asked, NOW + 1) == {b"stays", b"stays too"}
    assert third.merge(found.payload, NOW + 1).new == 0
    home.drain(1 << 20)
    assert third.digest(CUT, NOW + 1) == asked.digest(CUT, NOW + 1) == home.digest(CUT, NOW + 1)


def test_so_does_who_let_go_itself(name: str) -> None:
    home, third = peer(name, 1), peer(name, 2)
    add(home, HASH, b"stays", b"goes")
    pushed(home, third)
    home.let_go_member(0, KEY, b"goes", NOW)
    third.merge(home.departed(0, KEY, 0, NOW).payload, NOW)
    assert shown(third) == {b"stays"}


def test_a_member_whose_end_was_made_earlier_is_told_of_once_it_has_ended(name: str) -> None:
    home, asked, third = peer(name, 1), peer(name, 2), peer(name, 3)
    add(home, HASH, b"stays", b"goes")
    pushed(home, asked, third)
    home.put_member(0, KEY, b"goes", b"v", NOW + 50, NOW)
    pushed(home, asked)
    assert stubs(asked) == 0
    late = NOW + 60
    assert stubs(asked, now_ms=late) == 1, "it is overdue, and ends now"
    assert shown(asked, late) == {b"stays"} and shown(third, late) == {b"stays", b"goes"}
    assert stubs(asked, now_ms=late) == 1
    third.merge(asked.departed(0, KEY, 0, late).payload, late)
    assert shown(third, late) == {b"stays"}
    while home.expire(late + 100, 1_000):
        pass
    assert stubs(home, now_ms=late + 100) == 1, "it ended unread"


def test_it_is_told_whoever_has_heard_of_it_by_name_alone(name: str) -> None:
    home, asked = peer(name, 1), peer(name, 2)
    add(home, SET, b"stays", b"goes")
    pushed(home, asked)
    home.let_go_member(0, KEY, b"goes", NOW)
    by_name = home.departed(0, KEY, 0, NOW).payload
    assert asked.merge(by_name, NOW).new == 1
    assert asked.departed(0, KEY, 0, NOW).payload == by_name


def test_a_stub_of_a_member_that_was_never_here_is_told_if_it_came_under_its_key(name: str) -> None:
    home, asked, third = peer(name, 1), peer(name, 2), peer(name, 3)
    add(home, SET, b"stays", b"goes")
    pushed(home, third)
    home.let_go_member(0, KEY, b"goes", NOW)
    pushed(home, asked)
    third.merge(asked.departed(0, KEY, 0, NOW).payload, NOW)
    assert shown(third) == {b"stays"}


def test_a_member_that_was_added_again_has_not_departed(name: str) -> None:
    engine = peer(name, 1)
    add(engine, ZSET, b"stays", b"m")
    engine.let_go_member(0, KEY, b"m", NOW)
    assert stubs(engine) == 1
    add(engine, ZSET, b"m")
    assert stubs(engine) == 0
    engine.let_go_member(0, KEY, b"m", NOW)
    assert stubs(engine) == 1, "its first stub is gone"


def test_what_was_told_is_not_told_again(name: str) -> None:
    engine = peer(name, 1)
    assert engine.departed(0, KEY, 0, NOW) == (b"", 0)
    add(engine, HASH, *(b"%d" % number for number in range(10)))
    for number in range(4):
        engine.let_go_member(0, KEY, b"%d" % number, NOW)
    found = engine.departed(0, KEY, 0, NOW)
    assert len(list(unpack(found.payload))) == 4
    assert engine.departed(0, KEY, found.cursor, NOW) == (b"", found.cursor)
    engine.let_go_member(0, KEY, b"4", NOW)
    assert stubs(engine, found.cursor) == 1 and stubs(engine) == 5
    assert stubs(engine, 1 << 62) == 0


def test_each_key_has_its_own(name: str) -> None:
    engine = peer(name, 1)
    keys = [b"key:%d" % number for number in range(300)]
    for key in keys:
        add(engine, SET, b"stays", b"a", b"b", key=key)
    for member in (b"a", b"b"):
        for key in keys:
            engine.let_go_member(0, key, member, NOW)
    assert [stubs(engine, key=key) for key in keys] == [2] * len(keys)
    assert engine.departed(1, keys[0], 0, NOW).payload == b"", "of another database"
    assert engine.departed(0, b"none", 0, NOW).payload == b""


def test_of_one_key_each_kind_is_told(name: str) -> None:
    """It was a set, which was let go of as a whole, and is a hash now: who has the set still has to hear of both."""
    engine = peer(name, 1)
    add(engine, SET, b"stays", b"goes")
    engine.let_go_member(0, KEY, b"goes", NOW)
    engine.let_go(0, KEY, NOW, b"del")
    add(engine, HASH, b"stays", b"goes")
    engine.let_go_member(0, KEY, b"goes", NOW)
    assert {one.db for one in unpack(engine.departed(0, KEY, 0, NOW).payload)} == {16, 32}


@pytest.mark.parametrize("length", [0, 200, 70_000])
def test_however_long_the_key_is(name: str, length: int) -> None:
    engine, key = peer(name, 1), b"k" * length
    add(engine, HASH, b"stays", b"goes" * 50, key=key)
    engine.let_go_member(0, key, b"goes" * 50, NOW)
    [one] = unpack(engine.departed(0, key, 0, NOW).payload)
    assert len(one.key) == 16


def test_it_is_bounded_in_number(name: str) -> None:
    engine, more = peer(name, 1), 100
    add(engine, SET, *(b"%d" % number for number in range(DEPARTED_MAX + more + 1)))
    before = engine.used_bytes()
    for number in range(DEPARTED_MAX + more):
        engine.let_go_member(0, KEY, b"%d" % number, NOW)
    assert stubs(engine) == DEPARTED_MAX
    assert engine.departed(0, KEY, 0, NOW).cursor == DEPARTED_MAX + more
    assert len(engine.departed(0, KEY, 0, NOW).payload) == DEPARTED_MAX * 58 < 1 << 18
    add(engine, SET, b"other", b"goes", key=b"another")
    engine.let_go_member(0, b"another", b"goes", NOW)
    assert (stubs(engine), stubs(engine, key=b"another")) == (DEPARTED_MAX - 1, 1)
    assert engine.used_bytes() < before + DEPARTED_MAX * 1024


def test_what_is_forgotten_by_its_end_is_not_told(name: str) -> None:
    engine = peer(name, 1)
    add(engine, HASH, b"stays")
    add(engine, HASH, b"goes", end_ms=NOW + 1_000)
    engine.let_go_member(0, KEY, b"goes", NOW)
    assert stubs(engine, now_ms=NOW + 999) == 1 and stubs(engine, now_ms=NOW + 1_000) == 0
    while engine.expire(NOW + 5_000, 1_000):
        pass
    assert stubs(engine, now_ms=NOW + 5_000) == 0


def test_what_a_whole_collection_takes_along_pushes_nothing_out(name: str) -> None:
    """A mark says it of all of them."""
    engine = peer(name, 1)
    add(engine, HASH, b"stays", b"goes", key=b"small")
    engine.let_go_member(0, b"small", b"goes", NOW)
    add(engine, HASH, *(b"%d" % number for number in range(2 * DEPARTED_MAX)))
    engine.let_go(0, KEY, NOW, b"del")
    while engine.expire(NOW, 1_000):
        pass
    assert engine.counters()["stubs"] > DEPARTED_MAX
    assert stubs(engine, key=b"small") == 1 and engine.departed(0, KEY, 0, NOW) == (b"", 1)
    assert list(unpack(engine.fetch(0, KEY, NOW))), "the stub of its head does"


def test_nor_do_members_that_end_in_time(name: str) -> None:
    engine = peer(name, 1)
    add(engine, HASH, b"stays")
    add(engine, HASH, *(b"%d" % number for number in range(50)), end_ms=NOW + 10)
    while engine.expire(NOW + 100, 1_000):
        pass
    assert shown(engine, NOW + 100) == {b"stays"}
    assert engine.departed(0, KEY, 0, NOW + 100) == (b"", 0), "they end everywhere, without a word"


def test_a_node_without_peers_keeps_none(name: str) -> None:
    for settings in (SETTINGS, PEERED):
        engine = make(name, settings)
        add(engine, HASH, b"stays", b"goes")
        engine.let_go_member(0, KEY, b"goes", NOW)
        assert engine.departed(0, KEY, 0, NOW) == (b"", 0)


def test_what_cannot_be_asked_is_refused(name: str) -> None:
    engine = peer(name, 1)
    for db in (-1, 1 << 30):
        with pytest.raises((AssertionError, IndexError, ValueError, OverflowError)):
            engine.departed(db, KEY, 0, NOW)


def test_both_engines_say_the_same() -> None:
    if len(ENGINES) < 2:
        pytest.skip("there is one engine")
    rng, engines, now_ms = random.Random(5), [peer(name, 1) for name in ENGINES], NOW
    told, cursors = 0, [0]
    for step in range(3_000):
        now_ms += rng.choice((0, 1, 5, 40))
        key, kind = b"key:%d" % rng.randrange(4), rng.choice(KINDS)
        member, what, own_ms = b"m%d" % rng.randrange(12), rng.randrange(10), rng.choice((None, now_ms + 200))
        for engine in engines:
            entry = engine.peek(0, key, now_ms)
            if entry is None:
                engine.found(0, key, kind, NOW + DAY_MS, False, now_ms)
            own = kind if entry is None else entry.kind
            if what < 5:
                engine.put_member(0, key, member, value_of(own), own_ms, now_ms)
            elif what < 9:
                engine.let_go_member(0, key, member, now_ms)
            elif step % 20 == 0:
                engine.let_go(0, key, now_ms, b"del")
            else:
                while engine.expire(now_ms, 1_000):
                    pass
        since = rng.choice(cursors)  # of what ends in one moment each engine has its own order
        one, other = (engine.departed(0, key, since, now_ms) for engine in engines)
        assert sorted(map(repr, unpack(one.payload))) == sorted(map(repr, unpack(other.payload))), step
        assert one.cursor == other.cursor
        cursors.append(one.cursor)
        told += one.payload != b""
    assert told > 300
