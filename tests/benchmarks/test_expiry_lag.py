"""The lag of untouched keys, from names and arrivals."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.expiry_lag import due_ms, lags_of, take_names
from benchmarks.servers import BenchError


def message(number: int) -> bytes:
    return b"*3\r\n$7\r\nmessage\r\n$22\r\n__keyevent@0__:expired\r\n$16\r\nkey:%012d\r\n" % number


@given(st.lists(st.integers(0, 10**12 - 1), max_size=20), st.lists(st.integers(1, 200), max_size=30))
def test_names_are_found_in_any_split(numbers: list[int], cuts: list[int]) -> None:
    data = b"".join(map(message, numbers))
    buffer, found, at = bytearray(), [], 0
    for size in [*cuts, len(data)]:
        buffer += data[at : at + size]
        at += size
        found += take_names(buffer)
    assert found == numbers
    assert len(buffer) < 100


def test_lags_count_from_each_keys_own_deadline() -> None:
    base, keys, spread = 1_000_000, 100, 1000
    arrivals = [(number, due_ms(number, base, keys, spread) + 5.0) for number in range(100)]
    arrivals[99] = (99, arrivals[99][1] + 20)
    lags = lags_of(arrivals, base, keys, spread, 1.5)
    assert (lags.p50_ms, lags.p99_ms, lags.max_ms, lags.left, lags.cpu_s) == (5.0, 25.0, 25.0, 0, 1.5)


def test_the_backlog_is_what_was_due_and_still_there() -> None:
    prompt = [(number, due_ms(number, 0, 100, 1000) + 1.0) for number in range(100)]
    assert lags_of(prompt, 0, 100, 1000, 0.0).backlog == 0.01  # each alone, for its millisecond
    late = [(number, due_ms(number, 0, 100, 1000) + 25.0) for number in range(100)]
    assert lags_of(late, 0, 100, 1000, 0.0).backlog == 0.03
    at_the_end = [(number, 2000.0) for number in range(100)]
    assert lags_of(at_the_end, 0, 100, 1000, 0.0).backlog == 1.0


def test_what_never_came_is_later_than_all_that_did() -> None:
    arrivals = [(number, due_ms(number, 0, 100, 1000) + 1.0) for number in range(90)]
    lags = lags_of(arrivals, 0, 100, 1000, 0.0)
    assert lags.left == 10
    assert (lags.p50_ms, lags.p99_ms, lags.max_ms) == (1.0, math.inf, math.inf)


@pytest.mark.parametrize("arrivals", [[(1, 5000.0), (1, 5001.0)], [(100, 5000.0)], [(50, 490.0)]])
def test_an_impossible_expiry_is_a_fault_and_no_figure(arrivals: list[tuple[int, float]]) -> None:
    with pytest.raises(BenchError):
        lags_of(arrivals, 0, 100, 1000, 0.0)
