"""Parses inline commands: a line of words, as typed into telnet. The twin of native/inline.c."""

import re

BLANKS = b" \t\n\v\f\r"
ENDS_WORD = b" \t\n\r"  # inside an unquoted word the other two are ordinary bytes, as in Redis
ESCAPES = {0x6E: 0x0A, 0x72: 0x0D, 0x74: 0x09, 0x62: 0x08, 0x61: 0x07}


def split_inline(line: bytes) -> list[bytes] | None:
    """The words of an inline command, quotes and escapes resolved as redis-cli's users know them;
    None: a quote is not closed, or is closed in the middle of a word. No line has a NUL: see scanner.py."""
    words: list[bytes] = []
    at = 0
    while True:
        while at < len(line) and line[at] in BLANKS:
            at += 1
        if at == len(line):
            return words
        word, at = _word(line, at)
        if word is None:
            return None
        words.append(word)


def _word(line: bytes, at: int) -> tuple[bytes | None, int]:
    word = bytearray()
    while at < len(line) and line[at] not in ENDS_WORD:
        byte = line[at]
        if byte not in b"\"'":
            word.append(byte)
            at += 1
            continue
        end = _double_quoted(line, at + 1, word) if byte == 0x22 else _single_quoted(line, at + 1, word)
        if end < 0 or (end < len(line) and line[end] not in BLANKS):
            return None, at
        return bytes(word), end
    return bytes(word), at


def _double_quoted(line: bytes, at: int, word: bytearray) -> int:
    """Appends what is quoted; the place behind the closing quote, -1 where there is none."""
    while at < len(line):
        byte = line[at]
        if byte == 0x22:
            return at + 1
        if byte == 0x5C and at + 1 < len(line):
            hexadecimal = re.compile(rb"x([0-9a-fA-F]{2})").match(line, at + 1)
            if hexadecimal:
                word += bytes.fromhex(hexadecimal[1].decode())
                at += 4
                continue
            at += 1
            byte = ESCAPES.get(line[at], line[at])
        word.append(byte)
        at += 1
    return -1


def _single_quoted(line: bytes, at: int, word: bytearray) -> int:
    while at < len(line):
        byte = line[at]
        if byte == 0x27:
            return at + 1
        if byte == 0x5C and line[at + 1 : at + 2] == b"'":
            at += 1
            byte = 0x27
        word.append(byte)
        at += 1
    return -1
