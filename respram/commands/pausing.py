"""CLIENT PAUSE: until when the node holds back which commands. All decisions about a pause are here.

The state is the node's (`node.pause`). A pause keeps commands off the fast paths, so whoever begins or ends one calls
`notify.observe` afterwards.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from respram.catalog import Command

# They reach the other nodes like writes, or may do so. A pause of writes holds them back too, as in Redis.
SPREADING = frozenset({b"publish", b"spublish", b"eval", b"evalsha"})


@dataclass(slots=True)
class Pause:
    until_ms: int = 0
    writes_only: bool = False

    def is_on(self, now_ms: int) -> bool:
        return now_ms < self.until_ms

    def begin(self, now_ms: int, until_ms: int, writes_only: bool) -> None:
        """A second pause never shortens or loosens the first, as in Redis."""
        self.writes_only = writes_only and (not self.is_on(now_ms) or self.writes_only)
        self.until_ms = max(self.until_ms, until_ms)

    def end(self) -> None:
        self.until_ms = 0
        self.writes_only = False

    def is_over(self, now_ms: int) -> bool:
        """There was one, nobody ended it, and its time has passed."""
        return 0 < self.until_ms <= now_ms

    def holds_reads(self, now_ms: int) -> bool:
        return self.is_on(now_ms) and not self.writes_only

    def holds(self, now_ms: int, commands: Iterable[Command]) -> bool:
        """Whether one of the commands, which are to run together, must wait for the end."""
        if not self.is_on(now_ms):
            return False
        return not self.writes_only or any(command.writes or command.name in SPREADING for command in commands)
