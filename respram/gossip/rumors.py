"""Spreading writes and publications: to everybody while they are few, as rumors when they are many.

Up to ten peers: each gets every batch. Beyond: the writer pushes to ceil(sqrt(N)) random peers; whoever sees a batch
for the first time passes it on to 2 random peers and announces it to ceil(ln N) + 1 more, who ask for it if it does not
come. (At N = 1,000 with 5% loss, sqrt(N) at every hop costs 30 copies per node, this about 3.)

Batches are numbered by their origin. A watermark and a sparse set per origin tell what was seen; what falls
out of the set counts as seen, and comparison repairs what was not.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil, isqrt, log
from struct import Struct

from respram.errors import PeerError
from respram.gossip.delivery import Delivery
from respram.gossip.effects import Deliver, Host, Merge
from respram.gossip.links import FRAME_BYTES, Batch, Link, Peer, enqueue, handled
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.quorum import Quorum
from respram.gossip.states import JOINING
from respram.gossip.timers import AnnounceDue, WantDue
from respram.wire.messages import PUBLICATION_KIND, Announce, Push, Want

_NAME = Struct("<QQ")
_CHANNEL = Struct("<I")
NAMES_MAX = 512  # of one announcement

Name = tuple[int, int]  # origin and number


@dataclass(slots=True)
class Seen:
    watermark: int
    sparse: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Wanted:
    due_ms: int
    announcers: list[int]  # links
    asked: int = 0



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


@dataclass(slots=True, eq=False)
class Rumors:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    delivery: Delivery
    quorum: Quorum
    number: int = 0  # of the last own batch
    seen: dict[int, Seen] = field(default_factory=dict)
    cached: "OrderedDict[Name, tuple[int, Batch]]" = field(default_factory=OrderedDict)
    cached_bytes: int = 0
    announcing: dict[int, list[Name]] = field(default_factory=dict)  # by peer
    wanted: dict[Name, Wanted] = field(default_factory=dict)
    early: list[Batch] = field(default_factory=list)  # own batches of a joining node that has met no peer yet
    early_bytes: int = 0
    duplicates: int = 0
    firsts: int = 0

    def spreads(self) -> bool:
        return len(self.book.enclave) > self.host.policy.direct_peers_max

    def originate(self, payload: bytes, kind: int) -> int:
        """A batch of this node's own, to the peers; its number."""
        self.number += 1
        peers = self.neighbours.of_enclave()
        spread = self.spreads()
        batch = Batch(self.book.me.number, self.number, 1 if spread else 0, kind, payload, self.host.now.ms,
                      self.number, self.number)
        if spread:
            linked = [peer for peer in peers if peer.link is not None]
            fan = min(isqrt(len(self.book.enclave) - 1) + 1, len(linked))
            peers = self.host.rng.sample(linked, fan)
            self.keep(batch)
            self.quorum.sent_to(self.number)
        self.quorum.mark(self.number)
        for peer in peers:
            self.push(peer, batch)
        if not peers and self.host.state == JOINING:
            self._keep_early(batch)
        return self.number

    def _keep_early(self, batch: Batch) -> None:
        """Keeps a batch until the first peer comes. Comparison would bring it too, but only some seconds later."""
        self.early.append(batch)
        self.early_bytes += len(batch.payload) + FRAME_BYTES
        if self.early_bytes > self.host.policy.queue_bytes_max:
            self.early.clear()
            self.early_bytes = 0

    def hand_early(self, peer: Peer) -> None:
        """Sends a new peer the batches that were written before any peer was met."""
        if self.host.state != JOINING:
            self.early.clear()
            self.early_bytes = 0
        elif self.early and peer.number in self.book.enclave:
            peer.joined_at = self.early[0].own - 1
            for batch in self.early:
                self.push(peer, batch)

    def lags(self, number: int) -> bool:
        """Whether writes of this node may not have been sent to a peer yet."""
        peer = self.neighbours.peers.get(number)
        return peer is None or bool(peer.queue) or peer.lagging_ms is not None or self.spreads()

    def push(self, peer: Peer, batch: Batch) -> None:
        lagged = peer.lagging_ms is not None
        if lagged and peer.link is None:
            peer.joined_at = self.number  # comparison will bring it everything, so nothing has to wait for it
            return
        if not enqueue(peer, batch, self.host.policy, self.host.now.ms, self.number) and not lagged:
            self.host.report("lagging", f"peer={peer.number:016x}")
        if peer.link is not None:
            self.delivery.pump(peer.link)

    def receive(self, link: Link, message: Push) -> None:
        """A PUSH seen for the first time on its link."""
        assert link.peer is not None
        if message.origin == self.book.me.number:
            handled(link, message.seq, True)
            return
        is_first = not message.number or self.see((message.origin, message.number))
        is_publication = message.kind == PUBLICATION_KIND
        if is_first and is_publication:
            channel, text = unpack_publication(message.payload)
            self.host.emit(Deliver(channel, text))
        if not is_publication and (is_first or not message.spread):
            self.host.emit(Merge(link.id, message.seq, message.payload))
        else:
            handled(link, message.seq, True)
        if message.spread and message.number:
            if is_first:
                self.firsts += 1
                self.pass_on(link.peer, message)
            else:
                self.duplicates += 1

    def pass_on(self, sender: Peer, message: Push) -> None:
        batch = Batch(message.origin, message.number, 1, message.kind, message.payload, self.host.now.ms)
        self.keep(batch)
        others = [
            peer
            for peer in self.neighbours.of_enclave()
            if peer.link and peer is not sender and peer.number != message.origin
        ]
        announced = ceil(log(max(len(self.book.enclave), 2))) + 1
        chosen = self.host.rng.sample(others, min(self.host.policy.passed_on_to + announced, len(others)))
        for peer in chosen[: self.host.policy.passed_on_to]:
            self.push(peer, batch)
        if not self.announcing:
            self.host.at(self.host.now.ms + self.host.policy.announce_ms, AnnounceDue())
        for peer in chosen[self.host.policy.passed_on_to :]:
            self.announcing.setdefault(peer.number, []).append((message.origin, message.number))

    # -- what was seen --------------------------------------------------------------------------------
    def has_seen(self, name: Name) -> bool:
        seen = self.seen.get(name[0])
        return seen is not None and (name[1] <= seen.watermark or name[1] in seen.sparse)

    def see(self, name: Name) -> bool:
        """Marks a batch as seen; whether that is the first time."""
        origin, number = name
        table = self.seen
        seen = table.get(origin)
        if seen is None:
            if len(table) >= self.host.policy.origins_max:
                del table[next(iter(table))]
            seen = table[origin] = Seen(max(0, number - self.host.policy.batch_gaps_max // 2))
        if number <= seen.watermark or number in seen.sparse:
            return False
        seen.sparse.add(number)
        if len(seen.sparse) > self.host.policy.batch_gaps_max:
            seen.watermark = min(seen.sparse)
        while seen.watermark in seen.sparse or seen.watermark + 1 in seen.sparse:
            seen.sparse.discard(seen.watermark)
            if seen.watermark + 1 not in seen.sparse:
                break
            seen.watermark += 1
            seen.sparse.discard(seen.watermark)
        self.wanted.pop(name, None)
        return True

    def keep(self, batch: Batch) -> None:
        """For those who hear of the batch by announcement and ask."""
        policy = self.host.policy
        self.cached[batch.origin, batch.number] = (self.host.now.ms, batch)
        self.cached_bytes += len(batch.payload)
        while self.cached:
            at_ms, oldest = next(iter(self.cached.values()))
            if self.cached_bytes <= policy.batch_cache_bytes_max and self.host.now.ms - at_ms <= policy.batch_cache_ms:
                break
            self.cached.popitem(last=False)
            self.cached_bytes -= len(oldest.payload)

    # -- announcements --------------------------------------------------------------------------------
    def announce(self) -> None:
        announcing, self.announcing = self.announcing, {}
        for number, names in announcing.items():
            peer = self.neighbours.peers.get(number)
            if peer is not None and peer.link is not None:
                for at in range(0, len(names), NAMES_MAX):
                    self.host.send(peer.link.id, Announce(pack_names(names[at : at + NAMES_MAX])))

    def announced(self, link: Link, message: Announce) -> None:
        for name in unpack_names(message.batches):
            if self.has_seen(name) or name[0] == self.book.me.number:
                continue
            wanted = self.wanted.get(name)
            if wanted is not None:
                if len(wanted.announcers) < self.host.policy.wants_max:
                    wanted.announcers.append(link.id)
                continue
            if len(self.wanted) < self.host.policy.batch_gaps_max:
                if not self.wanted:
                    self.host.at(self.host.now.ms + self.host.policy.want_ms, WantDue())
                self.wanted[name] = Wanted(self.host.now.ms + self.host.policy.want_ms, [link.id])

    def want(self) -> None:
        """Asks for what was announced and did not come, one announcer after the other."""
        policy, now_ms = self.host.policy, self.host.now.ms
        asks: dict[int, list[Name]] = {}
        for name, wanted in list(self.wanted.items()):
            if wanted.due_ms > now_ms:
                continue
            link_id = next((one for one in wanted.announcers[wanted.asked :] if one in self.neighbours.links), None)
            if link_id is None or wanted.asked >= policy.wants_max:
                del self.wanted[name]
                continue
            asks.setdefault(link_id, []).append(name)
            wanted.asked += 1
            wanted.due_ms = now_ms + policy.want_ms
        for link_id, names in asks.items():
            self.host.send(link_id, Want(pack_names(names)))
        if self.wanted:
            self.host.at(min(wanted.due_ms for wanted in self.wanted.values()), WantDue())

    def asked(self, link: Link, message: Want) -> None:
        assert link.peer is not None
        for name in unpack_names(message.batches):
            if name in self.cached:
                self.push(link.peer, self.cached[name][1])
