"""Documents name code that exists: every file, attribute and option that a page mentions is looked up in the tree.

A name in backticks counts as a name of code by its form: a path by its ending, `Class.attribute` by its dot, an option
by its dashes. Words without any of these can be anything, and are left alone.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from respram.config.options import OPTIONS
from respram.gateway import settings as gateway

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path for folder in (".", "docs", "docs/decisions", "compat", "benchmarks") for path in (ROOT / folder).glob("*.md")
)
SOURCE_ENDINGS = ("py", "pyx", "pyi", "pxd", "c", "h", "md", "toml", "yaml", "svg", "json")
TREES = ("respram", "tests", "compat", "benchmarks", "docs", "deploy", "fuzz", "examples")
# Files that are spoken of and are not in the tree: made by a run, or an operator's own.
ELSEWHERE = frozenset({"entry.toml"})
# Objects of Python's library and of packages, by their first name.
FOREIGN = frozenset({"ssl", "redis", "AESGCM", "requirements", "left", "limits", "keys", "asyncio", "os", "signal"})
FOREIGN_OPTIONS = frozenset({"--cap-add", "--save"})  # of docker, of redis-server
MADE = frozenset({"dist/", "build/", "site/"})  # folders that a make target makes


def spans(text: str) -> Iterator[str]:
    """What stands in backticks, outside of blocks of code."""
    for found in re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        yield found.replace("\\|", "|")


@cache
def files() -> tuple[str, ...]:
    paths = [path.relative_to(ROOT).as_posix() for tree in TREES for path in (ROOT / tree).rglob("*") if path.is_file()]
    return (*paths, *(path.name for path in ROOT.iterdir() if path.is_file()))


@cache
def classes() -> dict[str, frozenset[str]]:
    """What each class of the package defines, by the class's name; two of one name count as one."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "respram").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).update(_members(node))
    return {name: frozenset(members) for name, members in found.items()}


def _members(node: ast.ClassDef) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            yield one.name
        elif isinstance(one, ast.AnnAssign | ast.Assign):
            targets = [one.target] if isinstance(one, ast.AnnAssign) else one.targets
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id
                elif isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                    yield target.attr


@cache
def modules() -> dict[str, frozenset[str]]:
    """What each module of the tree defines at its top, by the file's name without its ending."""
    found: dict[str, set[str]] = {}
    for tree in ("respram", "compat", "benchmarks", "tests"):
        for path in (ROOT / tree).rglob("*.py"):
            names = found.setdefault(path.parent.name if path.stem == "__init__" else path.stem, set())
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                    names.add(node.name)
                elif isinstance(node, ast.Assign):
                    names.update(target.id for target in node.targets if isinstance(target, ast.Name))
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    names.add(node.target.id)
    return {name: frozenset(names) for name, names in found.items()}


@cache
def options() -> frozenset[str]:
    flags = {f"--{name}" for name in (*(one.name for one in OPTIONS), *(one.name for one in gateway.WORDS))} | {
        "--config",
        "--version",
        "--help",
    }
    for tree in ("benchmarks", "compat", "respram"):
        for path in (ROOT / tree).rglob("*.py"):
            flags.update(re.findall(r"--[a-z][a-z-]+", path.read_text()))
    return frozenset(flags | FOREIGN_OPTIONS)


def unresolved(span: str) -> Iterator[str]:
    """The names in a span that are names of code by their form, and are found nowhere."""
    for word in span.split():
        if word in ELSEWHERE or word in MADE or word.startswith("/"):  # the last are paths of a URL
            continue
        if re.fullmatch(rf"[\w./-]+\.({'|'.join(SOURCE_ENDINGS)})", word):
            if not any(path == word or path.endswith("/" + word) for path in files()):
                yield word
        elif re.fullmatch(r"[\w-]+(/[\w-]+)*/", word):
            if not any(path.startswith(word) or f"/{word}" in path for path in files()):
                yield word
        elif re.fullmatch(r"--[a-z][a-z-]+", word):
            if word not in options():
                yield word
        elif re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(\(\))?", word):
            yield from _unresolved_dotted(word.removesuffix("()"))


def _unresolved_dotted(word: str) -> Iterator[str]:
    first, *rest = word.split(".")
    if first in FOREIGN:
        return
    if first in TREES:
        path = "/".join([first, *rest])
        holder = word.split(".")[-2]  # `respram.errors.ConfigError`: what a module defines
        if not any(known.startswith((path + "/", path + ".py")) for known in files()) and rest[-1] not in modules().get(
            holder, ()
        ):
            yield word
    elif first in classes():
        if rest[0] not in classes()[first]:
            yield word
    elif first in modules():
        if rest[0] not in modules()[first] and not any(
            rest[0] in members for name, members in classes().items() if name.lower() == first
        ):
            yield word
    elif first.capitalize() in classes():  # `session.hot`: an object named after its class
        if rest[0] not in classes()[first.capitalize()]:
            yield word


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_name_of_code_on_a_page_is_in_the_tree(page: Path) -> None:
    assert [f"{page.name}: {name}" for span in spans(page.read_text()) for name in unresolved(span)] == []


@pytest.mark.parametrize(
    "span",
    [
        "Client.readable",
        "server/nobody.py",
        "nosuchroom/",
        "--no-such-option VALUE",
        "session.nothing",
        "respram.nothing",
        "compat.nothing",
        "dispatch.nobody",
    ],
)
def test_a_name_that_is_nowhere_is_found_out(span: str) -> None:
    assert list(unresolved(span))


@pytest.mark.parametrize(
    "span",
    [
        "App.keep_forgetting",
        "server/app.py",
        "engine/pure/",
        "--max-ttl 7200",
        "session.hot",
        "respram.patterns",
        "ssl.SSLSocket",
        "SET",
    ],
)
def test_a_name_that_is_there_is_not(span: str) -> None:
    assert list(unresolved(span)) == []


def test_pages_are_found_at_all() -> None:
    assert len(PAGES) > 30 and sum(1 for page in PAGES for _ in spans(page.read_text())) > 1_000


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_each_page_of_the_documentation_ends_with_a_link_to_the_next_one(page: Path) -> None:
    found = re.search(r"\nNext: \[[^\]]+\]\(([^)#]+)\)\.\n\Z", page.read_text())
    assert found and (page.parent / found[1]).resolve().is_file()
