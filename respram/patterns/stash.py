"""Stash: a payload under a new random key, which is given to its reader.
Nothing else may live in this file.

    stash = Stash(client, "handoff", ttl_s=600)
    name = stash.store(b"the findings")  # "handoff:550e8400-e29b-41d4-a716-446655440000": pass it to the other side
    Stash(other_client).look(name)               # b"the findings"

It is what `repram_store` does without a key. Not promised: that only those who were given the key can read it. Whoever
may list the node's keys finds it too (use secure_relay.py).
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
        """Writes the payload under a new key, a random UUID below the prefix, and returns the key."""
        name = unique(self.prefix)
        yield from put(name, payload, self.ttl_s)
        return name.decode()

    @operation
    def look(self, name: str) -> Steps[bytes]:
        """The payload. Raises ContentMissing when it has expired or was never stored."""
        found = yield from get(sized(encoded(name)))
        if found is None:
            raise ContentMissing(f"nothing is stored as {name[:80]!r}: its time is up, or it never was")
        return found
