"""Versions of a document and its `latest`, on a ContentStore. Nothing else may live in this file.

    document = Versions(store, "document")
    document.publish(b"Version 1 content")  # returns 1, the version's number
    document.publish(b"Version 2 content")       # 2
    document.read()                              # b"Version 2 content"
    document.read(1)
    document.numbers()                           # [1, 2]

The numbers are stored in one hash, `versions:<store>:<name>`: a field for each, which lives as long as its version,
and `last`, the highest, which lives as long as any. So the cost of publishing depends neither on other keys nor on how
many versions live. HINCRBY of `last` gives each publisher a number of its own, and SET NX of the label ensures that
nobody else has it. Guarantees: publishers at all nodes never share a number while the members of the enclave are stable
(docs/peers.md). With `--decide local` this holds for publishers at one node, and for several nodes with `settle=`
(settle.py). Not promised: that old versions stay (each has its own ttl_s), a number's uniqueness while a node dies or
is cut off, or that numbers have no gaps. When a client library sends a command twice, because the connection broke, a
number is skipped or the version has two.
"""

import uuid
from dataclasses import dataclass
from itertools import chain
from typing import Generic

from respram.patterns import roster
from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.effects import Steps
from respram.patterns.errors import Contended, ContentMissing, Unreadable
from respram.patterns.settle import Settle, claimed
from respram.patterns.steps import CHANGE_TRIES_MAX, C, ask, ask_all, operation, ttl_ms

LAST = b"last"  # the field with the highest number


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
        """Stores the next version, moves `latest` to it and returns its number, which follows the highest live one."""
        ref = yield from self.store.store.steps(content)
        for _ in range(CHANGE_TRIES_MAX):
            number = yield from self._next()
            label = self.store.label_key(self.label(number))
            if self.settle is not None:
                # A version's label names its content, not the claimant, so the claim is a key of its own.
                mine = uuid.uuid4().bytes
                taken, _ = yield from claimed(self.key + b":%d" % number, mine, self.store.ttl_s, self.settle)
                if not taken:
                    continue
            if (yield from ask("SET", label, ref.hash.encode(), "NX", "PX", ttl_ms(self.store.ttl_s))):
                yield from ask_all(*roster.staying(self.key, str(number), self.store.ttl_s))
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
        """A version's content, by default the latest. Raises ContentMissing."""
        found = yield from self.store.get_content_by_label.steps(self.label(version))
        if found is None:
            raise ContentMissing(f"{self.label(version)!r} is not there: its time is up, or it was never published")
        return found

    @operation
    def numbers(self) -> Steps[list[int]]:
        """Numbers of the versions that live, ascending."""
        fields: list[bytes] = yield from ask(*roster.reading(self.key))
        known = [number_of(field, self.name) for field in fields if field != LAST]
        if not fields:
            known = yield from self._labelled()
        alive = yield from roster.alive(
            [str(each) for each in sorted(known)], lambda number: self.store.label_key(self.label(int(number)))
        )
        return [int(each) for each in alive]

    @property
    def key(self) -> bytes:
        return self.store.versions_key(self.name)

    def _next(self) -> Steps[int]:
        """A number that no other publisher gets."""
        number, *_ = yield from ask_all(
            ("HINCRBY", self.key, LAST, 1), *roster.lasting(self.key, ttl_ms(self.store.ttl_s))
        )
        if number > 1:
            return int(number)
        # Version 0.1 of this library did not count: perhaps it published already.
        if known := (yield from self._labelled()):
            entering = (roster.staying(self.key, str(each), self.store.ttl_s) for each in known)
            number, *_ = yield from ask_all(("HINCRBY", self.key, LAST, max(known)), *chain.from_iterable(entering))
        return int(number)

    def _labelled(self) -> Steps[list[int]]:
        """Numbers that have a label, if there is a latest version: those that version 0.1 of this library published."""
        if not (yield from ask("EXISTS", self.store.label_key(self.label(None)))):
            return []
        prefix = f"{self.name}:v"
        labels: list[str] = yield from self.store.list_labels.steps(prefix)
        return [int(each[len(prefix) :]) for each in labels if each[len(prefix) :].isdecimal()]


def number_of(field: bytes, name: str) -> int:
    if not field.isdigit():
        raise Unreadable(f"the numbers of the versions of {name!r} were not written by this library")
    return int(field)
