"""How long a server keeps one quiet client waiting: while 1M keys grow to 4M, and while 1M keys expire in one second.

A prober on one connection says PING, waits, and says it again 50 us after the reply; its longest wait is the longest
stall that anybody saw. It runs in the loop of the load itself (`load.c`). Growth goes on at a fixed rate, for a
saturated server would show its queue instead of its pauses. The epoll floor goes through the same and stores
nothing: what the prober sees there is the machine's own noise, and no server can be told apart below it.
"""

import json
import sys
import time
from argparse import Namespace
from functools import partial
from typing import Any

from benchmarks import options, tables
from benchmarks.compare import fill
from benchmarks.drive import run_load
from benchmarks.figures import summary
from benchmarks.machine import Affinity
from benchmarks.rows import count_name
from benchmarks.servers import KINDS, BenchError, Kind, Programs, Server, numbers, serving

START_KEYS, END_KEYS = 1_000_000, 4_000_000
GROWTH_RATE = 200_000  # SETs per second, 16 at a time over 4 connections
EXPIRING_KEYS = 1_000_000
EXPIRING_MS = 1000
LOAD_S_MAX = 10  # in which the expiring keys must be written, before the first is due
PROBE_AFTER_S = 5  # Redis is done 1.2 to 2.6 s after the last deadline
STALL_MAX_MS = 2
QUICK_DIVISOR = 10
SERVERS = "redis,native,valkey,floor"
PHASES = ("grow", "expire")


def grow(server: Server, programs: Programs, where: Affinity, divisor: int) -> dict[str, Any]:
    start, end = START_KEYS // divisor, END_KEYS // divisor
    fill(server, programs, where, start, 64)
    return run_load(
        [
            str(programs.load), "--port", str(server.port), "--op", "set", "--first", str(start), "--keys", str(end - start),
            "--requests", str(end - start), "--sequential", "--rate", str(GROWTH_RATE), "--pipeline", "16",
            "--connections", "4", "--probe", *(["--memcache"] if server.kind.memcache else []),
        ],
        where,
    )  # fmt: skip


def expire(server: Server, programs: Programs, where: Affinity, divisor: int) -> dict[str, Any]:
    """The prober starts a second before the first deadline, when everything is written."""
    keys = EXPIRING_KEYS // divisor
    due_s = time.time() + LOAD_S_MAX / divisor + 3
    run_load(
        [
            str(programs.load), "--port", str(server.port), "--op", "set", "--keys", str(keys), "--requests", str(keys),
            "--sequential", "--pipeline", "50", "--connections", "4", "--due-ms", str(int(due_s * 1000)),
            "--spread-ms", str(EXPIRING_MS),
        ],
        where,
    )  # fmt: skip
    there = numbers(server).get("keys", keys)
    if there != keys or time.time() > due_s - 1:
        raise BenchError(
            f"{server.kind.label}: {there} of {keys} keys were there before the first was due: a slow machine"
        )
    time.sleep(due_s - 1 - time.time())
    seconds = 1 + EXPIRING_MS // 1000 + PROBE_AFTER_S
    found = run_load(
        [str(programs.load), "--port", str(server.port), "--op", "idle", "--probe", "--seconds", str(seconds)], where
    )
    return found | {"keys_left": numbers(server).get("keys", 0)}


def noise_note(found: list[dict[str, Any]]) -> str:
    """What the floor's prober saw is the machine's doing; beyond the bound no server can be judged by this run."""
    own = [one["probe"]["max_us"] / 1000 for one in found if not KINDS[one["server"]].has_keys]
    if not own:
        return "The epoll floor did not take part, so the machine's own stalls are not known."
    if max(own) <= STALL_MAX_MS:
        return f"The machine's own stalls, as the epoll floor shows them, were at most {max(own):.2f} ms."
    return f"**Too noisy: the machine itself stalled for up to {max(own):.1f} ms, so no server can be judged by this run.**"


def stalls_table(phase: str, found: list[dict[str, Any]], kinds: list[Kind], divisor: int) -> str:
    start, end, keys = (count_name(count // divisor) for count in (START_KEYS, END_KEYS, EXPIRING_KEYS))
    head = [
        f"{start} grows to {end} keys" if phase == "grow" else f"{keys} keys expire in one second",
        "longest wait, ms: median of turns (lowest-highest)", "p99.9, ms", "p50, us", f"waits over {STALL_MAX_MS} ms", "keys left",
    ]  # fmt: skip
    lines = []
    for kind in kinds:
        mine = [one for one in found if one["server"] == kind.name and one["phase"] == phase]
        if not mine:
            continue
        longest = summary([one["probe"]["max_us"] / 1000 for one in mine])
        lines.append([
            kind.label + (" (the machine's own)" if not kind.has_keys else ""),
            f"{longest.median:.2f} ({longest.low:.2f}-{longest.high:.2f})",
            f"{summary([one['probe']['p999_us'] / 1000 for one in mine]).median:.3f}",
            f"{summary([one['probe']['p50_us'] for one in mine]).median:.1f}",
            " ".join(str(one["probe"]["over_2ms"]) for one in mine),
            " ".join(str(one.get("keys_left", "-")) for one in mine) if kind.has_keys else "-",
        ])  # fmt: skip
    return tables.table(head, lines)


def work(given: Namespace, kinds: list[Kind], phases: list[str], programs: Programs, where: Affinity) -> None:
    divisor = QUICK_DIVISOR if given.quick else 1
    facts = options.facts_of(kinds, programs, where)
    found: list[dict[str, Any]] = []

    def save(whole: bool) -> None:
        if found:
            path = options.out_path(given, "stalls", whole and phases == list(PHASES))
            parts = [
                "# Stalls",
                f"Waits of one client that only says PING. {noise_note(found)}",
                tables.facts_list(facts),
            ]
            parts += [stalls_table(phase, found, kinds, divisor) for phase in phases]
            options.write(path, ".json", json.dumps({"facts": facts, "turns": found}, indent=1) + "\n")
            options.write(path, ".md", "\n\n".join(parts) + "\n")

    with options.saving(save):
        for turn in range(given.turns):
            for kind in kinds:
                for phase in phases:
                    if phase == "expire" and kind.memcache:  # it knows whole seconds only, and forgets when asked
                        continue
                    with serving(kind, programs, where) as server:
                        run = (grow if phase == "grow" else expire)(server, programs, where, divisor)
                    found.append({"server": kind.name, "phase": phase, "turn": turn} | run)
                    said = f"longest {run['probe']['max_us'] / 1000:.2f} ms"
                    print(f"{kind.label}, {phase}: {said}", file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    parser = options.parser_for("stalls", "The longest wait of a quiet client.", SERVERS, 1200)
    parser.add_argument("--phases", default=",".join(PHASES), metavar="NAMES", help=f"some of {','.join(PHASES)}")
    parser.add_argument(
        "--turns", type=options.positive, default=3, metavar="N", help="fresh starts of each server (default 3)"
    )
    given = parser.parse_args(argv)
    phases = given.phases.split(",")
    if any(phase not in PHASES for phase in phases):
        parser.error(f"--phases takes some of {','.join(PHASES)}")
    return options.run(given, partial(work, given, options.chosen_kinds(parser, given.servers), phases))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
