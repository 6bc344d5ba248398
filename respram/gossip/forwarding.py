"""Forwards commands to their key's home, and brings back replies and records.

Where the client is, a forward is *asked*: `submit` finds the home of its slot (homes.py), sends FORWARD and gets
ANSWER, or has it run here if the home is here. Where the home is, it is *heard*: run in order, and answered with the
replies and the records. The records are merged before the client is answered: it reads its own writes. Where the
home has much to push, it does so before it answers, and leaves out of the answer what the asker has by then: its links
keep the order, and the answer says which frame went before it.

What can go wrong, and the result:

    the home has another view       NOT_HOME, with its own: asked again, there or by the own view, until both agree
    keys with several homes by now  APART: whoever asked takes the commands apart, and asks for each by itself
    the home settles, or pauses     LATER: asked again
    no link to the home             it is dialled; the forward waits
    the frame or the answer is lost sent again under its number; the home answers from what it kept and runs nothing
                                    twice
    a push before it was lost       the same, at once; then the answer has the records
    an answer that no home gives    (ahead of its push again and again, parts without end) the link is closed
    the home dies before it answers the outcome is UNKNOWN
    the time is up                  NOTHING, if it is certain that nothing was run; else UNKNOWN

So two nodes with different views do not both decide as long as both can answer, and nothing is run twice. A forward
that was refused is sent again under a new number: the old one can arrive late, and gets the same answer as before.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product

from respram import frozen
from respram.errors import PeerError
from respram.gossip.effects import Decided, Host, Merge, Serve
from respram.gossip.homes import NOBODY, Homes
from respram.gossip.links import Link
from respram.gossip.majority import Majority
from respram.gossip.members import ALIVE, AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.states import DOUBTFUL
from respram.gossip.timers import ForwardsTurn
from respram.record import DATABASES
from respram.slots import first_key, slot_of, unpack_keys
from respram.wire.messages import (
    CLOSES,
    DONE,
    FORGOTTEN,
    LATER,
    NOT_HOME,
    PART,
    RUN,
    TOGETHER,
    Answer,
    Forward,
)

# what a forward can come to
ANSWERED, CLOSED, NOTHING, UNKNOWN, APART = "answered", "closed", "nothing", "unknown", "apart"
WEIGHT_BYTES = 256  # overhead of a frame


@frozen.dataclass(frozen=True, slots=True)
class Request:
    """Commands of a client that its key's home decides. The fields are those of FORWARD."""

    kind: int
    db: int
    proto: int
    client: bytes
    rights: bytes
    keys: bytes
    watched: bytes
    commands: bytes
    patience_ms: int = 0  # added to the time limit of a forward: more for a script, negative if some time has passed
    version: int = 0  # of the map by which all its keys have one home
    only: int = NOBODY  # ask this member instead of the slot's home
    copied_to: tuple[int, ...] = ()  # other databases that its commands write into
    touches: bool = True  # it may write other keys than its own, as a script does: all local writes are sent first


@dataclass(slots=True)
class Asked:
    token: int
    request: Request
    slot: int
    until_ms: int
    number: int = 0  # of the forward that was sent; 0: it waits
    home: int = NOBODY  # the member that it is sent to
    sent_ms: int = 0
    link: int = 0  # the link that it was sent on; 0: none, several, or it is known to have been run
    towards: int = NOBODY  # the member that another home named instead
    size: int = 0
    ahead: int = 0  # answers under this number that came before their push
    moves: int = 0  # homes to which others have sent it on since the last turn
    parts: list[bytes] = field(default_factory=list)
    parts_bytes: int = 0
    # database and key of collections of which it brings along who went, and how far (`departed` of the engine)
    along: list[tuple[int, bytes, int]] = field(default_factory=list)


