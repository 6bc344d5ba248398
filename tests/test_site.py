"""The documentation site: what is staged, and which links are told to be dead."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from release import site

ROOT = Path(__file__).parent.parent


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_every_link_of_every_page_leads_to_a_file_of_the_repository() -> None:
    found = site.files(ROOT)
    assert {Path("README.md"), Path("docs/operating.md"), Path("docs/picture.svg")} <= found
    assert len(found) > 100


def unlisted(text: str) -> Iterator[str]:
    """Lines that are items or paragraphs of a list where the repository is browsed, but not on the site.

    Its parser wants a blank line before a list, and four blanks before what belongs to an item.
    """
    lines = site.FENCE.sub("", text).splitlines()
    loose = False  # within a paragraph of its own in an item
    for before, line in itertools.pairwise(["", *lines]):
        item = re.match(r"([-*]|\d+\.) ", line)
        if loose and item:
            yield line
        loose = bool(line) and (loose or not before) and re.match(r" {4}\s*[^\s|*-]", line) is not None
        inside = before.startswith(("- ", "* ", " ")) or re.match(r"\d+\. ", before)
        nested = re.match(r" {1,3}([-*]|1\.) ", line) or (not before and re.match(r" {1,3}\S", line))
        if nested or (before and not inside and line.startswith(("- ", "* ")) and not before.startswith(("#", "<"))):
            yield line


@pytest.mark.parametrize("page", sorted(path for path in site.files(ROOT) if path.suffix == ".md"), ids=str)
def test_a_list_is_one_on_the_site_too(page: Path) -> None:
    assert list(unlisted((ROOT / page).read_text())) == []


@pytest.mark.parametrize(
    "text",
    ["Words:\n- a\n", "- a\n  - b\n", "8. a\n   - b\n", "1. a\n\n   more\n", "1. a\n\n    more\n2. b\n"],
)
def test_a_list_that_the_site_would_not_show_is_found(text: str) -> None:
    assert len(list(unlisted(text))) == 1


def test_a_page_brings_what_it_links_to_and_nothing_else(tmp_path: Path) -> None:
    write(
        tmp_path / "README.md",
        "[a](docs/a.md#top) ![p](pictures/p.svg) [x](https://example.org) [y](#here)\n```\n[z](z.md)\n```\n",
    )
    write(tmp_path / "docs/a.md", "[s](../source/s.py)")
    for name in ("pictures/p.svg", "source/s.py", "source/other.py"):
        write(tmp_path / name, "")
    assert site.files(tmp_path) == {Path(one) for one in ("README.md", "docs/a.md", "pictures/p.svg", "source/s.py")}


@pytest.mark.parametrize("link", ["nothing.md", "docs", "../elsewhere.md", "docs/a.md/b"])
def test_a_link_to_what_is_no_file_of_the_repository_is_an_error(link: str, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    write(tmp_path / "elsewhere.md", "")
    write(root / "docs/a.md", "")
    write(root / "README.md", f"[a]({link})")
    with pytest.raises(site.SiteError, match=r"README\.md: "):
        site.files(root)


def test_dead_links_and_headings_of_built_pages_are_told(tmp_path: Path) -> None:
    write(
        tmp_path / "index.html",
        '<a href="a/#one">1</a><a href="a/#two">2</a><a href="b/">3</a><img src="p.png"><a href="//x.org/">4</a>',
    )
    write(tmp_path / "a/index.html", '<h1 id="one">One</h1><a href="../">back</a><a href="#one">self</a>')
    assert site.dead_links(tmp_path) == ["index.html: a/#two (no such heading)", "index.html: b/", "index.html: p.png"]


def test_the_title_of_a_decision_begins_with_its_number() -> None:
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [page.name for page in pages if not page.read_text().startswith(f"# {page.name[:4]}: ")] == []


def test_the_list_of_decisions_has_all_of_them_by_their_titles() -> None:
    lines = list(site.decisions(ROOT / "docs/decisions"))
    assert len(lines) == len(list((ROOT / "docs/decisions").glob("[0-9]*.md"))) > 30
    assert lines[0].startswith("- 0001: [Every command once in Python") and lines[0].endswith(
        "](0001-hot-and-cold.md)\n"
    )


def test_code_in_a_table_shows_no_backslash_on_the_site_and_text_stays_as_it_is() -> None:
    row = "| `yes\\|no` | a \\| b |"
    assert site.for_site(f"{row}\n`a\\|b`\n") == "| `yes|no` | a \\| b |\n`a\\|b`\n"
