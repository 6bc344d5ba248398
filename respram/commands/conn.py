"""A connection as the commands see it: who it is, what it queued, what it listens to.

The server makes one for each client and supplies the two ways out (`deliver`, `hangup`). State that
the hot path needs (database, protocol, whether fast paths are allowed) lives in the engine's session;
all the rest is here. Handlers read the time from `now_ms`: one value for a whole read of the socket.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from respram.commands.acl_user import OPEN, User
from respram.engine.api import Session

if TYPE_CHECKING:
    from respram.commands.node import Node

Watched = tuple[int, bytes]  # database, key


class Suspend(Exception):
    """Raised by a handler that must wait: the same command runs again (`session.retried`) once the
    server resumes the session, at `until_ms` at the latest or when somebody calls `conn.wake`."""

    def __init__(self, until_ms: int) -> None:
        super().__init__(until_ms)
        self.until_ms = until_ms


@dataclass(slots=True, eq=False)
class Tracking:
    """CLIENT TRACKING as this connection asked for it."""

    redirect: int = 0  # a client id, 0: itself
    broadcast: bool = False
    prefixes: list[bytes] = field(default_factory=list)
    opt_in: bool = False
    opt_out: bool = False
    no_loop: bool = False
    caching: bool | None = None  # CLIENT CACHING, for the next command only
    redirect_broken: bool = False


@dataclass(slots=True, eq=False)
class Conn:
    id: int
    node: "Node"
    session: Session
    address: bytes  # ip:port of the client
    local_address: bytes
    created_ms: int
    deliver: Callable[[bytes], None]  # the socket; handlers use `push`, which keeps the order
    hangup: Callable[[], None]  # closes at once, from outside (CLIENT KILL)
    wake: Callable[[], None] = lambda: None  # ends a suspension before its time
    waiting_bytes: Callable[[], int] = lambda: 0  # replies that the client has not taken yet
    fd: int = -1

    now_ms: int = 0
    last_active_ms: int = 0
    last_command: bytes = b"NULL"
    name: bytes = b""
    lib_name: bytes = b""
    lib_version: bytes = b""
    user: bytes = b"default"
    account: User = OPEN  # the rights of `user`
    authenticated: bool = False
    guess_slot_ms: int = 0  # when the password that waits may be looked at; 0: none waits

    queue: "list[tuple[object, list[bytes]]] | None" = None  # MULTI: (command, argv) so far, if the session keeps none
    queue_bytes: int = 0
    spoiled: bool = False  # a command was refused while queueing: EXEC will abort
    executing: bool = False  # inside EXEC: nothing may suspend
    watched: dict[Watched, tuple[int, int] | None] = field(default_factory=dict)  # stamp at WATCH

    channels: set[bytes] = field(default_factory=set)
    patterns: set[bytes] = field(default_factory=set)
    shard_channels: set[bytes] = field(default_factory=set)
    subscription_bytes: int = 0  # lengths of all those names together

    silent: bool = False  # CLIENT REPLY OFF
    skip: int = 0  # CLIENT REPLY SKIP: 2 while it runs itself, 1 for the next command
    no_evict: bool = False
    no_touch: bool = False
    tracking: Tracking | None = None
    refused_deletes: int = 0
    suspended_until_ms: int = 0  # while the session is suspended: when it must be resumed
    wait_state: tuple[int, int] | None = None  # WAIT: the number it waits for, and until when
    pulled: set[Watched] = field(default_factory=set)  # keys that this command has asked the peers for
    unblocked: bytes = b""  # CLIENT UNBLOCK: `timeout` or `error`, for the command that waits
    ahead: list[bytes] = field(default_factory=list)  # pushes to itself while its command runs...
    behind: list[bytes] = field(default_factory=list)  # ... to stand before and behind the reply

    def push(self, data: bytes, after_reply: bool = False) -> None:
        """Sends bytes out of turn (pub/sub, invalidations). To the connection whose command is just
        running they go in front of its reply, or behind it, as Redis does."""
        if self.node.current is not self:
            self.deliver(data)
        elif after_reply:
            self.behind.append(data)
        else:
            self.ahead.append(data)

    @property
    def subscribed(self) -> bool:
        return bool(self.channels or self.patterns or self.shard_channels)

    def settle(self) -> None:
        """Tells the session whether fast paths are right for this connection. To be called by
        whoever changes any of the states below; forgetting it is the one mistake possible here."""
        self.session.trusted = self.authenticated
        fast = (
            self.authenticated
            and self.account.hot
            and not self.silent
            and not self.skip
            and self.tracking is None
            and not (self.subscribed and self.session.proto == 2)
        )
        self.session.hot = fast and self.queue is None
        # Behind a command that is queued here all others are, for their order.
        self.session.keeping = self.node.limits.multi_keys_max if fast and self.queue == [] and not self.subscribed else 0

    @property
    def queued(self) -> int:
        """Commands since MULTI, the session's and those here."""
        return self.session.kept + len(self.queue or ())

    @property
    def queued_bytes(self) -> int:
        return self.session.kept_bytes + self.queue_bytes
