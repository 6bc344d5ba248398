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

Filters and records are built in slices of the engine's choosing, as jobs that the core runs one slice per tick.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from respram.engine import filters
from respram.engine.replication import DONE, Bucket, Cut, Selection
from respram.errors import PeerError
from respram.gossip import quorum
from respram.gossip.effects import Merge
from respram.gossip.links import Link, Peer
from respram.wire.messages import Buckets, Digest, Filter, Records, Same

if TYPE_CHECKING:
    from respram.gossip.core import Core

YOUNG_MS, ENDING_MS = 1_000, 2_000  # records younger, and those that end sooner, are left out of a digest
SHIFTS = (0, 3, 6, 9, 12, 16, 22)  # of buckets, in granules: 1 s to 51 days
SINCE_MARGIN = 4  # granules before the last equal cut: stamps may have run ahead of the clock then

_DIGEST = Struct("<IIIQQ")
_BUCKET = Struct("<IIQ")
_SELECTION = Struct("<IIBI")
_NUMBER = Struct("<I")
U32 = (1 << 32) - 1
NOT_YET, ALL_SENT, MORE_TO_SEND = range(3)  # Records.last


@dataclass(slots=True)
class Incoming:
    """A filter on its way here, part by part."""

    selection: Selection
    parts: list[bytes | None]


@dataclass(slots=True)
class Round:
    id: int
    peer: Peer
    cut: Cut
    begun: bool  # by this node
    until_ms: int
    selection: Selection | None = None
    incoming: Incoming | None = None
    sent_all: bool = False
    got_all: bool = False
    more: bool = False
    moved: int = 0  # records new here, parts sent there
    refused: bool = False  # the other side did not keep what was sent
    by_since: bool = False


@dataclass(slots=True)
class Repair:
    own: Round | None = None
    others: dict[int, Round] = field(default_factory=dict)  # begun by peers, by their number
    interval_ms: int = 1_000
    order: list[int] = field(default_factory=list)
    busy: bool = False  # something was written or merged since the last round
    # -- numbers for INFO
    rounds: int = 0
    equal: int = 0
    filters_sent: int = 0
    filter_bytes: int = 0
    repaired: int = 0


# -- the side that begins -----------------------------------------------------------------------------
def paced(core: "Core") -> None:
    core.timers.at(core.now.ms + core.jitter(core.repair.interval_ms), "compare")
    begin(core)


def note_change(core: "Core") -> None:
    """Something was written or merged: a pace for quiet times is left within a second."""
    repair = core.repair
    if not repair.busy:
        repair.busy = True
        if repair.interval_ms > core.policy.round_ms:
            repair.interval_ms = core.policy.round_ms
            core.timers.at(core.now.ms + core.jitter(core.policy.round_ms), "compare_soon")


def begin(core: "Core") -> None:
    """Compare with somebody, the LAGGING and the long unreachable first."""
    repair, policy = core.repair, core.policy
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
    peers = [peer for peer in core.enclave_peers() if peer.link is not None]
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
    if not counts:
        finish(core, round)
        return
    round.selection, capacity = _narrowest(core, round, message.shift, counts)
    core.run(_offer(core, round, round.selection, capacity, answer=0))


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


# -- filters --------------------------------------------------------------------------------------
def filtered(core: "Core", link: Link, message: Filter) -> None:
    """A part of the other side's filter; with the last one, what it lacks is sent."""
    peer = link.peer
    assert peer is not None
    round = core.repair.own if message.answer else core.repair.others.get(peer.number)
    if round is None or round.id != message.round or round.peer is not peer:
        return
    selection = _unpack_selection(message.selection)
    if selection.cut != round.cut or (round.begun and selection != round.selection):
        raise PeerError("FILTER is about something else")
    round.until_ms = core.now.ms + core.policy.round_patience_ms
    if message.parts == 0:
        peer.wants = False
        round.sent_all = True
        if not round.begun:
            core.run(_answer(core, round, selection))
        else:
            finish_if_done(core, round)
        return
    peer.wants = True
    if message.part >= message.parts or message.parts > core.policy.filter_parts_max:
        raise PeerError("FILTER has too many parts")
    if round.incoming is None:
        round.incoming = Incoming(selection, [None] * message.parts)
    incoming = round.incoming
    if len(incoming.parts) != message.parts or incoming.selection != selection:
        raise PeerError("FILTER changed between its parts")
    incoming.parts[message.part] = message.payload
    whole = [part for part in incoming.parts if part is not None]
    if len(whole) < message.parts:
        return
    round.incoming = None
    bloom = filters.from_bytes(b"".join(whole))
    core.run(_send_lacking(core, round, bloom, selection))
    if not round.begun:
        core.run(_answer(core, round, selection))


def _answer(core: "Core", round: Round, selection: Selection) -> Iterator[None]:
    """The filter that goes back: of this node's records in the same selection."""
    round.selection = selection
    if selection.since:
        capacity = core.store.count_since(selection.since)
    else:
        buckets = core.store.bucket_digests(selection.cut, selection.shift, core.now.wall_ms)
        capacity = sum(one.records for one in buckets if not selection.buckets or one.number in selection.buckets)
    yield from _offer(core, round, selection, capacity, answer=1)


