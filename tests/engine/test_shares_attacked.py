"""Attacks on counters of several nodes: what comes late, what peers say, and what a client can look at."""

import random
from dataclasses import replace
from itertools import permutations

import pytest

from respram.engine.pure.shares import Counter, Share, pack_counter
from respram.record import Record, pack

from .conftest import ENGINES
from .rig import NOW, opened
from .test_shares import Side, level, tell


def three(name: str) -> tuple[Side, Side, Side]:
    return Side(ENGINES[name], 11, False), Side(ENGINES[name], 22, False), Side(ENGINES[name], 33, False)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("late", [33, 5])
def test_a_join_of_what_was_known_when_it_was_let_go_brings_nothing_back(name: str, late: int) -> None:
    one, other = (Side(ENGINES[name], node, False) for node in (11, 22))
    third = Side(ENGINES[name], late, False)
    one.run(b"incrby", b"n", b"100", at=NOW)
    other.run(b"incrby", b"n", b"10", at=NOW)
    first, second = one.engine.drain(1 << 20), other.engine.drain(1 << 20)
    one.engine.merge(second, NOW + 1)
    assert one.value(NOW + 1) == b"110"
    one.engine.let_go(0, b"n", NOW + 2, b"del")
    gone = one.engine.drain(1 << 20)
    for payload in (first, second, gone):  # what the others said was longer under way
        third.engine.merge(payload, NOW + 5)
    other.engine.merge(gone, NOW + 5)
    sides = (one, other, third)
    level(sides, NOW + 5)
    assert [side.value(NOW + 5) for side in sides] == [None] * 3


@pytest.mark.parametrize("name", ENGINES)
def test_a_text_that_was_set_again_does_not_come_back(name: str) -> None:
    one, other, third = three(name)
    one.run(b"incrby", b"n", b"5")
    tell(one, other, third)
    one.run(b"set", b"n", b"old", at=NOW + 1)
    old = one.engine.drain(1 << 20)
    one.run(b"set", b"n", b"new", at=NOW + 2)
    new = one.engine.drain(1 << 20)
    other.run(b"incr", b"n", at=NOW + 3)
    count = other.engine.drain(1 << 20)
    for payload in (old, count, new):
        third.engine.merge(payload, NOW + 4)
    other.engine.merge(new, NOW + 4)
    one.engine.merge(count, NOW + 4)
    level((one, other, third), NOW + 5)
    assert {side.value(NOW + 5) for side in (one, other, third)} == {b"6"}  # the count is the latest of all


@pytest.mark.parametrize("name", ENGINES)
def test_a_text_that_was_let_go_does_not_come_back(name: str) -> None:
    one, other, third = three(name)
    one.run(b"incrby", b"n", b"5")
    tell(one, other, third)
    one.run(b"set", b"n", b"old", at=NOW + 1)
    old = one.engine.drain(1 << 20)
    one.engine.let_go(0, b"n", NOW + 2, b"del")
    new = one.engine.drain(1 << 20)
    other.run(b"incr", b"n", at=NOW + 3)
    count = other.engine.drain(1 << 20)
    for payload in (old, count, new):
        third.engine.merge(payload, NOW + 4)
    other.engine.merge(new, NOW + 4)
    one.engine.merge(count, NOW + 4)
    level((one, other, third), NOW + 5)
    assert b"old" not in {side.value(NOW + 5) for side in (one, other, third)}


def test_both_engines_read_a_peers_text_with_shares_alike() -> None:
    told = []
    for name in ENGINES:
        one, other, _ = three(name)
        one.run(b"incrby", b"n", b"5")
        tell(one, other)
        (mine,) = one.records()
        shares = pack_counter(Counter((0, 0), 4, 1, (Share(7, 1, 2),)))
        made = replace(mine, node=99, clock=mine.clock + 1, value=b"abc", shares=shares, seal=None)
        one.run(b"incr", b"n", at=NOW + 2)
        one.engine.merge(pack(made), NOW + 3)
        other.engine.merge(pack(made), NOW + 3)
        tell(one, other, at=NOW + 4)
        told.append(
            (
                one.value(NOW + 4),
                other.value(NOW + 4),
                one.run(b"get", b"n", at=NOW + 4),
                one.run(b"strlen", b"n", at=NOW + 4),
            )
        )
    assert told[0] == told[1], told


