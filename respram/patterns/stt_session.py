"""Sessions with a peer, streams in them: the second level of STT, on the store instead of a socket.
Nothing else lives here.

    node = STTNode(client, "ada")                                # or an AffinityPool of clients of several nodes
    node.on_session_closed(lambda session_id, reason: ...)       # "timeout", "auth_failure", "closed", "store away"
    session = node.connect(None, "bob", timeout=10)              # bob: session = node.accept(timeout=10)
    stream = session.open_stream(stream_id=1, max_frame_size=32_768)
    stream.send(b"GET /data"); stream.receive(timeout_s=5)
    stream.close(); stream.is_closed()

A session is a random id that both sides know, kept alive by beats from both. Every call on the session or on one of its
streams beats when a beat is due; `attend` beats for idle sessions. A stream is two live streams, one for each
direction. Continuity: when the node does not answer, the session continues through another node of the pool. The reader
continues at its position; the writer resends those of its last RESENDABLE_MAX messages that the other node lacks. Lost
messages are reported (ChunkExpired), never skipped silently. A node that answers that a key's home is away is asked
again for HOME_S. Not promised: that the peer has processed a message; that a message outlives `ttl_s`; that no message
arrives twice after a node was lost in the middle of a send. Whoever knows the peers' names can read the messages: give
`sealer`, or a sealer per stream.
"""

import functools
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from respram.patterns.affinity_pool import AffinityPool
from respram.patterns.effects import Steps, Use
from respram.patterns.errors import (
    BadName,
    ChunkExpired,
    HomeAway,
    PatternError,
    SessionClosed,
    SessionTimedOut,
    StoreAway,
    StreamEnded,
    Tampered,
    TimedOut,
    Unreadable,
    WrongCredentials,
    WrongKey,
)
from respram.patterns.json_values import document, to_json
from respram.patterns.keep_alive import KeepAlive
from respram.patterns.live_stream import CHUNK_BYTES, LATE_S, POLL_S, StreamDecoder, StreamEncoder, head_key, head_of
from respram.patterns.naming import key, level
from respram.patterns.sealing import Sealer
from respram.patterns.steps import C, call, exists, get, operation, pause, put

T = TypeVar("T")

SESSION_BYTES = 16
STREAMS_MAX = 1024  # streams of one session
SESSIONS_MAX = 10_000  # sessions of one node
RESENDABLE_MAX = 64  # messages that a writer stores for sending them again through another node
RESENDABLE_BYTES_MAX = 4 * 1024 * 1024  # their bytes: older ones are dropped first
ALIVE_S = 3.0  # a session without a beat for this long counts as closed
BEATS_PER_LIFE = 4
TTL_S = 10.0  # of sent messages
HOME_S = 5.0  # how long a node that cannot reach a key's home is asked again: another home takes over in 0.3 to 2.5 s
WRITING_S = 0.002  # interval at which a sender checks whether another one of the same stream is done

OnClosed = Callable[[bytes, str], Any]


