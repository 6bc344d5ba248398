"""RESP as a comparer needs it: where a reply ends, and what is in it. It interprets as little as it can.

Both protocols are read alike, because a reply of the wrong protocol is a finding, not an error of reading.
"""

from typing import NamedTuple

LINES = b"+-:,#(_"
BULKS = b"$=!"
LISTS = b"*~>"
MAPS = b"%|"


class NotReplyError(ValueError):
    """The bytes are no reply in either protocol."""


class Node(NamedTuple):
    """One reply, or a part of one. `text` is the payload of a leaf, None of a nil and of an aggregate."""

    raw: bytes
    kind: bytes
    text: bytes | None = None
    items: "tuple[Node, ...]" = ()

    @property
    def number(self) -> int | None:
        text = self.text
        plain = self.kind == b":" and text is not None and text.lstrip(b"-").isdigit()
        return int(text) if plain and text is not None else None


def encode(argv: "tuple[bytes, ...] | list[bytes]") -> bytes:
    """One request."""
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in argv)


def cut(data: bytes) -> tuple[list[bytes], bytes]:
    """The complete replies at the beginning of `data`, and the incomplete rest."""
    frames = []
    at = 0
    while at < len(data):
        found = _read(data, at)
        if found is None:
            break
        frames.append(found[0].raw)
        at = found[1]
    return frames, data[at:]


def parse(frame: bytes) -> Node:
    found = _read(frame, 0)
    if found is None or found[1] != len(frame):
        raise NotReplyError("not one complete reply")
    return found[0]


def _read(data: bytes, at: int) -> tuple[Node, int] | None:
    """The reply at a position and where it ends; None: the rest of it is yet to come."""
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    kind, line, start, at = data[at : at + 1], data[at + 1 : end], at, end + 2
    if kind in LINES:
        return Node(data[start:at], kind, line), at
    digits = line.lstrip(b"-")
    if not digits.isdigit() or kind not in BULKS + LISTS + MAPS:
        raise NotReplyError(f"no reply begins with {data[start : start + 20]!r}")
    count = int(line)
    if count < 0:
        return Node(data[start:at], kind), at
    if kind in BULKS:
        if len(data) < at + count + 2:
            return None
        if data[at + count : at + count + 2] != b"\r\n":
            raise NotReplyError("a bulk is longer or shorter than it says")
        return Node(data[start : at + count + 2], kind, data[at : at + count]), at + count + 2
    items = []
    for _ in range(count * 2 if kind in MAPS else count):
        found = _read(data, at)
        if found is None:
            return None
        items.append(found[0])
        at = found[1]
    return Node(data[start:at], kind, None, tuple(items)), at
