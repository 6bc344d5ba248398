"""What a key costs in memory: growth of the resident set while a fresh server is filled, divided by the keys.

The resident set is what the machine has to have; it counts tables that doubled and an allocator's rounding, which a
server's own `used_memory` may leave out. That own count stands beside it. Each turn starts each server anew.
"""

import json
import sys
import time
from argparse import Namespace
from functools import partial
from typing import NamedTuple

from benchmarks import machine, options, tables
from benchmarks.compare import fill
from benchmarks.figures import CPU_NOISE_MAX, ratio
from benchmarks.machine import Affinity
from benchmarks.rows import count_name, size_name
from benchmarks.servers import Kind, Programs, numbers, serving

SETTLE_S = 2.0  # wait after the start and after the last key, so that later work of a server is counted
QUICK_KEYS = 100_000
SERVERS = "redis,native,valkey,memcached,pure"


class Growth(NamedTuple):
    server: str
    turn: int
    before_bytes: int
    after_bytes: int
    own_bytes: int  # as the server reports it; 0 where it does not
    keys: int

    @property
    def per_key(self) -> float:
        return (self.after_bytes - self.before_bytes) / self.keys


def measure(kind: Kind, programs: Programs, where: Affinity, turn: int, keys: int, value_bytes: int) -> Growth:
    with serving(kind, programs, where) as server:
        time.sleep(SETTLE_S)
        before, own_before = machine.rss_bytes(server.pid), own_bytes(numbers(server))
        fill(server, programs, where, keys, value_bytes)
        time.sleep(SETTLE_S)
        return Growth(
            kind.name, turn, before, machine.rss_bytes(server.pid), own_bytes(numbers(server)) - own_before, keys
        )


def own_bytes(found: dict[str, int]) -> int:
    return found.get("used_memory", found.get("bytes", 0))


def page(facts: dict[str, str], growths: list[Growth], kinds: list[Kind], value_bytes: int) -> str:
    keys = growths[0].keys
    head = ["bytes per key", "resident", "own count", "to Redis"]
    redis = [one.per_key for one in growths if one.server == "redis"]
    lines = []
    for kind in kinds:
        mine = [one for one in growths if one.server == kind.name]
        found = ratio([one.per_key for one in mine], redis, CPU_NOISE_MAX) if redis else None
        own = [one.own_bytes / one.keys for one in mine]
        lines.append([
            kind.label, tables.figure_cell([one.per_key for one in mine]), tables.figure_cell(own),
            tables.ratio_cell(found) if found else "-",
        ])  # fmt: skip
    what = f"{count_name(keys)} keys of 16 bytes with {size_name(value_bytes)} values and a TTL"
    text = f"{what}, written once each, in order."
    return "\n\n".join(["# Memory per key", text, tables.facts_list(facts), tables.table(head, lines)]) + "\n"


def work(given: Namespace, kinds: list[Kind], programs: Programs, where: Affinity) -> None:
    keys = QUICK_KEYS if given.quick else given.keys
    facts = options.facts_of(kinds, programs, where)
    growths: list[Growth] = []

    def save(whole: bool) -> None:
        if growths:
            path = options.out_path(given, "memory", whole)
            raw = {"facts": facts, "turns": [one._asdict() for one in growths]}
            options.write(path, ".json", json.dumps(raw, indent=1) + "\n")
            options.write(path, ".md", page(facts, growths, kinds, given.value_bytes))

    with options.saving(save):
        for turn in range(given.turns):
            for kind in kinds:
                growths.append(measure(kind, programs, where, turn, keys, given.value_bytes))
                print(f"{kind.label}: {growths[-1].per_key:.1f} bytes per key", file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    parser = options.parser_for("memory", "Memory per key.", SERVERS, 900)
    parser.add_argument(
        "--keys", type=options.positive, default=1_000_000, metavar="N", help="how many (default 1000000)"
    )
    parser.add_argument(
        "--value-bytes", type=options.positive, default=64, metavar="N", help="of each value (default 64)"
    )
    parser.add_argument(
        "--turns", type=options.positive, default=3, metavar="N", help="fresh starts of each server (default 3)"
    )
    given = parser.parse_args(argv)
    kinds = [kind for kind in options.chosen_kinds(parser, given.servers) if kind.has_keys]
    if not kinds:
        parser.error("none of these servers holds keys")
    return options.run(given, partial(work, given, kinds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
