"""Fills up a joining node: roots, the address book, a dump from a near, ready peer, digests, READY.

A joiner's links make it a target of pushes before it asks for a dump, so nothing falls between. The dump goes by points
of the key hash, in chunks made one a turn and only when less than 1 MiB of them is under way; a source that is lost or
slow is replaced by another, which goes on at the last point. Then digests are compared until one is equal: READY.

A node that has restored its own snapshot needs no dump: it begins with the digests, unless a peer turns out to have
more than twice as much. Until its snapshot is read it asks for nothing.

If no node is ready for 3 s (all were started at once), all linked nodes compare with each other, and are ready when
they are equal. A node that has met no peer by then is ALONE, and says so. It keeps dialling, and serves alone after
--join-wait, or never.

READY is a promise: the node may decide by what it holds. So it requires an equal digest that covers everything written
before all members pushed to this node. Until then a command that decides asks the peers (truths.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from respram.engine.ids import POINTS
from respram.gossip.books import Books
from respram.gossip.effects import Host, Merge
from respram.gossip.links import Link, Peer
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.repair import Repair
from respram.gossip.rounds import Rounds
from respram.gossip.states import ALONE, DOUBTFUL, JOINING, READY
from respram.gossip.timers import JoinTurn
from respram.gossip.truths import Truths
from respram.wire.messages import Busy, Dump, Dumped

PROGRESS_STEPS = 10  # log lines for the progress of one dump


@dataclass(slots=True, eq=False)
class Bootstrap:
    host: Host
    book: AddressBook
    books: Books
    neighbours: Neighbours
    rounds: Rounds
    repair: Repair
    truths: Truths
    has_roots: Callable[[], bool] = lambda: True  # whether there are addresses to join
    started_ms: int = 0
    source: int = 0  # the peer that sends the dump; 0: none
    asked_ms: int = 0  # when it was asked, or last heard
    point: int = 0
    points_by_seq: dict[int, int] | None = None
    dumped: bool = False  # the dump is complete, or none is needed; now digests are compared
    level_since_ms: int = 0
    # Peers that were busy or slow, and until when to leave them alone.
    avoided: dict[int, int] = field(default_factory=dict)
    records: int = 0
    bytes: int = 0
    company_ms: int = 0  # when a member of the enclave was last linked; before that, when the node started
    objection: str = ""  # why no link to a member of the enclave could be made, if an operator has to correct that
    objected_ms: int = 0  # when that was the case last
    restoring: bool = False  # the node's own snapshot is being read
    by_snapshot: bool = False  # the snapshot takes the place of the dump
    doubted: bool = False  # it was ready, and was stopped for a while
    asking: bool = False  # it asks the others whether it has to join again: doubts.py
    step: int = 0

    def tick(self) -> None:
        """Every 250 ms while joining or alone."""
        if self.host.state not in DOUBTFUL or self.asking:
            return
        policy, now_ms = self.host.policy, self.host.now.ms
        self.host.at(now_ms + self.host.jitter(policy.join_ms), JoinTurn())
        if self.restoring and now_ms - self.started_ms < policy.restore_ms_max:
            return
        linked = [peer for peer in self.neighbours.of_enclave() if peer.link is not None]
        if not linked:
            self._without_company()
            return
        self._in_company()
        ready = [peer for peer in linked if self.book[peer.number].ready]
        if ready:
            self._fill(ready)
        elif not self.book.ready_in_enclave() or now_ms - self.started_ms >= policy.level_ms_max:
            self._level_together(linked)

    # -- nobody there ---------------------------------------------------------------------------------
    def _without_company(self) -> None:
        """Reports that the node is alone. Since other nodes may have what it lacks, it decides nothing before
        --join-wait.
        """
        policy = self.host.policy
        waited_ms = self.host.now.ms - self.company_ms
        if not self.has_roots() and not self.book.alive:
            self.become_ready("no roots to join")  # all addresses to join are this node's own
            return
        objection = self._objection()
        if self.doubted and not self.book.enclave and not objection:
            self.become_ready("all others are gone")  # a ready node may stay ready when the others go
            return
        if self.host.state == JOINING and waited_ms >= policy.alone_ms:
            self.host.state = ALONE
            self.host.report("alone", f"why='{self._why_alone(objection)}'", warns=True)
            self.truths.settle()
        knows_somebody = bool(objection) or self.book.ready_in_enclave() and waited_ms < policy.level_ms_max
        if self.host.state == ALONE and policy.serve_alone and waited_ms >= policy.join_wait_ms and not knows_somebody:
            self.become_ready("nobody met: serves alone", warns=True)

    def _why_alone(self, objection: str) -> str:
        if objection:
            return f"the enclave is there, but {objection}: waits until that is corrected"
        policy = self.host.policy
        then = f"serves alone in {policy.join_wait_ms // 1000} s" if policy.serve_alone else "waits"
        return f"nobody of --join has been met: {then}"

    def note_objection(self, objection: str) -> None:
        """A member of the enclave is there, and has what this node lacks, but they may not speak to each other."""
        is_new = not self._objection()
        self.objection, self.objected_ms = objection, self.host.now.ms
        if is_new and self.host.state == ALONE:
            self.host.report("alone", f"why='{self._why_alone(objection)}'", warns=True)

    def _objection(self) -> str:
        """Why this node and its enclave may not speak to each other; "" where nobody has said so lately."""
        is_recent = self.host.now.ms - self.objected_ms < self.host.policy.objected_ms
        return self.objection if is_recent else ""

    def _in_company(self) -> None:
        self.company_ms = self.host.now.ms
        if self.host.state == ALONE:
            self.host.state = JOINING
            self.host.report("joining")

    # -- nobody ready ---------------------------------------------------------------------------------
    def _level_together(self, linked: list[Peer]) -> None:
        """All nodes were started at once, with what each had restored: none can fill another, so all compare with
        all."""
        policy, now_ms = self.host.policy, self.host.now.ms
        if now_ms - self.started_ms < policy.alone_ms:
            return
        if not self.repair.among_joiners:
            self.repair.among_joiners = True
            self.dumped = self.by_snapshot = True
            self.level_since_ms = now_ms
        alike = [peer for peer in linked if not peer.foreign]
        if all(self._covers(peer.equal_stamp) for peer in alike):
            self.become_ready("level with all who are here: nobody was ready")
        elif now_ms - self.level_since_ms >= policy.level_ms_max:
            self.become_ready("digests still differ", warns=True)
        elif self.rounds.own is None:
            self.repair.begin()

    # -- somebody ready -------------------------------------------------------------------------------
    def _fill(self, ready: list[Peer]) -> None:
        policy, now_ms = self.host.policy, self.host.now.ms
        self.repair.among_joiners = False
        # Their record ids use another key, so digests can never be equal.
        if self.dumped and all(peer.foreign for peer in ready):
            if not self.by_snapshot:
                self.become_ready("filled by a peer whose ids are under another key")
                return
            self.dumped = self.by_snapshot = False
        if self.dumped:
            if now_ms - self.level_since_ms >= policy.level_ms_max:
                self.become_ready("digests still differ", warns=True)
            elif self.rounds.own is None:
                self.repair.begin()
            return
        if self.source and now_ms - self.asked_ms > policy.dump_patience_ms:
            self.avoid(self.source)
        if not self.source:
            self._ask(ready)

    def _ask(self, ready: list[Peer]) -> None:
        willing = [peer for peer in ready if self.avoided.get(peer.number, 0) <= self.host.now.ms]
        if not willing:
            return
        near = sorted(willing, key=lambda peer: (peer.rtt_ms is None, peer.rtt_ms or 0.0))[:3]
        source = self.host.rng.choice(near)
        assert source.link is not None
        self.source, self.asked_ms, self.points_by_seq = source.number, self.host.now.ms, {}
        self.host.report("bootstrap", f"source={source.number:016x} partition={self.point >> 20}")
        self.host.send(source.link.id, Dump(self.point))

    def avoid(self, number: int) -> None:
        """Avoids this source for a second or two, and goes on with another."""
        if self.source != number:
            return
        self.source = 0
        self.avoided[number] = self.host.now.ms + self.host.jitter(2_000)

    def refused(self, link: Link, message: Busy) -> None:
        if link.peer is not None:
            self.avoid(link.peer.number)

    def chunk(self, link: Link, message: Dumped) -> None:
        peer = link.peer
        assert peer is not None
        self.host.emit(Merge(link.id, message.seq, message.payload))
        self.bytes += len(message.payload)
        if self.host.state == JOINING and peer.number == self.source and self.points_by_seq is not None:
            self.asked_ms = self.host.now.ms
            self.points_by_seq[message.seq] = message.point

    def handled(self, link: Link, seq: int, new: int) -> None:
        """Notes that a frame is stored. A chunk of the dump is progress if all chunks before it are stored."""
        if link.peer is None or link.peer.number != self.source or not self.points_by_seq:
            return
        self.records += new if seq in self.points_by_seq else 0
        for seq in sorted(self.points_by_seq):
            if seq > link.received:
                break
            self.point = self.points_by_seq.pop(seq)
        step = self.point * PROGRESS_STEPS // POINTS
        if step > self.step:
            self.step = step
            self.host.report(
                "bootstrap", f"percent={step * 100 // PROGRESS_STEPS} records={self.records} bytes={self.bytes}"
            )
        if self.point >= POINTS and not self.dumped:
            self.dumped, self.source, self.level_since_ms = True, 0, self.host.now.ms
            if self.rounds.own is None:
                self.repair.begin()

    def equal(self, peer: Peer) -> None:
        """Notes that a digest was equal. The node is ready if the peer is ready, the dump is done and all members are
        linked. (Without the dump it says nothing of what is younger than a second, and of an empty node next to one
        that was just written to: all of it.)
        """
        if (
            self.host.state == JOINING
            and not self.asking
            and self.dumped
            and self.book[peer.number].ready
            and self._covers(peer.equal_stamp)
        ):
            self.become_ready(f"level with {peer.number:016x}")

    def _covers(self, stamp: int) -> bool:
        """Whether an equal digest up to this granule is complete, because all members pushed every younger write to
        this node. A node that did not know this one yet pushed to others only, and what it wrote is in no digest for a
        second. (Beyond direct peers pushes are rumors, and those who are linked have to do.)"""
        members = list(self.book.enclave)
        peers = [self.neighbours.peers.get(number) for number in members]
        if len(members) > self.host.policy.direct_peers_max:
            peers = [peer for peer in peers if peer is not None and peer.link is not None]
        return all(
            peer is not None and peer.link is not None and (peer.greeted_wall_ms + peer.clock_lead_ms >> 10) <= stamp
            for peer in peers
        )

    def restored(self, records: int) -> None:
        """Its own snapshot is read. With something in it only the difference is left to be asked for."""
        self.restoring = False
        self.records += records
        if records:
            self.rounds.note_change()
        if self.host.state == JOINING and records and not self.source:
            self.dumped = self.by_snapshot = True
            self.level_since_ms = self.host.now.ms
            if self.rounds.own is None:
                self.repair.begin()

    def compared(self, mine: int, theirs: int) -> None:
        """Notes how many records each side has in what differs. A snapshot with the smaller part counts as none."""
        if (
            self.host.state == JOINING
            and self.by_snapshot
            and mine * 100 < theirs * self.host.policy.restored_share_percent
        ):
            self.dumped = self.by_snapshot = False

    def doubt(self) -> None:
        """Called when this node was stopped, and others may have decided in its place. It then counts as a joiner that
        lacks the difference, until a digest covers all that was written by now.
        """
        self.host.state, self.doubted, self.asking = JOINING, True, False
        self.started_ms = self.company_ms = self.level_since_ms = self.host.now.ms
        self.source, self.by_snapshot = 0, False
        for peer in self.neighbours.of_enclave():
            peer.greeted_wall_ms, peer.equal_stamp = self.host.now.wall_ms, 0
        self.book.set_me(ready=False)
        self.host.report("joining")
        self.books.tell_all()
        self.host.at(self.host.now.ms, JoinTurn())

    def trusted(self, took_ms: int) -> None:
        """This node was stopped, and nobody has decided in its place."""
        self.host.state, self.asking = READY, False
        self.host.report("ready", f"took_ms={took_ms} records=0 bytes=0 why=nobody_had_suspected_it")
        self.truths.settle()

    def become_ready(self, why: str, warns: bool = False) -> None:
        self.host.state, self.doubted = READY, False
        self.dumped = True  # also if no peer can send a dump
        self.book.set_me(ready=True)
        self.books.tell_all()
        took_ms = self.host.now.ms - self.started_ms
        self.host.report(
            "ready", f"took_ms={took_ms} records={self.records} bytes={self.bytes} why={why.replace(' ', '_')}", warns
        )
        self.truths.settle()
