"""Exchanges the keys of snapshot segments among the nodes of an enclave: each node holds the keys of all nodes.

A node that restarts has lost its keys and finds its files locked; its peers have the keys. So a node that makes a
segment sends its key to every node that it is linked to, and a new link begins with all keys held. A node that is not a
direct peer gets news once, from a peer that passes it on. Each node destroys a key with its bucket, by its own clock,
or when the owner proves with a tombstone that the file is gone. Every node keeps the tombstone, so that none that was
cut off meanwhile hands the key back.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from respram.gossip.effects import Host
from respram.gossip.links import Link
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.timers import KeysExpire
from respram.snapshot.buckets import SHIFTS
from respram.snapshot.keys import (
    KEYS_MAX,
    NO_COMMITMENT,
    SegmentKey,
    SegmentKeys,
    Tombstone,
    pack,
    unpack,
    unpack_tombstones,
)
from respram.wire.messages import Keys

BUCKET_MS_MAX = 2 << SHIFTS[-1]  # the widest bucket, plus the distance to its edge


@dataclass(slots=True, eq=False)
class SegmentKeySharing:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    keys: SegmentKeys = field(default_factory=SegmentKeys)  # this node's and its peers'
    timer: bool = False

    def share(self, entries: Iterable[SegmentKey], tombstones: Iterable[Tombstone]) -> None:
        """Sends keys made here, and tombstones of keys whose files are gone. The ring has been updated already.
        """
        self._tell(Keys(pack(entries), pack(tombstones)), None)
        self.arm_timer()

    def linked(self, link: Link) -> None:
        """Sends all tombstones, and then all keys."""
        if not link.same_enclave:
            return
        tombstones, keys = list(self.keys.tombstones()), list(self.keys.shared())
        for at in range(0, len(tombstones), KEYS_MAX):
            self.host.send(link.id, Keys(b"", pack(tombstones[at : at + KEYS_MAX])))
        for at in range(0, len(keys), KEYS_MAX):
            self.host.send(link.id, Keys(pack(keys[at : at + KEYS_MAX]), b""))

    def receive(self, link: Link, message: Keys) -> None:
        entries, tombstones = unpack(message.entries), unpack_tombstones(message.dropped)
        teller = link.peer.number if link.peer is not None else 0
        now_ms, most_ms = self.host.now.wall_ms, self._end_ms_max()
        gone = [one for one in tombstones if now_ms < one.end_ms <= most_ms and self.keys.bury(one, teller)]
        good = [one for one in entries if one.end_ms <= most_ms and one.commitment != NO_COMMITMENT]
        self.keys.refused += len(entries) - len(good)
        news = [one for one in good if now_ms < one.end_ms and self.keys.add(one, teller)]
        if (news or gone) and len(self.book.enclave) > self.host.policy.direct_peers_max:
            self._tell(Keys(pack(news), pack(gone)), link)
        self.arm_timer()

    def _end_ms_max(self) -> int:
        """The latest end of a bucket in the enclave: the longest life of a record plus the width of a bucket.
        """
        policy = self.host.policy
        return (
            self.host.now.wall_ms
            + (policy.terms.max_ttl_ms or policy.ttl_ms_max)
            + policy.clock_offset_ms_max
            + BUCKET_MS_MAX
        )

    def _tell(self, message: Keys, but: Link | None) -> None:
        for link in self.neighbours.greeted():
            if link.same_enclave and link is not but:
                self.host.send(link.id, message)

    def arm_timer(self) -> None:
        """Sets the timer that destroys keys, as long as there is a key or a tombstone."""
        if (len(self.keys) or self.keys.has_tombstones) and not self.timer:
            self.timer = True
            self.host.at(self.host.now.ms + self.host.policy.keys_ms, KeysExpire())

    def expire(self) -> None:
        self.timer = False
        self.keys.expire(self.host.now.wall_ms)
        self.arm_timer()
