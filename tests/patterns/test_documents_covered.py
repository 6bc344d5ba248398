"""docs/patterns/coverage.md against the documents: no name of theirs is left out, and none is made up."""

import re
from pathlib import Path

import pytest

import respram.patterns
from respram.patterns import seigr
from tests.patterns.documents import NUMBERS, named

PAGE = Path(__file__).parents[2] / "docs" / "patterns" / "coverage.md"


def table(number: str) -> dict[str, str]:
    """What the page says of each name of a document."""
    (section,) = (each for each in PAGE.read_text().split("\n## ")[1:] if each.startswith(f"Document {number}\n"))
    found: dict[str, str] = {}
    for names, text in re.findall(r"^\| (`.+?`) \| (.+) \|$", section, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", names):
            assert name not in found, f"{name} stands there twice"
            found[name] = text
    return found


@pytest.mark.parametrize("number", NUMBERS)
def test_every_name_of_a_document_has_its_place_and_no_other_has(number: str) -> None:
    wanted = named(number)
    assert len(wanted) > 15
    assert sorted(wanted - set(table(number))) == [], "left out"
    assert sorted(set(table(number)) - wanted) == [], "in no document"


@pytest.mark.parametrize("number", NUMBERS)
def test_what_a_name_is_said_to_be_is_there(number: str) -> None:
    checked = 0
    for text in table(number).values():
        for name in re.findall(r"`([A-Z]\w+)(?:\(.*?\))?`", text):
            assert hasattr(respram.patterns, name), name
            checked += 1
        for page in re.findall(r"\]\(([\w-]+\.md)\)", text):
            assert (PAGE.parent / page).exists(), page
            checked += 1
    assert checked > 10


def classes_of(text: str) -> list[type]:
    """The classes that a row says its names are methods of."""
    if "their methods, by the same names" in text:
        return [each for each in vars(seigr).values() if isinstance(each, type)]
    names = re.findall(r"`([A-Z]\w+)`", text.partition(":")[0])
    says = "methods of" in text or text.startswith("`STTNode`")
    return [getattr(respram.patterns, name) for name in names if says]


def test_a_name_that_is_said_to_be_a_method_is_one() -> None:
    checked = []
    for number in NUMBERS:
        for name, text in table(number).items():
            kinds = classes_of(text)
            if kinds and re.fullmatch(r"[a-z_]+", name):
                assert any(hasattr(kind, name) for kind in kinds), (name, text)
                checked.append(name)
    wanted = {"receive_segment", "get_content_by_label", "list_namespaces", "delete", "open_stream"}
    assert len(checked) > 25 and wanted <= set(checked)


def test_a_name_that_is_left_out_or_made_up_is_seen() -> None:
    names = named("004")
    assert {"STCWrapper", "receive_segment", "KademliaDHT", "Keep-Alive Monitoring"} <= names
    assert "Handshake" not in names and "Publisher" not in names, "texts and comments of the code name nothing"
