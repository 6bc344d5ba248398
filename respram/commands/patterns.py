"""The patterns that are subscribed to on a node: which of them match a channel, and how many there may be.

A pattern is filed under its head, the bytes before its first wildcard, up to HEAD_BYTES_MAX of them. A channel is
compared with the patterns of its own beginnings only, at most one set for each length; there each was compiled once,
when it came, and the engine compares them. 10,000 patterns without any head take 0.3 to 1 ms a message (native).

What comparing may cost is bounded where a pattern comes. A pattern with two stars or more looks for its middle pieces
in the whole channel: plain pieces in the time of the channel, those with `?` or a class in that times their length. So
it counts for one, or for its elements, and the sum of these is limited for each client and for the node. A channel
whose name is so long that the sum times its length is more than STEPS_MAX is not compared with such patterns at all:
PUBLISH says so.
"""

from collections.abc import Callable

from respram.engine.api import Patterns

HEAD_BYTES_MAX = 32  # length of a head: a message is looked up once for each length
# Of one pattern: one of 64 KiB would take as much time for each message as thousands of others.
PATTERN_BYTES_MAX = 1_024
SEARCHES_MAX = 32_768  # of the node, in total: see above
CLIENT_SEARCHES_MAX = 10_000  # of one client
NODE_PATTERNS_MAX = 100_000  # of the node, each distinct pattern once; each takes 10 to 100 ns if none has a head
STEPS_MAX = 32 << 20  # about 10 ms
SPECIAL = b"*?[\\"


def head_of(pattern: bytes) -> bytes:
    """The bytes with which every match of the pattern begins."""
    for at, byte in enumerate(pattern[:HEAD_BYTES_MAX]):
        if byte in SPECIAL:
            return pattern[:at]
    return pattern[:HEAD_BYTES_MAX]


def searches(pattern: bytes) -> int:
    """How much a pattern counts against the bound. (A backslash may make it more than necessary, but never less.)"""
    first, last = pattern.find(b"*"), pattern.rfind(b"*")
    if first == last or not pattern[first:last].strip(b"*"):
        return 0
    return len(pattern) if b"?" in pattern or b"[" in pattern else 1


def held_bytes(pattern: bytes) -> int:
    """Bytes of the compiled pattern."""
    return 3 * len(pattern) + 40 * pattern.count(b"[") + 100


class PatternIndex:
    def __init__(self, make: Callable[[], Patterns]) -> None:
        self._make = make
        self._by_head: dict[int, dict[bytes, Patterns]] = {}  # head length to head to patterns
        self._searching: Patterns = make()  # patterns with a cost; skipped for channels that are too long
        self.count = 0
        self.searches = 0

    def add(self, pattern: bytes) -> None:
        cost = searches(pattern)
        self.count += 1
        self.searches += cost
        if cost:
            self._searching.add(pattern)
            return
        head = head_of(pattern)
        heads = self._by_head.setdefault(len(head), {})
        if head not in heads:
            heads[head] = self._make()
        heads[head].add(pattern)

    def remove(self, pattern: bytes) -> None:
        cost = searches(pattern)
        self.count -= 1
        self.searches -= cost
        if cost:
            self._searching.remove(pattern)
            return
        head = head_of(pattern)
        heads = self._by_head[len(head)]
        heads[head].remove(pattern)
        if not len(heads[head]):
            del heads[head]
            if not heads:
                del self._by_head[len(head)]

    def is_too_long(self, channel: bytes) -> bool:
        """For patterns that would have to be looked for in all of it."""
        return self.searches * len(channel) > STEPS_MAX

    def matching(self, channel: bytes) -> list[bytes]:
        found: list[bytes] = []
        for length, heads in self._by_head.items():
            patterns = heads.get(channel[:length]) if length <= len(channel) else None
            if patterns is not None:
                found += patterns.matching(channel)
        if self.searches and not self.is_too_long(channel):
            found += self._searching.matching(channel)
        return found
