"""Long replies in slices: members of a collection as a reply has them, a few hundred at a time. Between two slices
other clients are served, and may write.

A walk goes through the array of a collection, where the hole that a member leaves is filled by another, which may have
been told already. So a reply keeps a `Told`, and no name is told twice by it.
"""

from typing import NamedTuple, Protocol

from respram.engine.ranking import Item, Ranking

TELL_NAMES, TELL_VALUES = 1, 2
# Members of a reply that a fast path makes where its command is resumed. More may be told in slices already, of which
# each would begin by counting their bytes in vain.
RETRIED_MEMBERS_MAX = 8_192
OTHERS_MAX = 64  # sets with which the members of one are compared by the engine


class Piece(NamedTuple):
    cursor: int  # 0: that was all
    members: int  # that are told
    encoded: bytes  # bulk strings, one behind the other


class RankedPiece(NamedTuple):
    members: int
    encoded: bytes
    last: Item | None


class Told(Protocol):
    """What a long reply has told."""

    def forget(self) -> bool:
        """Frees a part of it, in 0.1 ms. False: none is left."""


class Telling(Ranking, Protocol):
    def begin_telling(self) -> Told: ...

    def tell_members(
        self, told: Told, db: int, key: bytes, cursor: int, parts: int, others: list[bytes], among: bool, now_ms: int
    ) -> Piece:
        """The next members from a cursor on, 0 at first, with SCAN's guarantee: as many as take about 0.1 ms. Of each
        its name, its value or both. With `others`, at most OTHERS_MAX: those that are in all of these sets, or, where
        not `among`, in none. None where there is no collection.
        """

    def tell_ranked(
        self, told: Told, db: int, key: bytes, start: int, most: int, downwards: bool, scores: bool, proto: int,
        now_ms: int,
    ) -> RankedPiece:  # fmt: skip
        """At most so many members of a sorted set from a rank on, with their scores or without; fewer, where that would
        take much longer than 0.1 ms. None where there is no such rank.
        """
