"""`make docs`: the documentation site, from the pages as they lie in the repository, into build/site/public.

Pages link to each other and to sources by relative paths, which also work where the repository is browsed. So the
site keeps the repository's layout: the pages, and every file that one of them links to, are copied to
build/site/source, and mkdocs builds that, strictly. Afterwards every link and anchor of the built pages is followed
once more, in the HTML: that also sees links that a theme makes. Links to other sites are not followed.
"""

import html.parser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent
SOURCE, PUBLIC = ROOT / "build/site/source", ROOT / "build/site/public"
PAGES = (
    "*.md",
    "docs/**/*.md",
    "compat/*.md",
    "benchmarks/*.md",
    "benchmarks/results/*.md",
    "examples/*.md",
    "deploy/**/README.md",
)
LINK = re.compile(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


class SiteError(Exception):
    pass


def targets(text: str) -> Iterator[str]:
    """Paths of relative links, outside blocks of code."""
    for link in LINK.findall(FENCE.sub("", text)):
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc and parts.path:
            yield unquote(parts.path)


def files(root: Path) -> set[Path]:
    """The pages and what they link to, relative to the root. A link to no file of the tree is an error."""
    pages = {path for pattern in PAGES for path in root.glob(pattern)}
    found, waiting, wrong = set(pages), sorted(pages), []
    while waiting:
        page = waiting.pop()
        for link in targets(page.read_text()):
            target = (page.parent / link).resolve()
            if not target.is_file() or not target.is_relative_to(root):
                wrong.append(f"{page.relative_to(root)}: {link}")
            elif target not in found:
                found.add(target)
                if target.suffix == ".md":
                    waiting.append(target)
    if wrong:
        raise SiteError("links to what is no file of the repository:\n" + "\n".join(sorted(wrong)))
    return {path.relative_to(root) for path in found}


def stage() -> int:
    shutil.rmtree(SOURCE.parent, ignore_errors=True)
    SOURCE.mkdir(parents=True)  # mkdocs requires the folder even if it is empty
    for name in (found := files(ROOT) | {Path("docs/site.css")}):
        (SOURCE / name).parent.mkdir(parents=True, exist_ok=True)
        if name.suffix == ".md":
            (SOURCE / name).write_text(for_site((ROOT / name).read_text()))
        else:
            shutil.copy(ROOT / name, SOURCE / name)
    with (SOURCE / "docs/decisions/README.md").open("a") as index:
        index.write("\n## All of them\n\n" + "".join(decisions(SOURCE / "docs/decisions")))
    return len(found)


def for_site(text: str) -> str:
    """In a table a `|` within code is escaped for forges; mkdocs would show the backslash, and needs none."""
    return re.sub(
        r"^\|.*$",
        lambda row: re.sub(r"`[^`]*`", lambda code: code[0].replace("\\|", "|"), row[0]),
        text,
        flags=re.MULTILINE,
    )


def decisions(folder: Path) -> Iterator[str]:
    """The list that a browser of the repository sees as its folder."""
    for path in sorted(folder.glob("[0-9]*.md")):
        title = path.read_text().partition("\n")[0].removeprefix("# ").removeprefix(f"{path.name[:4]}: ")
        yield f"- {path.name[:4]}: [{title[0].upper()}{title[1:]}]({path.name})\n"


class Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def dead_links(public: Path) -> list[str]:
    pages = {path: Page(path.read_text()) for path in public.rglob("*.html") if path.name != "404.html"}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                dead.append(f"{path.relative_to(public)}: {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                dead.append(f"{path.relative_to(public)}: {link} (no such heading)")
    return dead


def main() -> int:
    try:
        print(f"docs: {stage()} files staged", flush=True)
    except SiteError as error:
        print(f"docs: {error}", file=sys.stderr)
        return 1
    words = [str(Path(sys.executable).parent / "mkdocs"), "build", "--strict", "--quiet"]
    # The theme's maintainers announce their next product at each build; strict mode is about our pages.
    done = subprocess.run(words, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=False)
    if done.returncode:
        return done.returncode
    if dead := dead_links(PUBLIC):
        print("docs: dead links:\n" + "\n".join(dead), file=sys.stderr)
        return 1
    print(f"docs: {sum(1 for _ in PUBLIC.rglob('*.html'))} pages in {PUBLIC.relative_to(ROOT)}, no dead link")
    return 0


if __name__ == "__main__":
    sys.exit(main())
