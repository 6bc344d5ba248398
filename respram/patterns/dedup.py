"""Distributed deduplication: each event handled once within a window. Nothing else may live in this file.

    seen = Dedup(client, "orders", window_s=3600)
    seen.first("event-991")                       # True once, then False for an hour
    # Outcome(done=True, result=...), or done=False if another worker handled it.
    seen.process("event-992", handle, event)

`process` marks the event as running for `running_s`, and as done for the whole window once the handler returned. A
handler that raises releases the event at once; one that dies releases it after `running_s`.
Guarantees: one client of all nodes is the first, while the members of the enclave are stable (docs/peers.md);
with `--decide local` one client of each node is, and one of all nodes with `settle=` (settle.py). Not promised: exactly
once. While a node dies or is cut off two nodes may both say "first"; a handler slower than `running_s` may be joined by
another, and after the window an event counts as new.
"""

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.errors import PatternError
from respram.patterns.naming import key, level
from respram.patterns.settle import Settle, claimed, let_go
from respram.patterns.steps import C, Steps, ask, call, exists, operation, ttl_ms

DONE = b"done"


@dataclass(frozen=True, slots=True)
class Outcome:
    done: bool  # True: by this call
    result: Any = None


@dataclass(frozen=True, slots=True)
class Dedup(Generic[C]):
    client: C
    topic: str
    window_s: float = 3600.0
    running_s: float = 60.0
    settle: Settle | None = None

    def key(self, event_id: str) -> bytes:
        return key("dedup", level(self.topic), level(event_id))

    @operation
    def first(self, event_id: str) -> Steps[bool]:
        """True for the first caller within the window."""
        mine = uuid.uuid4().bytes
        return (yield from self._claimed(event_id, mine, self.window_s))

    @operation
    def seen(self, event_id: str) -> Steps[bool]:
        return (yield from exists(self.key(event_id)))

    @operation
    def process(self, event_id: str, handler: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Steps[Outcome]:
        """Calls the handler unless the event is done or running. The handler's exceptions pass through."""
        mine = uuid.uuid4().bytes
        if not (yield from self._claimed(event_id, mine, self.running_s)):
            return Outcome(False)
        try:
            result = yield from call(handler, *args, **kwargs)
        except BaseException:
            # Only our own mark is released: the handler may have outlived it, and another may be running.
            # If the release fails, the mark expires by itself; the handler's exception matters more.
            with contextlib.suppress(PatternError):
                yield from let_go(self.key(event_id), mine)
            raise
        yield from ask("SET", self.key(event_id), DONE, "PX", ttl_ms(self.window_s))
        return Outcome(True, result)

    def _claimed(self, event_id: str, mine: bytes, ttl_s: float) -> Steps[bool]:
        return (yield from claimed(self.key(event_id), mine, ttl_s, self.settle))[0]
