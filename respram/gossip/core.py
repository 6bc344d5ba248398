"""The heart of a node's dealings with its peers: one object, driven by messages and ticks, answering with effects.

    core = Core(me, policy, store, rng, roots)
    effects = core.start(now)
    effects = core.receive(link, message, now)     # and opened, closed, dial_failed, merged, wrote, publish, ...
    core.next_deadline(), core.tick(now)

It holds the state and says who handles what; what is done stands in the files of each concern. The store is the engine
as seen through `replication.py`: asked, never written. What is to be written leaves as a Merge effect.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

from respram.engine.replication import Replicating
from respram.errors import PeerError
from respram.gossip import (
    bootstrap,
    exchange,
    greeting,
    handover,
    hearing,
    partners,
    probes,
    pulls,
    quorum,
    repair,
    rounds,
    rumors,
    seals,
    tree,
)
from respram.gossip.effects import Chance, Dial, Effect, Hangup, Report, Send
from respram.gossip.links import Link, Peer, ack, ack_if_due, drop_queue, kept, pump, resend
from respram.gossip.members import LEFT, ROOT, SUSPECT, AddressBook, Member, pack_all, unpack_members
from respram.gossip.policy import Policy
from respram.gossip.timers import Now, Timers
from respram.snapshot.keys import Entry, SegmentKeys
from respram.wire import messages as wire
from respram.wire.messages import PUBLICATION_KIND, RECORDS_KIND, Message

REFUSING_TOLD_MS = 60_000  # a full node refuses with every frame, and says so once in so long a time


class Store(Replicating, Protocol):
    def full(self) -> bool: ...


class Core:
    def __init__(
        self, me: Member, policy: Policy, store: Store, rng: Chance, roots: Iterable[bytes] = (), keyring: seals.Keyring | None = None,
    ) -> None:  # fmt: skip
        self.policy = policy
        self.store = store
        self.rng = rng
        self.book = AddressBook(me, policy.members_max, policy.news_per_message)
        self.roots = list(roots)
        self.own_addresses: dict[bytes, None] = {me.address: None}  # where this node would reach itself
        self.now = Now(0, 0)
        self.state = bootstrap.JOINING
        self.out: list[Effect] = []
        self.timers = Timers()
        self.links: dict[int, Link] = {}
        self.peers: dict[int, Peer] = {}
        self.dialling: dict[bytes, int] = {}
        self.jobs: deque[Iterator[bool]] = deque()
        self.waiting: list[Iterator[bool]] = []  # jobs that cannot go on before something is acknowledged
        self.differing = 0  # peers whose last digest differed
        self.book_asked_ms = 0  # 0: nobody was asked for the address book yet
        self.refusals = 0  # links refused
        self.refusing_told_ms = -REFUSING_TOLD_MS  # when the log last said that records are not kept
        self.rumors = rumors.Rumors()
        self.repair = rounds.Repair(interval_ms=policy.round_ms)
        self.quorum = quorum.Quorum()
        self.boot = bootstrap.Bootstrap()
        self.pulls = pulls.Pulls()
        self.probes = probes.Probes()
        self.tree = tree.Tree(is_root=me.role == ROOT)
        self.keyring = keyring  # None: nothing is sealed
        self.keyring_told = 0  # its version that all links know of
        self.keys_asked_ms = -seals.ASK_MS
        self.segment_keys = SegmentKeys()  # of snapshot segments, this node's and its peers'
        self.segment_keys_timer = False

    @property
    def me(self) -> Member:
        return self.book.me

    # -- what the caller calls --------------------------------------------------------------------
    def start(self, now: Now) -> list[Effect]:
        self.now = now
        self.boot.started_ms = self.probes.window_from_ms = now.ms
        policy = self.policy
        for name, period_ms in (
            ("probe", policy.probe_ms), ("compare", policy.round_ms), ("partners", policy.partner_ms),
            ("rotate", policy.rotate_ms), ("window", policy.window_ms), ("tree", policy.check_ms),
        ):  # fmt: skip
            self.timers.at(now.ms + self.jitter(period_ms), name)
        self.timers.at(now.ms + tree.next_turn_ms(self, this_time=True), "rebalance")
        if not [root for root in self.roots if root not in self.own_addresses] and not self.book.alive and not self.boot.restoring:
            bootstrap.become_ready(self, "no roots to join")
        else:
            self.timers.at(now.ms, "join")
        if self.book.alive:
            self.timers.at(now.ms + policy.redial_ms_max, "roots")  # the book will do, and spares the roots
        else:
            partners.call_roots(self)
        return self._taken()

    def opened(self, link: int, address: bytes, now: Now) -> list[Effect]:
        """A connection stands; `address` as it was dialled, b"" when it was accepted."""
        self.now = now
        self.dialling.pop(address, None)
        self.links[link] = Link(link, address, now.ms)
        greeting.greet(self, self.links[link])
        return self._taken()

    def closed(self, link: int, now: Now) -> list[Effect]:
        """The connection is gone. Not to be called for a link that a Hangup ended."""
        self.now = now
        if link in self.links:
            self.drop(self.links[link])
        return self._taken()

    def fault(self, link: int, reason: str, now: Now) -> list[Effect]:
        """What came on the link cannot be read: it is ended, and nobody else notices."""
        self.now = now
        if link in self.links:
            self.hangup(self.links[link], reason)
        return self._taken()

    def dial_failed(self, address: bytes, now: Now) -> list[Effect]:
        self.now = now
        self.dialling.pop(address, None)
        return self._taken()

    def receive(self, link: int, message: Message, now: Now) -> list[Effect]:
        """A message from a link. A peer's fault ends the link, and is in the effects."""
        self.now = now
        one = self.links.get(link)
        if one is None:
            return []
        try:
            hearing.hear(self, one, message)
        except PeerError as error:
            self.hangup(one, str(error))
        return self._taken()

    def merged(self, link: int, seq: int, new: int, refused: int, now: Now) -> list[Effect]:
        """The outcome of a Merge: how many records were news, how many could not be kept."""
        self.now = now
        if new:
            rounds.note_change(self)
        if refused and now.ms >= self.refusing_told_ms + REFUSING_TOLD_MS:
            self.refusing_told_ms = now.ms
            self.report("refusing", f"records={refused} memory={'full' if self.store.full() else 'free'}")
        one = self.links.get(link)
        if one is not None and seq and one.peer is not None:
            kept(one, seq, not refused)
            exchange.merged(self, one, seq, new)
            bootstrap.kept(self, one, seq, new)
            self.mind_ack(one)
        return self._taken()

    def lacks_keys(self, link: int, now: Now) -> list[Effect]:
        """Records of this link were refused because they are sealed with keys that are not here."""
        self.now = now
        if link in self.links:
            seals.lack(self, self.links[link])
        return self._taken()

    def wrote(self, payload: bytes, now: Now) -> list[Effect]:
        """Records of this node's clients, as the engine drained them."""
        self.now = now
        rumors.originate(self, payload, RECORDS_KIND)
        rounds.note_change(self)
        return self._taken()

    def overflowed(self, now: Now) -> list[Effect]:
        """The engine dropped writes before anybody drained them: every peer may lack some."""
        self.now = now
        self.report("outbox_full")
        for peer in self.enclave_peers():
            drop_queue(peer, now.ms, self.rumors.number)
        rounds.note_change(self)
        return self._taken()

    def publish(self, channel: bytes, message: bytes, now: Now) -> list[Effect]:
        """After `wrote` of what was written before: subscribers may read at once what they are told of."""
        self.now = now
        rumors.originate(self, rumors.pack_publication(channel, message), PUBLICATION_KIND)
        return self._taken()

    def pull(self, db: int, key: bytes, now: Now) -> tuple[bool, list[Effect]]:
        """On a miss. True: wait for Answered; False: nil stands."""
        self.now = now
        waits = pulls.pull(self, db, key)
        return waits, self._taken()

    def pulls_useful(self) -> bool:
        return pulls.useful(self)

    def last_number(self) -> int:
        """What WAIT counts acknowledgements of, after a flush."""
        return self.rumors.number

    def holders(self, number: int) -> int:
        return quorum.count(self, number)

    def nudge(self, now: Now) -> list[Effect]:
        """Somebody waits for acknowledgements: ask for them at once."""
        self.now = now
        for link in self.greeted():
            if link.in_flight:
                self.send(link, wire.Nudge())
        return self._taken()

    def set_roots(self, roots: Iterable[bytes], now: Now) -> list[Effect]:
        """The roots' names were resolved anew."""
        self.now = now
        self.roots = list(roots)
        return self._taken()

    def introduce(self, members: Iterable[Member], now: Now) -> list[Effect]:
        """Members known from elsewhere: a file, a test."""
        self.now = now
        for member in members:
            self.learn_member(member)
        return self._taken()

    def leave(self, now: Now) -> list[Effect]:
        """An orderly stop: the others need not wonder."""
        self.now = now
        self.book.set_me(status=LEFT)
        for link in self.greeted():
            self.tell(link, [self.me])
            self.send(link, wire.Bye())
        return self._taken()

    def share_keys(self, entries: Iterable[Entry], dropped: Iterable[bytes], now: Now) -> list[Effect]:
        """Keys of segments that this node made or took out of use; the ring has them, or has them no more."""
        self.now = now
        handover.share(self, entries, dropped)
        return self._taken()

    def restored(self, records: int, now: Now) -> list[Effect]:
        """The node's own snapshot is read, as far as it could be: so many records came of it."""
        self.now = now
        bootstrap.restored(self, records)
        return self._taken()

    def next_deadline(self) -> int | None:
        """When `tick` wants to be called, in monotonic milliseconds. While there are jobs: at once."""
        return self.now.ms if self.jobs else self.timers.next_ms()

    def tick(self, now: Now) -> list[Effect]:
        self.now = now
        if self.jobs:
            self.run(self.jobs.popleft())
        while (due := self.timers.due(now.ms)) is not None:
            due_ms, name, argument = due
            if name == "probe" and now.ms - due_ms > self.policy.late_ms:
                probes.was_late(self, now.ms - due_ms)
            self._timer(name, argument)
        return self._taken()

    # -- who handles what -------------------------------------------------------------------------
    def _timer(self, name: str, argument: int) -> None:
        match name:
            case "ack" | "resend" | "greeting":
                link = self.links.get(argument)
                if link is not None:
                    self._link_timer(link, name)
            case "jobs":
                self.wake()
            case "compare":
                repair.paced(self)
            case "compare_soon":
                repair.hurried(self, argument)
            case "probe":
                probes.probe(self)
            case "unanswered":
                probes.unanswered(self, argument)
            case "verdict":
                probes.verdict(self, argument)
            case "window":
                probes.window(self)
            case "partners":
                partners.tend(self)
            case "rotate":
                partners.rotate(self)
            case "roots":
                partners.call_roots(self)
            case "join":
                bootstrap.tick(self)
            case "keys":
                handover.expire(self)
            case "announce":
                rumors.announce(self)
            case "want":
                rumors.want(self)
            case "pull":
                pulls.expired(self, argument)
            case "tree":
                tree.check(self)
            case "find_parent":
                if not self.me.parent and not self.tree.asking:
                    tree.find_parent(self)
            case "rebalance":
                tree.turn(self)
            case _:
                raise AssertionError(name)

    def _link_timer(self, link: Link, name: str) -> None:
        if name == "greeting":
            if link.peer is None:
                self.hangup(link, "no HELLO in time")
        elif name == "ack":
            link.ack_timer = False
            if link.received > link.acked or link.refused:
                ack(link, self.out)
        elif name == "resend":
            link.resend_timer = False
            if not resend(link, self.policy, self.now.ms, self.out):
                self.hangup(link, "it acknowledges nothing")
            else:
                self.mind(link)

    def mind_ack(self, link: Link) -> None:
        if ack_if_due(link, self.policy, self.out):
            link.ack_timer = True
            self.timers.at(self.now.ms + self.policy.ack_delay_ms, "ack", link.id)

    # -- what the concerns call -------------------------------------------------------------------
    def send(self, link: Link, message: Message) -> None:
        self.out.append(Send(link.id, message))

    def report(self, event: str, details: str = "") -> None:
        self.out.append(Report(event, details))

    def dial(self, address: bytes) -> None:
        if address not in self.dialling and address not in self.own_addresses:
            self.dialling[address] = self.now.ms
            self.out.append(Dial(address))

    def hangup(self, link: Link, reason: str, quietly: bool = False) -> None:
        """Ends a link from this side."""
        if not quietly:
            who = f"peer={link.peer.number:016x}" if link.peer else "peer=unknown"
            self.report("hangup", f"{who} why={reason.replace(' ', '_')}")
        self.out.append(Hangup(link.id, reason))
        self.drop(link)

    def drop(self, link: Link) -> None:
        """Forgets a link; what its peer has not acknowledged waits for the next one."""
        self.links.pop(link.id, None)
        if link.peer is not None and link.peer.link is link:
            greeting.part(self, link, link.peer)

    def pump(self, link: Link) -> None:
        pump(link, self.policy, self.now.ms, self.out)
        self.wake()
        if link.dump_point is not None:
            bootstrap.feed(self, link)
        self.mind(link)

    def mind(self, link: Link) -> None:
        """What is in flight is looked after."""
        if link.in_flight and not link.resend_timer:
            link.resend_timer = True
            self.timers.at(self.now.ms + (self.policy.resend_ms << link.resends), "resend", link.id)

    def run(self, job: Iterator[bool]) -> None:
        """A slice at once, the rest one per tick. One that waits is no reason for a tick."""
        waits = next(job, None)
        if waits:
            if not self.waiting:
                self.timers.at(self.now.ms + self.policy.job_wait_ms, "jobs")
            self.waiting.append(job)
        elif waits is not None:
            self.jobs.append(job)

    def wake(self) -> None:
        self.jobs.extend(self.waiting)
        self.waiting.clear()

    def jitter(self, period_ms: int) -> int:
        """A period between 0.8 and 1.2 of the given one, so that nodes do not march in step."""
        return period_ms * 4 // 5 + self.rng.randrange(max(period_ms * 2 // 5, 1))

    def salt(self) -> int:
        return self.rng.getrandbits(64)

    def peer(self, number: int) -> Peer:
        if number not in self.peers:
            self.peers[number] = Peer(number, joined_at=self.rumors.number)
        return self.peers[number]

    def link_to(self, number: int) -> Link | None:
        peer = self.peers.get(number)
        return peer.link if peer is not None else None

    def greeted(self) -> list[Link]:
        return [link for link in self.links.values() if link.peer is not None and link.peer.link is link]

    def enclave_peers(self) -> list[Peer]:
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
            self.differing = sum(one.differs for one in self.peers.values())

    def bootstrap_equal(self, peer: Peer) -> None:
        self.differing = sum(one.differs for one in self.peers.values())
        bootstrap.equal(self, peer)

    def bootstrap_compared(self, mine: int, theirs: int) -> None:
        bootstrap.compared(self, mine, theirs)

    # -- the address book -------------------------------------------------------------------------
    def learn(self, entries: bytes) -> list[Member]:
        members = list(unpack_members(entries))
        for member in members:
            self.learn_member(member)
        return members

    def learn_member(self, member: Member) -> None:
        before = self.book.get(member.number)
        incarnation = self.me.incarnation
        learnt = self.book.learn(member, self.now.ms)
        if self.me.incarnation != incarnation:
            self.tell_all()  # a denial cannot wait for the next ping
        if learnt is None:
            return
        if learnt.status == SUSPECT and (before is None or before.status != SUSPECT):
            probes.suspected(self, learnt.number)
        if not learnt.is_alive and before is not None and before.is_alive:
            greeting.lost(self, learnt)
        if learnt.is_alive and (before is None or not before.is_alive):
            greeting.met(self, learnt, came_back=before is not None)

    def tell(self, link: Link, members: list[Member]) -> None:
        self.send(link, wire.Members(0, pack_all(members)))

    def tell_all(self) -> None:
        for link in self.greeted():
            self.tell(link, [self.me])

    def compare_books(self, link: Link) -> None:
        """The books differ: exchange them, but not all the time."""
        peer = link.peer
        since_ms = self.now.ms - self.policy.members_ms
        if peer is not None and peer.members_ms <= since_ms and self.book_asked_ms <= since_ms:
            peer.members_ms = self.book_asked_ms = self.now.ms
            self.send(link, wire.Book(self.book.packed_sums()))

    def _taken(self) -> list[Effect]:
        taken, self.out = self.out, []
        return seals.announce(self, taken)
