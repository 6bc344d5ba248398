"""The native engine: a C11 core and its translation to Python. Importing it fails where it is not built."""

from respram.engine.native._native import Cipher, NativeEngine, NativeSession, library, matches

__all__ = ["Cipher", "NativeEngine", "NativeSession", "library", "matches"]
