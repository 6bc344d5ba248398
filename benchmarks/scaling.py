"""How the cost of a command grows with keys (100k to 4M), with the size of values, and with connections."""

import re
import sys
from argparse import Namespace
from dataclasses import replace
from functools import partial

from benchmarks import options, tables
from benchmarks.compare import Result, compare, gather
from benchmarks.machine import Affinity
from benchmarks.rows import Op, Row
from benchmarks.servers import Kind, Programs

SERVERS = "redis,native,valkey"
AXES = ("keys", "values", "connections")
TURNS_MAX = 5  # turns of Redis and respram, in rows whose first turns differ too much
QUICK_DIVISOR = 10


def rows_of(axis: str) -> list[Row]:
    ops: tuple[Op, ...] = ("get", "set")
    if axis == "keys":
        return [
            Row(op, keys, 500_000, pipeline=16)
            for op in ops
            for keys in (100_000, 300_000, 1_000_000, 2_000_000, 4_000_000)
        ]
    if axis == "values":  # few keys, so that the largest values fit; fewer requests for larger values
        sizes = (
            (16, 500_000),
            (256, 500_000),
            (1024, 300_000),
            (4096, 150_000),
            (16 * 1024, 60_000),
            (64 * 1024, 15_000),
        )
        return [Row(op, 10_000, requests, pipeline=16, value_bytes=size) for op in ops for size, requests in sizes]
    return [
        Row(op, 100_000, 25_000 if count == 1 else 100_000, connections=count)
        for op in ops
        for count in (1, 10, 100, 500, 1000)
    ]


def work(
    given: Namespace, rows: list[Row], kinds: list[Kind], whole: bool, programs: Programs, where: Affinity
) -> None:
    facts = options.facts_of(kinds, programs, where)

    def save(results: list[Result], whole: bool = False) -> None:
        path = options.out_path(given, "scaling", whole)
        options.write(path, ".json", tables.as_json(facts, results, kinds))
        options.write(path, ".md", tables.page("Scaling", facts, results, kinds))

    save(gather(rows, compare(rows, kinds, programs, where, given.turns, 0 if given.quick else TURNS_MAX), save), whole)


def main(argv: list[str]) -> int:
    parser = options.parser_for("scaling", "Cost by keys, value size and connections.", SERVERS, 1800)
    parser.add_argument("--axes", default=",".join(AXES), metavar="NAMES", help=f"some of {','.join(AXES)}")
    parser.add_argument("--rows", default="", metavar="REGEX", help="only rows whose title matches")
    parser.add_argument(
        "--turns", type=options.positive, default=3, metavar="N", help="how often each server has its turn (default 3)"
    )
    given = parser.parse_args(argv)
    if any(axis not in AXES for axis in given.axes.split(",")):
        parser.error(f"--axes takes some of {','.join(AXES)}")
    try:
        rows = [row for axis in given.axes.split(",") for row in rows_of(axis) if re.search(given.rows, row.title)]
    except re.error as error:
        parser.error(f"--rows is no regular expression: {error}")
    if not rows:
        parser.error("no row has such a title")
    if given.quick:
        rows = [replace(row, requests=max(row.connections, row.requests // QUICK_DIVISOR)) for row in rows]
    whole = given.axes == ",".join(AXES) and not given.rows
    return options.run(given, partial(work, given, rows, options.chosen_kinds(parser, given.servers), whole))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
