"""Ends clients that uvicorn would wait for without end: those that never finish a request or never read the answer.

A wrapper around uvicorn's protocol, and one look a second over all connections. The head of a request has HEAD_S and
HEAD_BYTES_MAX; an answer that the client does not take at all has STUCK_S. Bodies are timed where they are read.

While an answer is under way uvicorn collects what comes behind its request, for as long as it comes: the head of the
next one, trailers of a body, whole requests by the thousand. Each has a bound here (`Bounded`).
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_S = 10.0
HEAD_BYTES_MAX = 64 << 10  # of a request's first line and headers together
STUCK_S = 30.0
LOOK_S = 1.0
PIPELINED_MAX = 64  # requests queued behind the one in progress
QUIET_BYTES_MAX = 64 << 10  # consecutive bytes that complete nothing, such as the middle of one header


class TooMuchError(Exception):
    """Inside the parser, which ends with it."""


class Bounded:
    """Between the parser and uvicorn's protocol: what it tells, with bounds on what is collected of it."""

    def __init__(self, inner: HttpToolsProtocol) -> None:
        self.inner = inner
        self.steps = 0  # parser events so far
        self.fields_bytes = 0  # of the current message: target, headers and trailers
        inner.parser = httptools.HttpRequestParser(self)
        inner.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it

    def on_message_begin(self) -> None:
        self.steps += 1
        self.fields_bytes = 0
        self.inner.on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._collect(len(url))
        self.inner.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.steps += 1
        self._collect(len(name) + len(value))
        self.inner.on_header(name, value)

    def on_headers_complete(self) -> None:
        self.steps += 1
        if len(self.inner.pipeline) >= PIPELINED_MAX:
            self._end()
        self.inner.on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.steps += 1
        self.inner.on_body(body)

    def on_message_complete(self) -> None:
        self.steps += 1
        self.inner.on_message_complete()

    def _collect(self, count: int) -> None:
        self.fields_bytes += count
        if self.fields_bytes > HEAD_BYTES_MAX:
            self._end()

    def _end(self) -> None:
        """uvicorn says 400 of it, where it does not stand in the middle of another answer."""
        cycle: RequestResponseCycle | None = self.inner.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.inner.transport.abort()
        raise TooMuchError


class Patience:
    """The bounds for all connections of one server."""

    def __init__(self) -> None:
        self.connections: set[Guarded] = set()
        self._timer: asyncio.TimerHandle | None = None

    def protocol(self, *args: Any, **named: Any) -> asyncio.Protocol:
        """Makes the protocol of a connection, as uvicorn requires."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        return Guarded(self, HttpToolsProtocol(*args, **named))

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        for one in tuple(self.connections):
            one.look(loop.time())
        self._timer = loop.call_later(LOOK_S, self._look) if self.connections else None


class Guarded(asyncio.Protocol):
    def __init__(self, patience: Patience, inner: HttpToolsProtocol) -> None:
        self.patience = patience
        self.inner = inner
        self.bounded = Bounded(inner)
        self.since_s = 0.0  # when the awaited head began, or the connection
        self.head_bytes = 0
        self.quiet_bytes = 0
        self.unsent = (0, 0.0)  # bytes that the client has not read, and since when
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # uvloop's are no subclasses
        self.since_s = asyncio.get_running_loop().time()
        self.patience.connections.add(self)
        self.inner.connection_made(transport)  # type: ignore[arg-type]

    def connection_lost(self, error: Exception | None) -> None:
        self.patience.connections.discard(self)
        self.inner.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        was_idle, steps = not self._answering(), self.bounded.steps
        self.inner.data_received(data)
        self.quiet_bytes = 0 if self.bounded.steps != steps else self.quiet_bytes + len(data)
        if self.quiet_bytes > QUIET_BYTES_MAX and self._answering():
            assert self.transport is not None
            self.transport.abort()
            return
        if self._answering() or not was_idle:
            self.head_bytes, self.since_s = 0, 0.0
            return
        self.head_bytes += len(data)
        if not self.since_s:
            self.since_s = asyncio.get_running_loop().time()
        if self.head_bytes > HEAD_BYTES_MAX:
            self._refuse(b"431 Request Header Fields Too Large")

    def eof_received(self) -> None:
        self.inner.eof_received()

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def look(self, now_s: float) -> None:
        assert self.transport is not None
        waiting = self.transport.get_write_buffer_size()
        if not waiting or waiting != self.unsent[0]:
            self.unsent = (waiting, now_s)
        elif now_s - self.unsent[1] > STUCK_S:
            self.transport.abort()
        if self.since_s and not self._answering() and now_s - self.since_s > HEAD_S:
            self._refuse(b"408 Request Timeout")

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.inner.cycle
        return cycle is not None and not cycle.response_complete

    def _refuse(self, status: bytes) -> None:
        assert self.transport is not None
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
            self.transport.close()
