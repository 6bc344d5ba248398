"""The engines, and which one a node runs. Nothing is imported before one is asked for."""

from respram.engine.api import Engine, Settings
from respram.errors import ConfigError

NAMES = ("auto", "native", "pure")


def make(name: str, settings: Settings) -> Engine:
    """The engine of this name; "auto" is the native one wherever it was built, else the pure one.

    Whoever names an engine gets it or a ConfigError: never the other one without a word.
    """
    if name not in NAMES:
        raise ConfigError(f"engine: {name!r} is none of {', '.join(NAMES)}")
    if name != "pure":
        try:
            from respram.engine.native import NativeEngine
        except ImportError as error:
            if name == "native":
                raise ConfigError(
                    f"engine: the native engine cannot be loaded ({error}); build it with `pip install .` and a "
                    "C compiler, or choose --engine pure"
                ) from error
        else:
            return NativeEngine(settings)
    from respram.engine.pure import PureEngine

    return PureEngine(settings)
