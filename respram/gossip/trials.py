"""Members that are known by hearsay only are tried, before anybody reckons with them for good.

A member can tell of others that there are not, by the thousand. They would count among the many, be dialled in
place of those that there are, and be homes of keys. So each member of the enclave that this node has had no link
with is *tried*: dialled, and after WITNESS_MS without a link others are asked (PROBE) whether it answers them. Two
of them vouch for it, or the only one that there is: it may be this node that cannot reach it. After TRIAL_MS it is
given up: it stays in the book and counts for nothing, until it proves itself.

Who is tried: everybody, while those who count are few; else the HOMES_MAX by whose numbers homes are chosen, so
that all nodes have the same homes, and whoever else comes first while more are talked about than the links of this
node make plausible. What is left is a large enclave, of which a node meets a part in each minute, as links rotate.
"""

from dataclasses import dataclass, field

from respram.gossip.effects import Host
from respram.gossip.homes import HOMES_MAX, rank
from respram.gossip.links import Link
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.probes import Probes
from respram.wire.messages import Probe, Probed

TRIAL_MS = 5_000
WITNESS_MS = 1_500
TRIALS_PER_TURN_MAX = 64  # begun in a second: a connect each, to addresses that somebody named
AGAIN_PER_TURN_MAX = 2  # of those given up, dialled once more
WITNESSES_MAX = 3  # asked about one
VOUCHERS = 2  # one may lie


@dataclass(slots=True)
class Trial:
    begun_ms: int
    was_asked: bool = False
    vouchers: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Trials:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    probes: Probes
    open: dict[int, Trial] = field(default_factory=dict)  # by number
    met: list[int] = field(default_factory=list)  # tried, and proven since the turn before
    _asked: dict[int, int] = field(default_factory=dict)  # by nonce, whom
    _ranked: list[int] = field(default_factory=list)
    _seen: int = -1  # `changes` of the book when they were ranked

    def turn(self) -> list[int]:
        """Once in a second: who is to be dialled."""
        book, now_ms = self.book, self.host.now.ms
        self.met.clear()
        for number, trial in list(self.open.items()):
            member = book.members.get(number)
            if member is None or not member.is_alive or number in book.proven:
                del self.open[number]
                if number in book.proven:
                    self.met.append(number)
            elif now_ms - trial.begun_ms >= TRIAL_MS:
                del self.open[number]
                book.give_up(number)
                if (peer := self.neighbours.peers.get(number)) is not None:
                    self.neighbours.forget(peer)
            elif now_ms - trial.begun_ms >= WITNESS_MS and not trial.was_asked:
                self._ask(number, trial)
        self._asked = {nonce: number for nonce, number in self._asked.items() if number in self.open}
        begun = self._untried()[:TRIALS_PER_TURN_MAX]
        for number in begun:
            self.open[number] = Trial(now_ms)
        again = self.host.rng.sample(list(book.vain), min(AGAIN_PER_TURN_MAX, len(book.vain)))
        for number in again:
            if book.members[number].is_alive:
                self._ask(number, self.open.setdefault(number, Trial(now_ms)))
        return begun + again

    def _untried(self) -> list[int]:
        book = self.book
        if not book.untried():
            return []
        if self._seen != book.changes:
            self._seen = book.changes
            self._ranked = (
                sorted(book.enclave, key=rank)[:HOMES_MAX] if len(book.enclave) > HOMES_MAX else list(book.enclave)
            )
        found = [number for number in self._ranked if number in book.hearsay and number not in self.open]
        if len(found) < TRIALS_PER_TURN_MAX and book.is_crowded():
            known = {
                *found,
                *self.open,
            }  # those that were heard of first come first: a liar has to have been quicker than all others
            found += [number for number in book.hearsay if number in book.enclave and number not in known]
        return found

    def _ask(self, number: int, trial: Trial) -> None:
        trial.was_asked = True
        linked = self._witnesses()
        for link in self.host.rng.sample(linked, min(WITNESSES_MAX, len(linked))):
            self.probes.nonce = (self.probes.nonce + 1) & 0xFFFFFFFF
            self._asked[self.probes.nonce] = number
            self.host.send(link.id, Probe(self.probes.nonce, number))

    def _witnesses(self) -> list[Link]:
        return [link for link in self.neighbours.greeted() if link.same_enclave]

    def told(self, link: Link, message: Probed) -> None:
        number = self._asked.pop(message.nonce, 0)
        trial = self.open.get(number)
        if trial is None or not message.answered or link.peer is None or number == link.peer.number:
            return
        trial.vouchers.add(link.peer.number)
        if len(trial.vouchers) >= min(VOUCHERS, len(self._witnesses())):
            self.book.prove(number)
