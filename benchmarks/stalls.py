"""How long a server keeps one quiet client waiting: while 1M keys grow to 4M, and while 1M keys expire in one second.

A prober on one connection says PING, waits, and says it again 50 us after the reply; its longest wait is the longest
stall that anybody saw. It runs in the loop of the load itself (`load.c`). Growth goes on at a fixed rate, for a
saturated server would show its queue instead of its pauses. The epoll floor goes through the same and stores
nothing: what the prober sees there is the machine's own noise. `witness.py` says when a processor was not to be had at
all; a wait without those moments is the server's own.
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
from benchmarks.servers import BenchError, Kind, Programs, Server, numbers, serving
from benchmarks.witness import watching

START_KEYS, END_KEYS = 1_000_000, 4_000_000
GROWTH_RATE = 200_000  # SETs per second, 16 at a time over 4 connections
EXPIRING_KEYS = 1_000_000
EXPIRING_MS = 1000
LOAD_S_MAX = 10  # the expiring keys must be written within this time, before the first is due
PROBE_AFTER_S = 5  # Redis is done 1.2 to 2.6 s after the last deadline
STALL_MAX_MS = 2
WAIT_TOLD_US = 500  # load.c reports longer waits
# after a server has ended: what it had stored goes back to the system, and in a virtual machine on to the host
SETTLE_S = 10
QUICK_DIVISOR = 10
SERVERS = "redis,native,valkey,floor"
PHASES = ("grow", "expire")


def probed(argv: list[str], programs: Programs, where: Affinity) -> dict[str, Any]:
    """A load with a prober, under the eyes of the witnesses: what the load says, and which waits were the server's own.
    """
    with watching(programs, where) as watch:
        found = run_load([str(programs.load), *argv, "--probe"], where)
    waits: list[tuple[int, int]] = [(start, length) for start, length in found.pop("waits")]
    if watch.why_not:
        return found | {"unwitnessed": watch.why_not}
    own = {wait: watch.own_ns(wait) for wait in waits}
    # Where the machine was away for most of a wait, the rest is what had piled up meanwhile. A wait too short to be
    # told is shorter than every other: where none was told, the longest bounds it.
    own_us = sorted((one / 1000 for wait, one in own.items() if 2 * one >= wait[1]), reverse=True)
    own_us = own_us or [min(found["probe"]["max_us"], WAIT_TOLD_US)]
    return found | {
        "own": {
            "max_us": own_us[0],
            "over_2ms": sum(one > STALL_MAX_MS * 1000 for one in own_us),
            "longest_us": own_us[:10],
        },
        "machine": {"longest_us": watch.longest_ns / 1000, "stood_still_us": watch.total_ns / 1000},
    }


def grow(server: Server, programs: Programs, where: Affinity, divisor: int) -> dict[str, Any]:
    start, end = START_KEYS // divisor, END_KEYS // divisor
    fill(server, programs, where, start, 64)
    return probed(
        [
            "--port", str(server.port), "--op", "set", "--first", str(start), "--keys", str(end - start),
            "--requests", str(end - start), "--sequential", "--rate", str(GROWTH_RATE), "--pipeline", "16",
            "--connections", "4", *(["--memcache"] if server.kind.memcache else []),
        ],
        programs, where,
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
    found = probed(["--port", str(server.port), "--op", "idle", "--seconds", str(seconds)], programs, where)
    return found | {"keys_left": numbers(server).get("keys", 0)}


def noise_note(found: list[dict[str, Any]]) -> str:
    """How much of what the prober saw the machine did."""
    unwitnessed = {one["unwitnessed"] for one in found if "unwitnessed" in one}
    if unwitnessed:
        return f"**Nobody watched the machine: {unwitnessed.pop()}. So its own stalls are among the waits.**"
    longest = max(one["machine"]["longest_us"] for one in found) / 1000
    return (
        f"In these runs a processor was not to be had for up to {longest:.1f} ms at a time, by nobody: a witness on "
        "each, which "
        "takes precedence over all of them, says when. A server's own wait is what is left without those moments; "
        "where they were "
        "more than half of it, what is left was theirs too, to be worked off."
    )


def stalls_table(phase: str, found: list[dict[str, Any]], kinds: list[Kind], divisor: int) -> str:
    start, end, keys = (count_name(count // divisor) for count in (START_KEYS, END_KEYS, EXPIRING_KEYS))
    head = [
        f"{start} grows to {end} keys" if phase == "grow" else f"{keys} keys expire in one second",
        "longest wait of its own, ms: median of turns (lowest-highest)", f"own waits over {STALL_MAX_MS} ms",
        "longest wait, ms", f"waits over {STALL_MAX_MS} ms", "p99.9, ms", "p50, us", "machine stood still, ms a second",
        "keys left",
    ]  # fmt: skip
    lines = []
    for kind in kinds:
        mine = [one for one in found if one["server"] == kind.name and one["phase"] == phase]
        if not mine:
            continue
        witnessed = all("own" in one for one in mine)
        lines.append([
            kind.label + ("" if kind.has_keys else " (stores nothing)"),
            spread([one["own"]["max_us"] / 1000 for one in mine]) if witnessed else "-",
            " ".join(str(one["own"]["over_2ms"]) for one in mine) if witnessed else "-",
            spread([one["probe"]["max_us"] / 1000 for one in mine]),
            " ".join(str(one["probe"]["over_2ms"]) for one in mine),
            f"{summary([one['probe']['p999_us'] / 1000 for one in mine]).median:.3f}",
            f"{summary([one['probe']['p50_us'] for one in mine]).median:.1f}",
            " ".join(f"{one['machine']['stood_still_us'] / 1000 / one['seconds']:.1f}" for one in mine) if witnessed
            else "-",
            " ".join(str(one.get("keys_left", "-")) for one in mine) if kind.has_keys else "-",
        ])  # fmt: skip
    return tables.table(head, lines)


def spread(values: list[float]) -> str:
    found = summary(values)
    return f"{found.median:.2f} ({found.low:.2f}-{found.high:.2f})"


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
                    # Memcached's times are whole seconds, and it frees a key when it is read.
                    if phase == "expire" and kind.memcache:
                        continue
                    time.sleep(SETTLE_S / divisor)
                    with serving(kind, programs, where) as server:
                        run = (grow if phase == "grow" else expire)(server, programs, where, divisor)
                    found.append({"server": kind.name, "phase": phase, "turn": turn} | run)
                    own = f", of its own {run['own']['max_us'] / 1000:.2f} ms" if "own" in run else ""
                    said = f"longest {run['probe']['max_us'] / 1000:.2f} ms{own}"
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
