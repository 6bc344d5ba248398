"""Peers whose record ids are made under another key, as while the secret of a cluster is rotated.

Ids of two keys cannot be compared: every record looks missing, on both sides, for ever. So HELLO carries a mark of the
key, and between peers whose marks differ there are no digests and no filters. Pushes, pulls and dumps do not know ids;
with them such peers become level all the same. Whoever may hold what a foreign peer lacks *owes* it a dump: when they
meet, after pushes to it were dropped or not kept, and after comparison with others brought news. A node pays one such
debt at a time and rests between two, so a rotation costs some dumps in its background and no storm.

The price is the reason why this is for a rotation and not for a life: a dump is all records, a filter is ten bits each.
"""

from dataclasses import dataclass

from respram.engine.ids import POINTS
from respram.gossip.dumps import Dumps
from respram.gossip.effects import Host
from respram.gossip.links import Flight, Link, Peer
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.quorum import Quorum
from respram.gossip.states import JOINING
from respram.wire.messages import Dumped

REST_MS = 10_000  # between two dumps that were not asked for


@dataclass(slots=True, eq=False)
class OtherIds:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    dumps: Dumps
    quorum: Quorum
    rest_until_ms: int = 0  # before the next dump

    def meet(self, peer: Peer, mark: int) -> None:
        """HELLO has come: whether the peer's ids are of this node's kind."""
        was_foreign, peer.foreign = peer.foreign, mark != self.host.policy.ids_mark
        if peer.foreign and not was_foreign:
            peer.owed = True
            self.host.report("foreign_ids", f"peer={peer.number:016x}")

    def owe_all(self) -> None:
        """Something came from a peer of the own kind by comparison: nobody pushes that on."""
        for peer in self.neighbours.of_enclave():
            peer.owed = peer.owed or peer.foreign

    def pay(self) -> None:
        """With every turn of comparison: the next debt, if none is being paid."""
        if self.host.state == JOINING or self.host.now.ms < self.rest_until_ms:
            return
        links = [peer.link for peer in self.neighbours.of_enclave() if peer.foreign and peer.link is not None]
        if any(link.levels for link in links):
            return
        for link in links:
            peer = link.peer
            if peer is not None and peer.owed and link.dump_point is None and self.book[peer.number].ready:
                peer.owed = False
                link.levels, link.level_number, link.dump_point = True, self.neighbours.last_number(), 0
                self.dumps.feed(link)
                return

    def acknowledged(self, link: Link, peer: Peer, flight: Flight) -> None:
        """A chunk of a dump is there. The last one, and none refused: the peer holds all that was here at its
        beginning.
        """
        if not link.levels or not isinstance(flight.message, Dumped):
            return
        peer.owed = peer.owed or flight.refused
        if flight.message.point < POINTS:
            return
        link.levels = False
        self.rest_until_ms = self.host.now.ms + self.host.jitter(REST_MS)
        if not peer.owed:
            if peer.lagging_ms is not None:
                peer.lagging_ms = None
                self.host.report("level", f"peer={peer.number:016x}")
            self.quorum.holds_through(peer, link.level_number)
