"""ContentStore: bytes stored by their hash, and names for hashes. Nothing else may live in this file.

    store = ContentStore(client, "my-store", ttl_s=3600)
    ref = store.store(b"Important information")            # ContentRef("sha256 in hex")
    store.get(ref)                                         # verified against the hash
    store.label("app:config", ref)
    store.get_content_by_label("app:config")

The same bytes are stored once, whoever stores them. The life of content is never shortened: storing, labelling and
touching can only lengthen it, and labelling or touching a label makes the content live at least as long as the label.
Not promised: that content outlives its ttl_s. Nor is a label's content found on a node that it reaches later than
LATE_S after the label was read (ContentMissing says so; ask again, or see ContentDistribution).
"""

import hashlib
import itertools
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic

from respram.patterns.effects import Command, Commit, Steps, Watch
from respram.patterns.errors import BadName, Contended, ContentCorrupt, ContentMissing, Unreadable
from respram.patterns.naming import KEYS_MAX, key, level, scan, unlevel
from respram.patterns.steps import (
    CHANGE_PAUSE_S,
    CHANGE_TRIES_MAX,
    C,
    ask_all,
    ask_atomic,
    at_home,
    exists,
    get,
    operation,
    pause,
    ttl_ms,
)

TOGETHER_MAX = 256  # contents read in one round trip
LATE_S = 0.2  # how long content or a label may take to reach a node before it counts as missing
POLL_S = 0.01

HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ContentRef:
    """A reference to content: its SHA-256."""

    hash: str

    def __post_init__(self) -> None:
        if not HASH.fullmatch(self.hash):
            raise BadName("a content reference is a SHA-256 in 64 lower-case hexadecimal digits")

    def verified(self, content: bytes) -> bytes:
        """The content, once its hash matches the reference. Raises ContentCorrupt."""
        if reference(content) != self:
            raise ContentCorrupt(
                f"what is stored as {self.hash[:12]} has another hash: another program wrote to this key"
            )
        return content


