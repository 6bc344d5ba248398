"""Effects that the core asks its caller to carry out, and the Protocols of its store, its randomness and its host.

The caller's duty: carry the effects out at once and in order; report a Merge's outcome by `Core.merged`; call
`Core.tick` when `next_deadline` has come, at the next turn of the loop rather than in a loop of its own.
"""

from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import field
from typing import Any, Protocol, TypeVar

from respram.engine.replication import Replicating
from respram.frozen import dataclass
from respram.gossip.policy import Policy, Terms
from respram.gossip.timers import Now, Timer
from respram.wire.messages import Forward, Message

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
class Take:
    """Like Merge, where a vote depends on the outcome: then `taken(token, stored)`, before any effect behind this
    one."""

    link: int
    token: int
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
    warns: bool = False  # the operator has to act


@dataclass(frozen=True, slots=True)
class Deliver:
    """A publication from another node, for the subscribers of this one."""

    channel: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A pull has ended, with the record merged or without: commands that wait for the key look again."""

    db: int
    key: bytes


@dataclass(frozen=True, slots=True)
class Learnt:
    """A question for the truth has ended: with `known` the engine holds the newest of the key."""

    token: int
    known: bool


@dataclass(frozen=True, slots=True)
class Serve:
    """Run these commands here, then tell by `Core.served(who, forward.number, ...)`. `who` 0: for a client of this
    node.
    """

    who: int  # the asking node
    forward: Forward


@dataclass(frozen=True, slots=True)
class Decided:
    """A forward is over. `replies` as the client gets them, b"" unless the outcome is DONE or CLOSES."""

    token: int
    outcome: str  # one of forwarding.py's outcomes
    replies: bytes
    home: int = field(default=0, compare=False)  # the member that decided; 0: this node, or none


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Peers acknowledged something: clients in WAIT count again."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """From now on these settings apply here, because those of another node are smaller."""

    terms: Terms


@dataclass(frozen=True, slots=True)
class Expelled:
    """Nobody on these lists is a peer any more. They are all that hold, each of them good."""

    lists: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TrustClock:
    """A peer agrees with this node's clock: stamps that lie beyond it were given while it was wrong."""


Effect = (
    Send | Merge | Take | Dial | Hangup | Report | Deliver | Answered | Learnt | Serve | Decided | Acknowledged | Agreed
    | Expelled | TrustClock
)


class Chance(Protocol):
    """A source of random numbers; `random.Random` is one."""

    def random(self) -> float: ...
    def randrange(self, start: int, /) -> int: ...
    def getrandbits(self, k: int, /) -> int: ...
    def choice(self, seq: Sequence[T], /) -> T: ...
    def shuffle(self, x: MutableSequence[Any], /) -> None: ...
    def sample(self, population: Sequence[T], k: int) -> list[T]: ...


class Store(Replicating, Protocol):
    """The engine, as gossip sees it: asked, never written."""

    def full(self) -> bool: ...
    def slot_away(self, keys: bytes, table: bytes) -> int: ...


class Host(Protocol):
    """The node around a concern. All else that a concern needs is another concern, and named among its fields."""

    now: Now
    state: str  # one of states.py

    @property
    def policy(self) -> Policy: ...
    @property
    def store(self) -> Store: ...
    @property
    def rng(self) -> Chance: ...

    def emit(self, effect: Effect) -> None: ...
    def send(self, link: int, message: Message) -> None: ...
    def report(self, event: str, details: str = "", warns: bool = False) -> None: ...
    def at(self, due_ms: int, timer: Timer) -> None: ...
    def jitter(self, period_ms: int) -> int: ...
    def run(self, job: Iterator[bool]) -> None: ...  # runs one slice now, then one per tick
    def defer(self, job: Iterator[bool]) -> None: ...  # starts at the next tick
    def wake(self) -> None: ...  # continues jobs that wait for the other side
