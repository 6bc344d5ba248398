"""HELLO and its refusals, the choice between two links of one peer, and what happens when a peer comes or goes."""

from dataclasses import dataclass, replace

from respram.errors import PeerError
from respram.gossip.agreement import Agreement
from respram.gossip.books import Books
from respram.gossip.bootstrap import Bootstrap
from respram.gossip.delivery import Delivery
from respram.gossip.effects import Host, TrustClock
from respram.gossip.expulsions import Expulsions
from respram.gossip.forwarding import Forwarding
from respram.gossip.identity import belongs_to, belongs_to_a_key
from respram.gossip.links import FRAME_BYTES, Link, Peer, drop_queue, unsent_pushes
from respram.gossip.members import (
    ALIVE,
    DEAD,
    EVERY_BUCKET,
    LEFT,
    ROLES,
    SUSPECT,
    AddressBook,
    Member,
    outranks,
    pack_member,
    unpack_members,
)
from respram.gossip.neighbours import Neighbours
from respram.gossip.other_ids import OtherIds
from respram.gossip.probes import Probes
from respram.gossip.rounds import Rounds
from respram.gossip.seals import Seals
from respram.gossip.segment_keys import SegmentKeySharing
from respram.gossip.states import ISOLATED
from respram.gossip.timers import FindParent, GreetingDue
from respram.gossip.tree import FIRST_MS, Tree
from respram.gossip.truths import Truths
from respram.gossip.witnesses import VOUCHES, Witnesses
from respram.wire.messages import VERSION, Bye, Hello, Members, Message, Refuse

# Of HELLO's capabilities: the mark of the key of record ids. Of the other bits one is in use (witnesses.py).
MARK = (1 << 32) - 1
OWN_ADDRESSES_MAX = 64  # addresses that lead back to this node; nobody lists more by mistake
RETURNED_LINKS = 4  # approximate number of returning members that are dialled
# How the reasons begin for which a peer is refused until an operator corrects something.
LASTING = ("protocol version", "another network", "clocks differ")
# Those of them for which a node does not serve alone: whoever it was told to join is there.
AMONG_MEMBERS = ("protocol version", "clocks differ", "another network")


def _member_of(message: Hello) -> Member:
    members = list(unpack_members(message.member))
    if len(members) != 1 or members[0].status > SUSPECT:
        raise PeerError("HELLO names no member")
    member = members[0]
    if (member.number, member.enclave, member.address) != (message.node, message.enclave, message.address):
        raise PeerError("HELLO contradicts itself")
    return member


def _shown(address: bytes) -> str:
    return ascii(address[:64].decode("ascii", "replace"))


