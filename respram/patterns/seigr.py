"""The names of Seigr Toolset Transmissions, for asyncio, over a store that forgets. Nothing else may live in this file.

    from respram.patterns import seigr
    from respram.patterns.seigr import BinaryStorage, STCWrapper  # before: from seigr_toolset_transmissions import ...

    seigr.use({"127.0.0.1:6379": redis.asyncio.Redis()})  # once: the nodes of the enclave
    storage = BinaryStorage(STCWrapper(b"seed_32_bytes_minimum_required!!"))
    hash_addr = await storage.store(b"reading")

Code that was written for that library runs once its import lines are changed. Each name here is backed by:

    STCWrapper                    a Sealer (AES-256-GCM) of a key derived from the seed; `hash` is SHA-256
    StreamEncoder, StreamDecoder  segments sealed and numbered, carried by whatever the caller likes
    BinaryStorage                 binary_storage.py        EndpointManager   fanout.py       FrameDispatcher   frames.py
    STTNode, STTSession, STTStream  stt_session.py: sessions over the store, no sockets between peers
    KademliaDHT                   rendezvous over the enclave's nodes: each holds every key, so there is nothing to look
                                  up hop by hop; `port` is taken and not listened on
    PubSubManager                 publish_subscribe.py     ContentDistribution   content_distribution.py, all at once

Not promised: more than those modules promise, or wire compatibility with that library.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from respram.patterns import binary_storage as storage
from respram.patterns import content_distribution, fanout, frames, publish_subscribe, stt_session
from respram.patterns.affinity_pool import AffinityPool
from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.errors import (
    BadName,
    ChunkExpired,
    NodeRefused,
    SessionTimedOut,
    StoreAway,
    StreamEnded,
    Unreadable,
)
from respram.patterns.sealing import Sealer, stretched

SEGMENT_BYTES = 64 * 1024
PENDING_MAX = 4096  # segments that wait for an earlier one: 256 MiB at most
SEED_BYTES_MIN = 32
TTL_S = 60.0
ATTEND_S = 0.5  # interval of a node's task that sends the beats of its sessions

CANCEL_S = 0.05  # until a cancelled task is cancelled again

ConnectionTimeoutError = SessionTimedOut
STTSession = stt_session.STTSession
STTStream = stt_session.STTStream


_nodes: dict[str, "AsyncRedis"] = {}


def use(nodes: "Mapping[str, AsyncRedis] | AsyncRedis") -> None:
    """Sets the nodes of the enclave, by address, for all later objects that get no client of their own."""
    _nodes.clear()
    _nodes.update(nodes if isinstance(nodes, Mapping) else {"store": nodes})


def nodes_in_use() -> "dict[str, AsyncRedis]":
    """The nodes that were given to `use`. Raises BadName when there are none."""
    if not _nodes:
        raise BadName("call respram.patterns.seigr.use() with the clients of the enclave's nodes first")
    return dict(_nodes)


def any_client() -> "AsyncRedis":
    return next(iter(nodes_in_use().values()))


@dataclass(slots=True)
class STCWrapper:
    """A sealer that is derived from the seed that both sides share."""

    seed: bytes = field(repr=False)
    sealer: Sealer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) < SEED_BYTES_MIN:
            raise BadName(f"a seed has at least {SEED_BYTES_MIN} bytes")
        self.sealer = Sealer(stretched(self.seed, b"", b"stc seed"))

    def encrypt(self, plain: bytes, context: bytes = b"") -> bytes:
        return self.sealer.seal(plain, context)

    def decrypt(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Raises WrongKey, Tampered or Unreadable."""
        return self.sealer.open(sealed, context)

    def hash(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()


@dataclass(slots=True)
class StreamEncoder:
    """Cuts bytes into numbered, sealed segments; the caller transports them."""

    stc: STCWrapper
    session_id: bytes
    stream_id: int
    mode: str = "live"  # "live", or "bounded", which ends with `finish`
    segment_bytes: int = SEGMENT_BYTES
    next_seq: int = 0
    ended: bool = False

    async def send(self, data: bytes) -> AsyncIterator[tuple[int, bytes]]:
        """Yields the segments of the data, with their numbers."""
        if self.ended:
            raise StreamEnded(f"stream {self.stream_id} was finished; nothing was sent")
        for at in range(0, max(1, len(data)), self.segment_bytes):
            seq, self.next_seq = self.next_seq, self.next_seq + 1
            yield seq, self.stc.encrypt(data[at : at + self.segment_bytes], place(self.session_id, self.stream_id, seq))

    def finish(self) -> int:
        """Ends the stream; returns its number of segments, which the decoder needs."""
        self.ended = True
        return self.next_seq


@dataclass(slots=True)
class StreamDecoder:
    """Reassembles a stream: it takes segments in any order and returns bytes in order."""

    stc: STCWrapper
    session_id: bytes
    stream_id: int
    next_seq: int = 0
    pending: dict[int, bytes] = field(default_factory=dict)

    def receive_segment(self, segment: bytes, sequence: int) -> None:
        """Takes a segment; duplicates are ignored. Raises WrongKey, Tampered, Unreadable."""
        if sequence < self.next_seq or sequence in self.pending:
            return
        if len(self.pending) >= PENDING_MAX:
            raise ChunkExpired(str(self.stream_id), self.next_seq)
        self.pending[sequence] = self.stc.decrypt(segment, place(self.session_id, self.stream_id, sequence))

    async def receive_all(self) -> bytes:
        """All bytes since the last call, in order. Raises ChunkExpired when a segment between them is missing."""
        parts: list[bytes] = []
        while (part := self.pending.pop(self.next_seq, None)) is not None:
            parts.append(part)
            self.next_seq += 1
        if self.pending and not parts:
            raise ChunkExpired(str(self.stream_id), self.next_seq)
        return b"".join(parts)

    def skip_to_oldest(self) -> int:
        """Continues with the oldest segment that has arrived; returns its number."""
        self.next_seq = min(self.pending, default=self.next_seq)
        return self.next_seq


class BinaryStorage:
    """Stores sealed bytes under their keyed hash."""

    def __init__(
        self, stc: STCWrapper, client: "AsyncRedis | None" = None, store_id: str = "stt", ttl_s: float = 3600.0
    ) -> None:
        self.storage = storage.BinaryStorage(ContentStore(client or any_client(), store_id, ttl_s), stc.sealer)

    async def store(self, data: bytes) -> str:
        """Stores the data and returns its address in hexadecimal digits."""
        return (await self.storage.store(data)).hash

    async def retrieve(self, address: str) -> bytes:
        """The content at an address. Raises ContentMissing, ContentCorrupt, WrongKey, Tampered."""
        return await self.storage.retrieve(ContentRef(address))


class EndpointManager:
    """Named endpoints, each of them a stream."""

    def __init__(self, client: "AsyncRedis | None" = None, ttl_s: float = TTL_S) -> None:
        self.endpoints = fanout.Endpoints(client or any_client(), ttl_s)

    async def register_endpoint(self, name: str) -> "fanout.EndpointReader[AsyncRedis]":
        return await self.endpoints.register(name)

    async def route_to_endpoint(self, name: str, segment: bytes) -> None:
        """Sends to one endpoint. Raises ContentMissing when it is not registered."""
        await self.endpoints.route(name, segment)

    async def broadcast(self, segment: bytes) -> list[str]:
        return await self.endpoints.broadcast(segment)


class FrameDispatcher:
    """Handlers by frame type; the caller passes in each frame."""

    def __init__(self) -> None:
        self.handlers: dict[int, Callable[[bytes], Any]] = {}

    def register_handler(self, frame_type: int, handler: Callable[[bytes], Any]) -> None:
        if frames.checked_type(frame_type) in self.handlers:
            raise BadName(f"frame type {frame_type:#04x} has a handler already")
        self.handlers[frame_type] = handler

    async def dispatch(self, frame_type: int, payload: bytes) -> Any:
        """Calls the type's handler and returns its result. Raises Unreadable when there is no handler."""
        if frame_type not in self.handlers:
            raise Unreadable(f"no handler is registered for frame type {frame_type:#04x}; the frame was skipped")
        result = self.handlers[frame_type](payload)
        return await result if asyncio.iscoroutine(result) else result


class STTNode:
    """A node whose sessions are kept alive by a task of its own, from the first session to `stop`."""

    def __init__(
        self,
        node_id: str,
        store: "AffinityPool[AsyncRedis] | AsyncRedis | None" = None,
        stc: STCWrapper | None = None,
        alive_s: float = stt_session.ALIVE_S,
    ) -> None:
        reached: AffinityPool[AsyncRedis] | AsyncRedis = AffinityPool(nodes_in_use()) if store is None else store
        self.node: stt_session.STTNode[AsyncRedis] = stt_session.STTNode(
            reached, node_id, alive_s=alive_s, sealer=stc.sealer if stc else None
        )
        self.task: asyncio.Task[None] | None = None

    def on_session_closed(self, handler: Callable[[bytes, str], Any]) -> None:
        """Calls handler(session_id, reason): "timeout", "auth_failure", "closed" or "store away"."""
        self.node.on_session_closed(handler)

    async def connect(self, peer_addr: Any, peer_id: str, timeout: float = 10.0) -> "STTSession[AsyncRedis]":
        """A session with the peer. `peer_addr` is the store's node to go through, if it is one: peers have no sockets.

        Raises ConnectionTimeoutError, ConnectionRefusedError when no node of the store answers, WrongCredentials.
        """
        prefer = ":".join(map(str, peer_addr)) if isinstance(peer_addr, tuple | list) else peer_addr
        try:
            session = await self.node.connect(prefer, peer_id, timeout)
        except StoreAway as error:
            raise NodeRefused(str(error)) from None
        await self.start()
        return session

    async def accept(self, timeout: float = 10.0) -> "STTSession[AsyncRedis]":
        """The session of the next peer that connects. Raises TimedOut, ConnectionTimeoutError's base."""
        session = await self.node.accept(timeout)
        await self.start()
        return session

    async def start(self) -> None:
        """Starts the heartbeats of all sessions."""
        if self.task is None or self.task.done():
            self.task = asyncio.ensure_future(self._attend())

    async def stop(self) -> None:
        """Closes every session and stops the heartbeats."""
        try:
            for session in list(self.node.sessions.values()):
                await session.close()
        finally:
            await cancelled([self.task] if self.task else [])
            self.task = None

    async def _attend(self) -> None:
        while True:
            try:
                await self.node.attend(ATTEND_S)
            except Exception as error:
                # Most likely a handler's exception. Sessions still need their beats, and the program must learn of it.
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"node {self.node.node_id!r} goes on with its sessions", "exception": error}
                )
                await asyncio.sleep(ATTEND_S)


