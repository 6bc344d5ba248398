"""Homes: every node makes the same map by itself, a change moves its share alone, and who gains slots waits a moment.
"""

from dataclasses import replace
from itertools import pairwise

from respram.gossip.homes import BLOCK, HOMES_MAX, NOBODY, Map, rank
from respram.gossip.members import DEAD, SUSPECT
from respram.gossip.policy import Policy
from respram.slots import SLOTS

from .rig import ME, Bench, member


def made(*numbers: int, weight: int = 1) -> Map:
    found = Map()
    found.change(dict.fromkeys(numbers, weight))
    return found


def test_the_map_is_pinned() -> None:
    """Nodes of different builds must agree about it."""
    found = made(5, 7, 9)
    assert found.owner[0:80:16].tolist() == [7, 7, 9, 9, 7] and len(set(found.owner[:16])) == 1
    assert [found.owner.count(number) for number in (5, 7, 9)] == [5616, 5568, 5200]


def test_the_order_of_coming_makes_no_difference() -> None:
    assert made(1, 2, 3).owner == made(3, 1, 2).owner
    there = made(1, 2, 3, 4)
    there.change(dict.fromkeys((1, 2, 4), 1))
    assert there.owner == made(4, 2, 1).owner
    there.change(dict.fromkeys((1, 2, 3, 4), 1))
    assert there.owner == made(1, 2, 3, 4).owner
    there.change({})
    assert set(there.owner) == {NOBODY}


def test_a_member_that_goes_moves_its_own_share_alone() -> None:
    before, after = made(1, 2, 3), made(1, 3)
    moved = [slot for slot in range(SLOTS) if before.owner[slot] != after.owner[slot]]
    assert moved == [slot for slot in range(SLOTS) if before.owner[slot] == 2]
    assert SLOTS * 0.28 < len(moved) < SLOTS * 0.39


def test_a_member_of_twice_the_weight_gets_twice_the_slots() -> None:
    found = Map()
    found.change({1: 1, 2: 2, 3: 1})
    assert SLOTS * 0.44 < found.owner.count(2) < SLOTS * 0.56


def test_a_weight_that_changes_moves_slots_to_or_from_its_member_alone() -> None:
    found = made(1, 2, 3)
    before = found.owner
    assert found.change({1: 1, 2: 3, 3: 1})
    moved = {(was, now) for was, now in zip(before, found.owner, strict=True) if was != now}
    assert moved == {(1, 2), (3, 2)} and before is not found.owner
    assert found.change({1: 1, 2: 1, 3: 1}) and found.owner == before


def test_the_weight_is_the_members_own_word() -> None:
    bench = Bench()
    bench.meet(1, member(0x200, weight=3))
    assert bench.core.homes.map.members == {ME: 1, 0x200: 3}
    bench.take(bench.core.introduce([replace(bench.core.book[0x200], weight=1)], bench.now))  # no newer incarnation
    assert bench.core.homes.map.members == {ME: 1, 0x200: 3}
    bench.take(bench.core.introduce([replace(bench.core.book[0x200], weight=2, incarnation=9)], bench.now))
    assert bench.core.homes.map.members == {ME: 1, 0x200: 2}


def test_where_others_vote_a_member_without_a_vote_is_no_home() -> None:
    bench = Bench(Policy(enclave_size=3))
    homes = bench.core.homes
    assert homes.map.members == {ME: 1}, "nobody votes: clients are told of whoever is there"
    bench.meet(1, member(0x200, votes=False))
    assert set(homes.map.members) == {ME, 0x200}
    bench.take(bench.core.introduce([replace(bench.core.book[0x200], votes=True, incarnation=9)], bench.now))
    assert set(homes.map.members) == {0x200}
    bench.core.suffrage._begin("a test")
    homes.refresh()
    assert set(homes.map.members) == {ME, 0x200} and bench.core.me.votes


def test_only_who_is_ready_and_not_suspected_is_a_home() -> None:
    bench = Bench()
    homes = bench.core.homes
    assert homes.slots_here() == SLOTS and homes.home_of(0) == ME
    bench.meet(1, member(0x200))
    bench.meet(2, member(0x300, ready=False))
    assert set(homes.map.members) == {ME, 0x200}
    suspected = replace(bench.core.book[0x200], status=SUSPECT)
    bench.take(bench.core.introduce([suspected], bench.now))
    assert set(homes.map.members) == {ME}
    bench.take(bench.core.introduce([replace(suspected, incarnation=suspected.incarnation + 1, status=0)], bench.now))
    assert set(homes.map.members) == {ME, 0x200}
    bench.take(bench.core.introduce([replace(bench.core.book[0x200], status=DEAD)], bench.now))
    assert homes.slots_here() == SLOTS


def test_a_node_that_joins_or_stops_has_no_slots() -> None:
    bench = Bench(roots=[b"root:7000"])
    homes = bench.core.homes
    assert homes.home_of(0) == NOBODY
    bench.meet(1, member(0x200))
    assert homes.slots_here() == 0 and homes.home_of(0) == 0x200
    ready = Bench()
    ready.meet(1, member(0x200))
    assert 0 < ready.core.homes.slots_here() < SLOTS
    ready.take(ready.core.hand_over(ready.now))
    assert ready.core.homes.slots_here() == 0 and not ready.core.me.ready


def test_slots_that_have_just_come_wait_and_those_that_were_here_do_not() -> None:
    bench = Bench()
    homes = bench.core.homes
    assert all(map(homes.is_settled, range(SLOTS))), "nobody else can have decided"
    bench.meet(1, member(0x200))
    stayed, came = (next(slot for slot in range(SLOTS) if homes.is_here(slot) is here) for here in (True, False))
    bench.take(bench.core.introduce([replace(bench.core.book[0x200], status=DEAD)], bench.now))
    assert homes.is_here(came) and homes.is_settled(stayed) and not homes.is_settled(came)
    bench.wait(bench.core.policy.settle_ms + 1)
    assert homes.is_settled(came)


def test_a_view_is_told_in_ranges() -> None:
    bench = Bench()
    assert bench.core.homes.ranges() == [(0, SLOTS - 1, ME)]
    bench.meet(1, member(0x200))
    ranges = bench.core.homes.ranges()
    assert ranges[0][0] == 0 and ranges[-1][1] == SLOTS - 1 and 256 < len(ranges) <= SLOTS // BLOCK
    assert all(before[1] + 1 == after[0] and before[2] != after[2] for before, after in pairwise(ranges))


def test_the_number_of_homes_is_bounded_and_all_leave_out_the_same() -> None:
    bench = Bench()
    numbers = [0x1000 + number for number in range(HOMES_MAX + 20)]
    for link, number in enumerate(numbers, 1):
        bench.meet(link, member(number))
    assert set(bench.core.homes.map.members) == set(sorted([ME, *numbers], key=rank)[:HOMES_MAX])


def test_nothing_is_made_anew_where_nothing_has_changed() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    version, owner = bench.core.homes.version, bench.core.homes.map.owner
    bench.wait(400)
    assert bench.core.homes.version == version and bench.core.homes.map.owner is owner
