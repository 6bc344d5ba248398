"""Snapshot anchoring: a signed statement of what data existed and when, which outlives the data.
Nothing else lives here.

    key = new_signing_key()                                     # the secret half; keep it
    anchors = Anchors(client, key, "anchors.jsonl")
    anchors.of_snapshot(Snapshots(store, "game"), moment)       # digest, bytes and time span of a snapshot
    anchors.of_node()                                           # digest and number of the records of a respram node
    verified("anchors.jsonl", public_key(key))                  # the statements, each signed, in an unbroken chain

A statement holds the SHA-256 of what it is about, counts and a span of time, and the hash of the statement before it;
it is signed with Ed25519 and appended to a file as a line of JSON. Somebody who still has the bytes, or gets them from
elsewhere, can prove that they existed (`Statement.covers`). The statement alone reveals nothing about them, except to
someone who can guess the bytes and hash them. Not promised: the data, which leaves with its TTL. Nor is a file noticed
that was cut at its end: keep the last line's hash elsewhere.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from respram.patterns.content_store import ContentRef
from respram.patterns.effects import Block, Steps
from respram.patterns.errors import ContentMissing, Tampered, Unreadable
from respram.patterns.json_values import Json, document, to_json
from respram.patterns.snapshot import Snapshots
from respram.patterns.steps import C, ask, operation

LINE_BYTES_MAX = 4096  # of one statement
FIRST = "0" * 64  # the previous hash of the first statement, which has none
SPAN = ("from_ms", "until_ms")


def new_signing_key() -> bytes:
    """32 random bytes: the secret half."""
    return Ed25519PrivateKey.generate().private_bytes_raw()


def public_key(signing_key: bytes) -> bytes:
    """The public half, which verifiers need."""
    public = Ed25519PrivateKey.from_private_bytes(signing_key).public_key()
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class Statement:
    what: str  # "snapshot game:1781234567890" or "node"
    digest: str
    counts: dict[str, int]
    from_ms: int
    until_ms: int
    previous: str  # SHA-256 of the line before

    def covers(self, content: bytes) -> bool:
        """Whether this is the content that the statement is about."""
        return hashlib.sha256(content).hexdigest() == self.digest


@dataclass(slots=True)
class Anchors(Generic[C]):
    client: C
    signing_key: bytes = field(repr=False)
    path: str | Path

    @operation
    def of_snapshot(self, snapshots: Snapshots[C], moment_ms: int) -> Steps[Statement]:
        """Anchors the snapshot of a moment; its span starts at the previous snapshot's moment. Raises ContentMissing.
        """
        label = f"{snapshots.name}:{moment_ms}"
        ref: ContentRef | None = yield from snapshots.store.get_by_label.steps(label)
        if ref is None:
            raise ContentMissing(f"there is no snapshot {label!r}: its time is up, or it was never taken")
        content: bytes = yield from snapshots.store.get.steps(ref)
        earlier = [each for each in (yield from snapshots.moments.steps()) if each < moment_ms]
        span = (max(earlier, default=moment_ms), moment_ms)
        return (yield from self._anchor(f"snapshot {label}", ref.hash, {"bytes": len(content)}, span))

    @operation
    def of_node(self) -> Steps[Statement]:
        """Anchors the digest over all records of a respram node, from RESPRAM DIGEST.

        Raises StoreRefused when the node has no peers.
        """
        reply = yield from ask("RESPRAM", "DIGEST")
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        fields = {bytes(name).decode(): value for name, value in pairs}
        at_ms = int(fields["at_ms"])
        return (
            yield from self._anchor(
                "node", fields["digest"].decode(), {"records": int(fields["records"])}, (at_ms, at_ms)
            )
        )

    def _anchor(self, what: str, digest: str, counts: dict[str, int], span: tuple[int, int]) -> Steps[Statement]:
        path = Path(self.path)
        previous: str = yield Block(last_hash, (path,))
        said: dict[str, Json] = {
            "what": what,
            "digest": digest,
            "counts": counts,
            **dict(zip(SPAN, span, strict=True)),
            "previous": previous,
        }
        signature = Ed25519PrivateKey.from_private_bytes(self.signing_key).sign(signed(said))
        line = to_json({**said, "signature": base64.b64encode(signature).decode()})
        if len(line) > LINE_BYTES_MAX:
            raise Unreadable(
                f"a statement of {len(line)} bytes is over {LINE_BYTES_MAX}: give the snapshots a shorter name"
            )
        yield Block(append, (path, line))
        return Statement(what, digest, counts, *span, previous)


def verified(path: str | Path, public: bytes) -> list[Statement]:
    """The statements of a file. Raises Tampered when one is not signed by this key, or does not continue the chain."""
    key = Ed25519PublicKey.from_public_bytes(public)
    found: list[Statement] = []
    previous = FIRST
    for number, line in enumerate(lines(Path(path)), 1):
        fields = document(
            line,
            f"statement {number}",
            what=str,
            digest=str,
            counts=dict,
            from_ms=int,
            until_ms=int,
            previous=str,
            signature=str,
        )
        signature = fields.pop("signature")
        try:
            key.verify(base64.b64decode(signature, validate=True), signed(fields))
        except (InvalidSignature, ValueError):
            raise Tampered(
                f"statement {number} was changed, or signed by another key: trust none of what follows"
            ) from None
        if fields["previous"] != previous:
            raise Tampered(f"statement {number} does not follow the one before it: some were taken out or put in")
        found.append(
            Statement(
                fields["what"], fields["digest"], fields["counts"], fields["from_ms"], fields["until_ms"], previous
            )
        )
        previous = hashlib.sha256(line).hexdigest()
    return found


def signed(said: dict[str, Any]) -> bytes:
    """The bytes that are signed: the statement's fields in a fixed order."""
    return b"respram anchor 1\n" + json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX + 2):
            if not line.endswith(b"\n"):
                raise Unreadable(
                    "a statement is longer than one can be, or was cut short: a crash in the middle of a write"
                )
            yield line[:-1]


def last_hash(path: Path) -> str:
    last = b""
    if path.exists():
        for line in lines(path):
            last = line
    return hashlib.sha256(last).hexdigest() if last else FIRST


def append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line + b"\n")
