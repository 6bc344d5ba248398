"""A node for a whole test file, on each engine that this machine has."""

from collections.abc import Iterator

import pytest

from tests.engine.conftest import ENGINES
from tests.live import LiveNode, running


@pytest.fixture(scope="module", params=list(ENGINES))
def node(request: pytest.FixtureRequest) -> Iterator[LiveNode]:
    with running(engine=request.param) as live:
        yield live
