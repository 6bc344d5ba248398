"""Proves members: a member counts once this node has met it, or two peers vouch for it.

The address book accepts hearsay, and one hostile member can invent thousands of others. So a member counts (it gets
slots, it is a partner) once it is *proven*: it has said HELLO on a link of this node, or two peers vouch for it, each
on its own link. A node vouches for all who are proven to it, and tells each peer once.

All nodes come to the same set. "Is proven" only ever becomes true, for as long as the member is in the book, and it
spreads from the members that a newcomer is linked to. In an enclave of N every node has about sqrt(N) links; the
set grows where two of them end at nodes that have the member already, which reaches the last node of a random graph
of that degree from one or two first ones; a newcomer begins with 20 among 1,000. What is told while a link is down
is told when one stands: a link begins with all that its sender vouches for, and every 10 s one peer is told all
again.

One liar has one voice on each link, and nobody is proven by one voice, but to a node with one link alone: that
believes its only peer, as it has nobody else. Two who lie together can prove whom they like, as can one that says
HELLO under two numbers. They lie in another way: they are many.
"""

from dataclasses import dataclass, field
from struct import iter_unpack, pack

from respram.errors import PeerError
from respram.gossip.effects import Host
from respram.gossip.links import Link
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.timers import VouchDue
from respram.wire.messages import Vouch

VOUCHES = 1 << 32  # of HELLO's capabilities: this node knows VOUCH
NUMBERS_MAX = 8_192  # members in one VOUCH: 64 KiB
SOLE_MS = 5_000  # time until the word of a sole peer is enough: others may be about to connect


@dataclass(slots=True, eq=False)
class Witnesses:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    heard: dict[int, int] = field(default_factory=dict)  # member to the one that vouches for it so far
    heard_from: dict[int, dict[int, None]] = field(default_factory=dict)  # the same by voucher, oldest first
    _reminded: int = 0  # peers that were told everything again
    _news: list[int] = field(default_factory=list)  # proven members that were not told yet
    believed: int = 0  # the sole peer whose word is enough; 0: there are others, or none

    # -- who is proven --------------------------------------------------------------------------------
    def counts(self, number: int) -> bool:
        """Whether a member of the enclave counts as proven."""
        return number in self.book.proven or self.believed != 0 and self.heard.get(number) == self.believed

    def met(self, number: int) -> None:
        """A member of the enclave has said HELLO."""
        if number not in self.book.proven:
            self._prove(number)

    def receive(self, link: Link, message: Vouch) -> None:
        if len(message.numbers) % 8 or len(message.numbers) > 8 * NUMBERS_MAX:
            raise PeerError("VOUCH cannot be read")
        assert link.peer is not None
        witness, proven = link.peer.number, self.book.proven
        for (number,) in iter_unpack("<Q", message.numbers):
            if number in proven or number in (witness, self.book.me.number):
                continue
            first = self.heard.get(number)
            if first is None:
                self._hear(number, witness)
            elif first != witness:
                self._prove(number)

    def tend(self) -> None:
        """Checks once a second whether there is only one peer, whose voice is then enough."""
        links = [link for link in self.neighbours.greeted() if link.same_enclave and link.peer is not None]
        alone = len(links) == 1 and links[0].opened_ms + SOLE_MS <= self.host.now.ms
        believed = links[0].peer.number if alone and links[0].peer is not None else 0
        if believed != self.believed:
            self.believed = believed
            self.book.changes += 1

    def _prove(self, number: int) -> None:
        witness = self.heard.pop(number, None)
        if witness is not None:
            self._unhear(number, witness)
        if not self.book.prove(number):
            return
        if not self._news:
            self.host.at(self.host.now.ms + self.host.policy.vouch_ms, VouchDue())
        self._news.append(number)

    def _hear(self, number: int, witness: int) -> None:
        """One voice. (Whoever vouches for the most has to do without its oldest, where there are too many: a liar
        pushes out no word of others.)
        """
        self.heard[number] = witness
        self.heard_from.setdefault(witness, {})[number] = None
        if witness == self.believed:
            self.book.changes += 1
        if len(self.heard) > self.host.policy.members_max:
            most = max(self.heard_from, key=lambda one: len(self.heard_from[one]))
            oldest = next(iter(self.heard_from[most]))
            del self.heard[oldest]
            self._unhear(oldest, most)

    def _unhear(self, number: int, witness: int) -> None:
        del self.heard_from[witness][number]
        if not self.heard_from[witness]:
            del self.heard_from[witness]

    # -- telling others -------------------------------------------------------------------------------
    def linked(self, link: Link) -> None:
        """Vouches for all proven members on a new link."""
        self._tell_all(link)

    def remind(self) -> None:
        """Vouches for all proven members again to one peer; called at every rotation of partners."""
        links = [link for link in self.neighbours.greeted() if link.vouches]
        if links:
            self._reminded += 1
            self._tell_all(links[self._reminded % len(links)])

    def due(self) -> None:
        news, self._news = self._news, []
        for link in self.neighbours.greeted():
            self._tell(link, news)

    def _tell_all(self, link: Link) -> None:
        self._tell(link, [number for number in self.book.proven if number in self.book.enclave])

    def _tell(self, link: Link, numbers: list[int]) -> None:
        if not link.vouches or link.peer is None:
            return
        numbers = [number for number in numbers if number != link.peer.number]
        for at in range(0, len(numbers), NUMBERS_MAX):
            some = numbers[at : at + NUMBERS_MAX]
            self.host.send(link.id, Vouch(pack(f"<{len(some)}Q", *some)))
