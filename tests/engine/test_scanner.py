"""The pure engine's scanner: any bytes in any split give the same commands and the same fault."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from respram.engine.pure.inline import split_inline
from respram.engine.pure.scanner import Command, Scanner

from .rig import SETTINGS, request

piece = st.one_of(
    st.lists(st.binary(max_size=40), min_size=1, max_size=5).map(lambda argv: request(*argv)),
    st.sampled_from(
        [b"PING\r\n", b"\r\n", b"\n", b"*0\r\n", b"*-1\r\n", b"*1\r\n+A\r\n", b"*2\r\n$1\r\na\r\n:1\r\n",
         b"*1\r\n$-1\r\n",
         b"*01\r\n$1\r\na\r\n", b"*1\r\n$1\r\naXY", b"*1\r\n*1\r\n$1\r\na\r\n", b"*1000001\r\n", b"%1\r\n",
         b"$3\r\nGET\r\n",
         b"get 'a b' \"\\x00\\n\"\r\n", b"a\"b\r\n", b"*1\r\n(12\r\n", b"*1\r\n_\r\n", b"*1\r\n#t\r\n", b"a\x00b c\n"]
    ),
    st.binary(max_size=30),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(piece, max_size=6).map(b"".join), st.lists(st.integers(1, 20), min_size=1), st.booleans())
@example(b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n*1\r\n:1\r\n", [1], True)
def test_any_split_gives_the_same_commands(data: bytes, sizes: list[int], trusted: bool) -> None:
    strict = scan_strictly(data, trusted)
    assert scan([data], trusted) == strict
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[at : at + size])
        at += size
    assert scan(pieces, trusted) == strict


@given(st.lists(st.lists(st.binary(max_size=100), min_size=1, max_size=6), min_size=1, max_size=8))
def test_what_a_client_packs_is_what_is_scanned(commands: list[Command]) -> None:
    assert scan([b"".join(request(*argv) for argv in commands)], True) == (commands, None)


def test_numbers_are_read_strictly() -> None:
    for digits in (b"+1", b" 1", b"1 ", b"01", b"1_0", b"", b"-0", b"9223372036854775808"):
        assert scan([b"*" + digits + b"\r\n$1\r\na\r\n"], True) == ([], b"invalid multibulk length"), digits
        assert scan([b"*1\r\n$" + digits + b"\r\na\r\n"], True) == ([], b"invalid bulk length"), digits


def test_an_announced_length_costs_nothing_before_its_bytes_come() -> None:
    scanner = Scanner(SETTINGS)
    scanner.push(b"*1048576\r\n$67108864\r\nabc")
    assert scanner.take(True) == [] and scanner.fault is None
    assert scanner.buffered_bytes < 1000


def test_one_command_may_not_outgrow_the_query_buffer() -> None:
    scanner = Scanner(SETTINGS._replace(query_bytes_max=10_000))
    scanner.push(b"*100\r\n")
    for _ in range(20):
        scanner.push(b"$1000\r\n" + b"x" * 1000 + b"\r\n")
        assert scanner.take(True) == []
    assert scanner.fault == b""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  a  b ", [b"a", b"b"]),
        (b"'a b' \"c d\"", [b"a b", b"c d"]),
        (b"a'b'", [b"ab"]),
        (b'"\\x41\\n\\r\\t\\b\\a\\\\\\""', [b'A\n\r\t\b\a\\"']),
        (b"'\\'x\\n'", [b"'x\\n"]),
        (b"'a'b", None),
        (b'"a', None),
        (b"'", None),
        (b"\x0b a\x0bb\x0cc \x0c", [b"a\x0bb\x0cc"]),
        (b'"\\xZZ"', [b"xZZ"]),
        (b"'' \"\"", [b"", b""]),
    ],
)
def test_inline_words_are_split_as_redis_splits_them(line: bytes, words: Command | None) -> None:
    assert split_inline(line) == words


def scan(pieces: list[bytes], trusted: bool) -> tuple[list[Command], bytes | None]:
    scanner = Scanner(SETTINGS)
    commands: list[Command] = []
    for one in pieces:
        scanner.push(one)
        while taken := scanner.take(trusted):
            commands += taken
    return commands, scanner.fault


def scan_strictly(data: bytes, trusted: bool) -> tuple[list[Command], bytes | None]:
    """Without hiredis: what its use must not change."""
    scanner = Scanner(SETTINGS)
    scanner.push(data)
    commands: list[Command] = []
    scanner._scan(commands, trusted, 1 << 30)
    return commands, scanner.fault
