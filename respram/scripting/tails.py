"""Checks a script's text before Lua compiles it, for tail calls and for too many parameters.

`return f(x)` of a script becomes `return __redis__all(1,f(x))`, on the same line: the same values, but no tail call.

Lua forgets a function that ends with a call of another one. In Redis that does no harm where the other is a C function
(`return redis.call(...)`), because those leave the caller on the stack: an error is told with the script's line. Here
most of those functions are Lua, and the line would be lost. (`select(1, ...)` hands on all values; the name is one that
the sandbox provides.) The price: a script that recurses by tail calls more than 20,000 deep ends with a stack overflow.


**Many parameters before `...`.** Lua 5.1.5 as lupa has it does not count them when it makes room on its stack
(CVE-2014-5461): a script could write behind it. So more than PARAMETERS_MAX are refused.

Both depend on cutting a text into tokens as Lua does. A text that is cut differently here must be none that Lua
compiles.
"""

import re
from collections.abc import Iterator

PARAMETERS_MAX = 4  # before `...`, including a method's `self`; Lua has 5 slots to spare
KEEP = b"__redis__all(1,"

# Comments and long strings are matched by their level; everything else is one token.
TOKEN = re.compile(
    rb"(?P<blank>[ \t\r\n\v\f]+)"
    rb"|(?P<long>(?:--)?\[(?P<level>=*)\[)"
    rb"|(?P<comment>--[^\r\n]*)"
    rb"|(?P<text>\"(?:\\(?:\r\n|\n\r|[\s\S])|[^\"\\\n])*\"|'(?:\\(?:\r\n|\n\r|[\s\S])|[^'\\\n])*')"
    rb"|(?P<word>[A-Za-z_][A-Za-z_0-9]*)"
    rb"|(?P<number>[0-9](?:[eE][+-]|[A-Za-z0-9_.])*)"
    rb"|(?P<mark>[\s\S])"
)
OPENS = frozenset({b"function", b"do", b"if", b"repeat"})
CLOSES = frozenset({b"end", b"until"})
ENDS = frozenset({b"end", b"until", b"else", b"elseif", b";"})  # words that end a return statement


class _Return:
    """A return statement whose end has not come yet."""

    def __init__(self, blocks: int, at: int) -> None:
        self.blocks = blocks  # open blocks at its position
        self.at = at  # offset in the output of its first value
        self.first = b""
        self.last = b""
        self.last_at = at  # offset in the output after the last token
        self.brackets = 0
        self.is_list = False


def tokens(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Kinds and tokens, blanks and comments among them; together they are the text."""
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        assert found is not None
        kind, token = found.lastgroup or "", found[0]
        if found["long"] is not None:
            kind, token = _long(text, at, found)
        yield kind, token
        at += len(token)


def has_too_many_parameters(text: bytes) -> bool:
    """Whether a function takes more than PARAMETERS_MAX before `...`."""
    if b"..." not in text:
        return False
    names = dots = -1  # -1: outside a parameter list
    heading = False  # after the word `function`, before the parenthesis
    for kind, token in tokens(text):
        if kind in ("blank", "comment"):
            continue
        if kind == "word" and token == b"function":
            heading, names, dots = True, 0, 0
        elif heading and token == b"(":
            heading, dots = False, 0
        elif heading:
            names += token == b":"
        elif names >= 0:
            if token == b")":
                names = -1
            elif kind == "word":
                names += 1
            elif token == b".":
                dots += 1
                if dots == 3 and names > PARAMETERS_MAX:
                    return True
    return False


def keep_tails(text: bytes) -> bytes:
    """A text that is no Lua comes back changed or unchanged, and is no Lua either way."""
    if b"return" not in text:
        return text
    out: list[bytes] = []
    waiting: list[_Return] = []
    blocks = 0
    for kind, token in tokens(text):
        if kind in ("blank", "comment"):
            out.append(token)
            continue
        while (
            waiting
            and token in ENDS
            and waiting[-1].blocks == blocks
            and not waiting[-1].brackets
            and kind in ("word", "mark")
        ):
            _close(waiting.pop(), out)
        is_word = kind == "word"
        if is_word and token in OPENS:
            blocks += 1
        elif is_word and token in CLOSES:
            blocks -= 1
        out.append(token)
        if waiting:
            _note(waiting[-1], kind, token, blocks, len(out))
        if is_word and token == b"return":
            waiting.append(_Return(blocks, len(out)))
    while waiting:
        _close(waiting.pop(), out)
    return b"".join(out)


def _long(text: bytes, at: int, found: "re.Match[bytes]") -> tuple[str, bytes]:
    end = text.find(b"]" + found["level"] + b"]", found.end())
    end = len(text) if end < 0 else end + len(found["level"]) + 2
    return ("comment" if found["long"].startswith(b"--") else "text"), text[at:end]


def _note(statement: _Return, kind: str, token: bytes, blocks: int, at: int) -> None:
    if not statement.first:
        statement.first = kind.encode() if kind != "mark" else token
    statement.last = kind.encode() if kind != "mark" else token
    statement.last_at = at
    if blocks == statement.blocks and kind == "mark":
        if token in (b"(", b"[", b"{"):
            statement.brackets += 1
        elif token in (b")", b"]", b"}"):
            statement.brackets -= 1
        elif token == b"," and not statement.brackets:
            statement.is_list = True


def _close(statement: _Return, out: list[bytes]) -> None:
    """A call alone is what it may be: it begins with a name or a bracket, and ends with arguments."""
    if statement.is_list or statement.first not in (b"word", b"(") or statement.last not in (b")", b"}", b"text"):
        return
    out[statement.last_at - 1] += b")"
    out[statement.at - 1] += b" " + KEEP  # the word `return` itself
