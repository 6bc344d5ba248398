"""What a command answers with, and how that becomes bytes in RESP2 and RESP3.

A handler returns plain Python values; the few shapes that RESP has and Python lacks are the classes
here. Nothing in this file knows a command.

| value | RESP2 | RESP3 |
| None | `$-1` | `_` |
| NIL_ARRAY (a failed EXEC) | `*-1` | `_` |
| int | `:n` | `:n` |
| bytes | bulk | bulk |
| list, tuple | array | array |
| dict | flat array | map |
| Simple | `+text` | `+text` |
| Flags | array | set |
| Push | array | push |
| Verbatim | bulk | `=txt:` |
| Double | bulk | `,` |
| Error | `-text` | `-text` |
| Raw | as it is | as it is |
| NOTHING | no reply at all | no reply at all |
"""

from typing import NamedTuple, Union

from respram.integers import parse_int


class Simple(NamedTuple):
    text: bytes


class Error(NamedTuple):
    text: bytes  # all that stands behind the minus sign


class Verbatim(NamedTuple):
    text: bytes


class Double(NamedTuple):
    digits: bytes  # already formatted: two servers must not differ in the last digit


class Raw(NamedTuple):
    encoded: bytes


class Flags(NamedTuple):
    items: "list[Reply]"


class Push(NamedTuple):
    items: "list[Reply]"


class NilArray(NamedTuple):
    pass


Reply = Union[
    None, int, bytes, list["Reply"], dict[bytes, "Reply"], Simple, Error, Verbatim, Double, Raw, Flags, Push, NilArray
]

OK = Simple(b"OK")
NIL_ARRAY = NilArray()
NOTHING = Raw(b"")


def encode(reply: Reply, proto: int) -> bytes:
    """The reply as bytes for a connection that speaks RESP `proto` (2 or 3)."""
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    parts: list[bytes] = []
    _write(reply, proto, parts)
    return b"".join(parts)


def _write(reply: Reply, proto: int, out: list[bytes]) -> None:
    if isinstance(reply, bytes):
        out.append(b"$%d\r\n%b\r\n" % (len(reply), reply))
    elif reply is None:
        out.append(b"_\r\n" if proto == 3 else b"$-1\r\n")
    elif isinstance(reply, int):
        out.append(b":%d\r\n" % reply)
    elif isinstance(reply, Simple):
        out.append(b"+%b\r\n" % reply.text)
    elif isinstance(reply, Error):
        out.append(b"-%b\r\n" % reply.text)
    elif isinstance(reply, Raw):
        out.append(reply.encoded)
    elif isinstance(reply, Verbatim):
        if proto == 3:
            out.append(b"=%d\r\ntxt:%b\r\n" % (len(reply.text) + 4, reply.text))
        else:
            out.append(b"$%d\r\n%b\r\n" % (len(reply.text), reply.text))
    elif isinstance(reply, Double):
        if proto == 3:
            out.append(b",%b\r\n" % reply.digits)
        else:
            out.append(b"$%d\r\n%b\r\n" % (len(reply.digits), reply.digits))
    elif isinstance(reply, NilArray):
        out.append(b"_\r\n" if proto == 3 else b"*-1\r\n")
    else:
        _write_many(reply, proto, out)


def _write_many(reply: list[Reply] | dict[bytes, Reply] | Flags | Push, proto: int, out: list[bytes]) -> None:
    if isinstance(reply, dict):
        out.append(b"%%%d\r\n" % len(reply) if proto == 3 else b"*%d\r\n" % (2 * len(reply)))
        for name, value in reply.items():
            _write(name, proto, out)
            _write(value, proto, out)
        return
    items, mark = reply, b"*"
    if isinstance(reply, Flags):
        items, mark = reply.items, b"~" if proto == 3 else b"*"
    elif isinstance(reply, Push):
        items, mark = reply.items, b">" if proto == 3 else b"*"
    out.append(b"%b%d\r\n" % (mark, len(items)))
    for item in items:
        _write(item, proto, out)


def split_replies(data: bytes) -> list[bytes]:
    """RESP2 replies of this node, one behind the other, each by itself."""
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
    if kind == b"$" and number is not None and number >= 0:
        return at + number + 2
    if kind == b"*":
        for _ in range(number or 0):
            at = _end_of(data, at)
    return at
