"""`respram top`: shows an enclave live in the terminal. It needs the extra respram[top]."""

from collections.abc import Callable, Mapping

from respram.cli.gateway import needing, take_urls
from respram.gateway.settings import read_targets

HELP = """respram top: show an enclave live in the terminal.

  --url URL         a node (default redis://127.0.0.1:6379, or RESPRAM_URL); repeat it to name nodes to fall back on
  --url-file FILE   a file of such URLs, one a line

q quits, p pauses. It shows what the user of the URL may see.
"""


def run_top(
    words: list[str], variables: Mapping[str, str], parse: Callable[[list[str], Mapping[str, bool]], dict[str, str]]
) -> int:
    urls, rest = take_urls(words)
    targets = read_targets(parse(rest, {"url": True, "url-file": True}), urls, variables)
    with needing("top"):
        from respram.top.app import run
    return run(targets)
