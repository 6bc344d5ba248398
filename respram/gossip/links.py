"""Links and their peers: sequence numbers, acknowledgements, the two limits, priorities, LAGGING.

A *link* is one connection; a *peer* is the node at its other end, and outlives the link: what it has not
acknowledged is sent again on the next one. Sequenced frames (data) count against the link's window:

    pushes   up to 4 MiB in flight, and up to 16 MiB waiting
    sync     filters and records, while less than 2 MiB is in flight
    dump     while less than 1 MiB of dump is in flight; chunks are made only when they fit

Control and acknowledgements are small, bounded by timers, and pass at once. So priorities need no queue of queues: a
more important kind of frame may fill more of the window. A frame larger than the window goes when nothing is in flight.

Waiting pushes are batches shared by all peers, as they were drained: not touched, not unpacked. Only where a slow peer
lets them grow beyond 1 MiB is the queue searched for overwritten versions: keyed by key, the newer record replaces the
older. What still passes 16 MiB is dropped as a whole, and the peer is LAGGING until a digest is equal again.

TCP loses nothing; frames are sent again all the same when a link stands still, within narrow bounds, because the same
core runs over a network that loses them. After six attempts without progress the link is given up.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from struct import Struct

from respram.gossip.effects import Effect, Send
from respram.gossip.members import Member
from respram.gossip.policy import Policy, Said
from respram.record import slices, split
from respram.wire.messages import RECORDS_KIND, Ack, Dumped, Filter, Push, Records, Sequenced

FRAME_BYTES = 128  # bound of a frame without its payload
COMPACT_BATCHES = 8  # it is not worth searching fewer, larger batches
_U64 = Struct("<Q")

Emit = Callable[[Effect], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Records or a publication, waiting for a peer."""

    origin: int
    number: int
    spread: int
    kind: int
    payload: bytes
    made_ms: int  # when its oldest part was queued
    own: int = 0  # the highest number of this node's batches in it; 0: none
    own_least: int = 0


@dataclass(slots=True)
class Flight:
    message: Sequenced
    sent_ms: int
    size: int
    batch: Batch | None
    refused: bool = False


@dataclass(slots=True, eq=False)
class Peer:
    """A neighbouring node and what is known of it, whether or not it is linked now."""

    number: int
    link: "Link | None" = None
    queue: deque[Batch] = field(default_factory=deque)
    queue_bytes: int = 0
    compact_at_bytes: int = 0
    lagging_ms: int | None = None  # since when pushes to it were dropped
    rtt_ms: float | None = None
    heard_ms: int = 0
    said: Said | None = None  # the settings that it announced last
    greeted_wall_ms: int = 0  # Unix time of its first HELLO: since then it pushes to this node
    clock_lead_ms: int = 0  # by how much its clock was ahead of this one then
    # -- quorum: own batches it is known to hold
    joined_at: int = 0  # the last batch before pushes began
    held_through: int = 0  # an equal digest covered all batches up to this one
    refused: deque[int] = field(default_factory=lambda: deque(maxlen=1024))  # numbers of batches that it did not store
    # -- comparison
    foreign: bool = False  # its record ids use another key: other_ids.py
    owed: bool = False  # if foreign: it may lack records of this node
    equal_stamp: int = 0  # stamp granule of the last equal digest; 0: none
    since_failed: bool = False
    differs: bool = False
    unreachable: bool = False  # it was lost during isolation, and is compared with first
    fruitless: int = 0  # rounds since the last equal digest, or since the last that moved something
    rest_until_ms: int = 0  # no filters are exchanged before, after such rounds
    members_ms: int = -1_000_000  # when address books were last exchanged
    follow_up: bool = False  # the last round left something to do
    wants: bool = True  # False: it takes no records at present
    redial_ms: int = 0
    redial_at_ms: int = 0


