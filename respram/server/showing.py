"""Shows progress while a node reads its snapshots, fills up from its peers, or stops.

A terminal shows a bar, and a line when the node is ready; the log has a line every LOG_EVERY_S (`event=progress`).
Nothing waits for this: it only watches.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from respram.commands.cluster import state_of
from respram.server import peer_overview

if TYPE_CHECKING:
    from respram.commands.node import Log, Node
    from respram.server.driver import Driver
    from respram.server.snapshots import Snapshots

LOOK_S = 0.05  # update interval on a terminal
LOG_EVERY_S = 5.0  # what ends sooner (a start, a stop) gets no line


class Terminal(Protocol):
    def show(self, what: str, done: int, total: int, unit: str) -> None: ...
    def clear(self) -> None: ...
    def say(self, line: str) -> None: ...


class Step(NamedTuple):
    """The work in progress; a total of 0 means that it is unknown."""

    what: str
    done: int
    total: int
    unit: str


class Showing:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, log: "Log", step: Callable[[], Step | None], terminal: Terminal | None
    ) -> None:
        self.loop = loop
        self.log = log
        self.step = step
        self.terminal = terminal
        self._timer: asyncio.TimerHandle | None = None
        self._logged_s = 0.0
        self._logged: Step | None = None
        self._then: Callable[[], None] = lambda: None

    def begin(self, then: Callable[[], None] = lambda: None) -> None:
        """Watches until the work is done, and then calls `then`."""
        self.end()
        self._then = then
        self._logged_s = self.loop.time()
        self._look()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.terminal is not None:
            self.terminal.clear()

    def _look(self) -> None:
        step = self.step()
        if step is None:
            self.end()
            self._then()
            return
        if self.terminal is not None:
            self.terminal.show(*step)
        now_s = self.loop.time()
        if now_s - self._logged_s >= LOG_EVERY_S and step != self._logged:  # waiting for peers gets one line
            self._logged_s, self._logged = now_s, step
            self.log(f"event=progress what={step.what.replace(' ', '_')} done={step.done} of={step.total} "
                     f"unit={step.unit or 'none'}")
        self._timer = self.loop.call_later(LOOK_S if self.terminal is not None else LOG_EVERY_S, self._look)


def beginning(node: "Node", snapshots: "Snapshots | None", driver: "Driver | None") -> Step | None:
    """The steps until the node is ready."""
    if node.loading and snapshots is not None:
        earlier = snapshots.earlier
        return Step("reading snapshots", min(earlier.read_bytes, earlier.all_bytes), earlier.all_bytes, "bytes")
    if state_of(node) == b"ready":
        return None
    if driver is None or not driver.replica.has_peers():
        return Step("looking for peers", 0, 0, "")
    return Step("filling up from peers", peer_overview.filled(driver.replica), 100, "")


class Leaving:
    """The steps of a stop: bytes that peers have not acknowledged, then segments of the last snapshot."""

    def __init__(self, snapshots: "Snapshots | None", driver: "Driver | None") -> None:
        self.snapshots = snapshots
        self.driver = driver
        self.most = 0  # the most bytes that were to be acknowledged
        self.written = snapshots.written if snapshots is not None else 0

    def step(self) -> Step | None:
        if self.driver is not None and not self.driver.links.deaf:
            left = self.driver.replica.left()
            self.most = max(self.most, left.bytes)
            return Step("handing writes over", self.most - left.bytes, self.most, "bytes")
        if self.snapshots is not None and self.snapshots.writing:
            done = self.snapshots.written - self.written
            return Step("writing the last snapshot", done, max(self.snapshots.last_segments, done), "segments")
        return Step("stopping", 0, 0, "")
