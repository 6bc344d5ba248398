"""Which node has which slots, as cluster clients are told.

The home of a slot (gossip/homes.py) is its master: there a command that decides costs no exchange. Every node serves
every key nevertheless, so what is told here is never needed for a right answer. Therefore:

- A slot whose home cannot be reached from here, or tells clients nothing of itself, is given to this node: whoever was
  just cut off from a node finds another one at once, before the members agree that it is dead.
- Nobody is told to be a replica. Each node is master of some slots and holds all others as well; clients know a node as
  one of the two only, and would take some masters for replicas (decision 0111).

Of other enclaves nothing is told: a slot is served by this one. When slots belong to enclaves, the owner of a slot
comes from their map.
"""

from bisect import bisect_right
from collections.abc import Hashable
from dataclasses import dataclass, field
from operator import itemgetter

from respram.commands.node import Conn, Node
from respram.commands.peers import MemberFacts
from respram.config.options import read_address
from respram.integers import parse_uint
from respram.slots import SLOTS

NOBODY = 0
ALIVE, SUSPECT, DEAD = b"alive", b"suspect", b"dead"
UNLINKED = b"unlinked"


@dataclass(frozen=True, slots=True)
class Place:
    """A node as clients are told of it."""

    number: int
    host: bytes
    port: int  # for plain connections; of a node with TLS only, its TLS port
    tls_port: int  # 0: no TLS port
    peer_port: int
    status: bytes
    ready: bool
    linked: bool  # linked to this node, or this node itself
    epoch: int

    def port_for(self, conn: Conn) -> int:
        return self.tls_port or self.port if conn.encrypted else self.port


@dataclass(slots=True)
class ClusterMap:
    me: int
    places: dict[int, Place]  # this node first, then by number
    ranges: list[tuple[int, int, int]]  # first slot, last slot, owner
    replies: dict[Hashable, bytes] = field(default_factory=dict)  # encoded replies, cached

    def owner_of(self, slot: int) -> int:
        at = bisect_right(self.ranges, slot, key=itemgetter(0)) - 1
        return self.ranges[at][2] if at >= 0 and slot <= self.ranges[at][1] else NOBODY

    def slots_of(self, number: int) -> list[tuple[int, int]]:
        return [(first, last) for first, last, owner in self.ranges if owner == number]


def id_of(number: int) -> bytes:
    """40 hexadecimal digits, as clients expect them: the number that RESPRAM TOPOLOGY tells, behind zeros."""
    return b"%040x" % number


def map_for(conn: Conn) -> ClusterMap:
    node = conn.node
    others = node.peers
    if others is None:
        return _alone(conn)
    version = others.map_version()
    if node.cluster_map is None or node.cluster_map[0] != version:
        node.cluster_map = version, _among(node)
    found = node.cluster_map[1]
    assert isinstance(found, ClusterMap)
    return found


def _alone(conn: Conn) -> ClusterMap:
    """All slots are here, unless the node is to have peers and has not begun with them. It is found where this client
    found it.
    """
    node = conn.node
    told, (plain, tls) = node.config.cluster_announce, node.client_ports
    host, port = (told.host.encode(), told.port) if told else _split(conn.local_address)
    if not told and conn.encrypted:
        port = plain or tls
    place = Place(
        node.number, host or b"127.0.0.1", port or plain, node.config.cluster_announce_tls_port or tls,
        node.config.peer_port, ALIVE,
        node.truth is None, True, 1,
    )  # fmt: skip
    return ClusterMap(node.number, {node.number: place}, [(0, SLOTS - 1, node.number)] if node.truth is None else [])


def _among(node: Node) -> ClusterMap:
    assert node.peers is not None
    members = node.peers.members()
    me = members[0]
    linked = {one.number for one in node.peers.linked() if one.state != UNLINKED} | {me.number}
    shown = [
        one for one in members if one.enclave == me.enclave and one.clients and one.status in (ALIVE, SUSPECT, DEAD)
    ]
    places = {
        one.number: _place(one, one.number in linked)
        for one in sorted(shown, key=lambda one: (one is not me, one.number))
    }
    serve = [one.number for one in places.values() if one.ready and one.linked and one.host and one.status != DEAD]
    other = me.number if me.number in serve else serve[0] if serve else NOBODY
    ranges: list[tuple[int, int, int]] = []
    for first, last, home in node.peers.ranges():
        number = home if home in serve else other
        if number == NOBODY:
            continue
        if ranges and ranges[-1][1:] == (first - 1, number):
            first = ranges.pop()[0]
        ranges.append((first, last, number))
    return ClusterMap(me.number, places, ranges)


def _place(one: MemberFacts, linked: bool) -> Place:
    where, _, tls = one.clients.partition(b"/")
    host, port = _split(where)
    return Place(one.number, host, port, parse_uint(tls) or 0, _split(one.address)[1], one.status, one.ready, linked,
                 one.incarnation)


def _split(address: bytes) -> tuple[bytes, int]:
    """Splits an address into host and port. A peer may call itself what it likes, and a Unix socket has no port."""
    try:
        host, port = read_address(address.decode("ascii", "replace"))
    except ValueError:
        return b"", 0
    return host.encode(), port
