"""Draws: the same row from the same seed in both engines, and evenly spread. All seeds are fixed, so no run differs."""

from collections import Counter
from math import comb, sqrt

import pytest

from respram.engine.api import Engine, Session
from respram.engine.pure.draws import Draws
from respram.record import HASH, SET, ZSET

from .conftest import ENGINES
from .rig import NOW, SETTINGS, Cold, request

SIGMAS = 5  # what a fixed row of draws may be off: one row of 1.7 million is further off by chance
COMMANDS = {SET: b"SRANDMEMBER", HASH: b"HRANDFIELD", ZSET: b"ZRANDMEMBER"}


def hot(engine: Engine, cold: Cold) -> Session:
    session = engine.session(cold)
    session.hot = session.trusted = True
    return session


def filled(engine: Engine, kind: int, size: int) -> Session:
    session = hot(engine, Cold())
    engine.found(0, b"k", kind, NOW + 60_000, False, NOW)
    for number in range(size):
        engine.put_member(0, b"k", b"%d" % number, b"\x00" * 8 if kind == ZSET else b"", None, NOW)
    return session


def ask(engine: Engine, session: Session, *argv: bytes) -> list[bytes]:
    """The names of a reply."""
    reply = bytes(engine.feed(session, request(*argv), NOW))
    assert reply != b"+cold\r\n"
    lines = reply.split(b"\r\n")
    return lines[1::2] if reply.startswith(b"$") else lines[2::2]


def is_even(counts: Counter[bytes], drawn: int, size: int, chance: float) -> bool:
    """Whether each was drawn about as often as its chance says."""
    off = sqrt(drawn * chance * (1 - chance)) * SIGMAS
    return len(counts) == size and all(abs(count - drawn * chance) < off for count in counts.values())


def test_the_generator_is_the_one_that_is_written_down() -> None:
    draws = Draws(1234567)
    assert [draws.next() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("name", list(ENGINES))
@pytest.mark.parametrize("seed", [0, 5, (1 << 64) - 1])
def test_both_engines_draw_the_row_of_the_seed(name: str, seed: int) -> None:
    engine, draws = ENGINES[name](SETTINGS._replace(seed=seed)), Draws(seed)
    for end in [1, 2, 3, 1000, (1 << 32) + 1, (1 << 64) - 1] * 50:
        one = engine.draw(end)
        assert one == draws.below(end) and 0 <= one < end
    engine.configure(SETTINGS._replace(seed=9))
    assert engine.draw(1 << 60) == draws.below(1 << 60), "a seed is no setting that changes"


def test_other_seeds_draw_other_rows() -> None:
    rows = {tuple(Draws(seed).below(1 << 32) for _ in range(4)) for seed in range(1000)}
    assert len(rows) == 1000


@pytest.mark.parametrize("kind", list(COMMANDS))
def test_each_member_is_drawn_as_often_as_any_other(engine: Engine, kind: int) -> None:
    size, rounds = 23, 400
    session = filled(engine, kind, size)
    one, anew = Counter[bytes](), Counter[bytes]()
    for _ in range(rounds):
        one.update(ask(engine, session, COMMANDS[kind], b"k"))
        anew.update(ask(engine, session, COMMANDS[kind], b"k", b"-20"))
    assert is_even(one, rounds, size, 1 / size) and is_even(anew, 20 * rounds, size, 1 / size)


@pytest.mark.parametrize("kind", list(COMMANDS))
@pytest.mark.parametrize("count", [1, 3, 12, 22])
def test_different_members_are_drawn_evenly(engine: Engine, kind: int, count: int) -> None:
    size, rounds = 23, 600
    session = filled(engine, kind, size)
    drawn = Counter[bytes]()
    for _ in range(rounds):
        names = ask(engine, session, COMMANDS[kind], b"k", b"%d" % count)
        assert len(names) == len(set(names)) == count
        drawn.update(names)
    assert is_even(drawn, rounds, size, count / size)


def test_every_choice_of_members_comes(engine: Engine) -> None:
    """Not only each member: each pair and triple of them, so that no two are drawn together too often."""
    session = filled(engine, SET, 6)
    for count in (2, 3):
        choices = Counter(b" ".join(sorted(ask(engine, session, b"SRANDMEMBER", b"k", b"%d" % count)))
                          for _ in range(2000))  # fmt: skip
        assert is_even(choices, 2000, comb(6, count), 1 / comb(6, count))


def test_what_is_popped_is_drawn_evenly_and_gone(engine: Engine) -> None:
    first = Counter[bytes]()
    session = filled(engine, SET, 1)
    ask(engine, session, b"SPOP", b"k")
    for _ in range(300):
        ask(engine, session, b"SADD", b"k", *b"a b c d e f g".split())
        one = ask(engine, session, b"SPOP", b"k")
        first.update(one)
        rest = ask(engine, session, b"SPOP", b"k", b"2")
        assert len({*one, *rest}) == 3
        assert {*one, *rest, *ask(engine, session, b"SPOP", b"k", b"9")} == set(b"a b c d e f g".split())
        assert engine.peek(0, b"k", NOW) is None
    assert is_even(first, 300, 7, 1 / 7)


@pytest.mark.parametrize("kind", list(COMMANDS))
def test_a_member_that_has_ended_is_not_drawn(engine: Engine, kind: int) -> None:
    session = filled(engine, kind, 5)
    value = b"\x00" * 8 if kind == ZSET else b""
    for name in (b"1", b"3"):
        engine.put_member(0, b"k", name, value, NOW + 10, NOW)
    later = NOW + 10
    for words in ((), (b"2",), (b"-9",), (b"9",)):
        for _ in range(40):
            reply = bytes(engine.feed(session, request(COMMANDS[kind], b"k", *words), later))
            assert not {b"1", b"3"} & set(reply.split(b"\r\n")[1 if not words else 2 :: 2]), reply


def test_many_are_for_dispatch_and_as_many_as_fit_are_not(engine: Engine) -> None:
    cold = Cold()
    session = hot(engine, cold)
    engine.found(0, b"k", SET, NOW + 60_000, False, NOW)
    for number in range(3000):
        engine.put_member(0, b"k", b"%d" % number, b"", None, NOW)
    for words, is_fast in ((b"1024", True), (b"1025", False), (b"-1024", True), (b"-1025", False), (b"3000", False)):
        before = len(cold.seen)
        reply = bytes(engine.feed(session, request(b"SRANDMEMBER", b"k", words), NOW))
        assert (len(cold.seen) == before) is is_fast, words
        assert not is_fast or reply.startswith(b"*1024\r\n")
        assert not is_fast or words.startswith(b"-") or len(set(reply.split(b"\r\n")[2::2])) == 1024
