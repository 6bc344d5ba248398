"""Export and import of labels with their content, between stores and servers. Nothing else may live in this file.

    package = ContentSync(store).export_labels("app:")             # bytes: a file, a message, anything
    ContentSync(other_store).import_package(package)               # ["app:config", ...]

A package is checked as a whole, every hash, before the first write. Not promised: that a label and its
content are of one moment when others write meanwhile; that content keeps its old deadline: it gets the new store's ttl_s.
"""

import struct
from dataclasses import dataclass
from typing import Generic

from respram.patterns.content_store import ContentRef, ContentStore, reference
from respram.patterns.effects import Steps
from respram.patterns.errors import BadName, ContentMissing, Unreadable
from respram.patterns.json_values import document, to_json
from respram.patterns.steps import C, operation

MAGIC = b"respram-content-1\n"
LENGTH = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class ContentSync(Generic[C]):
    store: ContentStore[C]

    @property
    def client(self) -> C:
        return self.store.client

    @operation
    def export_labels(self, prefix: str) -> Steps[bytes]:
        """All labels that begin with `prefix`, and each content once. A label whose content expired is left out."""
        labels: dict[str, str] = {}
        contents: dict[str, bytes] = {}
        for label in (yield from self.store.list_labels.steps(prefix)):
            ref = yield from self.store.get_by_label.steps(label)
            if ref is None:
                continue
            try:
                contents[ref.hash] = contents.get(ref.hash) or (yield from self.store.get.steps(ref))
            except ContentMissing:
                continue
            labels[label] = ref.hash
        return packed(labels, list(contents.values()))

    @operation
    def import_package(self, package: bytes) -> Steps[list[str]]:
        """Stores every content and sets every label; the labels. Raises Unreadable, and nothing was written."""
        labels, contents = unpacked(package)
        for content in contents:
            yield from self.store.store.steps(content)
        for label, ref in labels.items():
            yield from self.store.label.steps(label, ref)
        return sorted(labels)


def packed(labels: dict[str, str], contents: list[bytes]) -> bytes:
    parts = [to_json({"labels": labels}), *contents]
    return MAGIC + b"".join(LENGTH.pack(len(part)) + part for part in parts)


def unpacked(package: bytes) -> tuple[dict[str, ContentRef], list[bytes]]:
    if not package.startswith(MAGIC):
        raise Unreadable("this is no package of export_labels")
    parts, at = [], len(MAGIC)
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
    try:
        labels = {
            str(label): ContentRef(each)
            for label, each in document(parts[0], "the package", labels=dict)["labels"].items()
        }
    except (BadName, AttributeError, TypeError):
        raise Unreadable("the package's list of labels is damaged") from None
    if set(labels.values()) != {reference(content) for content in parts[1:]}:
        raise Unreadable("the package's contents are not those that its labels name: it was changed or damaged")
    return labels, parts[1:]
