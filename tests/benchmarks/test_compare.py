"""What is gathered, and what is kept when something ends it early."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import compare
from benchmarks.compare import Result, cpu_ratio, gather, one_row
from benchmarks.drive import Run
from benchmarks.figures import Ratio
from benchmarks.machine import Affinity
from benchmarks.rows import Row
from benchmarks.servers import KINDS, BenchError, Programs, Server
from tests.benchmarks.rig import result_of, run_of

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


NOWHERE = Affinity(frozenset({0}), frozenset({0}))
PROGRAMS = Programs(Path("floor"), Path("load"), Path("witness"))


def turns_of(monkeypatch: pytest.MonkeyPatch, cost: Callable[[str, int], float], names: str, turns_max: int) -> Result:
    """A row of three turns at first, where a command costs what `cost` says of a server and a turn."""

    def measure(row: Row, server: Server, _programs: Programs, _where: Affinity, turn: int, _rate: int) -> Run:
        return run_of(server.kind.name, turn, cost(server.kind.name, turn), row=row.title)

    monkeypatch.setattr(compare, "measure", measure)
    monkeypatch.setattr(compare, "awake", nullcontext)
    servers = [Server(KINDS[name], 0, 7000) for name in names.split()]
    return one_row(Row("get", 1000, 100), servers, PROGRAMS, NOWHERE, 3, turns_max)


def turns_had(result: Result, name: str) -> list[int]:
    return sorted(run.turn for run in result.runs if run.server == name)


def test_a_noisy_row_has_more_turns_until_there_is_a_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    wild = {0: 1.0, 1: 2.0, 2: 3.0}
    result = turns_of(
        monkeypatch, lambda name, turn: wild.get(turn, 2.0) if name == "native" else 2.0, "redis native pure", 9
    )
    assert turns_had(result, "redis") == turns_had(result, "native")
    assert 3 < len(turns_had(result, "native")) < 9
    assert turns_had(result, "pure") == [0, 1, 2]
    assert isinstance(cpu_ratio(result), Ratio)
    beside = cpu_ratio(result, "pure")
    assert isinstance(beside, Ratio) and beside.value == 1.0, "of the three turns that both had"


def test_a_calm_row_has_no_more_turns_than_asked_and_a_hopeless_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert turns_had(turns_of(monkeypatch, lambda _name, _turn: 2.0, "redis native", 9), "native") == [0, 1, 2]
    for turns_max, expected in ((0, 3), (7, 7)):
        result = turns_of(monkeypatch, lambda name, turn: 1.0 + (name == "native") * turn, "redis native", turns_max)
        assert len(turns_had(result, "native")) == expected
    alone = turns_of(monkeypatch, lambda _name, turn: 1.0 + turn, "pure native", 9)
    assert turns_had(alone, "native") == [0, 1, 2]
