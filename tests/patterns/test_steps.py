"""The steps by themselves: a generator needs no node to show what it asks for."""

from typing import Any

import pytest

from respram.patterns import BadTtl, Contended, TimedOut
from respram.patterns.effects import Ask, Commit, Pause, Watch
from respram.patterns.steps import CHANGE_TRIES_MAX, TTL_S_MAX, change, ttl_ms, wait_until


def answer(steps: Any, replies: Any) -> tuple[Any, list[Any]]:
    """Runs steps, answering each effect by a function of it; the result and the effects."""
    effects: list[Any] = []
    reply = None
    while True:
        try:
            effect = steps.send(reply)
        except StopIteration as stop:
            return stop.value, effects
        effects.append(effect)
        reply = replies(effect)


def test_a_ttl_is_whole_milliseconds_and_never_none() -> None:
    assert [ttl_ms(ttl_s) for ttl_s in (1, 0.05, 0.0001, TTL_S_MAX)] == [1000, 50, 1, 31_536_000_000_000]
    for ttl_s in (0, -1, float("nan"), float("inf"), TTL_S_MAX * 2):
        with pytest.raises(BadTtl):
            ttl_ms(ttl_s)


def test_a_change_writes_what_the_edit_makes_of_what_is_there() -> None:
    result, effects = answer(
        change(b"k", lambda found: (found or b"") + b"!", 2),
        lambda effect: [b"a"] if isinstance(effect, Watch) else [True],
    )
    assert result == b"a!" and effects == [Watch((b"k",)), Commit((("SET", b"k", b"a!", "PX", 2000),))]


def test_an_edit_that_declines_writes_nothing() -> None:
    result, effects = answer(
        change(b"k", lambda found: None, 2), lambda effect: [b"a"] if isinstance(effect, Watch) else [b"a", None]
    )
    assert result is None and [type(effect) for effect in effects] == [Watch, Ask]


def test_a_lost_race_is_tried_again_with_what_is_there_by_then() -> None:
    values = iter([[b"1"], [b"2"], None, [b"3"]])
    outcomes = iter([None, None, [True]])

    def reply(effect: Any) -> Any:
        return next(values) if isinstance(effect, Watch) else next(outcomes) if isinstance(effect, Commit) else None

    result, effects = answer(change(b"k", lambda found: (found or b"") + b"!", 2), reply)
    pauses = [effect.seconds for effect in effects if isinstance(effect, Pause)]
    assert result == b"3!" and len(pauses) == 3 and pauses == sorted(pauses)


def test_a_race_that_is_always_lost_ends_in_a_named_error() -> None:
    tries: list[object] = []

    def reply(effect: Any) -> Any:
        tries.append(effect) if isinstance(effect, Commit) else None
        return [b"1"] if isinstance(effect, Watch) else None

    with pytest.raises(Contended, match="nothing was written"):
        answer(change(b"k", lambda found: b"x", 2), reply)
    assert len(tries) == CHANGE_TRIES_MAX


def test_waiting_looks_at_once_and_once_more_at_the_end() -> None:
    looks: list[int] = []

    def check() -> Any:
        looks.append(1)
        return None
        yield

    with pytest.raises(TimedOut, match="the answer"):
        answer(wait_until(check, 0, 1, "the answer"), lambda effect: None)
    assert looks == [1]


def test_a_value_that_the_home_does_not_have_is_looked_at_again_before_an_edit_refuses() -> None:
    here, home = iter([[b"old"], [b"old"], [b"new"]]), iter([[b"new", None]] * 3)

    def reply(effect: Any) -> Any:
        return next(here) if isinstance(effect, Watch) else next(home) if isinstance(effect, Ask) else [True]

    def edit(found: bytes | None) -> bytes:
        if found != b"new":
            raise Contended("moved")
        return b"newer"

    assert answer(change(b"k", edit, 2), reply)[0] == b"newer"
    here, home = iter([[b"old"]]), iter([[b"old", None]])
    with pytest.raises(Contended, match="moved"):
        answer(change(b"k", edit, 2), reply)
