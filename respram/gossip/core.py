"""`Core`: the object for all dealings with peers. Messages and ticks drive it, and it answers with effects.

    core = Core(me, policy, store, rng, roots)
    effects = core.start(now)
    effects = core.receive(link, message, now)     # and opened, closed, dial_failed, merged, wrote, publish, ...
    core.next_deadline(), core.tick(now)

It composes the concerns, which are objects with a state of their own in files of their own, and is the Host around
them: it has the time, the timers, the jobs and what is to be sent. `__init__` connects the concerns, top down: each is
given those that it calls, and reports upwards by callbacks that are set there. The table in `inbox.py` assigns messages
to concerns, and the `match` of `alarms.py` timers. The store is the engine as seen through `replication.py`, which is
read and never written: writes leave as Merge effects.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from respram.errors import PeerError
from respram.gossip import timers
from respram.gossip.agreement import Agreement
from respram.gossip.alarms import Alarms
from respram.gossip.books import Books
from respram.gossip.bootstrap import Bootstrap
from respram.gossip.delivery import Delivery
from respram.gossip.doubts import Doubts
from respram.gossip.dumps import Dumps
from respram.gossip.effects import Acknowledged, Chance, Effect, Report, Send, Store
from respram.gossip.exchange import Exchange
from respram.gossip.expulsions import Expulsions
from respram.gossip.forwarding import Forwarding, Request
from respram.gossip.greeting import Greeting
from respram.gossip.homes import Homes
from respram.gossip.inbox import Inbox
from respram.gossip.links import Link, drop_queue, handled
from respram.gossip.majority import Majority
from respram.gossip.members import LEFT, ROOT, AddressBook, Member
from respram.gossip.neighbours import Neighbours
from respram.gossip.other_ids import OtherIds
from respram.gossip.partners import Partners
from respram.gossip.policy import Policy
from respram.gossip.probes import Probes
from respram.gossip.promises import Promises
from respram.gossip.pulls import Pulls
from respram.gossip.quorum import Quorum
from respram.gossip.repair import Repair
from respram.gossip.rounds import Round, Rounds
from respram.gossip.rumors import Rumors, pack_publication
from respram.gossip.seals import Keyring, Seals
from respram.gossip.segment_keys import SegmentKeySharing
from respram.gossip.states import JOINING
from respram.gossip.suffrage import Suffrage
from respram.gossip.takeover import Takeover
from respram.gossip.timers import Now, Timer, Timers
from respram.gossip.tree import Tree
from respram.gossip.truths import Truths
from respram.gossip.witnesses import Witnesses
from respram.snapshot.keys import SegmentKey, Tombstone
from respram.wire import messages as wire
from respram.wire.messages import PUBLICATION_KIND, RECORDS_KIND, Message

REFUSING_TOLD_MS = 60_000  # a full node refuses every frame; the log repeats it at this interval


class Core:
    def __init__(
        self, me: Member, policy: Policy, store: Store, rng: Chance, roots: Iterable[bytes] = (),
        keyring: Keyring | None = None,
    ) -> None:  # fmt: skip
        self.policy = policy
        self.store = store
        self.rng = rng
        self.now = Now(0, 0)
        self.state = JOINING
        self.out: list[Effect] = []
        self.timers = Timers()
        self.jobs: deque[Iterator[bool]] = deque()
        self.waiting: list[Iterator[bool]] = []  # jobs that wait for an acknowledgement
        self.refusing_told_ms = -REFUSING_TOLD_MS  # when the log last reported refused records
        # -- who is there
        self.book = book = AddressBook(me, policy.members_max, policy.news_per_message)
        self.neighbours = near = Neighbours(self, book, own_addresses={me.address: None})
        self.books = books = Books(self, book, near)
        self.witnesses = witnesses = Witnesses(self, book, near)
        self.tree = Tree(self, book, books, near, witnesses, is_root=me.role == ROOT)
        self.probes = Probes(self, book, books, near)
        self.seals = Seals(self, near, keyring)
        self.segment_keys = SegmentKeySharing(self, book, near)
        self.agreement = Agreement(self, near, policy.terms, policy.terms)
        self.expulsions = Expulsions(self, near)
        self.homes = Homes(self, book, witnesses.counts)
        # -- who has what
        self.delivery = Delivery(self, near)
        self.quorum = Quorum(self, book, near)
        self.rumors = Rumors(self, book, near, self.delivery, self.quorum)
        self.dumps = Dumps(self, near, self.delivery)
        self.other_ids = OtherIds(self, book, near, self.dumps, self.quorum)
        self.rounds = Rounds(self, near, interval_ms=policy.round_ms)
        self.exchange = Exchange(self, self.rounds, self.other_ids, self.delivery)
        self.repair = Repair(self, book, books, near, self.rounds, self.exchange, self.other_ids, self.quorum)
        self.truths = Truths(self, book, near)
        self.promises = promises = Promises()
        self.majority = Majority(self, book, near, promises)
        self.suffrage = Suffrage(self, book, near, promises, self.majority, self.repair)
        self.forwarding = Forwarding(self, book, near, self.homes, self.majority)
        self.boot = Bootstrap(self, book, books, near, self.rounds, self.repair, self.truths)
        self.doubts = Doubts(self, book, near, self.probes, self.homes, self.boot)
        self.takeover = Takeover(self, book, near, self.probes, self.homes, self.repair)
        self.pulls = Pulls(self, book, near, self.truths)
        # -- who comes and goes
        self.partners = Partners(self, book, near, witnesses, self.tree, self.probes, self.boot, self.rounds,
                                 list(roots))
        self.greeting = Greeting(
            self, book, books, near, witnesses, self.delivery, self.boot, self.truths, self.forwarding, self.rounds,
            self.other_ids,
            self.tree, self.segment_keys, self.agreement, self.seals, self.expulsions, self.probes,
        )  # fmt: skip
        self.inbox = Inbox(
            self, near, self.delivery, self.greeting, books, witnesses, self.probes, self.tree, self.seals,
            self.segment_keys, self.agreement,
            self.expulsions, self.rumors,
            self.quorum, self.rounds, self.repair, self.exchange, self.other_ids, self.boot, self.dumps, self.pulls,
            self.forwarding, self.majority, self.suffrage,
        )  # fmt: skip
        self.alarms = Alarms(
            self, near, self.greeting, self.delivery, self.probes, witnesses, self.partners, self.tree,
            self.segment_keys, self.homes, self.doubts, self.rumors, self.repair, self.boot, self.truths, self.pulls,
            self.forwarding, self.takeover, self.majority, self.suffrage,
        )  # fmt: skip
        # -- what is told upwards
        near.last_number = self.last_number
        near.on_met, near.on_part = self.rumors.hand_early, self.greeting.part
        books.on_suspected = self.probes.suspected
        self.probes.on_pong = self._ponged
        self.homes.on_due, self.rounds.on_ended = self.takeover.begin, self._compared
        books.on_lost, books.on_met = self.greeting.lost, self.greeting.met
        self.delivery.on_room, self.suffrage.on_vote = self.dumps.feed, books.tell_all
        self.forwarding.lags = self.rumors.lags
        self.boot.has_roots = self.partners.has_roots
        self.repair.has_dump = lambda: self.boot.dumped
        self.repair.on_equal, self.repair.on_compared = self.boot.equal, self.boot.compared

    @property
    def me(self) -> Member:
        return self.book.me

    # -- what the caller calls --------------------------------------------------------------------
    def start(self, now: Now) -> list[Effect]:
        self.now = now
        self.boot.started_ms = self.boot.company_ms = self.probes.window_from_ms = now.ms
        policy = self.policy
        turns: tuple[tuple[timers.Timer, int], ...] = (
            (timers.ProbeTurn(), policy.probe_ms), (timers.RoundTurn(), policy.round_ms),
            (timers.PartnersTurn(), policy.partner_ms),
            (timers.RotateTurn(), policy.rotate_ms), (timers.WindowTurn(), policy.window_ms),
            (timers.TreeTurn(), policy.check_ms),
        )  # fmt: skip
        for turn, period_ms in turns:
            self.at(now.ms + self.jitter(period_ms), turn)
        if self.majority.is_on:
            self.book.set_me(votes=False)
            self.at(now.ms + policy.suffrage_ms, timers.SuffrageTurn())
        self.at(now.ms + self.tree.next_turn_ms(this_time=True), timers.RebalanceTurn())
        if not self.partners.has_roots() and not self.book.alive and not self.boot.restoring:
            self.boot.become_ready("no roots to join")
        else:
            self.at(now.ms, timers.JoinTurn())
        if self.book.alive:
            # Members are dialled from the address book, which takes load off the roots.
            self.at(now.ms + policy.redial_ms_max, timers.RootsTurn())
        else:
            self.partners.call_roots()
        return self._taken()

    def opened(self, link: int, address: bytes, now: Now, shown: int = 0, named: int = 0) -> list[Effect]:
        """A connection stands; `address` as it was dialled, b"" when it was accepted. `shown`: the number of the
        other's key; `named`: whom its certificate names.
        """
        self.now = now
        self.neighbours.dialling.pop(address, None)
        self.neighbours.links[link] = Link(link, address, now.ms, shown=shown, named=named)
        self.greeting.greet(self.neighbours.links[link])
        return self._taken()

    def closed(self, link: int, now: Now) -> list[Effect]:
        """Notes that the connection is gone. Not to be called for a link that a Hangup ended."""
        self.now = now
        if link in self.neighbours.links:
            peer, address = self.neighbours.links[link].peer, self.neighbours.links[link].address
            self.neighbours.drop(self.neighbours.links[link])
            if peer is None and address:
                self.probes.dialled(address, refused=False)
            elif peer is not None and peer.link is None:
                self.probes.closed(peer.number)
        return self._taken()

    def fault(self, link: int, reason: str, now: Now) -> list[Effect]:
        """Ends a link whose input cannot be read; no other link is affected."""
        self.now = now
        if link in self.neighbours.links:
            self.neighbours.hangup(self.neighbours.links[link], reason)
        return self._taken()

    def dial_failed(self, address: bytes, now: Now, refused: bool = False) -> list[Effect]:
        """`refused`: the machine answered that nobody listens there."""
        self.now = now
        self.neighbours.dialling.pop(address, None)
        self.probes.dialled(address, refused)
        return self._taken()

    def distrusted(self, now: Now) -> list[Effect]:
        """Notes that a node which was dialled is there, and that one of the two does not believe the other."""
        self.now = now
        self.boot.note_objection("another cluster secret or authority")
        return self._taken()

    def receive(self, link: int, message: Message, now: Now) -> list[Effect]:
        """A message from a link. A peer's fault ends the link, and is in the effects."""
        self.now = now
        one = self.neighbours.links.get(link)
        if one is None:
            return []
        try:
            self.inbox.hear(one, message)
        except PeerError as error:
            self.neighbours.hangup(one, str(error))
        return self._taken()

    def merged(self, link: int, seq: int, new: int, refused: int, now: Now) -> list[Effect]:
        """The outcome of a Merge: how many records were news, how many could not be stored."""
        self.now = now
        if new:
            self.rounds.note_change()
        if refused and now.ms >= self.refusing_told_ms + REFUSING_TOLD_MS:
            self.refusing_told_ms = now.ms
            self.report("refusing", f"records={refused} memory={'full' if self.store.full() else 'free'}")
        one = self.neighbours.links.get(link)
        if one is not None and seq and one.peer is not None:
            handled(one, seq, not refused)
            self.exchange.merged(one, seq, new)
            self.boot.handled(one, seq, new)
            self.delivery.arm_ack(one)
        return self._taken()

    def taken(self, token: int, stored: bool, now: Now) -> list[Effect]:
        """The outcome of a Take: whether this node holds these records now, or newer ones."""
        self.now = now
        self.majority.taken(token, stored)
        return self._taken()

    def lacks_keys(self, link: int, now: Now) -> list[Effect]:
        """Notes that records of this link were refused because they are sealed with keys that are not here."""
        self.now = now
        if link in self.neighbours.links:
            self.seals.lack(self.neighbours.links[link])
        return self._taken()

    def wrote(self, payload: bytes, now: Now) -> list[Effect]:
        """Records of this node's clients, as the engine drained them."""
        self.now = now
        self.rumors.originate(payload, RECORDS_KIND)
        self.rounds.note_change()
        return self._taken()

    def overflowed(self, now: Now) -> list[Effect]:
        """Notes that the engine dropped writes before anybody drained them: every peer may lack some."""
        self.now = now
        self.report("outbox_full")
        for peer in self.neighbours.of_enclave():
            drop_queue(peer, now.ms, self.rumors.number)
        self.rounds.note_change()
        return self._taken()

    def publish(self, channel: bytes, message: bytes, now: Now) -> list[Effect]:
        """After `wrote` of what was written before: subscribers may read at once what they are told of."""
        self.now = now
        self.rumors.originate(pack_publication(channel, message), PUBLICATION_KIND)
        return self._taken()

    def pull(self, db: int, key: bytes, now: Now) -> tuple[bool, list[Effect]]:
        """On a miss. True: wait for Answered; False: nil stands."""
        self.now = now
        waits = self.pulls.pull(db, key)
        return waits, self._taken()

    def ask(self, db: int, key: bytes, now: Now) -> tuple[int, list[Effect]]:
        """Asks the peers what a key holds, for a decision while `unsure`. Returns the token of the Learnt to come; 0:
        no peer can know.
        """
        self.now = now
        token = self.truths.ask(db, key)
        return token, self._taken()

    def stopped(self, for_ms: int, now: Now, local: bool = False) -> list[Effect]:
        """Notes that the process did not run for so long (SIGSTOP, a paused machine): others may have decided in its
        place meanwhile. `local`: each decides by itself, at any time."""
        self.now = now
        self.doubts.begin(for_ms, local)
        return self._taken()

    def choose(self, max_ttl_ms: int, value_bytes_max: int, now: Now) -> list[Effect]:
        """Limits of this node were changed: what of that holds comes as Agreed, where it is less."""
        self.now = now
        self.agreement.choose(max_ttl_ms, value_bytes_max)
        return self._taken()

    def decide(self, alone: bool, now: Now) -> list[Effect]:
        """Whether this node decides about all keys for its own clients (`--decide local`): its peers are told."""
        self.now = now
        self.agreement.decide(alone)
        return self._taken()

    def forward(self, request: Request, now: Now) -> tuple[int, list[Effect]]:
        """Forwards commands that another node decides. Returns the token of the Decided to come; 0: too many wait
        already."""
        self.now = now
        token = self.forwarding.submit(request)
        return token, self._taken()

    def served(
        self, who: int, number: int, outcome: int, replies: bytes, records: list[bytes], now: Now, behind: int = 0
    ) -> list[Effect]:
        """Notes that what a Serve asked for has been run. `behind`: as of an ANSWER."""
        self.now = now
        self.forwarding.served(who, number, outcome, replies, records, behind)
        return self._taken()

    def may_run(self, who: int, number: int, now: Now) -> bool:
        """A Serve that waits for a turn of the loop may find that its promise has ended."""
        self.now = now
        return not self.majority.is_on or self.majority.may_run(who, number)

    def runs_on(self, who: int, number: int) -> None:
        """What a Serve asked for was begun, and has not ended in the same moment."""
        self.majority.runs_on(who, number)

    def unsure(self) -> bool:
        """Whether this node's records may be old or incomplete."""
        return self.truths.needed()

    def pulls_useful(self) -> bool:
        return self.pulls.useful()

    def last_number(self) -> int:
        """The number of the last batch, for which WAIT counts acknowledgements after a flush."""
        return self.rumors.number

    def holders(self, number: int) -> int:
        return self.quorum.count(number)

    def nudge(self, now: Now) -> list[Effect]:
        """Asks the peers to acknowledge at once, because a client waits."""
        self.now = now
        self.delivery.nudge_all()
        return self._taken()

    def set_roots(self, roots: Iterable[bytes], now: Now) -> list[Effect]:
        """Takes the roots' addresses, after their names were resolved anew."""
        self.now = now
        self.partners.roots = list(roots)
        return self._taken()

    def introduce(self, members: Iterable[Member], now: Now) -> list[Effect]:
        """Members known from elsewhere: a file, a test."""
        self.now = now
        for member in members:
            self.books.learn_member(member)
        return self._taken()

    def leave(self, now: Now) -> list[Effect]:
        """Stops in order, and tells the peers, so that they do not suspect a failure."""
        self.now = now
        self.book.set_me(status=LEFT)
        self.forwarding.leave()
        for link in self.neighbours.greeted():
            self.books.tell(link, [self.me])
            self.send(link.id, wire.Bye())
        return self._taken()

    def hand_over(self, now: Now) -> list[Effect]:
        """Begins a stop: other nodes decide from here on, while this node still answers."""
        self.now = now
        self.book.set_me(ready=False)
        self.books.tell_all()
        return self._taken()

    def expel(self, data: bytes, now: Now) -> tuple[bool, list[Effect]]:
        """Takes a revocation list of expelled nodes."""
        self.now = now
        good = self.expulsions.take(data)
        return good, self._taken()

    def share_keys(self, entries: Iterable[SegmentKey], tombstones: Iterable[Tombstone], now: Now) -> list[Effect]:
        """Keys of segments that this node made or took out of use; the ring has them, or has them no more."""
        self.now = now
        self.segment_keys.share(entries, tombstones)
        return self._taken()

    def restored(self, records: int, now: Now) -> list[Effect]:
        """The node's own snapshot is read, as far as it could be: so many records came of it."""
        self.now = now
        self.boot.restored(records)
        return self._taken()

    def next_deadline(self) -> int | None:
        """When `tick` wants to be called, in monotonic milliseconds. While there are jobs: at once."""
        return self.now.ms if self.jobs else self.timers.next_ms()

    def tick(self, now: Now) -> list[Effect]:
        self.now = now
        if self.jobs:
            self.run(self.jobs.popleft())
        while (due := self.timers.due(now.ms)) is not None:
            due_ms, timer = due
            if isinstance(timer, timers.ProbeTurn) and now.ms - due_ms > self.policy.late_ms:
                self.probes.was_late(now.ms - due_ms)
            self.alarms.ring(timer)
        return self._taken()

    def _ponged(self, link: Link, nonce: int) -> None:
        self.doubts.ponged(link, nonce)
        self.takeover.ponged(link, nonce)

    def _compared(self, round: Round, wholly: bool) -> None:
        self.takeover.compared(round, wholly)
        self.suffrage.compared(round, wholly)

    # -- the Host of the concerns -----------------------------------------------------------------
    def emit(self, effect: Effect) -> None:
        """(To count acknowledgements again is said once, however many came together.)"""
        if not isinstance(effect, Acknowledged) or not self.out or not isinstance(self.out[-1], Acknowledged):
            self.out.append(effect)

    def send(self, link: int, message: Message) -> None:
        self.out.append(Send(link, message))

    def report(self, event: str, details: str = "", warns: bool = False) -> None:
        self.out.append(Report(event, details, warns))

    def at(self, due_ms: int, timer: Timer) -> None:
        self.timers.at(due_ms, timer)

    def jitter(self, period_ms: int) -> int:
        """A period between 0.8 and 1.2 of the given one, so that nodes do not march in step."""
        return period_ms * 4 // 5 + self.rng.randrange(max(period_ms * 2 // 5, 1))

    def run(self, job: Iterator[bool]) -> None:
        """A slice at once, the rest one per tick. One that waits is no reason for a tick."""
        waits = next(job, None)
        if waits:
            if not self.waiting:
                self.at(self.now.ms + self.policy.job_wait_ms, timers.JobsDue())
            self.waiting.append(job)
        elif waits is not None:
            self.jobs.append(job)

    def defer(self, job: Iterator[bool]) -> None:
        self.jobs.append(job)

    def wake(self) -> None:
        self.jobs.extend(self.waiting)
        self.waiting.clear()

    def _taken(self) -> list[Effect]:
        if self.book.changes != self.homes.seen:
            self.homes.refresh()
        taken, self.out = self.out, []
        keyring = self.seals.keyring
        return taken if keyring is None or keyring.version == self.seals.told else self.seals.announce(taken)
