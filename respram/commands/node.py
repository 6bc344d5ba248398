"""What the commands know of the node they run on: one object, handed to all of them.

It holds the engine, the settings that CONFIG can change, the registries (clients, subscriptions,
trackers) and the counters behind INFO. Clocks and randomness are injected by the server, so that
nothing here needs one of its own.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from respram.commands.acl_user import DEFAULT, User, full_user, set_password
from respram.config.limits import Limits
from respram.config.settings import Config
from respram.engine.api import Engine, Settings

if TYPE_CHECKING:
    from respram.commands.cluster import Peers
    from respram.commands.conn import Conn


class UsersFile(Protocol):
    """Where the users are kept; both raise OSError."""

    def read(self) -> bytes: ...
    def write(self, content: bytes) -> None: ...


class Snapshots(Protocol):
    def facts(self) -> list[tuple[str, object]]:
        """Rows for INFO."""


@dataclass(slots=True)
class Denied:
    """One line of ACL LOG."""

    id: int
    reason: bytes
    context: bytes
    object: bytes
    user: bytes
    created_ms: int
    updated_ms: int
    client: bytes
    count: int = 1


@dataclass(slots=True)
class Guesser:
    """An address from which a wrong password came; see `guessing.py`."""

    failures: int = 0
    failed_ms: int = 0
    free_at_ms: int = 0  # when the next password may be looked at


class Slow(NamedTuple):
    id: int
    at_s: int
    micros: int
    argv: list[bytes]  # shortened, values replaced: no value is ever kept
    address: bytes
    name: bytes


@dataclass(slots=True)
class CommandStat:
    calls: int = 0
    micros: int = 0
    rejected: int = 0
    failed: int = 0


@dataclass(slots=True)
class Stats:
    """Counters behind INFO; CONFIG RESETSTAT zeroes them."""

    connections: int = 0
    rejected_connections: int = 0
    commands: int = 0  # cold ones; the engine counts its hot ones
    refused_deletes: int = 0
    refused_others: int = 0
    ttl_cut: int = 0
    ttl_defaulted: int = 0
    net_input_bytes: int = 0
    net_output_bytes: int = 0
    protocol_errors: int = 0
    output_limit_disconnections: int = 0
    query_limit_disconnections: int = 0
    idle_disconnections: int = 0
    evicted_clients: int = 0  # because all clients together held too much
    auth_failures: int = 0
    denied: dict[bytes, int] = field(default_factory=dict)  # by `command`, `key`, `channel`, `auth`
    errors: dict[bytes, int] = field(default_factory=dict)  # by first word, for `INFO errorstats`
    by_command: dict[bytes, CommandStat] = field(default_factory=dict)


@dataclass(slots=True)
class Rates:
    """What passed per second lately, and the peak of memory; `info.sample` keeps it, once a second."""

    at_ms: int = 0
    commands: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    commands_per_s: float = 0.0
    input_bytes_per_s: float = 0.0
    output_bytes_per_s: float = 0.0
    used_bytes_peak: int = 0


@dataclass(slots=True, eq=False)
class Node:
    config: Config
    limits: Limits
    engine: Engine
    settings: Settings  # the engine's, as they stand now; whoever replaces them calls engine.configure
    number: int  # this boot's 64-bit node number
    run_id: bytes  # 40 hexadecimal digits, as in Redis
    started_ms: int
    pid: int
    micros: Callable[[], int]  # a monotonic clock in microseconds, for timing commands
    wall_us: Callable[[], int]  # Unix time in microseconds
    draw: Callable[[], int]  # 64 random bits
    usage: Callable[[], dict[str, float]]  # rss bytes, cpu seconds... of the process, for INFO
    stop: Callable[[str], None]  # begins an orderly shutdown, with the reason for the log
    log: Callable[[str], None]  # one line for the operator; never a value

    peers: "Peers | None" = None  # the other nodes, where there can be any
    snapshots: Snapshots | None = None  # where there is a directory for them
    clients: dict[int, "Conn"] = field(default_factory=dict)
    channels: "dict[bytes, dict[Conn, None]]" = field(default_factory=dict)
    patterns: "dict[bytes, dict[Conn, None]]" = field(default_factory=dict)
    shard_channels: "dict[bytes, dict[Conn, None]]" = field(default_factory=dict)
    trackers: "dict[Conn, None]" = field(default_factory=dict)
    prefixes: "dict[bytes, dict[Conn, None]]" = field(default_factory=dict)  # of trackers with BCAST
    tracked: "dict[bytes, dict[Conn, None]]" = field(default_factory=dict)  # key to those who read it
    awaited: "dict[tuple[int, bytes], dict[Conn, None]]" = field(default_factory=dict)  # missing keys under WATCH
    stats: Stats = field(default_factory=Stats)
    slow_log: deque[Slow] = field(default_factory=deque)
    slow_id: int = 0
    event_flags: int = 0  # notify-keyspace-events, as notify.py reads it
    next_client_id: int = 1
    rates: Rates = field(default_factory=Rates)
    counters_before: dict[str, int] = field(default_factory=dict)  # the engine's at CONFIG RESETSTAT
    requirepass: bytes = b""  # in plain, as CONFIG GET shows it; set it through `password`
    users: dict[bytes, User] = field(default_factory=dict)
    users_file: UsersFile | None = None
    acl_log: deque[Denied] = field(default_factory=deque)
    acl_log_id: int = 0
    guessers: dict[bytes, Guesser] = field(default_factory=dict)  # by address, the latest to fail at the end
    paused_until_ms: int = 0  # CLIENT PAUSE
    paused_writes_only: bool = False
    current: "Conn | None" = None  # whose command is running
    refusals_logged: set[bytes] = field(default_factory=set)  # client names whose delete was logged

    def __post_init__(self) -> None:
        self.users.setdefault(DEFAULT, full_user(self.requirepass))

    @property
    def password(self) -> bytes:
        """requirepass: the password of the user `default`, as it was set last."""
        return self.requirepass

    @password.setter
    def password(self, text: bytes) -> None:
        self.requirepass = text
        set_password(self.users[DEFAULT], text)
