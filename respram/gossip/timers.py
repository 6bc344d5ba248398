"""What is to be done when: a heap of moments, each with a name and an argument. One timer outside serves them all."""

from heapq import heappop, heappush
from typing import NamedTuple


class Now(NamedTuple):
    """The two times of a node. A step of the wall clock must not stop a timer, so timers go by the other."""

    ms: int  # monotonic
    wall_ms: int  # Unix time: for stamps, deadlines and cuts


class Timers:
    __slots__ = ("_heap", "_ties")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str, int]] = []
        self._ties = 0  # equal moments come in the order of their setting

    def at(self, due_ms: int, name: str, argument: int = 0) -> None:
        self._ties += 1
        heappush(self._heap, (due_ms, self._ties, name, argument))

    def due(self, now_ms: int) -> tuple[int, str, int] | None:
        """The next that has come: when it was due, its name, its argument."""
        if not self._heap or self._heap[0][0] > now_ms:
            return None
        due_ms, _, name, argument = heappop(self._heap)
        return due_ms, name, argument

    def next_ms(self) -> int | None:
        return self._heap[0][0] if self._heap else None
