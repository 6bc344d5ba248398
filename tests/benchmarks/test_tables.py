"""Tables, JSON and the block of the README, from results made up for the purpose."""

import json
from pathlib import Path

import pytest

from benchmarks import canonical, rows, tables
from benchmarks.rows import Row
from benchmarks.servers import KINDS, BenchError
from tests.benchmarks.rig import REQUESTS, result_of

SHORT = Row("get", 100_000, REQUESTS)  # one that the README shows
TWO = [KINDS["redis"], KINDS["native"]]


def cells(text: str, line: int) -> list[str]:
    return [cell.strip() for cell in text.splitlines()[line].strip("|").split("|")]


def test_a_row_shows_medians_spreads_ratio_and_target() -> None:
    text = tables.cpu_table([result_of({"redis": [8, 8, 8], "native": [4, 4, 4]})], TWO)
    assert cells(text, 0)[1:] == ["Redis", "respram", "respram's CPU / Redis's", "target"]
    assert cells(text, 2) == ["GET, 1k keys, P=1", "8.00 ±0%", "4.00 ±0%", "**0.50** (0.50-0.50)", "0.95"]


def test_a_row_that_is_lost_is_shown_like_the_others() -> None:
    text = tables.cpu_table([result_of({"redis": [4, 4, 4], "native": [8, 8, 8]})], TWO)
    assert cells(text, 2)[3] == "**2.00** (2.00-2.00)"


def test_a_noisy_row_has_no_ratio_and_says_so() -> None:
    results = [result_of({"redis": [8, 8, 8], "native": [4, 6, 9]}, SHORT)]
    for text in (tables.cpu_table(results, TWO), tables.short_table(results)):
        assert cells(text, 2)[3] == "(too noisy: ±49%)"
        assert "**" not in cells(text, 2)[3]


def test_a_run_too_short_to_tell_has_no_ratio() -> None:
    text = tables.cpu_table([result_of({"redis": [0.1] * 3, "native": [0.05] * 3})], TWO)  # 5 ms of CPU
    assert cells(text, 2)[3] == "(too short to measure)"


def test_who_did_not_take_part_has_a_dash() -> None:
    results = [result_of({"redis": [8, 8, 8]})]
    for text in (
        tables.cpu_table(results, TWO),
        tables.p99_table(results, TWO),
        tables.rate_table(results, TWO),
        tables.raw_table(results, TWO),
    ):
        assert cells(text, 2)[2] == "-"
    assert cells(tables.cpu_table(results, TWO), 2)[3] == "(only 0 of 3 turns)"


def test_a_turn_that_is_missing_is_no_pair() -> None:
    assert "only 2 of 3 turns" in tables.cpu_table([result_of({"redis": [8, 8, 8], "native": [4, 4]})], TWO)


@pytest.mark.parametrize(("value", "text"), [(0.1234, "0.123"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,234")])
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert tables.number(value) == text


def test_the_page_holds_machine_commands_and_every_turn() -> None:
    results = [result_of({"redis": [8.01, 8.02, 8.03], "native": [4.04, 4.05, 4.06]})]
    text = tables.page("Title", {"processor": "one", "Redis": "7"}, results, TWO)
    for words in (
        "# Title",
        "- processor: one",
        "8.01 8.02 8.03",
        "4.04 4.05 4.06",
        "Redis, respram: `redis-benchmark -p PORT GET k`",
    ):
        assert words in text


def test_the_json_holds_every_raw_figure() -> None:
    results = [result_of({"redis": [8, 8, 8], "native": [4, 6, 9]})]
    found = json.loads(tables.as_json({"commit": "abc"}, results, TWO))
    (row,) = found["rows"]
    assert [run["cpu_s"] for run in row["runs"] if run["server"] == "native"] == pytest.approx([0.4, 0.6, 0.9])
    assert row["ratios"]["cpu"] == {"reason": "too noisy: ±49%"}
    assert row["ratios"]["p99"]["value"] == 1.0
    assert row["commands"]["native"] == "redis-benchmark -p 7001 GET k"
    assert found["facts"] == {"commit": "abc"}


def test_the_block_is_replaced_and_nothing_else() -> None:
    text = "before\n<!-- bench:begin -->\nold\nolder\n<!-- bench:end -->\nafter\n"
    assert tables.replace_block(text, "new") == "before\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nafter\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- bench:begin -->",
        "<!-- bench:end --><!-- bench:begin -->",
        "<!-- bench:begin --><!-- bench:end -->" * 2,
        "<!-- bench:begin -->" * 2 + "<!-- bench:end -->",
    ],
)
def test_without_one_pair_of_markers_the_readme_stays(text: str, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(BenchError, match="left as it is"):
        canonical.write_readme(path, "new")
    assert path.read_text() == text


def test_the_block_for_the_readme_names_versions_and_links_the_rest() -> None:
    facts = {"processor": "P", "system": "S", "date": "D", "commit": "C", "Redis": "7.0.15", "respram": "0.1"}
    text = canonical.readme_block(facts, [result_of({"redis": [8, 8, 8], "native": [4, 4, 4]}, SHORT)])
    for words in (
        "Redis 7.0.15, respram 0.1",
        "commit C",
        "**0.50**",
        "canonical.md",
    ):
        assert words in text


def test_the_readme_has_five_rows_of_the_canonical_ones_and_says_what_a_ratio_is_to() -> None:
    results = [result_of({"redis": [8, 8, 8], "native": [4, 4, 4]}, row) for row in rows.canonical()]
    text = tables.short_table(results)
    assert sorted(cells(text, line)[0] for line in range(2, 7)) == sorted(tables.SHORT_ROWS)
    assert len(text.splitlines()) == 7
    assert cells(text, 0)[3:] == ["respram's CPU / Redis's", "respram's p99 / Redis's"]
    assert f"All {len(results)} rows" in canonical.readme_block(
        dict.fromkeys(("processor", "system", "date", "commit"), "x"), results
    )


def test_the_repository_has_the_markers() -> None:
    assert tables.replace_block(canonical.README.read_text(), "x")


def test_titles_leave_out_what_is_usual() -> None:
    assert Row("get", 100_000, 1).title == "GET, 100k keys, P=1"
    assert (
        Row("set", 1_000_000, 1, pipeline=16, value_bytes=1024, connections=1).title
        == "SET EX, 1M keys, P=16, 1 KiB values, 1 connection"
    )
