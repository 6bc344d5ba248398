"""Confirms, before a node decides about slots that came to it, that no other node decides and no record is missing.

Waiting alone is not enough. `settle_ms` is long enough if processes run when they want to. On a starved machine the
former home may not have read yet that it has lost the slots, and a dead home's last records may have reached other
nodes only. So after that time each other member with slots is asked, as in doubts.py: MEMBERS with this node's own
entry, then PING. Its PONG says that it has read the entry and no longer decides about these slots. Then the two nodes
compare their records (repair.py), the young ones included, so that this node has what the other had. When all members
have answered and are compared, the slots are settled.

A member that cannot be reached must not stop everything: after `takeover_ms_max` this node decides without it, and logs
that. Until then commands about these slots wait, or get LOADING.

Where a majority decides, nothing can be decided before enough others answer. So this node waits for them, up to
`takeover_votes_ms_max`, and with fewer in the map than a majority needs until there are more. A vote brings the members
that a collection has; only a comparison brings the stubs of those that were removed.
"""

from dataclasses import dataclass, field

from respram.gossip.effects import Host
from respram.gossip.homes import Homes
from respram.gossip.links import Link
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.probes import Probes
from respram.gossip.repair import Repair
from respram.gossip.rounds import Round
from respram.gossip.timers import TakeoverTurn


@dataclass(slots=True, eq=False)
class Takeover:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    probes: Probes
    homes: Homes
    repair: Repair
    version: int = 0  # the version of the map that the others are asked about; 0: no takeover is running
    until_ms: int = 0
    end_ms: int = 0  # until when votes are waited for
    others: int = 0  # how many members are asked
    unasked: set[int] = field(default_factory=set)  # members that are not linked yet
    asked: dict[int, int] = field(default_factory=dict)  # by the nonce of a PING: members that have not answered
    answered: list[int] = field(default_factory=list)  # members to compare with
    comparing: Round | None = None
    link: int = 0  # the link of the comparison

    def begin(self, version: int) -> None:
        """Begins to ask, after the slots of this map have waited for `settle_ms`."""
        self.version, self.until_ms = version, self.host.now.ms + self.host.policy.takeover_ms_max
        self.end_ms = self.host.now.ms + self.host.policy.takeover_votes_ms_max
        self.asked.clear()
        self.answered.clear()
        self.comparing = None
        self.unasked = set(self.homes.map.members) - {self.book.me.number}
        self.others = len(self.unasked)
        if self.others < self.host.policy.enclave_size // 2:
            self.version = 0  # whoever comes changes the map, and all this begins anew
            return
        self._go_on()
        if self.version:
            self.host.at(self.host.now.ms + self.host.policy.takeover_turn_ms, TakeoverTurn(version))

    def turn(self, version: int) -> None:
        """Asks members that have a link by now, and gives up after `takeover_ms_max`."""
        if version != self.version:
            return
        late = self.host.now.ms >= self.until_ms and not self._waits_for_votes()
        if version != self.homes.version or late:
            if version == self.homes.version:
                left = len(self.unasked) + len(self.asked) + len(self.answered) + (self.comparing is not None)
                self.host.report("takeover_unanswered", f"members={left}", warns=True)
            self._end()
            return
        self._go_on()
        if self.version:
            self.host.at(self.host.now.ms + self.host.policy.takeover_turn_ms, TakeoverTurn(version))

    def ponged(self, link: Link, nonce: int) -> None:
        if link.peer is not None and self.asked.get(nonce) == link.peer.number:
            self.answered.append(self.asked.pop(nonce))
            if self.host.policy.enclave_size:  # one that answers late is compared with all the same
                self.until_ms = max(self.until_ms, self.host.now.ms + self.host.policy.takeover_ms_max)
            self._go_on()

    def compared(self, round: Round, wholly: bool) -> None:
        """A round of comparison has ended; an incomplete one is begun again."""
        if round is not self.comparing:
            return
        self.comparing = None
        if not wholly:
            self.answered.append(round.peer.number)
        else:
            self._go_on()

    def _waits_for_votes(self) -> bool:
        answered = self.others - len(self.unasked) - len(self.asked)
        # with this node a majority
        return answered < self.host.policy.enclave_size // 2 and self.host.now.ms < self.end_ms

    def _go_on(self) -> None:
        if self.comparing is not None and self.link not in self.neighbours.links:
            self.unasked.add(self.comparing.peer.number)
            self.comparing = None
        self._ask()
        while self.answered and self.comparing is None:
            number = self.answered.pop(0)
            peer = self.neighbours.peers.get(number)
            if peer is None or peer.link is None:
                self.unasked.add(number)
                return
            if not peer.foreign:  # record ids under another key cannot be compared
                self.comparing, self.link = self.repair.compare(peer), peer.link.id
        if not (self.unasked or self.asked or self.answered or self.comparing):
            self._end()

    def _ask(self) -> None:
        lost = [nonce for nonce, number in self.asked.items() if self.neighbours.link_to(number) is None]
        self.unasked.update(map(self.asked.pop, lost))
        for number in sorted(self.unasked):
            link = self.neighbours.link_to(number)
            if link is None:
                member = self.book.get(number)
                if member is not None:
                    self.neighbours.dial(member.address)
                continue
            self.unasked.remove(number)
            self.asked[self.probes.show_entry(link)] = number

    def _end(self) -> None:
        version, self.version = self.version, 0
        self.unasked.clear()
        self.asked.clear()
        self.answered.clear()
        self.comparing = None
        self.homes.taken_over(version)
