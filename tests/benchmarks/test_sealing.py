"""The page on sealing, and what the script refuses."""

import pytest

from benchmarks import sealing
from benchmarks.rows import Row
from benchmarks.servers import KINDS
from tests.benchmarks.rig import REQUESTS, result_of

THREE = [KINDS["unsealed"], KINDS["native"], KINDS["redis"]]


def test_a_row_shows_sealed_beside_unsealed_and_beside_redis() -> None:
    row = Row("get", 1000, REQUESTS, pipeline=16, target=1.15)
    text = sealing.page({"system": "made up"},
                        [result_of({"unsealed": [4] * 3, "native": [5] * 3, "redis": [10] * 3}, row)], THREE)
    assert "- system: made up" in text
    line = next(line for line in text.splitlines() if line.startswith("| GET"))
    assert [cell.strip() for cell in line.strip("|").split("|")][1:] == [
        "4.00 ±0%", "5.00 ±0%", "10.0 ±0%", "**1.25** (1.25-1.25)", "1.15", "**0.50** (0.50-0.50)",
    ]  # fmt: skip


def test_every_pipeline_and_size_has_its_rows_and_targets_are_for_small_values() -> None:
    rows = sealing.all_rows()
    assert {(row.op, row.pipeline, row.value_bytes) for row in rows} == {
        (op, pipeline, size) for op in ("get", "set") for pipeline in (1, 16, 64) for size in (64, 1024, 16384)
    }
    assert all((row.target is not None) == (row.value_bytes == 64) for row in rows)


@pytest.mark.parametrize("words", [["--servers", "native,redis"], ["--rows", "no such row"], ["--rows", "("]])
def test_what_cannot_be_compared_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        sealing.main(words)
    assert refused.value.code == 2 and capsys.readouterr().err
