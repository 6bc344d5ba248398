"""Batch with checkpoint: a long list worked through in pieces, by runs that may die.
Nothing else may live in this file.

    batch = Batch(client, "import-2026-11", batch_size=10)
    batch.run(items, process)           # BatchProgress(processed=10, total=35, results=[...], complete=False)
    batch.run(items, process)           # the next ten, here or in another process
    batch.results()  # results of all processed items

The checkpoint, with the results, is written after every item by compare-and-set: two concurrent runs do not mix; the
slower one stops. The next run completes one that broke off, and returns the results of both. Guarantees: only one run,
through any node, records an item while the members of the enclave are stable (docs/peers.md). With `--decide local`
this holds for runs through one node, and for several nodes with `settle=` (settle.py). Not promised: that no item is
processed twice (the item in progress when a run dies is), nor that the checkpoint outlives a pause longer than ttl_s;
then the batch starts over at the first item.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

from respram.patterns import pieces
from respram.patterns.advisory_lock import AdvisoryLock
from respram.patterns.effects import Command, Commit, Watch
from respram.patterns.errors import Contended, ContentMissing
from respram.patterns.json_values import Json, document, from_json, to_json
from respram.patterns.naming import key, level
from respram.patterns.settle import Settle
from respram.patterns.steps import (
    CHANGE_PAUSE_S,
    CHANGE_TRIES_MAX,
    C,
    Steps,
    call,
    get,
    newest,
    newest_here,
    operation,
    pause,
    ttl_ms,
)

PIECES_LONGER = 1.25  # pieces live longer than their checkpoint, so that not every item has to extend all


@dataclass(frozen=True, slots=True)
class BatchProgress:
    processed: int
    total: int
    results: list[Json]  # of the batch that this run completed

    @property
    def complete(self) -> bool:
        return self.processed >= self.total


@dataclass(frozen=True, slots=True)
class Checkpoint:
    processed: int = 0
    returned: int = 0  # results that runs have returned; the next run returns the following ones
    lengths: tuple[int, ...] = ()  # of the pieces that hold the results

    @property
    def first(self) -> int:
        """The first item whose result is kept: 0, unless an earlier version started the batch."""
        return self.processed - sum(self.lengths)

    def json(self) -> bytes:
        return to_json({"processed": self.processed, "returned": self.returned, "pieces": list(self.lengths)})


@dataclass(frozen=True, slots=True)
class Batch(Generic[C]):
    client: C
    name: str
    batch_size: int = 10
    ttl_s: float = 86_400.0
    settle: Settle | None = None  # lets runs through several nodes take turns
    run_ttl_s: float = 300.0  # after this, another run may join a settled run

    @property
    def key(self) -> bytes:
        return key("batch", level(self.name))

    @operation
    def run(self, items: Sequence[Any], process: Callable[..., Any]) -> Steps[BatchProgress]:
        """Processes the next `batch_size` items, or the rest of a batch that broke off.

        `items` must be the same each time.

        An exception of `process` passes through; earlier items stay checkpointed. Raises Contended when another run
        moved the checkpoint (ResourceLocked with `settle`), TooMany when the results exceed the bound of `pieces`.
        """
        if self.settle is None:
            return (yield from self._run(items, process))
        turn = AdvisoryLock(self.client, self.run_ttl_s, self.settle)
        held = yield from turn.acquire.steps(f"batch:{level(self.name)}", "run")
        try:
            return (yield from self._run(items, process))
        finally:
            if held.claim.sure_s() > 0:
                yield from turn.release.steps(held)

    def _run(self, items: Sequence[Any], process: Callable[..., Any]) -> Steps[BatchProgress]:
        before = yield from newest_here(self.key)
        now = checkpoint(before, self.name)
        end = max(now.processed, min(now.returned + self.batch_size, len(items)))
        results = yield from self._results(now, now.returned)
        # The pieces live a little longer than their checkpoint: prolonged at the first item, and then from time to
        # time.
        prolonged_s = -self.ttl_s
        last: list[Json] | None = None
        for position in range(now.processed, end):
            result = from_json(to_json((yield from call(process, items[position]))), "the result")
            if last is None:
                last = yield from pieces.last_piece(self.key, list(now.lengths), self._what())
            lengths, last, write = pieces.grown(
                self.key, list(now.lengths), last, result, self._piece_ms(), self._what()
            )
            commands: list[Command] = [write]
            if time.monotonic() - prolonged_s >= self.ttl_s * (PIECES_LONGER - 1):
                commands += pieces.lengthened(self.key, list(now.lengths), self._piece_ms())
                prolonged_s = time.monotonic()
            now = Checkpoint(position + 1, end if position + 1 == end else now.returned, tuple(lengths))
            before = yield from self._move(before, now, commands)
            results.append(result)
        if now.returned != end:  # an interrupted run had processed all of its batch
            now = replace(now, returned=end)
            yield from self._move(before, now, [])
        return BatchProgress(now.processed, len(items), results)

    @operation
    def processed(self) -> Steps[int]:
        """The number of items that are done."""
        return checkpoint((yield from get(self.key)), self.name).processed

    @operation
    def results(self) -> Steps[list[Json]]:
        """The results of all items that are done, in their order. Raises ContentMissing when some are gone."""
        now = checkpoint((yield from get(self.key)), self.name)
        return (yield from self._results(now, 0))

    def _results(self, now: Checkpoint, start: int) -> Steps[list[Json]]:
        if start < now.processed and start < now.first:
            raise ContentMissing(f"the results of the first {now.first} items of {self._what()} were never kept")
        return (yield from pieces.items(self.key, list(now.lengths), self._what(), start - now.first))

    def _move(self, before: bytes | None, now: Checkpoint, commands: list[Command]) -> Steps[bytes]:
        value = now.json()
        for attempt in range(CHANGE_TRIES_MAX):
            found = yield Watch((self.key,))
            if found is not None:
                if found[0] != before:
                    # If this node does not have `before` yet, the key's home has it.
                    if (yield from newest(self.key)) != before:
                        raise Contended(
                            f"another run of {self._what()} moved the checkpoint; this one stops at {now.processed - 1}"
                        )
                elif (yield Commit((*commands, ("SET", self.key, value, "PX", ttl_ms(self.ttl_s))))) is not None:
                    return value
            yield from pause(CHANGE_PAUSE_S * attempt)
        raise Contended(
            f"the checkpoint of {self._what()} changed under {CHANGE_TRIES_MAX} attempts; nothing was noted"
        )

    def _piece_ms(self) -> int:
        return ttl_ms(self.ttl_s * PIECES_LONGER)

    def _what(self) -> str:
        return f"batch {self.name!r}"


def checkpoint(data: bytes | None, name: str) -> Checkpoint:
    if data is None:
        return Checkpoint()
    what = f"checkpoint of {name!r}"
    fields = document(data, what, processed=int)
    processed = int(fields["processed"])
    # Earlier versions kept only the number: items that they processed count as returned.
    return Checkpoint(
        processed, int(fields.get("returned", processed)), tuple(pieces.lengths_of(fields.get("pieces", []), what))
    )
