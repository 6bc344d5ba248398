"""After a pause of the process: finds out whether other nodes have decided in its place.

A process that did not run (SIGSTOP, a paused machine, no processor for a second) may have been suspected, and a member
that suspects another takes its slots over. So before this node decides anything it asks each other member of the
enclave, with existing messages: MEMBERS with this node's own entry, to which a member answers with its own version of
that entry if it outranks it, and then PING. Links keep their order. If the PONG has come and nothing had to be denied,
that member has this node as alive under the incarnation of before the pause. Only the node itself raises it, so that
member never suspected it. When all members have answered so, no other node has decided, and this node goes on, one
round trip later.

Meanwhile no slot of this node is settled, so that clients and other nodes wait. A node that was suspected, lacks a link
to a member, or hears nothing for `doubt_ms` joins again (bootstrap.py), which takes seconds. So does a node without
homes, because there other nodes decide at any time.
"""

from dataclasses import dataclass, field

from respram.gossip.bootstrap import Bootstrap
from respram.gossip.effects import Host
from respram.gossip.homes import Homes
from respram.gossip.links import Link
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.probes import Probes
from respram.gossip.states import JOINING, READY
from respram.gossip.timers import DoubtDue


@dataclass(slots=True, eq=False)
class Doubts:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    probes: Probes
    homes: Homes
    boot: Bootstrap
    since_ms: int = 0  # the last time at which this node is known to have run
    began_ms: int = 0
    # By the nonce of its PING: a member that has not answered; at most one a member.
    asked: dict[int, int] = field(default_factory=dict)

    def begin(self, for_ms: int, local: bool) -> None:
        """Begins to ask, after a pause of this length. `local`: this node decides without homes."""
        if self.host.state == READY and self.book.enclave:
            self.since_ms = self.host.now.ms - for_ms
            self.host.report(
                "stopped", f"for_ms={for_ms}: has to know whether others have decided in its place", warns=True
            )
        elif not self.asked:
            return
        self.asked.clear()
        self.began_ms = self.host.now.ms
        links = [self.neighbours.link_to(number) for number in self.book.enclave]
        if (
            local
            or self.host.now.ms - self.since_ms > self.host.policy.doubted_ms_max
            or None in links
            or self._was_suspected()
        ):
            self._join_again()
            return
        self.host.state, self.boot.asking = JOINING, True
        self.homes.hold()
        for link in links:
            assert link is not None and link.peer is not None
            self.asked[self.probes.show_entry(link)] = link.peer.number
        self.host.at(self.host.now.ms + self.host.policy.doubt_ms, DoubtDue(self.began_ms))

    def ponged(self, link: Link, nonce: int) -> None:
        if link.peer is None or self.asked.get(nonce) != link.peer.number:
            return
        if self._was_suspected():
            self._join_again()
            return
        del self.asked[nonce]
        if not self.asked:
            self.homes.release()
            self.boot.trusted(self.host.now.ms - self.began_ms)

    def due(self, began_ms: int) -> None:
        if self.asked and began_ms == self.began_ms:
            self._join_again()

    def _was_suspected(self) -> bool:
        """A denial may have come before anybody noticed the stop: what lay in the sockets is read in any order."""
        return self.book.denied_ms is not None and self.book.denied_ms >= self.since_ms

    def _join_again(self) -> None:
        self.asked.clear()
        self.boot.doubt()
        self.homes.release()
