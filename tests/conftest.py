"""For all tests: generated ones say how much they want, not how fast, and times are judged only where that was asked
for.

On a machine with other work, and under the sanitizers, ten inputs may well take longer than Hypothesis thinks healthy.
It called a test of the native engine a failure for that.
"""

import gc

import pytest
from hypothesis import HealthCheck, settings

from tests import dear, timing
from tests.clients import give_patience
from tests.live import SOON_S

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
give_patience(SOON_S)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--timed", action="store_true", help="hold servers to times: for a machine with nothing else to do"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Also where pyproject.toml is not found: a page of the docs runs some tests from a folder of its own.
    config.addinivalue_line("markers", "slow: takes long, or says again what another test says")
    config.addinivalue_line("markers", "dear: is slow for what it costs alone (tests/dear.txt)")
    timing.JUDGED = config.getoption("--timed")


def pytest_collection(session: pytest.Session) -> None:
    """All that is made while tests are collected lives until the end: the collector would look through it again and
    again, for half of the time that this takes each process.
    """
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is slow
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What says the same twice is said once in `make test`, and what costs most is not said there. Without --timed
    nothing is judged by a clock.
    """
    for item in items:
        if dear.is_repeated(item):
            item.add_marker(pytest.mark.slow)
        elif item.nodeid in dear.named():
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.dear)
    if config.getoption("--timed"):
        return
    left_out = [item for item in items if item.get_closest_marker("timing")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
