"""A network in virtual time: connections of byte chunks that are delayed, lost, doubled and reordered.

A chunk is one write of a replica, so it holds whole frames: a lost chunk is like lost datagrams. Real links run over
TCP and lose nothing within a connection, so a property that holds here holds there.
"""

from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True, slots=True)
class Faults:
    """The probabilities and delays of faults, per chunk."""

    delay_ms: tuple[int, int] = (1, 3)
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0  # probability that a chunk may be overtaken


CALM = Faults()


@dataclass(slots=True, eq=False)
class Connection:
    """Two ends: (node, its link number)."""

    ends: tuple[tuple[int, int], tuple[int, int]]
    is_open: bool = True
    last_ms: list[int] = field(default_factory=lambda: [0, 0])  # arrival of the last chunk from each end


@dataclass(slots=True)
class Network:
    rng: Random
    faults: Faults = CALM
    cut: set[tuple[int, int]] = field(default_factory=set)  # directed pairs of nodes without a connection
    chunks: int = 0
    bytes: int = 0
    lost: int = 0

    def passes(self, sender: int, receiver: int) -> bool:
        return (sender, receiver) not in self.cut

    def arrivals(self, connection: Connection, end: int, size: int, now_ms: int) -> list[int]:
        """The arrival times of a chunk that is sent now: none, one or two."""
        rng, faults = self.rng, self.faults
        (sender, _), (receiver, _) = connection.ends if end == 0 else connection.ends[::-1]
        self.chunks += 1
        self.bytes += size
        if not self.passes(sender, receiver) or rng.random() < faults.loss:
            self.lost += 1
            return []
        times = [now_ms + rng.randint(*faults.delay_ms)]
        if rng.random() < faults.duplication:
            times.append(now_ms + rng.randint(*faults.delay_ms))
        if rng.random() >= faults.reordering:
            times = [max(at_ms, connection.last_ms[end]) for at_ms in times]
            connection.last_ms[end] = max(times)
        return times
