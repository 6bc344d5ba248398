"""The short form of a trial: nodes restart one after the other under a client that fails over and knows what every
answer must be.
"""

import pytest

from tests.engine.conftest import ENGINES
from tests.trials.restarts import roll


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_client_that_fails_over_is_never_told_anything_wrong(engine: str, kill: bool) -> None:
    count = roll(rounds=3, seed=7, engine=engine, kill=kill)
    assert count.incrs > 100 and count.locks > 30 and count.moves >= 3, str(count)
    assert not count.wrong, (str(count), count.examples)
