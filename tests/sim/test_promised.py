"""Every state of three members, within bounds: no stamp is promised twice, and what was decided is in what comes later.

The bounds are held by the numbers of states: a search that looks at fewer has left something out.
"""

import pytest

from respram.gossip.promises import Promises
from respram.sim import promised
from respram.sim.checker import Violation
from respram.sim.mutants import mutated
from respram.sim.promised import Bounds, search
from tests.dear import first

BOUNDS = [(Bounds(stamps=4, restarts=0), 19_784), (Bounds(stamps=3, decisions=1), 99_357)]
LARGER = [(Bounds(stamps=3), 325_879), (Bounds(stamps=4, decisions=1), 317_987), (Bounds(stamps=5, restarts=0), 49_850)]


@pytest.mark.parametrize(("bounds", "states"), first(1, BOUNDS))
def test_no_stamp_is_promised_twice_and_nothing_decided_is_lost(bounds: Bounds, states: int) -> None:
    searched = search(bounds)
    assert searched.states == states and searched.chosen > searched.states // 4, searched


@pytest.mark.slow
@pytest.mark.parametrize(("bounds", "states"), LARGER)
def test_nor_with_more_stamps_or_a_restart_between_two_decisions(bounds: Bounds, states: int) -> None:
    searched = search(bounds)
    assert searched.states == states and searched.chosen > searched.states // 4, searched


def test_a_promise_that_is_given_to_whoever_asks_is_found() -> None:
    with mutated("stores-only"), pytest.raises(Violation, match=r"stamp . is promised twice: 0 begins reign 0"):
        search(Bounds(restarts=0))


def test_a_member_that_votes_as_soon_as_it_is_started_again_is_found() -> None:
    with pytest.raises(Violation, match="is started again"):
        search(Bounds(stamps=3, suffrage=False))


def test_a_bar_that_does_not_say_what_was_promised_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Promises, "bar", lambda promises: 0)
    with pytest.raises(Violation, match="votes again"):
        search(Bounds(stamps=3))


def test_a_search_that_is_too_large_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promised, "STATES_MAX", 50)
    with pytest.raises(Violation, match="more than 50"):
        search(Bounds())


def test_the_command_says_how_much_was_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert promised.main(["--reigns", "1", "--restarts", "0"]) == 0
    assert "states=" in capsys.readouterr().out