@dataclass(slots=True)
class STTNode(Generic[C]):
    """One side of sessions: its name and its connections to the store."""

    store: C | AffinityPool[C]
    node_id: str
    ttl_s: float = TTL_S
    alive_s: float = ALIVE_S
    sealer: Sealer | None = None
    sessions: "dict[bytes, STTSession[C]]" = field(default_factory=dict)
    closed_handlers: list[OnClosed] = field(default_factory=list)
    offers: StreamDecoder[C] = field(init=False)
    passed_over: int = 0  # messages among the offers that came from other programs, or were made with another secret

    def __post_init__(self) -> None:
        if not self.node_id:
            raise BadName("a node needs a name that its peers know")
        self.offers = StreamDecoder(self.client, offers_name(self.node_id), sealer=self.sealer)

    @property
    def client(self) -> C:
        """Any of the clients, to tell their kind. `steady` chooses the one to use, since some may be away."""
        return next(iter(self.store.clients.values())) if isinstance(self.store, AffinityPool) else self.store

    def client_of(self, peer_id: str, prefer: str | None = None) -> C:
        return self.store.client_of(peer_id, prefer) if isinstance(self.store, AffinityPool) else self.store

    def on_session_closed(self, handler: OnClosed) -> None:
        """Calls handler(session_id, reason), plain or async, once for each session that ends."""
        self.closed_handlers.append(handler)

    @operation
    def connect(self, peer_addr: str | None, peer_id: str, timeout: float = 10.0) -> Steps["STTSession[C]"]:
        """A session with the peer, once it has accepted. Raises SessionTimedOut, StoreAway.

        `peer_addr` is the node of the pool to go through, if it is one of them; else the peer's own by affinity.
        """
        session = self._session(secrets.token_bytes(SESSION_BYTES), peer_id, peer_addr)
        # Beat first, and again while waiting for the peer: an offer without a beat counts as an ended session.
        yield from session.through(lambda _: session.sign())
        yield from session.through(lambda _: self._offer(session, timeout))
        end = time.monotonic() + timeout
        while not (yield from session.through(lambda _: session.accepted())):
            if time.monotonic() >= end:
                raise SessionTimedOut(
                    f"peer {peer_id!r} did not accept within {timeout} s: it is away, or accepts nothing"
                )
            yield from pause(POLL_S)
        return (yield from self._begin(session))

    @operation
    def accept(self, timeout: float = 10.0) -> Steps["STTSession[C]"]:
        """The session of the next peer that connects. Raises TimedOut, StoreAway.

        Messages that are no offers, and offers of ended sessions, are skipped and counted in `passed_over`.
        """
        end = time.monotonic() + timeout
        try:
            session_id, peer_id = yield from self.steady(self.node_id, None, lambda _: self._offered(end))
        except TimedOut:
            raise TimedOut(f"no peer connected within {timeout} s") from None
        session = self._session(session_id, peer_id, None)
        yield from session.through(lambda _: put(answer_key(session_id), b"accepted", self.ttl_s))
        return (yield from self._begin(session))

    def steady(self, peer_id: str, prefer: str | None, make: Callable[[str], Steps[T]]) -> Steps[T]:
        """Runs the steps of `make` on the peer's node of the pool, or on the next one when that is away.

        Only a node that did not answer counts as away. Raises the last node's exception.
        """
        pool = self.store
        failed, busy_s, begun_s = 0, 0.0, time.monotonic()
        while True:
            place = pool.node_of(peer_id, prefer) if isinstance(pool, AffinityPool) else ""
            yield Use(pool.clients[place] if isinstance(pool, AffinityPool) else pool)
            try:
                return (yield from make(place))
            except StoreAway as error:
                attempt_s, begun_s = time.monotonic() - begun_s, time.monotonic()
                if attempt_s > HOME_S:  # after a long wait, earlier state no longer counts
                    failed, busy_s, attempt_s = 0, 0.0, 0.0
                if isinstance(error, HomeAway):
                    busy_s += attempt_s
                    if busy_s >= HOME_S:
                        raise
                    yield from pause(POLL_S)
                    continue
                failed += 1
                if not isinstance(pool, AffinityPool) or failed >= len(pool.clients):
                    raise
                pool.away(place)

    def _offered(self, end: float) -> Steps[tuple[bytes, str]]:
        """The next offer of a live session: its id and its peer. When it raises, the position is kept."""
        handled = self.offers.position, self.offers.life
        try:
            if self.offers.position is None:
                yield from self.offers.skip_to_oldest.steps()
            while True:
                offer = yield from self._next_offer(max(0.0, end - time.monotonic()))
                if offer is None:
                    self.passed_over += 1
                    if time.monotonic() >= end:
                        raise TimedOut("only messages of others came")
                    continue
                session_id, peer_id = offer
                link = KeepAlive(self.client, session_id.hex(), self.node_id, peer_id, self.alive_s)
                if (yield from exists(link.key(peer_id))):
                    return offer
                # The other offers are of ended sessions, whose side no longer beats.
                handled = self.offers.position, self.offers.life
        except StoreAway:
            self.offers.position, self.offers.life = handled
            raise

    def _next_offer(self, wait_s: float) -> Steps[tuple[bytes, str] | None]:
        """The offer in the next message; None when the message is no offer. Raises TimedOut."""
        try:
            message = yield from self.offers.receive.steps(wait_s)
        except ChunkExpired:
            # The peer that offered it no longer waits.
            yield from self.offers.skip_to_oldest.steps()
            return None
        except (Unreadable, Tampered, WrongKey):
            try:
                yield from self.offers.skip_unreadable.steps()
            except Unreadable:  # another program wrote the stream's head: no offers until it expires
                yield from pause(min(wait_s, POLL_S))
            return None
        try:
            fields = document(message, "an offer of a session", **{"session": str, "from": str})
            peer_id = str(fields["from"])
            level(peer_id)
            session_id = bytes.fromhex(fields["session"])
        except (PatternError, ValueError):
            return None
        return (session_id, peer_id) if len(session_id) == SESSION_BYTES and peer_id else None

    @operation
    def attend(self, seconds: float, stop: Callable[[], bool] | None = None) -> Steps[int]:
        """Beats for every session for the given time; returns how many were closed meanwhile.

        A handler's exception ends it, once every session had its beat.
        """
        end, closed = time.monotonic() + seconds, 0
        while True:
            failure: Exception | None = None
            for session in list(self.sessions.values()):
                try:
                    closed += not (yield from session.alive.steps())
                except Exception as error:  # usually a handler's: the other sessions' beats are sent first
                    failure = failure or error
            if failure is not None:
                raise failure
            left = end - time.monotonic()
            if left <= 0 or (stop is not None and stop()):
                return closed
            yield from pause(min(left, self.alive_s / BEATS_PER_LIFE / 2))

    def _offer(self, session: "STTSession[C]", timeout: float) -> Steps[None]:
        offer = to_json({"session": session.session_id.hex(), "from": self.node_id})
        lasting_s = max(self.ttl_s, timeout)
        offers = StreamEncoder(session.client, offers_name(session.peer_id), lasting_s, sealer=self.sealer)
        yield from offers.send.steps(offer)

    def _session(self, session_id: bytes, peer_id: str, prefer: str | None) -> "STTSession[C]":
        if len(self.sessions) >= SESSIONS_MAX:
            raise SessionClosed(f"this node has {SESSIONS_MAX} sessions already: close some")
        return STTSession(self, peer_id, session_id, prefer)

    def _begin(self, session: "STTSession[C]") -> Steps["STTSession[C]"]:
        self.sessions[session.session_id] = session
        session.begun_s, session.beat_s = time.monotonic(), 0.0
        yield from session.steady(lambda _: session.pulse())
        return session


