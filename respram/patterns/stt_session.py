"""Sessions with a peer, streams in them: the second level of STT, on the store instead of a socket.
Nothing else lives here.

    node = STTNode(client, "ada")                                # or an AffinityPool of clients of several nodes
    node.on_session_closed(lambda session_id, reason: ...)       # "timeout", "auth_failure", "closed", "store away"
    session = node.connect(None, "bob", timeout=10)              # bob: session = node.accept(timeout=10)
    stream = session.open_stream(stream_id=1, max_frame_size=32_768)
    stream.send(b"GET /data"); stream.receive(timeout_s=5)
    stream.close(); stream.is_closed()

A session is a random id that both sides know, kept alive by beats from both; every call on it or on a stream of it
beats when it is due, and `attend` beats for those who have nothing else to do. A stream is two live streams, one each
way. Continuity: when the node does not answer, the session goes on through another of the pool. The reader goes on by
position; the writer sends again what the other node has not heard of, from the last `KEPT_MAX` messages. What is not to
be had any more is told (ChunkExpired), never passed over. Not promised: that the peer has processed what was sent; that
a message outlives `ttl_s`; that nothing comes twice after a node was lost in the middle of a send. Who knows the peers'
names can read along: give `sealer`, or a sealer per stream.
"""

import functools
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from respram.patterns.affinity_pool import AffinityPool
from respram.patterns.effects import Steps, Use
from respram.patterns.errors import (
    BadName,
    SessionClosed,
    SessionTimedOut,
    StoreAway,
    StreamEnded,
    TimedOut,
    Unreadable,
    WrongCredentials,
)
from respram.patterns.json_values import document, to_json
from respram.patterns.keep_alive import KeepAlive
from respram.patterns.live_stream import CHUNK_BYTES, POLL_S, StreamDecoder, StreamEncoder, head_key, head_of
from respram.patterns.naming import key, level
from respram.patterns.sealing import Sealer
from respram.patterns.steps import C, call, exists, get, operation, pause, put

T = TypeVar("T")

SESSION_BYTES = 16
STREAMS_MAX = 1024  # of one session
SESSIONS_MAX = 10_000  # of one node
KEPT_MAX = 64  # messages that a writer keeps to send them again through another node
KEPT_BYTES_MAX = 4 * 1024 * 1024  # and their bytes: older ones are let go first
ALIVE_S = 3.0  # without a beat for so long a session counts as closed
BEATS_PER_LIFE = 4
TTL_S = 10.0  # of what is sent

OnClosed = Callable[[bytes, str], Any]


@dataclass(slots=True)
class STTNode(Generic[C]):
    """One side: who it is, and how it reaches the store."""

    store: C | AffinityPool[C]
    node_id: str
    ttl_s: float = TTL_S
    alive_s: float = ALIVE_S
    sealer: Sealer | None = None
    sessions: "dict[bytes, STTSession[C]]" = field(default_factory=dict)
    closed_handlers: list[OnClosed] = field(default_factory=list)
    offers: StreamDecoder[C] = field(init=False)

    def __post_init__(self) -> None:
        if not self.node_id:
            raise BadName("a node needs a name that its peers know")
        self.offers = StreamDecoder(self.client, offers_name(self.node_id), sealer=self.sealer)

    @property
    def client(self) -> C:
        return self.client_of(self.node_id)

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
        # The beat comes first: an offer without one is of a session that is over.
        yield from session.steady(lambda: session.beat.steps())
        yield from session.steady(lambda: self._offer(session, timeout))
        end = time.monotonic() + timeout
        while not (yield from session.steady(lambda: exists(answer_key(session.session_id)))):
            if time.monotonic() >= end:
                raise SessionTimedOut(
                    f"peer {peer_id!r} did not accept within {timeout} s: it is away, or accepts nothing"
                )
            yield from pause(POLL_S)
        return (yield from self._begin(session))

    @operation
    def accept(self, timeout: float = 10.0) -> Steps["STTSession[C]"]:
        """The session of the next peer that connects. Raises TimedOut."""
        if self.offers.position is None:
            yield from self.offers.skip_to_oldest.steps()
        end = time.monotonic() + timeout
        while True:
            message = yield from self.offers.receive.steps(max(0.0, end - time.monotonic()))
            fields = document(message, "an offer of a session", **{"session": str, "from": str})
            try:
                session_id = bytes.fromhex(fields["session"])
            except ValueError:
                raise Unreadable("an offer of a session was not made by this library; it was skipped") from None
            link = KeepAlive(self.client, session_id.hex(), self.node_id, fields["from"], self.alive_s)
            if (yield from exists(link.key(fields["from"]))):
                break  # the others are of sessions that are over: their side beats no more
        session = self._session(session_id, fields["from"], None)
        yield from put(answer_key(session_id), b"accepted", self.ttl_s)
        return (yield from self._begin(session))

    @operation
    def attend(self, seconds: float, stop: Callable[[], bool] | None = None) -> Steps[int]:
        """Beats for every session for so long; how many were closed meanwhile."""
        end, closed = time.monotonic() + seconds, 0
        while True:
            for session in list(self.sessions.values()):
                closed += not (yield from session.alive.steps())
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
        yield from session.beat.steps()
        return session


