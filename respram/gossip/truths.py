"""Finds out what a key holds, for a node that may lack records: it asks ready peers and waits for them.

A joiner may not decide by its own records: they are incomplete, restored ones may be old, and nodes that do not know it
do not push to it. So it asks up to three ready peers that it is linked to, and waits for all of them. Once one has
answered, it waits for the others only a short time, because a slow peer must not cost more than its news is worth. The
answer `absent` of a ready peer is reliable. If a peer is lost meanwhile, or none is there yet, other peers are asked
until the time is up. The wait ends early when this node is ready itself.

A lazy pull (pulls.py) asks on a guess and takes silence for nil; here silence is never an answer.
"""

from dataclasses import dataclass, field

from respram.gossip.effects import Host, Learnt
from respram.gossip.links import Link
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.states import DOUBTFUL, JOINING
from respram.gossip.timers import TruthTurn
from respram.wire.messages import Pull, Pulled

FIRST_TOKEN = 1 << 32  # tokens of pulls count from 1, so an answer finds its question by its token


@dataclass(slots=True)
class Question:
    db: int
    key: bytes
    until_ms: int
    again_ms: int  # interval between two attempts; doubles
    left: set[int] = field(default_factory=set)  # peers that have not answered
    known: bool = False


@dataclass(slots=True, eq=False)
class Truths:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    open: dict[int, Question] = field(default_factory=dict)  # by token
    token: int = FIRST_TOKEN
    asked: int = 0
    failed: int = 0

    def needed(self) -> bool:
        return self.host.state in DOUBTFUL

    def ask(self, db: int, key: bytes) -> int:
        """Asks, and returns the token of the Learnt to come; 0: no peer can know."""
        policy, now_ms = self.host.policy, self.host.now.ms
        if self.host.state != JOINING or len(self.open) >= policy.pulls_max:
            return 0
        self.token += 1
        self.asked += 1
        self.open[self.token] = Question(db, key, now_ms + policy.truth_ms, policy.truth_again_ms)
        self._send(self.token)
        return self.token

    def _send(self, token: int) -> None:
        question = self.open[token]
        ready = [
            peer for peer in self.neighbours.of_enclave() if peer.link is not None and self.book[peer.number].ready
        ]
        for peer in self.host.rng.sample(ready, min(self.host.policy.truth_peers_max, len(ready))):
            assert peer.link is not None
            question.left.add(peer.number)
            self.host.send(peer.link.id, Pull(token, question.db, question.key))
        due_ms = min(self.host.now.ms + question.again_ms, question.until_ms)
        question.again_ms *= 2
        self.host.at(due_ms, TruthTurn(token))

    def answered(self, link: Link, message: Pulled) -> None:
        """A peer has answered, and its record is merged already. If it is not ready, it says so, and others are asked
        in the next turn.
        """
        token = message.token
        question = self.open.get(token)
        if question is None or link.peer is None or link.peer.number not in question.left:
            return
        question.left.discard(link.peer.number)
        was_known, question.known = question.known, question.known or bool(message.known)
        if question.known and not question.left:
            self._end(token, known=True)
        elif question.known and not was_known:
            self.host.at(self.host.now.ms + self.host.policy.pull_ms, TruthTurn(token))

    def turn(self, token: int) -> None:
        question = self.open.get(token)
        if question is None:
            return
        if question.known:
            self._end(token, known=True)
        elif self.host.now.ms >= question.until_ms:
            self._end(token, known=False)
        else:
            self._send(token)

    def lost(self, number: int) -> None:
        """Notes that a link has ended: the peer behind it will not answer."""
        for token, question in list(self.open.items()):
            if number in question.left:
                question.left.discard(number)
                if question.known and not question.left:
                    self._end(token, known=True)
                elif not question.left:
                    self.host.at(self.host.now.ms, TruthTurn(token))

    def settle(self) -> None:
        """Ends all questions: this node is ready now, or no peer can know."""
        for token in list(self.open):
            self._end(token, known=not self.needed())

    def _end(self, token: int, known: bool) -> None:
        del self.open[token]
        self.failed += not known
        self.host.emit(Learnt(token, known))
