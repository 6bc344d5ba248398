"""The pump: reads from clients, feeds the engine and sends replies, and nothing else. `_pump.pyx` is its fast twin.

A ready socket is read into one buffer that all clients share, the engine is fed, and the reply is sent
from the engine's own buffer, at once. `Client` handles everything else (a client that is gone, a kernel that takes no
more, a batch that must wait or is the last): `lost`, `send`, `unusual`.

A pump watches its sockets by an epoll of its own, of which the loop sees a single descriptor. Left to
uvloop, a socket that was reset while it still held data would be read once and never reported again: libuv takes
POLLERR for the end of the watching. Where there is no epoll the loop watches each socket. The native pump
makes no Python call for a read of plain hot commands.
"""

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Protocol

from respram.commands.node import Conn
from respram.engine.api import Engine, Session
from respram.server.clock import micros, now_ms, worked_us

READ_BYTES = 64 * 1024  # one read of one client
EVENTS_MAX = 384  # sockets served in one turn of the loop
TURN_US = 5_000  # of a turn; the last client served may take longer
DEBT_US_MIN = 500  # a client that owes less delays nobody
DEBT_HALVED_US = 32_000
CHEAP_MAX = 65_535  # cheap reads are counted up to here
RANK_BITS = 4  # clients of about the same count are equals


class Watched(Protocol):
    """A client, as a pump needs it."""

    sock: socket.socket
    session: Session
    conn: Conn
    last_read: bool  # nothing more of it is read

    def send(self, data: bytes | memoryview) -> None: ...
    def unusual(self) -> bool:
        """Its batch has to wait, or is over. True: it stays watched, for it is answered soon and sends nothing
        meanwhile, as a rule.
        """

    def crowd(self) -> None:
        """The client has sent more while a reply is awaited: it is not watched until it is answered."""

    def lost(self) -> None: ...


class Pump(Protocol):
    """The interface of both pumps. The native one is compiled, see _pump.pyx."""

    after: Callable[[], bool] | None  # called when clients may have written; returns whether they had
    weigh: Callable[[], None] | None  # called when `weigh_bytes` have arrived since the last time
    weigh_bytes: int
    unweighed_bytes: int  # of input, and of clients' other memory, since then

    @property
    def name(self) -> str: ...
    @property
    def stays(self) -> int:
        """How often it waited for its sockets by itself: the native one's."""

    @property
    def input_bytes(self) -> int: ...
    @property
    def output_bytes(self) -> int:
        """Of replies, whether sent at once or kept."""

    def watch(self, client: Watched) -> None:
        """Reads of this client are served from now on."""

    def unwatch(self, client: Watched) -> None: ...
    def hold(self, client: Watched, waiting: bool) -> None:
        """Notes that output of a client begins or ends to wait. While it waits, nothing may overtake it."""

    def read(self, client: Watched) -> None:
        """Reads once, without waiting, so that an orderly stop takes what has arrived."""

    def give(self, client: Watched, data: bytes) -> bool:
        """Sends what another node has answered to the last commands of a client, resumes its session and reads it
        again. False: nothing was done, because more than that may be to be done, which is the client's.
        """

    def back(self, client: Watched) -> None:
        """The client was answered and is read again, if it stayed watched."""

    def feed(self, client: Watched, data: memoryview | bytes) -> None:
        """Out of turn: b"" after a suspension. A batch that is more than one turn's worth goes on by itself, and
        nothing of its client is read before it is over.
        """

    def note_activity(self) -> None:
        """Once a second: brings the clients' `last_active_ms` up to date."""

    def sent(self, count: int) -> None:
        """Bytes out of turn, which the client sends itself."""

    def take_counts(self) -> tuple[int, int]:
        """Bytes received and bytes answered since the last call."""

    def close(self) -> None:
        """Closes the pump; called after the last client is gone."""


