"""Failure detection and isolation.

Once a second a partner is pinged. No answer: three others are asked to ping it. Still none: it is *suspected*, which
all hear and it may deny with a higher incarnation; after 4 s more it counts as dead. A node whose own timers came late
doubts itself first: its patience grows up to ninefold. The dead stay in the book for an hour and one of them is dialled
now and then, because a healed partition looks like many dead who live.

A link that the other side has ended says more: its process may be gone. It is dialled at once; if that is refused
(nobody listens there; a paused process still does) and all others who are asked have no link to it either, it is
suspected without another second's wait, and everybody is told.

A node is isolated if it hears from fewer than half of its partners (including those lost in the last minutes) in three
windows of 10 s.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from respram.gossip.books import Books
from respram.gossip.effects import Host, TrustClock
from respram.gossip.links import Link, Peer
from respram.gossip.members import ALIVE, DEAD, SUSPECT, AddressBook, Member, bucket_of, pack_all
from respram.gossip.neighbours import Neighbours
from respram.gossip.states import ISOLATED, JOINING, READY
from respram.gossip.timers import EndedDial, PingUnanswered, ProbeTurn, QuestionDue, Verdict, WindowTurn
from respram.wire.messages import Members, Ping, Pong, Probe, Probed

EXPECTED_MS = 300_000  # after its link was lost, a partner is expected to answer for this long
NONCES_MAX = 4_096  # probes that wait for an answer; with so many, no more are sent
DEAD_DIALLED_SHARE = 0.25  # share of the partner timer's turns in which a dead member is dialled
ENDED_DIALS_MAX = 6  # dials to a member whose link has ended,
ENDED_DIAL_MS = 25  # one after each such interval
CLOCK_TRANSIT_MS = 3_000  # how much older a clock reading may be on arrival, behind data on a slow link


@dataclass(slots=True)
class Asked:
    node: int
    sent_ms: int
    stage: int  # 0: pinged, 1: other members were asked
    for_link: int = 0  # the link that asked for the probe
    their_nonce: int = 0
    witnesses: set[int] = field(default_factory=set)  # links whose member has not said yet that it has no link either


@dataclass(slots=True, eq=False)
class Probes:
    host: Host
    book: AddressBook
    books: Books
    neighbours: Neighbours
    nonce: int = 0
    asked: dict[int, Asked] = field(default_factory=dict)  # by nonce
    order: list[int] = field(default_factory=list)
    doubt: int = 0
    # members whose link ended, and how often they are still to be dialled
    ended: dict[int, int] = field(default_factory=dict)
    windows_low: int = 0
    window_from_ms: int = 0
    expected: dict[int, int] = field(default_factory=dict)  # partners, and when they were last linked
    on_pong: Callable[[Link, int], None] = lambda link, nonce: None

    def probe(self) -> None:
        """Pings a partner; called once a second."""
        policy = self.host.policy
        self.host.at(self.host.now.ms + self.host.jitter(policy.probe_ms), ProbeTurn())
        if not self.order:
            self.order = [number for number in self.neighbours.partners() if number in self.book.alive]
            self.host.rng.shuffle(self.order)
        while self.order:
            number = self.order.pop()
            # without members whose link was closed since the list was made
            if number in self.book.alive and self.neighbours.is_partner(number):
                self._ping(number)
                return

    def _ping(self, number: int, for_link: int = 0, their_nonce: int = 0) -> None:
        if len(self.asked) >= NONCES_MAX:
            return
        self.asked[self.next_nonce()] = Asked(number, self.host.now.ms, 0, for_link, their_nonce)
        link = self.neighbours.link_to(number)
        if link is not None:
            self.host.send(link.id, Ping(self.nonce, self.host.now.wall_ms, self.book.news()))
        patience_ms = self.host.policy.probe_patience_ms * (1 + self.doubt) if link is not None else 0
        self.host.at(self.host.now.ms + patience_ms, PingUnanswered(self.nonce))

    def next_nonce(self) -> int:
        self.nonce = (self.nonce + 1) & 0xFFFFFFFF
        return self.nonce

    def show_entry(self, link: Link) -> int:
        """This node's own entry, and PING behind it: the nonce of the PONG that says that the other has read it."""
        me, nonce = self.book.me, self.next_nonce()
        self.host.send(link.id, Members(1 << bucket_of(me.number), pack_all([me])))
        self.host.send(link.id, Ping(nonce, self.host.now.wall_ms, b""))
        return nonce

    def pinged(self, link: Link, message: Ping) -> None:
        self.host.send(link.id, Pong(message.nonce, self.host.now.wall_ms, self.book.news()))
        if self._clocks_agree(link, message.clock_ms):
            self.books.learn(message.news, link)

    def _clocks_agree(self, link: Link, clock_ms: int) -> bool:
        """HELLO looked at the clocks once; they may be set while the link stands."""
        off_ms = abs(clock_ms - self.host.now.wall_ms)
        if off_ms <= self.host.policy.clock_offset_ms_max + CLOCK_TRANSIT_MS:
            self.host.emit(TrustClock())
            return True
        self.neighbours.hangup(link, f"clocks differ by {off_ms} ms limit {self.host.policy.clock_offset_ms_max}")
        return False

    def ponged(self, link: Link, message: Pong) -> None:
        if not self._clocks_agree(link, message.clock_ms):
            return
        self.books.learn(message.news, link)
        self.on_pong(link, message.nonce)
        asked = self.asked.get(message.nonce)
        if asked is None or link.peer is None or asked.node != link.peer.number:
            return
        del self.asked[message.nonce]
        self.doubt = max(0, self.doubt - 1)
        rtt_ms = float(self.host.now.ms - asked.sent_ms)
        link.peer.rtt_ms = rtt_ms if link.peer.rtt_ms is None else 0.8 * link.peer.rtt_ms + 0.2 * rtt_ms
        if asked.for_link and asked.for_link in self.neighbours.links:
            self.host.send(asked.for_link, Probed(asked.their_nonce, 1))

    def unanswered(self, nonce: int) -> None:
        policy = self.host.policy
        asked = self.asked.get(nonce)
        if asked is None:
            return
        member = self.book.members.get(asked.node)
        if asked.for_link or member is None or not member.is_alive:
            del self.asked[nonce]
            if asked.for_link and asked.for_link in self.neighbours.links:
                self.host.send(asked.for_link, Probed(asked.their_nonce, 0))
            return
        if asked.stage == 0:
            others = [link for link in self.neighbours.greeted() if link.peer and link.peer.number != asked.node]
            for link in self.host.rng.sample(others, min(policy.indirect_peers, len(others))):
                self.host.send(link.id, Probe(nonce, asked.node))
            asked.stage = 1
            self.host.at(self.host.now.ms + policy.indirect_patience_ms * (1 + self.doubt), PingUnanswered(nonce))
            return
        del self.asked[nonce]
        if self._heard_since(asked.node, asked.sent_ms):
            return
        if member.status == ALIVE:
            self.books.learn_member(replace(member, status=SUSPECT))

    def _heard_since(self, number: int, since_ms: int) -> bool:
        peer = self.neighbours.peers.get(number)
        return peer is not None and peer.heard_ms > since_ms

    def ask(self, link: Link, message: Probe) -> None:
        """Probes a node that another peer cannot reach."""
        if self.neighbours.link_to(message.node) is None:
            self.host.send(link.id, Probed(message.nonce, 0))
        else:
            self._ping(message.node, link.id, message.nonce)

    def told(self, link: Link, message: Probed) -> None:
        asked = self.asked.get(message.nonce)
        if asked is None:
            return
        if message.answered:
            del self.asked[message.nonce]
        elif link.id in asked.witnesses:
            asked.witnesses.remove(link.id)
            if not asked.witnesses:
                del self.asked[message.nonce]
                self._suspect(asked.node)

    # -- a link that stands, and somebody says that nobody is behind it ---------------------------------
    def question(self, peer: Peer) -> None:
        """Pings a peer whose link another node doubts: hearsay alone ends no link, and a live peer answers in time."""
        link = peer.link
        if link is None or link.questioned:
            return
        link.questioned = True
        self.next_nonce()
        self.host.send(link.id, Ping(self.nonce, self.host.now.wall_ms, self.book.news()))
        due_ms = self.host.now.ms + self.host.policy.suspicion_ms * (1 + self.doubt)
        self.host.at(due_ms, QuestionDue(link.id, self.host.now.ms, due_ms))

    def question_due(self, link_id: int, asked_ms: int, due_ms: int) -> None:
        link = self.neighbours.links.get(link_id)
        if link is None or link.peer is None:
            return
        link.questioned = False
        if link.peer.heard_ms >= asked_ms:
            return
        if self.host.now.ms - due_ms > self.host.policy.late_ms:
            self.question(link.peer)  # this node was slow: the answer may not have been read yet
        else:
            self.neighbours.hangup(link, "silent when it was asked")

    # -- a link that ended ----------------------------------------------------------------------------
    def closed(self, number: int) -> None:
        """A member's link was ended by the member or its machine."""
        for nonce, asked in list(self.asked.items()):
            if asked.node == number and asked.for_link:
                del self.asked[nonce]
                if asked.for_link in self.neighbours.links:
                    self.host.send(asked.for_link, Probed(asked.their_nonce, 0))
        member = self.book.members.get(number)
        if member is None or member.status != ALIVE or number not in self.book.enclave or self.book.me.status != ALIVE:
            return
        if len(self.book.enclave) > self.host.policy.direct_peers_max:
            return  # with so many members, links come and go by rotation
        if self.neighbours.link_to(number) is None:
            self.ended[number] = ENDED_DIALS_MAX
            self.dial_ended(number)

    def dial_ended(self, number: int) -> None:
        if self._is_lost(number) and self.ended.get(number):
            self.ended[number] -= 1
            self.neighbours.dial(self.book.members[number].address)
        else:
            self.ended.pop(number, None)

    def dialled(self, address: bytes, refused: bool) -> None:
        """An attempt to connect came to nothing. `refused`: nobody listens there. (A process that is ending may still
        listen when its links are closed already.)
        """
        for number in [
            one for one in self.ended if (member := self.book.get(one)) is None or member.address == address
        ]:
            if not refused:
                self.host.at(self.host.now.ms + ENDED_DIAL_MS, EndedDial(number))
                continue
            del self.ended[number]
            if self._is_lost(number):
                self._ask_witnesses(number)

    def _is_lost(self, number: int) -> bool:
        member = self.book.members.get(number)
        return member is not None and member.status == ALIVE and self.neighbours.link_to(number) is None

    def _ask_witnesses(self, number: int) -> None:
        others = [link for link in self.neighbours.greeted() if link.same_enclave]
        if not others:
            self._suspect(number)
        elif len(self.asked) < NONCES_MAX:
            policy = self.host.policy
            chosen = self.host.rng.sample(others, min(policy.indirect_peers, len(others)))
            self.nonce = (self.nonce + 1) & 0xFFFFFFFF
            self.asked[self.nonce] = Asked(number, self.host.now.ms, 1, witnesses={link.id for link in chosen})
            for link in chosen:
                self.host.send(link.id, Probe(self.nonce, number))
            self.host.at(self.host.now.ms + policy.indirect_patience_ms * (1 + self.doubt), PingUnanswered(self.nonce))

    def _suspect(self, number: int) -> None:
        """Suspects a member at once and tells all peers now, because the homes depend on it."""
        if self._is_lost(number):
            suspect = replace(self.book.members[number], status=SUSPECT)
            self.books.learn_member(suspect)
            for link in self.neighbours.greeted():
                self.books.tell(link, [suspect])

    def suspected(self, member: Member) -> None:
        """A suspicion is out: whoever does not deny it in time is dead. Many partners are pinged seldom, so one with a
        link is asked at once: its silence until now says nothing.
        """
        peer = self.neighbours.peers.get(member.number)
        if peer is not None and peer.link is not None:
            self.books.tell(peer.link, [member])
            self.question(peer)
        self.host.at(
            self.host.now.ms + self.host.policy.suspicion_ms * (1 + self.doubt),
            Verdict(member.number, member.incarnation),
        )

    def verdict(self, number: int, incarnation: int) -> None:
        """Ends one suspicion. (A member that denied it and is suspected again has the time of the new suspicion.)"""
        member = self.book.members.get(number)
        if member is None or member.status != SUSPECT or member.incarnation != incarnation:
            return
        if self._heard_since(number, self.host.now.ms - self.host.policy.suspicion_ms):
            # it is speaking to us, and may deny
            self.host.at(self.host.now.ms + self.host.policy.suspicion_ms, Verdict(number, incarnation))
            link = self.neighbours.link_to(number)
            if link is not None:
                self.books.tell(link, [member])
            return
        self.books.learn_member(replace(member, status=DEAD))

    def was_late(self, late_ms: int) -> None:
        """This node was slow: it extends its patience, since it may have missed answers itself."""
        self.doubt = min(self.host.policy.doubt_max, self.doubt + 1 + late_ms // 1000)
        self.asked = {nonce: asked for nonce, asked in self.asked.items() if asked.for_link}

    # -- isolation ------------------------------------------------------------------------------------
    def window(self) -> None:
        policy, now_ms = self.host.policy, self.host.now.ms
        self.host.at(now_ms + policy.window_ms, WindowTurn())
        for number in self.neighbours.partners():
            if self.neighbours.link_to(number) is not None:
                self.expected[number] = now_ms
        for number, linked_ms in list(self.expected.items()):
            member = self.book.members.get(number)
            if now_ms - linked_ms > EXPECTED_MS or member is None or member.status > DEAD or self._is_replaced(member):
                del self.expected[number]
        heard = sum(self._heard_since(number, self.window_from_ms - 1) for number in self.expected)
        low = 2 * heard < len(self.expected) or self._is_cut_off()
        self.windows_low = self.windows_low + 1 if low else 0
        self.window_from_ms = now_ms
        if self.host.state == READY and self.windows_low >= policy.windows:
            self.host.state = ISOLATED
            for number in self.expected:
                if number in self.neighbours.peers and not self._heard_since(number, now_ms - policy.window_ms):
                    self.neighbours.peers[number].unreachable = True
            self.host.report("isolated", f"answering={heard} expected={len(self.expected)}")
        elif self.host.state == ISOLATED and not low:
            self.host.state = READY
            self.host.report("reconnected", f"answering={heard} expected={len(self.expected)}")
        self.book.forget_ended(now_ms - policy.dead_remembered_ms)

    def _is_replaced(self, member: Member) -> bool:
        """Whether it is dead, and another start of the node is there at its address: it answers in its place."""
        return member.status == DEAD and member.address in self.book.at_address

    def _is_cut_off(self) -> bool:
        """Members of the enclave are thought dead, and there is no link to anybody. They may as well be alive, and it
        is this node that nobody can talk to: it must not say that it is ready, however long that lasts.
        """
        if any(link.same_enclave for link in self.neighbours.greeted()):
            return False
        members = self.book.members
        return any(
            members[one].status == DEAD and members[one].enclave == self.book.me.enclave for one in self.book.ended_ms
        )

    def dial_the_dead(self) -> None:
        """Dials a dead member about every four seconds, to notice a healed partition."""
        if self.host.state == JOINING or not self.book.ended_ms or self.host.rng.random() > DEAD_DIALLED_SHARE:
            return
        dead = [number for number in self.book.ended_ms if self.book[number].status == DEAD]
        taken = {self.book[number].address for number in self.book.alive}
        dead = [number for number in dead if self.book[number].address not in taken]
        if dead:
            self.neighbours.dial(self.book[self.host.rng.choice(dead)].address)
