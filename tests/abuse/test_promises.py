"""The table in SECURITY.md: each promise has its test, the tests are there, and `make attacks` runs them and nothing
else. And docs/promises.md, which goes through all of that page.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def table() -> list[tuple[str, str]]:
    text = (ROOT / "SECURITY.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", text[text.index("## What holds these promises") :], re.MULTILINE)
    return [row for row in rows if row[0] not in ("promise", "---")]


def attacks() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    said = re.search(r"^ATTACKS := (.*?)(?<!\\)\n", text, re.MULTILINE | re.DOTALL)
    assert said is not None
    return set(said[1].replace("\\\n", " ").split())


def is_within(path: str, others: set[str]) -> bool:
    return any(path == other or path.startswith(other + "/") for other in others)


def test_every_promise_names_a_test_or_says_why_there_is_none() -> None:
    rows = table()
    assert len(rows) > 25
    for promise, held in rows:
        named = re.findall(r"`(tests/[^`]+)`", held)
        assert bool(named) is not held.startswith("none: "), promise
        for name in named:
            path, _, function = name.partition("::")
            assert (ROOT / path).exists(), name
            assert not function or f"def {function}(" in (ROOT / path).read_text(), name


def test_make_attacks_runs_what_the_table_names_and_nothing_else() -> None:
    named = {name.partition("::")[0] for _, held in table() for name in re.findall(r"`(tests/[^`]+)`", held)}
    run = attacks()
    assert len(run) > 20
    assert not sorted(path for path in named if not is_within(path, run))
    assert not sorted(
        path for path in run if not is_within(path, named) and not any(name.startswith(path + "/") for name in named)
    )


def sections(page: str) -> set[str]:
    return set(re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE))


def test_every_section_is_gone_through_and_every_row_names_tests_that_are_there_or_says_why_not() -> None:
    assert sections("docs/promises.md") == sections("SECURITY.md") - {"Reporting"}
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", (ROOT / "docs/promises.md").read_text(), re.MULTILINE)
    rows = [row for row in rows if row[0] != "sentence"]
    assert len(rows) > 50
    for sentence, held in rows:
        named = re.findall(r"`(tests/[^`]+)`", held)
        assert named or held.startswith("no test: "), sentence
        for name in named:
            path, _, function = name.partition("::")
            assert (ROOT / path).exists(), name
            assert not function or f"def {function}(" in (ROOT / path).read_text(), name


def test_every_invariant_names_a_test_that_is_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    text = re.split(r"^## .+$", text, flags=re.MULTILINE)[1]
    invariants = re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]
    assert len(invariants) == 9
    for one in invariants:
        named = re.findall(r"`(tests/[^`]+)`", one)
        assert named, one
        for name in named:
            path, _, function = name.partition("::")
            assert not function or f"def {function}(" in (ROOT / path).read_text(), name