def _offer(core: "Core", round: Round, selection: Selection, capacity: int, answer: int) -> Iterator[None]:
    """Fills a filter slice by slice and queues its parts."""
    packed = _pack_selection(selection)
    if core.store.full():
        _queue(core, round, Filter(0, 0, round.id, answer, packed, 0, 0, b""))
        round.got_all = True
        finish_if_done(core, round)
        return
    bloom = filters.RecordFilter(min(capacity, filters.CAPACITY_MAX), core.salt(), core.policy.filter_error_rate)
    cursor = 0
    while (cursor := core.store.fill(bloom, selection, cursor, core.store.slice_records)) != DONE:
        yield
    data = bloom.to_bytes()
    size = core.policy.filter_part_bytes
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    core.repair.filters_sent += 1
    core.repair.filter_bytes += len(data)
    for number, part in enumerate(parts):
        while not _queue(core, round, Filter(0, 0, round.id, answer, packed, number, len(parts), part)):
            yield


def _send_lacking(core: "Core", round: Round, bloom: filters.RecordFilter, selection: Selection) -> Iterator[None]:
    """Queues what the filter lacks, soonest to end first, within the round's bytes and the link's patience."""
    cursor, left_bytes = 0, core.policy.records_bytes_max
    while True:
        part_bytes = min(core.policy.records_part_bytes, left_bytes)
        payload, cursor_next = core.store.lacking(bloom, selection, cursor, part_bytes, core.store.slice_records)
        left_bytes -= len(payload)
        stuck = cursor_next == cursor and bool(payload)  # within one granule: the rest comes in the next round
        cursor = cursor_next
        ended = cursor == DONE or left_bytes <= 0 or stuck
        last = NOT_YET if not ended else ALL_SENT if cursor == DONE else MORE_TO_SEND
        if payload:
            round.moved += 1
        if payload or ended:
            while not _queue(core, round, Records(0, 0, round.id, last, payload)):
                yield
        if ended:
            break
        yield
    round.sent_all = True
    round.more = round.more or last == MORE_TO_SEND
    finish_if_done(core, round)


def _queue(core: "Core", round: Round, message: Filter | Records) -> bool:
    """False: enough waits already; try again later. A link that is gone takes everything."""
    link = round.peer.link
    if link is None or not _is_current(core, round):
        return True
    if link.sync and link.sync_bytes + len(message.payload) > core.policy.sync_queue_bytes_max:
        return False
    round.until_ms = core.now.ms + core.policy.round_patience_ms
    link.sync.append(message)
    link.sync_bytes += len(message.payload)
    core.pump(link)
    return True


def _is_current(core: "Core", round: Round) -> bool:
    return (core.repair.own if round.begun else core.repair.others.get(round.peer.number)) is round


# -- records --------------------------------------------------------------------------------------
def recorded(core: "Core", link: Link, message: Records) -> None:
    peer = link.peer
    assert peer is not None
    core.out.append(Merge(link.id, message.seq, message.payload))
    for round in (core.repair.own, core.repair.others.get(peer.number)):
        if round is not None and round.id == message.round and round.peer is peer:
            round.until_ms = core.now.ms + core.policy.round_patience_ms
            if message.last != NOT_YET:
                round.got_all = True
                round.more = round.more or message.last == MORE_TO_SEND


def merged(core: "Core", peer: Peer, new: int) -> None:
    """The engine has taken records of a round over."""
    core.repair.repaired += new
    for round in (core.repair.own, core.repair.others.get(peer.number)):
        if round is not None and round.peer is peer:
            round.moved += new
            finish_if_done(core, round)


def refused(core: "Core", peer: Peer) -> None:
    """The other side did not keep records of ours: sending them again at once would not help."""
    for round in (core.repair.own, core.repair.others.get(peer.number)):
        if round is not None and round.peer is peer:
            round.refused = True


def finish_if_done(core: "Core", round: Round) -> None:
    if round.sent_all and round.got_all and _is_current(core, round):
        finish(core, round)


def finish(core: "Core", round: Round, given_up: bool = False) -> None:
    peer = round.peer
    if not round.begun:
        core.repair.others.pop(peer.number, None)
        return
    core.repair.own = None
    core.repair.rounds += 1
    peer.since_failed = peer.since_failed or (round.by_since and not round.more)
    progress = bool(round.moved) and not given_up and not round.refused
    peer.follow_up = progress
    adapt(core, progress, equal=False)


def adapt(core: "Core", progress: bool, equal: bool) -> None:
    """The pace: at once after progress, once a second while there is something to do, slower while nothing happens or
    nothing helps (a peer whose memory is full differs for ever, and must not cost a transfer every second)."""
    repair, policy = core.repair, core.policy
    if progress:
        repair.interval_ms = policy.round_ms_least
        core.timers.at(core.now.ms + core.jitter(policy.round_ms_least), "compare_soon")
    elif equal and repair.busy:
        repair.interval_ms = policy.round_ms
    else:
        repair.interval_ms = min(max(repair.interval_ms, policy.round_ms) * 2, policy.round_ms_max)
    repair.busy = False


def _pack_selection(selection: Selection) -> bytes:
    cut, shift, buckets, since = selection
    head = _SELECTION.pack(cut.stamp, cut.end, shift, since)
    return head + b"".join(_NUMBER.pack(number) for number in sorted(buckets))


def _unpack_selection(data: bytes) -> Selection:
    if len(data) < _SELECTION.size or (len(data) - _SELECTION.size) % _NUMBER.size:
        raise PeerError("a selection cannot be read")
    stamp, end, shift, since = _SELECTION.unpack_from(data)
    if shift not in SHIFTS:
        raise PeerError("a selection cannot be read")
    buckets = frozenset(number for (number,) in _NUMBER.iter_unpack(data[_SELECTION.size :]))
    return Selection(Cut(stamp, end), shift, buckets, since)
