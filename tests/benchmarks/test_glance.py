"""The picture of the README: what it shows, and that the committed one is of the committed figures."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import canonical, glance, tables
from benchmarks.compare import Result, cpu_ratio
from benchmarks.figures import Ratio
from benchmarks.rows import Row
from benchmarks.servers import ROOT
from tests.benchmarks.rig import result_of

SVG = "{http://www.w3.org/2000/svg}"
ROW = Row("get", 100_000, 60_000)


def shown(results: list[Result]) -> ElementTree.Element:
    return ElementTree.fromstring(glance.drawn(results))  # noqa: S314 - our own text


def texts(picture: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in picture.iter(f"{SVG}text")]


def committed() -> tuple[dict[str, str], list[Result]]:
    return tables.from_json((ROOT / "benchmarks/results/canonical.json").read_text())


def test_title_direction_and_legend_stand_above_the_bars() -> None:
    picture = shown([result_of({"redis": [8] * 3, "native": [4] * 3, "valkey": [8] * 3}, ROW)])
    said = texts(picture)
    assert said[:2] == [glance.TITLE, glance.DIRECTION] and "Shorter bars are better" in said[1]
    assert said[2:5] == ["respram", "Valkey", "Redis"]
    heights = [int(one.get("y", "0")) for one in picture.iter(f"{SVG}text")]
    assert max(heights[:5]) < glance.TOP < min(heights[5:])


def test_a_bar_is_as_long_as_its_ratio_and_ends_with_it() -> None:
    picture = shown([result_of({"redis": [8] * 3, "native": [4] * 3}, ROW)])
    (bar,) = [one for one in picture.iter(f"{SVG}rect") if one.get("x") == str(glance.LEFT)]
    one = round((glance.RIGHT - glance.LEFT) / glance.SHOWN_MAX)
    assert int(bar.get("width", "0")) == pytest.approx(one / 2, abs=1) and "0.50" in texts(picture)
    assert not picture.findall(f"{SVG}path[@class='cut']")


def test_a_bar_that_is_cut_is_marked_and_the_legend_says_so() -> None:
    picture = shown([result_of({"redis": [8] * 3, "native": [4] * 3, "memcached": [80] * 3}, ROW)])
    assert len(picture.findall(f"{SVG}path[@class='cut']")) == 2  # in the legend, and in the bar
    assert {"10.00", "bar is cut; its figure stands beside it"} <= set(texts(picture))


def test_what_has_no_ratio_says_why() -> None:
    assert "too noisy: ±49%" in texts(shown([result_of({"redis": [8] * 3, "native": [4, 6, 9]}, ROW)]))


def test_no_text_leaves_the_card() -> None:
    widths = {"title": 11, "soft": 6.9}  # of a character, as a browser with wide letters draws it
    for one in shown(committed()[1]).iter(f"{SVG}text"):
        x, length = int(one.get("x", "0")), widths.get(one.get("class", ""), 7.7) * len(one.text or "")
        begins = x - length if one.get("text-anchor") == "end" else x
        assert begins > 0 and begins + length < glance.WIDTH, one.text


def test_the_picture_the_readme_and_the_figures_are_of_one_run() -> None:
    facts, results = committed()
    assert glance.PLACE.read_text() == glance.drawn(results)
    readme = (ROOT / "README.md").read_text()
    assert canonical.readme_block(facts, results) in readme and readme.count("results/glance.svg)") == 1
    ratios = [cpu_ratio(result) for result in results if result.row.title in tables.SHORT_ROWS]
    assert len(ratios) == 5
    values = [f"{one.value:.2f}" for one in ratios if isinstance(one, Ratio)]
    assert set(values) <= set(re.findall(r">(\d\.\d\d)</text>", glance.PLACE.read_text()))


def test_results_come_back_from_json_as_they_were() -> None:
    results = [result_of({"redis": [8] * 3, "native": [4] * 3})]
    assert tables.from_json(tables.as_json({"a": "b"}, results, [])) == ({"a": "b"}, results)


def test_drawing_anew_measures_nothing_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    monkeypatch.setattr(canonical, "README", readme)
    written: list[list[Result]] = []
    monkeypatch.setattr(glance, "write", written.append)
    assert canonical.main(["--redraw", "--no-plot"]) == 0
    assert readme.read_text() == (ROOT / "README.md").read_text() and written == [committed()[1]]
