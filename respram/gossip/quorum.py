"""WAIT: how many peers are known to hold this node's batches up to a number.

A peer holds batch n when an equal digest covered it, or when n was pushed to it and acknowledged without a refusal. A
peer that joined later, that dropped its queue since, or whose memory was full says nothing about n until a digest is
equal. So the answer may be too low for a second; it is never too high.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from respram.gossip.effects import Acknowledged, Host
from respram.gossip.links import Batch, Peer
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.states import JOINING

MARKS_MAX = 4_096  # granules in the past for which the last batch is remembered
STAMP_MARGIN = 3  # granules by which a stamp may be ahead of the time of its batch (the clock offset)


class Left(NamedTuple):
    """The writes that would be lost if this node stopped now."""

    peers: int  # peers that lack some of it; 0: nothing is lost
    bytes: int  # of the writes that wait for them


@dataclass(slots=True, eq=False)
class Quorum:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    # Of own batches that were pushed to some peers only, by number: the peers that acknowledged them in full.
    holders: "OrderedDict[int, set[int]]" = field(default_factory=OrderedDict)
    # By time: a stamp granule, and the number of the last own batch in it.
    marks: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MARKS_MAX))

    def mark(self, number: int) -> None:
        marks, granule = self.marks, self.host.now.wall_ms >> 10
        if marks and marks[-1][0] == granule:
            marks.pop()
        marks.append((granule, number))

    def sent_to(self, number: int) -> None:
        """Notes that a batch did not go to all peers: its acknowledgements are counted one by one."""
        holders = self.holders
        holders[number] = set()
        if len(holders) > self.host.policy.numbers_remembered_max:
            holders.popitem(last=False)

    def acknowledged(self, peer: Peer, batch: Batch, in_full: bool) -> None:
        if not batch.own:
            return
        if not in_full:
            peer.refused.append(batch.own)
            return
        if batch.own in self.holders:
            self.holders[batch.own].add(peer.number)
        self.host.emit(Acknowledged())

    def equal(self, peer: Peer, stamp_granule: int) -> None:
        """Notes that a digest was equal: what was written well before its cut is there."""
        for granule, number in reversed(self.marks):
            if granule + STAMP_MARGIN <= stamp_granule:
                self.holds_through(peer, number)
                return

    def holds_through(self, peer: Peer, number: int) -> None:
        """Notes that a peer holds all batches up to this one: an equal digest or a whole dump has shown it."""
        if number > peer.held_through:
            peer.held_through = number
            self.host.emit(Acknowledged())

    def count(self, number: int) -> int:
        """How many peers of the enclave hold all of this node's batches up to this number."""
        return sum(
            self.holds(self.neighbours.peers[one], number) for one in self.book.enclave if one in self.neighbours.peers
        )

    def holds(self, peer: Peer, number: int) -> bool:
        if number <= peer.held_through:
            return True
        if number in self.holders:
            return peer.number in self.holders[number]
        if number <= peer.joined_at or any(refused >= number for refused in peer.refused):
            return False
        waiting = [batch for batch in peer.queue if batch.own]
        if peer.link is not None:
            waiting += [flight.batch for flight in peer.link.in_flight.values() if flight.batch and flight.batch.own]
        return all(batch.own_least > number for batch in waiting)

    def left(self, number: int) -> Left:
        """What would be lost of this node's batches up to `number`, the last one: what still waits for a linked peer;
        if nothing waits, what no peer holds.
        """
        peers = [peer for peer in self.neighbours.of_enclave() if self.book[peer.number].is_alive]
        waiting = [size for peer in peers if peer.link is not None and (size := _waiting_bytes(peer))]
        if waiting:
            return Left(len(waiting), sum(waiting))
        if not number or any(self.holds(peer, number) for peer in peers):
            return Left(0, 0)
        if not peers:  # a node that was told to join may be about to meet its peers
            return Left(int(self.host.state == JOINING), 0)
        return Left(len(peers), sum(peer.queue_bytes for peer in peers))


def _waiting_bytes(peer: Peer) -> int:
    flights = peer.link.in_flight.values() if peer.link is not None else ()
    queued = sum(len(batch.payload) for batch in peer.queue)
    return queued + sum(flight.size for flight in flights if flight.batch is not None)