@dataclass(frozen=True, slots=True)
class DHTNode:
    """The publisher of a message."""

    node_id: str


class KademliaDHT:
    """Names resolved among the enclave's nodes. Every node holds every key, so the order is all there is to look up."""

    def __init__(self, node_id: bytes | str, port: int = 0, nodes: "Mapping[str, AsyncRedis] | None" = None) -> None:
        self.node_id = node_id.hex() if isinstance(node_id, bytes) else node_id
        self.port = port  # nothing listens on it
        self.pool: AffinityPool[AsyncRedis] = AffinityPool(nodes or nodes_in_use())
        self.managers: list[PubSubManager] = []

    async def start(self) -> None:
        """Pings every node. Raises ConnectionRefusedError when none answers."""
        answers = await asyncio.gather(*map(self._there, self.pool.clients))
        if not any(answers):
            raise NodeRefused("no node of the enclave answers: check addresses and ports")

    async def stop(self) -> None:
        for manager in self.managers:
            await manager.stop()

    def lookup(self, name: str) -> "list[tuple[str, AsyncRedis]]":
        """The nodes in the order of preference for a name; everybody with the same nodes gets the same order."""
        return [(node, self.pool.clients[node]) for node in self.pool.order_of(name)]

    async def _there(self, node: str) -> bool:
        try:
            await asyncio.wait_for(self.pool.clients[node].ping(), ATTEND_S * 4)
        except (OSError, TimeoutError, RedisError):
            self.pool.away(node)
            return False
        return True


