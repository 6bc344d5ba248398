"""The two engines and the choice between them."""

from respram.engine.api import Engine, Settings
from respram.engine.pure import PureEngine


def make(name: str, settings: Settings) -> Engine:
    return PureEngine(settings)