@dataclass(slots=True)
class STTSession(Generic[C]):
    """A link between two nodes, alive as long as both beat."""

    node: STTNode[C]
    peer_id: str
    session_id: bytes
    prefer: str | None = None  # the node of the pool to go through
    streams: "dict[int, STTStream[C]]" = field(default_factory=dict)
    closed: str = ""  # why, once it is
    beat_s: float = 0.0  # when the last beat was sent
    met: bool = False  # whether the peer's beat was seen: until then its absence is no news
    begun_s: float = field(default_factory=time.monotonic)
    moves: int = 0  # how many times the session went on through another node

    @property
    def client(self) -> C:
        return self.node.client_of(self.peer_id, self.prefer)

    def open_stream(
        self, stream_id: int | None = None, max_frame_size: int = CHUNK_BYTES, sealer: Sealer | None = None
    ) -> "STTStream[C]":
        """A stream of the session; both sides open it under the same number. Without one the next free number."""
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
        """The stream that the peer opened under this number, or this side did."""
        return self.open_stream(stream_id)

    @operation
    def beat(self) -> Steps[bool]:
        """One beat if it is due, or the session's end; whether it is alive."""
        link = KeepAlive(self.client, self.session_id.hex(), self.node.node_id, self.peer_id, self.node.alive_s)
        now_s = time.monotonic()
        if self.beat_s and now_s - self.beat_s < self.node.alive_s / BEATS_PER_LIFE:
            return not self.closed
        there = yield from link.tick.steps()
        self.beat_s = now_s
        if there:
            self.met = True
        elif self.met or now_s - self.begun_s >= self.node.alive_s:
            bye = yield from get(bye_key(self.session_id, self.peer_id))
            yield from self._end("closed" if bye is not None else "timeout")
        return not self.closed

    @operation
    def alive(self) -> Steps[bool]:
        """As `beat`, through another node where this one is away; False once the session is closed."""
        if self.closed:
            return False
        try:
            return (yield from self.steady(lambda: self.beat.steps()))
        except WrongCredentials:
            yield from self._end("auth_failure")
        except StoreAway:
            yield from self._end("store away")
        return False

    @operation
    def close(self) -> Steps[None]:
        """Closes the streams and tells the peer; nothing happens when it is closed already."""
        if self.closed:
            return
        for stream in list(self.streams.values()):
            yield from stream.close.steps()
        yield from put(bye_key(self.session_id, self.node.node_id), b"bye", self.node.ttl_s)
        link = KeepAlive(self.client, self.session_id.hex(), self.node.node_id, self.peer_id, self.node.alive_s)
        yield from put(link.key(self.node.node_id), b"", 0.001)
        yield from self._end("closed")

    def steady(self, make: Callable[[], Steps[T]]) -> Steps[T]:
        """The steps on this session's client; on the next node's when it is away. Raises what the last node raised."""
        yield Use(self.client)
        for _ in range(self._nodes()):
            try:
                return (yield from make())
            except StoreAway:
                yield from self._move()
        return (yield from make())

    def _nodes(self) -> int:
        return len(self.node.store.clients) - 1 if isinstance(self.node.store, AffinityPool) else 0

    def _move(self) -> Steps[None]:
        pool = self.node.store
        if isinstance(pool, AffinityPool):
            pool.away(pool.node_of(self.peer_id, self.prefer))
        self.moves += 1
        yield Use(self.client)

    def _end(self, reason: str) -> Steps[None]:
        if self.closed:
            return
        self.closed = reason
        self.node.sessions.pop(self.session_id, None)
        for handler in self.node.closed_handlers:
            yield from call(handler, self.session_id, reason)


@dataclass(slots=True)
class STTStream(Generic[C]):
    """One stream of a session: messages of any size each way, in frames of at most max_frame_size."""

    session: STTSession[C]
    stream_id: int
    max_frame_size: int = CHUNK_BYTES
    sealer: Sealer | None = None
    decoder: StreamDecoder[C] = field(init=False)
    next_seq: int = 0  # what the writer's next frame is numbered, as far as it knows
    life: int = 0
    moves: int = 0  # of the session, that this stream has followed
    kept: "deque[tuple[int, bytes]]" = field(default_factory=deque)  # the last messages, by their first frame
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
        """Sends a message; the number of its first frame. Raises StreamEnded, SessionClosed, ValueTooLarge."""
        if self.is_closed():
            raise StreamEnded(
                f"stream {self.stream_id} is closed: {self.session.closed or 'by this side'}; nothing was sent"
            )
        return (yield from self.session.steady(lambda: self._send(message)))

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
                # What was sent before the end is read first, so the end is news only when nothing more comes.
                if not (yield from self.session.alive.steps()):
                    raise SessionClosed(
                        f"the session with {self.session.peer_id!r} is closed: {self.session.closed}"
                    ) from None
                if end is not None and time.monotonic() >= end:
                    raise

    @operation
    def close(self) -> Steps[None]:
        """This side will send no more; it may still receive."""
        if not self.is_closed():
            yield from self.session.steady(lambda: self._encoder().close.steps())
        self.closing = True

    def _receive(self, wait_s: float) -> Steps[bytes]:
        self.decoder.client = self.client
        yield from self.session.beat.steps()
        return (yield from self.decoder.receive.steps(wait_s))

    def _send(self, message: bytes) -> Steps[int]:
        yield from self.session.beat.steps()
        if self.moves != self.session.moves:
            yield from self._catch_up()
        seq = yield from self._encoder().send.steps(message)
        self._keep(seq, message)
        return seq

    def _catch_up(self) -> Steps[None]:
        """Sends again what the node that the session moved to has not heard of."""
        found = yield from get(head_key(self._name()))
        head, _, _ = head_of(found, self._name())
        lost = [(seq, message) for seq, message in self.kept if seq >= head]
        self.kept.clear()
        for _, message in lost:
            self._keep((yield from self._encoder().send.steps(message)), message)
        self.moves = self.session.moves

    def _keep(self, seq: int, message: bytes) -> None:
        self.kept.append((seq, message))
        while len(self.kept) > KEPT_MAX or (
            len(self.kept) > 1 and sum(len(each) for _, each in self.kept) > KEPT_BYTES_MAX
        ):
            self.kept.popleft()

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
