"""Clients that wait for other nodes: for acknowledgements (WAIT), for a record, or for the truth about keys.

The driver asks the replica and hands in its answers; this file decides which clients they wake. Each client has an
entry at most for each of its names, and all of them go with the client (`forget`), so what is kept is bounded by what
clients may ask for at once.
"""

from collections.abc import Callable

from respram.commands.peers import Waiter

Name = tuple[int, bytes]  # database and key


class Waiting:
    def __init__(self) -> None:
        self.acks: dict[Waiter, tuple[int, int]] = {}  # a number for `holders`, and how many nodes are wanted
        self.pulling: dict[Name, dict[Waiter, None]] = {}
        self.pulls_of: dict[Waiter, dict[Name, None]] = {}
        self.asking: dict[int, Waiter] = {}  # by token
        self.asked_by: dict[Waiter, set[int]] = {}
        self.learnt_by: dict[Waiter, bool] = {}  # all its questions are answered: whether the keys are known

    # -- acknowledgements ---------------------------------------------------------------------------
    def notice(self, waiter: Waiter, number: int, wanted: int) -> None:
        self.acks[waiter] = (number, wanted)

    def acknowledged(self, holders: Callable[[int], int]) -> None:
        """A peer has acknowledged more: wakes the clients for which that is enough."""
        for waiter, (number, wanted) in tuple(self.acks.items()):
            if holders(number) >= wanted:
                self.acks.pop(waiter, None)
                waiter.wake()

    # -- records that are pulled --------------------------------------------------------------------
    def pull(self, waiter: Waiter, name: Name) -> None:
        self.pulling.setdefault(name, {})[waiter] = None
        self.pulls_of.setdefault(waiter, {})[name] = None

    def answered(self, name: Name) -> None:
        """Wakes the clients for which this was the last answer."""
        for waiter in tuple(self.pulling.pop(name, ())):
            left = self.pulls_of.get(waiter)
            if left is not None:
                left.pop(name, None)
                if not left:
                    del self.pulls_of[waiter]
                    waiter.wake()

    # -- truths that are asked for --------------------------------------------------------------------
    def ask(self, waiter: Waiter, token: int) -> None:
        self.asking[token] = waiter
        self.asked_by.setdefault(waiter, set()).add(token)

    def told(self, token: int, known: bool) -> None:
        waiter = self.asking.pop(token, None)
        if waiter is None:
            return
        left = self.asked_by[waiter]
        left.discard(token)
        self.learnt_by[waiter] = self.learnt_by.get(waiter, True) and known
        if not left:
            del self.asked_by[waiter]
            waiter.wake()

    def learnt(self, waiter: Waiter) -> bool:
        return waiter not in self.asked_by and self.learnt_by.pop(waiter, False)

    def forget_asking(self, waiter: Waiter) -> None:
        self.learnt_by.pop(waiter, None)
        for token in self.asked_by.pop(waiter, ()):
            self.asking.pop(token, None)

    def forget(self, waiter: Waiter) -> None:
        self.forget_asking(waiter)
        self.acks.pop(waiter, None)
        for name in self.pulls_of.pop(waiter, ()):
            waiting = self.pulling.get(name)
            if waiting is not None:
                waiting.pop(waiter, None)
                if not waiting:
                    del self.pulling[name]