class PortablePump:
    name = "portable"

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self.engine = engine
        self.loop = loop
        self.buffer = memoryview(bytearray(READ_BYTES))
        self.input_bytes = 0
        self.output_bytes = 0  # of replies, sent or queued
        self.stays = 0  # of the native pump only
        self.epoll = select.epoll() if hasattr(select, "epoll") else None
        self.watched: dict[int, Watched] = {}  # by descriptor
        if self.epoll is not None:
            loop.add_reader(self.epoll.fileno(), self._ready)
        self.after: Callable[[], bool] | None = None  # called when clients may have written; returns whether they had
        self.weigh: Callable[[], None] | None = None  # called when `weigh_bytes` have arrived since the last time:
        self.weigh_bytes = 0
        self.unweighed_bytes = 0
        self.away: set[Watched] = set()  # watched clients that are not read until another node has answered
        self.unfinished: dict[Watched, None] = {}  # clients whose batch continues in the next turns
        self.called = False  # the loop was asked to continue with them
        # By descriptor: clients that had no place in the last turns, in order; what a client owes in microseconds, and
        # since when; how many cheap reads a client has had.
        self.passed: dict[int, None] = {}
        self.debts: dict[int, tuple[float, int]] = {}
        self.cheap: dict[int, int] = {}

    def watch(self, client: Watched) -> None:
        if self.epoll is None:
            self.loop.add_reader(client.sock, self.read, client)
        else:
            self.watched[client.sock.fileno()] = client
            self.epoll.register(client.sock.fileno(), select.EPOLLIN)

    def unwatch(self, client: Watched) -> None:
        self.unfinished.pop(client, None)
        self.passed.pop(client.sock.fileno(), None)
        self.cheap.pop(client.sock.fileno(), None)
        self.away.discard(client)
        if self.epoll is None:
            self.loop.remove_reader(client.sock)
        elif self.watched.pop(client.sock.fileno(), None) is not None:
            self.epoll.unregister(client.sock.fileno())

    def _ready(self) -> None:
        assert self.epoll is not None
        at_us = worked_us()
        fresh, passed = self._in_turn([fd for fd, _ in self.epoll.poll(0, EVENTS_MAX)])
        at_us = self._serve(fresh, at_us, at_us + TURN_US)
        self._serve(passed, at_us, at_us + TURN_US // 2)
        if self.weigh is not None and self.unweighed_bytes >= self.weigh_bytes:
            self.unweighed_bytes = 0
            self.weigh()

    def _in_turn(self, ready: list[int]) -> tuple[list[int], list[int]]:
        """Splits the ready clients into new ones and those that had no place in the last turns. New ones are ordered
        by debt, then by cheap reads: the cost of the next command is known only after it has run.
        """
        at_us = micros()
        fresh = [fd for fd in ready if fd not in self.passed]
        fresh.sort(key=lambda fd: (self._debt_us(fd, at_us), -(self.cheap.get(fd, 0).bit_length() // RANK_BITS)))
        there = set(ready)
        return fresh, [fd for fd in self.passed if fd in there]

    def _serve(self, clients: list[int], at_us: int, end_us: int) -> int:
        """Serves clients until the time is up, and at least the first. Returns the time."""
        for place, fd in enumerate(clients):
            if place and at_us > end_us:
                self.passed.update(dict.fromkeys(clients[place:]))
                break
            self.passed.pop(fd, None)
            client = self.watched.get(fd)
            if client is not None:  # an earlier one may have closed it
                self.cheap[fd] = min(self.cheap.get(fd, 0) + 1, CHEAP_MAX)
                self.read(client)
                at_us = self._charge(fd, at_us)
        return at_us

    def _debt_us(self, fd: int, at_us: int) -> float:
        """Returns what a client owes the others; less than DEBT_US_MIN counts as 0."""
        owed_us, since_us = self.debts.get(fd, (0.0, 0))
        if owed_us:
            owed_us *= 0.5 ** ((at_us - since_us) / DEBT_HALVED_US)
        return owed_us if owed_us > DEBT_US_MIN else 0.0

    def _charge(self, fd: int, since_us: int) -> int:
        """Charges a client for the work since then, and returns the time of the work."""
        at_us = worked_us()
        if at_us - since_us > DEBT_US_MIN:
            self.cheap.pop(fd, None)
            now_us = micros()
            self.debts[fd] = self._debt_us(fd, now_us) + at_us - since_us, now_us
        return at_us

    def hold(self, client: Watched, waiting: bool) -> None:
        """Nothing to do: all replies go through `send`, which keeps the order."""

    def note_activity(self) -> None:
        """Every read notes it."""

    def sent(self, count: int) -> None:
        self.output_bytes += count

    def take_counts(self) -> tuple[int, int]:
        counts = self.input_bytes, self.output_bytes
        self.input_bytes = self.output_bytes = 0
        return counts

    def close(self) -> None:
        if self.epoll is not None:
            self.loop.remove_reader(self.epoll.fileno())
            self.epoll.close()

    def read(self, client: Watched) -> None:
        if client in self.unfinished:
            return
        if client in self.away:
            client.crowd()
            return
        try:
            count = client.sock.recv_into(self.buffer)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if not count:
            client.lost()
            return
        self.input_bytes += count
        self.unweighed_bytes += count
        self.feed(client, self.buffer[:count])

    def feed(self, client: Watched, data: memoryview | bytes) -> None:
        session = client.session
        now = client.conn.last_active_ms = now_ms()
        try:
            reply = self.engine.feed(session, data, now)
            if reply:
                self.output_bytes += len(reply)
                client.send(reply)
                self.engine.forget_reply()
        except BaseException:
            client.lost()  # its replies no longer match its commands
            raise
        if session.suspended or session.closing:
            if client.unusual():
                self.away.add(client)
        elif session.more:
            self.unfinished[client] = None
            self._see_to_the_rest()
        if self.after is not None:
            self.after()

    def give(self, client: Watched, data: bytes) -> bool:
        return False

    def back(self, client: Watched) -> None:
        self.away.discard(client)

    def _see_to_the_rest(self) -> None:
        """No descriptor tells of what was read already."""
        if self.unfinished and not self.called:
            self.called = True
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Continues unfinished batches by one turn's worth each, until the time is up; other clients are served between
        the turns. A batch that is still unfinished goes to the end of the row."""
        self.called = False
        begun_us = at_us = worked_us()
        for client in list(self.unfinished):
            if client in self.unfinished:  # an earlier one may have closed it
                del self.unfinished[client]
                self.feed(client, b"")
                at_us = self._charge(client.sock.fileno(), at_us)
                if at_us - begun_us > TURN_US:
                    break
        self._see_to_the_rest()


def make_pump(engine: Engine, loop: asyncio.AbstractEventLoop) -> Pump:
    """The native pump for the native engine, where it was built (Linux); else the portable one."""
    if engine.name == "native":
        try:
            from respram.server._pump import NativePump
        except ImportError:
            pass
        else:
            return NativePump(engine, loop)
    return PortablePump(engine, loop)
