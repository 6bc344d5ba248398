"""Storms of cuts: what was added after a letting go elsewhere is there in the end, and nothing older. The first five
seeds lost members while whoever began a collection anew cleared what it had not shown (decision 0248).
"""

import pytest

from respram.sim import cuts
from tests import dear
from tests.engine.each import each_engine  # noqa: F401 (every test here runs on each engine)


@pytest.mark.parametrize("seed", dear.first(4, [18, 68, 69, 78, 87, 0, 1, 5]))
def test_what_is_newer_than_a_letting_go_is_there_in_the_end_and_nothing_else(seed: int) -> None:
    outcome = cuts.storm(seed)
    assert outcome.puts > 100 and outcome.let_go > 10, f"cuts.storm({seed})"


def test_the_storms_let_go_of_collections_to_which_others_add() -> None:
    assert sum(cuts.storm(seed).kept for seed in range(8)) > 5
