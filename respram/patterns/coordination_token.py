"""Coordination token: a lease that says whose turn it is. Nothing else may live in this file.

    token = CoordinationToken(client, "pipeline:stage-2", ttl_s=30)
    claim = token.claim("worker-7")  # None: another worker holds it
    claim = token.refresh(claim)  # repeat well before ttl_s has passed
    number = token.fence(claim)  # grows: whatever the token protects refuses a lower number than it has seen
    token.let_go(claim)

A token is never reported free on a guess: when the node is away, StoreAway is raised instead of an answer. A holder's
own view (`claim.sure_s()`) counts from *before* the claim was sent, so it ends before the key does.
Guarantees: one holder at a time among the clients of all nodes, while the members of the enclave are stable
(docs/peers.md); with `--decide local` among the clients of one node, and between nodes with `settle=` (settle.py) and a
client of every node. Not promised: mutual exclusion while a node dies or is cut off. Then two clients of two nodes may
both be granted the token; the later stamp wins, and the loser learns it at its next `refresh`. A holder that was
paused beyond its time does not stop by itself: it must check its claim (`sure_s`) before it acts, or show its `fence`
to what the token protects.
"""

import time
import uuid
from dataclasses import dataclass
from typing import Generic

from respram.patterns.errors import ClaimLost
from respram.patterns.json_values import document, to_json
from respram.patterns.naming import LOCK, key
from respram.patterns.settle import LETTING_GO_S as LETTING_GO_S
from respram.patterns.settle import Settle, claimed, let_go
from respram.patterns.steps import C, Steps, ask_all, ask_atomic, get, operation, ttl_ms


@dataclass(frozen=True, slots=True)
class Claim:
    """Proof of holding: what was written, and until when the holder may be sure of it (monotonic seconds)."""

    holder: str
    proof: bytes
    sure_until_s: float

    def sure_s(self) -> float:
        """Seconds for which the claim certainly holds on the node that granted it; at 0, stop working."""
        return max(0.0, self.sure_until_s - time.monotonic())


@dataclass(frozen=True, slots=True)
class Held:
    """The current claim, as any client sees it."""

    holder: str
    remaining_s: float


@dataclass(frozen=True, slots=True)
class CoordinationToken(Generic[C]):
    client: C
    name: str
    ttl_s: float = 30.0
    settle: Settle | None = None

    @property
    def key(self) -> bytes:
        return key(LOCK, self.name)

    @operation
    def claim(self, holder: str) -> Steps[Claim | None]:
        """Claims the token if it is free, else returns None. A claim that a client library sent twice is recognised.

        With `settle` it returns once the other nodes have the claim, and raises Unsettled when they do not take it in
        time.
        """
        sent_s = time.monotonic()
        proof = to_json({"holder": holder, "nonce": uuid.uuid4().hex})
        ours, replies = yield from claimed(self.key, proof, self.ttl_s, self.settle, ("PTTL", self.key))
        return Claim(holder, proof, sure_until_s(sent_s, self.ttl_s, replies[0])) if ours else None

    @operation
    def refresh(self, claim: Claim) -> Steps[Claim]:
        """Restarts the claim's TTL. Raises ClaimLost when the claim has expired or another holds the token."""
        sent_s = time.monotonic()
        again = ("SET", self.key, claim.proof, "IFEQ", claim.proof, "PX", ttl_ms(self.ttl_s))
        ours, left_ms = yield from ask_all(again, ("PTTL", self.key))
        if not ours:
            raise self._lost()
        return Claim(claim.holder, claim.proof, sure_until_s(sent_s, self.ttl_s, left_ms))

    @operation
    def fence(self, claim: Claim) -> Steps[int]:
        """A fencing number: higher than each one that this token or an earlier claim of it got. Raises ClaimLost.

        The claim is compared and the number is read in one transaction, so no other claim's number is taken for ours.
        """
        same = ("SET", self.key, claim.proof, "IFEQ", claim.proof, "KEEPTTL")
        ours, number = yield from ask_atomic(same, ("RESPRAM", "TOKEN", self.key))
        if not ours:
            raise self._lost()
        return int(number)

    @operation
    def let_go(self, claim: Claim) -> Steps[None]:
        """Frees the token before it expires. Raises ClaimLost rather than free another client's claim."""
        if not (yield from let_go(self.key, claim.proof)):
            raise self._lost()

    @operation
    def held(self) -> Steps[Held | None]:
        """The holder and the longest time it can still hold; None means free. Raises StoreAway if no node answers."""
        found, left_ms = yield from ask_all(("GET", self.key), ("PTTL", self.key))
        if not found or left_ms < 0:
            return None
        return Held(document(found, f"token {self.name!r}", holder=str)["holder"], left_ms / 1000)

    @operation
    def stands(self, claim: Claim) -> Steps[bool]:
        """Whether the node still holds exactly this claim."""
        return (yield from get(self.key)) == claim.proof

    def _lost(self) -> ClaimLost:
        return ClaimLost(f"the claim on {self.name!r} is no longer held: stop the work it protects, and claim anew")


def sure_until_s(sent_s: float, ttl_s: float, left_ms: int) -> float:
    """When the claim ends: by the TTL asked for, or by the node's shorter one (its max-ttl)."""
    return sent_s + min(ttl_s, max(0, left_ms) / 1000)
