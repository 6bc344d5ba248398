"""The pages say what is true: each example is run as it stands, and the map leaves out no pattern."""

import re
from pathlib import Path

import pytest
import redis

import respram.patterns

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "patterns").glob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
NO_PATTERN = {
    "__init__",
    "drivers",
    "effects",
    "errors",
    "json_values",
    "sealing",
    "steps",
}  # what patterns are made of


def sources() -> list[str]:
    return sorted(path.stem for path in (ROOT / "respram" / "patterns").glob("*.py") if path.stem not in NO_PATTERN)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_of_a_page_runs_as_it_stands(
    page: Path, node_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(page.read_text())
    assert blocks, "a page without an example"
    with redis.Redis(port=node_port, db=9) as client, redis.Redis(port=node_port, db=9) as other_client:
        for block in blocks:
            exec(compile(block, page.name, "exec"), {"client": client, "other_client": other_client})  # noqa: S102


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_opens_with_its_example_and_says_what_is_not_promised(page: Path) -> None:
    text = page.read_text()
    assert re.match(r"# [^\n]+\n\n```python\n", text)
    if page.stem != "README":
        assert "Not promised" in " ".join(text.split())
    for target in LINK.findall(text):
        assert (page.parent / target).exists(), f"{target} is not there"


def test_every_pattern_has_a_page_a_test_and_a_place_on_the_map() -> None:
    rows = [line for line in (ROOT / "docs/patterns/README.md").read_text().splitlines() if ".py](" in line]
    found = {re.search(r"\[(\w+)\.py\]", row)[1] for row in rows}  # type: ignore[index]
    assert found == set(sources())
    assert {page.stem for page in PAGES} - {"README"} == {name.replace("_", "-") for name in sources()}
    for name in sources():
        assert (ROOT / f"tests/patterns/test_{name}.py").exists()
    for row in rows:
        assert len({match.replace("-", "_") for match in re.findall(r"\[(?:test_)?([\w-]+?)(?:\.py)?\]", row)}) == 1, (
            row
        )


def test_every_name_of_the_package_is_there_and_every_class_is_told_of() -> None:
    text = "".join(page.read_text() for page in PAGES)
    for name in respram.patterns.__all__:
        part = getattr(respram.patterns, name)
        if hasattr(part, "client") or any(hasattr(part, attribute) for attribute in ("seal", "__wrapped__")):
            assert re.search(rf"\b{name}\b", text), f"no page tells of {name}"
