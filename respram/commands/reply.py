"""The types of replies, and their encoding in RESP2 and RESP3.

A handler returns plain Python values; the few shapes that RESP has and Python lacks are the classes
here. Nothing in this file knows a command.

| value | RESP2 | RESP3 |
| None | `$-1` | `_` |
| NIL_ARRAY (a failed EXEC) | `*-1` | `_` |
| int | `:n` | `:n` |
| bytes | bulk | bulk |
| list, tuple | array | array |
| Each | array | array |
| dict | flat array | map |
| Simple | `+text` | `+text` |
| Flags | array | set |
| Push | array | push |
| Verbatim | bulk | `=txt:` |
| Double | bulk | `,` |
| Bool | `:0` or `:1` | `#f` or `#t` |
| Error | `-text` | `-text` |
| Raw | as it is | as it is |
| NOTHING | no reply at all | no reply at all |
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Union

from respram.errors import ClientError
from respram.integers import parse_int


class Simple(NamedTuple):
    text: bytes


class Named(NamedTuple):
    """A map whose names are simple strings, as modules send it."""

    values: "dict[bytes, Reply]"


class Error(NamedTuple):
    text: bytes  # the text after the minus sign


class Verbatim(NamedTuple):
    text: bytes


class Double(NamedTuple):
    digits: bytes  # already formatted: replies of two servers must agree in every digit


class Bool(NamedTuple):
    """What RedisBloom answers. Redis's own commands answer integers in both."""

    truth: bool


class Raw(NamedTuple):
    encoded: bytes


class Flags(NamedTuple):
    items: "list[Reply]"


class Push(NamedTuple):
    items: "list[Reply]"


class NilArray(NamedTuple):
    pass


class Breath:
    """A point within an `Each` at which other clients may be served; it writes nothing."""


class Some(NamedTuple):
    """Items of an `Each` that the engine has encoded."""

    number: int
    encoded: bytes


class Each(NamedTuple):
    """What is made one by one while it is written, for commands that may have more to say than fits, or much to look
    at. At a `Breath` other clients may run. Nothing but AllowanceError may be raised in it.
    """

    items: "Iterator[Reply | Breath | Some]"
    # `*`: array; `~`: set; `%`: map, with names and values in turn; `=`: pieces of one text; ``: separate replies
    kind: bytes = b"*"


class OverrunError(Exception):
    """A reply is longer than its client may have. It is raised before there is more of it in memory than that."""


Reply = Union[
    None, int, bytes, list["Reply"], dict[bytes, "Reply"], Simple, Error, Verbatim, Double, Bool, Raw, Flags, Push,
    NilArray, Each, "Named"
]

HEAD_BYTES_MAX = 32  # enough for any length
ITEM_BYTES = 120  # approximate overhead of an item
BREATHS_MAX = 400  # breaths of an `Each` in a transaction or a script, where nobody else is served: 20 to 50 ms
LONG_WALK = ClientError.saying(
    b"ERR the command visits too many keys or members for a transaction or script; send it alone"
)
OK = Simple(b"OK")
NIL_ARRAY = NilArray()
NOTHING = Raw(b"")
BREATH = Breath()


def encode(reply: Reply, proto: int, bytes_max: int | None = None, breathe: Callable[[], None] | None = None) -> bytes:
    """The reply as bytes for a connection that speaks RESP `proto` (2 or 3). OverrunError beyond so many bytes.
    `breathe` is called at each breath of an `Each`.
    """
    if isinstance(reply, bytes) and bytes_max is None:
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    writer = Writer(proto, bytes_max, breathe)
    writer.write(reply)
    return writer.whole()


