"""What sealing costs: the same node with `--seal-memory yes` and `no`, and Redis beside them, in turns."""

import json
import re
import sys
from argparse import Namespace
from dataclasses import asdict, replace
from functools import partial

from benchmarks import options, tables
from benchmarks.compare import Result, compare, cpu_ratio, gather
from benchmarks.machine import Affinity
from benchmarks.rows import Op, Row
from benchmarks.servers import Kind, Programs

SERVERS = "unsealed,native,redis"
REQUESTS = {1: 40_000, 16: 300_000, 64: 600_000}
# Wanted ratio, sealed to unsealed, of 64-byte values; larger values are only reported.
TARGETS = {1: 1.03, 16: 1.15, 64: 1.15}
QUICK_DIVISOR = 10


def all_rows() -> list[Row]:
    ops: tuple[Op, ...] = ("get", "set")
    rows = [Row(op, 100_000, count, pipeline=pipeline, target=TARGETS[pipeline]) for op in ops
            for pipeline, count in REQUESTS.items()]
    for value_bytes, keys, divisor in ((1024, 100_000, 2), (16 * 1024, 10_000, 8)):
        rows += [
            Row(op, keys, count // divisor, pipeline=pipeline, value_bytes=value_bytes)
            for op in ops for pipeline, count in REQUESTS.items()
        ]  # fmt: skip
    return rows


def page(facts: dict[str, str], results: list[Result], kinds: list[Kind]) -> str:
    head = ["server CPU, us per command", *(kind.label for kind in kinds), "sealed to unsealed", "target",
            "sealed to Redis"]
    lines = [
        [
            result.row.title,
            *(tables.figure_cell(result.values(kind.name, "cpu_us")) for kind in kinds),
            tables.ratio_cell(cpu_ratio(result, "native", "unsealed")),
            f"{result.row.target:.2f}" if result.row.target else "",
            tables.ratio_cell(cpu_ratio(result)),
        ]
        for result in results
    ]
    return "\n\n".join([
        "# Sealing",
        "Made by the command at the end of the list; do not edit. Figures are medians of all turns, ± their spread; a "
        "ratio is the\n"
        "median of the turns' ratios, with the lowest and highest.",
        tables.facts_list(facts), tables.table(head, lines), "## Raw figures", tables.raw_table(results, kinds),
    ]) + "\n"  # fmt: skip


def work(
    given: Namespace, rows: list[Row], kinds: list[Kind], whole: bool, programs: Programs, where: Affinity
) -> None:
    facts = options.facts_of(kinds, programs, where)

    def save(results: list[Result], whole: bool = False) -> None:
        path = options.out_path(given, "sealing", whole)
        found = [
            {"title": one.row.title, "row": asdict(one.row), "runs": [asdict(run) for run in one.runs]}
            for one in results
        ]
        options.write(path, ".json", json.dumps({"facts": facts, "rows": found}, indent=1) + "\n")
        options.write(path, ".md", page(facts, results, kinds))

    save(gather(rows, compare(rows, kinds, programs, where, given.turns), save), whole)


def main(argv: list[str]) -> int:
    parser = options.parser_for("sealing", "The cost of sealing values in memory.", SERVERS, 1800)
    parser.add_argument("--rows", default="", metavar="REGEX", help="only rows whose title matches")
    parser.add_argument(
        "--turns", type=options.positive, default=5, metavar="N", help="how often each server has its turn (default 5)"
    )
    given = parser.parse_args(argv)
    try:
        rows = [row for row in all_rows() if re.search(given.rows, row.title)]
    except re.error as error:
        parser.error(f"--rows is no regular expression: {error}")
    if not rows:
        parser.error("no row has such a title")
    if given.quick:
        rows = [replace(row, requests=max(row.connections, row.requests // QUICK_DIVISOR)) for row in rows]
    kinds = options.chosen_kinds(parser, given.servers)
    if not {"native", "unsealed"} <= {kind.name for kind in kinds}:
        parser.error("--servers must have native and unsealed: they are what is compared")
    return options.run(given, partial(work, given, rows, kinds, not given.rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
