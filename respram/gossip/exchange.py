"""The second half of a round of comparison: filters in both directions, and the records that they lack.

Filters and records are built in slices of the engine's choosing, as jobs that the core runs one slice per tick.
A job that yields True waits for the other side: what is queued for it has not left yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from respram.engine import filters
from respram.engine.replication import DONE, Cut, Selection
from respram.errors import PeerError
from respram.gossip.delivery import Delivery
from respram.gossip.effects import Host, Merge
from respram.gossip.links import Link
from respram.gossip.other_ids import OtherIds
from respram.gossip.rounds import Incoming, Round, Rounds
from respram.wire.messages import Filter, Records

SHIFTS = (0, 3, 6, 9, 12, 16, 22)  # widths of buckets, as powers of two granules: 1 s to 51 days
NOT_YET, ALL_SENT, MORE_TO_SEND = range(3)  # values of Records.last

_SELECTION = Struct("<IIBI")
_NUMBER = Struct("<I")


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


@dataclass(slots=True, eq=False)
class Exchange:
    host: Host
    rounds: Rounds
    other_ids: OtherIds
    delivery: Delivery

    def salt(self) -> int:
        return self.host.rng.getrandbits(64)

    # -- filters --------------------------------------------------------------------------------------
    def filtered(self, link: Link, message: Filter) -> None:
        """Takes a part of the other side's filter. With the last part, what the filter lacks is sent."""
        peer = link.peer
        assert peer is not None
        round = self.rounds.own if message.answer else self.rounds.others.get(peer.number)
        if round is None or round.id != message.round or round.peer is not peer:
            return
        selection = unpack_selection(message.selection)
        if selection.cut != round.cut or (round.begun and selection != round.selection):
            raise PeerError("FILTER is about something else")
        round.until_ms = self.host.now.ms + self.host.policy.round_patience_ms
        if message.parts == 0:
            peer.wants = False
            round.sent_all = True
            if not round.begun:
                self.host.run(self._answer(round, selection))
            else:
                self.rounds.finish_if_done(round)
            return
        peer.wants = True
        if message.part >= message.parts or message.parts > self.host.policy.filter_parts_max:
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
        self.host.run(self._send_lacking(round, bloom, selection))
        if not round.begun:
            self.host.run(self._answer(round, selection))

    def _answer(self, round: Round, selection: Selection) -> Iterator[bool]:
        """The filter that goes back: of this node's records in the same selection."""
        round.selection = selection
        if selection.since:
            capacity = self.host.store.count_since(selection.since)
        else:
            buckets = self.host.store.bucket_digests(selection.cut, selection.shift, self.host.now.wall_ms)
            capacity = sum(one.records for one in buckets if not selection.buckets or one.number in selection.buckets)
        yield from self.offer(round, selection, capacity, answer=1)

    def offer(self, round: Round, selection: Selection, capacity: int, answer: int) -> Iterator[bool]:
        """Fills a filter slice by slice and queues its parts."""
        packed = pack_selection(selection)
        if self.host.store.full():
            self._queue(round, Filter(0, 0, round.id, answer, packed, 0, 0, b""))
            round.got_all = True
            self.rounds.finish_if_done(round)
            return
        policy = self.host.policy
        error_rate = (
            policy.small_filter_error_rate if capacity <= policy.small_filter_records else policy.filter_error_rate
        )
        bloom = filters.RecordFilter(min(capacity, filters.CAPACITY_MAX), self.salt(), error_rate)
        cursor = 0
        while (cursor := self.host.store.fill(bloom, selection, cursor, self.host.store.slice_records)) != DONE:
            yield False
        data = bloom.to_bytes()
        size = self.host.policy.filter_part_bytes
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        self.rounds.filters_sent += 1
        self.rounds.filter_bytes += len(data)
        for number, part in enumerate(parts):
            while not self._queue(round, Filter(0, 0, round.id, answer, packed, number, len(parts), part)):
                yield True

    def _send_lacking(self, round: Round, bloom: filters.RecordFilter, selection: Selection) -> Iterator[bool]:
        """Queues the records that the filter lacks, those with the earliest deadline first, within the round's
        limits."""
        cursor, left_bytes = 0, self.host.policy.records_bytes_max
        while True:
            part_bytes = min(self.host.policy.records_part_bytes, left_bytes)
            payload, cursor = self.host.store.lacking(
                bloom, selection, cursor, part_bytes, self.host.store.slice_records
            )
            left_bytes -= len(payload)
            ended = cursor == DONE or left_bytes <= 0
            last = NOT_YET if not ended else ALL_SENT if cursor == DONE else MORE_TO_SEND
            if payload:
                round.moved += 1
            if payload or ended:
                while not self._queue(round, Records(0, 0, round.id, last, payload)):
                    yield True
            if ended:
                break
            yield False
        round.sent_all = True
        round.more = round.more or last == MORE_TO_SEND
        self.rounds.finish_if_done(round)

    def _queue(self, round: Round, message: Filter | Records) -> bool:
        """Queues a frame. False: too much waits already; try again later. A link that is gone accepts everything."""
        link = round.peer.link
        if link is None or not self.rounds.is_current(round):
            return True
        if link.sync and link.sync_bytes + len(message.payload) > self.host.policy.sync_queue_bytes_max:
            return False
        round.until_ms = self.host.now.ms + self.host.policy.round_patience_ms
        link.sync.append(message)
        link.sync_bytes += len(message.payload)
        self.delivery.pump(link)
        return True

    # -- records --------------------------------------------------------------------------------------
    def recorded(self, link: Link, message: Records) -> None:
        peer = link.peer
        assert peer is not None
        link.repairs.add(message.seq)
        self.host.emit(Merge(link.id, message.seq, message.payload))
        for round in (self.rounds.own, self.rounds.others.get(peer.number)):
            if round is not None and round.id == message.round and round.peer is peer:
                round.until_ms = self.host.now.ms + self.host.policy.round_patience_ms
                if message.last != NOT_YET:
                    round.got_all = True
                    round.more = round.more or message.last == MORE_TO_SEND

    def merged(self, link: Link, seq: int, new: int) -> None:
        """Notes that the engine has merged a frame, perhaps one of a round."""
        peer = link.peer
        if seq not in link.repairs or peer is None:
            return
        link.repairs.remove(seq)
        self.rounds.repaired += new
        if new:
            self.other_ids.owe_all()
        for round in (self.rounds.own, self.rounds.others.get(peer.number)):
            if round is not None and round.peer is peer:
                round.moved += new
                self.rounds.finish_if_done(round)
