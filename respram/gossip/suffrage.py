"""Who may vote where a majority decides: a member that was started has forgotten what it promised and accepted.

It is *silent* at first. Every `suffrage_ms` it asks all members of the enclave who votes (BALLOT inquire), and begins
to vote in one of two ways:

**All are new.** All other members of `--enclave-size` answer, in one round, that they are silent and have met nobody
who votes. Then nobody does, and what was decided before is lost in any case: all of them begin. Each tells the others
who was new with it, and whoever is on such a list begins, too: it was there before anything was decided.

**It comes back.** N - majority + 1 others vote: whatever majority its former self was part of, one of them was part of
it, too. They are asked to *bar* all reigns so far. Then nothing is accepted any more that was begun before, and each
of them holds what it had accepted. Once its clock is past the last stamp of those reigns this member compares itself
with each of them, until the digests of all that has a stamp up to there are equal. What ends within seconds is left
out, and waited for.

So where more than N - majority members are started again at a time, the others included in what they knew, nobody can
tell what was decided: nobody decides until those who are left are started again, too.
That shows in one round in which all others answer that they do not vote: whoever had met a voter is then as good as
new.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from respram.engine.replication import GRANULE_SHIFT, STAMP_GRANULE_SHIFT, YOUNG_GRANULES, Cut
from respram.errors import PeerError
from respram.gossip.effects import Host
from respram.gossip.links import Link
from respram.gossip.majority import Majority
from respram.gossip.members import ALIVE, AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.promises import Promises
from respram.gossip.repair import Repair
from respram.gossip.rounds import Round
from respram.gossip.states import READY
from respram.gossip.timers import SuffrageTurn
from respram.wire.messages import BAR, GIVEN, INQUIRE, LEARNING, SILENT, Ballot, Vote

_NUMBER = Struct("<Q")


@dataclass(slots=True, eq=False)
class Suffrage:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    promises: Promises
    majority: Majority
    repair: Repair
    founders: tuple[int, ...] = ()  # members that were new together with this one
    met_voter: bool = False
    inquiry: int = 0  # number of the current inquiry
    silent: set[int] = field(default_factory=set)  # members that answered: new
    voters: set[int] = field(default_factory=set)  # members that answered: voting
    idle: set[int] = field(default_factory=set)  # members that answered: not voting, new or not
    barring: int = 0  # number of the BALLOT that bars; 0: none
    barred: dict[int, int] = field(default_factory=dict)  # by member: the last stamp of the ended reigns
    barred_ms: int = 0
    level: set[int] = field(default_factory=set)  # those of them whose digest was found equal
    level_ms: int = 0  # since when enough of them are in it; 0: not yet
    comparing: Round | None = None
    crowded: bool = False
    on_vote: Callable[[], None] = lambda: None

    # -- what comes -----------------------------------------------------------------------------------
    def balloted(self, link: Link, message: Ballot) -> None:
        if message.kind not in (INQUIRE, BAR):
            self.majority.asked(link, message)
            return
        founders = b"".join(map(_NUMBER.pack, self.founders))
        if message.size != self.host.policy.enclave_size:
            vote = Vote(message.number, LEARNING, 0, b"")
        elif self.promises.votes:
            vote = Vote(message.number, GIVEN, self.promises.bar() if message.kind == BAR else 0, founders)
        else:
            vote = Vote(message.number, LEARNING if self.met_voter else SILENT, 0, b"")
        self.host.send(link.id, vote)

    def voted(self, link: Link, message: Vote) -> None:
        assert link.peer is not None
        who = link.peer.number
        if not message.number or message.number not in (self.inquiry, self.barring):
            self.majority.voted(link, message)
            return
        if self.promises.votes:
            return
        if len(message.records) % _NUMBER.size:
            raise PeerError("VOTE cannot be read")
        self.met_voter = self.met_voter or message.outcome == GIVEN
        if message.number == self.inquiry and message.outcome != GIVEN:
            self.idle.add(who)
            if len(self.idle) == self.host.policy.enclave_size - 1 and not self.voters:
                self.met_voter = False  # the members that it met have restarted too: no voter is left
        if message.outcome == GIVEN and (self.book.me.number,) in _NUMBER.iter_unpack(message.records):
            self.founders = tuple(number for (number,) in _NUMBER.iter_unpack(message.records))
            self._begin("new together with the others")
        elif message.number == self.barring:
            if message.outcome == GIVEN and self.majority.is_plausible(message.bound):
                self.barred[who] = message.bound
        elif message.outcome == GIVEN:
            self.voters.add(who)
        elif message.outcome == SILENT:
            self.silent.add(who)
            if self._is_crowded():
                return
            if len(self.silent) == self.host.policy.enclave_size - 1 and not self.met_voter:
                self.founders = tuple(sorted((self.book.me.number, *self.silent)))
                self._begin("all are new")

    def compared(self, round: Round, wholly: bool) -> None:
        """A round has ended. Only equal digests prove that nothing is missing: a filter may pass over a record."""
        if round is self.comparing:
            self.comparing = None
            if wholly and round.selection is None and round.peer.number in self.barred:
                self.level.add(round.peer.number)

    # -- time -----------------------------------------------------------------------------------------
    def turn(self) -> None:
        if self.promises.votes or not self.majority.is_on:
            return
        self.host.at(self.host.now.ms + self.host.policy.suffrage_ms, SuffrageTurn())
        if self.host.state != READY:
            return
        if self._is_crowded():
            return
        if self.host.policy.enclave_size == 1:
            self.founders = (self.book.me.number,)
            self._begin("it is the only one")
        elif len(self.barred) >= self._others_needed():
            self._learn()
        elif self.barring and self.host.now.ms - self.barred_ms < self.host.policy.ballot_ms:
            return
        elif len(self.voters) >= self._others_needed():
            self._bar()
        else:
            self._inquire()

    def _is_crowded(self) -> bool:
        """Whether there are more members than there should be: two majorities could then decide without each other."""
        there = 1 + sum(self.book[number].status == ALIVE for number in self.book.enclave)
        crowded = there > self.host.policy.enclave_size
        if crowded and not self.crowded:
            self.host.report("majority_crowded", f"members={there}", warns=True)
        self.crowded = crowded
        return crowded

    def _inquire(self) -> None:
        self._forget()
        self.inquiry = self._ask(INQUIRE)

    def _bar(self) -> None:
        """Ends earlier reigns, once, when it is known that enough of them vote: it costs those who reign a second."""
        self._forget()
        self.barring, self.barred_ms = self._ask(BAR), self.host.now.ms

    def _learn(self) -> None:
        now = self.host.now
        end = max(self.barred.values()) >> STAMP_GRANULE_SHIFT
        if self.level_ms:
            if now.ms - self.level_ms >= self.host.policy.suffrage_rest_ms:
                self.promises.floor = max(self.promises.floor, *self.barred.values())
                self._begin(f"level with {len(self.level)} others")
            return
        if now.ms - self.barred_ms > self.host.policy.suffrage_patience_ms:
            self._inquire()
            return
        if end >= now.wall_ms >> GRANULE_SHIFT or self.repair.rounds.own is not None:
            return
        stamp = max(end, (now.wall_ms >> GRANULE_SHIFT) - YOUNG_GRANULES + 1)
        for number in sorted(self.barred.keys() - self.level):
            link = self.neighbours.link_to(number)
            if link is not None and link.peer is not None and not link.peer.foreign:
                last_ms = now.wall_ms + self.host.policy.suffrage_rest_ms - self.host.policy.clock_offset_ms_max
                self.comparing = self.repair.compare_by(link.peer, Cut(stamp, last_ms >> GRANULE_SHIFT))
                return
        if len(self.level) >= self._others_needed():
            self.level_ms = now.ms

    def _others_needed(self) -> int:
        size = self.host.policy.enclave_size
        return size - self.majority.needed + 1

    def _ask(self, kind: int) -> int:
        self.majority.number += 1
        number = self.majority.number
        for link in self.neighbours.greeted():
            if link.same_enclave:
                self.host.send(link.id, Ballot(number, kind, self.host.policy.enclave_size, 0, 0, 0, b"", b""))
        return number

    def _forget(self) -> None:
        self.inquiry = self.barring = 0
        self.silent.clear()
        self.voters.clear()
        self.idle.clear()
        self.barred.clear()
        self.level.clear()
        self.level_ms, self.comparing = 0, None

    def _begin(self, why: str) -> None:
        self.promises.votes = True
        self.book.set_me(votes=True)
        self.on_vote()
        self._forget()
        self.host.report("votes", f"why='{why}'")
