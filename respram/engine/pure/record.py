"""A record as the pure engine keeps it: a mutable row, one per key, that the wheel can hold; and the family of a
collection's.

The row of a key's stub has the name of the key instead of the key.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from respram.record import DATABASES, Seal


class Row:
    __slots__ = (
        "db", "key", "value", "clock", "node", "deadline_ms", "shadow_ms", "implicit", "due_ms", "level", "id",
        "seal", "kind", "family", "place", "shares",
    )  # fmt: skip

    db: int
    key: bytes  # for a stub: the name of its key
    value: bytes | None  # None: a stub. Only Keyspace.read and Keyspace._write access it
    seal: Seal | None  # None: the value is not sealed
    shares: bytes  # of a counter: they follow its value, and are sealed with it (shares.py)
    clock: int
    node: int
    deadline_ms: int
    shadow_ms: int
    implicit: bool
    due_ms: int  # its time in the wheel
    level: int
    kind: int  # of the head of a collection; else 0
    family: "Family | None"  # of a member with a value
    place: int  # index among the family's members
    id: int  # see ids.py; set by the digests, if there may be peers


class Awaited:
    """A missing key that somebody watches."""

    __slots__ = ("comings", "__weakref__")

    def __init__(self) -> None:
        self.comings = 0  # how often it has come


class Order(Protocol):
    """What keeps the members of a family in order. It is told of every change; values are in plain."""

    def add(self, name: bytes, value: bytes) -> None: ...
    def remove(self, name: bytes, value: bytes) -> None: ...


ORDERS: dict[int, Callable[[], Order]] = {}  # by kind


class Family:
    __slots__ = (
        "space", "key", "rows", "dying", "headed", "latest", "version", "soonest_ms", "last_ms", "shown", "began",
        "order", "sparing", "spared_from", "spared_to", "raising", "queued",
    )  # fmt: skip

    def __init__(self, space: int, key: bytes) -> None:
        self.space = space  # the space of its members
        self.key = key
        self.rows: list[Row] = []
        self.dying = 0  # members at the beginning that are cleared and wait to be wiped
        self.headed = False  # a head of this kind exists, past its deadline or not
        self.latest = 0  # the highest clock of its members is not above it
        self.version = 0  # changes with every change of its members
        self.soonest_ms = 0  # no member ends earlier; undefined without members
        self.last_ms = 0  # no member ends later
        self.shown = 0  # no member that was visible under an ended head has a higher clock
        self.began = 0  # clock of the head when it came: what is older is of another
        self.sparing = 0  # members at the beginning that a mark clears, or that are written again behind it
        self.spared_from = self.spared_to = 0  # clocks: own members between them are written again; `to`: the mark's
        self.raising = 0  # members at the beginning that may need the head's longer deadline
        self.queued = False  # queued for slices of work
        make = ORDERS.get(space // DATABASES)
        self.order = make() if make is not None else None

    @property
    def count(self) -> int:
        """Members that are not cleared."""
        return len(self.rows) - self.dying


class Families:
    __slots__ = ("found", "queue", "empty", "version", "spare_from", "crowds", "sliced_ms", "goes_on")

    def __init__(self) -> None:
        self.found: dict[tuple[int, bytes], Family] = {}
        self.queue: deque[Family] = deque()  # families that wait for slices of work
        self.crowds = 0  # families of more than SETTLED_AT_ONCE members (engine/settling.py)
        self.sliced_ms = -1  # when a slice of a crowd was settled: there is one in a millisecond
        self.empty = [0] * DATABASES  # heads without members, by database
        self.version = 0
        self.goes_on = False  # while a head is written for members that are newer than what let go of theirs
        self.spare_from = 0  # while a mark is merged that spares what this node has written after this clock
