"""Keys of snapshot segments among the nodes of an enclave: who holds records holds the keys of all segments as well.

A node that restarts has lost its keys and finds its files locked; its peers have them. So whoever makes a segment tells
its key to every node it is linked to, a new link begins with all keys held, and beyond direct peers what is news is passed
on once. A key is destroyed with its bucket, by each node's own clock, or when its owner says that the file is gone.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from respram.gossip.links import Link
from respram.snapshot.keys import Entry, pack, unpack, unpack_ids
from respram.wire.messages import Keys

if TYPE_CHECKING:
    from respram.gossip.core import Core


def share(core: "Core", entries: Iterable[Entry], dropped: Iterable[bytes]) -> None:
    """Keys that were made here, and ids of those whose files are gone: they are in the ring, or out of it, already."""
    _tell(core, Keys(pack(entries), b"".join(dropped)), None)
    mind(core)


def linked(core: "Core", link: Link) -> None:
    if link.same_enclave and len(core.segment_keys):
        core.send(link, Keys(pack(core.segment_keys.entries()), b""))


def receive(core: "Core", link: Link, message: Keys) -> None:
    entries, ids = unpack(message.entries), unpack_ids(message.dropped)
    news = [one for one in entries if one.end_ms > core.now.wall_ms and core.segment_keys.add(one)]
    gone = [id for id in ids if core.segment_keys.drop(id)]
    if (news or gone) and len(core.book.enclave) > core.policy.direct_peers_max:
        _tell(core, Keys(pack(news), b"".join(gone)), link)
    mind(core)


def _tell(core: "Core", message: Keys, but: Link | None) -> None:
    for link in core.greeted():
        if link.same_enclave and link is not but:
            core.send(link, message)


def mind(core: "Core") -> None:
    """A timer while there is a key to be destroyed, and none else."""
    if len(core.segment_keys) and not core.segment_keys_timer:
        core.segment_keys_timer = True
        core.timers.at(core.now.ms + core.policy.keys_ms, "keys")


def expire(core: "Core") -> None:
    core.segment_keys_timer = False
    core.segment_keys.expire(core.now.wall_ms)
    mind(core)
