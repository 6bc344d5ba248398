"""The page on TLS, one short run of the script, and what it refuses."""

from pathlib import Path

import pytest

from benchmarks import tls
from benchmarks.servers import KINDS
from benchmarks.tls import Turn

TWO = [KINDS["redis"], KINDS["native"]]


def test_throughput_and_cpu_stand_beside_those_of_redis() -> None:
    turns = [
        Turn("GET, pipeline 1", name, rps, cpu)
        for name, rps, cpu in (("redis", 1000.0, 10.0), ("native", 1500.0, 5.0)) * 3
    ]
    text = tls.page({"system": "made up"}, turns, TWO)
    assert "- system: made up" in text
    found = [
        [cell.strip() for cell in line.strip("|").split("|")][1:]
        for line in text.splitlines()
        if line.startswith("| GET")
    ]
    assert found == [
        ["10.0 ±0%", "5.00 ±0%", "**0.50** (0.50-0.50)"],
        ["1,000 ±0%", "1,500 ±0%", "**1.50** (1.50-1.50)"],
    ]


@pytest.mark.slow
def test_a_try_measures_every_row(tmp_path: Path) -> None:
    assert tls.main(["--quick", "--turns", "2", "--out", str(tmp_path / "try")]) == 0
    text = (tmp_path / "try.md").read_text()
    assert all(
        f"| {command}, pipeline {pipeline} |" in text for command in ("GET", "SET EX") for pipeline in (1, 16, 64)
    )
    assert (tmp_path / "try.json").read_text().count('"cpu_us"') == 2 * 2 * 6


@pytest.mark.parametrize("words", [["--servers", "floor,native"], ["--turns", "0"], ["--servers", "nobody"]])
def test_what_cannot_be_compared_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        tls.main(words)
    assert refused.value.code == 2 and capsys.readouterr().err