class PubSubManager:
    """Topics over the enclave's channels."""

    def __init__(self, dht: KademliaDHT) -> None:
        self.dht = dht
        self.tasks: dict[str, asyncio.Task[None]] = {}
        dht.managers.append(self)

    async def publish(self, topic: str, data: bytes) -> int:
        """Sends to all who listen now, on every node; how many of those listen on the topic's first node that answers.
        """
        last: StoreAway | None = None
        for node, client in self.dht.lookup(topic):
            try:
                return await publish_subscribe.PubSub(client, self.dht.node_id).publish(topic, data)
            except StoreAway as error:
                self.dht.pool.away(node)
                last = error
        raise NodeRefused(str(last))

    async def subscribe(self, topic: str, handler: Callable[[str, bytes, DHTNode], Any]) -> None:
        """Calls handler(topic, data, publisher), plain or async, for each message after this call returns.

        It listens on the topic's node, and on the next one when that is away; messages during the switch are missed.
        """
        if topic in self.tasks:
            raise BadName(f"topic {topic!r} has a handler already")
        listening = asyncio.Event()
        task = self.tasks[topic] = asyncio.ensure_future(self._listen(topic, handler, listening))
        waiting = asyncio.ensure_future(listening.wait())
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        await cancelled([waiting])
        if task.done():
            del self.tasks[topic]
            await task

    async def unsubscribe(self, topic: str) -> None:
        await cancelled([task] if (task := self.tasks.pop(topic, None)) else [])

    async def stop(self) -> None:
        await cancelled(list(self.tasks.values()))
        self.tasks.clear()

    async def _listen(self, topic: str, handler: Callable[..., Any], listening: asyncio.Event) -> None:
        def told(topic: str, data: bytes, publisher: str) -> Any:
            return handler(topic, data, DHTNode(publisher))

        failed = 0
        while True:
            for node, client in self.dht.lookup(topic):
                try:
                    await publish_subscribe.PubSub(client).listen({topic: told}, float("inf"), ready=listening.set)
                except StoreAway as error:
                    self.dht.pool.away(node)
                    failed += 1
                    if failed >= len(self.dht.pool.clients) and not listening.is_set():
                        raise NodeRefused(str(error)) from None
            await asyncio.sleep(ATTEND_S)


