"""The cache of scripts by SHA1, bounded in number and bytes: the least recently used one is evicted.

Redis never lets one go. A client that sends EVALSHA is told NOSCRIPT and sends the text, as it would after a restart.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from respram.errors import ClientError
from respram.program import Program

FLAGS = frozenset({b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys"})
ENTRY_BYTES = 512  # overhead of an entry, approximately: the digest, the entry, a compiled function


@dataclass(slots=True)
class Cached:
    text: bytes
    flags: frozenset[bytes] | None  # None: without a `#!lua` line, everything is allowed
    body_at: int  # offset of the script after that line
    made: Any = None  # compiled by the runtime of that generation
    generation: int = -1
    shared_until_ms: int = 0  # when to check again for its text among the enclave's scripts
    program: Program | None = None  # what the engine runs instead, if the script was recognised
    handle: int = 0  # otherwise the number under which the engine has Lua run it; 0: it does not

    @property
    def size(self) -> int:
        return len(self.text) + ENTRY_BYTES

    @property
    def writes(self) -> bool:
        return self.flags is None or b"no-writes" not in self.flags

    @property
    def grows(self) -> bool:
        """Whether the script declares that it may grow memory, so that it needs free memory to run."""
        return self.flags is not None and not self.flags & {b"no-writes", b"allow-oom"}


class Cache:
    def __init__(self, entries_max: int, bytes_max: int, dropped: Callable[[bytes, Cached], None]) -> None:
        """`dropped` is called with each entry that leaves."""
        self._dropped = dropped
        self.entries_max = entries_max
        self.bytes_max = bytes_max
        self.bytes = 0
        self._entries: dict[bytes, Cached] = {}  # by digest, the most recently used one last

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._entries

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._entries)

    def find(self, digest: bytes) -> Cached | None:
        found = self._entries.get(digest)
        if found is not None and len(self._entries) > self.entries_max // 2:
            del self._entries[digest]  # the order matters only when there are many
            self._entries[digest] = found
        return found

    def add(self, digest: bytes, entry: Cached) -> None:
        old = self._entries.pop(digest, None)
        self.bytes += entry.size - (old.size if old is not None else 0)
        self._entries[digest] = entry
        while len(self._entries) > 1 and (len(self._entries) > self.entries_max or self.bytes > self.bytes_max):
            first = next(iter(self._entries))
            left = self._entries.pop(first)
            self.bytes -= left.size
            self._dropped(first, left)

    def clear(self) -> None:
        for digest, entry in self._entries.items():
            self._dropped(digest, entry)
        self._entries.clear()
        self.bytes = 0


def digest_of(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


def read_header(text: bytes) -> Cached:
    """The entry for a text, its `#!lua` line read. Raises what Redis says of a wrong one."""
    if not text.startswith(b"#!"):
        return Cached(text, None, 0)
    end = text.find(b"\n")
    if end < 0:
        raise ClientError(b"ERR Invalid script shebang")
    words = text[:end].split()
    if words[0] != b"#!lua":
        raise ClientError(b"ERR Unexpected engine in script shebang: %b" % words[0])
    flags: set[bytes] = set()
    for word in words[1:]:
        if not word.startswith(b"flags="):
            raise ClientError(b"ERR Unknown lua shebang option: %b" % word)
        for flag in word.removeprefix(b"flags=").split(b","):
            if flag not in FLAGS:
                raise ClientError(b"ERR Unexpected flag in script shebang: %b" % flag)
            flags.add(flag)
    return Cached(text, frozenset(flags), end)
