"""Ephemeral broadcast: one shared value that expires to a default. Nothing else may live in this file.

    flags = Broadcast(client, "config:feature-flags", default={"new-checkout": False}, ttl_s=60)
    flags.announce({"new-checkout": True})  # repeat about every 20 s for as long as it is to hold
    flags.current()                              # {"new-checkout": True}; the default once the announcer stops

Not promised: that all readers see a change at the same moment, or see every change.
"""

from dataclasses import dataclass
from typing import Generic

from respram.patterns.json_values import Json, from_json, to_json
from respram.patterns.naming import BROADCAST, key
from respram.patterns.steps import C, Steps, get, hand, operation, pause, put, stream

POLL_S = 0.5  # how often a follower checks for a change


@dataclass(frozen=True, slots=True)
class Broadcast(Generic[C]):
    client: C
    channel: str
    default: Json = None
    ttl_s: float = 60.0

    @operation
    def announce(self, value: Json) -> Steps[None]:
        """Announces the value for another ttl_s. Readers fall back to the default once the announcements stop."""
        yield from put(key(BROADCAST, self.channel), to_json(value), self.ttl_s)

    @operation
    def current(self) -> Steps[Json]:
        found = yield from get(key(BROADCAST, self.channel))
        return self.default if found is None else from_json(found, f"broadcast {self.channel!r}")

    @stream
    def changes(self, poll_s: float = POLL_S) -> Steps[None]:
        """Yields the current value, then every change of it, including the fallback to the default. It never ends."""
        last = yield from self.current.steps()
        yield from hand(last)
        while True:
            yield from pause(poll_s)
            if (value := (yield from self.current.steps())) != last:
                last = value
                yield from hand(value)
