"""What the adapters of frameworks with a blocking redis-py client share: to let go of a key, to add one, to clear.

A client is whatever the framework holds; nothing is imported for it. `clear` names a new generation, which is
part of every key's name: what bore the old name is never read again and leaves when its time is up.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

from respram.adapters import GENERATION_BYTES, GENERATION_SEEN_S, LETTING_GO_MS, LONGEST_S, NOTHING

ADD_TRIES_MAX = 5  # two are enough unless others delete the same key at the same time


def let_go(client: Any, key: str) -> bool:
    """Lets go of a key, and returns whether there was something to let go of. On a pipeline the answer comes later."""
    return bool(client.set(key, NOTHING, px=LETTING_GO_MS, xx=True, get=True))


def add(client: Any, key: str, data: Any, life_s: int) -> bool:
    """A key that was let go of within this millisecond still holds nothing, and may end between two questions."""
    for _ in range(ADD_TRIES_MAX):
        if client.set(key, data, ex=life_s, nx=True):
            return True
        held = client.get(key)
        if held == NOTHING and client.execute_command("SET", key, data, "IFEQ", NOTHING, "EX", life_s):
            return True
        if held:
            return False
    return False


@dataclass(slots=True)
class Generation:
    """What this process knows of the generation under a key, and since when it knows it."""

    name: str = ""
    at: float = -GENERATION_SEEN_S

    def current(self, client: Any, key: str) -> str:
        """Empty before the first clear. Reading it also prolongs it: it outlives every key of earlier generations."""
        if time.monotonic() - self.at >= GENERATION_SEEN_S:
            found = client.getex(key, ex=LONGEST_S)
            self._remember(found.decode("ascii") if found else "")
        return self.name

    def begin(self, client: Any, key: str) -> None:
        fresh = os.urandom(GENERATION_BYTES).hex()
        client.set(key, fresh, ex=LONGEST_S)
        self._remember(fresh)

    def _remember(self, name: str) -> None:
        self.name, self.at = name, time.monotonic()
