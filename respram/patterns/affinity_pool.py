"""Affinity pooling: each peer's streams go through one node and one connection, and stay there.
Nothing else lives in this file.

    pool = AffinityPool({"10.0.0.1:6379": client_a, "10.0.0.2:6379": client_b, "10.0.0.3:6379": client_c})
    pool.node_of("bob")  # "10.0.0.2:6379", the same for everybody with the same nodes
    pool.client_of("bob")                        # client_b
    pool.away("10.0.0.2:6379")                   # for AWAY_S; bob's streams move to the next node, the others stay

A peer's node is the one with the highest rendezvous weight, SHA-256 of peer and node. So peers spread evenly, all who
know the nodes choose alike, and when a node goes only its own peers move. A peer that moved stays where it is when the
node comes back: moving costs a resumption. For one connection a node, give clients that have one
(`single_connection_client=True`). Not promised: that a node is well; a caller that finds it away says so.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic

from respram.patterns.errors import BadName, StoreAway
from respram.patterns.steps import C

AWAY_S = 5.0  # how long a node that did not answer is skipped
PEERS_MAX = 10_000  # peers whose node is remembered; the least recently used one is forgotten


@dataclass(slots=True)
class AffinityPool(Generic[C]):
    clients: Mapping[str, C]
    away_s: float = AWAY_S
    clock: Callable[[], float] = time.monotonic
    places: "OrderedDict[str, str]" = field(default_factory=OrderedDict)
    away_until_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.clients:
            raise BadName("a pool needs at least one node")

    def order_of(self, name: str) -> list[str]:
        """All nodes, the name's preferred node first."""
        return sorted(self.clients, key=lambda node: rendezvous(name, node), reverse=True)

    def node_of(self, peer: str, prefer: str | None = None) -> str:
        """The peer's node: its current one, or the best one that is not away. Raises StoreAway when all are away."""
        place = self.places.get(peer)
        if place is None or self._is_away(place):
            here = [node for node in self.order_of(peer) if not self._is_away(node)]
            if not here:
                raise StoreAway(
                    f"none of {len(self.clients)} nodes answers: check addresses and ports, or try again later"
                )
            place = prefer if prefer in here else here[0]
        self.places[peer] = place
        self.places.move_to_end(peer)
        if len(self.places) > PEERS_MAX:
            self.places.popitem(last=False)
        return place

    def client_of(self, peer: str, prefer: str | None = None) -> C:
        return self.clients[self.node_of(peer, prefer)]

    def away(self, node: str) -> None:
        """Marks a node that did not answer: no peer is sent to it for away_s."""
        self.away_until_s[node] = self.clock() + self.away_s

    def _is_away(self, node: str) -> bool:
        return self.away_until_s.get(node, 0.0) > self.clock()


def rendezvous(name: str, node: str) -> bytes:
    """The weight of a node for a name; the highest wins. The length keeps ("ab", "c") and ("a", "bc") apart."""
    data = name.encode()
    return hashlib.sha256(len(data).to_bytes(8, "big") + data + node.encode()).digest()