@dataclass(slots=True)
class STTSession(Generic[C]):
    """A link between two nodes, alive as long as both beat."""

    node: STTNode[C]
    peer_id: str
    session_id: bytes
    prefer: str | None = None  # the node of the pool to use
    streams: "dict[int, STTStream[C]]" = field(default_factory=dict)
    closed: str = ""  # the reason, once it is closed
    beat_s: float = 0.0  # time of the last beat
    met: bool = False  # the peer's beat was seen: before that, its absence means nothing
    begun_s: float = field(default_factory=time.monotonic)
    place: str | None = None  # the node of the pool that was used last
    moves: int = 0  # times that the session moved to another node
    ending: str = ""  # why it is to be closed, noticed during another operation

    @property
    def client(self) -> C:
        return self.node.client

    def open_stream(
        self, stream_id: int | None = None, max_frame_size: int = CHUNK_BYTES, sealer: Sealer | None = None
    ) -> "STTStream[C]":
        """A stream of the session; both sides open it under the same number, by default the next free one."""
        if self.closed:
            raise SessionClosed(f"the session with {self.peer_id!r} is closed: {self.closed}")
        number = max(self.streams, default=0) + 1 if stream_id is None else stream_id
        if number in self.streams:
            return self.streams[number]
        if len(self.streams) >= STREAMS_MAX or number < 0 or max_frame_size < 1:
            raise BadName(
                f"a session has at most {STREAMS_MAX} streams, numbered from 0, with frames of a byte or more"
            )
        self.streams[number] = STTStream(self, number, max_frame_size, sealer or self.node.sealer)
        return self.streams[number]

    def get_stream(self, stream_id: int) -> "STTStream[C]":
        """The stream that the peer or this side opened under this number."""
        return self.open_stream(stream_id)

    @operation
    def beat(self) -> Steps[bool]:
        """Beats if a beat is due, or ends the session; returns whether it is alive."""
        if not self.closed:
            yield from self.steady(lambda _: self.pulse())
        return not self.closed

    @operation
    def alive(self) -> Steps[bool]:
        """Like `beat`. When no node answers or accepts the credentials, closes the session and returns False."""
        try:
            return (yield from self.beat.steps())
        except (WrongCredentials, StoreAway):
            if not self.closed:  # the exception is a handler's
                raise
        return False

    @operation
    def close(self) -> Steps[bool]:
        """Closes the streams and the session; returns whether the peer was told. If not, it notices the silence.

        A closed session stays as it is.
        """
        if self.closed:
            return False
        told = True
        try:
            for stream in list(self.streams.values()):
                if not stream.closing:
                    stream.closing = True
                    yield from self.through(stream.end)
            yield from self.through(lambda _: self._bye())
        except PatternError:
            told = False
        finally:
            self.ending = "closed"
        yield from self._end(self.ending)
        return told

    def sign(self) -> Steps[None]:
        """Sends this side's beat if it is due, whatever the peer does."""
        now_s = time.monotonic()
        if not self.beat_s or now_s - self.beat_s >= self.node.alive_s / BEATS_PER_LIFE:
            link = KeepAlive(self.client, self.session_id.hex(), self.node.node_id, self.peer_id, self.node.alive_s)
            yield from put(link.key(self.node.node_id), b"", self.node.alive_s)
            self.beat_s = now_s

    def accepted(self) -> Steps[bool]:
        """Whether the peer has accepted the offer; beats meanwhile."""
        yield from self.sign()
        return (yield from exists(answer_key(self.session_id)))

    def pulse(self) -> Steps[None]:
        """Beats if a beat is due; when the session is over, sets `ending` to the reason."""
        link = KeepAlive(self.client, self.session_id.hex(), self.node.node_id, self.peer_id, self.node.alive_s)
        now_s = time.monotonic()
        if self.closed or (self.beat_s and now_s - self.beat_s < self.node.alive_s / BEATS_PER_LIFE):
            return
        there = yield from link.tick.steps()
        self.beat_s = now_s
        if there:
            self.met = True
        elif self.met or now_s - self.begun_s >= self.node.alive_s:
            bye = yield from get(bye_key(self.session_id, self.peer_id))
            self.ending = "closed" if bye is not None else "timeout"

    def through(self, make: Callable[[str], Steps[T]]) -> Steps[T]:
        """As the node's `steady`, for this peer; notes the node of the pool that was used."""

        def noted(place: str) -> Steps[T]:
            self.moves += self.place not in (None, place)
            self.place = place
            return make(place)

        return (yield from self.node.steady(self.peer_id, self.prefer, noted))

    def steady(self, make: Callable[[str], Steps[T]]) -> Steps[T]:
        """As `through`; the session ends when no node answers or accepts the credentials, or the peer is gone."""
        try:
            result = yield from self.through(make)
        except WrongCredentials:
            yield from self._end("auth_failure")
            raise
        except StoreAway:
            yield from self._end("store away")
            raise
        except TimedOut:
            yield from self._end(self.ending)
            raise
        yield from self._end(self.ending)
        return result

    def _bye(self) -> Steps[None]:
        yield from put(bye_key(self.session_id, self.node.node_id), b"bye", self.node.ttl_s)
        link = KeepAlive(self.client, self.session_id.hex(), self.node.node_id, self.peer_id, self.node.alive_s)
        yield from put(link.key(self.node.node_id), b"", 0.001)

    def _end(self, reason: str) -> Steps[None]:
        """Ends the session and calls every handler, then raises the first exception of a handler.

        Without a reason nothing happens.
        """
        if self.closed or not reason:
            return
        self.closed = reason
        self.node.sessions.pop(self.session_id, None)
        failure: Exception | None = None
        for handler in self.node.closed_handlers:
            try:
                yield from call(handler, self.session_id, reason)
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure


