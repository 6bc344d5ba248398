"""`--decide majority`: a decision holds when a majority of the members has accepted it. CASPaxos, a register a key.

The stamp of a record is its ballot. Whoever decides, usually the home, does it in two steps:

    BALLOT prepare low high keys    ->   every member promises the slots to this reign (promises.py)
                                    <-   VOTE given, and what it holds of the keys
    the newest of a majority is merged here, and given a stamp of this reign; then the command is run
    BALLOT accept low high records  ->   merged, if the promise still holds
                                    <-   VOTE given
    a majority has accepted: the client is answered

A key whose record has a stamp of this reign, made here, is known to be the newest while the promise lasts: the first
step is left out, and a decision costs one exchange. That a command wrote nothing changes nothing: what it saw is
accepted by a majority before it is told, with a stamp that what an earlier reign left with a minority cannot outrank.
A decision that prolongs a life is accepted in two steps (lengthening.py); others about the key wait for it.

A reign ends `reign_ms` behind the last exchange. Nothing depends on clocks for that: it ends at a stamp, and this
member's next stamp is compared with it. Whoever comes next waits until its own clock is past that stamp.

Without a majority in sight nothing is begun. What was run, and not accepted in time, has an outcome that nobody knows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from respram.errors import PeerError
from respram.gossip.effects import Host, Take
from respram.gossip.lengthening import Pair, decided, packed_all, prolonged, reserved, stamp_of
from respram.gossip.links import Link
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.promises import Promises
from respram.gossip.timers import BallotsTurn
from respram.record import DATABASES, HEADER, pack, unpack
from respram.slots import slot_of, unpack_keys
from respram.stamp import from_ms
from respram.wire.messages import ACCEPT, BELOW, GIVEN, PREPARE, SILENT, Ballot, Vote

Then = Callable[[bool], None]
Accepted = Callable[[bool, list[bytes]], None]  # and what the keys hold, where a majority has it


@dataclass(slots=True)
class Round:
    """One question to all members."""

    ballot: Ballot
    slots: frozenset[int]
    until_ms: int
    then: "Callable[[Round, bool], None]"
    sent_ms: int = 0
    given: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    bound: int = 0  # a reign must begin above it, say the members that refused


@dataclass(slots=True)
class Ticket:
    """A decision that is being run, or accepted."""

    db: int
    keys: bytes
    low: int  # start of the reign in which it began
    before: list[bytes] = field(default_factory=list)  # what the keys held right before the run

    @property
    def slots(self) -> frozenset[int]:
        return frozenset(map(slot_of, unpack_keys(self.keys)))


@dataclass(slots=True, eq=False)
class Majority:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    promises: Promises
    low: int = 0  # start of this member's reign; 0: it has none
    held: dict[int, int] = field(default_factory=dict)  # by slot: the stamp up to which a majority has promised it
    # By number; at most as many as this node's forwards, and those that it serves.
    rounds: dict[int, Round] = field(default_factory=dict)
    tickets: dict[tuple[int, int], Ticket] = field(default_factory=dict)  # by asking node and its number
    takes: dict[int, Callable[[bool], None]] = field(default_factory=dict)  # records that are being merged
    prolonging: set[tuple[int, bytes]] = field(default_factory=set)  # keys whose lives are being prolonged, with db
    number: int = 0
    ticking: bool = False
    chosen: int = 0
    short: int = 0  # decisions that did not begin for lack of a majority
    lost: int = 0  # decisions that ran and were not accepted by a majority in time
    deposed: int = 0  # times that another reign was above this member's

    @property
    def is_on(self) -> bool:
        return self.host.policy.enclave_size > 0

    @property
    def needed(self) -> int:
        return self.host.policy.enclave_size // 2 + 1

    # -- who decides ----------------------------------------------------------------------------------
    def prepare(self, who: int, number: int, db: int, keys: bytes, then: Then) -> None:
        """Asks a majority before a command is run. `then(True)` is called when it may be, at once; `then(False)`: not
        now."""
        base = self._next_stamp()
        if not self.promises.votes or self._in_sight() < self.needed:
            self.short += 1
            then(False)
            return
        if base < self.low:  # stamps of another reign are above this clock
            then(False)
            return
        self.low = self.low or base
        slots = frozenset(map(slot_of, unpack_keys(keys)))
        ready = partial(self._go, who, number, db, keys, then)
        if self._reigns(slots) and not self._unconfirmed(db, keys):
            ready(self.low, True)
            return
        ballot = Ballot(0, PREPARE, self.host.policy.enclave_size, self.low, self._end_of(base), db, keys, b"")
        self._ask(ballot, slots, self.host.policy.ballot_ms, partial(self._prepared, slots, ready))

    def _prepared(self, slots: frozenset[int], ready: Callable[[int, bool], None], round: Round, given: bool) -> None:
        low = round.ballot.low
        if given:
            self._hold(round)
        ready(low, given and low == self.low and self._reigns(slots))

    def _go(self, who: int, number: int, db: int, keys: bytes, then: Then, low: int, may: bool) -> None:
        old = self._restamped(db, keys) if may else b""

        def taken(stored: bool) -> None:
            if stored:
                self.tickets[who, number] = Ticket(db, keys, low)
            then(stored)

        if old:
            self.take(0, old, taken)
        else:
            taken(may)

    def _restamped(self, db: int, keys: bytes) -> bytes:
        """What is there already, with stamps of this reign."""
        found, clock = [], self._next_stamp()
        for packed in self._unconfirmed(db, keys):
            for record in unpack(packed):
                if record.value is not None and not record.kind:
                    found.append(pack(replace(record, clock=clock, node=self.book.me.number)))
                    clock += 1
        return b"".join(found)

    def may_run(self, who: int, number: int) -> bool:
        """Whether what is stamped in this moment is promised still. The run follows in the same moment."""
        ticket = self.tickets.get((who, number))
        if ticket is None or ticket.low != self.low or not self._reigns(ticket.slots):
            return False
        keys = unpack_keys(ticket.keys)
        if self.prolonging and any((ticket.db, key) in self.prolonging for key in keys):
            return False
        ticket.before = [self.host.store.fetch(ticket.db, key, self.host.now.wall_ms) for key in keys]
        return True

    def runs_on(self, who: int, number: int) -> None:
        """Notes that a command is still being run: others may write meanwhile, and what was held before says nothing
        any more."""
        ticket = self.tickets.get((who, number))
        if ticket is not None:
            ticket.before = []

    def accept(self, who: int, number: int, records: list[bytes], then: Accepted) -> None:
        """Asks a majority, behind the run, to accept what the keys hold now. `then(True, ...)`: a majority has it."""
        ticket = self.tickets.pop((who, number))
        pairs = prolonged(ticket.before, records)

        def told(given: bool) -> None:
            self._tell(given, records, then)

        if pairs:
            self._prolong(ticket, records, pairs, then)
        else:
            self._ask_accept(ticket, b"".join(records), told)

    def _ask_accept(self, ticket: Ticket, records: bytes, then: Then) -> None:
        ballot = Ballot(0, ACCEPT, self.host.policy.enclave_size, ticket.low, self._end_of(self._next_stamp()),
                        ticket.db, ticket.keys, records)  # fmt: skip
        self._ask(ballot, ticket.slots, self.host.policy.forward_ms, partial(self._accepted, then))

    def _accepted(self, then: Then, round: Round, given: bool) -> None:
        if given and round.ballot.low == self.low:
            self._hold(round)
        then(given)

    def _tell(self, given: bool, records: list[bytes], then: Accepted) -> None:
        self.chosen += given
        self.lost += not given
        then(given, records)

    def _prolong(self, ticket: Ticket, records: list[bytes], pairs: list[Pair], then: Accepted) -> None:
        """The new records are taken back before anybody has them; they are made anew once a majority remembers for
        long enough.
        """
        me, keys = self.book.me.number, {(old.db, old.key) for old, _ in pairs}
        clock, wall_ms = self._next_stamp(), self.host.now.wall_ms
        old = [reserved(pair, clock + place, me, wall_ms) for place, pair in enumerate(pairs)]
        self.prolonging |= keys

        def end(given: bool, found: list[bytes]) -> None:
            self.prolonging -= keys
            self._tell(given, found, then)

        def taken_back(stored: bool) -> None:
            if stored:
                self._ask_accept(ticket, packed_all(old), remembered)
            else:
                end(False, [])

        def remembered(given: bool) -> None:
            if not given or ticket.low != self.low or not self._reigns(ticket.slots):
                end(False, [])
                return
            clock = self._next_stamp()
            new = [
                decided(pair, clock + place, me, one.shadow_ms)
                for place, (pair, one) in enumerate(zip(pairs, old, strict=True))
                if stamp_of(self.host.store.fetch(one.db, one.key, self.host.now.wall_ms)) == one.stamp
            ]  # where somebody has written blindly meanwhile, that is the newest
            self.take(0, packed_all(new), made)

        def made(stored: bool) -> None:
            wall_ms = self.host.now.wall_ms
            found = [self.host.store.fetch(ticket.db, key, wall_ms) for key in unpack_keys(ticket.keys)]
            if stored:
                self._ask_accept(ticket, b"".join(found), lambda given: end(given, found))
            else:
                end(False, [])

        self.take(0, packed_all(old), taken_back)

    def has(self, who: int, number: int) -> bool:
        return (who, number) in self.tickets

    def drop(self, who: int, number: int) -> None:
        """Ends a decision whose command was not run after all."""
        self.tickets.pop((who, number), None)

    def _hold(self, round: Round) -> None:
        for slot in round.slots:
            self.held[slot] = max(self.held.get(slot, 0), round.ballot.high)

    def _reigns(self, slots: frozenset[int]) -> bool:
        """Whether what is stamped now, and for a little while, has a stamp that a majority has promised."""
        last = self._next_stamp() + from_ms(self.host.policy.reign_spare_ms)
        return self.promises.holds(self.book.me.number, self.low, slots) and all(
            self.held.get(slot, 0) >= last for slot in slots
        )

    def _unconfirmed(self, db: int, keys: bytes) -> list[bytes]:
        """What is held of these keys and was not stamped in this reign; b"" for what is missing."""
        me, found = self.book.me.number, []
        for key in unpack_keys(keys):
            packed = self.host.store.fetch(db, key, self.host.now.wall_ms)
            if packed:
                _, _, _, _, clock, node, _ = HEADER.unpack_from(packed)
                if node == me and clock >= self.low:
                    continue
            found.append(packed)
        return found

    def _next_stamp(self) -> int:
        """The next stamp; the engine gives none below it."""
        return max(from_ms(self.host.now.wall_ms), self.host.store.last_clock() + 1)

    def _end_of(self, base: int) -> int:
        return base + from_ms(self.host.policy.reign_ms)

    def is_plausible(self, stamp: int) -> bool:
        """Whether a reign can end there. One far ahead would keep everybody from deciding until then."""
        policy = self.host.policy
        return stamp <= from_ms(self.host.now.wall_ms + 2 * (policy.clock_offset_ms_max + policy.reign_ms))

    def _in_sight(self) -> int:
        return 1 + sum(link.same_enclave for link in self.neighbours.greeted())

    # -- rounds ---------------------------------------------------------------------------------------
    def _ask(self, ballot: Ballot, slots: frozenset[int], for_ms: int, then: Callable[[Round, bool], None]) -> None:
        self.number += 1
        number, now_ms = self.number, self.host.now.ms
        ballot = replace(ballot, number=number)
        round = self.rounds[number] = Round(ballot, slots, now_ms + for_ms, then, now_ms)
        me = self.book.me.number
        bound = self.promises.give(me, ballot.low, ballot.high, slots) if self.promises.votes else 0
        if not self.promises.votes or bound:
            round.bound = bound
            round.refused.add(me)
            if ballot.kind == PREPARE:  # without its own promise a member does not decide
                self._end(round, False)
                return
        else:
            round.given.add(me)
        for link in self.neighbours.greeted():
            if link.same_enclave:
                self.host.send(link.id, ballot)
        self._look(round)
        if not self.ticking:
            self.ticking = True
            self.host.at(now_ms + self.host.policy.forward_turn_ms, BallotsTurn())

    def _look(self, round: Round) -> None:
        if len(round.given) >= self.needed:
            self._end(round, True)
        elif len(round.refused) > self.host.policy.enclave_size - self.needed:
            self._end(round, False)

    def _end(self, round: Round, given: bool) -> None:
        if self.rounds.pop(round.ballot.number, None) is None:
            return
        if not given and round.bound and round.ballot.low == self.low:
            self.deposed += 1
            self.low = max(self.low, round.bound) + 1
            self.held.clear()
        round.then(round, given)

    def voted(self, link: Link, message: Vote) -> None:
        assert link.peer is not None
        round, who = self.rounds.get(message.number), link.peer.number
        if round is None or who in round.given:
            return
        if message.outcome == GIVEN and round.ballot.kind == PREPARE:
            self.take(link.id, message.records, partial(self._prepared_by, round, who))
        elif message.outcome == GIVEN:
            self._give(round, who)
        else:
            round.refused.add(who)
            round.bound = max(round.bound, message.bound if self.is_plausible(message.bound) else 0)
            self._look(round)

    def _prepared_by(self, round: Round, who: int, stored: bool) -> None:
        """What it holds is known here; where it could not be stored, it decides nothing."""
        if stored and round.ballot.number in self.rounds:
            self._give(round, who)

    def _give(self, round: Round, who: int) -> None:
        round.refused.discard(who)
        round.given.add(who)
        self._look(round)

    def turn(self) -> None:
        policy, now_ms = self.host.policy, self.host.now.ms
        for round in list(self.rounds.values()):
            if now_ms >= round.until_ms:
                self._end(round, False)
            elif now_ms - round.sent_ms >= policy.ballot_resend_ms:
                round.sent_ms = now_ms
                for link in self.neighbours.greeted():
                    if link.same_enclave and link.peer is not None and link.peer.number not in round.given:
                        self.host.send(link.id, round.ballot)
        self.ticking = bool(self.rounds)
        if self.ticking:
            self.host.at(now_ms + policy.forward_turn_ms, BallotsTurn())

    # -- who votes ------------------------------------------------------------------------------------
    def asked(self, link: Link, message: Ballot) -> None:
        assert link.peer is not None
        if message.db >= DATABASES or message.kind not in (PREPARE, ACCEPT) or not 0 < message.low <= message.high:
            raise PeerError("BALLOT is out of range")
        try:
            slots = frozenset(map(slot_of, unpack_keys(message.keys)))
        except ValueError as error:
            raise PeerError(str(error)) from None
        voting = self.promises.votes and message.size == self.host.policy.enclave_size
        if not voting or not self.is_plausible(message.high):
            self.host.send(link.id, Vote(message.number, SILENT, 0, b""))
            return
        bound = self.promises.give(link.peer.number, message.low, message.high, slots)
        if bound:
            self.host.send(link.id, Vote(message.number, BELOW, bound, b""))
        elif message.kind == PREPARE:
            pieces = self.host.store.fetch_all(message.db, message.keys, self.host.now.wall_ms).pieces
            self.host.send(link.id, Vote(message.number, GIVEN, 0, b"".join(pieces)))
        else:
            self.take(link.id, message.records, partial(self._vote, link.id, message.number))

    def _vote(self, link: int, number: int, stored: bool) -> None:
        self.host.send(link, Vote(number, GIVEN if stored else SILENT, 0, b""))

    # -- records --------------------------------------------------------------------------------------
    def take(self, link: int, records: bytes, then: Callable[[bool], None]) -> None:
        self.number += 1
        self.takes[self.number] = then
        self.host.emit(Take(link, self.number, records))

    def taken(self, token: int, stored: bool) -> None:
        then = self.takes.pop(token, None)
        if then is not None:
            then(stored)
