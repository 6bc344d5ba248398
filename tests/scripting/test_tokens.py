"""Where a token ends, what a text says, and what is left to Lua."""

import pytest

from respram.scripting.tokens import Odd, tokens_of


def said(text: bytes) -> list[tuple[bytes, bytes]]:
    return [(one.kind, one.value) for one in tokens_of(text)]


def test_words_numbers_texts_and_marks_are_told_apart() -> None:
    assert said(b"local a1 = 'x y' .. 12.5") == [
        (b"word", b"local"), (b"word", b"a1"), (b"mark", b"="), (b"text", b"x y"), (b"mark", b".."),
        (b"number", b"12.5"), (b"", b""),
    ]  # fmt: skip
    assert said(b"") == [(b"", b"")]


@pytest.mark.parametrize("mark", [b"==", b"~=", b"<=", b">=", b"...", b"..", b"<", b">", b"+", b"("])
def test_the_longest_mark_is_taken(mark: bytes) -> None:
    assert said(b"a" + mark + b" b")[1] == (b"mark", mark)


def test_comments_are_nothing_to_their_end() -> None:
    assert said(b"a -- b c\nd --[[ e\n]] f --[=[ ]] ]=] g") == [
        (b"word", name) for name in (b"a", b"d", b"f", b"g")
    ] + [(b"", b"")]


def test_the_escapes_that_are_known_are_read() -> None:
    assert said(rb"""'\\ \n \t \r \' \0 \"'""")[0] == (b"text", b"\\ \n \t \r ' \0 \"")


@pytest.mark.parametrize(
    "text",
    [b"[[long]]", b"--[[ without an end", rb"'\65'", rb"'\01'", rb"'\x41'", b"1e9", b"0x10", b"1234567890123456"],
)
def test_anything_else_is_left_to_lua(text: bytes) -> None:
    with pytest.raises(Odd):
        said(text)
