"""The cryptography of handshakes, in a thread of its own: a step takes a third of a millisecond and more, and strangers
can begin one.

One step runs at a time, and the others wait here. A link that is closed by then takes its step back. Otherwise each of
thousands of strangers a second, long put out again, still had its turn before an honest peer, and its memory until
then: 2,000 a second kept a joiner out for 16 s, and took 470 MiB.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

Step = Callable[[], None]
Done = Callable[["asyncio.Future[None]"], None]


class Handshakes:
    def __init__(self) -> None:
        self.waiting: dict[object, tuple[Step, Done]] = {}  # by link, oldest first
        self.is_running = False
        self._thread = ThreadPoolExecutor(1, "handshakes")

    def run(self, link: object, step: Step, done: Done) -> None:
        """`done` is called in the loop with the outcome."""
        self.waiting[link] = step, done
        self._next()

    def drop(self, link: object) -> None:
        """Its step does not run, unless it does already."""
        self.waiting.pop(link, None)

    def close(self) -> None:
        self.waiting.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> None:
        if self.is_running or not self.waiting:
            return
        step, done = self.waiting.pop(next(iter(self.waiting)))
        self.is_running = True
        asyncio.get_running_loop().run_in_executor(self._thread, step).add_done_callback(partial(self._ran, done))

    def _ran(self, done: Done, outcome: "asyncio.Future[None]") -> None:
        self.is_running = False
        self._next()  # the thread works on while the loop looks at this outcome
        done(outcome)
