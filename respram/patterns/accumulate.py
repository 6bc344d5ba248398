"""Accumulation without lost updates: a counter, a list, running statistics. Nothing else may live in this file.

    Counter(client, "processed").add()                              # 1, 2, 3, ...
    GrowingList(client, "collected").append({"value": 7})  # the number of items now
    Statistics(client, "latency").add(12.5)                         # Summary(count, total, least, most), .average

Each addition restarts the key's TTL. The counter uses INCREX; the list and the statistics use compare-and-set.
Guarantees: no addition through any node is lost while the members of the enclave are stable (docs/peers.md). With
`--decide local` this holds for counters, and for other additions through one node. What nodes add to a counter while
they are cut off from each other is added up. Of a list and of statistics the later write stays, and an addition can be
lost, unless each writer has a `part` of its own, a number below PARTS. Then no two writers share a key, and readers
fetch all parts in one round trip. `add` then returns the total as this node knows it. Additions that a dead node had
not replicated are lost. Not promised: that an addition counts once when the connection breaks before its answer; the
client may send it again.
"""

import functools
import math
import re
from dataclasses import dataclass
from typing import Generic

from respram.patterns.errors import BadName, TooMany, Unreadable
from respram.patterns.json_values import Json, document, from_json, to_json
from respram.patterns.naming import key, level
from respram.patterns.steps import C, Steps, ask, change, operation, ttl_ms

NUMBER = int | float  # JSON does not distinguish 1 and 1.0
PARTS = 64  # writers of one name that can be told apart
ITEMS_MAX = 10_000  # items of one list: each append rewrites the whole of it


@dataclass(frozen=True, slots=True)
class Counter(Generic[C]):
    client: C
    name: str
    ttl_s: float = 3600.0
    part: int | None = None  # this writer's part, where writers use several nodes

    @property
    def key(self) -> bytes:
        return part_key(key("count", level(self.name)), self.part)

    @operation
    def add(self, amount: int = 1) -> Steps[int]:
        """Adds and returns the sum; a missing counter starts at 0. Raises TooMany where 64 bits do not hold the sum."""
        # One command: the key never stands without the TTL that its writer named, and it stays a counter that nodes add
        # up after a cut. A SET in front of it would begin another one.
        total, added = yield from ask("INCREX", self.key, "BYINT", amount, "PX", ttl_ms(self.ttl_s))
        if int(added) != amount:
            raise TooMany(f"counter {self.name!r} would not fit into 64 bits; nothing was added")
        return int(total) if self.part is None else (yield from self.value.steps())

    @operation
    def value(self) -> Steps[int]:
        """The sum over all parts."""
        total = 0
        for found in (yield from parts(key("count", level(self.name)))):
            if found is not None and not re.fullmatch(rb"-?\d+", found):
                raise Unreadable(
                    f"key of counter {self.name!r} holds no number: another program wrote to it, choose another name"
                )
            total += int(found or 0)
        return total


@dataclass(frozen=True, slots=True)
class GrowingList(Generic[C]):
    client: C
    name: str
    ttl_s: float = 3600.0
    items_max: int = ITEMS_MAX
    keep_latest: bool = False  # when full: drop the oldest item instead of raising TooMany
    part: int | None = None  # this writer's part, where writers use several nodes

    @property
    def key(self) -> bytes:
        return part_key(key("list", level(self.name)), self.part)

    @operation
    def append(self, *items: Json) -> Steps[int]:
        """Appends all of the items or, when it raises, none; returns how many there are now."""

        added: list[Json] = from_json(to_json(list(items)), "the items")  # raises for bytes before anything is written

        def edit(found: bytes | None) -> bytes:
            every = [*listed(found, self.name), *added]
            if len(every) > self.items_max and not self.keep_latest:
                raise TooMany(f"list {self.name!r} would have more than {self.items_max} items; nothing was appended")
            return to_json(every[-self.items_max :])

        written = yield from change(self.key, edit, self.ttl_s)
        return len(listed(written, self.name)) if self.part is None else len((yield from self.items.steps()))

    @operation
    def items(self) -> Steps[list[Json]]:
        """The items in the order in which they were appended; several parts follow one another."""
        stored = yield from parts(key("list", level(self.name)))
        return [item for found in stored for item in listed(found, self.name)]


@dataclass(frozen=True, slots=True)
class Summary:
    count: int = 0
    total: float = 0.0
    least: float | None = None
    most: float | None = None

    @property
    def average(self) -> float | None:
        return self.total / self.count if self.count else None

    def plus(self, value: float) -> "Summary":
        least = value if self.least is None else min(self.least, value)
        most = value if self.most is None else max(self.most, value)
        return Summary(self.count + 1, self.total + value, least, most)

    def joined(self, other: "Summary") -> "Summary":
        """The summary of both sets of numbers together."""
        leasts = [each for each in (self.least, other.least) if each is not None]
        mosts = [each for each in (self.most, other.most) if each is not None]
        least, most = min(leasts, default=None), max(mosts, default=None)
        return Summary(self.count + other.count, self.total + other.total, least, most)


@dataclass(frozen=True, slots=True)
class Statistics(Generic[C]):
    client: C
    name: str
    ttl_s: float = 3600.0
    part: int | None = None  # this writer's part, where writers use several nodes

    @property
    def key(self) -> bytes:
        return part_key(key("statistics", level(self.name)), self.part)

    @operation
    def add(self, value: float) -> Steps[Summary]:
        """Adds a finite number and returns the new summary."""
        if not math.isfinite(value):
            raise ValueError("statistics take finite numbers only: one NaN would be in every average from here on")
        written = yield from change(
            self.key, lambda found: summary_json(summarised(found, self.name).plus(value)), self.ttl_s
        )
        return summarised(written, self.name) if self.part is None else (yield from self.summary.steps())

    @operation
    def summary(self) -> Steps[Summary]:
        """The summary over all parts."""
        stored = yield from parts(key("statistics", level(self.name)))
        return functools.reduce(Summary.joined, (summarised(each, self.name) for each in stored), Summary())


def part_key(whole: bytes, part: int | None) -> bytes:
    if part is None:
        return whole
    if not 0 <= part < PARTS:
        raise BadName(f"a part is a number from 0 to {PARTS - 1}, a different one for each writer")
    return whole + b":%d" % part


def parts(whole: bytes) -> Steps[list[bytes | None]]:
    """Reads every part, and the key without a part, in one round trip."""
    stored: list[bytes | None] = yield from ask("MGET", whole, *(part_key(whole, part) for part in range(PARTS)))
    return stored


def listed(data: bytes | None, name: str) -> list[Json]:
    found = [] if data is None else from_json(data, f"list {name!r}")
    if not isinstance(found, list):
        raise Unreadable(f"key of list {name!r} holds no list: another program wrote to it, choose another name")
    return found


def summarised(data: bytes | None, name: str) -> Summary:
    if data is None:
        return Summary()
    fields = document(data, f"statistics {name!r}", count=int, total=NUMBER, least=NUMBER | None, most=NUMBER | None)
    return Summary(fields["count"], fields["total"], fields["least"], fields["most"])


def summary_json(summary: Summary) -> bytes:
    return to_json({"count": summary.count, "total": summary.total, "least": summary.least, "most": summary.most})
