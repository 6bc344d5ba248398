"""Glob patterns over bytes, as KEYS, SCAN, PSUBSCRIBE, CONFIG GET and key patterns read them. Pure; knows no command.
engine/native/glob.c says the same in C.

Redis matches by recursion, whose time explodes with the number of stars. Here a pattern is cut at its
stars into pieces of fixed length: the first is anchored at the beginning, the last at the end, and
each of the others is taken where it first fits. That is enough, because a piece that fits earlier
never leaves less room for the next. So the time is bounded by the length of pattern times text.
"""

import re
from functools import lru_cache

GLOB_BYTES_MAX = 16_384  # a longer pattern matches nothing: compiling it would hold the node
COMPILED_MAX = 64  # compiled patterns in the cache; SCAN repeats its pattern

Piece = tuple[int, re.Pattern[bytes]]
Glob = list[Piece]  # empty: it matches nothing


def glob_match(pattern: bytes, text: bytes) -> bool:
    """Whether the whole text matches: `*`, `?`, `[a-z]`, `[^a]` and a backslash before any byte."""
    return fits(compile_glob(pattern), text)


def compile_glob(pattern: bytes) -> Glob:
    return _compiled(pattern) if len(pattern) <= GLOB_BYTES_MAX else []


def fits(pieces: Glob, text: bytes) -> bool:
    if not pieces:
        return False
    size, first = pieces[0]
    if not text:
        # Redis reads the pattern only while there is text, so `*` does not match the empty text.
        return len(pieces) == 1 and not size
    if len(pieces) == 1:
        return len(text) == size and first.match(text) is not None
    last_size, last = pieces[-1]
    end = len(text) - last_size
    if end < size or first.match(text) is None or last.match(text, end) is None:
        return False
    begin = size
    for piece_size, piece in pieces[1:-1]:
        found = piece.search(text, begin, end)
        if found is None:
            return False
        begin = found.start() + piece_size
    return True


def glob_steps(pattern: bytes, text_bytes: int) -> int:
    """No match of the native engine's with a text of so many bytes compares more often."""
    if len(pattern) > GLOB_BYTES_MAX:
        return 1
    pieces = _compiled(pattern)
    return 1 + sum(size for size, _ in pieces) * (text_bytes + 1 if len(pieces) > 2 else 1)


@lru_cache(maxsize=COMPILED_MAX)
def _compiled(pattern: bytes) -> list[Piece]:
    """The pieces between the stars with their lengths in bytes; one piece if there is no star."""
    pieces: list[Piece] = []
    elements: list[bytes] = []
    at = 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        if byte == b"*":
            pieces.append((len(elements), re.compile(b"".join(elements), re.DOTALL)))
            elements = []
            while pattern[at : at + 1] == b"*":
                at += 1
            continue
        if byte == b"?":
            elements.append(b".")
            at += 1
        elif byte == b"[":
            element, at = _class(pattern, at + 1)
            elements.append(element)
        else:
            if byte == b"\\" and at + 1 < len(pattern):
                at += 1
            elements.append(re.escape(pattern[at : at + 1]))
            at += 1
    pieces.append((len(elements), re.compile(b"".join(elements), re.DOTALL)))
    return pieces


def _class(pattern: bytes, at: int) -> tuple[bytes, int]:
    """A character class as a regular expression, and where the pattern goes on.

    `at` is behind the bracket. A class that is never closed ends with the pattern, and `]` ends it
    even as its first member: both as Redis does it.
    """
    negated = pattern[at : at + 1] == b"^"
    at += negated
    members: set[int] = set()
    while at < len(pattern) and pattern[at] != ord("]"):
        rest = len(pattern) - at
        if pattern[at] == ord("\\") and rest >= 2:
            members.add(pattern[at + 1])
            at += 2
        elif rest >= 3 and pattern[at + 1] == ord("-"):
            low, high = sorted((pattern[at], pattern[at + 2]))
            members.update(range(low, high + 1))
            at += 3
        else:
            members.add(pattern[at])
            at += 1
    if negated:
        members = set(range(256)) - members
    if not members:
        return b"(?!)", at + 1  # an empty class, which no byte matches
    return b"[" + b"".join(b"\\x%02x" % member for member in sorted(members)) + b"]", at + 1
