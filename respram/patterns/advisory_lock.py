"""Advisory lock on a resource, for those who ask first; it expires instead of being deleted. Nothing else may live here.

    lock = AdvisoryLock(client, ttl_s=300)
    lock.guarded("invoice-17", "agent-a", work)          # ResourceLocked(locked_by=...) when somebody is at it
    held = lock.acquire("invoice-17", "agent-a")
    lock.release(held)

The coordination token with exceptions instead of answers. Not promised: mutual exclusion across nodes, or against those
who do not ask. When the work takes longer than ttl_s, another may begin; `release` then raises ClaimLost.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.coordination_token import Claim, CoordinationToken
from respram.patterns.errors import PatternError, ResourceLocked
from respram.patterns.steps import C, Steps, call, operation


@dataclass(frozen=True, slots=True)
class HeldLock:
    resource: str
    claim: Claim


@dataclass(frozen=True, slots=True)
class AdvisoryLock(Generic[C]):
    client: C
    ttl_s: float = 300.0

    @operation
    def acquire(self, resource: str, agent: str) -> Steps[HeldLock]:
        """Raises ResourceLocked, which says by whom and for how long at most."""
        token = self._token(resource)
        claim = yield from token.claim.steps(agent)
        if claim is None:
            held = yield from token.held.steps()
            raise ResourceLocked(
                resource, held.holder if held else "someone who just let go", held.remaining_s if held else 0.0
            )
        return HeldLock(resource, claim)

    @operation
    def extend(self, held: HeldLock) -> Steps[HeldLock]:
        """Begins the time anew. Raises ClaimLost."""
        return HeldLock(held.resource, (yield from self._token(held.resource).refresh.steps(held.claim)))

    @operation
    def release(self, held: HeldLock) -> Steps[None]:
        """Frees the resource now. Raises ClaimLost when its time was up before: the work was not protected to its end."""
        yield from self._token(held.resource).let_go.steps(held.claim)

    @operation
    def guarded(self, resource: str, agent: str, function: Callable[..., Any], *args: Any) -> Steps[Any]:
        """Acquires, calls, releases, also when the function raises; its result."""
        held = yield from self.acquire.steps(resource, agent)
        try:
            result = yield from call(function, *args)
        except BaseException:
            # Where letting go fails the lock ends by itself, and what the function raised is the news.
            if held.claim.sure_s() > 0:
                with contextlib.suppress(PatternError):
                    yield from self.release.steps(held)
            raise
        yield from self.release.steps(held)
        return result

    def _token(self, resource: str) -> CoordinationToken[C]:
        return CoordinationToken(self.client, resource, self.ttl_s)
