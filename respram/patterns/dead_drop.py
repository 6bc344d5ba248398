"""Dead drop: one side leaves a payload where the other will look for it. Nothing else may live in this file.

    drop = DeadDrop(client, "task-742", "agent-a", "agent-b")
    drop.leave(b"the findings", ttl_s=300)  # as agent-a
    DeadDrop(other_client, "task-742", "agent-a", "agent-b").wait(timeout_s=60)  # as agent-b

Neither side knows the other's address: the key is derived from what both know.
Not promised: that it is read once, or at all. Whoever can compute the key can read it until its time is up.
"""

from dataclasses import dataclass
from typing import Generic

from respram.patterns.naming import HANDOFF, derived
from respram.patterns.steps import C, Steps, get, operation, put, wait_until

POLL_S = 0.05  # interval at which a waiting side checks: 20 small requests a second


@dataclass(frozen=True, slots=True)
class DeadDrop(Generic[C]):
    client: C
    task: str
    sender: str
    receiver: str

    @property
    def key(self) -> bytes:
        return derived(HANDOFF, self.task, self.sender, self.receiver)

    @operation
    def leave(self, payload: bytes, ttl_s: float) -> Steps[None]:
        """Puts the payload there; what lay there before is overwritten."""
        yield from put(self.key, payload, ttl_s)

    @operation
    def look(self) -> Steps[bytes | None]:
        """The payload, or None: nothing yet, or no longer."""
        return (yield from get(self.key))

    @operation
    def wait(self, timeout_s: float, poll_s: float = POLL_S) -> Steps[bytes]:
        """The payload as soon as it is there. Raises TimedOut."""
        return (yield from wait_until(lambda: self.look.steps(), timeout_s, poll_s, "the payload"))
