"""Counters on nodes that restart one by one: a decision is made on the newest acknowledged record, whoever makes it."""

from collections.abc import Callable

import pytest

from respram.sim import decisions, mutants
from respram.sim.checker import Violation
from respram.sim.decisions import ASK, FORWARD
from tests import dear


@pytest.mark.parametrize("way", [ASK, FORWARD])
@pytest.mark.parametrize("seed", dear.first(2, range(4)))
def test_each_decision_is_made_on_the_newest_acknowledged_record(way: str, seed: int) -> None:
    counted = decisions.count(seed, way)
    assert counted.restarts >= 3 and counted.decisions >= 60
    assert counted.refused < counted.decisions


def test_the_run_is_about_something() -> None:
    asked = [decisions.count(seed).while_joining for seed in range(3)]
    assert sum(asked) >= 10, "joining nodes decide, too"


@pytest.mark.parametrize("way", [ASK, FORWARD])
@pytest.mark.parametrize("seed", range(3))
def test_a_node_that_was_stopped_knows_it(way: str, seed: int) -> None:
    assert decisions.stopped(seed, way).decisions >= 12


def test_a_node_that_does_not_know_that_it_was_stopped_is_seen() -> None:
    """(Not with every seed: the key that is asked for must be one that the sleeper was the home of.)"""
    caught = 0
    with mutants.mutated("never-stopped"):
        for seed in range(6):
            try:
                decisions.stopped(seed, FORWARD)
            except Violation as violation:
                caught += "decided on" in str(violation)
    assert caught >= 2


@pytest.mark.parametrize("seed", dear.first(4, range(12)))
def test_what_one_survivor_has_heard_is_what_all_decide_by(seed: int) -> None:
    assert decisions.lagging(seed).decisions >= 6


@pytest.mark.parametrize("seed", dear.first(4, range(12)))
def test_a_home_that_does_not_know_yet_that_it_is_none_is_waited_for(seed: int) -> None:
    assert decisions.starved(seed).decisions >= 6


@pytest.mark.parametrize("trouble", [decisions.lagging, decisions.starved])
def test_a_home_that_asks_nobody_is_seen(trouble: Callable[[int], object]) -> None:
    caught = 0
    with mutants.mutated("no-takeover"):
        for seed in range(12):
            try:
                trouble(seed)
            except Violation as violation:
                caught += "decided on" in str(violation)
    assert caught >= 2, caught


BROKEN = [("unasked", ASK), ("silence-is-nil", ASK), ("ready-at-once", ASK)]


@pytest.mark.parametrize(("name", "way"), BROKEN)
def test_a_rule_that_is_broken_is_seen(name: str, way: str) -> None:
    with mutants.mutated(name), pytest.raises(Violation, match="decided on"):
        decisions.count(0, way)


def test_who_is_ready_at_once_still_compares_before_it_decides() -> None:
    """Two walls: a home that knows nothing yet is filled by its takeover. Without both it decides on nothing."""
    with mutants.mutated("ready-at-once"):
        assert decisions.count(0, FORWARD).decisions >= 60
        with mutants.mutated("no-takeover"), pytest.raises(Violation, match="decided on"):
            decisions.count(0, FORWARD)
