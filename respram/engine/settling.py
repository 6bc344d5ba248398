"""What an engine does with members that have ended while their collection goes on.

Whoever asks for a collection ends its overdue members first, so that counts, ranks and draws are about those that live.
A million may end in one millisecond, and to end them all in one piece took 0.3 s. So of a *crowd*, a collection of more
than SETTLED_AT_ONCE members, they are ended in slices: a command about it is not begun before they are, and waits.
Fast paths decline, and `dispatch` lets the client wait (commands/settling.py). What has begun (a transaction, a script)
cannot wait: it is checked before it begins, for all of its keys. Where that was not possible, all are ended at once.
"""

from typing import Protocol

SETTLED_AT_ONCE = 1024  # members of a collection whose overdue ones are ended in one piece, 0.4 ms natively
ENDED_AT_ONCE = 2048  # overdue members of a crowd that are ended in one piece,
PASSED_AT_ONCE = 8192  # and records of others that are passed on the way: they may end at the same moment
# What a member counts that a command about a small collection has to end: 0.3 us, and a turn and a command's share end.
ENDED_BYTES = 512
KEYS_UNASKED_MAX = 64  # a command with more keys asks for each of them, though none may be a crowd


class Settling(Protocol):
    @property
    def crowded(self) -> bool:
        """Whether there is a crowd."""

    def settle(self, db: int, key: bytes, now_ms: int) -> int:
        """Ends overdue members of a collection, and says how many; -1: there may be more, and they are ended by further
        calls and by `expire`. 0 for what is no collection.
        """
