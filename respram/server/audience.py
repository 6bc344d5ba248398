"""Messages for many clients leave in slices, so that one PUBLISH to thousands holds nobody up.

To hand a message to the kernel takes about 6 us for each client: 24 ms for 4,000. So in one turn of the loop a bounded
number of clients is sent to at once. A message for another one is kept as output that waits. What its client is sent
later goes behind it, as always, so no order changes. The clients that wait have their turns one after the other, each
for all that it is owed. The native pump counts those whom it sends to by itself (replies.pxi), and the others come
here, too.
"""

import asyncio
from typing import Protocol

SENDS_MAX = 400  # in one turn: about 2.5 ms
SEND_BYTES = 16 << 10  # a longer message counts as so many sends
LATER_BYTES_MAX = 8 << 20  # that wait for a turn; when there are more, messages are sent at once again
LATER_BYTES = 100  # of memory for a message that waits, beside its bytes, which its receivers may share


class Owed(Protocol):
    later_bytes: int

    def go_on(self) -> None:
        """Sends what waits."""


class Audience:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.sends = 0  # in this turn
        self.clients: dict[Owed, None] = {}  # in the order of their turns
        self.bytes = 0
        self._last: bytes = b""  # the message that was kept last, whose bytes are counted once

    def may_send(self, size: int) -> bool:
        """Whether there is time for a message in this turn."""
        if not self.sends:
            self.loop.call_soon(self._turn)
        self.sends += 1 + size // SEND_BYTES
        return self.sends <= SENDS_MAX

    def is_full(self) -> bool:
        return self.bytes > LATER_BYTES_MAX

    def add(self, client: Owed, message: bytes) -> None:
        """A client that waits for its turn to be sent this."""
        if not self.sends:
            self.sends = 1
            self.loop.call_soon(self._turn)
        self.clients[client] = None
        self.bytes += LATER_BYTES + (len(message) if message is not self._last else 0)
        self._last = message

    def _turn(self) -> None:
        self.sends = 0
        while self.clients and self.sends < SENDS_MAX:
            client = next(iter(self.clients))
            del self.clients[client]
            self.sends += 1 + client.later_bytes // SEND_BYTES
            client.go_on()
        if self.clients:
            self.sends = max(self.sends, 1)
            self.loop.call_soon(self._turn)
        else:
            self.sends = self.bytes = 0
            self._last = b""
