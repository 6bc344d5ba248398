"""Batch with checkpoint: a long list worked through in pieces, by runs that may die. Nothing else may live in this file.

    batch = Batch(client, "import-2026-11", batch_size=10)
    batch.run(items, process)           # BatchProgress(processed=10, total=35, complete=False, results=[...])
    batch.run(items, process)           # the next ten, here or in another process

The checkpoint is written after every item, by compare-and-set: two runs at once do not mix, the slower one stops.
Not promised: that no item is processed twice (the one under way when a run dies is), nor that the checkpoint outlives
a pause longer than ttl_s; then it begins at the first item.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.errors import Contended
from respram.patterns.json_values import Json, document, to_json
from respram.patterns.naming import key, level
from respram.patterns.steps import C, Steps, call, change, get, operation


@dataclass(frozen=True, slots=True)
class BatchProgress:
    processed: int
    total: int
    results: list[Json]  # of this run

    @property
    def complete(self) -> bool:
        return self.processed >= self.total


@dataclass(frozen=True, slots=True)
class Batch(Generic[C]):
    client: C
    name: str
    batch_size: int = 10
    ttl_s: float = 86_400.0

    @property
    def key(self) -> bytes:
        return key("batch", level(self.name))

    @operation
    def run(self, items: Sequence[Any], process: Callable[..., Any]) -> Steps[BatchProgress]:
        """Processes up to `batch_size` items from the checkpoint on; `items` must be the same at every run.

        What `process` raises is raised; what was done before it stays checkpointed. Raises Contended when another run
        moved the checkpoint.
        """
        before = yield from get(self.key)
        start = checkpoint(before, self.name)
        results: list[Json] = []
        for position in range(start, min(start + self.batch_size, len(items))):
            results.append((yield from call(process, items[position])))
            before = yield from self._advance(before, position + 1)
        return BatchProgress(start + len(results), len(items), results)

    @operation
    def processed(self) -> Steps[int]:
        """How many items are done."""
        return checkpoint((yield from get(self.key)), self.name)

    def _advance(self, before: bytes | None, processed: int) -> Steps[bytes | None]:
        def edit(found: bytes | None) -> bytes:
            if found != before:
                raise Contended(
                    f"another run of batch {self.name!r} moved the checkpoint; this one stops at {processed - 1}"
                )
            return to_json({"processed": processed})

        return (yield from change(self.key, edit, self.ttl_s))


def checkpoint(data: bytes | None, name: str) -> int:
    return 0 if data is None else int(document(data, f"checkpoint of {name!r}", processed=int)["processed"])
