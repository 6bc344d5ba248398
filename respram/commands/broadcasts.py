"""Messages to many listeners are handed over in slices, so that one PUBLISH to thousands holds nobody up.

To hand a message to the kernel takes about 5 us for each listener: 45 ms for 9,000. So such a message is kept once, and
in each turn of the loop it is handed to some of its listeners. A listener that has its turn gets what waits for it in
one piece of bounded size. While a message waits, later ones wait behind it, also those to a single listener, so the
order of messages is that of their publishers.

Nothing overtakes a message either: whatever else is to be sent to a listener, its own commands' replies for instance,
goes behind all that waits for it (`hear`). Who unsubscribes has heard all that was published before.

A client's PUBLISH waits when too many messages wait (`is_full`). What cannot wait may add more, up to a second bound
(`is_closed`): then a transaction's PUBLISH is refused, and what peers and events bring is dropped and counted.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Generic, Protocol, TypeVar

MANY = 64  # listeners of one message, from which on it is handed over in slices
SLICE_US = 2_000  # time for messages in one turn
VISITS = 8  # listeners between two looks at the clock,
VISIT_BYTES = 16 << 10  # of which one that gets more counts as several
TOGETHER_MAX = 64  # messages that are looked at for one listener in its turn
PIECE_BYTES = 64 << 10  # of what one listener gets together; one message more at most
WAITING_MAX = 128  # messages that wait before publishers do
WAITING_BYTES_MAX = 8 << 20  # of these messages
ALL_MAX = 16_384  # messages that wait, with those of publishers that cannot wait
ALL_BYTES_MAX = 32 << 20  # of all
BROADCAST_BYTES = 600  # overhead of a message that waits
WOKEN = 16  # publishers that go on at once when there is room
WAIT_MS = 1_000  # after which a publisher that waits looks again by itself


class Speaking(Protocol):
    @property
    def proto(self) -> int: ...


class Delivering(Protocol):
    def deliver(self, data: bytes) -> None: ...


class Listener(Protocol):
    heard: int  # number of the last message that was looked at for it

    @property
    def session(self) -> Speaking: ...
    @property
    def transport(self) -> Delivering:
        """While no command runs."""

    def hand(self, data: bytes) -> None:
        """Sends bytes out of turn, also while one of its own commands runs."""

    def wake(self) -> None:
        """Ends a suspension before its time."""


L = TypeVar("L", bound=Listener)


class Broadcast(Generic[L]):
    """One message for those that listen in one way: to a channel, or by one pattern."""

    __slots__ = ("number", "listeners", "head", "tail", "bytes")

    def __init__(self, number: int, listeners: Mapping[L, int], head: bytes, tail: bytes, size: int) -> None:
        self.number = number
        # The registry's own: who left it hears nothing. Since when each listens: the number of the last message before.
        self.listeners = listeners
        self.head = head
        self.tail = tail
        self.bytes = size

    def is_for(self, listener: L) -> bool:
        return self.listeners.get(listener, self.number) < self.number

    def frame(self, proto: int) -> tuple[bytes, bytes, bytes]:
        return b">" if proto == 3 else b"*", self.head, self.tail


class Broadcasts(Generic[L]):
    def __init__(
        self, soon: Callable[[Callable[[], None]], object], micros: Callable[[], int], told: Callable[[bool], None]
    ) -> None:
        self.soon = soon  # schedules work for the loop's next turn
        self.micros = micros
        self.told = told  # called when messages begin to wait, and when none is left
        self.waiting: deque[Broadcast[L]] = deque()
        self.last = 0  # number of the newest message
        self.bytes = 0
        self.publishers: dict[L, None] = {}  # those that wait until there is room
        self._unvisited: Iterator[L] | None = None  # listeners of the oldest
        self._made: dict[int, bytes] = {}  # frames of the oldest, by protocol
        self._is_due = False

    def is_full(self) -> bool:
        return len(self.waiting) >= WAITING_MAX or self.bytes > WAITING_BYTES_MAX

    def is_closed(self) -> bool:
        return len(self.waiting) >= ALL_MAX or self.bytes > ALL_BYTES_MAX

    def add(self, ways: Iterable[tuple[Mapping[L, int], bytes]], tail: bytes) -> None:
        """Keeps a message for those that listen in several ways. A frame is a mark of the protocol, the head of its
        way, and the tail, which all share.
        """
        for listeners, head in ways:
            self.last += 1
            size = BROADCAST_BYTES + len(head)
            self.waiting.append(Broadcast(self.last, listeners, head, tail, size))
            self.bytes += size
        self.waiting[-1].bytes += len(tail)  # which goes with the last of them
        self.bytes += len(tail)

    def begin(self) -> None:
        """After messages were added."""
        if self.waiting and not self._is_due:
            self.told(True)
            self._follow()

    def hear(self, listener: L) -> None:
        """Hands over all that waits for a listener. Before anything else is sent to it."""
        if not self.waiting or listener.heard >= self.last:
            return
        last, first = self.last, max(listener.heard + 1 - self.waiting[0].number, 0)
        ahead = iter(list(islice(self.waiting, first, None)))
        while listener.heard < last:
            if data := self._piece(listener, ahead):
                listener.hand(data)

    def _piece(self, listener: L, ahead: Iterator[Broadcast[L]]) -> bytes:
        """What a listener has not heard of the messages ahead. It may be less than all, and is never much."""
        heard, proto = listener.heard, listener.session.proto
        parts: list[bytes] = []
        size = 0
        for one in ahead:
            if one.number <= heard:
                continue
            listener.heard = one.number
            if one.is_for(listener):
                parts += one.frame(proto)
                size += len(one.head) + len(one.tail)
                if size >= PIECE_BYTES:
                    break
        return b"".join(parts)

    def _frame(self, oldest: Broadcast[L], proto: int) -> bytes:
        if proto not in self._made:
            self._made[proto] = b"".join(oldest.frame(proto))
        return self._made[proto]

    def _advance(self) -> None:
        """Visits some listeners of the oldest message, or ends that message."""
        oldest, number = self.waiting[0], self.waiting[0].number
        if self._unvisited is None:
            self._unvisited = iter(list(oldest.listeners))
        left = VISITS
        for listener in self._unvisited:
            if listener.heard >= number:
                continue
            if number < self.last:
                data = self._piece(listener, islice(self.waiting, TOGETHER_MAX))
            else:  # nothing else waits
                listener.heard = number
                data = self._frame(oldest, listener.session.proto) if oldest.is_for(listener) else b""
            if data:
                listener.transport.deliver(data)
            left -= 1 + len(data) // VISIT_BYTES
            if left <= 0:
                return
        self._unvisited = None
        self._made.clear()
        self.bytes -= oldest.bytes
        self.waiting.popleft()

    def _follow(self) -> None:
        self._is_due = True
        self.soon(self._turn)

    def _turn(self) -> None:
        end_us = self.micros() + SLICE_US
        self._is_due = False
        try:
            while self.waiting:
                self._advance()
                if self.micros() > end_us:
                    break
        finally:
            self._wake_some()
            if self.waiting or self.publishers:
                self._follow()
            else:
                self.told(False)

    def _wake_some(self) -> None:
        for publisher in list(islice(self.publishers, WOKEN)) if not self.is_full() else ():
            del self.publishers[publisher]
            publisher.wake()
