"""Rounds of comparison: their state, their end, and the pace at which they are begun.

The messages of a round are in `repair.py` (where records differ) and `exchange.py` (filters and records).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from respram.engine.replication import Cut, Selection
from respram.gossip.effects import Host
from respram.gossip.links import Peer
from respram.gossip.neighbours import Neighbours
from respram.gossip.timers import HurriedRoundDue


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
    covers: int  # if both sides are equal: all records with a stamp up to this granule
    begun: bool  # by this node
    until_ms: int
    selection: Selection | None = None
    incoming: Incoming | None = None
    sent_all: bool = False
    got_all: bool = False
    more: bool = False
    moved: int = 0  # records that were new here, and parts that were sent
    refused: bool = False  # the other side did not store what was sent
    by_since: bool = False
    urgent: bool = False  # takeover.py waits for it: no record is left out, and there is no pause


@dataclass(slots=True, eq=False)
class Rounds:
    host: Host
    neighbours: Neighbours
    own: Round | None = None
    others: dict[int, Round] = field(default_factory=dict)  # begun by peers, by their number
    interval_ms: int = 1_000
    order: list[int] = field(default_factory=list)
    soon_ms: int = 0  # when a round is due earlier than by the pace; 0: none
    busy: bool = False  # something was written or merged since the last round
    # Called with whether both sides are now complete.
    on_ended: Callable[[Round, bool], None] = lambda round, wholly: None
    reunited_until_ms: int = 0  # members have returned: until then the pace stays high
    # -- numbers for INFO
    done: int = 0
    equal: int = 0
    filters_sent: int = 0
    filter_bytes: int = 0
    repaired: int = 0

    def note_change(self) -> None:
        """Notes that something was written or merged: a slow pace ends within a second."""
        if not self.busy:
            self.busy = True
            if self.interval_ms > self.host.policy.round_ms:
                self.interval_ms = self.host.policy.round_ms
                self.hurry(self.host.policy.round_ms)

    def reunited(self) -> None:
        """Somebody came back from the dead, and with them perhaps all that lay beyond a cut. A node that found nothing
        new on its own side must not have slowed down, nor slow down, before it has asked the other: the last of all to
        be level would be it.
        """
        self.reunited_until_ms = self.host.now.ms + self.host.policy.reunion_ms
        self.note_change()

    def hurry(self, in_ms: int) -> None:
        """A round before the pace's next. One is due at a time: each would lead to another, and they would become ever
        more.
        """
        due_ms = self.host.now.ms + self.host.jitter(in_ms)
        if not self.soon_ms or due_ms < self.soon_ms:
            self.soon_ms = due_ms
            self.host.at(due_ms, HurriedRoundDue(due_ms))

    def rests(self, peer: Peer) -> bool:
        """Whether the last filters with this peer found that neither lacks anything, so that new ones would not
        help."""
        return peer.rest_until_ms > self.host.now.ms and peer.lagging_ms is None and not peer.unreachable

    def is_current(self, round: Round) -> bool:
        return (self.own if round.begun else self.others.get(round.peer.number)) is round

    def refused(self, peer: Peer) -> None:
        """The other side refused our records: sending them again at once would not help."""
        for round in (self.own, self.others.get(peer.number)):
            if round is not None and round.peer is peer:
                round.refused = True

    def finish_if_done(self, round: Round) -> None:
        if round.sent_all and round.got_all and self.is_current(round):
            self.finish(round)

    def finish(self, round: Round, given_up: bool = False) -> None:
        peer = round.peer
        if not (given_up or round.moved or round.more or round.refused or self.host.store.full()) and peer.wants:
            # Neither side lacks anything. They differ in versions that were overwritten before they were sent, such as
            # those of a key that is written all the time. It would be useless to ask that peer for keys that clients
            # miss, or to exchange filters again soon.
            self.neighbours.set_differs(peer, False)
            if round.selection is not None:
                peer.fruitless += 1
                if peer.fruitless > 1:  # one may be a record that the filter missed by chance
                    peer.rest_until_ms = self.host.now.ms + self.host.policy.fruitless_ms
        elif round.moved:
            peer.fruitless = 0
        if not round.begun:
            self.others.pop(peer.number, None)
            return
        self.own = None
        self.done += 1
        self.on_ended(round, round.got_all and not (given_up or round.more))
        peer.since_failed = peer.since_failed or (round.by_since and not (round.more or round.urgent))
        progress = bool(round.moved) and not given_up and not round.refused
        peer.follow_up = progress
        self.adapt(progress, equal=False)

    def adapt(self, progress: bool, equal: bool) -> None:
        """The pace: at once after progress, once a second while there is something to do, slower while nothing happens
        or nothing helps (a peer whose memory is full differs for ever, and must not cost a transfer every second).
        """
        policy = self.host.policy
        if progress:
            self.interval_ms = policy.round_ms_least
            self.hurry(policy.round_ms_least)
        elif equal and (self.busy or self.host.now.ms < self.reunited_until_ms):
            self.interval_ms = policy.round_ms
        else:
            self.interval_ms = min(max(self.interval_ms, policy.round_ms) * 2, policy.round_ms_max)
        self.busy = False
