"""The pages of memory, stalls and expiry lag, and the plot, from made-up results."""

import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import expiry_lag, memory, plot, stalls
from benchmarks.expiry_lag import Lags
from benchmarks.memory import Growth
from benchmarks.servers import KINDS
from tests.benchmarks.rig import result_of

THREE = [KINDS["redis"], KINDS["native"], KINDS["floor"]]


def test_memory_is_growth_by_key_and_its_ratio() -> None:
    growths = [
        Growth(name, turn, 1000, 1000 + cost * 10, cost * 9, 10)
        for turn in range(3)
        for name, cost in (("redis", 200), ("native", 120))
    ]
    text = memory.page({}, growths, THREE[:2], 64)
    assert "| respram | 120 ±0% | 108 ±0% | **0.60** (0.60-0.60) |" in text
    assert "10 keys of 16 bytes with 64 B values" in text


def test_memory_after_one_turn_has_no_ratio() -> None:
    text = memory.page({}, [Growth(name, 0, 0, 100, 90, 10) for name in ("redis", "native")], THREE[:2], 64)
    assert "| respram | 10.0 ±0% | 9.00 ±0% | (only 1 of 3 turns) |" in text


def stall(server: str, longest_us: float, phase: str = "grow") -> dict[str, Any]:
    return {
        "server": server,
        "phase": phase,
        "probe": {"max_us": longest_us, "p999_us": 100.0, "p50_us": 10.0, "over_2ms": 3},
    }


def test_the_longest_stall_of_each_turn_is_shown() -> None:
    found = [stall("native", one) for one in (1500, 900, 4000)] + [stall("native", 9000, "expire")]
    text = stalls.stalls_table("grow", found, THREE, 1)
    assert "1M grows to 4M keys" in text
    assert "| respram | 1.50 (0.90-4.00) | 0.100 | 10.0 | 3 3 3 |" in text
    assert "100k keys expire in one second" in stalls.stalls_table("expire", found, THREE, 10)


def test_stalls_of_the_machine_itself_make_the_run_judge_nobody() -> None:
    assert "not known" in stalls.noise_note([stall("redis", 100)])
    assert "at most 1.90 ms" in stalls.noise_note([stall("redis", 90_000), stall("floor", 1900)])
    assert "Too noisy: the machine itself stalled for up to 2.1 ms" in stalls.noise_note(
        [stall("floor", 300), stall("floor", 2100)]
    )


def test_the_page_of_expiry_lags_has_a_line_per_turn() -> None:
    lags = [("redis", Lags(2900.04, 13100, math.inf, 7, 0.35, 0.5)), ("native", Lags(5, 20, 30.5, 0, 0.001, 0.25))]
    text = expiry_lag.page({}, lags, THREE, 500_000)
    assert "| Redis | 2,900.0 | 13,100.0 | inf | 7 | 35.00% | 0.50 |" in text
    assert "| respram | 5.0 | 20.0 | 30.5 | 0 | 0.10% | 0.25 |" in text
    assert "500,000 keys" in text and "over 30 s" in text


def test_the_plot_leaves_out_what_has_no_ratio() -> None:
    results = [
        result_of({"redis": [8] * 3, "native": [4] * 3, "floor": [2] * 3}),
        result_of({"redis": [8] * 3, "native": [4, 6, 9], "floor": [2] * 3}),
    ]
    assert plot.bars(results) == {"native": [0.5, None], "floor": [0.25, 0.25]}


def test_the_plot_is_written_twice(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="make bench installs it")
    results = [
        result_of({"redis": [8] * 3, "native": [4] * 3, "pure": [80] * 3, "floor": [2] * 3}),
        result_of({"redis": [8] * 3, "native": [4, 6, 9], "pure": [9] * 3, "floor": [2] * 3}),
    ]
    plot.draw(results, tmp_path / "found")
    first = (tmp_path / "found.svg").read_bytes()
    assert ElementTree.fromstring(first).tag.endswith("svg")  # noqa: S314 - our own file
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")
    plot.draw(results, tmp_path / "found")
    assert (tmp_path / "found.svg").read_bytes() == first
