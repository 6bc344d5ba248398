"""The checker of histories, held against one that tries every order."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respram.sim import linear
from respram.sim.linear import INCR, SWAP, TAKE, Operation, Undecided, apply, is_linear, longest_linear


def by_trying_all(history: list[Operation]) -> bool:
    known = [one for one in history if one.ended is not None]
    unknown = [one for one in history if one.ended is None]
    for taken in range(1 << len(unknown)):
        some = known + [one for place, one in enumerate(unknown) if taken >> place & 1]
        if any(_fits(order) for order in permutations(some)):
            return True
    return False


def _fits(order: tuple[Operation, ...]) -> bool:
    held = None
    for place, one in enumerate(order):
        if any(later.ended is not None and later.ended < one.began for later in order[place + 1 :]):
            return False
        held, answer = apply(one, held)
        if one.ended is not None and answer != one.answer:
            return False
    return True


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Answers that may be true: those of a register that was asked in some order, now and then one of them changed."""
    found: list[Operation] = []
    held = None
    for _ in range(draw(st.integers(0, 6))):
        began = draw(st.integers(0, 12))
        length = draw(st.none() | st.integers(0, 6))
        one = Operation(began, None, draw(st.sampled_from([INCR, TAKE, SWAP])), draw(st.integers(5, 8)))
        then, answer = apply(one, held)
        if length is None:
            held = then if draw(st.booleans()) else held
            found.append(one)
            continue
        held = then
        if draw(st.integers(0, 5)) == 0:
            answer = draw(st.none() | st.integers(0, 9))
        found.append(Operation(began, began + length, one.what, one.value, answer))
    return found


@given(histories())
def test_it_says_what_a_checker_says_that_tries_every_order(history: list[Operation]) -> None:
    assert is_linear(history) == by_trying_all(history)
    assert (longest_linear(history) == sum(one.ended is not None for one in history)) == is_linear(history)


def test_the_generator_makes_both_kinds() -> None:
    made: set[bool] = set()

    @given(histories())
    def look(history: list[Operation]) -> None:
        made.add(is_linear(history))

    look()
    assert made == {True, False}


def test_a_number_that_was_given_twice_is_no_order() -> None:
    first, second = Operation(0, 1, INCR, answer=1), Operation(2, 3, INCR, answer=1)
    assert not is_linear([first, second]) and longest_linear([first, second]) == 1
    assert is_linear([first, Operation(2, 3, INCR, answer=2)])


def test_an_operation_without_an_outcome_may_have_been_done_much_later_or_never() -> None:
    lost = Operation(0, None, INCR)
    assert is_linear([lost, Operation(5, 6, INCR, answer=1), Operation(7, 8, INCR, answer=2)])
    assert is_linear([lost, Operation(5, 6, INCR, answer=1), Operation(7, 8, INCR, answer=3)])
    assert not is_linear([lost, Operation(5, 6, INCR, answer=1), Operation(7, 8, INCR, answer=4)])


def test_nothing_is_done_before_it_began() -> None:
    assert not is_linear([Operation(0, 1, SWAP, 7, answer=9), Operation(2, 3, SWAP, 9, answer=7)])
    assert not is_linear([Operation(0, 1, TAKE, 7, answer=0), Operation(2, 3, TAKE, 9, answer=1)])


def test_hundreds_of_operations_take_no_longer_than_they_have_to() -> None:
    history = [Operation(number * 2, number * 2 + 5, INCR, answer=number + 1) for number in range(400)]
    history += [Operation(number * 20, None, TAKE, 5) for number in range(1, 40)]
    assert is_linear(history)


def test_a_search_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "STEPS_MAX", 100)
    with pytest.raises(Undecided):
        is_linear([*(Operation(0, None, SWAP, number) for number in range(30)), Operation(0, 1, INCR, answer=99)])
