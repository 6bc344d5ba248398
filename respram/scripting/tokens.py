"""A script's text as tokens: words, texts, numbers and marks. `tails.py` has the pattern that finds where each ends.

What the small part of Lua that is compiled does not know (long strings, other escapes, other numbers) raises Odd: the
script is Lua's.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from respram.scripting.tails import TOKEN

NUMBER = re.compile(rb"[0-9]{1,15}(\.[0-9]{1,6})?\Z")
MARKS = re.compile(rb"==|~=|<=|>=|\.\.\.|\.\.|[\s\S]")
ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b'"': b'"', b"'": b"'", b"0": b"\0"}


class Odd(Exception):
    """The script uses something that only Lua can run."""


class Token(NamedTuple):
    kind: bytes  # `word`, `text`, `number`, `mark`; b"": the end
    value: bytes


def tokens_of(text: bytes) -> Iterator[Token]:
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        assert found is not None
        at, kind, value = found.end(), found.lastgroup, found[0]
        if kind == "level" or kind == "long":
            if not value.startswith(b"--"):
                raise Odd  # a long string
            end = text.find(b"]" + found["level"] + b"]", at)
            if end < 0:
                raise Odd
            at = end + len(found["level"]) + 2
        elif kind == "mark":
            mark = MARKS.match(text, found.start())
            assert mark is not None
            at = mark.end()
            yield Token(b"mark", mark[0])
        elif kind == "text":
            yield Token(b"text", _unescaped(value[1:-1]))
        elif kind == "number":
            if NUMBER.match(value) is None:
                raise Odd
            yield Token(b"number", value)
        elif kind == "word":
            yield Token(b"word", value)
    yield Token(b"", b"")


def _unescaped(inner: bytes) -> bytes:
    if b"\\" not in inner:
        return inner
    out, at = bytearray(), 0
    while at < len(inner):
        if inner[at] == 92:
            at += 1
            known = ESCAPES.get(inner[at : at + 1])
            if known is None or (known == b"\0" and inner[at + 1 : at + 2].isdigit()):
                raise Odd
            out += known
        else:
            out.append(inner[at])
        at += 1
    return bytes(out)
