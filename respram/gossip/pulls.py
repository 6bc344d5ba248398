"""Lazy pull: on a miss, ask, where somebody may know more; else send nothing.

Somebody may know more while this node is joining, and while a peer's last digest differed. (A filter of (key, stamp) cannot be
asked for a key alone, so a differing digest is the whole test.) One pull per key at a time, two peers at most, 25 ms; a late
answer still merges. Whoever was told of an absent key is not asked again for 250 ms.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from respram.gossip.effects import Answered, Merge
from respram.gossip.links import Link
from respram.wire.messages import Pull, Pulled

if TYPE_CHECKING:
    from respram.gossip.core import Core

Name = tuple[int, bytes]  # database, key


@dataclass(slots=True)
class Waiting:
    token: int
    until_ms: int
    left: set[int]  # peers that have not answered


@dataclass(slots=True)
class Pulls:
    waiting: dict[Name, Waiting] = field(default_factory=dict)
    names: "OrderedDict[int, Name]" = field(default_factory=OrderedDict)  # by token, answered late or not
    absent: "OrderedDict[Name, int]" = field(default_factory=OrderedDict)  # until when
    token: int = 0
    second: int = 0
    in_second: int = 0
    sent: int = 0
    found: int = 0
    merging: dict[int, Name] = field(default_factory=dict)


def useful(core: "Core") -> bool:
    """Whether a miss may be worth asking about at all; while not, nothing need be observed."""
    return core.differing > 0 or core.state == "joining"


def pull(core: "Core", db: int, key: bytes) -> bool:
    """True: the caller waits for Answered(db, key). False: nil stands."""
    pulls, policy, now_ms = core.pulls, core.policy, core.now.ms
    name = (db, key)
    if name in pulls.waiting:
        return True
    if not useful(core) or pulls.absent.get(name, 0) > now_ms or len(pulls.waiting) >= policy.pulls_max:
        return False
    if now_ms // 1000 != pulls.second:
        pulls.second, pulls.in_second = now_ms // 1000, 0
    peers = [
        peer
        for peer in core.enclave_peers()
        if peer.link is not None and (peer.differs or core.state == "joining") and core.book[peer.number].ready
    ]
    if not peers or pulls.in_second >= policy.pulls_per_s_max:
        return False
    pulls.in_second += 1
    pulls.token += 1
    chosen = core.rng.sample(peers, min(policy.pull_peers_max, len(peers)))
    patience_ms = (
        policy.pull_ms if all((peer.rtt_ms or 0) < policy.pull_ms / 2 for peer in chosen) else policy.pull_ms_max
    )
    pulls.waiting[name] = Waiting(pulls.token, now_ms + patience_ms, {peer.number for peer in chosen})
    pulls.names[pulls.token] = name
    while len(pulls.names) > policy.pulls_max:
        pulls.names.popitem(last=False)
    for peer in chosen:
        assert peer.link is not None
        core.send(peer.link, Pull(pulls.token, db, key))
        pulls.sent += 1
    core.timers.at(now_ms + patience_ms, "pull", pulls.token)
    return True


def asked(core: "Core", link: Link, message: Pull) -> None:
    payload = core.store.fetch(message.db, message.key, core.now.wall_ms) if message.db < 16 else b""
    core.send(link, Pulled(message.token, payload))


def answered(core: "Core", link: Link, message: Pulled) -> None:
    """Merges whatever came, late or not; the wait ends with the first record or the last nothing."""
    pulls = core.pulls
    name = pulls.names.get(message.token)
    assert link.peer is not None
    if name is None:
        return
    if message.payload:
        pulls.found += 1
        core.out.append(Merge(link.id, 0, message.payload))
        note_change(core)
    waiting = pulls.waiting.get(name)
    if waiting is None or waiting.token != message.token:
        return
    waiting.left.discard(link.peer.number)
    if message.payload or not waiting.left:
        end(core, name, found=bool(message.payload))


def expired(core: "Core", token: int) -> None:
    name = core.pulls.names.get(token)
    if name is not None and (waiting := core.pulls.waiting.get(name)) is not None and waiting.token == token:
        end(core, name, found=False)


def end(core: "Core", name: Name, found: bool) -> None:
    pulls = core.pulls
    del pulls.waiting[name]
    if not found:
        pulls.absent.pop(name, None)
        pulls.absent[name] = core.now.ms + core.policy.absent_ms
        while len(pulls.absent) > core.policy.absent_keys_max:
            pulls.absent.popitem(last=False)
    core.out.append(Answered(*name))


def note_change(core: "Core") -> None:
    core.repair.busy = True
