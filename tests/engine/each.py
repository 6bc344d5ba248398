"""For the tests of peers: whoever imports `each_engine` runs every test of the module or folder on each engine: on the
native one in `make test`, on the pure one in `make test-slow` (decision 0212).
"""

import pytest

from respram.sim import world

from .conftest import ENGINES


@pytest.fixture(autouse=True, params=list(ENGINES))
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setattr(world, "ENGINE", name)
    return name
