"""Lines of code in every language, and of prose, have at most 120 columns."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
COLUMNS_MAX = 120
MADE = ("_native.c", "_pump.c", "_fields.c")  # by Cython, in no commit
PRAGMA = re.compile(r"  # (type: ignore|noqa).*$")  # not counted: it says nothing to a reader
CODE = {".py", ".c", ".h", ".pyx", ".pxd", ".pxi", ".pyi", ".toml", ".yml", ".yaml", ".js", ".mjs", ".css", ".html",
        ".lua", ".go", ".java", ".rs", ".rb", ".php", ".pl", ".service", ".xml"}  # fmt: skip
FOREIGN = ("uplot.js", "uplot.css")  # another project's, as it came
ROOMS = ("respram", "tests", "compat", "benchmarks", "release", "examples", "fuzz", "deploy", "docs")  # without git
# Lines that are of one piece: what COMMAND DOCS says of a change is a line of the notation (catalog/entry.py).
ONE_PIECE = re.compile(r"\s*since \d")


def test_a_line_has_at_most_120_columns() -> None:
    """Of code in every language, tables too, and of prose; mypy's and ruff's words at its end aside."""
    files = [path for path in tracked() if path.suffix in CODE or path.name in ("Makefile", "Dockerfile", "run")]
    assert len(files) > 900 and {path.suffix for path in files} >= CODE
    assert _wide(files) == []


def test_a_line_of_prose_has_at_most_120_columns() -> None:
    """Rows of tables, headings and what a run writes between two marks aside."""
    made = {ROOT / "compat/RESULTS.md", ROOT / "compat/APPLICATIONS.md", *(ROOT / "benchmarks/results").iterdir()}
    pages = [path for path in tracked() if path.suffix == ".md" and path not in made]
    assert len(pages) > 150
    assert [f"{page.relative_to(ROOT)}:{line}" for page in pages for line in _wide_prose(page.read_text())] == []


def test_a_line_that_is_too_wide_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"{'x' * COLUMNS_MAX}\n{'x' * COLUMNS_MAX}y\n{'x' * COLUMNS_MAX}  # noqa: S101\n")
    assert _wide([tmp_path / "a.py"]) == ["a.py:2"]
    wide = "word " * 30
    page = ["# " + wide, wide, f"| {wide} |", "<!-- a:begin -->", wide, "<!-- a:end -->", wide]
    assert list(_wide_prose("\n".join(page))) == [2, 7]


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the tree, without what is built, locked or another project's."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:  # in a copy without git: all of it
        return tuple(path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file())
    return tuple(ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


def _wide(files: Iterable[Path]) -> list[str]:
    return [
        f"{path.name}:{number}"
        for path in files
        if path.name not in (*MADE, *FOREIGN)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(PRAGMA.sub("", line)) > COLUMNS_MAX and not ONE_PIECE.match(line)
    ]


def _wide_prose(text: str) -> Iterator[int]:
    written = False
    for number, line in enumerate(text.splitlines(), 1):
        written = line.endswith(":begin -->") or (written and not line.endswith(":end -->"))
        if len(line) > COLUMNS_MAX and not written and not line.startswith(("|", "#")):
            yield number
