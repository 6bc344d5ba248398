"""Spreading writes and publications: to everybody while they are few, as rumors when they are many.

Up to ten peers: each gets every batch. Beyond: the writer pushes to ceil(sqrt(N)) random peers; whoever sees a batch for
the first time passes it on to 2 random peers and announces it to ceil(ln N) + 1 more, who ask for it if it
does not come. (At N = 1,000 with 5% loss, sqrt(N) at every hop costs 30 copies per node, this about 3.)

Batches are numbered by their origin. A watermark and a sparse set per origin tell what was seen; what falls
out of the set counts as seen, and comparison repairs what was not.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil, isqrt, log
from struct import Struct
from typing import TYPE_CHECKING

from respram.errors import PeerError
from respram.gossip import quorum
from respram.gossip.effects import Deliver, Merge
from respram.gossip.links import Batch, Link, Peer, enqueue, kept
from respram.wire.messages import PUBLICATION_KIND, Announce, Push, Want

if TYPE_CHECKING:
    from respram.gossip.core import Core

_NAME = Struct("<QQ")
_CHANNEL = Struct("<I")
NAMES_MAX = 512  # in one announcement

Name = tuple[int, int]  # origin, number


@dataclass(slots=True)
class Seen:
    watermark: int
    sparse: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Wanted:
    due_ms: int
    announcers: list[int]  # links
    asked: int = 0


@dataclass(slots=True)
class Rumors:
    number: int = 0  # of the last own batch
    seen: dict[int, Seen] = field(default_factory=dict)
    kept: "OrderedDict[Name, tuple[int, Batch]]" = field(default_factory=OrderedDict)
    kept_bytes: int = 0
    announcing: dict[int, list[Name]] = field(default_factory=dict)  # by peer
    wanted: dict[Name, Wanted] = field(default_factory=dict)
    duplicates: int = 0
    firsts: int = 0


def spreads(core: "Core") -> bool:
    return len(core.book.enclave) > core.policy.direct_peers_max


def originate(core: "Core", payload: bytes, kind: int) -> int:
    """A batch of this node's own, to the peers; its number."""
    rumors = core.rumors
    rumors.number += 1
    peers = core.enclave_peers()
    spread = spreads(core)
    batch = Batch(core.me.number, rumors.number, 1 if spread else 0, kind, payload, core.now.ms, rumors.number, rumors.number)
    if spread:
        linked = [peer for peer in peers if peer.link is not None]
        fan = min(isqrt(len(core.book.enclave) - 1) + 1, len(linked))
        peers = core.rng.sample(linked, fan)
        keep(core, batch)
        quorum.sent_to(core, rumors.number)
    quorum.mark(core, rumors.number)
    for peer in peers:
        push(core, peer, batch)
    return rumors.number


def push(core: "Core", peer: Peer, batch: Batch) -> None:
    lagged = peer.lagging_ms is not None
    if lagged and peer.link is None:
        peer.joined_at = core.rumors.number  # comparison will bring it everything: nothing need wait for it
        return
    if not enqueue(peer, batch, core.policy, core.now.ms, core.rumors.number) and not lagged:
        core.report("lagging", f"peer={peer.number:016x}")
    if peer.link is not None:
        core.pump(peer.link)


def receive(core: "Core", link: Link, message: Push) -> None:
    """A PUSH seen for the first time on its link."""
    assert link.peer is not None
    if message.origin == core.me.number:
        kept(link, message.seq, True)
        return
    is_first = not message.number or see(core, (message.origin, message.number))
    is_publication = message.kind == PUBLICATION_KIND
    if is_first and is_publication:
        channel, text = unpack_publication(message.payload)
        core.out.append(Deliver(channel, text))
    if not is_publication and (is_first or not message.spread):
        core.out.append(Merge(link.id, message.seq, message.payload))
    else:
        kept(link, message.seq, True)
    if message.spread and message.number:
        if is_first:
            core.rumors.firsts += 1
            pass_on(core, link.peer, message)
        else:
            core.rumors.duplicates += 1


def pass_on(core: "Core", sender: Peer, message: Push) -> None:
    batch = Batch(message.origin, message.number, 1, message.kind, message.payload, core.now.ms)
    keep(core, batch)
    others = [
        peer for peer in core.enclave_peers() if peer.link and peer is not sender and peer.number != message.origin
    ]
    announced = ceil(log(max(len(core.book.enclave), 2))) + 1
    chosen = core.rng.sample(others, min(core.policy.passed_on_to + announced, len(others)))
    for peer in chosen[: core.policy.passed_on_to]:
        push(core, peer, batch)
    if not core.rumors.announcing:
        core.timers.at(core.now.ms + core.policy.announce_ms, "announce")
    for peer in chosen[core.policy.passed_on_to :]:
        core.rumors.announcing.setdefault(peer.number, []).append((message.origin, message.number))


