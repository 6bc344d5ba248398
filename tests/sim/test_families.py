"""Storms over collections: no member comes back or goes early. These seeds found one before decisions 0125, 0126
and 0248; 3059 ended with nodes that differ, before 0254.
"""

import pytest

from respram.sim import families
from tests import dear
from tests.engine.each import each_engine  # noqa: F401 (every test here runs on each engine)


@pytest.mark.parametrize("seed", dear.first(5, [0, 7, 71, 3059, 20, 43, 45, 54]))
def test_no_member_comes_back_or_goes_early_and_all_become_equal(seed: int) -> None:
    outcome = families.storm(seed)
    assert outcome.checks > 500 and outcome.puts > 30, f"families.storm({seed})"


def test_who_compares_what_is_shown_destroys_nothing_that_still_lives() -> None:
    """It asked as of three seconds later, and a member went early: seed 1058 on the pure engine."""
    outcome = families.storm(1058)
    assert outcome.checks > 500
