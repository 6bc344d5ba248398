"""Median, spread, ratio, and when there is none."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Ratio, Refusal, ratio, summary


def test_a_summary_is_median_extremes_and_relative_spread() -> None:
    found = summary([10, 12, 11, 30, 9])
    assert (found.median, found.low, found.high, found.turns) == (11, 9, 30, 5)
    assert found.noise == pytest.approx(1.4826 * 1 / 11)  # deviations 0 1 1 2 19: one wild turn does not count


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf]])
def test_what_is_no_figure_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        summary(values)


def test_a_ratio_pairs_the_turns() -> None:
    # The machine was twice as slow in the second turn, for both: the ratio does not see it.
    found = ratio([4, 8, 4], [10, 20, 10], 0.1)
    assert found == Ratio(0.4, 0.4, 0.4, 0.0)


def test_a_ratio_shows_its_extremes() -> None:
    found = ratio([50, 51, 49, 90], [100, 100, 100, 100], 0.1)
    assert isinstance(found, Ratio)
    assert (found.low, found.high) == (0.49, 0.9)
    assert found.value == pytest.approx(0.505)


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        ([1, 1], [1, 1], "only 2 of 3 turns"),
        ([1, 1, 1], [1, 1], "turns are missing"),
        ([], [], "only 0 of 3 turns"),
        ([0, 1, 1], [1, 1, 1], "too short"),
        ([1, 1, 1], [1, 0, 1], "too short"),
        ([10, 15, 20], [10, 10, 10], "too noisy: ±49%"),
    ],
)
def test_a_ratio_is_refused_and_says_why(ours: list[float], theirs: list[float], reason: str) -> None:
    found = ratio(ours, theirs, 0.1)
    assert isinstance(found, Refusal)
    assert reason in found.reason


def test_the_bound_is_what_decides() -> None:
    ours, theirs = [10, 11, 12], [10, 10, 10]  # spread 1.4826 * 0.1 / 1.1 = 13.5%
    assert isinstance(ratio(ours, theirs, 0.13), Refusal)
    assert isinstance(ratio(ours, theirs, 0.14), Ratio)


@given(st.lists(st.floats(0.01, 1e6), min_size=3, max_size=9), st.floats(0.1, 10))
def test_a_machine_that_slows_both_alike_changes_no_ratio(theirs: list[float], factor: float) -> None:
    found = ratio([factor * one for one in theirs], theirs, 0.01)
    assert isinstance(found, Ratio)
    assert found.value == pytest.approx(factor)
