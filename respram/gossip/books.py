"""Exchanges entries of the address book with peers, and merges two books that differ."""

from collections.abc import Callable
from dataclasses import dataclass

from respram.errors import PeerError
from respram.gossip.effects import Host
from respram.gossip.links import Link
from respram.gossip.members import SUMS_BYTES, SUSPECT, AddressBook, Member, pack_all, unpack_members
from respram.gossip.neighbours import Neighbours
from respram.wire.messages import Book, Members


@dataclass(slots=True, eq=False)
class Books:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    asked_ms: int = 0  # 0: no peer has been asked for the address book yet
    on_suspected: Callable[[Member], None] = lambda member: None
    on_lost: Callable[[Member, bool], None] = lambda member, own_word: None
    on_met: Callable[[Member, bool], None] = lambda member, came_back: None

    def learn(self, entries: bytes, link: Link) -> list[Member]:
        members = list(unpack_members(entries))
        teller = link.peer.number if link.peer is not None else 0
        for member in members:
            self.learn_member(member, own_word=member.number == teller)
        return members

    def learn_member(self, member: Member, own_word: bool = False) -> None:
        before = self.book.get(member.number)
        incarnation = self.book.me.incarnation
        learnt = self.book.learn(member, self.host.now.ms, own_word)
        if self.book.me.incarnation != incarnation:
            self.tell_all()  # a denial must not wait for the next ping
        if learnt is None:
            return
        if learnt.status == SUSPECT and (
            before is None or (before.status, before.incarnation) != (SUSPECT, learnt.incarnation)
        ):
            self.on_suspected(learnt)
        if not learnt.is_alive and before is not None and before.is_alive:
            self.on_lost(learnt, own_word)
        if learnt.is_alive and (before is None or not before.is_alive):
            self.on_met(learnt, before is not None)

    def tell(self, link: Link, members: list[Member]) -> None:
        self.host.send(link.id, Members(0, pack_all(members)))

    def tell_all(self) -> None:
        for link in self.neighbours.greeted():
            self.tell(link, [self.book.me])

    def compare(self, link: Link) -> None:
        """Exchanges the books, which differ, but not too often."""
        peer = link.peer
        since_ms = self.host.now.ms - self.host.policy.members_ms
        if peer is not None and peer.members_ms <= since_ms and self.asked_ms <= since_ms:
            peer.members_ms = self.asked_ms = self.host.now.ms
            self.host.send(link.id, Book(self.book.packed_sums()))

    def told(self, link: Link, message: Members) -> None:
        members = self.learn(message.entries, link)
        if message.buckets:
            known = {member.number: member for member in members}
            self.host.send(link.id, Members(0, self.book.of_buckets(message.buckets, known)))

    def compared(self, link: Link, message: Book) -> None:
        if len(message.sums) != SUMS_BYTES:
            raise PeerError("BOOK cannot be read")
        buckets = self.book.differing_buckets(message.sums)
        self.host.send(link.id, Members(buckets, self.book.of_buckets(buckets)))
