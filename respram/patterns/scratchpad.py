"""Scratchpad: working state of one actor across the steps of its work. Nothing else may live in this file.

    pad = Scratchpad(client, "agent-c", ttl_s=600)
    pad.note("reasoning-step-3", {"seen": ["a", "b"]})
    pad.recall("reasoning-step-3")
    pad.notes()                                      # ["reasoning-step-3"]

Each note lives for ttl_s from when it was last written. When the work ends, or its actor dies, all of it goes by
itself. Not promised: privacy. Whoever reaches the node can read it.
"""

from dataclasses import dataclass
from typing import Generic

from respram.patterns.json_values import Json, from_json, to_json
from respram.patterns.naming import SCRATCH, key, level, scan, unlevel
from respram.patterns.steps import C, Steps, ask_all, get, operation, put, ttl_ms


@dataclass(frozen=True, slots=True)
class Scratchpad(Generic[C]):
    client: C
    owner: str
    ttl_s: float = 600.0

    def key(self, name: str) -> bytes:
        return key(SCRATCH, level(self.owner), level(name))

    @operation
    def note(self, name: str, value: Json) -> Steps[None]:
        """Writes or overwrites the note and restarts its TTL."""
        yield from put(self.key(name), to_json(value), self.ttl_s)

    @operation
    def recall(self, name: str, default: Json = None) -> Steps[Json]:
        """The note's value, or `default` if it was never written or has expired."""
        found = yield from get(self.key(name))
        return default if found is None else from_json(found, f"note {name!r}")

    @operation
    def notes(self) -> Steps[list[str]]:
        """Names of the notes that live, sorted."""
        prefix = key(SCRATCH, level(self.owner)) + b":"
        return sorted(unlevel(name[len(prefix) :]) for name in (yield from scan(prefix)))

    @operation
    def keep(self) -> Steps[int]:
        """Restarts the TTL of every note; returns how many there were."""
        names = yield from self.notes.steps()
        renewed = yield from ask_all(*(("PEXPIRE", self.key(name), ttl_ms(self.ttl_s)) for name in names))
        return sum(map(bool, renewed))
