"""The `engine` fixture: every test of this folder that asks for it runs on every engine, sealing and not.

A native engine that was not built fails these tests rather than leaving them out; whoever has no
compiler says so with RESPRAM_PURE_ONLY=1.
"""

import os
from collections.abc import Callable
from functools import partial

import pytest

from respram.engine import make
from respram.engine.api import Engine, Settings

from .rig import RING, SETTINGS

PURE_ONLY = os.environ.get("RESPRAM_PURE_ONLY") == "1"
NAMES = ("pure",) if PURE_ONLY else ("pure", "native")
ENGINES: dict[str, Callable[[Settings], Engine]] = {name: partial(make, name) for name in NAMES}


@pytest.fixture(params=[*ENGINES, *(f"{name}-sealed" for name in ENGINES)])
def engine(request: pytest.FixtureRequest) -> Engine:
    name, _, sealed = request.param.partition("-")
    made = ENGINES[name](SETTINGS)
    if sealed:
        made.use_seals(RING, True)
    return made
