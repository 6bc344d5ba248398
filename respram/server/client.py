"""One client's socket: bytes in to the engine, the reply out, in one `recv` and one `send`.

The loop's transports copy once more each way and cost half a microsecond per read; here the socket is
read into one buffer that all clients share and the reply is sent from the engine's own buffer. Only
what the kernel does not take at once is copied and kept, up to a limit: who does not read is closed.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable

from respram.commands.conn import Conn
from respram.commands.node import Node
from respram.engine.api import Engine, Session
from respram.server.clock import now_ms

SENT_AT_ONCE = 64  # pieces given to one `sendmsg`
SLICES_MAX = 8  # turns of one client's unfinished batch before others get theirs


class Client:
    __slots__ = (
        "sock", "loop", "engine", "node", "session", "conn", "buffer", "out", "out_bytes", "stalled_since_ms",
        "closed", "feeding", "on_close", "reading", "soft_since_ms", "wake_timer",
    )  # fmt: skip

    conn: Conn

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, node: Node, session: Session,
        buffer: memoryview, on_close: Callable[["Client"], None],
    ) -> None:  # fmt: skip
        self.sock = sock
        self.loop = loop
        self.engine: Engine = node.engine
        self.node = node
        self.session = session
        self.buffer = buffer
        self.out: deque[memoryview] = deque()  # accepted from the engine, refused by the kernel
        self.out_bytes = 0
        self.stalled_since_ms = 0  # when the kernel took nothing more; 0: nothing waits
        self.soft_since_ms = 0
        self.closed = False
        self.feeding = False
        self.reading = False
        self.on_close = on_close
        self.wake_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._read_on()

    # -- in ---------------------------------------------------------------------------------------
    def readable(self) -> None:
        try:
            count = self.sock.recv_into(self.buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        if not count:
            self.close()
            return
        self.node.stats.net_input_bytes += count
        self._feed(self.buffer[:count])

    def _feed(self, data: memoryview | bytes) -> None:
        session = self.session
        now = self.conn.last_active_ms = now_ms()
        self.feeding = True
        try:
            reply = self.engine.feed(session, data, now)
        finally:
            self.feeding = False
        if reply and not self.closed:
            self._send(reply)
        if session.more or session.suspended or session.closing:
            self._unusual()

    def _unusual(self) -> None:
        """The batch is not over, has to wait, or was the last."""
        if self.closed:
            return
        if self.session.closing:
            self._pause_reading()
            if not self.out:
                self.close()
        elif self.session.suspended:
            self._pause_reading()
            wait_ms = max(self.conn.suspended_until_ms - now_ms(), 0)
            self._cancel_timer()
            self.wake_timer = self.loop.call_later(wait_ms / 1000, self.wake)
        else:
            self._pause_reading()
            self.loop.call_soon(self._continue)

    def _continue(self) -> None:
        if self.closed or self.session.suspended or self.session.closing:
            return
        self._read_on()
        self._feed(b"")

    def wake(self) -> None:
        """Ends a suspension: the command that waits is run again."""
        self._cancel_timer()
        if self.closed or not self.session.suspended:
            return
        self.engine.resume(self.session)
        self.loop.call_soon(self._continue)

    def _cancel_timer(self) -> None:
        if self.wake_timer is not None:
            self.wake_timer.cancel()
            self.wake_timer = None

    def _read_on(self) -> None:
        if not self.reading and not self.closed:
            self.reading = True
            self.loop.add_reader(self.sock, self.readable)

    def _pause_reading(self) -> None:
        if self.reading:
            self.reading = False
            self.loop.remove_reader(self.sock)

    # -- out --------------------------------------------------------------------------------------
    def deliver(self, data: bytes) -> None:
        """Bytes out of turn, from another client's command or from time. (To the client whose own
        batch is running nothing comes this way: see `Conn.push`.)"""
        if not self.closed:
            self._send(data)

    def _send(self, data: bytes | memoryview) -> None:
        self.node.stats.net_output_bytes += len(data)
        sent = 0
        if not self.out:
            try:
                sent = self.sock.send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
            self.stalled_since_ms = now_ms()
            self.loop.add_writer(self.sock, self._writable)
        elif self.out_bytes > self._output_bytes_max():
            self.close_unread("output_limit")
            return
        rest = bytes(memoryview(data)[sent:])
        self.out.append(memoryview(rest))
        self.out_bytes += len(rest)

    def _output_bytes_max(self) -> int:
        limits = self.node.limits
        return limits.pubsub_output_bytes_max if self.conn.subscribed else limits.output_buffer_bytes_max

    def check_patience(self, now: int) -> None:
        """Once a second: closes who takes nothing, has too much waiting for too long, or idles."""
        limits, conn = self.node.limits, self.conn
        soft = limits.pubsub_output_soft_bytes_max if conn.subscribed else limits.output_soft_bytes_max
        if self.out_bytes <= soft:
            self.soft_since_ms = 0
        elif not self.soft_since_ms:
            self.soft_since_ms = now
        if self.stalled_since_ms and now - self.stalled_since_ms > limits.output_stall_s * 1000:
            self.close_unread("output_stalled")
        elif self.soft_since_ms and now - self.soft_since_ms > limits.output_soft_s * 1000:
            self.close_unread("output_soft_limit")
        elif limits.idle_timeout_s and not conn.subscribed and now - conn.last_active_ms > limits.idle_timeout_s * 1000:
            self.node.stats.idle_disconnections += 1
            self.close()

    def close_unread(self, event: str) -> None:
        self.node.stats.output_limit_disconnections += 1
        self.node.log(f"event={event} client={self.conn.id} waiting_bytes={self.out_bytes}: closed")
        self.close()

    def _writable(self) -> None:
        try:
            sent = self.sock.sendmsg([self.out[at] for at in range(min(len(self.out), SENT_AT_ONCE))])
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        self.stalled_since_ms = now_ms()
        self.out_bytes -= sent
        while sent:
            piece = self.out[0]
            if sent < len(piece):
                self.out[0] = piece[sent:]
                break
            sent -= len(piece)
            self.out.popleft()
        if not self.out:
            self.stalled_since_ms = 0
            self.loop.remove_writer(self.sock)
            if self.session.closing:
                self.close()

    # -- the end ----------------------------------------------------------------------------------
    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._pause_reading()
        self._cancel_timer()
        if self.out:
            self.loop.remove_writer(self.sock)
            self.out.clear()
        self.sock.close()
        if self.feeding:
            self.session.closing = True
            self.loop.call_soon(self.engine.close, self.session)
        else:
            self.engine.close(self.session)
        self.on_close(self)
