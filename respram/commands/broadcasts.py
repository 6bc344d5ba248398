"""Messages to many listeners are handed over in slices, so that one PUBLISH to thousands holds nobody up.

To hand a message to the kernel takes about 5 us for each listener: 45 ms for 9,000. So such a message is kept once, and
in each turn of the loop it is handed to some of its listeners. A listener that has its turn gets all that waits for it,
in one piece. While a message waits, later ones wait behind it, also those to a single listener, so the order of
messages is that of their publishers.

Nothing overtakes a message either: whatever else is to be sent to a listener, its own commands' replies for instance,
goes behind all that waits for it (`hear`). Who unsubscribes has heard all that was published before.

A client's PUBLISH waits when too many messages wait (`is_full`). What cannot wait may add more, up to a second bound
(`is_closed`): then a transaction's PUBLISH is refused, and what peers and events bring is dropped and counted.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Generic, Protocol, TypeVar

from respram.commands.reply import Push, Reply, encode

MANY = 64  # listeners of one message, from which on it is handed over in slices
SLICE_US = 2_000  # time for messages in one turn
VISITS = 8  # listeners between two looks at the clock,
VISIT_BYTES = 16 << 10  # of which one that gets more counts as several
TOGETHER_MAX = 64  # messages that are looked at for one listener in its turn
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

    __slots__ = ("number", "listeners", "items", "bytes", "_frames")

    def __init__(self, number: int, listeners: Mapping[L, int], items: list[Reply], size: int) -> None:
        self.number = number
        # The registry's own: who left it hears nothing. Since when each listens: the number of the last message before.
        self.listeners = listeners
        self.items = items
        self.bytes = size
        self._frames = [b"", b""]  # in protocol 2, and in 3

    def is_for(self, listener: L) -> bool:
        return self.listeners.get(listener, self.number) < self.number

    def frame(self, proto: int) -> bytes:
        if not self._frames[proto == 3]:
            self._frames[proto == 3] = encode(Push(self.items), proto)
        return self._frames[proto == 3]


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
        self._is_due = False

    def is_full(self) -> bool:
        return len(self.waiting) >= WAITING_MAX or self.bytes > WAITING_BYTES_MAX

    def is_closed(self) -> bool:
        return len(self.waiting) >= ALL_MAX or self.bytes > ALL_BYTES_MAX

    def add(self, listeners: Mapping[L, int], items: list[Reply], size: int) -> None:
        """Keeps a message of so many bytes for its listeners."""
        self.last += 1
        size = BROADCAST_BYTES + 3 * size  # as it came, and for both protocols
        self.waiting.append(Broadcast(self.last, listeners, items, size))
        self.bytes += size

    def begin(self) -> None:
        """After messages were added."""
        if self.waiting and not self._is_due:
            self.told(True)
            self._follow()

    def hear(self, listener: L) -> None:
        """Hands over all that waits for a listener. Before anything else is sent to it."""
        if self.waiting and listener.heard < self.last and (data := self._owed(listener, len(self.waiting))):
            listener.hand(data)

    def _owed(self, listener: L, most: int) -> bytes:
        heard, proto = listener.heard, listener.session.proto
        frames = []
        for one in islice(self.waiting, most):
            if one.number > heard and one.is_for(listener):
                frames.append(one.frame(proto))
            listener.heard = max(one.number, heard)
        return frames[0] if len(frames) == 1 else b"".join(frames)

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
                data = self._owed(listener, TOGETHER_MAX)
            else:  # nothing else waits
                listener.heard = number
                data = oldest.frame(listener.session.proto) if oldest.is_for(listener) else b""
            if data:
                listener.transport.deliver(data)
            left -= 1 + len(data) // VISIT_BYTES
            if left <= 0:
                return
        self._unvisited = None
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
