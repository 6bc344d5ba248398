"""INCRBYFLOAT as a fast path: to the last digit what a long double of x86 makes of it."""

from fractions import Fraction

from hypothesis import strategies as st

from respram.engine.api import Engine, Session
from respram.longdouble import formatted, rounded
from tests import dear

from .conftest import ENGINES
from .rig import NOW, SETTINGS, Cold, request

NUMBERS = st.tuples(st.booleans(), st.integers(0, 10**18 - 1), st.integers(0, 17)).map(lambda three: spelled(*three))


def spelled(negative: bool, digits: int, decimals: int) -> bytes:
    text = b"%0*d" % (decimals + 1, digits)
    whole, behind = text[: len(text) - decimals], text[len(text) - decimals :]
    return b"-" * negative + whole + (b"." + behind if behind else b"")


def started(name: str) -> tuple[Engine, Session]:
    engine = ENGINES[name](SETTINGS)
    session = engine.session(Cold())
    session.hot = session.trusted = True
    return engine, session


@dear.sampled(100, 400, st.lists(NUMBERS, min_size=1, max_size=5))
def test_sums_are_those_of_long_doubles(numbers: list[bytes]) -> None:
    found = []
    for name in ENGINES:
        engine, session = started(name)
        replies = [bytes(engine.feed(session, request(b"INCRBYFLOAT", b"k", number), NOW)) for number in numbers]
        known: Fraction | None = Fraction(0)
        for number, reply in zip(numbers, replies, strict=True):
            if reply == b"+cold\r\n":
                break
            step = rounded(Fraction(number.decode()))
            assert known is not None and step is not None
            known = rounded(known + step)
            assert known is not None
            text = formatted(known)
            assert reply == b"$%d\r\n%b\r\n" % (len(text), text)
            known = rounded(Fraction(text.decode()))  # it is read again from its text
        found.append(replies)
    if sum(char != ord(".") and char != ord("-") for char in numbers[0]) <= 18:
        assert found[0][0] != b"+cold\r\n"
    assert all(one == found[0] for one in found) or b"+cold\r\n" in found[-1]


def test_what_is_there_keeps_its_deadline_and_other_forms_are_for_the_commands(engine: Engine) -> None:
    session = engine.session(Cold())
    session.hot = session.trusted = True

    def ask(*argv: bytes) -> bytes:
        return bytes(engine.feed(session, request(*argv), NOW))

    ask(b"SET", b"k", b"10.5", b"PX", b"5000")
    reply = ask(b"INCRBYFLOAT", b"k", b"0.1")
    assert reply == b"$4\r\n10.6\r\n" or (engine.name == "native" and reply == b"+cold\r\n")
    assert ask(b"PTTL", b"k") == b":5000\r\n"
    if reply == b"$4\r\n10.6\r\n":
        assert (
            ask(b"INCRBYFLOAT", b"k", b"-10.6") == b"$1\r\n0\r\n"
            and ask(b"INCRBYFLOAT", b"new", b"3.0") == b"$1\r\n3\r\n"
        )
        assert ask(b"INCRBYFLOAT", b"new", b"-0") == b"$1\r\n3\r\n"
    for odd in (b"1e3", b"inf", b"nan", b"0x1", b"1.", b".5", b"+1", b" 1", b"01", b"-", b"", b"1.2.3", b"1" * 19,
                b"0." + b"1" * 18):
        assert ask(b"INCRBYFLOAT", b"k", odd) == b"+cold\r\n", odd
    ask(b"SET", b"word", b"abc")
    assert ask(b"INCRBYFLOAT", b"word", b"1") == b"+cold\r\n" and ask(b"INCRBYFLOAT", b"k") == b"+cold\r\n"
