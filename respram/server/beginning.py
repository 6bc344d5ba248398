"""The time before a node has begun with its peers: commands that decide have to wait.

Names of --join are resolved and the driver is created while clients are served already. A command that decides by what
a key holds waits here, and asks the driver as soon as it is there. (`node.truth`: commands/truth.py)
"""

from collections.abc import Sequence

from respram.commands.peers import Waiter

HOLD_MS = 1_500  # as long as the driver keeps a decision waiting


class Beginning:
    def __init__(self) -> None:
        self.waiters: dict[Waiter, None] = {}

    def state(self) -> bytes:
        return b"joining"

    def ask(self, waiter: Waiter, names: Sequence[tuple[int, bytes]]) -> int:
        self.waiters[waiter] = None
        return HOLD_MS

    def learnt(self, waiter: Waiter) -> bool:
        return False

    def forget(self, waiter: Waiter) -> None:
        self.waiters.pop(waiter, None)

    def end(self) -> None:
        """Another source has replaced this one: waiting commands ask again."""
        waiters, self.waiters = self.waiters, {}
        for waiter in waiters:
            waiter.wake()
