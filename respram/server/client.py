"""One client's connection: everything except plain reads of plain commands, which are the pump's.

Output that the kernel does not take at once is copied and kept, up to a limit; a client that does not read is closed. A
batch that must wait (CLIENT PAUSE, WAIT) or that was the last one comes here too.
"""

import asyncio
import select
import socket
from collections import deque
from collections.abc import Callable

from respram.commands.connection import note_fault
from respram.commands.node import Conn, Node
from respram.engine.api import Session
from respram.server.clock import now_ms
from respram.server.pump import Pump

FREED_AT_ONCE_BYTES = 4 << 20  # of the output of a client that is gone: about 1 ms
FREED_EVERY_S = 0.002
HUNG_UP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)  # the last one only if the system has it
SENT_AT_ONCE = 64  # pieces in one `sendmsg`


class Client:
    __slots__ = (
        "sock", "loop", "pump", "node", "session", "conn", "out", "out_bytes", "stalled_since_ms", "soft_since_ms",
        "unproven_since_ms", "closed", "reading", "last_read", "muted", "ended", "resumed",
        "wake_timer", "on_close",
    )  # fmt: skip

    conn: Conn  # set by the accepting code, before `start`

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, pump: Pump, node: Node, session: Session,
        on_close: Callable[["Client"], None],
    ) -> None:  # fmt: skip
        self.sock = sock
        self.loop = loop
        self.pump = pump
        self.node = node
        self.session = session
        self.out: deque[memoryview] = deque()  # replies that the kernel has not accepted yet
        self.out_bytes = 0
        self.stalled_since_ms = 0  # since when the kernel accepts nothing; 0: nothing waits
        self.soft_since_ms = 0  # since when the output exceeds the soft limit; 0: it does not
        self.unproven_since_ms = 0  # since when it is known to be unauthenticated; 0: it is authenticated
        self.closed = False
        self.reading = False
        self.last_read = False  # the node is stopping: nothing more is read
        self.muted = False  # and no command runs any more
        self.ended = False  # and all output is sent
        self.resumed = False  # the command that waited runs again in the loop's next turn
        self.wake_timer: asyncio.TimerHandle | None = None
        self.on_close = on_close

    def start(self) -> None:
        self._read_on()

    # -- in ---------------------------------------------------------------------------------------
    def unusual(self) -> bool:
        """The batch just fed has to wait, or was the last. (Most forwards are back before their client sends more: to
        be no longer watched, and again, is two calls of the kernel.)
        """
        if self.closed:
            return False
        if self.session.taken and self.reading and not self.session.closing:
            return True
        self._pause_reading()
        if self.session.closing:
            if self.session.fault is not None:
                note_fault(self.conn, self.session.fault)
            if not self.out:
                self.close()
        elif self.session.suspended and not self.session.taken:
            self.pump.unweighed_bytes += self.conn.newly_held()
            wait_ms = max(self.conn.suspended_until_ms - now_ms(), 0)
            self._cancel_timer()
            self.wake_timer = self.loop.call_later(wait_ms / 1000, self.wake)
        return False

    def crowd(self) -> None:
        self._pause_reading()

    def lost(self) -> None:
        """The client has disconnected, or closed its side."""
        self.close()

    def wake(self) -> None:
        """Ends a suspension: the command that waits is run again."""
        self._cancel_timer()
        if not (self.closed or self.muted) and self.session.suspended and not self.session.taken:
            self.node.engine.resume(self.session)
            self._go_on_soon()

    def answer(self, data: bytes) -> None:
        """Delivers the reply to commands that were taken out of the session, and resumes the session."""
        if self.closed or self.pump.give(self, data):
            return
        if data:
            self.deliver(data)
        session = self.session
        if session.taken:
            self.node.engine.resume(session)
            if self.reading and not (self.last_read or session.more or session.buffered_bytes):
                self.pump.back(self)  # there is nothing to continue with
            else:
                self._go_on_soon()

    def _go_on_soon(self) -> None:
        self.resumed = True
        self.loop.call_soon(self._continue)

    def _continue(self) -> None:
        self.resumed = False
        if not (self.closed or self.muted or self.session.suspended or self.session.closing):
            self._read_on()
            self.pump.feed(self, b"")
            if self.last_read and self.session.more:  # a pump that is not watching will not do it
                self.loop.call_soon(self._continue)

    def _cancel_timer(self) -> None:
        if self.wake_timer is not None:
            self.wake_timer.cancel()
            self.wake_timer = None

    def _read_on(self) -> None:
        if self.reading:
            self.pump.back(self)
        elif not (self.closed or self.last_read):
            self.reading = True
            self.pump.watch(self)

    def _pause_reading(self) -> None:
        if self.reading:
            self.reading = False
            self.pump.unwatch(self)

    # -- out --------------------------------------------------------------------------------------
    def deliver(self, data: bytes) -> None:
        """Bytes out of turn, from another client's command or from time. (To the client whose own
        batch is running nothing comes this way: see `Conn.push`.)"""
        self.pump.sent(len(data))
        self.send(data)

    def deliver_pieces(self, pieces: list[bytes]) -> bool:
        """A long reply, which is not copied once more."""
        for piece in pieces:
            if not self.closed:  # by an earlier piece, for its limit
                self.deliver(piece)
        return True

    def send(self, data: bytes | memoryview) -> None:
        """Sends as much as the kernel takes now, and keeps the rest, in order."""
        if self.closed or self.ended:
            return
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
            self.pump.hold(self, True)
        elif self.out_bytes > self.conn.output_bytes_max:
            self.close_unread("output_limit")
            return
        rest = data if isinstance(data, bytes) and not sent else bytes(memoryview(data)[sent:])
        self.out.append(memoryview(rest))
        self.out_bytes += len(rest)
        self.pump.unweighed_bytes += len(rest)

    def waiting_bytes(self) -> int:
        return self.out_bytes

    def is_gone(self) -> bool:
        """Whether the client has hung up. The kernel is asked, because nothing is read while a command waits."""
        look = select.poll()
        look.register(self.sock.fileno(), HUNG_UP)
        return bool(look.poll(0))

    def check_patience(self, now: int) -> None:
        """Once a second: closes a client that reads nothing, exceeds a soft limit for too long, does not authenticate,
        or idles.
        """
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
        elif self._is_unproven_for_long(now):
            self.node.stats.unproven_disconnections += 1
            self.node.log(f"event=auth_timeout client={conn.id} address={conn.address.decode()}: closed")
            self.close()
        elif conn.blocked_until_ms:  # a blocked client may be silent, but must be connected
            if self.is_gone():
                self.lost()
        elif limits.idle_timeout_s and not conn.subscribed and now - conn.last_active_ms > limits.idle_timeout_s * 1000:
            self.node.stats.idle_disconnections += 1
            self.close()

    def _is_unproven_for_long(self, now: int) -> bool:
        """Whether the client has not authenticated in time."""
        timeout_s = self.node.limits.auth_timeout_s
        if self.conn.authenticated or not timeout_s:
            self.unproven_since_ms = 0
            return False
        if not self.unproven_since_ms:
            self.unproven_since_ms = now
        return now - self.unproven_since_ms > timeout_s * 1000

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
            self.pump.hold(self, False)
            if self.session.closing:
                self.close()
            elif self.muted:
                self._end_output()

    # -- the end ----------------------------------------------------------------------------------
    def finish(self) -> None:
        """Reads once more when the node stops. What has come is answered, however many turns that takes.
        """
        if self.reading:
            self.pump.read(self)
        self.last_read = True
        if self.reading:
            self._pause_reading()
            if self.session.more:
                self.loop.call_soon(self._continue)

    def is_busy(self, paused: bool) -> bool:
        """Whether received commands still have to be answered. Those that CLIENT PAUSE holds back do not count."""
        return not self.closed and (self.session.more or self.resumed or self.session.suspended and not paused)

    def mute(self) -> None:
        """Runs no more commands of this client; waiting replies are sent, then the connection ends."""
        if self.closed:
            return
        self.node.broadcasts.hear(self.conn)
        self.last_read = self.muted = True
        self.reading = False
        self.pump.unwatch(self)  # its deferred work ends too
        self._cancel_timer()
        if not self.out:
            self._end_output()

    def _end_output(self) -> None:
        """The other side reads the end behind the last reply. To close here would be a reset, where it has sent more
        than was read, and a reset can overtake replies. So would a message that cannot be sent any more.
        """
        self.ended = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._pause_reading()
        self._cancel_timer()
        if self.out:
            self.loop.remove_writer(self.sock)
            self.out, waiting = deque(), self.out
            _free(self.loop, waiting)
        self.sock.close()
        if self.node.current is self.conn:  # closed by its own command, which the engine is still running
            self.session.closing = True
            self.loop.call_soon(self.node.engine.close, self.session)
        else:
            self.node.engine.close(self.session)
        self.on_close(self)


def _free(loop: asyncio.AbstractEventLoop, waiting: deque[memoryview]) -> None:
    """What nobody will read, a slice at a time: to give 256 MiB back to the system at once took up to 90 ms. The last
    goes first: pieces too small for blocks of their own lie in the heap, which shrinks from its end; from the front all
    of it would go back with the last piece (115 ms).
    """
    freed = 0
    while waiting and freed < FREED_AT_ONCE_BYTES:
        freed += len(waiting.pop())
    if waiting:
        loop.call_later(FREED_EVERY_S, _free, loop, waiting)
