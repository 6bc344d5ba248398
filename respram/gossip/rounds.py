"""Rounds of comparison: their state, their end, and the pace at which they are begun.

What a round says stands in `repair.py` (who differs, and where) and `exchange.py` (filters and records).
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from respram.engine.replication import Cut, Selection
from respram.gossip.links import Peer

if TYPE_CHECKING:
    from respram.gossip.core import Core


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
    rest_until_ms: int = 0  # before the next dump to a foreign peer
    soon_ms: int = 0  # when a round is due before the pace's; 0: none is
    busy: bool = False  # something was written or merged since the last round
    reunited_until_ms: int = 0  # members came back lately: until then the pace is not slowed
    # -- numbers for INFO
    rounds: int = 0
    equal: int = 0
    filters_sent: int = 0
    filter_bytes: int = 0
    repaired: int = 0


def note_change(core: "Core") -> None:
    """Something was written or merged: a pace for quiet times is left within a second."""
    repair = core.repair
    if not repair.busy:
        repair.busy = True
        if repair.interval_ms > core.policy.round_ms:
            repair.interval_ms = core.policy.round_ms
            hurry(core, core.policy.round_ms)


def reunited(core: "Core") -> None:
    """Somebody came back from the dead, and with them perhaps all that lay beyond a cut. A node that found nothing new on its
    own side must not have slowed down, nor slow down, before it has asked the other: the last of all to be level would be it."""
    core.repair.reunited_until_ms = core.now.ms + core.policy.reunion_ms
    note_change(core)


def hurry(core: "Core", in_ms: int) -> None:
    """A round before the pace's next. One is due at a time: each would lead to another, and they would become ever more."""
    due_ms = core.now.ms + core.jitter(in_ms)
    if not core.repair.soon_ms or due_ms < core.repair.soon_ms:
        core.repair.soon_ms = due_ms
        core.timers.at(due_ms, "compare_soon", due_ms)


def rests(core: "Core", peer: Peer) -> bool:
    """Whether filters with this peer found lately that neither lacks anything, and would find that again."""
    return peer.rest_until_ms > core.now.ms and peer.lagging_ms is None and not peer.unreachable


def is_current(core: "Core", round: Round) -> bool:
    return (core.repair.own if round.begun else core.repair.others.get(round.peer.number)) is round


def refused(core: "Core", peer: Peer) -> None:
    """The other side did not keep records of ours: sending them again at once would not help."""
    for round in (core.repair.own, core.repair.others.get(peer.number)):
        if round is not None and round.peer is peer:
            round.refused = True


def finish_if_done(core: "Core", round: Round) -> None:
    if round.sent_all and round.got_all and is_current(core, round):
        finish(core, round)


def finish(core: "Core", round: Round, given_up: bool = False) -> None:
    peer = round.peer
    if not (given_up or round.moved or round.more or round.refused or core.store.full()) and peer.wants:
        # Neither lacks anything: they differ in what was overwritten before it was sent, as a key that is written all
        # the time does. It would be no use to ask that peer for what clients miss here, nor to exchange filters again soon.
        core.set_differs(peer, False)
        if round.selection is not None:
            peer.fruitless += 1
            if peer.fruitless > 1:  # once may be a record that the filter passed over by chance
                peer.rest_until_ms = core.now.ms + core.policy.fruitless_ms
    elif round.moved:
        peer.fruitless = 0
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
        hurry(core, policy.round_ms_least)
    elif equal and (repair.busy or core.now.ms < repair.reunited_until_ms):
        repair.interval_ms = policy.round_ms
    else:
        repair.interval_ms = min(max(repair.interval_ms, policy.round_ms) * 2, policy.round_ms_max)
    repair.busy = False