def reference(content: bytes) -> ContentRef:
    return ContentRef(hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class ContentStore(Generic[C]):
    """A store is named by its id: everybody with the id shares the store. Without an id the store is new."""

    client: C
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    ttl_s: float = 3600.0
    keys_max: int = KEYS_MAX

    def content_key(self, ref: ContentRef) -> bytes:
        return key("content", level(self.id), ref.hash)

    def label_key(self, label: str) -> bytes:
        return self._labels() + key(level(label))

    def versions_key(self, name: str) -> bytes:
        """Where Versions keeps the numbers of a document."""
        return key("versions", level(self.id), level(name))

    @operation
    def store(self, content: bytes) -> Steps[ContentRef]:
        """Stores the content; content that exists already only has its life lengthened, and no bytes are sent."""
        ref: ContentRef = reference(content)
        if not (yield from self.touch.steps(ref)):
            yield from ask_atomic(*self._storing(ref, content))
        return ref

    @operation
    def get(self, ref: ContentRef) -> Steps[bytes]:
        """The content, verified. Raises ContentMissing or ContentCorrupt.

        Missing content is waited for up to LATE_S, since it may still be on its way from another node.
        """
        end = time.monotonic() + LATE_S
        while (found := (yield from get(self.content_key(ref)))) is None:
            if time.monotonic() >= end:
                raise ContentMissing(
                    f"content {ref.hash[:12]} is not in store {self.id!r}: its time is up, or it never was"
                )
            yield from pause(POLL_S)
        return ref.verified(found)

    @operation
    def get_many(self, refs: Sequence[ContentRef], what: str = "") -> Steps[list[bytes]]:
        """The contents of a list of references, in order, each verified. Missing ones are waited for up to LATE_S.

        Raises ContentMissing, which gives the number of the first one that is gone, and ContentCorrupt.
        """
        found: list[bytes] = []
        end = time.monotonic() + LATE_S
        while len(found) < len(refs):
            wanted = refs[len(found) : len(found) + TOGETHER_MAX]
            stored = yield from ask_all(*(("GET", self.content_key(ref)) for ref in wanted))
            there = list(itertools.takewhile(lambda data: data is not None, stored))
            found += [ref.verified(data) for ref, data in zip(wanted, there, strict=False)]
            if len(there) < len(wanted):
                if time.monotonic() >= end:
                    raise ContentMissing(
                        f"entry {len(found) + 1} {what or 'of the list'} is gone: its time was up before"
                    )
                yield from pause(POLL_S)
        return found

    @operation
    def exists(self, ref: ContentRef) -> Steps[bool]:
        return (yield from exists(self.content_key(ref)))

    @operation
    def touch(self, ref: ContentRef) -> Steps[bool]:
        """Lengthens the content's life to at least ttl_s from now; False when it is not there."""
        key = self.content_key(ref)
        _, there = yield from ask_all(("PEXPIRE", key, ttl_ms(self.ttl_s), "GT"), ("EXISTS", key))
        return bool(there)

    @operation
    def touch_label(self, label: str) -> Steps[bool]:
        """Lengthens the life of a label and of its content; False when either is not there."""
        ref: ContentRef | None = yield from self.get_by_label.steps(label)
        if ref is None or not (yield from self.touch.steps(ref)):
            return False
        lasting_ms = ttl_ms(self.ttl_s)
        _, there, *_ = yield from ask_all(
            ("PEXPIRE", self.label_key(label), lasting_ms, "GT"),
            ("EXISTS", self.label_key(label)),
            *self._counted(label, lasting_ms),
        )
        return bool(there)

    def _counted(self, label: str, lasting_ms: int) -> list[Command]:
        """Commands that keep a version's number (versions.py) as long as its label; none for other labels."""
        name, _, version = label.rpartition(":")
        numbers = self.versions_key(name or label)
        found: list[Command] = [("PEXPIRE", numbers, lasting_ms, "GT")] if name else []
        if name and version[:1] == "v" and version[1:].isdecimal():
            found.append(("HPEXPIRE", numbers, lasting_ms, "GT", "FIELDS", 1, version[1:].encode()))
        return found

    @operation
    def label(self, label: str, ref: ContentRef) -> Steps[None]:
        """Points the label at existing content; the content it named before stays stored. Raises ContentMissing."""
        content_key = self.content_key(ref)
        for attempt in range(CHANGE_TRIES_MAX):
            # WATCH, so that content that expires at this moment leaves no dangling label.
            found = yield Watch((content_key,), values=False)
            if found is not None and found[0] is None:
                if (yield from at_home(content_key, ("EXISTS", content_key)))[0]:
                    yield from pause(CHANGE_PAUSE_S * attempt)  # it may just have been stored through another node
                    continue
                raise ContentMissing(
                    f"content {ref.hash[:12]} is not in store {self.id!r}; label {label!r} was not moved"
                )
            lengthen = ("PEXPIRE", content_key, ttl_ms(self.ttl_s), "GT")
            if found is not None and (yield Commit((lengthen, self._labelling(label, ref)))) is not None:
                return
        raise Contended(
            f"content {ref.hash[:12]} changed under every attempt to label it; label {label!r} was not moved"
        )

    replace_at_label = label  # the API has two names for this; a label is always replaced

    @operation
    def store_at_label(self, label: str, content: bytes) -> Steps[ContentRef]:
        """Stores the content and labels it, both or neither."""
        ref: ContentRef = reference(content)
        yield from ask_atomic(*self._storing(ref, content), self._labelling(label, ref))
        return ref

    replace_content_at_label = store_at_label

    @operation
    def get_by_label(self, label: str, late_s: float = LATE_S) -> Steps[ContentRef | None]:
        """The reference that the label names; None when there is no such label.

        A missing label is polled for late_s, since another node may have just written it. With 0 the answer comes at
        once.
        """
        end = time.monotonic() + late_s
        while not (found := (yield from get(self.label_key(label)))):
            if time.monotonic() >= end:
                return None
            yield from pause(POLL_S)
        return pointed(found, label)

    @operation
    def get_content_by_label(self, label: str, late_s: float = LATE_S) -> Steps[bytes | None]:
        """The content that the label names; None when there is no such label (`get_by_label`).

        Raises ContentMissing when the label exists and its content does not.
        """
        ref: ContentRef | None = yield from self.get_by_label.steps(label, late_s)
        return None if ref is None else (yield from self.get.steps(ref))

    @operation
    def list_labels(self, prefix: str = "") -> Steps[list[str]]:
        """Labels that begin with `prefix`, sorted."""
        here = self._labels()
        names = yield from scan(here + level(prefix).encode(), self.keys_max)
        return sorted(unlevel(name[len(here) :]) for name in names)

    def _labels(self) -> bytes:
        return key("label", level(self.id)) + b":"

    def _storing(self, ref: ContentRef, content: bytes) -> tuple[Command, ...]:
        # NX and GT: a second writer with a shorter ttl_s must not shorten the life of what the first one stored.
        key, expiry = self.content_key(ref), ttl_ms(self.ttl_s)
        return ("SET", key, content, "NX", "PX", expiry), ("PEXPIRE", key, expiry, "GT")

    def _labelling(self, label: str, ref: ContentRef) -> Command:
        return ("SET", self.label_key(label), ref.hash.encode(), "PX", ttl_ms(self.ttl_s))


def pointed(data: bytes, label: str) -> ContentRef:
    try:
        return ContentRef(data.decode())
    except (BadName, UnicodeDecodeError):
        raise Unreadable(f"label {label!r} holds no reference: another program wrote to this key") from None
