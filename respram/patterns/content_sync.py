"""Export and import of labels with their content, between stores and servers. Nothing else may live in this file.

    package = ContentSync(store).export_labels("app:")  # bytes: for a message or a small file
    ContentSync(other_store).import_package(package)  # ["app:config", ...]: the imported labels
    for part in ContentSync(store).export_parts("app:"):           # the same bytes, one content in memory at a time
        file.write(part)
    ContentSync(other_store).import_stream(file.read)

A package given as bytes is checked completely, every hash, before the first write. A package read from a stream is
stored content by content, each under its own hash. Its labels come last, and are set once every content that they name
has arrived. Not promised: that a label and its content are of one moment while others write. Content does not keep its
old deadline: it gets the new store's ttl_s.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic

from respram.patterns.content_store import ContentRef, ContentStore, reference
from respram.patterns.effects import Steps
from respram.patterns.errors import BadName, ContentMissing, Unreadable, ValueTooLarge
from respram.patterns.json_values import document, to_json
from respram.patterns.steps import C, call, hand, operation, stream

MAGIC_1 = b"respram-content-1\n"  # labels first: written by earlier versions, still readable
MAGIC = b"respram-content-2\n"  # contents, then the labels
CONTENT, LABELS = b"C", b"L"  # kinds of parts; each is followed by a length
LENGTH = struct.Struct(">Q")
PART_BYTES_MAX = 64 * 1024 * 1024  # the longest value that a node accepts
READ_BYTES = 256 * 1024  # requested from `read` at a time


@dataclass(frozen=True, slots=True)
class ContentSync(Generic[C]):
    store: ContentStore[C]

    @property
    def client(self) -> C:
        return self.store.client

    @stream
    def export_parts(self, prefix: str) -> Steps[None]:
        """Yields the package in pieces to be written in order: first each content once, then the labels.

        A label whose content expired is left out.
        """
        yield from hand(MAGIC)
        labels: dict[str, str] = {}
        gone: set[str] = set()
        every: list[str] = yield from self.store.list_labels.steps(prefix)
        for label in every:
            ref: ContentRef | None = yield from self.store.get_by_label.steps(label)
            if ref is None or ref.hash in gone:
                continue
            if ref.hash not in labels.values():
                try:
                    content: bytes = yield from self.store.get.steps(ref)
                except ContentMissing:
                    gone.add(ref.hash)
                    continue
                yield from hand(CONTENT + LENGTH.pack(len(content)))
                yield from hand(content)
            labels[label] = ref.hash
        listing = to_json({"labels": labels})
        yield from hand(LABELS + LENGTH.pack(len(listing)) + listing)

    @operation
    def export_labels(self, prefix: str) -> Steps[bytes]:
        """The package of `export_parts` as bytes."""
        parts: list[bytes] = []
        steps = self.export_parts.steps(prefix)  # type: ignore[attr-defined]
        outcome: Any = None
        while True:
            try:
                effect = steps.send(outcome)
            except StopIteration:
                return b"".join(parts)
            if (item := getattr(effect, "item", None)) is not None:
                parts.append(item)
                outcome = None
            else:
                outcome = yield effect

    @operation
    def import_package(self, package: bytes) -> Steps[list[str]]:
        """Stores every content, sets every label and returns the labels. Raises Unreadable before any write."""
        if package.startswith(MAGIC_1):
            package = renewed(package)
        cut = Unpacking()
        contents = list(cut.feed(package))
        labels = cut.finished(exactly={reference(content).hash for content in contents})
        for content in contents:
            yield from self.store.store.steps(content)
        return (yield from self._label(labels))

    @operation
    def import_stream(self, read: Callable[[int], Any]) -> Steps[list[str]]:
        """As `import_package`, from a `read` function, plain or async, that returns b"" at the end.

        Raises Unreadable or ValueTooLarge; contents may then have been stored, but no label was set.
        """
        cut = Unpacking()
        while data := (yield from call(read, READ_BYTES)):
            for content in cut.feed(data):
                yield from self.store.store.steps(content)
                cut.seen.add(reference(content).hash)
        return (yield from self._label(cut.finished(exactly=cut.seen)))

    def _label(self, labels: dict[str, ContentRef]) -> Steps[list[str]]:
        for label, ref in labels.items():
            yield from self.store.label.steps(label, ref)
        return sorted(labels)


@dataclass(slots=True)
class Unpacking:
    """An incremental parser that splits a package into its contents, whatever pieces it arrives in."""

    waiting: bytearray = field(default_factory=bytearray)
    begun: bool = False
    listing: bytes | None = None
    seen: set[str] = field(default_factory=set)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Takes a piece and returns the contents that are now complete. Raises Unreadable, ValueTooLarge."""
        self.waiting += data
        if not self.begun:
            if bytes(self.waiting[: len(MAGIC)]) != MAGIC[: len(self.waiting)]:
                raise Unreadable("this is no package of export_labels")
            if len(self.waiting) < len(MAGIC):
                return
            del self.waiting[: len(MAGIC)]
            self.begun = True
        at, head = 0, 1 + LENGTH.size
        while len(self.waiting) - at >= head and self.listing is None:
            kind = bytes(self.waiting[at : at + 1])
            (length,) = LENGTH.unpack_from(self.waiting, at + 1)
            if kind not in (CONTENT, LABELS):
                raise Unreadable("the package is damaged: a part of it has no kind")
            if length > PART_BYTES_MAX:
                raise ValueTooLarge(f"the package announces a part of {length} bytes; a node takes {PART_BYTES_MAX}")
            if len(self.waiting) - at - head < length:
                break
            part = bytes(self.waiting[at + head : at + head + length])
            at += head + length
            if kind == LABELS:
                self.listing = part
            else:
                yield part
        del self.waiting[:at]
        if self.listing is not None and self.waiting:
            raise Unreadable("the package goes on behind its list of labels: it was changed or damaged")

    def finished(self, exactly: set[str]) -> dict[str, ContentRef]:
        """The labels, once the package is complete and its contents are exactly those that the labels name."""
        if not self.begun or self.listing is None:
            raise Unreadable("the package was cut short")
        try:
            labels = {
                str(label): ContentRef(each)
                for label, each in document(self.listing, "the package", labels=dict)["labels"].items()
            }
        except (BadName, AttributeError, TypeError):
            raise Unreadable("the package's list of labels is damaged") from None
        if {ref.hash for ref in labels.values()} != exactly:
            raise Unreadable("the package's contents are not those that its labels name: it was changed or damaged")
        return labels


def renewed(package: bytes) -> bytes:
    """Converts an earlier version's package to this format: labels last, and a kind before every part."""
    parts: list[bytes] = []
    at = len(MAGIC_1)
    while at < len(package):
        if at + LENGTH.size > len(package):
            raise Unreadable("the package was cut short")
        (length,) = LENGTH.unpack_from(package, at)
        at += LENGTH.size
        if at + length > len(package):
            raise Unreadable("the package was cut short")
        parts.append(package[at : at + length])
        at += length
    if not parts:
        raise Unreadable("the package was cut short")
    listing, *contents = parts
    kinds = [*((CONTENT, each) for each in contents), (LABELS, listing)]
    return MAGIC + b"".join(kind + LENGTH.pack(len(each)) + each for kind, each in kinds)
