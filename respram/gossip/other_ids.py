"""Peers whose record ids have another key, as during the rotation of a cluster's secret.

Ids of two keys cannot be compared: every record looks missing, on both sides, for ever. So HELLO carries a mark of the
key, and between peers whose marks differ there are no digests and no filters. Pushes, pulls and dumps do not know ids;
with them such peers become equal all the same. A node that may hold what a foreign peer lacks *owes* it a dump: when
they meet, after pushes to it were dropped or refused, and after comparison with others brought news. A node pays one
such debt at a time and rests between two, so a rotation costs some dumps in its background and no storm.

This is too expensive for more than a rotation: a dump has all records, a filter ten bits for each.
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

REST_MS = 10_000  # between two dumps that nobody asked for


@dataclass(slots=True, eq=False)
class OtherIds:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    dumps: Dumps
    quorum: Quorum
    rest_until_ms: int = 0  # no dump before

    def meet(self, peer: Peer, mark: int) -> None:
        """Notes from HELLO whether the peer's ids have the same key as this node's."""
        was_foreign, peer.foreign = peer.foreign, mark != self.host.policy.ids_mark
        if peer.foreign and not was_foreign:
            peer.owed = True
            self.host.report("foreign_ids", f"peer={peer.number:016x}")

    def owe_all(self) -> None:
        """Owes a dump to all foreign peers, after comparison brought records, which are not pushed on."""
        for peer in self.neighbours.of_enclave():
            peer.owed = peer.owed or peer.foreign

    def pay(self) -> None:
        """Starts the next dump that is owed, if none is running; called at every turn of comparison."""
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
