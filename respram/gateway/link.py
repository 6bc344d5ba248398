"""One connection to a node that many requests share.

Commands of one turn of the loop leave in one write, and replies come back in their order, so nobody waits for a
connection of their own. redis-py keeps a connection for each request in flight, and cost 18 times the CPU for a read
(decision 0090). What blocks a connection (WAIT, a subscription) has to take a link of its own.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence

import hiredis

from respram.gateway.faults import Busy, NodesGone, Refusal

REQUESTS_MAX = 10_000  # unanswered batches on one link; with so many, further requests are refused
WAITING_BYTES_MAX = 64 << 20  # of requests that the node has not read yet
CONNECT_S = 2.0
WATCH_S = 0.5  # interval of the checks whether the node still replies
NOTHING = object()

Reply = bytes | int | None | Refusal | list["Reply"]
Words = Sequence[bytes]


class Batch:
    """Commands that were sent together, and the replies that came so far."""

    __slots__ = ("count", "deadline_s", "done", "replies")

    def __init__(self, count: int, done: "asyncio.Future[list[Reply]]", deadline_s: float) -> None:
        self.count = count
        self.done = done
        self.deadline_s = deadline_s
        self.replies: list[Reply] = []


class NodeLink(asyncio.Protocol):
    def __init__(self, loop: asyncio.AbstractEventLoop, answer_s: float) -> None:
        self.loop = loop
        self.answer_s = answer_s
        self.made_s = loop.time()
        self.used_s = self.made_s
        self.ended = False
        self.heard: Callable[[Reply], None] | None = None  # receives every reply from now on, for subscriptions
        self.on_end: Callable[[], None] = lambda: None
        self._reader = hiredis.Reader(replyError=Refusal, notEnoughData=NOTHING)
        self._waiting: deque[Batch] = deque()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._watching: asyncio.TimerHandle | None = None

    # -- asking -----------------------------------------------------------------------------------
    async def call(self, *words: bytes) -> Reply:
        """One command; a node's error is raised."""
        reply = (await self.batch([words]))[0]
        if isinstance(reply, Refusal):
            raise reply
        return reply

    def batch(self, commands: Sequence[Words], patience_s: float = 0.0) -> "asyncio.Future[list[Reply]]":
        """Commands that leave together. Errors of nodes stand among the replies; the future fails when the link ends.
        """
        data = b"".join([hiredis.pack_command(tuple(words)) for words in commands])  # type: ignore[arg-type] # any number
        return self.packed(data, len(commands), patience_s)

    def packed(self, data: bytes, count: int, patience_s: float = 0.0) -> "asyncio.Future[list[Reply]]":
        """The same of so many commands that are bytes already."""
        if self.ended or self._transport is None:
            raise NodesGone("the link to the node has ended", sent=False)
        if len(self._waiting) >= REQUESTS_MAX or self._transport.get_write_buffer_size() > WAITING_BYTES_MAX:
            raise Busy("too many requests wait for the node")
        now_s = self.loop.time()
        self.used_s = now_s
        done: asyncio.Future[list[Reply]] = self.loop.create_future()
        self._waiting.append(Batch(count, done, now_s + self.answer_s + patience_s))
        if not self._out:
            self.loop.call_soon(self._flush)
        self._out.append(data)
        return done

    def send(self, *words: bytes) -> None:
        """Sends a command whose reply goes to `heard`."""
        if self._transport is not None and not self.ended:
            self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def in_flight(self) -> int:
        return len(self._waiting)

    def _flush(self) -> None:
        pieces, self._out = self._out, []
        if self._transport is not None and not self.ended:
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    # -- asyncio's side ---------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "get_write_buffer_size")
        self._transport = transport  # type: ignore[assignment] # uvloop's are no subclasses
        self._watching = self.loop.call_later(WATCH_S, self._watch)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not NOTHING:
                self._take(reply)
        except hiredis.ProtocolError:
            self.close()  # the server does not speak the protocol

    def _take(self, reply: Reply) -> None:
        if self.heard is not None:
            self.heard(reply)
            return
        if not self._waiting:
            self.close()  # a reply without a request
            return
        batch = self._waiting[0]
        batch.replies.append(reply)
        if len(batch.replies) == batch.count:
            self._waiting.popleft()
            if not batch.done.done():
                batch.done.set_result(batch.replies)

    def connection_lost(self, error: Exception | None) -> None:
        self.ended = True
        if self._watching is not None:
            self._watching.cancel()
        for batch in self._waiting:
            if not batch.done.done():
                batch.done.set_exception(NodesGone("the node ended before it answered", sent=True))
                batch.done.exception()  # the caller may be gone
        self._waiting.clear()
        self._out.clear()
        self.on_end()

    def _watch(self) -> None:
        """Ends the link to a node that stands still, and fails all requests that wait on it."""
        if self._waiting and self._waiting[0].deadline_s < self.loop.time():
            self.close()
        self._watching = self.loop.call_later(WATCH_S, self._watch)


async def connect(host: str, port: int, path: str, tls: ssl.SSLContext | None, answer_s: float) -> NodeLink:
    """Connects. Raises NodesGone if no node listens there."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_S):
            if path:
                _, link = await loop.create_unix_connection(lambda: NodeLink(loop, answer_s), path)
            else:
                _, link = await loop.create_connection(lambda: NodeLink(loop, answer_s), host, port, ssl=tls)
    except (OSError, TimeoutError):  # TLS errors too
        raise NodesGone("no node answers", sent=False) from None
    return link
