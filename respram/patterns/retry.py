"""Retry with exponential backoff and jitter. Nothing else may live in this file.

    retry = Retry(client, attempts=5)
    retry.connect()  # repeats until the node answers
    retry.call(publish, reading)  # repeats after StoreAway and TimedOut only

The pause before attempt n is random between 0 and delay_s * 2**n, at most delay_max_s. Without the randomness all
clients that lost a node would return to it in step. Not promised: that the function did nothing before it raised; pass
only functions that may run twice.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic

from respram.patterns.effects import Steps
from respram.patterns.errors import StoreAway, TimedOut
from respram.patterns.steps import C, ask, call, operation, pause


@dataclass(frozen=True, slots=True)
class Retry(Generic[C]):
    client: C
    attempts: int = 5
    delay_s: float = 1.0
    delay_max_s: float = 60.0
    on: tuple[type[Exception], ...] = (StoreAway, TimedOut)
    chance: Callable[[], float] = field(default=random.random)  # returns a number from 0 to 1

    def pauses_s(self) -> Iterator[float]:
        """The pauses between the attempts, one fewer than the attempts."""
        for number in range(self.attempts - 1):
            yield self.chance() * min(self.delay_max_s, self.delay_s * 2**number)

    @operation
    def connect(self) -> Steps[None]:
        """Returns once the node answers PING; raises StoreAway after the last attempt."""
        for seconds in self.pauses_s():
            try:
                yield from ask("PING")
                return
            except self.on:
                yield from pause(seconds)
        yield from ask("PING")

    @operation
    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Steps[Any]:
        """The function's result. Raises the last attempt's exception, and at once any exception that is not in `on`."""
        for seconds in self.pauses_s():
            try:
                return (yield from call(function, *args, **kwargs))
            except self.on:
                yield from pause(seconds)
        return (yield from call(function, *args, **kwargs))
