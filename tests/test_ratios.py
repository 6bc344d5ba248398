"""No page shows a ratio without naming what it is to.

In a table the head of its column names it: `respram's CPU / Redis's`, `sealed to unsealed`. In prose the same sentence
does: `0.9 times what Redis takes`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/decisions", "docs/patterns", "benchmarks", "benchmarks/results", "compat")
    for path in (ROOT / folder).glob("*.md")
)
CELL = re.compile(r"\*\*\d+\.\d+\*\* \([\d.]+-[\d.]+\)|\**\d+(\.\d+)?x\**|\**\d+\.\d+ times\**")
NAMING_HEAD = re.compile(r"\S / \S|\bto \w")
# A number series of decisions, `011x`, is none.
FIGURE = re.compile(
    r"(?<![\w.])(0\.|[1-9])[\d.]*x(?!\w)"
    r"|\b\d+\.\d+ times\b|\b\d+ times (as|the|more|less|faster|slower)\b"
)
NAMING_WORDS = re.compile(
    r"\bthan\b|\bas \w+ as\b|\bas much\b.* as\b|\b(of|as|what|that|beside|against|compared with)\b.*"
    r"\b(Redis|redis-server|Valkey|memcached|pogocache|epoll|pure|native|unsealed|plain|TCP|without|before|alone)\b",
    re.DOTALL,
)


def unnamed(text: str) -> Iterator[str]:
    """Heads and sentences with a ratio to nothing."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    head: list[str] = []
    for line in text.splitlines():
        if not line.startswith("|"):
            head = []
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not head:
            head = cells
            yield from (one for one in head if re.search(r"\bratio\b", one) and not NAMING_HEAD.search(one))
        yield from (
            one
            for one, cell in zip(head, cells, strict=False)
            if CELL.fullmatch(cell) and not NAMING_HEAD.search(one)
        )
    prose = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    for sentence in re.split(r"(?<=[.:;!?])\s+|\n\s*\n|\n(?=- )", prose):
        if FIGURE.search(sentence) and not NAMING_WORDS.search(sentence):
            yield " ".join(sentence.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_ratio_names_what_it_is_to(page: Path) -> None:
    assert list(unnamed(page.read_text())) == []


@pytest.mark.parametrize(
    "text",
    [
        "| call | ratio |\n| --- | ---: |\n| GET | 0.9 |\n",
        "| call | CPU |\n| --- | ---: |\n| GET | **0.91** (0.90-0.96) |\n",
        "| call | CPU |\n| --- | ---: |\n| GET | 1.03x |\n",
        "A GET costs 0.97x.",
        "Redis is slow. Scripts take 1.7 times the CPU.",
        "It is 3 times faster.",
    ],
)
def test_a_ratio_to_nothing_is_found_out(text: str) -> None:
    assert list(unnamed(text))


@pytest.mark.parametrize(
    "text",
    [
        "| call | respram's CPU / Redis's |\n| --- | ---: |\n| GET | **0.91** (0.90-0.96) |\n",
        "| call | sealed to unsealed |\n| --- | ---: |\n| GET | 1.03x |\n",
        "Scripts take 0.9 to 1.7 times what Redis takes.",
        "A GET costs 0.97x of Redis's CPU.",
        "Scripts take 1.7 times the CPU that Redis takes.",
        "A node was killed 94 times, at 0x10.",
    ],
)
def test_a_ratio_that_names_its_other_side_is_not(text: str) -> None:
    assert list(unnamed(text)) == []


def test_pages_with_ratios_are_found_at_all() -> None:
    assert sum(bool(re.search(r"\*\*\d+\.\d+\*\* \(", page.read_text())) for page in PAGES) > 5