@dataclass(slots=True)
class STTStream(Generic[C]):
    """One stream of a session: messages of any size each way, in frames of at most max_frame_size."""

    session: STTSession[C]
    stream_id: int
    max_frame_size: int = CHUNK_BYTES
    sealer: Sealer | None = None
    decoder: StreamDecoder[C] = field(init=False)
    next_seq: int = 0  # number of the next frame, as far as the writer knows
    life: int = 0  # of the stream that it writes
    place: str | None = None  # the node of the pool that was used last
    resendable: "deque[tuple[int, bytes]]" = field(default_factory=deque)  # the last messages, by their first frame
    writing: threading.Lock = field(default_factory=threading.Lock)  # held from step to step, also by tasks
    closing: bool = False
    ended: bool = False  # the peer closed its side, and all of it was read

    def __post_init__(self) -> None:
        self.decoder = StreamDecoder(self.session.client, self._name(back=True), 0, self.sealer)

    @property
    def client(self) -> C:
        return self.session.client

    def is_closed(self) -> bool:
        """Whether nothing more may be sent."""
        return self.closing or bool(self.session.closed)

    @operation
    def send(self, message: bytes) -> Steps[int]:
        """Sends a message; returns its first frame's number. Raises StreamEnded, SessionClosed, ValueTooLarge."""
        if self.is_closed():
            raise StreamEnded(
                f"stream {self.stream_id} is closed: {self.session.closed or 'by this side'}; nothing was sent"
            )
        return (yield from self.session.steady(lambda place: self._alone(self._send(place, message))))

    @operation
    def receive(self, timeout_s: float | None = None) -> Steps[bytes]:
        """The peer's next message. Raises TimedOut, StreamEnded once the peer closed, SessionClosed, ChunkExpired."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        step_s = self.session.node.alive_s / BEATS_PER_LIFE / 2
        while True:
            left: float = step_s if end is None else min(step_s, max(0.0, end - time.monotonic()))
            try:
                return (yield from self.session.steady(functools.partial(self._receive, left)))
            except StreamEnded:
                self.ended = True
                raise
            except TimedOut:
                # Messages before the end are read first, so the end is reported only when nothing more comes.
                if not (yield from self.session.alive.steps()):
                    raise SessionClosed(
                        f"the session with {self.session.peer_id!r} is closed: {self.session.closed}"
                    ) from None
                if end is not None and time.monotonic() >= end:
                    raise TimedOut(
                        f"nothing came in stream {self.stream_id} within {timeout_s} s: the peer is silent"
                    ) from None

    @operation
    def close(self) -> Steps[None]:
        """Closes this side's direction; it may still receive."""
        if not self.is_closed():
            self.closing = True
            yield from self.session.steady(self.end)

    def end(self, place: str) -> Steps[None]:
        """Writes the end of the stream through a node of the pool."""
        yield from self._alone(self._end(place))

    def _receive(self, wait_s: float, _place: str) -> Steps[bytes]:
        self.decoder.client = self.client
        yield from self.session.pulse()
        return (yield from self.decoder.receive.steps(wait_s))

    def _alone(self, steps: Steps[T]) -> Steps[T]:
        """Runs one sender at a time across threads and tasks, so that numbers and kept messages stay in order."""
        while not self.writing.acquire(blocking=False):
            yield from pause(WRITING_S)
        try:
            return (yield from steps)
        finally:
            self.writing.release()

    def _send(self, place: str, message: bytes) -> Steps[int]:
        yield from self.session.pulse()
        yield from self._catch_up(place)
        seq, self.life = yield from self._encoder().place(message, self.next_seq, self.life)
        self.next_seq = seq + self._frames(message)
        self._keep(seq, message)
        return seq

    def _end(self, place: str) -> Steps[None]:
        yield from self._catch_up(place)
        yield from self._encoder().end(self.next_seq, self.life)

    def _catch_up(self, place: str) -> Steps[None]:
        """Resends, under their old numbers, the messages that the session's new node lacks."""
        if self.place not in (None, place) and self.resendable:
            until = time.monotonic() + LATE_S
            while True:
                found = yield from get(head_key(self._name()))
                head, life, ended = head_of(found, self._name())
                if life not in (0, self.life):
                    # The stream began anew there: all messages of the queue are sent again, after its head.
                    self.life, self.next_seq, head = life, head, 0
                # Messages that are on their way between nodes arrive by themselves.
                if head >= self.next_seq or time.monotonic() >= until:
                    break
                yield from pause(POLL_S)
            if not ended:
                yield from self._resend(head)
        self.place = place

    def _resend(self, head: int) -> Steps[None]:
        """Sends the messages in order. After a failure the next caller starts with those that were not sent."""
        for number, (seq, message) in enumerate(self.resendable):
            if seq >= head:
                at, self.life = yield from self._encoder().place(message, seq, self.life)
                self.resendable[number] = (at, message)
                self.next_seq = max(self.next_seq, at + self._frames(message))

    def _frames(self, message: bytes) -> int:
        return max(1, -(-len(message) // self.max_frame_size))

    def _keep(self, seq: int, message: bytes) -> None:
        self.resendable.append((seq, message))
        while len(self.resendable) > RESENDABLE_MAX or (
            len(self.resendable) > 1 and sum(len(each) for _, each in self.resendable) > RESENDABLE_BYTES_MAX
        ):
            self.resendable.popleft()

    def _encoder(self) -> StreamEncoder[C]:
        return StreamEncoder(self.client, self._name(), self.session.node.ttl_s, self.max_frame_size, self.sealer)

    def _name(self, back: bool = False) -> str:
        ends = [level(self.session.node.node_id), level(self.session.peer_id)]
        ways = ">".join(reversed(ends) if back else ends)
        return f"stt:{self.session.session_id.hex()}:{self.stream_id}:{ways}"


def offers_name(node_id: str) -> str:
    return f"stt-offers:{level(node_id)}"


def answer_key(session_id: bytes) -> bytes:
    return key("stt", session_id.hex(), "accepted")


def bye_key(session_id: bytes, node_id: str) -> bytes:
    return key("stt", session_id.hex(), "bye", level(node_id))
