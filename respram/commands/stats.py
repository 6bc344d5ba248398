"""Counters and entries behind INFO, SLOWLOG and ACL LOG. Data only; the callers decide when to write them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

REFUSAL_KINDS_MAX = 1_000  # of command, client name and user; with more, only commands are told apart

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
    """An address from which a wrong password came; see `auth_throttle.py`."""

    failures: int = 0
    failed_ms: int = 0
    free_at_ms: int = 0  # when the next password may be checked


class Slow(NamedTuple):
    id: int
    command: bytes  # as the catalog names it
    ended_us: int  # Unix time
    micros: int
    argv: list[bytes]  # shortened, with placeholders for values: no value is stored
    address: bytes
    name: bytes


# upper bounds of the histogram of commands' times
MICROS_BOUNDS = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 100_000)


@dataclass(slots=True)
class CommandStat:
    calls: int = 0
    micros: int = 0
    rejected: int = 0
    failed: int = 0
    times: list[int] = field(default_factory=lambda: [0] * (len(MICROS_BOUNDS) + 1))  # calls by their duration


class Kind(NamedTuple):
    """Refusals of one kind: which command, by clients of which name, of which user."""

    command: bytes
    client_name: bytes
    user: bytes


@dataclass(slots=True)
class Refusals:
    kinds: dict[Kind, int] = field(default_factory=dict)
    again: dict[Kind, int] = field(default_factory=dict)  # since the last summary in the log
    summed_up_ms: int = 0

    def count(self, kind: Kind) -> bool:
        """Counts a refusal, and returns whether it is the first of its kind. When there are too many kinds, client
        names are told apart no more."""
        if kind not in self.kinds and len(self.kinds) >= REFUSAL_KINDS_MAX:
            kind = Kind(kind.command, b"(others)", b"(others)")
        times = self.kinds.get(kind, 0)
        self.kinds[kind] = times + 1
        if times:
            self.again[kind] = self.again.get(kind, 0) + 1
        return not times

    def by_command(self) -> dict[bytes, int]:
        return self._sums(lambda kind: kind.command)

    def by_client_name(self) -> dict[bytes, int]:
        return self._sums(lambda kind: kind.client_name)

    def _sums(self, part: Callable[[Kind], bytes]) -> dict[bytes, int]:
        sums: dict[bytes, int] = {}
        for kind, times in self.kinds.items():
            sums[part(kind)] = sums.get(part(kind), 0) + times
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


@dataclass(slots=True)
class Stats:
    """Counters behind INFO; CONFIG RESETSTAT zeroes them."""

    connections: int = 0
    rejected_connections: int = 0
    commands: int = 0  # commands outside the fast paths; the engine counts those on fast paths
    refused_deletes: int = 0
    refused_others: int = 0
    refusals: Refusals = field(default_factory=Refusals)
    ttl_cut: int = 0
    ttl_defaulted: int = 0
    defaulted_by_name: dict[bytes, int] = field(default_factory=dict)  # writes without a TTL, by client name
    net_input_bytes: int = 0
    net_output_bytes: int = 0
    protocol_errors: int = 0
    output_limit_disconnections: int = 0
    query_limit_disconnections: int = 0
    idle_disconnections: int = 0
    unproven_disconnections: int = 0
    messages_dropped: int = 0  # from peers and of keyspace events, because too many waited for their listeners
    evicted_clients: int = 0  # because all clients together exceeded their limit
    auth_failures: int = 0
    denied: dict[bytes, int] = field(default_factory=dict)  # by `command`, `key`, `channel`, `auth`
    errors: dict[bytes, int] = field(default_factory=dict)  # by first word, for INFO errorstats
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
