"""A failing stream, made as small as it gets in a bounded time: steps are left out while it still fails.

First in halves, then in smaller and smaller runs, as delta debugging does it. The bound is time, because a
stream that fails by silence waits seconds in each playing.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from compat.oracle.stream import Step, Stream

SHRINK_S = 15.0  # the longest time for one stream


def shrink(stream: Stream, fails: Callable[[Stream], bool], budget_s: float = SHRINK_S) -> Stream:
    """The smallest stream found that still fails; the one given, if leaving out anything mends it."""
    end = time.monotonic() + budget_s
    steps = list(stream.steps)
    size = max(1, len(steps) // 2)
    while size and time.monotonic() < end:
        at, shorter = 0, False
        while at < len(steps) and time.monotonic() < end:
            rest: list[Step] = steps[:at] + steps[at + size :]
            if rest and fails(replace(stream, steps=tuple(rest))):
                steps, shorter = rest, True
            else:
                at += size
        if not shorter or size > 1:
            size //= 2
    return replace(stream, steps=tuple(steps))
