"""What the core asks its caller to do, in the order given, and what it needs from outside.

The caller's duty: carry the effects out at once and in order; report a Merge's outcome by `Core.merged`; call
`Core.tick` when `next_deadline` has come, at the next turn of the loop rather than in a loop of its own.
"""

from collections.abc import MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from respram.wire.messages import Message

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Write the message to the link, after everything sent on it before."""

    link: int
    message: Message


@dataclass(frozen=True, slots=True)
class Merge:
    """Give the records to the engine, then tell the core by `merged(link, seq, ...)`. `seq` 0: nobody waits for it."""

    link: int
    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to `host:port`; then `opened(link, address)` or `dial_failed(address)`."""

    address: bytes


@dataclass(frozen=True, slots=True)
class Hangup:
    """Close the link once what was sent on it is written. The core has forgotten it already."""

    link: int
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """One line for the operator: `event=<event> key=value ...`. Never a key or a value of a record."""

    event: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Deliver:
    """A publication from another node, for the subscribers of this one."""

    channel: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A pull has ended, with the record merged or without: whoever waits for the key looks again."""

    db: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Peers acknowledged something: whoever waits by WAIT counts again."""


@dataclass(frozen=True, slots=True)
class TrustClock:
    """A peer agrees with this node's clock: stamps that lie beyond it were given while it was wrong."""


Effect = Send | Merge | Dial | Hangup | Report | Deliver | Answered | Acknowledged | TrustClock


class Chance(Protocol):
    """A source of random numbers; `random.Random` is one."""

    def random(self) -> float: ...
    def randrange(self, start: int, /) -> int: ...
    def getrandbits(self, k: int, /) -> int: ...
    def choice(self, seq: Sequence[T], /) -> T: ...
    def shuffle(self, x: MutableSequence[Any], /) -> None: ...
    def sample(self, population: Sequence[T], k: int) -> list[T]: ...
