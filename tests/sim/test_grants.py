"""Races at all nodes at once: one is granted a name, no number is given twice, and broken rules are seen."""

import pytest

from respram.sim import grants, mutants
from respram.sim.checker import Violation


@pytest.mark.parametrize("seed", range(3))
def test_while_the_members_stay_nothing_is_granted_twice_whatever_the_network_does(seed: int) -> None:
    raced = grants.race(seed, changes=False)
    assert raced.answered > raced.asked * 0.95 and raced.away > 50 and raced.granted > 10


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_while_members_come_and_go_in_order_nothing_is_granted_twice(seed: int) -> None:
    raced = grants.race(seed, changes=True)
    assert raced.answered > raced.asked * 0.95 and raced.joined >= 2 and raced.stopped >= 2


@pytest.mark.slow
@pytest.mark.parametrize("changes", [False, True])
def test_many_races_grant_nothing_twice(changes: bool) -> None:
    for seed in range(100, 140):
        grants.race(seed, changes)


BROKEN = [
    ("everybody-home", False, (0,)),
    ("runs-again", False, (0,)),
    ("unmerged", False, (0,)),
    ("unheard", False, (1, 3, 5)),
    ("no-settling", True, (36, 31)),
    ("any-home", True, (3, 6, 2)),
]


@pytest.mark.parametrize(("name", "changes", "seeds"), BROKEN)
def test_a_rule_that_is_broken_is_seen(name: str, changes: bool, seeds: tuple[int, ...]) -> None:
    caught = 0
    with mutants.mutated(name):
        for seed in seeds:
            try:
                grants.race(seed, changes)
            except Violation:
                caught += 1
                break
    assert caught
