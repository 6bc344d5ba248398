"""`python -m respram.sim`: run the simulator, print figures; on failure, the command that replays it.

python -m respram.sim --seeds 100                    safety: any faults, invariants checked throughout
python -m respram.sim --seeds 100 --mode liveness    the same, then all must become equal
python -m respram.sim --nodes 1000 --seed 42         figures: idle cost, one write among many, a healed partition
python -m respram.sim --seed 7 --mutant no-shadow    a deliberate mistake, which must be caught
python -m respram.sim --seed 7 --trace               every event of one run
"""
# ruff: noqa: T201 (a command prints)

import argparse
import contextlib
import sys

from respram.sim import mutants, scenarios
from respram.sim.checker import Violation

CROWD = 50  # from this many nodes on, figures are computed instead of storms
STORM_NODES = 5
LOSS = 0.05


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m respram.sim", description="Simulate an enclave of nodes.")
    parser.add_argument("--nodes", type=int, default=STORM_NODES, help=f"from {CROWD} on: figures of a large enclave")
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs, with seeds that follow")
    parser.add_argument("--mode", choices=("safety", "liveness", "repair"), default="safety")
    parser.add_argument("--mutant", choices=mutants.NAMES, help="run with a deliberate mistake")
    parser.add_argument("--trace", action="store_true", help="print every event of the run")
    parser.add_argument("--no-heal", action="store_true", help="leave the healed partition out: it is the longest part")
    parser.add_argument("--stored", type=int, default=100_000, help="records of each node in mode repair")
    asked = parser.parse_args(argv)
    with mutants.mutated(asked.mutant) if asked.mutant else contextlib.nullcontext():
        if asked.mode == "repair":
            return repaired(asked)
        return figures(asked) if asked.nodes >= CROWD else storms(asked)


def storms(asked: argparse.Namespace) -> int:
    failed = events = checks = shortened = 0
    slowest_ms = 0
    for seed in range(asked.seed, asked.seed + asked.seeds):
        try:
            outcome = scenarios.storm(seed, asked.nodes, asked.mode == "liveness", tracing=asked.trace)
        except Violation as violation:
            failed += 1
            print(f"seed {seed}: {violation}")
            print(f"  replay: {replay(asked, seed)}")
            continue
        for line in outcome.trace:
            print(line)
        events += outcome.events
        checks += outcome.checks
        shortened += outcome.shortened
        slowest_ms = max(slowest_ms, outcome.level_ms)
    print(f"seeds={asked.seeds} failed={failed} events={events} checks={checks} lives_shortened={shortened}")
    if asked.mode == "liveness":
        print(f"level_ms_max={slowest_ms}")
    return 1 if failed else 0


def repaired(asked: argparse.Namespace) -> int:
    try:
        done = scenarios.repair_pair(asked.seed, asked.stored, min(1_000, asked.stored))
    except Violation as violation:
        print(violation)
        return 1
    print(f"stored={asked.stored} changed=1000 bytes={done.bytes} level_ms={done.level_ms} rounds={done.rounds}")
    return 0


def replay(asked: argparse.Namespace, seed: int) -> str:
    mutant = f" --mutant {asked.mutant}" if asked.mutant else ""
    return f"python -m respram.sim --nodes {asked.nodes} --mode {asked.mode} --seed {seed}{mutant} --trace"


def figures(asked: argparse.Namespace) -> int:
    try:
        world = scenarios.crowd(asked.nodes, asked.seed, LOSS)
        print(f"nodes={asked.nodes} seed={asked.seed} loss={LOSS}")
        quiet = scenarios.idle(world)
        print(
            f"idle: messages_per_s={quiet.messages_per_s:.1f} bytes_per_s={quiet.bytes_per_s:.0f} "
            f"links={quiet.links:.0f} (per node)"
        )
        for _ in range(3):
            one = scenarios.spread_one(world)
            print(
                f"one write: after_pushes={one.after_pushes} everybody_ms={one.everybody_ms} rounds={one.rounds:.1f} "
                f"copies_per_node={one.copies:.2f} bytes_per_node={one.bytes:.0f}"
            )
        if not asked.no_heal:
            healed = scenarios.heal_halves(world)
            print(
                f"healed partition: isolated={healed.isolated} level_ms={healed.level_ms} rounds={healed.rounds:.1f} "
                f"bytes_per_node={healed.bytes_per_node:.0f}"
            )
    except Violation as violation:
        print(violation)
        print(f"  replay: python -m respram.sim --nodes {asked.nodes} --seed {asked.seed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