@pytest.mark.parametrize("sealed", [False, True])
def test_a_crowded_counter_is_read_by_every_command(sealed: bool) -> None:
    told = []
    for name in ENGINES:
        one, other = Side(ENGINES[name], 11, sealed), Side(ENGINES[name], 22, sealed)
        clock = (NOW << 16) + 5
        crowd = Counter((0, 0), 0, clock, tuple(Share(node, clock, 1) for node in range(100, 163)))
        made = Record(0, b"n", b"63", clock, 163, NOW + 50_000, shares=pack_counter(crowd))
        merged = one.engine.merge(pack(made), NOW)
        assert merged.new == 1
        seen = [
            one.run(*argv, at=NOW + number)
            for number, argv in enumerate(
                [
                    (b"get", b"n"), (b"incr", b"n"), (b"get", b"n"), (b"strlen", b"n"),
                    (b"getrange", b"n", b"0", b"-1"),
                    (b"bitcount", b"n"), (b"getbit", b"n", b"3"), (b"bitpos", b"n", b"1"), (b"mget", b"n", b"n"),
                    (b"copy", b"n", b"m"), (b"get", b"m"), (b"incr", b"m"), (b"pexpire", b"n", b"40000"),
                    (b"get", b"n"), (b"getex", b"n", b"px", b"30000"), (b"incr", b"n"),
                    (b"bitop", b"or", b"x", b"n", b"n"),
                    (b"get", b"x"), (b"set", b"n", b"9", b"ifeq", b"65"), (b"get", b"n"), (b"incr", b"n"),
                    (b"getset", b"n", b"3"), (b"incrby", b"n", b"7"), (b"setbit", b"n", b"7", b"1"), (b"get", b"n"),
                    (b"getdel", b"n"), (b"incr", b"n"), (b"rename", b"n", b"z"), (b"get", b"z"), (b"digest", b"z"),
                ]
            )
        ]  # fmt: skip
        tell(one, other, at=NOW + 100)
        level((one, other), NOW + 101)
        told.append((seen, [opened(record) for record in sorted(other.records(), key=lambda record: record.key)]))
    assert told[0] == told[1], told


@pytest.mark.parametrize("name", ENGINES)
def test_windows_of_increx_that_end_on_both_sides_of_a_cut_add_up(name: str) -> None:
    one, other, _ = three(name)
    words = (b"increx", b"n", b"px", b"1000", b"enx")
    one.run(*words)
    tell(one, other)
    one.run(*words, at=NOW + 1)
    other.run(*words, at=NOW + 2)
    for side in (one, other):
        side.engine.expire(NOW + 1500, 1000)
        for _ in range(10):
            side.run(*words, at=NOW + 1500)
    level((one, other), NOW + 1501)
    assert one.value(NOW + 1501) == other.value(NOW + 1501) == b"20"


def carry(now: int, sides: list[Side], under_way: list[tuple[Side, bytes]], rng: random.Random) -> None:
    """All that is said goes under way, and half of it arrives."""
    for side in sides:
        payload = side.engine.drain(1 << 20)
        under_way.extend((other, payload) for other in sides if payload and other is not side)
    rng.shuffle(under_way)
    for _ in range(len(under_way) // 2):
        other, payload = under_way.pop()
        other.engine.merge(payload, now)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("name", ENGINES)
def test_whatever_is_joined_of_what_is_under_way_the_last_to_let_go_is_heard(name: str, sealed: bool) -> None:
    for seed in range(60):
        rng, now = random.Random(seed), NOW
        sides = [Side(ENGINES[name], node, sealed) for node in rng.sample(range(1, 99), 4)]
        under_way: list[tuple[Side, bytes]] = []

        for _ in range(rng.randrange(3, 20)):
            now += rng.randrange(2)
            rng.choice(sides).run(*rng.choice([(b"incr", b"n"), (b"incrby", b"n", b"5")]), at=now)
            if rng.randrange(2):
                carry(now, sides, under_way, rng)
        for side in sides[1:]:  # the first knows all of it
            sides[0].engine.merge(side.engine.fetch(0, b"n", now), now)
        sides[0].engine.let_go(0, b"n", now + 1, b"del")
        for _ in range(20):
            now += 1
            carry(now, sides, under_way, rng)
        for side, other in [*permutations(sides, 2)] * 2:
            other.engine.merge(side.engine.fetch(0, b"n", now), now)
        assert [side.value(now) for side in sides] == [None] * 4, seed
