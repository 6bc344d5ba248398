"""The canonical comparison: `make bench`, or `python -m benchmarks.canonical --help`.

Writes canonical.md, .json, .svg and .png into benchmarks/results, and the block of the README with its picture. A
partial run (rows, turns or servers chosen, or --quick) goes to another name and leaves the README alone. --redraw
measures nothing: it draws once more what the last whole run found.
"""

import re
import sys
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import glance, options, plot, tables
from benchmarks.compare import Result, compare, gather
from benchmarks.machine import Affinity
from benchmarks.rows import Row, canonical
from benchmarks.servers import KINDS, ROOT, BenchError, Kind, Programs

README = ROOT / "README.md"
TURNS = 3
TURNS_MAX = 9  # turns of Redis and respram, in rows whose first turns differ too much
QUICK_DIVISOR = 10  # requests are divided by this
SECONDS_MAX = 1800
# Redis first: half of its rate is the half load. The order matters for nothing else.
SERVERS = "redis,native,valkey,memcached,pure,floor"


def parse(argv: list[str]) -> tuple[Namespace, list[Row], list[Kind]]:
    parser = options.parser_for(
        "canonical", "The canonical comparison with Redis and other peers.", SERVERS, SECONDS_MAX
    )
    parser.add_argument("--rows", default="", metavar="REGEX", help="only rows whose title matches; see --list")
    parser.add_argument(
        "--turns",
        type=options.positive,
        default=TURNS,
        metavar="N",
        help=f"how often each server has its turn (default {TURNS})",
    )
    parser.add_argument("--list", action="store_true", help="print the rows and end")
    parser.add_argument("--no-plot", action="store_true", help="no SVG and PNG, hence no need of matplotlib")
    parser.add_argument("--redraw", action="store_true", help="measure nothing; draw from canonical.json, and end")
    parser.add_argument("--no-readme", action="store_true", help="leave the README as it is")
    given = parser.parse_args(argv)
    try:
        rows = [row for row in canonical() if re.search(given.rows, row.title)]
    except re.error as error:
        parser.error(f"--rows is no regular expression: {error}")
    if not rows:
        parser.error("no row has such a title: see --list")
    if given.quick:
        rows = [replace(row, requests=max(row.connections, row.requests // QUICK_DIVISOR)) for row in rows]
    return given, rows, options.chosen_kinds(parser, given.servers)


def readme_block(facts: dict[str, str], results: list[Result]) -> str:
    said = "; ".join(facts[name] for name in ("processor", "system", "date"))
    versions = ", ".join(
        f"{KINDS[name].label} {facts[KINDS[name].label]}" for name in ("redis", "native") if KINDS[name].label in facts
    )
    return (
        f"{tables.short_table(results)}\n\n"
        f"![{glance.TITLE}: bars of {len(tables.SHORT_ROWS)} rows]({glance.PLACE.relative_to(ROOT).as_posix()})\n\n"
        f"{versions}. {said}; commit {facts['commit']}. P is the pipeline: so many commands are sent before a reply is "
        "awaited.\n"
        "A ratio below 1 means that respram took less; in brackets the lowest and the highest of the turns. All "
        f"{len(results)} rows, beside\n"
        "more servers, with the commands and every raw figure: "
        "[benchmarks/results/canonical.md](benchmarks/results/canonical.md).\n"
        "Written by `make bench`."
    )


def work(given: Namespace, rows: list[Row], kinds: list[Kind], programs: Programs, where: Affinity) -> None:
    whole = not given.rows and given.servers == SERVERS and given.turns >= TURNS
    if not given.no_plot:
        plot.library()  # a missing plotting library is noticed now rather than after some minutes
    facts = options.facts_of(kinds, programs, where)

    def save(results: list[Result], whole: bool = False) -> None:
        path = options.out_path(given, "canonical", whole)
        facts["rows"] = f"{len(results)} of {len(canonical())}"
        options.write(path, ".json", tables.as_json(facts, results, kinds))
        options.write(path, ".md", tables.page("The canonical comparison", facts, results, kinds))
        if not given.no_plot:
            plot.draw(results, path)

    results = gather(rows, compare(rows, kinds, programs, where, given.turns, 0 if given.quick else TURNS_MAX), save)
    save(results, whole)
    if whole and not given.quick and not given.no_readme:
        write_readme(README, readme_block(facts, results))
        glance.write(results)


def redraw(given: Namespace) -> None:
    path = options.out_path(given, "canonical", True).with_suffix(".json")
    facts, results = tables.from_json(path.read_text())
    if not given.no_plot:
        plot.draw(results, path)
    if not given.no_readme:
        write_readme(README, readme_block(facts, results))
        glance.write(results)


def write_readme(path: Path, block: str) -> None:
    try:
        path.write_text(tables.replace_block(path.read_text(), block))
    except ValueError as error:
        raise BenchError(f"{path.name} is left as it is: {error}") from None


def main(argv: list[str]) -> int:
    given, rows, kinds = parse(argv)
    if given.list:
        print("\n".join(row.title for row in rows))
        return 0
    if given.redraw:
        redraw(given)
        return 0
    return options.run(given, partial(work, given, rows, kinds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
