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
        "seal", "kind", "family", "place",
    )  # fmt: skip

    db: int
    key: bytes  # its name in a key's stub
    value: bytes | None  # None: a stub. Touched by Keyspace.read and Keyspace._write alone.
    seal: Seal | None  # how the value is sealed
    clock: int
    node: int
    deadline_ms: int
    shadow_ms: int
    implicit: bool
    due_ms: int  # where the wheel has it
    level: int
    kind: int  # of the head of a collection; else 0
    family: "Family | None"  # of a member with a value
    place: int  # among its members
    id: int  # see ids.py; kept by the digests, where peers are


class Order(Protocol):
    """What keeps the members of a family in order. It is told of every change; values are in plain."""

    def add(self, name: bytes, value: bytes) -> None: ...
    def remove(self, name: bytes, value: bytes) -> None: ...


ORDERS: dict[int, Callable[[], Order]] = {}  # by kind; made with the family


class Family:
    __slots__ = (
        "space", "key", "rows", "dying", "headed", "latest", "version", "soonest_ms", "last_ms", "shown", "order",
        "raising",
        "queued",
    )  # fmt: skip

    def __init__(self, space: int, key: bytes) -> None:
        self.space = space  # of its members
        self.key = key
        self.rows: list[Row] = []
        self.dying = 0  # so many at the beginning are cleared, and wait to be wiped
        self.headed = False  # there is a head of this kind, past its deadline or not
        self.latest = 0  # no member's clock is above it
        self.version = 0  # another number after each change
        self.soonest_ms = 0  # no member ends before it; meaningless without members
        self.last_ms = 0  # no member ends behind it
        self.shown = 0  # no member that was seen under a head that has ended has a clock above it
        self.raising = 0  # so many, from the beginning, may need the longer deadline of the head
        self.queued = False  # slices have work with it
        make = ORDERS.get(space // DATABASES)
        self.order = make() if make is not None else None

    @property
    def count(self) -> int:
        """Members that are not cleared."""
        return len(self.rows) - self.dying


class Families:
    __slots__ = ("found", "queue", "empty", "version")

    def __init__(self) -> None:
        self.found: dict[tuple[int, bytes], Family] = {}
        self.queue: deque[Family] = deque()  # those with work
        self.empty = [0] * DATABASES  # heads without members
        self.version = 0
