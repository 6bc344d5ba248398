"""A replica: the engine and the gossip core glued together, from bytes to bytes.
No I/O, so the simulator runs the real thing.

    replica = Replica(engine, core)
    for output in replica.received(link, data, now): ...  # effects: Write, Dial, Hangup, Report, Deliver, Answered, ...
    replica.next_deadline(), replica.tick(now)

The driver's duty: carry outputs out in order; hand in what arrives; call `wrote` after client commands that may have
written (it costs two comparisons), and `tick` when `next_deadline` has come. Link numbers are the driver's, never used
twice. What it may not do is decide anything about peers.
"""

from collections import deque
from collections.abc import Iterable

from respram.engine.api import Engine
from respram.engine.replication import Cut, Digest
from respram.errors import PeerError
from respram.frozen import dataclass
from respram.gossip.core import Core
from respram.gossip.effects import (
    Acknowledged,
    Agreed,
    Answered,
    Decided,
    Deliver,
    Dial,
    Effect,
    Expelled,
    Hangup,
    Learnt,
    Merge,
    Report,
    Send,
    Serve,
    Take,
    TrustClock,
)
from respram.gossip.forwarding import Request
from respram.gossip.members import Member
from respram.gossip.quorum import Left
from respram.gossip.repair import ENDING_MS, YOUNG_MS
from respram.gossip.states import JOINING
from respram.gossip.timers import Now
from respram.slots import first_key, slot_of
from respram.snapshot.keys import SegmentKey, Tombstone
from respram.wire.codec import encode
from respram.wire.frames import Frames
from respram.wire.messages import LATER, Forward

