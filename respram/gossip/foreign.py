"""Peers whose record ids are made under another key, as while the secret of a cluster is rotated.

Ids of two keys cannot be compared: every record looks missing, on both sides, for ever. So HELLO carries a mark of the key,
and between peers whose marks differ there are no digests and no filters. Pushes, pulls and dumps do not know ids; with
them such peers become level all the same. Whoever may hold what a foreign peer lacks *owes* it a dump: when they meet, after
pushes to it were dropped or not kept, and after comparison with others brought news. A node pays one such debt at a
time and rests between two, so a rotation costs some dumps in its background and no storm.

The price is the reason why this is for a rotation and not for a life: a dump is all records, a filter is ten bits each.
"""

from typing import TYPE_CHECKING

from respram.engine.ids import POINTS
from respram.gossip import bootstrap, quorum
from respram.gossip.links import Flight, Link, Peer
from respram.wire.messages import Dumped

if TYPE_CHECKING:
    from respram.gossip.core import Core

REST_MS = 10_000  # between two dumps that were not asked for


def meet(core: "Core", peer: Peer, mark: int) -> None:
    """HELLO has come: whether the peer's ids are of this node's kind."""
    was_foreign, peer.foreign = peer.foreign, mark != core.policy.ids_mark
    if peer.foreign and not was_foreign:
        peer.owed = True
        core.report("foreign_ids", f"peer={peer.number:016x}")


def owe_all(core: "Core") -> None:
    """Something came from a peer of the own kind by comparison: nobody pushes that on."""
    for peer in core.enclave_peers():
        peer.owed = peer.owed or peer.foreign


def pay(core: "Core") -> None:
    """With every turn of comparison: the next debt, if none is being paid."""
    if core.state == bootstrap.JOINING or core.now.ms < core.repair.rest_until_ms:
        return
    links = [peer.link for peer in core.enclave_peers() if peer.foreign and peer.link is not None]
    if any(link.levels for link in links):
        return
    for link in links:
        peer = link.peer
        if peer is not None and peer.owed and link.dump_point is None and core.book[peer.number].ready:
            peer.owed = False
            link.levels, link.level_number, link.dump_point = True, core.rumors.number, 0
            bootstrap.feed(core, link)
            return


def acknowledged(core: "Core", link: Link, peer: Peer, flight: Flight) -> None:
    """A chunk of a dump is there. The last one, and none refused: the peer holds all that was here at its beginning."""
    if not link.levels or not isinstance(flight.message, Dumped):
        return
    peer.owed = peer.owed or flight.refused
    if flight.message.point < POINTS:
        return
    link.levels = False
    core.repair.rest_until_ms = core.now.ms + core.jitter(REST_MS)
    if not peer.owed:
        if peer.lagging_ms is not None:
            peer.lagging_ms = None
            core.report("level", f"peer={peer.number:016x}")
        quorum.holds_through(core, peer, link.level_number)
