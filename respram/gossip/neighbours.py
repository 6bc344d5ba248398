"""The table of links and peers by number; connects and hangs up. What happens when a peer comes or goes is told in
greeting.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from respram.gossip.effects import Dial, Hangup, Host
from respram.gossip.links import Link, Peer
from respram.gossip.members import AddressBook


@dataclass(slots=True, eq=False)
class Neighbours:
    host: Host
    book: AddressBook
    links: dict[int, Link] = field(default_factory=dict)
    peers: dict[int, Peer] = field(default_factory=dict)
    dialling: dict[bytes, int] = field(default_factory=dict)
    own_addresses: dict[bytes, None] = field(default_factory=dict)  # addresses under which this node would reach itself
    differing: int = 0  # peers whose last digest differed
    last_number: Callable[[], int] = lambda: 0  # of this node's own batches: pushes to a new peer begin after it
    on_met: Callable[[Peer], None] = lambda peer: None  # called when a member of this enclave is met
    on_part: Callable[[Link, Peer], None] = lambda link, peer: None  # called when a peer's link has ended

    # -- who is there ---------------------------------------------------------------------------------
    def peer(self, number: int) -> Peer:
        if number not in self.peers:
            self.peers[number] = Peer(number, joined_at=self.last_number())
        return self.peers[number]

    def forget(self, peer: Peer) -> None:
        if self.peers.get(peer.number) is peer and peer.link is None:
            del self.peers[peer.number]
            self.count_differing()

    def link_to(self, number: int) -> Link | None:
        peer = self.peers.get(number)
        return peer.link if peer is not None else None

    def greeted(self) -> list[Link]:
        return [link for link in self.links.values() if link.peer is not None and link.peer.link is link]

    def of_enclave(self) -> list[Peer]:
        """Peers of this enclave, linked or waited for, in the order in which they were met."""
        return [peer for number, peer in self.peers.items() if number in self.book.enclave]

    def partners(self) -> list[int]:
        """Members that this node has, or should have, a link to."""
        return [number for number, peer in self.peers.items() if peer.link is not None or peer.redial_at_ms]

    def is_partner(self, number: int) -> bool:
        peer = self.peers.get(number)
        return peer is not None and (peer.link is not None or peer.redial_at_ms > 0)

    def set_differs(self, peer: Peer, differs: bool = True) -> None:
        if peer.differs != differs:
            peer.differs = differs
            self.count_differing()

    def count_differing(self) -> None:
        self.differing = sum(one.differs for one in self.peers.values())

    # -- connections ----------------------------------------------------------------------------------
    def dial(self, address: bytes) -> None:
        if address not in self.dialling and address not in self.own_addresses:
            self.dialling[address] = self.host.now.ms
            self.host.emit(Dial(address))

    def hangup(self, link: Link, reason: str, quietly: bool = False) -> None:
        """Ends a link from this side."""
        if not quietly:
            who = f"peer={link.peer.number:016x}" if link.peer else "peer=unknown"
            self.host.report("hangup", f"{who} why={reason.replace(' ', '_')}")
        self.host.emit(Hangup(link.id, reason))
        self.drop(link)

    def drop(self, link: Link) -> None:
        """Forgets a link; what its peer has not acknowledged waits for the next one."""
        self.links.pop(link.id, None)
        if link.peer is not None and link.peer.link is link:
            self.on_part(link, link.peer)
