"""Snapshot and restore of an application's state on a ContentStore. Nothing else may live in this file.

    snapshots = Snapshots(store, "game")
    moment = snapshots.take({"level": 3})        # 1781234567890
    snapshots.restore()                          # {"level": 3}: the latest
    snapshots.restore(moment)
    snapshots.moments()

Not promised: a backup. A snapshot is gone after the store's ttl_s, like everything.
"""

import time
from dataclasses import dataclass
from typing import Generic

from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.effects import Steps
from respram.patterns.errors import Contended, ContentMissing
from respram.patterns.json_values import Json, from_json, to_json
from respram.patterns.steps import CHANGE_TRIES_MAX, C, ask, operation, ttl_ms


@dataclass(frozen=True, slots=True)
class Snapshots(Generic[C]):
    store: ContentStore[C]
    name: str = "snapshot"

    @property
    def client(self) -> C:
        return self.store.client

    @operation
    def take(self, state: Json, moment_ms: int | None = None) -> Steps[int]:
        """Stores the state under the moment (Unix milliseconds) and as the latest; returns the moment.

        The default moment is now, or the first later one without a snapshot. Raises Contended.
        """
        data = to_json(state)
        if moment_ms is None:
            ref: ContentRef = yield from self.store.store.steps(data)
            moment = yield from self._claimed(time.time_ns() // 1_000_000, ref)
        else:
            moment = moment_ms
            ref = yield from self.store.store_at_label.steps(f"{self.name}:{moment}", data)
        yield from self.store.label.steps(f"{self.name}:latest", ref)
        return moment

    def _claimed(self, now_ms: int, ref: ContentRef) -> Steps[int]:
        expiry = ttl_ms(self.store.ttl_s)
        for moment in range(now_ms, now_ms + CHANGE_TRIES_MAX):
            label = self.store.label_key(f"{self.name}:{moment}")
            if (yield from ask("SET", label, ref.hash.encode(), "NX", "PX", expiry)):
                return moment
        raise Contended(f"{CHANGE_TRIES_MAX} snapshots of {self.name!r} have the moments from now on: try again")

    @operation
    def restore(self, moment_ms: int | None = None) -> Steps[Json]:
        """The state at the moment, or the latest state by default. Raises ContentMissing."""
        label = f"{self.name}:{'latest' if moment_ms is None else moment_ms}"
        found = yield from self.store.get_content_by_label.steps(label)
        if found is None:
            raise ContentMissing(f"there is no snapshot {label!r}: its time is up, or it was never taken")
        return from_json(found, f"snapshot {label!r}")

    @operation
    def moments(self) -> Steps[list[int]]:
        """Moments of the snapshots that live, ascending."""
        labels = yield from self.store.list_labels.steps(f"{self.name}:")
        last = (each[len(self.name) + 1 :] for each in labels)
        return sorted(int(moment) for moment in last if moment.isdecimal())
