"""Stash: a payload under a key that nobody else has, and that key for whoever is to have it.
Nothing else may live in this file.

    stash = Stash(client, "handoff", ttl_s=600)
    name = stash.store(b"the findings")          # "handoff:550e8400-e29b-41d4-a716-446655440000": tell it to them
    Stash(other_client).look(name)               # b"the findings"

What `repram_store` does without a key. Not promised: that only those who were told the key can read: whoever may list
the node's keys finds it too (secure_relay.py).
"""

from dataclasses import dataclass
from typing import Generic

from respram.patterns.errors import ContentMissing
from respram.patterns.naming import SCRATCH, encoded, sized, unique
from respram.patterns.steps import C, Steps, get, operation, put


@dataclass(frozen=True, slots=True)
class Stash(Generic[C]):
    client: C
    prefix: str = SCRATCH
    ttl_s: float = 600.0

    @operation
    def store(self, payload: bytes) -> Steps[str]:
        """Writes the payload under a new key, a random UUID below the prefix; the key."""
        name = unique(self.prefix)
        yield from put(name, payload, self.ttl_s)
        return name.decode()

    @operation
    def look(self, name: str) -> Steps[bytes]:
        """The payload. Raises ContentMissing: its time is up, or the key is another's."""
        found = yield from get(sized(encoded(name)))
        if found is None:
            raise ContentMissing(f"nothing is stored as {name[:80]!r}: its time is up, or it never was")
        return found
