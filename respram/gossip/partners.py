"""Chooses the peers to keep links with: all of them up to ten, else a random handful that slowly changes.

Beyond ten peers a node keeps about sqrt(N) + ln N + 3 links to random members of its enclave, half of them dialled by
itself, and replaces one every 10 s. At least 30% of them lie outside its own branch of the tree. Half of
those that it dials are proven members (witnesses.py), half are talked about, as long as there are any. To other
enclaves it keeps one link, for the topology; and one to some root, as far as there are any.

Of two links between a pair (both dialled at once) the one that the lower number dialled stays.
"""

from dataclasses import dataclass
from math import ceil, isqrt, log

from respram.gossip.bootstrap import Bootstrap
from respram.gossip.effects import Host
from respram.gossip.links import Link, Peer
from respram.gossip.members import ROOT, AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.probes import Probes
from respram.gossip.rounds import Rounds
from respram.gossip.states import ISOLATED
from respram.gossip.timers import PartnersTurn, RootsTurn, RotateTurn
from respram.gossip.tree import Tree, branch_of
from respram.gossip.witnesses import Witnesses

SECOND_DIALLER_MS = 1_500  # the member with the higher number waits this long for the other to dial
UNPROVEN_MAX = 4  # an enclave counts as at most this many times its proven size, so that a liar adds few links
DIALLING_MS_MAX = 10_000  # a dial without an outcome is forgotten after this


@dataclass(slots=True, eq=False)
class Partners:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    witnesses: Witnesses
    tree: Tree
    probes: Probes
    boot: Bootstrap
    rounds: Rounds
    roots: list[bytes]

    def has_roots(self) -> bool:
        return any(root not in self.neighbours.own_addresses for root in self.roots)

    def degree(self) -> int:
        """How many links into its enclave a node wants."""
        count = len(self.book.enclave)
        if count <= self.host.policy.direct_peers_max:
            return count
        count = min(count, UNPROVEN_MAX * max(len(self.book.proven), self.host.policy.direct_peers_max))
        return min(count, isqrt(count) + ceil(log(count)) + 3)

    def tend(self) -> None:
        """Dials missing partners; called once a second."""
        self.host.at(self.host.now.ms + self.host.jitter(self.host.policy.partner_ms), PartnersTurn())
        for address in [
            one for one, since_ms in self.neighbours.dialling.items() if self.host.now.ms - since_ms > DIALLING_MS_MAX
        ]:
            del self.neighbours.dialling[address]
        everyone = list(self.book.enclave)
        if len(everyone) <= self.host.policy.direct_peers_max:
            for number in everyone:
                self._dial_if_due(number)
        else:
            proven = [one for one in everyone if self.witnesses.counts(one)]
            if len(proven) <= self.host.policy.direct_peers_max:
                for one in proven:
                    self._dial_if_due(one)
            unproven = [one for one in everyone if not self.witnesses.counts(one)]
            if unproven:  # the proven members may be few, and all of them linked
                proven = [one for one in proven if self.neighbours.link_to(one) is None]
            self._dial_some(proven, unproven)
        if self.book.me.parent:
            self._dial_if_due(self.book.me.parent)
        self.probes.dial_the_dead()
        if len(self.book.alive) > len(everyone) and not any(not link.same_enclave
                                                            for link in self.neighbours.greeted()):
            strangers = [number for number in self.book.alive if number not in self.book.enclave]
            self._dial_if_due(self.host.rng.choice(strangers))

    def _dial_if_due(self, number: int) -> None:
        member = self.book.members.get(number)
        if (
            member is None
            or not member.is_alive
            or self.neighbours.link_to(number) is not None
            or member.address in self.neighbours.dialling
        ):
            return
        peer = self.neighbours.peer(number)
        if peer.redial_at_ms == 0:
            wait_ms = 0 if self.book.me.number < number else SECOND_DIALLER_MS
            peer.redial_at_ms = max(self.host.now.ms + wait_ms, 1)
        if peer.redial_at_ms > self.host.now.ms:
            return
        peer.redial_ms = min(max(self.host.policy.redial_ms, 2 * peer.redial_ms), self.host.policy.redial_ms_max)
        peer.redial_at_ms = self.host.now.ms + self.host.jitter(peer.redial_ms)
        self.neighbours.dial(member.address)

    def _dial_some(self, proven: list[int], unproven: list[int]) -> None:
        linked = [link.peer.number for link in self.neighbours.greeted() if link.same_enclave and link.peer]
        own = sum(link.dialled and link.same_enclave for link in self.neighbours.greeted())
        missing = max(ceil(self.degree() / 2) - own, (self.degree() + 1) // 2 - len(linked))
        branch = branch_of(self.book.me)
        outside = sum(branch_of(self.book[number]) != branch for number in linked if number in self.book.alive)
        for turn in range(min(max(missing, 0), 8)):
            pool = unproven if unproven and (turn % 2 or not proven) else proven
            number = self.host.rng.choice(pool)
            if outside * 100 < self.host.policy.outside_percent * (len(linked) + 1):
                number = next((one for one in self.host.rng.sample(pool, min(8, len(pool)))
                               if branch_of(self.book[one]) != branch), number)  # fmt: skip
            member = self.book[number]
            if self.neighbours.link_to(number) is None and member.address not in self.neighbours.dialling:
                self.neighbours.dial(member.address)

    def rotate(self) -> None:
        """Drops one random link, so that over time every node is compared with every other."""
        self.host.at(self.host.now.ms + self.host.jitter(self.host.policy.rotate_ms), RotateTurn())
        if len(self.book.enclave) <= self.host.policy.direct_peers_max:
            return
        own = [
            link
            for link in self.neighbours.greeted()
            if link.dialled and link.same_enclave and link.peer and not self.is_needed(link, link.peer)
        ]
        if len(own) >= ceil(self.degree() / 2):
            self.neighbours.hangup(self.host.rng.choice(own), "rotation", quietly=True)

    def is_needed(self, link: Link, peer: Peer) -> bool:
        """Whether a link has to stay: it has work in transit, or the tree needs it."""
        in_tree = (
            peer.number == self.book.me.parent or peer.number in self.tree.children or peer.number == self.tree.asking
        )
        in_use = (
            link.in_flight or peer.queue or link.sync or link.dump_point is not None or self.boot.source == peer.number
        )
        in_round = (self.rounds.own is not None and self.rounds.own.peer is peer) or peer.number in self.rounds.others
        return in_tree or bool(in_use) or in_round

    def call_roots(self) -> None:
        """Dials the roots while nobody else is there, while isolated, and while the book has no living root."""
        members = [self.book.get(link.peer.number) for link in self.neighbours.greeted() if link.peer]
        self.host.at(
            self.host.now.ms
            + self.host.jitter(self.host.policy.root_ms if members else self.host.policy.redial_ms_max),
            RootsTurn(),
        )
        knows_root = any(self.book[number].role == ROOT for number in self.book.alive)
        if not members or self.host.state == ISOLATED or not knows_root:
            have = {member.address for member in members if member is not None}
            for address in self.roots:
                if address not in have and address not in self.neighbours.own_addresses:
                    self.neighbours.dial(address)
