"""What an engine can tell of the order in which the members of a sorted set stand: by score, and by name where scores
are equal.

All of it is a walk down one tree (order.c, pure/order.py), so a rank costs as much at 10^6 members as a lookup in a
sorted list.
"""

from typing import Protocol

Item = tuple[float, bytes]  # score and name: tuples compare as members do


class Ranking(Protocol):
    def place(self, db: int, key: bytes, score: float, name: bytes | None, after: bool, now_ms: int) -> int:
        """How many members stand before (score, name), or `after`: before or at it. Without a name: before the score,
        or at it, whatever the name. 0 where there is no sorted set.
        """

    def ranked(self, db: int, key: bytes, start: int, count: int, downwards: bool, now_ms: int) -> list[Item]:
        """At most `count` members from a rank on, upwards or downwards; none where there is no such rank."""
