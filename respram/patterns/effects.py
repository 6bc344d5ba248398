"""What a pattern can ask of its driver, as data. Nothing but these dataclasses and their types may live here."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Command = tuple[bytes | str | int, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Commands in one round trip. Outcome: the list of their replies.

    `client` sends them to another node than the pattern's own; `atomic` puts MULTI and EXEC around them. With `whole` a
    task that is cancelled meanwhile gets the cancellation only after the node has answered, so that the pattern's
    cleanup runs after the commands.
    """

    commands: tuple[Command, ...]
    client: object = None
    atomic: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class AskAny:
    """The same commands to several nodes at once. Outcome: for each, in order, its replies, what it raised, or None.

    It ends when all have answered, or when `good` accepts an answer: then the others count as not asked (None).
    """

    commands: tuple[Command, ...]
    clients: tuple[Any, ...]
    good: Callable[[list[Any]], bool]


@dataclass(frozen=True, slots=True)
class Use:
    """Go on with another client of the same kind. Outcome: None."""

    client: Any


@dataclass(frozen=True, slots=True)
class Watch:
    """WATCH the keys and read them. Outcome: the list of their values, or None if the connection broke.

    Without `values` each is b"" if the key exists, else None; this suits keys that may be large.
    """

    keys: tuple[bytes, ...]
    values: bool = True


@dataclass(frozen=True, slots=True)
class Commit:
    """MULTI, the commands, EXEC, on the connection of the latest Watch, which ends with it.

    Outcome: the list of replies, or None if a watched key had changed and nothing was done.
    """

    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Let time pass. Outcome: None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Call the user's function; await it where it is async. Outcome: what it returns; what it raises is raised."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Block:
    """Call a function that may block, such as reading a file; on asyncio in a thread. Outcome as Call's."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Listen on channels from here on. Outcome: None, once the node has confirmed."""

    channels: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for a message on the channels. Outcome: (channel, payload), or None after `timeout_s`."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class Hand:
    """Give an item to whoever iterates, and wait until the next one is wanted. Only in streams."""

    item: object


Effect = Ask | AskAny | Use | Watch | Commit | Pause | Call | Block | Subscribe | Receive | Hand

T = TypeVar("T")
Steps = Generator[Effect, Any, T]