class ContentDistribution:
    """Content by its hash: published on one node of the enclave, asked for at all of them at once."""

    def __init__(self, dht: KademliaDHT, node_id: bytes | str = "", ttl_s: float = 3600.0) -> None:
        self.dht, self.node_id, self.ttl_s = dht, node_id, ttl_s

    async def publish_content(self, data: bytes, copies: int = 1) -> str:
        """The content's id, its SHA-256. It is stored on the first of the id's nodes that takes it."""
        content_id = hashlib.sha256(data).hexdigest()
        await self._over(content_id).publish(data, copies)
        return content_id

    async def retrieve_content(self, content_id: str) -> bytes:
        """The content, verified, from whichever provider answers first. Raises ContentMissing."""
        return await self._over(content_id).retrieve(ContentRef(content_id))

    def _over(self, content_id: str) -> "content_distribution.ContentDistribution[AsyncRedis]":
        clients = tuple(client for _, client in self.dht.lookup(content_id))
        return content_distribution.ContentDistribution(clients, "dht", self.ttl_s)


def place(session_id: bytes, stream_id: int, seq: int) -> bytes:
    """The context that a segment is sealed for; at another place it does not open."""
    return b"stt %s %d %d" % (session_id.hex().encode(), stream_id, seq)


async def cancelled(tasks: "list[asyncio.Task[Any]]") -> None:
    """Cancels the tasks and waits for their end. redis-py may lose a cancellation, so it is repeated."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CANCEL_S)
