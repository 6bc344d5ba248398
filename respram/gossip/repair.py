"""Anti-entropy: digest, bucket digests, filters, records; then the next round, under a new salt.

    A (begins)                                   B
    DIGEST cut, records, sum        ->
                                    <-           SAME, or BUCKETS: its bucket digests within A's cut
    FILTER of what A has in the buckets that differ, or written since the last equal digest
                                    ->
                                    <-           RECORDS that A's filter lacks
                                    <-           FILTER of what B has in the same selection
    RECORDS that B's filter lacks   ->

A filter tells its receiver what its sender lacks; so each side pushes what the other lacks. Whatever a filter passes over
by chance is found in the next round, because its salt is new. A converged pair exchanges DIGEST and SAME: 81 bytes.

"Since" goes by stamp. It is taken when it is the smaller filter, and not again before the next equal digest once a round by
it did not lead to one: then something with an old stamp is missing, and the buckets find it.
"""

from struct import Struct
from typing import TYPE_CHECKING

from respram.engine.replication import Bucket, Cut, Selection
from respram.errors import PeerError
from respram.gossip import foreign, quorum
from respram.gossip.exchange import SHIFTS, offer
from respram.gossip.links import Link, Peer
from respram.gossip.rounds import Round, adapt, finish, rests
from respram.wire.messages import Buckets, Digest, Same

if TYPE_CHECKING:
    from respram.gossip.core import Core

YOUNG_MS, ENDING_MS = 1_000, 2_000  # records younger, and those that end sooner, are left out of a digest
SINCE_MARGIN = 4  # granules before the last equal cut: stamps may have run ahead of the clock then

_DIGEST = Struct("<IIIQQ")
_BUCKET = Struct("<IIQ")
U32 = (1 << 32) - 1


# -- the side that begins -----------------------------------------------------------------------------
def paced(core: "Core") -> None:
    core.timers.at(core.now.ms + core.jitter(core.repair.interval_ms), "compare")
    foreign.pay(core)
    begin(core)


def hurried(core: "Core", due_ms: int) -> None:
    if due_ms == core.repair.soon_ms:  # else a sooner one took its place
        core.repair.soon_ms = 0
        begin(core)


def begin(core: "Core") -> None:
    """Compare with somebody, the LAGGING and the long unreachable first."""
    repair, policy = core.repair, core.policy
    if not core.boot.dumped:
        return  # the dump brings it: what filters find meanwhile would come twice
    if repair.own is not None:
        if repair.own.until_ms > core.now.ms:
            return
        finish(core, repair.own, given_up=True)
    _let_go(core)
    peer = choose(core)
    if peer is None or peer.link is None:
        return
    cut = Cut((core.now.wall_ms - YOUNG_MS >> 10) - 1, core.now.wall_ms + ENDING_MS >> 10)
    digest = core.store.digest(cut, core.now.wall_ms)
    if digest is None:
        return
    repair.own = Round(core.rng.getrandbits(16), peer, cut, True, core.now.ms + policy.round_patience_ms)
    payload = _DIGEST.pack(cut.stamp, cut.end, digest.records & U32, digest.sum, core.book.sum)
    core.send(peer.link, Digest(repair.own.id, payload))


def choose(core: "Core") -> Peer | None:
    """Nobody who is still filling up: it compares by itself when it has its dump."""
    peers = [peer for peer in core.enclave_peers() if peer.link is not None and core.book[peer.number].ready and not peer.foreign]
    if not peers:
        return None
    for first in (
        [peer for peer in peers if peer.lagging_ms is not None],
        [peer for peer in peers if peer.unreachable or not peer.equal_stamp],
        [peer for peer in peers if peer.follow_up],
    ):
        if first and core.rng.random() < 0.75:  # never only these: one that never becomes equal must not hold up all
            return core.rng.choice(first)
    return core.rng.choice(peers)


def _let_go(core: "Core") -> None:
    """Rounds of others that went silent."""
    for number in [number for number, one in core.repair.others.items() if one.until_ms <= core.now.ms]:
        del core.repair.others[number]


def same(core: "Core", link: Link, message: Same) -> None:
    round = core.repair.own
    if round is None or round.id != message.round or round.peer.link is not link:
        return
    core.repair.own = None
    core.repair.rounds += 1
    equal(core, round.peer, round.cut)
    adapt(core, progress=False, equal=True)


