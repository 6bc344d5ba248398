"""What clients are told could have been said by one register a key; where it could not, the checker says so."""

import pytest

from respram.sim import mutants
from respram.sim.histories import CUTS, FRAMES, KILLS, PAUSES, SHIFTS, STAYS, TROUBLES, Told, play


@pytest.mark.slow
@pytest.mark.parametrize("trouble", STAYS)
def test_every_history_is_in_order_while_the_members_stay_or_go_in_order(trouble: str) -> None:
    for seed in range(2):
        _, told = play(seed, trouble)
        assert told.histories == 6 and told.operations > 300, told
        assert told.operations > 20 * told.unknown and (trouble == FRAMES or told.troubles >= 3), told
        assert not told.disordered, (seed, told)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [KILLS, PAUSES])
def test_a_node_that_dies_or_stands_still_disorders_few_histories(trouble: str) -> None:
    total = Told()
    for seed in range(3):
        total.add(play(seed, trouble)[1])
    assert total.operations > 600 and total.troubles >= 6, total
    assert total.disordered * 3 <= total.histories, total


def test_two_sides_of_a_cut_are_seen_to_disagree() -> None:
    """So that nobody takes the silence of the checker for a proof: what is documented not to hold does not."""
    _, told = play(0, CUTS)
    assert told.disordered and told.late, told


BROKEN = [
    ("everybody-home", FRAMES),
    ("runs-again", FRAMES),
    ("never-stopped", PAUSES),
]  # the others are for tests/sim/test_grants.py


@pytest.mark.slow
@pytest.mark.parametrize(("name", "trouble"), BROKEN)
def test_a_rule_that_is_broken_disorders_histories(name: str, trouble: str) -> None:
    disordered = right = 0
    for seed in range(6):
        right += play(seed, trouble)[1].disordered
        with mutants.mutated(name):
            disordered += play(seed, trouble)[1].disordered
        if disordered > right + 1:
            break
    assert disordered > right


@pytest.mark.slow
@pytest.mark.parametrize("trouble", STAYS)
def test_more_histories_are_in_order(trouble: str) -> None:
    for seed in range(100, 115):
        assert not play(seed, trouble)[1].disordered, seed


# -- a majority -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("trouble", [CUTS, SHIFTS])
def test_what_a_majority_decides_is_in_order_whatever_happens(trouble: str) -> None:
    _, told = play(1, trouble, majority=True)
    assert told.histories == 6 and told.operations > 50 and told.troubles, told
    assert not told.disordered, told


@pytest.mark.slow
@pytest.mark.parametrize("duels", [False, True])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_more_of_what_a_majority_decides_is_in_order(trouble: str, duels: bool) -> None:
    """In duels every node takes itself for the home of all slots: homes make decisions cheap, and not right."""
    total = Told()
    for seed in range(200, 206):
        _, told = play(seed, trouble, majority=True, duels=duels)
        assert not told.disordered, (seed, told)
        total.add(told)
    assert total.operations > 600 and total.operations > 5 * total.unknown and total.undecided < 4, total


@pytest.mark.slow
def test_five_members_lose_two() -> None:
    for seed in range(3):
        _, told = play(seed, SHIFTS, majority=True, nodes=5)
        assert not told.disordered and told.operations > 100, (seed, told)


PLANTED = [
    ("stores-only", FRAMES),
    ("accepts-below", FRAMES),
    ("same-number", FRAMES),
    ("unread", CUTS),
    ("unrounded", CUTS),
    ("forgets", SHIFTS),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "trouble"), PLANTED)
def test_a_rule_of_majorities_that_is_broken_disorders_histories(name: str, trouble: str) -> None:
    disordered = 0
    for seed in range(10):
        with mutants.mutated(name):
            disordered += play(seed, trouble, majority=True, duels=True)[1].disordered
        if disordered:
            break
    assert disordered
