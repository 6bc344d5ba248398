"""The documents that the patterns come from, as tests read them: their headings, their terms, and their code."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

SEEDS = Path(__file__).parents[3] / "shared" / "seeds"
NUMBERS = ("000", "001", "002", "003", "004")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def document(number: str) -> str:
    """A document's text. The tests of a checkout that comes without the documents skip; where they lie, nothing does.
    """
    if not SEEDS.is_dir():
        pytest.skip(f"the documents are not beside this checkout: {SEEDS} is missing")
    (path,) = SEEDS.glob(f"{number}_*.txt")
    # One block of document 004 came with its line ends written as backslash and n.
    return path.read_text().replace("\\n", "\n")


def blocks(number: str, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(document(number)) if kind == language]


def block(number: str, language: str, mark: str) -> str:
    """The one block that contains the mark."""
    (found,) = (text for text in blocks(number, language) if mark in text)
    return found


def without_imports(text: str, package: str) -> str:
    """The code with the lines gone that import from a package: what they named is put in by the test."""
    return re.sub(rf"^from {package}\S* import .*$", "", text, flags=re.MULTILINE)


async def run(text: str, names: dict[str, Any]) -> dict[str, Any]:
    """Runs code that may await at its top level."""
    code = compile(text, "document", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    outcome = eval(code, names)  # noqa: S307 (the document's own code)
    if outcome is not None:
        await outcome
    return names


HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
BOLD = re.compile(r"\*\*(.+?)\*\*")
INLINE = re.compile(r"`([^`\n]+)`")
TEXT = re.compile(r'f?"""[\s\S]*?"""|f?b?"(?:\\.|[^"\\\n])*"|b?\'(?:\\.|[^\'\\\n])*\'')
COMMENT = {"python": re.compile(r"#.*$", re.MULTILINE), "rust": re.compile(r"//.*$", re.MULTILINE)}
# What is called, what is imported, and what begins with a capital: in the code, not in its texts and comments.
NAME = re.compile(r"\b([A-Za-z_]\w*)(?=\(|::)|\b([A-Z][A-Za-z]*[a-z][A-Za-z]*)\b|\bimport ([\w, ]+)$", re.MULTILINE)


def named(number: str) -> set[str]:
    """Every name of a document: its headings, what it sets in bold or as code, and the names in its code."""
    text = document(number)
    prose = BLOCK.sub("", text)
    names = {each.strip() for pattern in (HEADING, BOLD, INLINE) for each in pattern.findall(prose)}
    for language, source in BLOCK.findall(text):
        if language in COMMENT:
            bare = TEXT.sub('""', COMMENT[language].sub("", source))
            for called, capital, imported in NAME.findall(bare):
                names |= {each.strip() for each in (called, capital, *imported.split(",")) if each.strip()}
        else:
            names |= {line.strip() for line in source.splitlines() if line.strip()}
    return names
