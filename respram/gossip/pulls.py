"""Lazy pull: after a miss, asks peers if one of them may have the key; otherwise sends nothing.

A peer may have the key if its last digest differed. (A filter of (key, stamp) cannot be asked for a key alone, so a
differing digest is the whole test.) One pull per key at a time, two peers at most, 25 ms; a late answer still merges.
After an answer that a key is absent, peers are not asked for it again for 250 ms.

This is a guess that may fail, for a node that believes it has everything. A node that does not, uses truths.py.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from respram.gossip.effects import Answered, Host, Merge
from respram.gossip.links import Link
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.states import DOUBTFUL
from respram.gossip.timers import PullExpired
from respram.gossip.truths import Truths
from respram.record import DATABASES, SCRIPTS
from respram.wire.messages import Pull, Pulled

Name = tuple[int, bytes]  # database and key


@dataclass(slots=True)
class Waiting:
    token: int
    until_ms: int
    left: set[int]  # peers that have not answered


@dataclass(slots=True, eq=False)
class Pulls:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    truths: Truths
    waiting: dict[Name, Waiting] = field(default_factory=dict)
    names: "OrderedDict[int, Name]" = field(default_factory=OrderedDict)  # by token; kept for answers that come late
    # Missing keys, and until when not to ask again.
    absent: "OrderedDict[Name, int]" = field(default_factory=OrderedDict)
    token: int = 0
    second: int = 0
    in_second: int = 0
    sent: int = 0
    found: int = 0

    def useful(self) -> bool:
        """Whether a pull could find something at all; otherwise misses need not be observed."""
        return self.neighbours.differing > 0 and self.host.state not in DOUBTFUL

    def pull(self, db: int, key: bytes) -> bool:
        """True: the caller waits for Answered(db, key). False: nil stands."""
        policy, now_ms = self.host.policy, self.host.now.ms
        name = (db, key)
        if name in self.waiting:
            return True
        if not self.useful() or self.absent.get(name, 0) > now_ms or len(self.waiting) >= policy.pulls_max:
            return False
        if now_ms // 1000 != self.second:
            self.second, self.in_second = now_ms // 1000, 0
        peers = [
            peer
            for peer in self.neighbours.of_enclave()
            if peer.link is not None and peer.differs and self.book[peer.number].ready
        ]
        if not peers or self.in_second >= policy.pulls_per_s_max:
            return False
        self.in_second += 1
        self.token += 1
        chosen = self.host.rng.sample(peers, min(policy.pull_peers_max, len(peers)))
        patience_ms = (
            policy.pull_ms if all((peer.rtt_ms or 0) < policy.pull_ms / 2 for peer in chosen) else policy.pull_ms_max
        )
        self.waiting[name] = Waiting(self.token, now_ms + patience_ms, {peer.number for peer in chosen})
        self.names[self.token] = name
        while len(self.names) > policy.pulls_max:
            self.names.popitem(last=False)
        for peer in chosen:
            assert peer.link is not None
            self.host.send(peer.link.id, Pull(self.token, db, key))
            self.sent += 1
        self.host.at(now_ms + patience_ms, PullExpired(self.token))
        return True

    def asked(self, link: Link, message: Pull) -> None:
        """Only a node that has everything can say that it has not got this, or nothing newer."""
        payload = (
            self.host.store.fetch(message.db, message.key, self.host.now.wall_ms)
            if message.db < DATABASES or message.db == SCRIPTS
            else b""
        )
        self.host.send(link.id, Pulled(message.token, int(self.host.state not in DOUBTFUL), payload))

    def answered(self, link: Link, message: Pulled) -> None:
        """Merges whatever came, late or not; the wait ends with the first record or the last nothing."""
        assert link.peer is not None
        if message.token in self.truths.open:
            if message.payload:
                self.host.emit(Merge(link.id, 0, message.payload))
            self.truths.answered(link, message)
            return
        name = self.names.get(message.token)
        if name is None:
            return
        if message.payload:
            self.found += 1
            self.host.emit(Merge(link.id, 0, message.payload))
        waiting = self.waiting.get(name)
        if waiting is None or waiting.token != message.token:
            return
        waiting.left.discard(link.peer.number)
        if message.payload or not waiting.left:
            self.end(name, found=bool(message.payload))

    def expired(self, token: int) -> None:
        name = self.names.get(token)
        if name is not None and (waiting := self.waiting.get(name)) is not None and waiting.token == token:
            self.end(name, found=False)

    def end(self, name: Name, found: bool) -> None:
        del self.waiting[name]
        if not found:
            self.absent.pop(name, None)
            self.absent[name] = self.host.now.ms + self.host.policy.absent_ms
            while len(self.absent) > self.host.policy.absent_keys_max:
                self.absent.popitem(last=False)
        self.host.emit(Answered(*name))