class Writer:
    """A reply while it is made."""

    __slots__ = ("proto", "bytes_max", "size", "parts", "breathe")

    def __init__(self, proto: int, bytes_max: int | None, breathe: Callable[[], None] | None = None) -> None:
        self.proto = proto
        self.breathe = breathe
        self.bytes_max = bytes_max
        self.size = 0
        self.parts: list[bytes] = []

    def whole(self) -> bytes:
        return b"".join(self.parts)

    def put(self, part: bytes) -> None:
        self.size += len(part)
        if self.bytes_max is not None and self.size > self.bytes_max:
            self.parts.clear()
            raise OverrunError
        self.parts.append(part)

    def bulk(self, text: bytes) -> None:
        if self.bytes_max is not None and self.size + len(text) > self.bytes_max:
            self.parts.clear()
            raise OverrunError  # raised before it is copied
        self.put(b"$%d\r\n%b\r\n" % (len(text), text))

    def write(self, reply: Reply) -> None:
        if isinstance(reply, bytes):
            self.bulk(reply)
        elif reply is None:
            self.put(b"_\r\n" if self.proto == 3 else b"$-1\r\n")
        elif isinstance(reply, int):
            self.put(b":%d\r\n" % reply)
        elif isinstance(reply, Simple):
            self.put(b"+%b\r\n" % reply.text)
        elif isinstance(reply, Error):
            self.put(b"-%b\r\n" % reply.text)
        elif isinstance(reply, Raw):
            self.put(reply.encoded)
        elif isinstance(reply, Verbatim):
            if self.proto == 3:
                self.put(b"=%d\r\ntxt:%b\r\n" % (len(reply.text) + 4, reply.text))
            else:
                self.bulk(reply.text)
        elif isinstance(reply, Double):
            if self.proto == 3:
                self.put(b",%b\r\n" % reply.digits)
            else:
                self.bulk(reply.digits)
        elif isinstance(reply, Bool):
            self.put((b"#t\r\n" if reply.truth else b"#f\r\n") if self.proto == 3 else b":%d\r\n" % reply.truth)
        elif isinstance(reply, NilArray):
            self.put(b"_\r\n" if self.proto == 3 else b"*-1\r\n")
        elif isinstance(reply, Each):
            if not Writing(self, reply).go_on(self._at_breaths()):
                raise LONG_WALK
        elif isinstance(reply, Named):
            self.put(b"%%%d\r\n" % len(reply.values) if self.proto == 3 else b"*%d\r\n" % (2 * len(reply.values)))
            for name, value in reply.values.items():
                self.write(Simple(name))
                self.write(value)
        else:
            self._many(reply)

    def _at_breaths(self) -> Callable[[], bool]:
        breaths, breathe = iter(range(BREATHS_MAX)), self.breathe

        def enough() -> bool:
            if breathe is not None:
                breathe()
            return next(breaths, None) is None

        return enough

    def _many(self, reply: list[Reply] | dict[bytes, Reply] | Flags | Push) -> None:
        if isinstance(reply, dict):
            self.put(b"%%%d\r\n" % len(reply) if self.proto == 3 else b"*%d\r\n" % (2 * len(reply)))
            for name, value in reply.items():
                self.write(name)
                self.write(value)
            return
        items, mark = reply, b"*"
        if isinstance(reply, Flags):
            items, mark = reply.items, b"~" if self.proto == 3 else b"*"
        elif isinstance(reply, Push):
            items, mark = reply.items, b">" if self.proto == 3 else b"*"
        self.put(b"%b%d\r\n" % (mark, len(items)))
        for item in items:
            self.write(item)


def breathing(items: "Iterator[Reply]", at_once: int = 32) -> "Iterator[Reply | Breath]":
    """Inserts a Breath after every so many items, which together should take 0.1 ms."""
    for number, item in enumerate(items):
        yield item
        if not number % at_once:
            yield BREATH


class Writing:
    """An `Each` under way."""

    __slots__ = ("writer", "items", "kind", "at", "begin", "count", "joined", "slices")

    def __init__(self, writer: Writer, reply: Each) -> None:
        self.writer = writer
        self.items = reply.items
        self.kind = reply.kind
        self.at = len(writer.parts)  # the length is filled in here at the end
        self.count = 0
        writer.put(b" " * HEAD_BYTES_MAX)
        self.begin = writer.size
        # earlier parts are joined, one for each slice: joining and freeing a million at the end took 80 ms
        self.joined = len(writer.parts)
        self.slices = 0  # that ended before all was written

    def go_on(self, enough: Callable[[], bool]) -> bool:
        """Writes on until `enough`, which is called at each breath, returns True. Returns whether all is written."""
        writer = self.writer
        for item in self.items:
            if isinstance(item, Breath):
                if enough():
                    writer.parts[self.joined :] = [b"".join(writer.parts[self.joined :])]
                    self.joined += 1
                    self.slices += 1
                    return False
                continue
            if isinstance(item, Some):
                writer.put(item.encoded)
                self.count += item.number
                continue
            if self.kind == b"=":
                assert isinstance(item, bytes)
                writer.put(item)
            else:
                writer.write(item)
            self.count += 1
        writer.parts[self.at] = self._head()
        return True

    def _head(self) -> bytes:
        size, proto = self.writer.size - self.begin, self.writer.proto
        if self.kind == b"=":
            self.writer.put(b"\r\n")
            return b"=%d\r\ntxt:" % (size + 4) if proto == 3 else b"$%d\r\n" % size
        if self.kind == b"%" and proto == 3:
            return b"%%%d\r\n" % (self.count // 2)
        if self.kind == b"~" and proto == 3:
            return b"~%d\r\n" % self.count
        return b"*%d\r\n" % self.count if self.kind else b""

    @property
    def held_bytes(self) -> int:
        """Bytes held, with those by which a walk avoids repeating a key."""
        return self.writer.size + self.count * ITEM_BYTES


def split_replies(data: bytes) -> list[bytes]:
    """Splits a sequence of replies of this node into single replies."""
    found, at = [], 0
    while at < len(data):
        end = _end_of(data, at)
        found.append(data[at:end])
        at = end
    return found


def _end_of(data: bytes, at: int) -> int:
    line_end = data.index(b"\r\n", at)
    kind, number = data[at : at + 1], parse_int(data[at + 1 : line_end])
    at = line_end + 2
    if kind in (b"$", b"=") and number is not None and number >= 0:
        return at + number + 2
    if kind in (b"*", b"~", b"%"):
        for _ in range((number or 0) * (2 if kind == b"%" else 1)):
            at = _end_of(data, at)
    return at