@dataclass(slots=True, eq=False)
class Link:
    id: int
    address: bytes  # that was dialled; b"" if the link was accepted
    opened_ms: int
    peer: Peer | None = None  # set by HELLO
    member: Member | None = None
    same_enclave: bool = False
    shown: int = 0  # number of the key of the certificate that was shown (identity.py); 0: none
    named: int = 0  # the node that an operator's certificate names; 0: none
    vouches: bool = False  # of this enclave, with support for VOUCH
    # -- sending
    next_seq: int = 1
    in_flight: "OrderedDict[int, Flight]" = field(default_factory=OrderedDict)
    in_flight_bytes: int = 0
    dump_bytes: int = 0
    sync: deque[Filter | Records] = field(default_factory=deque)
    sync_bytes: int = 0
    resends: int = 0
    resend_timer: bool = False
    dump_point: int | None = None  # position of the dump for this peer; None: no dump
    levels: bool = False  # nobody asked for the dump: other_ids.py
    level_number: int = 0  # number of the last own batch at its start
    feeding: bool = False  # a job is making its chunks
    # -- receiving
    received: int = 0  # all frames up to this number were received and handled
    out_of_order: set[int] = field(default_factory=set)
    pending: set[int] = field(default_factory=set)  # numbers of frames in the engine whose outcome is not known yet
    repairs: set[int] = field(default_factory=set)  # those of them that come from comparison
    acked: int = 0
    unacked_bytes: int = 0
    refused: list[int] = field(default_factory=list)
    ack_timer: bool = False
    nudged: bool = False
    questioned: bool = False  # the member at the other end was asked whether it is alive

    @property
    def dialled(self) -> bool:
        return bool(self.address)


# -- sending --------------------------------------------------------------------------------------
def enqueue(peer: Peer, batch: Batch, policy: Policy, now_ms: int, own_number: int) -> bool:
    """Appends a batch to the queue. False: the queue overflowed and was dropped; the peer is LAGGING."""
    peer.queue.append(batch)
    peer.queue_bytes += len(batch.payload) + FRAME_BYTES
    if len(peer.queue) >= COMPACT_BATCHES and peer.queue_bytes > max(policy.compact_bytes, peer.compact_at_bytes):
        compact(peer, policy)
    if peer.queue_bytes <= policy.queue_bytes_max or len(peer.queue) == 1:
        return True
    drop_queue(peer, now_ms, own_number)
    return False


def drop_queue(peer: Peer, now_ms: int, own_number: int) -> None:
    peer.queue.clear()
    peer.queue_bytes = peer.compact_at_bytes = 0
    peer.joined_at = max(peer.joined_at, own_number)
    peer.owed = True
    if peer.lagging_ms is None:
        peer.lagging_ms = now_ms


def compact(peer: Peer, policy: Policy) -> None:
    """Leaves the last version of each key in a queue, in batches of the usual size. Publications keep their order
    behind the writes that came before them: records only ever move forward."""
    latest: dict[tuple[int, bytes], bytes] = {}
    others: list[Batch] = []
    own, least = 0, 0
    made_ms = min((batch.made_ms for batch in peer.queue), default=0)
    for batch in peer.queue:
        if batch.kind != RECORDS_KIND:
            others.append(batch)
            continue
        own = max(own, batch.own)
        least = min(least or batch.own_least, batch.own_least or least)
        for name, start, end in slices(batch.payload):
            latest.pop(name, None)
            latest[name] = batch.payload[start:end]
    peer.queue.clear()
    whole = b"".join(latest.values())
    for part in split(whole, policy.batch_bytes):
        peer.queue.append(Batch(0, 0, 0, RECORDS_KIND, part, made_ms, own, least))
    peer.queue.extend(others)
    peer.queue_bytes = sum(len(batch.payload) + FRAME_BYTES for batch in peer.queue)
    peer.compact_at_bytes = 2 * peer.queue_bytes


def pump(link: Link, policy: Policy, now_ms: int, emit: Emit) -> None:
    """Sends what the window allows, the most important first. (Dump chunks are made by dumps.py.)"""
    peer = link.peer
    assert peer is not None
    while peer.queue and _has_room(link, len(peer.queue[0].payload), policy.in_flight_bytes_max):
        batch = peer.queue.popleft()
        peer.queue_bytes -= len(batch.payload) + FRAME_BYTES
        seq, ack = _next_numbers(link)
        push = Push(seq, ack, batch.origin, batch.number, batch.spread, batch.kind, batch.payload)
        _fly(link, push, batch, now_ms, emit)
    while link.sync and _has_room(link, len(link.sync[0].payload), policy.sync_in_flight_bytes_max):
        message = link.sync.popleft()
        link.sync_bytes -= len(message.payload)
        launch(link, message, None, now_ms, emit)


