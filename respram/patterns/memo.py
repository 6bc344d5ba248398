"""Memoised computation on a ContentStore. Nothing else may live in this file.

    expensive = Memo(store, "func", compute)
    expensive.call("value1", 42)                 # computed
    expensive.call("value1", 42)                 # remembered

The label is derived from the name and the arguments as JSON, so a text "42" and a number 42 differ.
Not promised: that concurrent callers do not both compute; that a changed function is noticed (change the name).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.content_store import ContentStore
from respram.patterns.effects import Steps
from respram.patterns.errors import ContentMissing
from respram.patterns.json_values import Json, from_json, to_json
from respram.patterns.naming import derived
from respram.patterns.steps import C, call, operation


@dataclass(frozen=True, slots=True)
class Memo(Generic[C]):
    store: ContentStore[C]
    name: str
    compute: Callable[..., Any]

    @property
    def client(self) -> C:
        return self.store.client

    @operation
    def call(self, *args: Json) -> Steps[Json]:
        """The remembered result, or a new one. Arguments and result are JSON; what `compute` raises is not remembered.
        """
        label = derived("cache", self.name, to_json(list(args))).decode()
        try:
            found = yield from self.store.get_content_by_label.steps(label, 0)
        except ContentMissing:
            found = None
        if found is not None:
            return from_json(found, f"result of {self.name!r}")
        result = yield from call(self.compute, *args)
        yield from self.store.store_at_label.steps(label, to_json(result))
        return result
