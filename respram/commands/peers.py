"""What commands may know of the other nodes: Protocols that the server implements if there can be peers."""

from collections.abc import Hashable, Sequence
from typing import Protocol

from respram.engine.api import Run, Session
from respram.frozen import dataclass


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """A node of this enclave, or of another to which there is a link."""

    number: int
    host: bytes
    port: int
    enclave: bytes
    role: bytes
    state: bytes  # online, lagging (writes to it were dropped), differs (by its last digest), unlinked
    rtt_us: int  # -1: not known yet
    lag_ms: int  # age of the oldest write that it has not acknowledged; 0: none
    queue_bytes: int
    in_flight_bytes: int
    heard_ms: int  # time since its last message; -1: never


@dataclass(frozen=True, slots=True)
class MemberFacts:
    number: int
    address: bytes
    enclave: bytes
    role: bytes
    parent: int  # 0: none
    status: bytes  # alive, suspect, dead, left
    ready: bool
    incarnation: int
    # its address for cluster clients: host:port, or host:port/port with TLS; b"": none
    clients: bytes = b""


@dataclass(frozen=True, slots=True)
class HomeFacts:
    """Which node decides about a slot, as this node sees it."""

    number: int  # of the member; 0: no member is ready
    address: bytes  # where peers reach it
    here: bool
    settled: bool  # False: the slot has just moved to this node, which will decide about it in a moment


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Commands for the home of their first key; the fields of FORWARD (wire/messages.py)."""

    kind: int
    db: int
    proto: int
    client: bytes
    rights: bytes
    keys: bytes
    watched: bytes
    commands: bytes
    patience_ms: int = 0
    only: int = 0  # ask this member only; 0: any
    copied_to: tuple[int, ...] = ()  # other databases that its commands write into


class Asker(Protocol):
    """A connection whose commands are decided elsewhere."""

    @property
    def session(self) -> Session: ...

    def decided_by(self, member: int) -> None:
        """Another node has decided: its writes are in its own batches."""

    def told(self, reply: bytes, commands: int, home: int = 0) -> None:
        """Takes the encoded replies; the session goes on behind them. b"" closes it. `home`: as by `decided_by`."""


class Decisions(Protocol):
    """Which node decides, if this node does not decide about all keys."""

    def is_here(self, slot: int) -> bool: ...
    def forward(self, asker: Asker, forwarded: Forwarded) -> bool:
        """Sends one command, or one transaction, to its home; `told` is called later. False: too many wait already."""

    def forward_run(self, asker: Asker, run: Run, rights: bytes) -> bool:
        """Sends a run of plain commands, of one key each, to their home."""

    def forward_several(self, asker: Asker, together: Forwarded, singles: list[Forwarded]) -> bool:
        """The same for commands of one client whose keys all have one home; `singles`: each by itself, if that is not
        so any more.
        """

    def home_of(self, slot: int) -> int:
        """The number of the member; 0: nobody is ready."""


class Waiter(Protocol):
    """A connection whose command is suspended. Two are the same only if they are one object."""

    def wake(self) -> None: ...
    def __hash__(self) -> int: ...


class Truth(Protocol):
    """The source for keys that this node may not have yet: its peers while it joins, its files while it restores."""

    def state(self) -> bytes:
        """Why this node may lack keys: a word for RESPRAM STATE."""

    def ask(self, waiter: Waiter, names: Sequence[tuple[int, bytes]]) -> int:
        """Asks what these keys (database, key) hold. The milliseconds to wait for at most (the waiter is woken before
        that); 0: there is nobody to ask.
        """

    def learnt(self, waiter: Waiter) -> bool:
        """Whether the engine has the newest of all keys that this waiter has asked for since it last waited."""

    def forget(self, waiter: Waiter) -> None: ...


class Peers(Protocol):
    """The other nodes, as commands may know them. Times are Unix milliseconds."""

    def state(self) -> bytes:
        """The node's state as one word: joining, ready or isolated."""

    def linked(self) -> list[PeerFacts]: ...
    def members(self) -> list[MemberFacts]:
        """All of the network, this node first."""

    def home(self, slot: int) -> HomeFacts: ...
    def map_version(self) -> Hashable:
        """Another one where `ranges`, or what is told of the members, may be another."""

    def ranges(self) -> list[tuple[int, int, int]]:
        """First slot, last slot, number of their home, in order; slots without a home are left out."""

    def decide_anew(self) -> None:
        """`node.decide` was changed."""

    def beat(self, now_ms: int) -> None:
        """Called while the process runs: a long gap since the last call means that it was stopped."""

    def limits_changed(self) -> None:
        """`node.settings` were changed. What peers allow less of is less when this returns."""

    def facts(self) -> list[tuple[str, object]]:
        """Names and numbers for INFO replication."""

    def expel(self, data: bytes) -> bool:
        """Expels the nodes on a revocation list. False: no authority of the peers has signed the list."""

    def digest(self, at_ms: int) -> tuple[int, int] | None:
        """Count and sum of the records that were settled at that moment; None when it is too long ago."""

    def publish(self, channel: bytes, message: bytes, shard: bool) -> None: ...
    def last_number(self) -> int:
        """Of this node's batches of writes."""

    def flush(self) -> int:
        """Sends all writes so far and asks for acknowledgement; the number to ask `holders` about."""

    def holders(self, number: int) -> int: ...
    def notice(self, waiter: Waiter, number: int, wanted: int) -> None:
        """Wakes the waiter when so many peers hold that number."""

    def pulls_useful(self) -> bool: ...
    def pull(self, waiter: Waiter, db: int, key: bytes) -> int:
        """Asks the peers for a key, on a miss. The milliseconds to wait for at most (the waiter is woken before
        that); 0: nil stands."""

    def forget(self, waiter: Waiter) -> None: ...