@dataclass(slots=True)
class AnswerCache:
    """Answers to one node, by its numbers."""

    # By number: when the answer was given, and the answer.
    answers: "OrderedDict[int, tuple[int, Answer]]" = field(default_factory=OrderedDict)
    bytes: int = 0
    forgotten: int = 0  # answers up to this number are discarded
    running: set[int] = field(default_factory=set)

    def put(self, answer: Answer, now_ms: int) -> None:
        self.answers[answer.number] = (now_ms, answer)
        self.bytes += _weight(answer)

    def drop(self) -> None:
        number, (_, answer) = self.answers.popitem(last=False)
        self.bytes -= _weight(answer)
        self.forgotten = max(self.forgotten, number)


@dataclass(slots=True, eq=False)
class Forwarding:
    host: Host
    book: AddressBook
    neighbours: Neighbours
    homes: Homes
    majority: Majority
    open: dict[int, Asked] = field(default_factory=dict)  # by token
    under_way: dict[int, Asked] = field(default_factory=dict)  # by number, in order
    bytes_to: dict[int, int] = field(default_factory=dict)  # bytes sent and not answered, by home
    answer_caches: dict[int, AnswerCache] = field(default_factory=dict)  # by node
    # keys decided by another home than theirs, and until when; of any database, since COPY names another one
    strays: dict[bytes, int] = field(default_factory=dict)
    # by home, database and key: how far it knows from this node who went
    told: dict[tuple[int, int, bytes], int] = field(default_factory=dict)
    lags: Callable[[int], bool] = lambda number: False  # whether writes for this node may still be queued here
    token: int = 0
    number: int = 0
    ticking: bool = False
    sent: int = 0
    served_here: int = 0  # forwards of other nodes that ran here
    refused: int = 0  # NOT_HOME answers, sent and received
    retried: int = 0
    unknown: int = 0
    timed_out: int = 0
    begun_bytes: int = 0  # in the parts of all open forwards
    misled: int = 0  # answers that no honest home gives

    # -- where the client is --------------------------------------------------------------------------
    def submit(self, request: Request) -> int:
        """Forwards a request, and returns the token of the Decided to come; 0: there are too many already."""
        policy = self.host.policy
        if len(self.open) >= policy.forwards_max:
            return 0
        self.token += 1
        until_ms = self.host.now.ms + policy.forward_ms + request.patience_ms
        size = len(request.commands) + len(request.keys) + len(request.watched) + WEIGHT_BYTES
        asked = self.open[self.token] = Asked(
            self.token, request, slot_of(first_key(request.keys)), until_ms, size=size
        )
        self._route(asked)
        if not self.ticking:
            self.ticking = True
            self.host.at(self.host.now.ms + policy.forward_turn_ms, ForwardsTurn())
        return asked.token

    def _route(self, asked: Asked) -> None:
        """Sends a request to the present home, if that can be reached; otherwise it waits for the next turn."""
        home, asked.towards = asked.towards or self.homes.home_of(asked.slot), NOBODY
        if asked.request.only not in (NOBODY, home):
            self._conclude(asked, NOTHING)
            return
        here = home == self.book.me.number
        slots: tuple[int, ...] = (asked.slot,)
        if asked.request.kind == RUN and (here or asked.request.version != self.homes.version):
            slots = tuple(map(slot_of, unpack_keys(asked.request.keys)))
            if len(set(map(self.homes.home_of, slots))) > 1:
                self._conclude(asked, APART)
                return
        if here:
            if all(map(self.homes.is_settled, slots)) and self.host.state not in DOUBTFUL:
                self._begin(asked, home)
                frame = self._frame(asked, b"", again=0)
                self._prepare(0, frame, lambda: self._end(asked))  # the next turn sends it again
            return
        if home == NOBODY:
            return
        link = self.neighbours.link_to(home)
        if link is None:
            member = self.book.get(home)
            if member is not None:
                self.neighbours.dial(member.address)
            return
        said = link.peer.said if link.peer is not None else None
        if self.majority.is_on and said is not None and said.enclave_size != self.host.policy.enclave_size:
            return  # that node would decide alone, or by another majority
        under_way = self.bytes_to.get(home, 0)
        if under_way and under_way + asked.size > self.host.policy.forward_bytes_max:
            return
        self._begin(asked, home)
        asked.link = link.id
        self.sent += 1
        self.host.send(link.id, self._frame(asked, self._records_along(asked), again=0))

    def _begin(self, asked: Asked, home: int) -> None:
        self.number += 1
        asked.number, asked.home, asked.sent_ms, asked.ahead = self.number, home, self.host.now.ms, 0
        self.under_way[asked.number] = asked
        self.bytes_to[home] = self.bytes_to.get(home, 0) + asked.size

    def _end(self, asked: Asked) -> None:
        """Removes a request that is no longer in transit."""
        if self.under_way.pop(asked.number, None) is not None:
            self.bytes_to[asked.home] -= asked.size
            if not self.bytes_to[asked.home]:
                del self.bytes_to[asked.home]
        self._forget_parts(asked)
        asked.number, asked.home, asked.link = 0, NOBODY, 0

    def _frame(self, asked: Asked, records: bytes, again: int) -> Forward:
        one = asked.request
        below = next(iter(self.under_way))
        return Forward(
            asked.number, below, one.kind, again, one.db, one.proto, one.client, one.rights, one.keys, one.watched,
            records, one.commands,
        )  # fmt: skip

    def _records_along(self, asked: Asked) -> bytes:
        """Writes of this node's clients reach the home before the forward, on the same link; but not while they wait
        here. And what other homes decided for these clients is known here, and may still be on its way to this one:
        what is in a key, and which members went from it. Of these, what it has had from here is left out.
        """
        asked.along = []
        one, lags = asked.request, self.lags(asked.home)
        self._forget_strays()
        if not lags and one.kind == RUN and not self.strays:
            return b""
        store, wall_ms = self.host.store, self.host.now.wall_ms
        found, left, is_whole = [], self.host.policy.forward_records_bytes_max, True
        keys = [
            key for key in unpack_keys(one.keys)
            if lags or key in self.strays or self.homes.home_of(slot_of(key)) != asked.home
        ]  # fmt: skip
        for db, key in product((one.db, *one.copied_to), keys):
            gone = store.departed(db, key, self.told.get((asked.home, db, key), 0), wall_ms)
            if gone.payload and len(gone.payload) <= left:
                left -= len(gone.payload)
                found.append(gone.payload)
                asked.along.append((db, key, gone.cursor))
            if is_whole:
                record = store.fetch(db, key, wall_ms)
                is_whole = len(record) <= left
                if is_whole:  # else they are too large for this message, and follow by ordinary replication
                    left -= len(record)
                    found.append(record)
        return b"".join(found)

    def _note_told(self, asked: Asked) -> None:
        """A home that has run a forward has merged what came along."""
        for db, key, cursor in asked.along:
            place = (asked.home, db, key)
            self.told[place] = max(self.told.pop(place, 0), cursor)
        while len(self.told) > self.host.policy.forward_strays_max:
            del self.told[next(iter(self.told))]

    def _note_strays(self, asked: Asked) -> None:
        """Of a command with several keys the home of the first decides about all: the homes of the others hear of it
        from there, and may be asked by this node before.
        """
        if asked.request.kind == RUN:
            return
        until_ms = self.host.now.ms + self.host.policy.forward_stray_ms
        for key in unpack_keys(asked.request.keys):
            if self.homes.home_of(slot_of(key)) != asked.home:
                self.strays.pop(key, None)
                self.strays[key] = until_ms
        while len(self.strays) > self.host.policy.forward_strays_max:
            del self.strays[next(iter(self.strays))]

    def _forget_strays(self) -> None:
        while self.strays and self.strays[first := next(iter(self.strays))] < self.host.now.ms:
            del self.strays[first]

    def answered(self, link: Link, message: Answer) -> None:
        asked = self.under_way.get(message.number)
        if asked is None or link.peer is None or asked.home != link.peer.number:
            return
        if message.behind > link.received:  # what went before it was lost, or comes later: the home has to say it again
            asked.ahead += 1
            if asked.ahead > self.host.policy.answers_ahead_max:
                self.misled += 1
                raise PeerError("ANSWER is ahead of its push again and again")
            self.retried += 1
            self._forget_parts(asked)
            asked.link = 0  # it was run: a goodbye before the next answer does not mean that it was not
            self.host.send(link.id, self._frame(asked, self._records_along(asked), again=1))
            return
        if message.records:
            self.host.emit(Merge(link.id, 0, message.records))
        if message.outcome == PART:
            self._keep_part(asked, message.replies)
        elif message.outcome in (DONE, CLOSES):
            replies = b"".join((*asked.parts, message.replies))
            self._note_strays(asked)
            self._note_told(asked)
            self._conclude(asked, ANSWERED if message.outcome == DONE else CLOSED, replies)
        elif message.outcome == NOT_HOME:
            self.refused += 1
            self.retried += 1
            self._end(asked)
            if asked.request.kind == RUN and len(first_key(asked.request.keys)) + 4 < len(asked.request.keys):
                self._conclude(asked, APART)  # it is not known which of the keys has another home
            elif (
                message.home != self.book.me.number
                and self.neighbours.link_to(message.home)
                and message.home != link.peer.number
                and asked.moves < self.host.policy.forward_moves_max
            ):
                asked.moves += 1
                asked.towards = message.home
                self._route(asked)
        elif message.outcome == LATER:
            self.retried += 1
            self._end(asked)
        elif message.outcome == FORGOTTEN:
            self._conclude(asked, UNKNOWN)
        else:
            raise PeerError("ANSWER has no such outcome")

    def _keep_part(self, asked: Asked, replies: bytes) -> None:
        if not replies:
            return
        size = len(replies) + WEIGHT_BYTES
        if self.begun_bytes + size > self.host.policy.answers_begun_bytes_max:
            self.misled += 1
            raise PeerError("ANSWER has more replies than are kept")
        asked.parts.append(replies)
        asked.parts_bytes += size
        self.begun_bytes += size

    def _forget_parts(self, asked: Asked) -> None:
        self.begun_bytes -= asked.parts_bytes
        asked.parts_bytes = 0
        asked.parts.clear()

    def left_ms(self, token: int) -> int:
        """How much longer a client waits for an open forward."""
        return self.open[token].until_ms - self.host.now.ms

    def _conclude(self, asked: Asked, outcome: str, replies: bytes = b"") -> None:
        home = asked.home if asked.home != self.book.me.number else NOBODY
        self._end(asked)
        del self.open[asked.token]
        self.unknown += outcome == UNKNOWN
        self.timed_out += outcome == NOTHING
        self.host.emit(Decided(asked.token, outcome, replies, home))

    def turn(self) -> None:
        policy, now_ms = self.host.policy, self.host.now.ms
        for asked in list(self.open.values()):
            asked.moves = 0
            here = asked.home == self.book.me.number
            if now_ms >= asked.until_ms and not here:
                self._conclude(asked, UNKNOWN if asked.number else NOTHING)
            elif not asked.number:
                self._route(asked)
            elif here:
                continue
            elif self._is_lost(asked.home):
                self._conclude(asked, UNKNOWN)
            elif (
                now_ms - asked.sent_ms >= policy.forward_resend_ms
                and (link := self.neighbours.link_to(asked.home)) is not None
            ):
                asked.sent_ms = now_ms
                self.retried += 1
                self.host.send(link.id, self._frame(asked, self._records_along(asked), again=1))
        self.ticking = bool(self.open)
        if self.ticking:
            self.host.at(now_ms + policy.forward_turn_ms, ForwardsTurn())

    def _is_lost(self, number: int) -> bool:
        """Whether a home will not answer: it is dead, or suspected and without a link."""
        member = self.book.get(number)
        return (
            member is None or not member.is_alive or member.status != ALIVE and self.neighbours.link_to(number) is None
        )

    def lost(self, number: int) -> None:
        """Notes that a link has ended: what was sent on it is sent again on the next."""
        for asked in self.under_way.values():
            if asked.home == number:
                asked.sent_ms = min(asked.sent_ms, self.host.now.ms - self.host.policy.forward_resend_ms)
                asked.link = 0
                self._forget_parts(asked)

    def left(self, link: Link) -> None:
        """Notes that the home has stopped in order, and this is its last message: it has not run what it has not
        answered.
        """
        for asked in list(self.under_way.values()):
            if asked.link == link.id and not asked.parts:
                self.retried += 1
                self._end(asked)

    def leave(self) -> None:
        """This node stops: commands that still run here are answered as UNKNOWN."""
        for who, cache in self.answer_caches.items():
            for number in sorted(cache.running):
                self._answer(who, Answer(number, FORGOTTEN, self.book.me.number, b"", b""))

    # -- where the home is ----------------------------------------------------------------------------
    def heard(self, link: Link, message: Forward) -> None:
        assert link.peer is not None
        who = link.peer.number
        if not message.keys or message.kind > TOGETHER or message.db >= DATABASES or message.proto not in (2, 3):
            raise PeerError("FORWARD cannot be")
        cache = self._cache_of(who)
        self._trim(cache, message.below)
        if message.number in cache.running:
            return
        if message.number in cache.answers:
            self._repeat(link, message, cache.answers[message.number][1])
            return
        if message.number <= cache.forgotten:
            if message.again:
                self._send(link, Answer(message.number, FORGOTTEN, NOBODY, b"", b""))
            return
        if message.kind == RUN and self.host.state not in DOUBTFUL and self._is_mine(message):
            self._begin_serving(link, who, cache, message)
            return
        keys = _keys_of(message)
        slots = [slot_of(key) for key in (keys if message.kind == RUN else keys[:1])]
        away = next((slot for slot in slots if not self.homes.is_here(slot)), None)
        if away is not None or (self.host.state in DOUBTFUL and not self.homes.held):
            self.refused += 1
            home = self.homes.home_of(slots[0] if away is None else away)
            self._answer(who, Answer(message.number, NOT_HOME, home, b"", b""))
        elif not all(map(self.homes.is_settled, slots)):
            self._answer(who, Answer(message.number, LATER, self.book.me.number, b"", b""))
        else:
            self._begin_serving(link, who, cache, message)

    def _is_mine(self, message: Forward) -> bool:
        """Whether this node decides about all keys, now. The store looks at each, the table is the map's own."""
        if self.homes.places is None:
            return False
        try:
            return self.host.store.slot_away(message.keys, self.homes.places) < 0
        except ValueError as error:
            raise PeerError(str(error)) from None

    def _begin_serving(self, link: Link, who: int, cache: AnswerCache, message: Forward) -> None:
        cache.running.add(message.number)

        def otherwise() -> None:
            cache.running.discard(message.number)
            self._answer(who, Answer(message.number, LATER, self.book.me.number, b"", b""))

        if message.records and self.majority.is_on:  # the records must be merged before the next command is checked
            self.majority.take(link.id, message.records, lambda stored: self._prepare(who, message, otherwise))
            return
        if message.records:
            self.host.emit(Merge(link.id, 0, message.records))
        self._prepare(who, message, otherwise)

    def _prepare(self, who: int, message: Forward, otherwise: Callable[[], None]) -> None:
        """Run, where a majority has to agree only when it does."""
        if not self.majority.is_on:
            self.host.emit(Serve(who, message))
            return

        def then(may: bool) -> None:
            if may:
                self.host.emit(Serve(who, message))
            else:
                otherwise()

        self.majority.prepare(who, message.number, message.db, message.keys, then)

    def pushed_through(self, who: int) -> int | None:
        """The number of the last frame on the link to a node, if all writes of this node have been sent on it so far.
        None: some may reach it later than an answer, or a majority has to be shown the records.
        """
        link = self.neighbours.link_to(who)
        if link is None or self.majority.is_on or who not in self.book.enclave or self.lags(who):
            return None
        return link.next_seq - 1

    def served(
        self, who: int, number: int, outcome: int, replies: bytes, records: list[bytes], behind: int = 0
    ) -> None:
        """Answers a forward whose commands have run, with the records of its keys that were not pushed before."""
        if not self.majority.has(who, number) or outcome not in (DONE, CLOSES):
            self.majority.drop(who, number)
            self._served(who, number, outcome, replies, records, behind)
            return

        def then(chosen: bool, found: list[bytes]) -> None:
            if chosen:
                self._served(who, number, outcome, replies, found)
            else:
                self._served(who, number, FORGOTTEN, b"", [])

        self.majority.accept(who, number, records, then)

    def _served(
        self, who: int, number: int, outcome: int, replies: bytes, records: list[bytes], behind: int = 0
    ) -> None:
        if who == 0:
            asked = self.under_way.get(number)
            if asked is None:
                return
            if outcome == LATER:
                self._end(asked)
            elif outcome == FORGOTTEN:
                self._conclude(asked, UNKNOWN)
            else:
                self._conclude(asked, ANSWERED if outcome == DONE else CLOSED, replies)
            return
        cache = self._cache_of(who)
        cache.running.discard(number)
        self.served_here += outcome == DONE
        answer = Answer(number, outcome, self.book.me.number, replies, b"".join(records), behind)
        self._answer(who, answer, records, cache)

    def _answer(
        self, who: int, answer: Answer, records: list[bytes] | None = None, cache: AnswerCache | None = None
    ) -> None:
        policy, cache = self.host.policy, cache or self._cache_of(who)
        cache.put(answer, self.host.now.ms)
        link = self.neighbours.link_to(who)
        if link is not None:
            self._send(link, answer, records)
        while cache.bytes > policy.answer_cache_bytes_max or len(cache.answers) > policy.answer_cache_max:
            cache.drop()

    def _repeat(self, link: Link, message: Forward, answer: Answer) -> None:
        """What went before the first answer may be lost: instead, the keys' records go along as they are by now."""
        if not answer.behind:
            self._send(link, answer)
            return
        try:
            records = self.host.store.fetch_all(message.db, message.keys, self.host.now.wall_ms).pieces
        except ValueError as error:
            raise PeerError(str(error)) from None
        self._send(link, replace(answer, records=b"".join(records), behind=0), records)

    def _send(self, link: Link, answer: Answer, records: list[bytes] | None = None) -> None:
        """Sends an answer, in parts if it is long. (A repeated answer leaves out long records: they were pushed by
        then.)"""
        part_bytes = self.host.policy.answer_part_bytes
        replies = answer.replies
        if len(replies) + len(answer.records) <= part_bytes:
            self.host.send(link.id, answer)
            return
        for record in records or ():
            self.host.send(link.id, Answer(answer.number, PART, answer.home, b"", record))
        while len(replies) > part_bytes:
            self.host.send(link.id, Answer(answer.number, PART, answer.home, replies[:part_bytes], b""))
            replies = replies[part_bytes:]
        self.host.send(link.id, replace(answer, replies=replies, records=b""))

    def _cache_of(self, who: int) -> AnswerCache:
        caches = self.answer_caches
        cache = caches.get(who)
        if cache is None:
            if len(caches) >= self.host.policy.links_max:
                unlinked = (one for one in caches if self.neighbours.link_to(one) is None)
                del caches[next(unlinked, next(iter(caches)))]
            cache = caches[who] = AnswerCache()
        return cache

    def _trim(self, cache: AnswerCache, below: int) -> None:
        since_ms = self.host.now.ms - self.host.policy.answer_cache_ms
        while cache.answers:
            number, (at_ms, _) = next(iter(cache.answers.items()))
            if number >= below and at_ms > since_ms:
                break
            cache.drop()
        cache.forgotten = max(cache.forgotten, below - 1)


def _keys_of(message: Forward) -> list[bytes]:
    try:
        return unpack_keys(message.keys)
    except ValueError as error:
        raise PeerError(str(error)) from None


def _weight(answer: Answer) -> int:
    return len(answer.replies) + len(answer.records) + WEIGHT_BYTES
