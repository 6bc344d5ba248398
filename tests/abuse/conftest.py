"""A node to be attacked, one for each test file and engine: what one attack breaks, the next one meets."""

from collections.abc import Iterator

import pytest

from tests.engine.conftest import ENGINES
from tests.live import LiveNode, running


@pytest.fixture(scope="module", params=list(ENGINES))
def node(request: pytest.FixtureRequest) -> Iterator[LiveNode]:
    with running(engine=request.param) as live:
        live.connect().ask(b"PING\r\n", 7)
        yield live
