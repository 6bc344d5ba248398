"""Anti-entropy: digest, bucket digests, filters, records; then the next round, under a new salt.

    A (begins)                                   B
    DIGEST cut, records, sum        ->
                                    <-           SAME, or BUCKETS: its bucket digests within A's cut
    FILTER of what A has in the buckets that differ, or written since the last equal digest
                                    ->
                                    <-           RECORDS that A's filter lacks
                                    <-           FILTER of what B has in the same selection
    RECORDS that B's filter lacks   ->

A filter tells its receiver what its sender lacks; so each side pushes what the other lacks. Whatever a filter passes
over by chance is found in the next round, because its salt is new. A converged pair exchanges DIGEST and SAME: 81
bytes.

"Since" goes by stamp. It is taken when it is the smaller filter, and not again before the next equal digest once a
round by it did not lead to one: then something with an old stamp is missing, and the buckets find it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from respram.engine.replication import BucketDigest, Cut, Selection
from respram.errors import PeerError
from respram.gossip.books import Books
from respram.gossip.effects import Host
from respram.gossip.exchange import SHIFTS, Exchange
from respram.gossip.links import Link, Peer
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.other_ids import OtherIds
from respram.gossip.quorum import Quorum
from respram.gossip.rounds import Round, Rounds
from respram.gossip.timers import RoundTurn
from respram.wire.messages import Buckets, Digest, Same

YOUNG_MS, ENDING_MS = 1_000, 2_000  # a digest leaves out younger records, and those that end sooner
YOUNGEST_AHEAD = 4  # granules by which the newest stamp may be ahead of the clock, in comparisons of all records
SINCE_MARGIN = 4  # granules before the last equal cut: stamps may have been ahead of the clock then

_DIGEST = Struct("<IIIQQ")
_BUCKET = Struct("<IIQ")
U32 = (1 << 32) - 1


@dataclass(slots=True, eq=False)
class Repair:
    host: Host
    book: AddressBook
    books: Books
    neighbours: Neighbours
    rounds: Rounds
    exchange: Exchange
    other_ids: OtherIds
    quorum: Quorum
    among_joiners: bool = False  # no member is ready: joining members compare with each other
    has_dump: Callable[[], bool] = lambda: True
    on_equal: Callable[[Peer], None] = lambda peer: None
    # Called with the number of records in what differs.
    on_compared: Callable[[int, int], None] = lambda mine, theirs: None

    # -- the side that begins -----------------------------------------------------------------------------
    def paced(self) -> None:
        self.host.at(self.host.now.ms + self.host.jitter(self.rounds.interval_ms), RoundTurn())
        self.other_ids.pay()
        self.begin()

    def hurried(self, due_ms: int) -> None:
        if due_ms == self.rounds.soon_ms:  # otherwise an earlier round has taken its place
            self.rounds.soon_ms = 0
            self.begin()

    def begin(self) -> None:
        """Begins a round with a peer, LAGGING and long unreachable peers first."""
        rounds = self.rounds
        if not self.has_dump():
            return  # the dump brings them; filters would bring the same records twice
        if rounds.own is not None:
            if rounds.own.until_ms > self.host.now.ms:
                return
            rounds.finish(rounds.own, given_up=True)
        self._let_go()
        peer = self.choose()
        if peer is None or peer.link is None:
            return
        cut = Cut((self.host.now.wall_ms - YOUNG_MS >> 10) - 1, self.host.now.wall_ms + ENDING_MS >> 10)
        self._open(peer, peer.link, cut)

    def compare(self, peer: Peer) -> Round | None:
        """Now, with this one, and with all that is there: the young records and those that end soon. How it ended:
        `on_ended`. (A round with somebody else is dropped: the next one does its work.)
        """
        cut = Cut((self.host.now.wall_ms >> 10) + YOUNGEST_AHEAD, self.host.now.wall_ms >> 10)
        return self.compare_by(peer, cut)

    def compare_by(self, peer: Peer, cut: Cut) -> Round | None:
        """The same of what belongs to this cut."""
        if peer.link is None:
            return None
        self.rounds.own = None
        self._open(peer, peer.link, cut)
        if self.rounds.own is not None:
            self.rounds.own.urgent = True
        return self.rounds.own

    def _covered(self, cut: Cut) -> int:
        """Of the granule that is not over yet more may come."""
        return min(cut.stamp, (self.host.now.wall_ms >> 10) - 1)

    def _open(self, peer: Peer, link: Link, cut: Cut) -> None:
        digest = self.host.store.digest(cut, self.host.now.wall_ms)
        if digest is None:
            return
        until_ms = self.host.now.ms + self.host.policy.round_patience_ms
        self.rounds.own = Round(self.host.rng.getrandbits(16), peer, cut, self._covered(cut), True, until_ms)
        payload = _DIGEST.pack(cut.stamp, cut.end, digest.records & U32, digest.sum, self.book.sum)
        self.host.send(link.id, Digest(self.rounds.own.id, payload))

    def choose(self) -> Peer | None:
        """Chooses the next peer, but none that is filling up: it begins itself when it has its dump."""
        linked = [peer for peer in self.neighbours.of_enclave() if peer.link is not None and not peer.foreign]
        peers = [peer for peer in linked if self.among_joiners or self.book[peer.number].ready]
        if not peers:
            return None
        for first in (
            [peer for peer in peers if peer.lagging_ms is not None],
            [peer for peer in peers if peer.unreachable or not peer.equal_stamp],
            [peer for peer in peers if peer.follow_up],
        ):
            # not only these: a peer that never becomes equal must not hold up the others
            if first and self.host.rng.random() < 0.75:
                return self.host.rng.choice(first)
        return self.host.rng.choice(peers)

    def _let_go(self) -> None:
        """Drops rounds of peers that went silent."""
        for number in [number for number, one in self.rounds.others.items() if one.until_ms <= self.host.now.ms]:
            del self.rounds.others[number]

    def same(self, link: Link, message: Same) -> None:
        round = self.rounds.own
        if round is None or round.id != message.round or round.peer.link is not link:
            return
        self.rounds.own = None
        self.rounds.done += 1
        self.equal(round.peer, round.covers)
        self.rounds.adapt(progress=False, equal=True)
        self.rounds.on_ended(round, True)

    def equal(self, peer: Peer, stamp: int) -> None:
        """All that has a stamp up to this granule."""
        self.rounds.equal += 1
        peer.equal_stamp = max(peer.equal_stamp, stamp)
        peer.since_failed = peer.follow_up = peer.unreachable = peer.differs = False
        peer.fruitless = peer.rest_until_ms = 0
        if peer.lagging_ms is not None and self.host.now.ms - peer.lagging_ms > 4 * YOUNG_MS:
            peer.lagging_ms = None
            self.host.report("level", f"peer={peer.number:016x}")
        self.quorum.equal(peer, stamp)
        self.neighbours.count_differing()
        self.on_equal(peer)

    def bucketed(self, link: Link, message: Buckets) -> None:
        """Called when the totals differ: compares the buckets, and sends a filter of those that differ."""
        round = self.rounds.own
        if round is None or round.id != message.round or round.peer.link is not link or round.selection is not None:
            return
        if message.shift not in SHIFTS or len(message.payload) % _BUCKET.size:
            raise PeerError("BUCKETS cannot be read")
        peer = round.peer
        if self.rounds.rests(peer) and not round.urgent:
            self.rounds.finish(round, given_up=True)
            return
        self.neighbours.set_differs(peer)
        round.until_ms = self.host.now.ms + self.host.policy.round_patience_ms
        theirs = {number: (count, total) for number, count, total in _BUCKET.iter_unpack(message.payload)}
        mine = {
            one.number: (one.records & U32, one.sum)
            for one in self.host.store.bucket_digests(round.cut, message.shift, self.host.now.wall_ms)
        }
        counts = {
            number: (mine.get(number, (0, 0))[0], theirs.get(number, (0, 0))[0])
            for number in sorted(mine.keys() | theirs.keys())
            if mine.get(number) != theirs.get(number)
        }
        self.on_compared(sum(own for own, _ in mine.values()), sum(other for other, _ in theirs.values()))
        if not counts:
            self.rounds.finish(round)
            return
        round.selection, capacity = self._narrowest(round, message.shift, counts)
        self.host.run(self.exchange.offer(round, round.selection, capacity, answer=0))

    def _narrowest(self, round: Round, shift: int, counts: dict[int, tuple[int, int]]) -> tuple[Selection, int]:
        """Since the last equal digest, or the differing buckets, soonest first: whichever is fewer records."""
        peer = round.peer
        if peer.equal_stamp and not peer.since_failed:
            since = max(peer.equal_stamp - SINCE_MARGIN, 1)
            written = self.host.store.count_since(since)
            if written <= sum(own for own, _ in counts.values()) and written <= self.host.policy.filter_records_max:
                round.by_since = True
                return Selection(round.cut, 0, frozenset(), since), written
        chosen: list[int] = []
        capacity = records = 0
        for number, (own, other) in counts.items():
            if chosen and records + max(own, other) > self.host.policy.filter_records_max:
                break
            chosen.append(number)
            records += max(own, other)
            capacity += own
        return Selection(round.cut, shift, frozenset(chosen), 0), capacity

    # -- the side that is asked ---------------------------------------------------------------------------
    def digested(self, link: Link, message: Digest) -> None:
        peer = link.peer
        assert peer is not None
        if peer.foreign:
            raise PeerError("DIGEST under another key")
        if len(message.payload) != _DIGEST.size:
            raise PeerError("DIGEST cannot be read")
        stamp, end, records, total, book_sum = _DIGEST.unpack(message.payload)
        cut = Cut(stamp, end)
        own = self.host.store.digest(cut, self.host.now.wall_ms)
        if own is None:
            self.neighbours.hangup(link, "its cut lies too far back: one of the clocks is wrong")
            return
        if (own.records & U32, own.sum) == (records, total):
            self.host.send(link.id, Same(message.round))
            self.equal(peer, self._covered(cut))
        else:
            if not self.rounds.rests(peer):
                self.neighbours.set_differs(peer)
            until_ms = self.host.now.ms + self.host.policy.round_patience_ms
            self.rounds.others[peer.number] = Round(message.round, peer, cut, self._covered(cut), False, until_ms)
            shift, buckets = self._buckets(cut)
            payload = b"".join(_BUCKET.pack(one[0], one[1] & U32, one[2]) for one in buckets)
            self.host.send(link.id, Buckets(message.round, shift, payload))
        if book_sum != self.book.sum:
            self.books.compare(link)

    def _buckets(self, cut: Cut) -> tuple[int, list[BucketDigest]]:
        """The finest buckets that fit a message. Coarser ones are sums of the finest, so the engine is asked once."""
        fine = self.host.store.bucket_digests(cut, 0, self.host.now.wall_ms)
        for shift in SHIFTS:
            sums: dict[int, list[int]] = {}
            for number, records, total in fine:
                tally = sums.setdefault(number >> shift, [0, 0])
                tally[0] += records
                tally[1] += total
            if len(sums) <= self.host.policy.buckets_max:
                break
        return shift, [BucketDigest(number, one[0], one[1] & (1 << 64) - 1) for number, one in sums.items()]
