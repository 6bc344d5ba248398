"""The second half of a round: filters both ways, and the records that they lack.

Filters and records are built in slices of the engine's choosing, as jobs that the core runs one slice per tick.
A job that yields True waits for the other side: what is queued for it has not left yet.
"""

from collections.abc import Iterator
from struct import Struct
from typing import TYPE_CHECKING

from respram.engine import filters
from respram.engine.replication import DONE, Cut, Selection
from respram.errors import PeerError
from respram.gossip import foreign
from respram.gossip.effects import Merge
from respram.gossip.links import Link
from respram.gossip.rounds import Incoming, Round, finish_if_done, is_current
from respram.wire.messages import Filter, Records

if TYPE_CHECKING:
    from respram.gossip.core import Core

SHIFTS = (0, 3, 6, 9, 12, 16, 22)  # of buckets, in granules: 1 s to 51 days
NOT_YET, ALL_SENT, MORE_TO_SEND = range(3)  # Records.last

_SELECTION = Struct("<IIBI")
_NUMBER = Struct("<I")


# -- filters --------------------------------------------------------------------------------------
def filtered(core: "Core", link: Link, message: Filter) -> None:
    """A part of the other side's filter; with the last one, what it lacks is sent."""
    peer = link.peer
    assert peer is not None
    round = core.repair.own if message.answer else core.repair.others.get(peer.number)
    if round is None or round.id != message.round or round.peer is not peer:
        return
    selection = unpack_selection(message.selection)
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


def _answer(core: "Core", round: Round, selection: Selection) -> Iterator[bool]:
    """The filter that goes back: of this node's records in the same selection."""
    round.selection = selection
    if selection.since:
        capacity = core.store.count_since(selection.since)
    else:
        buckets = core.store.bucket_digests(selection.cut, selection.shift, core.now.wall_ms)
        capacity = sum(one.records for one in buckets if not selection.buckets or one.number in selection.buckets)
    yield from offer(core, round, selection, capacity, answer=1)


def offer(core: "Core", round: Round, selection: Selection, capacity: int, answer: int) -> Iterator[bool]:
    """Fills a filter slice by slice and queues its parts."""
    packed = pack_selection(selection)
    if core.store.full():
        _queue(core, round, Filter(0, 0, round.id, answer, packed, 0, 0, b""))
        round.got_all = True
        finish_if_done(core, round)
        return
    policy = core.policy
    error_rate = policy.small_filter_error_rate if capacity <= policy.small_filter_records else policy.filter_error_rate
    bloom = filters.RecordFilter(min(capacity, filters.CAPACITY_MAX), core.salt(), error_rate)
    cursor = 0
    while (cursor := core.store.fill(bloom, selection, cursor, core.store.slice_records)) != DONE:
        yield False
    data = bloom.to_bytes()
    size = core.policy.filter_part_bytes
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    core.repair.filters_sent += 1
    core.repair.filter_bytes += len(data)
    for number, part in enumerate(parts):
        while not _queue(core, round, Filter(0, 0, round.id, answer, packed, number, len(parts), part)):
            yield True


def _send_lacking(core: "Core", round: Round, bloom: filters.RecordFilter, selection: Selection) -> Iterator[bool]:
    """Queues what the filter lacks, soonest to end first, within the round's bytes and the link's patience."""
    cursor, left_bytes = 0, core.policy.records_bytes_max
    while True:
        part_bytes = min(core.policy.records_part_bytes, left_bytes)
        payload, cursor = core.store.lacking(bloom, selection, cursor, part_bytes, core.store.slice_records)
        left_bytes -= len(payload)
        ended = cursor == DONE or left_bytes <= 0
        last = NOT_YET if not ended else ALL_SENT if cursor == DONE else MORE_TO_SEND
        if payload:
            round.moved += 1
        if payload or ended:
            while not _queue(core, round, Records(0, 0, round.id, last, payload)):
                yield True
        if ended:
            break
        yield False
    round.sent_all = True
    round.more = round.more or last == MORE_TO_SEND
    finish_if_done(core, round)


def _queue(core: "Core", round: Round, message: Filter | Records) -> bool:
    """False: enough waits already; try again later. A link that is gone takes everything."""
    link = round.peer.link
    if link is None or not is_current(core, round):
        return True
    if link.sync and link.sync_bytes + len(message.payload) > core.policy.sync_queue_bytes_max:
        return False
    round.until_ms = core.now.ms + core.policy.round_patience_ms
    link.sync.append(message)
    link.sync_bytes += len(message.payload)
    core.pump(link)
    return True


# -- records --------------------------------------------------------------------------------------
def recorded(core: "Core", link: Link, message: Records) -> None:
    peer = link.peer
    assert peer is not None
    link.repairs.add(message.seq)
    core.out.append(Merge(link.id, message.seq, message.payload))
    for round in (core.repair.own, core.repair.others.get(peer.number)):
        if round is not None and round.id == message.round and round.peer is peer:
            round.until_ms = core.now.ms + core.policy.round_patience_ms
            if message.last != NOT_YET:
                round.got_all = True
                round.more = round.more or message.last == MORE_TO_SEND


def merged(core: "Core", link: Link, seq: int, new: int) -> None:
    """The engine has taken a frame over, perhaps of a round."""
    peer = link.peer
    if seq not in link.repairs or peer is None:
        return
    link.repairs.remove(seq)
    core.repair.repaired += new
    if new:
        foreign.owe_all(core)
    for round in (core.repair.own, core.repair.others.get(peer.number)):
        if round is not None and round.peer is peer:
            round.moved += new
            finish_if_done(core, round)


def pack_selection(selection: Selection) -> bytes:
    cut, shift, buckets, since = selection
    head = _SELECTION.pack(cut.stamp, cut.end, shift, since)
    return head + b"".join(_NUMBER.pack(number) for number in sorted(buckets))


def unpack_selection(data: bytes) -> Selection:
    if len(data) < _SELECTION.size or (len(data) - _SELECTION.size) % _NUMBER.size:
        raise PeerError("a selection cannot be read")
    stamp, end, shift, since = _SELECTION.unpack_from(data)
    if shift not in SHIFTS:
        raise PeerError("a selection cannot be read")
    buckets = frozenset(number for (number,) in _NUMBER.iter_unpack(data[_SELECTION.size :]))
    return Selection(Cut(stamp, end), shift, buckets, since)