def _has_room(link: Link, size: int, bytes_max: int) -> bool:
    return not link.in_flight or link.in_flight_bytes + size + FRAME_BYTES <= bytes_max


def launch(link: Link, message: Sequenced, batch: Batch | None, now_ms: int, emit: Emit) -> None:
    """Sends a sequenced frame with the next number, carrying what there is to acknowledge."""
    seq, ack = _next_numbers(link)
    _fly(link, replace(message, seq=seq, ack=ack), batch, now_ms, emit)


def _next_numbers(link: Link) -> tuple[int, int]:
    seq = link.next_seq
    link.next_seq += 1
    if link.refused:
        return seq, 0
    _acknowledged_now(link)
    return seq, link.received


def _fly(link: Link, message: Sequenced, batch: Batch | None, now_ms: int, emit: Emit) -> None:
    flight = Flight(message, now_ms, len(message.payload) + FRAME_BYTES, batch)
    link.in_flight[message.seq] = flight
    link.in_flight_bytes += flight.size
    if isinstance(message, Dumped):
        link.dump_bytes += flight.size
    emit(Send(link.id, message))


def acknowledge(link: Link, seq: int) -> list[tuple[int, Flight]]:
    """Removes the frames that an acknowledgement covers from those in flight, and returns them."""
    done: list[tuple[int, Flight]] = []
    while link.in_flight:
        first = next(iter(link.in_flight))
        if first > seq:
            break
        flight = link.in_flight.pop(first)
        link.in_flight_bytes -= flight.size
        if isinstance(flight.message, Dumped):
            link.dump_bytes -= flight.size
        done.append((first, flight))
    if done:
        link.resends = 0
    return done


def resend(link: Link, policy: Policy, now_ms: int, emit: Emit) -> bool:
    """Sends the oldest frames again that should have been acknowledged. False: the link is to be given up."""
    late_ms = policy.resend_ms << link.resends
    first = next(iter(link.in_flight.values()), None)
    if first is None or now_ms - first.sent_ms < late_ms:
        return True
    if link.resends >= policy.resends_max:
        return False
    link.resends += 1
    left_bytes = policy.resend_bytes
    for flight in list(link.in_flight.values())[: policy.resend_frames]:
        left_bytes -= flight.size
        if left_bytes < 0 and flight is not first or now_ms - flight.sent_ms < late_ms:
            break
        flight.sent_ms = now_ms
        emit(Send(link.id, replace(flight.message, ack=0 if link.refused else link.received)))
    return True


def unsent_pushes(link: Link) -> list[Batch]:
    return [flight.batch for flight in link.in_flight.values() if flight.batch is not None]


# -- receiving ------------------------------------------------------------------------------------
def arrives(link: Link, message: Sequenced, policy: Policy) -> bool:
    """Whether a sequenced frame is seen for the first time. A frame far beyond a gap is left to be sent again."""
    seq = message.seq
    known = seq <= link.received or seq in link.out_of_order or seq in link.pending
    if known or len(link.out_of_order) + len(link.pending) >= policy.out_of_order_frames_max:
        link.nudged = link.nudged or known  # our ACK was lost or late
        return False
    link.pending.add(seq)
    link.unacked_bytes += len(message.payload) + FRAME_BYTES
    return True


def handled(link: Link, seq: int, in_full: bool) -> None:
    """The frame has been handled; from now on it may be acknowledged."""
    link.pending.discard(seq)
    link.out_of_order.add(seq)
    while link.received + 1 in link.out_of_order:
        link.received += 1
        link.out_of_order.remove(link.received)
    if not in_full:
        link.refused.append(seq)


def ack_if_due(link: Link, policy: Policy, emit: Emit) -> bool:
    """Acknowledges at once if a client waits, much has come, or something was refused. True: a timer is needed."""
    if link.pending:
        return False  # the engine's outcome comes first, and calls this again
    if link.nudged or link.refused or link.unacked_bytes >= policy.ack_bytes:
        ack(link, emit)
        return False
    return link.received > link.acked and not link.ack_timer


def ack(link: Link, emit: Emit) -> None:
    refused = b"".join(_U64.pack(seq) for seq in link.refused)
    link.refused.clear()
    _acknowledged_now(link)
    emit(Send(link.id, Ack(link.received, refused)))


def _acknowledged_now(link: Link) -> None:
    link.acked = link.received
    link.unacked_bytes = 0
    link.nudged = False