def equal(core: "Core", peer: Peer, cut: Cut) -> None:
    core.repair.equal += 1
    peer.equal_stamp = max(peer.equal_stamp, cut.stamp)
    peer.since_failed = peer.follow_up = peer.unreachable = peer.differs = False
    peer.fruitless = peer.rest_until_ms = 0
    if peer.lagging_ms is not None and core.now.ms - peer.lagging_ms > 4 * YOUNG_MS:
        peer.lagging_ms = None
        core.report("level", f"peer={peer.number:016x}")
    quorum.equal(core, peer, cut.stamp)
    core.bootstrap_equal(peer)


def bucketed(core: "Core", link: Link, message: Buckets) -> None:
    """The totals differ: find out where, and tell what is here."""
    round = core.repair.own
    if round is None or round.id != message.round or round.peer.link is not link or round.selection is not None:
        return
    if message.shift not in SHIFTS or len(message.payload) % _BUCKET.size:
        raise PeerError("BUCKETS cannot be read")
    peer = round.peer
    if rests(core, peer):
        finish(core, round, given_up=True)
        return
    core.set_differs(peer)
    round.until_ms = core.now.ms + core.policy.round_patience_ms
    theirs = {number: (count, total) for number, count, total in _BUCKET.iter_unpack(message.payload)}
    mine = {
        one.number: (one.records & U32, one.sum)
        for one in core.store.bucket_digests(round.cut, message.shift, core.now.wall_ms)
    }
    counts = {
        number: (mine.get(number, (0, 0))[0], theirs.get(number, (0, 0))[0])
        for number in sorted(mine.keys() | theirs.keys())
        if mine.get(number) != theirs.get(number)
    }
    core.bootstrap_compared(sum(own for own, _ in mine.values()), sum(other for other, _ in theirs.values()))
    if not counts:
        finish(core, round)
        return
    round.selection, capacity = _narrowest(core, round, message.shift, counts)
    core.run(offer(core, round, round.selection, capacity, answer=0))


def _narrowest(core: "Core", round: Round, shift: int, counts: dict[int, tuple[int, int]]) -> tuple[Selection, int]:
    """Since the last equal digest, or the differing buckets, soonest first: whichever is fewer records."""
    peer = round.peer
    if peer.equal_stamp and not peer.since_failed:
        since = max(peer.equal_stamp - SINCE_MARGIN, 1)
        written = core.store.count_since(since)
        if written <= sum(own for own, _ in counts.values()) and written <= core.policy.filter_records_max:
            round.by_since = True
            return Selection(round.cut, 0, frozenset(), since), written
    chosen: list[int] = []
    capacity = records = 0
    for number, (own, other) in counts.items():
        if chosen and records + max(own, other) > core.policy.filter_records_max:
            break
        chosen.append(number)
        records += max(own, other)
        capacity += own
    return Selection(round.cut, shift, frozenset(chosen), 0), capacity


# -- the side that is asked ---------------------------------------------------------------------------
def digested(core: "Core", link: Link, message: Digest) -> None:
    peer = link.peer
    assert peer is not None
    if peer.foreign:
        raise PeerError("DIGEST under another key")
    if len(message.payload) != _DIGEST.size:
        raise PeerError("DIGEST cannot be read")
    stamp, end, records, total, book_sum = _DIGEST.unpack(message.payload)
    cut = Cut(stamp, end)
    own = core.store.digest(cut, core.now.wall_ms)
    if own is None:
        core.hangup(link, "its cut lies too far back: one of the clocks is wrong")
        return
    if (own.records & U32, own.sum) == (records, total):
        core.send(link, Same(message.round))
        equal(core, peer, cut)
    else:
        if not rests(core, peer):
            core.set_differs(peer)
        core.repair.others[peer.number] = Round(
            message.round, peer, cut, False, core.now.ms + core.policy.round_patience_ms
        )
        shift, buckets = _buckets(core, cut)
        core.send(
            link, Buckets(message.round, shift, b"".join(_BUCKET.pack(one[0], one[1] & U32, one[2]) for one in buckets))
        )
    if book_sum != core.book.sum:
        core.compare_books(link)


def _buckets(core: "Core", cut: Cut) -> tuple[int, list[Bucket]]:
    """The finest buckets that fit a message. Coarser ones are sums of the finest, so the engine is asked once."""
    fine = core.store.bucket_digests(cut, 0, core.now.wall_ms)
    for shift in SHIFTS:
        sums: dict[int, list[int]] = {}
        for number, records, total in fine:
            tally = sums.setdefault(number >> shift, [0, 0])
            tally[0] += records
            tally[1] += total
        if len(sums) <= core.policy.buckets_max:
            break
    return shift, [Bucket(number, one[0], one[1] & (1 << 64) - 1) for number, one in sums.items()]
