"""Keep-alive between two sides, which reports a dead peer. Nothing else may live in this file.

    link = KeepAlive(client, "link-9", me="ada", peer="bob", ttl_s=3)
    reason = link.monitor(on_closed)  # returns when the link is closed, after on_closed(peer, reason)

`monitor` beats for its own side and looks for the other's beat in one round trip. Reasons: "timeout" (the peer was
there and fell silent), "absent" (it never came within `patience_s`), "store away" (the node does not answer, so the
peer's state is unknown), "auth_failure" (the node wants other credentials), "stopped" (`stop` returned true).
On an asyncio client `monitor` is awaited: as a task beside others it beats until it is cancelled.
Not promised: that a peer reported dead has stopped working.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.effects import Steps
from respram.patterns.errors import StoreAway, WrongCredentials
from respram.patterns.naming import key, level
from respram.patterns.steps import C, ask_all, call, operation, pause, ttl_ms


@dataclass(frozen=True, slots=True)
class KeepAlive(Generic[C]):
    client: C
    link: str
    me: str
    peer: str
    ttl_s: float = 3.0
    beats_per_ttl: int = 4  # three beats in a row must be lost before the other side notices

    def key(self, side: str) -> bytes:
        return key("alive", level(self.link), level(side))

    @operation
    def tick(self) -> Steps[bool]:
        """Sends one beat; returns whether the peer is alive."""
        beat = ("SET", self.key(self.me), b"", "PX", ttl_ms(self.ttl_s))
        _, there = yield from ask_all(beat, ("EXISTS", self.key(self.peer)))
        return bool(there)

    @operation
    def monitor(
        self,
        on_closed: Callable[[str, str], Any] | None = None,
        patience_s: float = 10.0,
        stop: Callable[[], bool] | None = None,
    ) -> Steps[str]:
        """Beats until the link is closed; returns why. `on_closed(peer, reason)` may be async, and may reconnect.

        `stop` is called at every beat, an Event's `is_set` for example. When it ends the link, `on_closed` is not
        called.
        """
        begun = time.monotonic()
        met = False
        reason = ""
        while not reason:
            if stop is not None and stop():
                return "stopped"
            try:
                alive = yield from self.tick.steps()
            except WrongCredentials:
                reason = "auth_failure"
                break
            except StoreAway:
                reason = "store away"
                break
            if met and not alive:
                reason = "timeout"
            elif not alive and time.monotonic() - begun >= patience_s:
                reason = "absent"
            else:
                met = met or alive
                yield from pause(self.ttl_s / self.beats_per_ttl)
        if on_closed:
            yield from call(on_closed, self.peer, reason)
        return reason
