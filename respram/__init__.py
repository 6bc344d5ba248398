"""respram: a server that speaks the Redis protocol and forgets on schedule. The version lives here.

`Server`, `AsyncServer` and `Enclave` (respram/embedded) can be had from here, too, and are imported when asked for:
whoever wants the version needs no more. The stub beside this file has their types.
"""

from importlib import import_module

__version__ = "0.2.0"
__all__ = ["AsyncServer", "Enclave", "Server", "__version__"]


def __getattr__(name: str) -> object:
    if name in ("AsyncServer", "Enclave", "Server"):
        return getattr(import_module("respram.embedded"), name)
    raise AttributeError(f"module 'respram' has no attribute {name!r}")