ACCEPTED_BYTES_MAX = 1 << 20  # of what a decision wrote beside its keys: the rest comes by gossip alone
FRAME_SPARE_BYTES = 2 << 20  # of a frame besides the longest value: an address book, a batch
# The highest proto-max-bulk-len of any node: a peer may hold such a value from before its limit was lowered. A frame
# with it must be readable: otherwise the link would break at each attempt, and nothing else would arrive either.
VALUE_BYTES_MAX = 512 << 20
# frames of one turn up to this are sent together: a push of 64 KiB and an answer behind it
JOINED_BYTES_MAX = 128 << 10


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes to send on a link, after those before."""

    link: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Bug:
    """What a link led to, where it should have been a PeerError: our mistake, to be shown. It has cost that link and
    nothing else.
    """

    link: int
    error: Exception


Output = (
    Write | Dial | Hangup | Report | Deliver | Answered | Learnt | Serve | Decided | Acknowledged | Agreed | Expelled
    | Bug
)


@dataclass(slots=True)
class Traffic:
    frames: int = 0
    bytes: int = 0


class Replica:
    def __init__(self, engine: Engine, core: Core, frame_bytes_max: int) -> None:
        self.engine = engine
        engine.spreads = True
        self.core = core
        self.frame_bytes_max = frame_bytes_max + FRAME_SPARE_BYTES  # for a peer whose enclave is not known yet
        self.sent: dict[bytes, Traffic] = {}  # by message word
        self.received_bytes = 0
        self.refused_records = 0
        self.malformed_payloads = 0
        self.bugs = 0  # links that ended through a fault of this node
        self._frames: dict[int, Frames] = {}
        self._flush_ms: int | None = None
        self._told_later: list[Effect] = []  # effects to emit after a merge

    # -- links --------------------------------------------------------------------------------------
    def start(self, now: Now) -> list[Output]:
        return self._done(self.core.start(now), now)

    def opened(self, link: int, address: bytes, now: Now, shown: int = 0, named: int = 0) -> list[Output]:
        self._frames[link] = Frames(self.frame_bytes_max)
        self.engine.spreads = True  # there may be peers to send to
        try:
            return self._done(self.core.opened(link, address, now, shown, named), now)
        except Exception as error:
            return self._mistake(link, error, now)

    def received(self, link: int, data: bytes, now: Now) -> list[Output]:
        frames = self._frames.get(link)
        if frames is None:
            return []
        self.received_bytes += len(data)
        greeted = self.core.neighbours.links.get(link)
        if greeted is not None and greeted.same_enclave and frames.frame_bytes_max <= self.frame_bytes_max:
            frames.frame_bytes_max = max(self.frame_bytes_max, VALUE_BYTES_MAX + FRAME_SPARE_BYTES)
        outputs: list[Output] = []
        try:
            for message in frames.push(data):
                if effects := self.core.receive(link, message, now):
                    outputs += self._done(effects, now)
            return outputs
        except PeerError as error:
            effects = self.core.fault(link, str(error), now)
        except Exception as error:
            return outputs + self._mistake(link, error, now)
        return outputs + self._done(effects, now)

    def body_bytes(self, link: int) -> int:
        """How much is missing of the field of a frame that has begun: so many bytes cost nothing until all are there.
        """
        frames = self._frames.get(link)
        return frames.splitter.body_left if frames is not None else 0

    def _mistake(self, link: int, error: Exception, now: Now) -> list[Output]:
        self.bugs += 1
        return [Bug(link, error), *self._done(self.core.fault(link, "a mistake of this node", now), now)]

    def closed(self, link: int, now: Now) -> list[Output]:
        self._frames.pop(link, None)
        return self._done(self.core.closed(link, now), now)

    def dial_failed(self, address: bytes, now: Now, refused: bool = False) -> list[Output]:
        return self._done(self.core.dial_failed(address, now, refused), now)

    def distrusted(self, now: Now) -> list[Output]:
        return self._done(self.core.distrusted(now), now)

    def introduce(self, members: Iterable[Member], now: Now) -> list[Output]:
        return self._done(self.core.introduce(members, now), now)

    def set_roots(self, roots: Iterable[bytes], now: Now) -> list[Output]:
        return self._done(self.core.set_roots(roots, now), now)

    # -- this node's clients --------------------------------------------------------------------------
    def wrote(self, now: Now) -> list[Output]:
        """Sends clients' writes: after 2 ms, to share a frame with others, or at once when a frame is full."""
        waiting_bytes = self.engine.waiting_bytes()
        if waiting_bytes >= self.core.policy.batch_bytes:
            return self.flush(now)
        if waiting_bytes and self._flush_ms is None:
            self._flush_ms = now.ms + self.core.policy.flush_ms
        return []

    def will_flush(self, waiting_bytes: int) -> bool:
        """Whether `wrote` would change nothing: the time is set, and there is room in the frame."""
        return self._flush_ms is not None and waiting_bytes < self.core.policy.batch_bytes

    def flush(self, now: Now) -> list[Output]:
        return self._flush(now)[0]

    def _flush(self, now: Now) -> tuple[list[Output], list[bytes]]:
        """Also what was written, up to ACCEPTED_BYTES_MAX."""
        self._flush_ms = None
        effects: list[Effect] = []
        written: list[bytes] = []
        size = 0
        if self.engine.outbox_overflowed():
            effects += self.core.overflowed(now)
        while payload := self.engine.drain(self.core.policy.batch_bytes):
            effects += self.core.wrote(payload, now)
            size += len(payload)
            if size <= ACCEPTED_BYTES_MAX:
                written.append(payload)
        return self._done(effects, now), written

    def publish(self, channel: bytes, message: bytes, now: Now) -> list[Output]:
        """Publishes to the subscribers on all other nodes, after all writes before."""
        return self.flush(now) + self._done(self.core.publish(channel, message, now), now)

    def published(self, kind: bytes, now: Now) -> list[Output]:
        """The same of what the engine has published by itself, with `kind` before each channel. Where there is nobody
        to tell, the engine keeps nothing more from now on, until a link is opened.
        """
        self.engine.spreads = bool(self.core.neighbours.of_enclave()) or self.core.state == JOINING
        published = self.engine.take_published()
        outputs = self.flush(now)
        if self.engine.spreads:
            for channel, message in published:
                outputs += self._done(self.core.publish(kind + channel, message, now), now)
        return outputs

    def await_acks(self, now: Now) -> tuple[int, list[Output]]:
        """For WAIT: the number for `holders`, which is asked again after each Acknowledged."""
        outputs = self.flush(now)
        return self.core.last_number(), outputs + self._done(self.core.nudge(now), now)

    def holders(self, number: int) -> int:
        return self.core.holders(number)

    def left(self) -> Left:
        """The writes of this node that no peer has acknowledged yet, which would be lost with it."""
        return self.core.quorum.left(self.core.last_number())

    def has_peers(self) -> bool:
        """Whether there is a link to a node of this enclave."""
        return any(peer.link is not None for peer in self.core.neighbours.of_enclave())

    def pull(self, db: int, key: bytes, now: Now) -> tuple[bool, list[Output]]:
        """Asks peers after a miss, while `pulls_useful`. True: the reply waits for Answered(db, key)."""
        waits, effects = self.core.pull(db, key, now)
        return waits, self._done(effects, now)

    def ask(self, db: int, key: bytes, now: Now) -> tuple[int, list[Output]]:
        """Asks what keys hold, for a decision while `unsure`. Returns the token of the Learnt to come; 0: no peer can
        know."""
        token, effects = self.core.ask(db, key, now)
        return token, self._done(effects, now)

    def stopped(self, for_ms: int, now: Now, local: bool = False) -> list[Output]:
        return self._done(self.core.stopped(for_ms, now, local), now)

    def choose(self, max_ttl_ms: int, value_bytes_max: int, now: Now) -> list[Output]:
        return self._done(self.core.choose(max_ttl_ms, value_bytes_max, now), now)

    def decide(self, alone: bool, now: Now) -> list[Output]:
        return self._done(self.core.decide(alone, now), now)

    def forward(self, request: Request, now: Now) -> tuple[int, list[Output]]:
        """What was written here goes first, where the home decides by it. (All of it would be a frame to every peer for
        each forward of a node that writes, where one in 2 ms will do.) The token of the Decided that will come; 0: too
        many wait.
        """
        outputs = self.flush(now) if self._goes_first(request) else []
        token, effects = self.core.forward(request, now)
        return token, outputs + self._done(effects, now)

    def _goes_first(self, request: Request) -> bool:
        if request.touches:
            return bool(self.engine.waiting_bytes()) or self.engine.waits(request.db, request.keys)
        here = self.core.homes.is_here
        return self.engine.waits(request.db, request.keys) and not here(slot_of(first_key(request.keys)))

    def may_run(self, who: int, number: int, now: Now) -> bool:
        """Whether a Serve that was not carried out at once may still be run, in this very moment."""
        return self.core.may_run(who, number, now)

    def runs_on(self, who: int, number: int) -> None:
        """Notes that a Serve was begun and has not been served at once."""
        self.core.runs_on(who, number)

    def served(
        self, who: int, forward: Forward, outcome: int, replies: bytes, now: Now, beyond: bool = False
    ) -> list[Output]:
        """Answers a Serve that has run, with what its keys hold. Of a collection the records say who is in it, and not
        who was taken out; of COPY to another database and of a script (`beyond`) they say nothing of what else was
        written. Then all that was written goes before the answer, on its link; and where a majority decides, it is
        among what a majority has accepted. If much was written it goes before the answer, too: then who asks need not
        merge it twice.
        """
        if outcome == LATER:
            return self._done(self.core.served(who, forward.number, outcome, replies, [], now), now)
        engine, pushed_through = self.engine, self.core.forwarding.pushed_through
        outputs, written, behind = list[Output](), list[bytes](), None
        much = engine.waiting_bytes() >= self.core.policy.answer_pushed_bytes_min and pushed_through(who) is not None
        records = engine.fetch_all(forward.db, forward.keys, now.wall_ms, waiting=not much)
        if engine.waiting_bytes() and (much or records.partial or beyond):
            outputs, written = self._flush(now)
        if much and (behind := pushed_through(who)) is None:  # the link or the outbox was full
            records = engine.fetch_all(forward.db, forward.keys, now.wall_ms)
        pieces = records.pieces + (written if self.core.majority.is_on else [])
        served = self.core.served(who, forward.number, outcome, replies, pieces, now, behind or 0)
        return joined(outputs + self._done(served, now))

    def hand_over(self, now: Now) -> list[Output]:
        return self._done(self.core.hand_over(now), now)

    def unsure(self) -> bool:
        return self.core.unsure()

    def pulls_useful(self) -> bool:
        return self.core.pulls_useful()

    def digest(self, now: Now) -> Digest | None:
        """The digest of all settled records. It is equal on nodes that have converged, for the same moment."""
        cut = Cut((now.wall_ms - YOUNG_MS >> 10) - 1, now.wall_ms + ENDING_MS >> 10)
        return self.engine.digest(cut, now.wall_ms)

    def expel(self, data: bytes, now: Now) -> tuple[bool, list[Output]]:
        """Takes a revocation list from the operator. False: no trusted authority has signed it."""
        good, effects = self.core.expel(data, now)
        return good, self._done(effects, now)

    # -- this node's snapshots --------------------------------------------------------------------------
    def share_keys(self, entries: Iterable[SegmentKey], tombstones: Iterable[Tombstone], now: Now) -> list[Output]:
        return self._done(self.core.share_keys(entries, tombstones, now), now)

    def restored(self, records: int, now: Now) -> list[Output]:
        return self._done(self.core.restored(records, now), now)

    # -- time -----------------------------------------------------------------------------------------
    def next_deadline(self) -> int | None:
        due_ms = self.core.next_deadline()
        if self._flush_ms is None:
            return due_ms
        return self._flush_ms if due_ms is None else min(due_ms, self._flush_ms)

    def tick(self, now: Now) -> list[Output]:
        outputs = self.flush(now) if self._flush_ms is not None and self._flush_ms <= now.ms else []
        return outputs + self._done(self.core.tick(now), now)

    def leave(self, now: Now) -> list[Output]:
        return self.flush(now) + self._done(self.core.leave(now), now)

    def _cut(self, payload: bytes, now: Now) -> int:
        """Stores records beyond this node's limits as far as it may, and tells all nodes. Returns how many it holds.

        Where there is a newer version here, or this cut already, comparison tells of that: a node that heard of the
        cut again would store it with another end, under the same stamp.
        """
        held, fresh = 0, list[bytes]()
        for cut in self.core.agreement.cut(payload):
            merged = self.engine.merge(cut, now.wall_ms)
            held += merged.new + merged.known
            if merged.new:
                fresh.append(cut)
        if fresh:
            self._told_later += self.core.wrote(b"".join(fresh), now)
        return held

    # -- effects to outputs ---------------------------------------------------------------------------
    def _done(self, effects: list[Effect], now: Now) -> list[Output]:
        """Carries out Merge and Send effects; the others are left to the driver."""
        outputs: list[Output] = []
        if not effects:
            return outputs
        todo = deque(effects)
        while todo:
            effect = todo.popleft()
            if isinstance(effect, Send):
                data = encode(effect.message)
                sent = self.sent.get(effect.message.word)
                if sent is None:
                    sent = self.sent[effect.message.word] = Traffic()
                sent.frames += 1
                sent.bytes += len(data)
                last = outputs[-1] if outputs else None
                if isinstance(last, Write) and last.link == effect.link and len(last.data) < JOINED_BYTES_MAX:
                    outputs[-1] = Write(effect.link, last.data + data)
                else:
                    outputs.append(Write(effect.link, data))
            elif isinstance(effect, Merge):
                merged = self.engine.merge(effect.payload, now.wall_ms)
                cut = self._cut(effect.payload, now) if merged.refused else 0
                self.refused_records += merged.refused - cut
                self.malformed_payloads += merged.malformed
                refused = merged.refused - cut + merged.malformed
                todo.extendleft(reversed(self.core.merged(effect.link, effect.seq, merged.new, refused, now)))
                told, self._told_later = self._told_later, []
                todo.extend(told)
                if merged.strange:
                    todo.extend(self.core.lacks_keys(effect.link, now))
            elif isinstance(effect, Take):
                merged = self.engine.merge(effect.payload, now.wall_ms)
                stored = not (merged.refused or merged.malformed)
                todo.extendleft(reversed(self.core.taken(effect.token, stored, now)))
                if merged.strange:
                    todo.extend(self.core.lacks_keys(effect.link, now))
            elif isinstance(effect, TrustClock):
                restamped = self.engine.restamp(now.wall_ms)
                if restamped:
                    outputs.append(Report("restamped", f"records={restamped}"))
                    self._flush_ms = now.ms
            else:
                if isinstance(effect, Hangup):
                    self._frames.pop(effect.link, None)
                outputs.append(effect)
        return outputs


def joined(outputs: list[Output]) -> list[Output]:
    """Joins the frames for one link into one write, as far as their order allows."""
    found: list[Output] = []
    last_to: dict[int, int] = {}  # link to the position of its last frame, if no later output belongs to it
    for output in outputs:
        if isinstance(output, Write):
            at = last_to.get(output.link)
            last = found[at] if at is not None else None
            if at is not None and isinstance(last, Write) and len(last.data) + len(output.data) < JOINED_BYTES_MAX:
                found[at] = Write(last.link, last.data + output.data)
                continue
            last_to[output.link] = len(found)
        else:
            last_to.clear()
        found.append(output)
    return found
