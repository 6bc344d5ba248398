"""Answers that no honest home gives: what they cost is bounded, and then the link of whoever gives them is closed."""

from dataclasses import replace

import pytest

from respram.gossip.effects import Decided
from respram.gossip.forwarding import ANSWERED
from respram.wire.messages import ALONE, DONE, FORGOTTEN, LATER, NOT_HOME, PART, Answer, Forward

from .test_forwarding import OTHER, THIRD, ask, decided, held, key_of, packed, pair


def test_a_home_whose_answers_are_ahead_of_their_push_again_and_again_loses_its_link() -> None:
    """Each such answer costs a FORWARD, with up to 1 MiB of records."""
    bench = pair()
    ask(bench, key_of(bench, OTHER))
    most = bench.core.policy.answers_ahead_max
    for number in range(most + 3):
        if not bench.hangups():
            assert number <= most
            bench.say(1, Answer(1, DONE, OTHER, b":7\r\n", b"", behind=99))
    assert "ahead of its push" in bench.hangups()[1] and bench.core.forwarding.misled == 1
    assert len(bench.sent(Forward, 1)) == 1 + most and not decided(bench)


def test_answers_that_nobody_waits_for_do_nothing() -> None:
    """Under a number that was not asked, from a member that was not asked, and a second time: their records too."""
    bench = pair(OTHER, THIRD)
    key, token = key_of(bench, OTHER), 0
    token = ask(bench, key)
    bench.say(1, Answer(7, DONE, OTHER, b":7\r\n", packed(b"7", key)))
    bench.say(2, Answer(1, DONE, THIRD, b":7\r\n", packed(b"7", key)))
    assert not decided(bench) and held(bench, key) is None
    bench.say(1, Answer(1, DONE, OTHER, b":8\r\n", packed(b"8", key)))
    bench.say(1, Answer(1, DONE, OTHER, b":9\r\n", packed(b"9", key, later=9)))
    assert decided(bench) == [Decided(token, ANSWERED, b":8\r\n", OTHER)] and held(bench, key) == b"8"
    assert not bench.hangups()


def test_what_is_kept_of_answers_that_have_begun_is_bounded_over_all_forwards() -> None:
    bench = pair()
    keys = [key_of(bench, OTHER, skip) for skip in range(2)]
    for key in keys:
        ask(bench, key)
    bench.core.policy = replace(bench.core.policy, answers_begun_bytes_max=100_000)
    for _ in range(500):
        bench.say(1, Answer(1, PART, OTHER, b"", b""))
    assert not bench.core.forwarding.begun_bytes, "nothing is kept of what is empty"
    for number in (1, 2, 1):
        bench.say(1, Answer(number, PART, OTHER, b"x" * 30_000, b""))
    assert not bench.hangups() and bench.core.forwarding.begun_bytes > 90_000
    bench.say(1, Answer(2, PART, OTHER, b"x" * 30_000, b""))
    assert "more replies than" in bench.hangups()[1] and bench.core.forwarding.misled == 1
    bench.take(bench.core.closed(1, bench.now))
    assert bench.core.forwarding.begun_bytes == 0
    assert not decided(bench)


@pytest.mark.parametrize("end", [DONE, NOT_HOME, LATER, FORGOTTEN])
def test_nothing_is_kept_of_an_answer_that_has_come(end: int) -> None:
    bench = pair()
    ask(bench, key_of(bench, OTHER))
    bench.say(1, Answer(1, PART, OTHER, b":1", b""))
    assert bench.core.forwarding.begun_bytes
    bench.say(1, Answer(1, end, OTHER, b"\r\n", b""))
    assert not bench.core.forwarding.begun_bytes and not bench.hangups()


def test_homes_that_name_each_other_are_asked_a_few_times_between_two_turns() -> None:
    bench = pair(OTHER, THIRD)
    ask(bench, key_of(bench, OTHER), kind=ALONE)
    for _ in range(50):
        for link, other in ((1, THIRD), (2, OTHER)):
            open_ = list(bench.core.forwarding.under_way)
            if open_:
                bench.say(link, Answer(open_[-1], NOT_HOME, other, b"", b""))
    most = bench.core.policy.forward_moves_max
    assert len(bench.sent(Forward, 1) + bench.sent(Forward, 2)) == 1 + most
    bench.wait(bench.core.policy.forward_turn_ms)
    assert len(bench.sent(Forward, 1) + bench.sent(Forward, 2)) == 2 + most, "by the own view, at the next turn"
