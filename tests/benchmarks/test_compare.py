"""What is gathered, and what is kept when something ends it early."""

from collections.abc import Iterator

import pytest

from benchmarks.compare import Result, gather
from benchmarks.rows import Row
from benchmarks.servers import BenchError
from tests.benchmarks.rig import result_of

ROWS = [Row("get", keys, 100) for keys in (3, 1, 2)]


def measured(count: int) -> Iterator[Result]:
    for row in sorted(ROWS, key=lambda row: row.keys)[:count]:
        yield result_of({"redis": [1, 1, 1]}, row)
    if count < len(ROWS):
        raise BenchError("a key was missing")


def test_results_come_in_the_order_of_rows() -> None:
    kept: list[list[Result]] = []
    assert [result.row for result in gather(ROWS, measured(3), kept.append)] == ROWS
    assert kept == []


def test_what_was_whole_before_an_error_is_kept() -> None:
    kept: list[list[Result]] = []
    with pytest.raises(BenchError, match="a key was missing"):
        gather(ROWS, measured(2), kept.append)
    assert [[result.row.keys for result in results] for results in kept] == [[1, 2]]


def test_an_error_before_the_first_result_keeps_nothing() -> None:
    kept: list[list[Result]] = []
    with pytest.raises(BenchError):
        gather(ROWS, measured(0), kept.append)
    assert kept == []
