"""How a node fills up: roots, the address book, a dump from one near, ready peer, the digests, READY.

A joiner's links make it a target of pushes before it asks for a dump, so nothing falls between. The dump goes by points
of the key hash, in chunks made one a turn and only when less than 1 MiB of them is under way; a source that is lost or slow is
replaced by another, which goes on at the last point. Then digests are compared until one is equal: READY.

A node that has restored its own snapshot needs no dump: it begins with the digests, unless a peer turns out to have more
than twice as much. Until its snapshot is read it asks for nothing.

Without a ready peer in sight for 3 s (the first node of all, or everybody restarted at once) a node serves alone what it
has, keeps dialling the roots, and is made level by comparison once somebody is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from respram.engine.ids import POINTS
from respram.gossip import repair
from respram.gossip.effects import Merge
from respram.gossip.links import FRAME_BYTES, Link, Peer, launch
from respram.gossip.rounds import note_change
from respram.wire.messages import Busy, Dump, Dumped

if TYPE_CHECKING:
    from respram.gossip.core import Core

JOINING, READY, ISOLATED = "joining", "ready", "isolated"
PROGRESS_STEPS = 10  # lines in the log for one dump


@dataclass(slots=True)
class Bootstrap:
    started_ms: int = 0
    source: int = 0  # the peer that dumps; 0: none
    asked_ms: int = 0  # or heard last
    point: int = 0
    points_by_seq: dict[int, int] | None = None
    dumped: bool = False  # all of it, or there is nothing to wait for; now the digests
    level_since_ms: int = 0
    avoid: dict[int, int] | None = None  # peers that were busy or slow: until when
    records: int = 0
    bytes: int = 0
    alone: bool = False
    restoring: bool = False  # its own snapshot is still being read
    by_snapshot: bool = False  # it stands in for the dump
    step: int = 0


def tick(core: "Core") -> None:
    """Every 250 ms while joining."""
    if core.state != JOINING:
        return
    boot, policy, now_ms = core.boot, core.policy, core.now.ms
    core.timers.at(now_ms + core.jitter(policy.join_ms), "join")
    if boot.restoring and now_ms - boot.started_ms < policy.restore_ms_max:
        return
    ready = [peer for peer in core.enclave_peers() if peer.link is not None and core.book[peer.number].ready]
    if not ready and now_ms - boot.started_ms >= policy.alone_ms:
        if not core.book.ready_in_enclave() or now_ms - boot.started_ms >= policy.level_ms_max:
            boot.alone = True
            become_ready(core, "nobody to bootstrap from")
        return
    if boot.dumped and ready and all(peer.foreign for peer in ready):  # no digest will ever be equal
        if not boot.by_snapshot:
            become_ready(core, "filled by a peer whose ids are under another key")
            return
        boot.dumped = boot.by_snapshot = False
    if boot.dumped:
        if now_ms - boot.level_since_ms >= policy.level_ms_max:
            become_ready(core, "digests still differ")
        elif core.repair.own is None:
            repair.begin(core)
        return
    if boot.source and now_ms - boot.asked_ms > policy.dump_patience_ms:
        avoid(core, boot.source)
    if not boot.source and ready:
        _ask(core, ready)


def _ask(core: "Core", ready: list[Peer]) -> None:
    boot = core.boot
    avoided = boot.avoid or {}
    willing = [peer for peer in ready if avoided.get(peer.number, 0) <= core.now.ms]
    if not willing:
        return
    near = sorted(willing, key=lambda peer: (peer.rtt_ms is None, peer.rtt_ms or 0.0))[:3]
    source = core.rng.choice(near)
    assert source.link is not None
    boot.source, boot.asked_ms, boot.points_by_seq = source.number, core.now.ms, {}
    core.report("bootstrap", f"source={source.number:016x} partition={boot.point >> 20}")
    core.send(source.link, Dump(boot.point))


def avoid(core: "Core", number: int) -> None:
    """This source does not do, for a second or two: go on with another."""
    boot = core.boot
    if boot.source != number:
        return
    boot.source = 0
    if boot.avoid is None:
        boot.avoid = {}
    boot.avoid[number] = core.now.ms + core.jitter(2_000)


def dumped(core: "Core", link: Link, message: Dumped) -> None:
    boot, peer = core.boot, link.peer
    assert peer is not None
    core.out.append(Merge(link.id, message.seq, message.payload))
    boot.bytes += len(message.payload)
    if core.state == JOINING and peer.number == boot.source and boot.points_by_seq is not None:
        boot.asked_ms = core.now.ms
        boot.points_by_seq[message.seq] = message.point


def kept(core: "Core", link: Link, seq: int, new: int) -> None:
    """A frame is in the engine, perhaps a chunk: progress up to the last one without a gap before it."""
    boot = core.boot
    if link.peer is None or link.peer.number != boot.source or not boot.points_by_seq:
        return
    boot.records += new if seq in boot.points_by_seq else 0
    for seq in sorted(boot.points_by_seq):
        if seq > link.received:
            break
        boot.point = boot.points_by_seq.pop(seq)
    step = boot.point * PROGRESS_STEPS // POINTS
    if step > boot.step:
        boot.step = step
        core.report("bootstrap", f"percent={step * 100 // PROGRESS_STEPS} records={boot.records} bytes={boot.bytes}")
    if boot.point >= POINTS and not boot.dumped:
        boot.dumped, boot.source, boot.level_since_ms = True, 0, core.now.ms
        if core.repair.own is None:
            repair.begin(core)


def equal(core: "Core", peer: Peer) -> None:
    """A digest was equal. With a ready peer, and behind a dump, that is what joining was for. (Without the dump it says
    nothing of what is younger than a second, and of an empty node next to one that was just written to: all of it.)"""
    if core.state == JOINING and core.boot.dumped and core.book[peer.number].ready:
        become_ready(core, f"level with {peer.number:016x}")


def restored(core: "Core", records: int) -> None:
    """Its own snapshot is read. With something in it only the difference is left to be asked for."""
    boot = core.boot
    boot.restoring = False
    boot.records += records
    if records:
        note_change(core)
    if core.state == JOINING and records and not boot.source:
        boot.dumped = boot.by_snapshot = True
        boot.level_since_ms = core.now.ms
        if core.repair.own is None:
            repair.begin(core)


def compared(core: "Core", mine: int, theirs: int) -> None:
    """How many records both sides have in what differs. A snapshot that brought the smaller part was none."""
    boot = core.boot
    if core.state == JOINING and boot.by_snapshot and mine * 100 < theirs * core.policy.restored_share_percent:
        boot.dumped = boot.by_snapshot = False


def become_ready(core: "Core", why: str) -> None:
    boot = core.boot
    core.state = READY
    boot.dumped = True  # or there is nobody who could
    core.book.set_me(ready=True)
    core.tell_all()
    took_ms = core.now.ms - boot.started_ms
    core.report("ready", f"took_ms={took_ms} records={boot.records} bytes={boot.bytes} why={why.replace(' ', '_')}")


# -- the source ---------------------------------------------------------------------------------------
def asked(core: "Core", link: Link, message: Dump) -> None:
    served = sum(
        other.dump_point is not None and not other.levels for other in core.links.values() if other is not link
    )
    if core.state != READY or served >= core.policy.dumps_max or message.point > POINTS:
        core.send(link, Busy())
        return
    link.dump_point, link.levels = message.point, False
    feed(core, link)


def feed(core: "Core", link: Link) -> None:
    """Goes on with a dump. One chunk a turn, so that clients of the source wait for one and not for all that fit; and none
    in the turn of the acknowledgement that made room, nor in the next: that takes as long as a chunk, and clients look in between."""
    if not link.feeding and _has_room(core, link):
        link.feeding = True
        core.jobs.append(_chunks(core, link))


def _chunks(core: "Core", link: Link) -> Iterator[bool]:
    try:
        yield False
        while link.dump_point is not None and core.links.get(link.id) is link and _has_room(core, link):
            found = core.store.dump(link.dump_point, core.policy.dump_bytes, core.now.wall_ms)
            launch(link, Dumped(0, 0, found.cursor, found.payload), None, core.now.ms, core.out)
            core.mind(link)
            link.dump_point = found.cursor if found.cursor < POINTS else None
            yield False
    finally:  # where there was no memory for a chunk, the joiner may ask again
        link.feeding = False


def _has_room(core: "Core", link: Link) -> bool:
    """Whether a chunk fits the joiner's credit and leaves the window to more important frames."""
    policy = core.policy
    if link.dump_point is None:
        return False
    if link.dump_bytes and link.dump_bytes + policy.dump_bytes + FRAME_BYTES > policy.dump_in_flight_bytes_max:
        return False
    return not link.in_flight or link.in_flight_bytes <= policy.sync_in_flight_bytes_max
