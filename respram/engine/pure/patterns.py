"""Patterns that channels are compared with.
The twin of native/patterns.c; what narrows the search down is in commands/patterns.py.
"""

from respram.glob import Glob, compile_glob, fits


class PurePatterns:
    def __init__(self) -> None:
        self._globs: dict[bytes, Glob] = {}

    def __len__(self) -> int:
        return len(self._globs)

    def add(self, pattern: bytes) -> None:
        self._globs.setdefault(pattern, compile_glob(pattern))

    def remove(self, pattern: bytes) -> None:
        del self._globs[pattern]

    def matching(self, text: bytes) -> list[bytes]:
        return [pattern for pattern, glob in self._globs.items() if fits(glob, text)]

    def keep(self, texts: list[bytes]) -> list[bytes]:
        return [text for text in texts if any(fits(glob, text) for glob in self._globs.values())]
