"""Error texts are replies of one line, and those that carry a name carry it where Redis puts it."""

import pytest

from respram.commands import texts
from respram.commands.reply import Error, encode
from respram.errors import ClientError

from .rig import Client, Reference

CONSTANTS = {name: value for name, value in vars(texts).items() if isinstance(value, ClientError)}


@pytest.mark.parametrize("name", sorted(CONSTANTS))
def test_a_text_is_one_line_with_a_prefix(name: str) -> None:
    text = CONSTANTS[name].text
    assert encode(Error(text), 2) == b"-" + text + b"\r\n"
    assert text.split(b" ")[0].isupper() and b"\r" not in text and b"\n" not in text


def test_names_are_put_into_sentences() -> None:
    assert texts.wrong_arity(b"client|setname").text == b"ERR wrong number of arguments for 'client|setname' command"
    assert texts.invalid_expire(b"set").text == b"ERR invalid expire time in 'set' command"


def test_line_breaks_become_blanks() -> None:
    assert b"a\r\nb".translate(texts.ONE_LINE) == b"a  b"


def test_texts_are_those_of_redis(client: Client, reference: Reference) -> None:
    said = set()
    for words in (
        b"SET a b FOO", b"INCRBY a x", b"INCRBYFLOAT a x", b"SETRANGE a -1 x", b"SELECT 99", b"COPY a a",
        b"SETEX a 0 v", b"GET", b"SETRANGE a 536870912 xx",
    ):  # fmt: skip
        argv = words.split(b" ")
        reply = client(*argv)
        assert reply == reference(*argv), words
        said.add(reply)
    assert len(said) == 9
