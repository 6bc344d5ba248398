"""The `engine` fixture: every test of this folder that asks for it runs on every engine."""

import pytest

from respram.engine.api import Engine
from respram.engine.pure import PureEngine

from .rig import SETTINGS


@pytest.fixture(params=["pure"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return PureEngine(SETTINGS)
