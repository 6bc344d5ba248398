"""Chooses the engine of a node. No engine is imported before it is needed."""

from typing import Protocol

from respram.engine.api import Engine, Settings
from respram.errors import ConfigError

NAMES = ("auto", "native", "pure")


def make(name: str, settings: Settings) -> Engine:
    """The engine of this name; "auto" is the native one wherever it was built, else the pure one.

    An engine that is named is returned, or ConfigError is raised; it is never replaced silently.
    """
    if name not in NAMES:
        raise ConfigError(f"engine: {name!r} is not one of {', '.join(NAMES)}")
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


class OwnCipher(Protocol):
    """AES-256 under one key, as an engine runs it without `cryptography`; `native/_native.pyi` says what the methods
    do.
    """

    def __init__(self, key: bytes, by_gcm: bool) -> None: ...
    def run_into(self, sealer: int, position: int, value: bytes, out: bytearray) -> None: ...


def own_cipher(name: str) -> type[OwnCipher] | None:
    """The cipher of the engine of this name, if it is not `cryptography`."""
    if name == "pure":
        return None
    try:
        from respram.engine.native import Cipher, library
    except ImportError:
        return None
    return Cipher if library() is not None else None
