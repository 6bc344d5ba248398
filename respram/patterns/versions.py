"""Versions of a document and its `latest`, on a ContentStore. Nothing else may live in this file.

    document = Versions(store, "document")
    document.publish(b"Version 1 content")       # 1
    document.publish(b"Version 2 content")       # 2
    document.read()                              # b"Version 2 content"
    document.read(1)
    document.numbers()                           # [1, 2]

The numbers that live stand in one record, `versions:<store>:<name>`, so that publishing costs the same whatever else
there is. A version number is claimed by SET NX. What holds where: publishers at all nodes never share a number, while
the members of the enclave are stable (docs/peers.md); with `--decide local` publishers at one node do not, nor those at
several nodes with `settle=` (settle.py). Not promised: that old versions stay (each has its own ttl_s), a number's
uniqueness while a node dies or is cut off, or that numbers have no gaps: where a client library sends the claim twice,
because the connection broke, the version has two numbers.
"""

import uuid
from dataclasses import dataclass
from typing import Generic

from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.effects import Steps
from respram.patterns.errors import Contended, ContentMissing, Unreadable
from respram.patterns.json_values import from_json, to_json
from respram.patterns.settle import Settle, claimed
from respram.patterns.steps import CHANGE_TRIES_MAX, C, ask, ask_all, change, operation, ttl_ms

NUMBERS_MAX = 4096  # versions that live at once; older ones can be read by their number, and are not listed


@dataclass(frozen=True, slots=True)
class Versions(Generic[C]):
    store: ContentStore[C]
    name: str
    settle: Settle | None = None

    @property
    def client(self) -> C:
        return self.store.client

    def label(self, version: int | None) -> str:
        return f"{self.name}:latest" if version is None else f"{self.name}:v{version}"

    @operation
    def publish(self, content: bytes) -> Steps[int]:
        """Stores the next version and moves `latest` to it; its number. Counts on from the highest that still lives."""
        ref = yield from self.store.store.steps(content)
        number = max((yield from self._known()), default=0)
        for _ in range(CHANGE_TRIES_MAX):
            number += 1
            label = self.store.label_key(self.label(number))
            if self.settle is not None:
                # The label of a number says what it holds, not who claimed it: the claim is a key of its own.
                mine = uuid.uuid4().bytes
                taken, _ = yield from claimed(self.key + b":%d" % number, mine, self.store.ttl_s, self.settle)
                if not taken:
                    continue
            if (yield from ask("SET", label, ref.hash.encode(), "NX", "PX", ttl_ms(self.store.ttl_s))):
                yield from self._note(number)
                yield from self.store.label.steps(self.label(None), ref)
                return number
        raise Contended(
            f"{CHANGE_TRIES_MAX} other versions of {self.name!r} were published meanwhile; this one was not"
        )

    @operation
    def reference(self, version: int | None = None) -> Steps[ContentRef | None]:
        return (yield from self.store.get_by_label.steps(self.label(version)))

    @operation
    def read(self, version: int | None = None) -> Steps[bytes]:
        """A version's content, the latest's without a number. Raises ContentMissing."""
        found = yield from self.store.get_content_by_label.steps(self.label(version))
        if found is None:
            raise ContentMissing(f"{self.label(version)!r} is not there: its time is up, or it was never published")
        return found

    @operation
    def numbers(self) -> Steps[list[int]]:
        """Numbers of the versions that live, ascending."""
        known = yield from self._known()
        return (yield from self._alive(known))

    @property
    def key(self) -> bytes:
        return self.store.versions_key(self.name)

    def _known(self) -> Steps[list[int]]:
        noted, latest = yield from ask_all(("GET", self.key), ("EXISTS", self.store.label_key(self.label(None))))
        if noted is not None or not latest:
            return numbers_of(noted, self.name)
        # There is a latest version and no record: an earlier version of this library published it. Found by its labels,
        # once.
        prefix = f"{self.name}:v"
        labels: list[str] = yield from self.store.list_labels.steps(prefix)
        return sorted(int(each[len(prefix) :]) for each in labels if each[len(prefix) :].isdecimal())

    def _note(self, number: int) -> Steps[None]:
        known: list[int] = yield from self._known()
        (left_ms,) = yield from ask_all(("PTTL", self.key))
        gone = set(known) - set((yield from self._alive(known)))

        def edit(found: bytes | None) -> bytes:
            # The highest stays, even when its time is up: counting goes on from it.
            every = sorted({*known, *numbers_of(found, self.name), number})
            return to_json([each for each in every[-NUMBERS_MAX:] if each not in gone or each == every[-1]])

        # The record lives as long as the longest of its labels: another's ttl_s may be longer. Without the record
        # counting would begin at 1 again.
        yield from change(self.key, edit, max(self.store.ttl_s, left_ms / 1000))

    def _alive(self, known: list[int]) -> Steps[list[int]]:
        there = yield from ask_all(*(("EXISTS", self.store.label_key(self.label(each))) for each in known))
        return [each for each, count in zip(known, there, strict=True) if count]


def numbers_of(data: bytes | None, name: str) -> list[int]:
    found = [] if data is None else from_json(data, f"the versions of {name!r}")
    if not isinstance(found, list) or not all(isinstance(each, int) for each in found):
        raise Unreadable(f"the record of the versions of {name!r} was not written by this library")
    return found
