"""Accumulation without lost updates: a counter, a list, running statistics. Nothing else may live in this file.

    Counter(client, "processed").add()                              # 1, 2, 3, ...
    GrowingList(client, "collected").append({"value": 7})           # how many there are now
    Statistics(client, "latency").add(12.5)                         # Summary(count, total, least, most), .average

Each addition begins the key's time anew. The counter is INCRBY, the others compare-and-set.
Not promised: additions through *different nodes* at the same moment; the later stamp wins there, and one can be lost.
Let the writers of one key use one node, or give each writer a key of its own and add up when reading.
"""

import math
import re
from dataclasses import dataclass
from typing import Generic

from respram.patterns.errors import TooMany, Unreadable
from respram.patterns.json_values import Json, document, from_json, to_json
from respram.patterns.naming import key, level
from respram.patterns.steps import C, Steps, ask_atomic, change, get, operation, ttl_ms

NUMBER = int | float  # JSON makes no difference between 1 and 1.0
ITEMS_MAX = 10_000  # items of one list: each append rewrites the whole of it


@dataclass(frozen=True, slots=True)
class Counter(Generic[C]):
    client: C
    name: str
    ttl_s: float = 3600.0

    @property
    def key(self) -> bytes:
        return key("count", level(self.name))

    @operation
    def add(self, amount: int = 1) -> Steps[int]:
        """Adds and returns the sum; begins at 0 when there is none."""
        expiry = ttl_ms(self.ttl_s)
        # One MULTI: the key never stands without the TTL that its writer named.
        replies = yield from ask_atomic(
            ("SET", self.key, 0, "NX", "PX", expiry), ("INCRBY", self.key, amount), ("PEXPIRE", self.key, expiry)
        )
        return int(replies[1])

    @operation
    def value(self) -> Steps[int]:
        found = yield from get(self.key)
        if found is not None and not re.fullmatch(rb"-?\d+", found):
            raise Unreadable(
                f"key of counter {self.name!r} holds no number: another program wrote to it, choose another name"
            )
        return int(found or 0)


@dataclass(frozen=True, slots=True)
class GrowingList(Generic[C]):
    client: C
    name: str
    ttl_s: float = 3600.0
    items_max: int = ITEMS_MAX
    keep_latest: bool = False  # when full: drop the oldest item instead of raising TooMany

    @property
    def key(self) -> bytes:
        return key("list", level(self.name))

    @operation
    def append(self, *items: Json) -> Steps[int]:
        """Appends all of the items or, when it raises, none; returns how many there are now."""

        added: list[Json] = from_json(to_json(list(items)), "the items")  # refuses bytes before anything is looked at

        def edit(found: bytes | None) -> bytes:
            every = [*listed(found, self.name), *added]
            if len(every) > self.items_max and not self.keep_latest:
                raise TooMany(f"list {self.name!r} would have more than {self.items_max} items; nothing was appended")
            return to_json(every[-self.items_max :])

        return len(listed((yield from change(self.key, edit, self.ttl_s)), self.name))

    @operation
    def items(self) -> Steps[list[Json]]:
        return listed((yield from get(self.key)), self.name)


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


@dataclass(frozen=True, slots=True)
class Statistics(Generic[C]):
    client: C
    name: str
    ttl_s: float = 3600.0

    @property
    def key(self) -> bytes:
        return key("statistics", level(self.name))

    @operation
    def add(self, value: float) -> Steps[Summary]:
        """Adds a finite number; the summary with it."""
        if not math.isfinite(value):
            raise ValueError("statistics take finite numbers only: one NaN would be in every average from here on")
        written = yield from change(
            self.key, lambda found: summary_json(summarised(found, self.name).plus(value)), self.ttl_s
        )
        return summarised(written, self.name)

    @operation
    def summary(self) -> Steps[Summary]:
        return summarised((yield from get(self.key)), self.name)


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
