"""Circuit breaker: a service is called only while it reports that it is healthy. Nothing else may live here.

    CircuitBreaker(client, "payments", ttl_s=5).report_healthy()  # in the service, about every second
    breaker = CircuitBreaker(other_client, "payments")
    breaker.guard(charge, order)                                      # CircuitOpen when the service went silent

It is the consumer's side of a heartbeat. `CircuitBreaker(client, "worker-12", heartbeat=True)` watches the service's
own heartbeat (in `group`, if it has one), so that nobody calls `report_healthy`. Not promised: that a call succeeds. A
service can fail between its last report and the call.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.errors import CircuitOpen
from respram.patterns.heartbeat import Heartbeat
from respram.patterns.naming import key
from respram.patterns.steps import C, Steps, call, exists, operation, put


@dataclass(frozen=True, slots=True)
class CircuitBreaker(Generic[C]):
    client: C
    service: str
    ttl_s: float = 5.0
    heartbeat: bool = False
    group: str = ""

    @property
    def key(self) -> bytes:
        if self.heartbeat:
            return Heartbeat(self.client, self.service, group=self.group).key
        return key("healthy", self.service)

    @operation
    def report_healthy(self) -> Steps[None]:
        if self.heartbeat:
            yield from Heartbeat(self.client, self.service, self.ttl_s, self.group).beat.steps()
            return
        yield from put(self.key, b"healthy", self.ttl_s)

    @operation
    def closed(self) -> Steps[bool]:
        """Whether the service may be called. Raises StoreAway when the node does not answer; the caller decides."""
        return (yield from exists(self.key))

    @operation
    def guard(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Steps[Any]:
        """Calls the function if the service is healthy; otherwise raises CircuitOpen."""
        if not (yield from self.closed.steps()):
            raise CircuitOpen(
                f"service {self.service!r} has not reported that it is healthy; it was not called: back off"
            )
        return (yield from call(function, *args, **kwargs))
