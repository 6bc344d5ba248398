"""Advisory lock on a resource, for clients that ask before they use it; it expires instead of being deleted.
Nothing else may live here.

    lock = AdvisoryLock(client, ttl_s=300)
    lock.guarded("invoice-17", "agent-a", work)  # ResourceLocked(locked_by=...) while another agent holds it
    with lock.holding("invoice-17", "agent-a") as held:  # `async with` on an asyncio client
        ...
    held = lock.acquire("invoice-17", "agent-a")
    lock.release(held)

It is the coordination token, with exceptions instead of return values.
Guarantees: one holder at a time among the clients of all nodes, while the members of the enclave are stable
(docs/peers.md); with `--decide local` among the clients of one node, and between nodes with `settle=` (settle.py). Not
promised: mutual exclusion while a node dies or is cut off, or against those who do not ask. When the work takes longer
than ttl_s, another may begin; `release` then raises ClaimLost.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from respram.patterns.coordination_token import Claim, CoordinationToken
from respram.patterns.errors import PatternError, ResourceLocked
from respram.patterns.settle import Settle
from respram.patterns.steps import C, Steps, call, operation

CLAIMS_MAX = 3  # attempts after a refusal without a holder: the holder has just released the lock


@dataclass(frozen=True, slots=True)
class HeldLock:
    resource: str
    claim: Claim


@dataclass(frozen=True, slots=True)
class AdvisoryLock(Generic[C]):
    client: C
    ttl_s: float = 300.0
    settle: Settle | None = None

    @operation
    def acquire(self, resource: str, agent: str) -> Steps[HeldLock]:
        """Acquires the lock. Raises ResourceLocked, which names the holder and the longest time it can still hold."""
        token = self._token(resource)
        held = None
        for _ in range(CLAIMS_MAX):
            claim = yield from token.claim.steps(agent)
            if claim is not None:
                return HeldLock(resource, claim)
            if (held := (yield from token.held.steps())) is not None:
                break
        raise ResourceLocked(
            resource, held.holder if held else "a holder that has just released it", held.remaining_s if held else 0.0
        )

    @operation
    def extend(self, held: HeldLock) -> Steps[HeldLock]:
        """Restarts the lock's TTL. Raises ClaimLost."""
        return HeldLock(held.resource, (yield from self._token(held.resource).refresh.steps(held.claim)))

    @operation
    def fence(self, held: HeldLock) -> Steps[int]:
        """A number that grows with each holder, for the resource: it refuses a lower one than it has seen. Raises
        ClaimLost.
        """
        return (yield from self._token(held.resource).fence.steps(held.claim))

    @operation
    def release(self, held: HeldLock) -> Steps[None]:
        """Frees the resource now. Raises ClaimLost when the lock had expired: the work was not protected to its end."""
        yield from self._token(held.resource).let_go.steps(held.claim)

    @operation
    def guarded(
        self, resource: str, agent: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Steps[Any]:
        """Acquires, calls the function, releases (also when it raises), and returns the function's result."""
        held = yield from self.acquire.steps(resource, agent)
        try:
            result = yield from call(function, *args, **kwargs)
        except BaseException:
            # If the release fails, the lock expires by itself; the function's exception matters more.
            if held.claim.sure_s() > 0:
                with contextlib.suppress(PatternError):
                    yield from self.release.steps(held)
            raise
        yield from self.release.steps(held)
        return result

    def holding(self, resource: str, agent: str) -> "Holding[C]":
        """A context that acquires and releases, for `with` on a blocking and `async with` on an asyncio client.

        Entering raises what `acquire` raises. Leaving a block that raised nothing raises ClaimLost if the lock had
        expired. An exception of the block passes through unchanged.
        """
        return Holding(self, resource, agent)

    def _token(self, resource: str) -> CoordinationToken[C]:
        return CoordinationToken(self.client, resource, self.ttl_s, self.settle)


@dataclass(slots=True)
class Holding(Generic[C]):
    """One use of a lock as a context."""

    lock: AdvisoryLock[C]
    resource: str
    agent: str
    held: HeldLock | None = None

    @property
    def client(self) -> C:
        return self.lock.client

    @operation
    def enter(self) -> Steps[HeldLock]:
        held: HeldLock = yield from self.lock.acquire.steps(self.resource, self.agent)
        self.held = held
        return held

    @operation
    def leave(self, failed: bool) -> Steps[None]:
        held, self.held = self.held, None
        if held is None or (failed and held.claim.sure_s() <= 0):
            return
        try:
            yield from self.lock.release.steps(held)
        except PatternError:
            if not failed:
                raise

    def __enter__(self: "Holding[Redis]") -> HeldLock:
        return self.enter()

    def __exit__(self: "Holding[Redis]", kind: object, error: object, trace: object) -> None:
        self.leave(kind is not None)

    async def __aenter__(self: "Holding[AsyncRedis]") -> HeldLock:
        return await self.enter()

    async def __aexit__(self: "Holding[AsyncRedis]", kind: object, error: object, trace: object) -> None:
        await self.leave(kind is not None)