# -- what was seen --------------------------------------------------------------------------------
def has_seen(core: "Core", name: Name) -> bool:
    seen = core.rumors.seen.get(name[0])
    return seen is not None and (name[1] <= seen.watermark or name[1] in seen.sparse)


def see(core: "Core", name: Name) -> bool:
    """Marks a batch as seen; whether that is the first time."""
    origin, number = name
    table = core.rumors.seen
    seen = table.get(origin)
    if seen is None:
        if len(table) >= core.policy.origins_max:
            del table[next(iter(table))]
        seen = table[origin] = Seen(max(0, number - core.policy.batch_gaps_max // 2))
    if number <= seen.watermark or number in seen.sparse:
        return False
    seen.sparse.add(number)
    if len(seen.sparse) > core.policy.batch_gaps_max:
        seen.watermark = min(seen.sparse)
    while seen.watermark in seen.sparse or seen.watermark + 1 in seen.sparse:
        seen.sparse.discard(seen.watermark)
        if seen.watermark + 1 not in seen.sparse:
            break
        seen.watermark += 1
        seen.sparse.discard(seen.watermark)
    core.rumors.wanted.pop(name, None)
    return True


def keep(core: "Core", batch: Batch) -> None:
    """For those who hear of the batch by announcement and ask."""
    rumors, policy = core.rumors, core.policy
    rumors.kept[batch.origin, batch.number] = (core.now.ms, batch)
    rumors.kept_bytes += len(batch.payload)
    while rumors.kept:
        at_ms, oldest = next(iter(rumors.kept.values()))
        if rumors.kept_bytes <= policy.batches_kept_bytes_max and core.now.ms - at_ms <= policy.batches_kept_ms:
            break
        rumors.kept.popitem(last=False)
        rumors.kept_bytes -= len(oldest.payload)


# -- announcements --------------------------------------------------------------------------------
def announce(core: "Core") -> None:
    announcing, core.rumors.announcing = core.rumors.announcing, {}
    for number, names in announcing.items():
        peer = core.peers.get(number)
        if peer is not None and peer.link is not None:
            for at in range(0, len(names), NAMES_MAX):
                core.send(peer.link, Announce(pack_names(names[at : at + NAMES_MAX])))


def announced(core: "Core", link: Link, message: Announce) -> None:
    rumors = core.rumors
    for name in unpack_names(message.batches):
        if has_seen(core, name) or name[0] == core.me.number:
            continue
        wanted = rumors.wanted.get(name)
        if wanted is not None:
            if len(wanted.announcers) < core.policy.wants_max:
                wanted.announcers.append(link.id)
            continue
        if len(rumors.wanted) < core.policy.batch_gaps_max:
            if not rumors.wanted:
                core.timers.at(core.now.ms + core.policy.want_ms, "want")
            rumors.wanted[name] = Wanted(core.now.ms + core.policy.want_ms, [link.id])


def want(core: "Core") -> None:
    """Asks for what was announced and did not come, one announcer after the other."""
    rumors, policy, now_ms = core.rumors, core.policy, core.now.ms
    asks: dict[int, list[Name]] = {}
    for name, wanted in list(rumors.wanted.items()):
        if wanted.due_ms > now_ms:
            continue
        link_id = next((one for one in wanted.announcers[wanted.asked :] if one in core.links), None)
        if link_id is None or wanted.asked >= policy.wants_max:
            del rumors.wanted[name]
            continue
        asks.setdefault(link_id, []).append(name)
        wanted.asked += 1
        wanted.due_ms = now_ms + policy.want_ms
    for link_id, names in asks.items():
        core.send(core.links[link_id], Want(pack_names(names)))
    if rumors.wanted:
        core.timers.at(min(wanted.due_ms for wanted in rumors.wanted.values()), "want")


def asked(core: "Core", link: Link, message: Want) -> None:
    assert link.peer is not None
    for name in unpack_names(message.batches):
        if name in core.rumors.kept:
            push(core, link.peer, core.rumors.kept[name][1])


def pack_names(names: list[Name]) -> bytes:
    return b"".join(_NAME.pack(*name) for name in names)


def unpack_names(payload: bytes) -> list[Name]:
    if len(payload) % _NAME.size or len(payload) > NAMES_MAX * _NAME.size:
        raise PeerError("an announcement cannot be read")
    return list(_NAME.iter_unpack(payload))


def pack_publication(channel: bytes, message: bytes) -> bytes:
    return _CHANNEL.pack(len(channel)) + channel + message


def unpack_publication(payload: bytes) -> tuple[bytes, bytes]:
    if len(payload) < _CHANNEL.size:
        raise PeerError("a publication cannot be read")
    (length,) = _CHANNEL.unpack_from(payload)
    if length > len(payload) - _CHANNEL.size:
        raise PeerError("a publication cannot be read")
    return payload[_CHANNEL.size : _CHANNEL.size + length], payload[_CHANNEL.size + length :]
