"""WAIT: how many peers are known to hold this node's batches up to a number.

A peer holds batch n when an equal digest covered it, or when n was pushed to it and acknowledged without a refusal. A peer
that joined later, that dropped its queue since, or whose memory was full says nothing about n until a digest is
equal. So the answer may be too low for a second; it is never too high.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from respram.gossip.effects import Acknowledged
from respram.gossip.links import Batch, Peer

if TYPE_CHECKING:
    from respram.gossip.core import Core

MARKS_MAX = 4_096  # granules back for which the last batch is remembered
STAMP_MARGIN = 3  # granules by which a stamp may run ahead of the time of its batch (the clock offset)


@dataclass(slots=True)
class Quorum:
    holders: "OrderedDict[int, set[int]]" = field(default_factory=OrderedDict)  # where batches go to some peers only
    marks: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MARKS_MAX))  # granule, last number


def mark(core: "Core", number: int) -> None:
    marks, granule = core.quorum.marks, core.now.wall_ms >> 10
    if marks and marks[-1][0] == granule:
        marks.pop()
    marks.append((granule, number))


def sent_to(core: "Core", number: int) -> None:
    """From here on acknowledgements of this batch are counted one by one: it did not go to all."""
    holders = core.quorum.holders
    holders[number] = set()
    if len(holders) > core.policy.numbers_remembered_max:
        holders.popitem(last=False)


def acknowledged(core: "Core", peer: Peer, batch: Batch, in_full: bool) -> None:
    if not batch.own:
        return
    if not in_full:
        peer.refused.append(batch.own)
        return
    if batch.own in core.quorum.holders:
        core.quorum.holders[batch.own].add(peer.number)
    _count_again(core)


def equal(core: "Core", peer: Peer, stamp_granule: int) -> None:
    """A digest was equal: what was written well before its cut is there."""
    for granule, number in reversed(core.quorum.marks):
        if granule + STAMP_MARGIN <= stamp_granule:
            holds_through(core, peer, number)
            return


def holds_through(core: "Core", peer: Peer, number: int) -> None:
    """Known otherwise than by acknowledgements: by an equal digest, by a whole dump."""
    if number > peer.held_through:
        peer.held_through = number
        _count_again(core)


def _count_again(core: "Core") -> None:
    if not core.out or not isinstance(core.out[-1], Acknowledged):
        core.out.append(Acknowledged())


def count(core: "Core", number: int) -> int:
    """How many peers of the enclave hold everything of this node up to batch `number`'s keys."""
    return sum(holds(core, core.peers[one], number) for one in core.book.enclave if one in core.peers)


def holds(core: "Core", peer: Peer, number: int) -> bool:
    if number <= peer.held_through:
        return True
    if number in core.quorum.holders:
        return peer.number in core.quorum.holders[number]
    if number <= peer.joined_at or any(refused >= number for refused in peer.refused):
        return False
    waiting = [batch for batch in peer.queue if batch.own]
    if peer.link is not None:
        waiting += [flight.batch for flight in peer.link.in_flight.values() if flight.batch and flight.batch.own]
    return all(batch.own_least > number for batch in waiting)
