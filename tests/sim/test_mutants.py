"""Deliberate mistakes are caught. A checker that passes them all would be worth nothing."""

from dataclasses import replace

import pytest

from respram.gossip.policy import Policy
from respram.sim import cuts, families, mutants, scenarios
from respram.sim.checker import Violation


@pytest.mark.parametrize(("name", "seeds"), [("no-shadow", (0, 1)), ("key-only", (9, 15))])
def test_storms_catch_it(name: str, seeds: tuple[int, ...]) -> None:
    caught = 0
    with mutants.mutated(name):
        for seed in seeds:
            try:
                scenarios.storm(seed, liveness=True)
            except Violation:
                caught += 1
                break
    assert caught


@pytest.mark.slow
def test_filters_without_a_salt_never_find_the_last_records() -> None:
    """With a rate of 0.4 a filter passes over two of five; afresh each round, or the same two for ever."""
    policy = replace(Policy(), filter_error_rate=0.4, small_filter_records=0)
    stuck = 0
    for seed in range(3):
        scenarios.repair_pair(seed, 300, 60, one_sided=False, policy=policy)
        with mutants.mutated("no-salt"):
            try:
                scenarios.repair_pair(seed, 300, 60, one_sided=False, policy=policy)
            except Violation:
                stuck += 1
    assert stuck >= 2


def test_a_storm_over_collections_catches_a_new_one_that_shows_members_of_the_old_one() -> None:
    with mutants.mutated("outlived"), pytest.raises(Violation, match="came back"):
        families.storm(7)


def test_a_storm_of_cuts_catches_a_node_that_leaves_newer_members_without_a_head() -> None:
    with mutants.mutated("headless"), pytest.raises(Violation, match="lacks"):
        cuts.storm(0)


def test_a_storm_over_collections_catches_a_store_that_forgets_what_it_let_go() -> None:
    with mutants.mutated("no-shadow"), pytest.raises(Violation, match="came back"):
        families.storm(9)


def test_a_mutant_is_gone_after_its_run() -> None:
    before = scenarios.storm(3).events
    with mutants.mutated("no-shadow"), pytest.raises(Violation):
        scenarios.storm(0)
    assert scenarios.storm(3).events == before
    with pytest.raises(ValueError, match="no mutant"), mutants.mutated("none"):
        pass