@dataclass(slots=True, eq=False)
class Greeting:
    host: Host
    book: AddressBook
    books: Books
    neighbours: Neighbours
    witnesses: Witnesses
    delivery: Delivery
    boot: Bootstrap
    truths: Truths
    forwarding: Forwarding
    rounds: Rounds
    other_ids: OtherIds
    tree: Tree
    segment_keys: SegmentKeySharing
    agreement: Agreement
    seals: Seals
    expulsions: Expulsions
    probes: Probes
    refusals: int = 0  # links that were refused

    def greet(self, link: Link) -> None:
        me, policy = self.book.me, self.host.policy
        hello = Hello(
            VERSION, policy.network, me.number, me.enclave, me.address, self.host.now.wall_ms,
            policy.ids_mark | VOUCHES, pack_member(me),
            self.agreement.said(),
        )  # fmt: skip
        self.host.send(link.id, hello)
        self.host.at(self.host.now.ms + self.host.policy.greeting_ms_max, GreetingDue(link.id))

    def overdue(self, link: Link) -> None:
        if link.peer is None:
            self.neighbours.hangup(link, "no HELLO in time")

    def receive(self, link: Link, message: Message) -> None:
        """The first message of a link."""
        if isinstance(message, Refuse):
            self.refused_there(link, message)
            return
        if not isinstance(message, Hello):
            raise PeerError("the first message must be HELLO")
        member = _member_of(message)
        reason = self._objection(link, message)
        if (
            message.node == self.book.me.number
            and link.dialled
            and len(self.neighbours.own_addresses) < OWN_ADDRESSES_MAX
        ):
            self.neighbours.own_addresses[link.address] = None  # it leads back to this node: it is not dialled again
        if reason:
            self.refusals += 1
            self.host.send(link.id, Refuse(reason.encode()))
            warns = link.dialled and reason.startswith(LASTING)
            is_own = (message.network, message.enclave) == (self.host.policy.network, self.book.me.enclave)
            if is_own or (link.dialled and message.network != self.host.policy.network):
                self._note_objection(reason)
            self.host.report("refused", f"address={_shown(message.address)} why={reason.replace(' ', '_')}", warns)
            self.neighbours.hangup(link, reason, quietly=True)
            return
        peer = self.neighbours.peer(member.number)
        if peer.link is not None and not self._gives_way(peer, peer.link, link):
            self.neighbours.hangup(link, "one link is enough", quietly=True)
            return
        self.other_ids.meet(peer, message.capabilities & MARK)
        self._welcome(link, peer, member, message)

    def refused_there(self, link: Link, message: Refuse) -> None:
        """The peer has refused this node, perhaps after its HELLO, for a reason that only the peer knows."""
        to = f"peer={link.peer.number:016x} " if link.peer is not None else ""
        reason = _shown(message.reason)[1:-1]
        self.host.report("refused_there", f"{to}why={reason.replace(' ', '_')}")
        if link.dialled and link.peer is None:
            self._note_objection(reason)
        self.neighbours.hangup(link, "refused there", quietly=True)

    def _note_objection(self, reason: str) -> None:
        if reason.startswith(AMONG_MEMBERS):
            self.boot.note_objection(next(one for one in AMONG_MEMBERS if reason.startswith(one)))

    def left(self, link: Link, message: Bye) -> None:
        self.forwarding.left(link)
        self.neighbours.hangup(link, "it leaves", quietly=True)

    def _objection(self, link: Link, message: Hello) -> str:
        policy = self.host.policy
        if message.version != VERSION:
            return f"protocol version {message.version} here {VERSION}"
        if message.network != policy.network:
            return "another network"
        if message.node == self.book.me.number:
            return "that is my own number"
        if link.shown not in (0, message.node) and belongs_to_a_key(message.node):
            return "that is the number of another's key"
        if link.named and belongs_to(message.node) not in (0, link.named):
            return "that is the number of another's certificate"
        off_ms = message.clock_ms - self.host.now.wall_ms
        if abs(off_ms) > policy.clock_offset_ms_max:
            return f"clocks differ by {abs(off_ms)} ms limit {policy.clock_offset_ms_max}"
        if message.address == self.book.me.address:
            return "we both advertise this address"
        if self._holder_speaks(message):
            return "another node advertises this address"
        if len(self.neighbours.links) > policy.links_max:
            return "too many links"
        return ""

    def _holder_speaks(self, message: Hello) -> bool:
        """Whether the present holder of an address still speaks. Two nodes that take turns at one address would replace
        each other for ever. A node that was restarted there is accepted at once: the link of its earlier start has
        ended, or is silent at least."""
        since_ms = self.host.now.ms - 2 * self.host.policy.probe_ms
        holders = [
            self.neighbours.peers[number]
            for number in self.book.at_address.get(message.address, {})
            if number in self.neighbours.peers
        ]
        return any(one.number != message.node and one.link is not None and one.heard_ms > since_ms for one in holders)

    def _gives_way(self, peer: Peer, old: Link, new: Link) -> bool:
        """Whether a peer's new link replaces the one that stands. Where somebody speaks on that one, whoever else says
        the number is another, or too early. Where nobody does, and the new one has not proven its number, the old one
        is asked: it may be silent because the machine is slow. A node that has come back by another way connects again.
        """
        since_ms = self.host.now.ms - 2 * self.host.policy.probe_ms
        if old.opened_ms < since_ms < peer.heard_ms or not self._replaces(new, old, peer.number):
            return False
        both_dialled = new.dialled != old.dialled and old.opened_ms >= since_ms
        if both_dialled or new.shown == peer.number or new.named and belongs_to(peer.number) == new.named:
            return True
        self.probes.question(peer)
        return False

    def _replaces(self, new: Link, old: Link, number: int) -> bool:
        """Whether the new link replaces the old one. Both sides must agree: the link that the lower number dialled
        stays, else the newer."""
        if new.dialled == old.dialled:
            return True
        return new.dialled == (self.book.me.number < number)

    def _welcome(self, link: Link, peer: Peer, member: Member, message: Hello) -> None:
        if peer.link is not None:
            self.neighbours.hangup(peer.link, "a newer link replaces it", quietly=True)
        link.peer, link.member = peer, member
        link.same_enclave = member.enclave == self.book.me.enclave
        link.vouches = link.same_enclave and bool(message.capabilities & VOUCHES)
        peer.link = link
        peer.heard_ms = self.host.now.ms
        if not peer.greeted_wall_ms:
            peer.greeted_wall_ms, peer.clock_lead_ms = (
                self.host.now.wall_ms,
                max(message.clock_ms - self.host.now.wall_ms, 0),
            )
        peer.redial_ms = peer.redial_at_ms = 0
        self._supersede_address(member)
        self.books.learn_member(member, own_word=True)
        known = self.book.get(member.number)
        if known is not None and outranks(known, member) and known.status != ALIVE:
            self.books.tell(link, [known])  # its entry says suspected or dead: it may deny that
        if not self.books.asked_ms or self.host.state == ISOLATED:
            self.books.asked_ms = self.host.now.ms + 1
            self.host.send(link.id, Members(EVERY_BUCKET, pack_member(self.book.me)))
        self.expulsions.greet(link)
        self.tree.linked(link)
        self.host.emit(TrustClock())
        self.segment_keys.linked(link)
        if link.same_enclave:
            self.witnesses.met(member.number)
            self.witnesses.linked(link)
            self.agreement.heard(link, message)
            self.seals.greet(link)
            self.delivery.pump(link)

    def _supersede_address(self, member: Member) -> None:
        """Another number at this address was an earlier boot of the same node: it will not come back."""
        for number in list(self.book.at_address.get(member.address, {})):
            if number != member.number:
                old, link = self.book[number], self.neighbours.link_to(number)
                if link is not None:
                    self.neighbours.hangup(link, "its address has another number", quietly=True)
                self.books.learn_member(replace(old, status=LEFT))

    def met(self, member: Member, came_back: bool) -> None:
        """A new name in the book. Links are a matter of partners.py; pushes wait from now on. Who comes back from
        the dead was cut off with others: a few links across the old cut level both sides soonest."""
        self.host.report("met", f"peer={member.number:016x} address={_shown(member.address)} role={ROLES[member.role]}")
        if member.enclave != self.book.me.enclave:
            return
        if came_back:
            self.rounds.reunited()
        count = len(self.book.enclave)
        if count <= self.host.policy.direct_peers_max:
            self.neighbours.on_met(self.neighbours.peer(member.number))
        elif (
            came_back
            and self.host.rng.randrange(count) < RETURNED_LINKS
            and self.neighbours.link_to(member.number) is None
        ):
            self.neighbours.dial(member.address)

    def part(self, link: Link, peer: Peer) -> None:
        """A link has ended. Pushes that were not acknowledged wait at the head of the queue for the next one."""
        peer.link = None
        peer.owed = peer.owed or link.levels
        for batch in reversed(unsent_pushes(link)):
            peer.queue.appendleft(batch)
            peer.queue_bytes += len(batch.payload) + FRAME_BYTES
        if peer.queue_bytes > self.host.policy.queue_bytes_max:
            self.host.report("lagging", f"peer={peer.number:016x}")
            drop_queue(peer, self.host.now.ms, self.neighbours.last_number())
        self.rounds.others.pop(peer.number, None)
        if self.rounds.own is not None and self.rounds.own.peer is peer:
            self.rounds.own = None
        self.boot.avoid(peer.number)
        self.truths.lost(peer.number)
        self.forwarding.lost(peer.number)
        member = self.book.get(peer.number)
        if member is None or not member.is_alive:
            self.neighbours.forget(peer)
        elif len(self.book.enclave) > self.host.policy.direct_peers_max:
            drop_queue(peer, self.host.now.ms, self.neighbours.last_number())
            peer.lagging_ms = None  # it has many partners: rumors and comparison bring it the rest

    def lost(self, member: Member, own_word: bool) -> None:
        """Notes that a member died or left, by its own word or that of others."""
        peer = self.neighbours.peers.get(member.number)
        event = "died" if member.status == DEAD else "left"
        self.host.report(event, f"peer={member.number:016x} address={_shown(member.address)}")
        self.tree.children.pop(member.number, None)
        if self.book.me.parent == member.number:
            self.tree.lose_parent(event)
            self.host.at(self.host.now.ms + self.host.jitter(FIRST_MS), FindParent())
        if peer is None:
            return
        since_ms = self.host.now.ms - self.host.policy.suspicion_ms
        if peer.link is not None and peer.heard_ms > since_ms and not own_word:
            self.books.tell(peer.link, [member])  # it is speaking to this node, and will deny it
            self.probes.question(peer)
            return
        if peer.link is not None:
            if own_word and member.status == LEFT:
                self.forwarding.left(peer.link)
            self.neighbours.hangup(peer.link, event, quietly=True)
        self.neighbours.forget(peer)
