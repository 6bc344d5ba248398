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


def stall(server: str, longest_us: float, phase: str = "grow", own_us: float | None = None) -> dict[str, Any]:
    seen = {
        "server": server,
        "phase": phase,
        "seconds": 2.0,
        "probe": {"max_us": longest_us, "p999_us": 100.0, "p50_us": 10.0, "over_2ms": 3},
    }
    if own_us is None:
        return seen | {"unwitnessed": "nothing may take precedence here"}
    own = {"max_us": own_us, "over_2ms": 1, "longest_us": [own_us]}
    return seen | {"own": own, "machine": {"longest_us": 3210.0, "stood_still_us": 5000.0}}


def test_the_longest_stall_of_each_turn_is_shown_and_the_servers_part_of_it() -> None:
    turns = [stall("native", longest, own_us=own) for longest, own in ((1500, 700), (900, 800), (4000, 600))]
    found = [*turns, stall("native", 9000, "expire", own_us=100)]
    text = stalls.stalls_table("grow", found, THREE, 1)
    assert "1M grows to 4M keys" in text
    assert "| respram | 0.70 (0.60-0.80) | 1 1 1 | 1.50 (0.90-4.00) | 3 3 3 | 0.100 | 10.0 | 2.5 2.5 2.5 |" in text
    assert "100k keys expire in one second" in stalls.stalls_table("expire", found, THREE, 10)
    assert "for up to 3.2 ms" in stalls.noise_note(found)


def test_without_a_witness_no_wait_is_called_a_servers_own() -> None:
    found = [stall("native", 1500), stall("floor", 900)]
    assert "Nobody watched the machine: nothing may take precedence here" in stalls.noise_note(found)
    text = stalls.stalls_table("grow", found, THREE, 1)
    assert "| respram | - | - | 1.50 (1.50-1.50) | 3 | 0.100 | 10.0 | - |" in text


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
