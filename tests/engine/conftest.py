"""The `engine` fixture: every test of this folder that asks for it runs on every engine."""

from collections.abc import Callable

import pytest

from respram.engine.api import Engine, Settings
from respram.engine.pure import PureEngine

from .rig import SETTINGS

ENGINES: dict[str, Callable[[Settings], Engine]] = {"pure": PureEngine}


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param](SETTINGS)
