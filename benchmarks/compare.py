"""Servers in turns: A B C, B C A, ... on the same rows, each alone on its processor while the others are stopped.

Servers of one dataset (so many keys of such a size) are started and filled together, then asked in turns; whoever is
not asked is stopped by SIGSTOP, so that a server's idle ticks are not on another's bill or in its cache.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from benchmarks.drive import Run, command, hear_load, measure, run_client
from benchmarks.figures import CPU_NOISE_MAX, CPU_S_MIN, LATENCY_NOISE_MAX, Ratio, Refusal, ratio
from benchmarks.machine import Affinity
from benchmarks.rows import Row, own_load, preload, spell
from benchmarks.servers import BenchError, Kind, Programs, Server, go_on, numbers, serving, stop

FILL_S_MAX = 300.0
OURS, THEIRS = "native", "redis"  # the ratio is of the first to the second


@dataclass(frozen=True, slots=True)
class Result:
    row: Row
    runs: list[Run]
    commands: dict[str, str]  # server to command
    rate: int  # 0, or the fixed rate in commands per second

    def values(self, server: str, field: str) -> list[float]:
        """In the order of turns."""
        runs = sorted((run for run in self.runs if run.server == server), key=lambda run: run.turn)
        return [float(getattr(run, field)) for run in runs]

    def beside(self, ours: str, theirs: str, field: str) -> tuple[list[float], list[float]]:
        """Of the turns that both had, in their order."""
        mine, other = (
            {run.turn: float(getattr(run, field)) for run in self.runs if run.server == name} for name in (ours, theirs)
        )
        turns = sorted(mine.keys() & other.keys())
        return [mine[turn] for turn in turns], [other[turn] for turn in turns]


def cpu_ratio(result: Result, ours: str = OURS, theirs: str = THEIRS) -> Ratio | Refusal:
    if min(result.values(ours, "cpu_s") + result.values(theirs, "cpu_s"), default=0.0) < CPU_S_MIN:
        return Refusal("too short to measure")
    return ratio(*result.beside(ours, theirs, "cpu_us"), CPU_NOISE_MAX)


def p99_ratio(result: Result, ours: str = OURS, theirs: str = THEIRS) -> Ratio | Refusal:
    return ratio(*result.beside(ours, theirs, "p99_us"), LATENCY_NOISE_MAX)


def is_noisy(result: Result) -> bool:
    """More turns might tell what these do not."""
    return isinstance(cpu_ratio(result), Refusal) or isinstance(p99_ratio(result), Refusal)


def compare(
    rows: list[Row], kinds: list[Kind], programs: Programs, where: Affinity, turns: int, turns_max: int = 0
) -> Iterator[Result]:
    """Row by row, those of one dataset together. With `turns_max`, rows without a ratio have more turns, up to so many.
    """
    ordered = sorted(rows, key=lambda row: row.dataset)
    for (keys, value_bytes), group in groupby(ordered, key=lambda row: row.dataset):
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(serving(kind, programs, where)) for kind in kinds]
            for server in servers:
                fill(server, programs, where, keys, value_bytes)
            with taking_turns(servers):
                for row in group:
                    yield one_row(row, servers, programs, where, turns, turns_max)


def gather(rows: list[Row], found: Iterable[Result], save: Callable[[list[Result]], None]) -> list[Result]:
    """All results in the order of rows. Where something ends it before, `save` gets those that are whole."""
    results: dict[Row, Result] = {}
    try:
        for result in found:
            results[result.row] = result
    except BaseException:
        if results:
            save([results[row] for row in rows if row in results])
        raise
    return [results[row] for row in rows]


def fill(server: Server, programs: Programs, where: Affinity, keys: int, value_bytes: int, first: int = 0) -> None:
    """Every key is there afterwards, by the server's own count."""
    if not server.kind.has_keys:
        return
    hear_load(
        run_client(
            preload(keys, value_bytes, programs.load, server.port, server.kind.memcache, first), where, FILL_S_MAX
        )
    )
    found = numbers(server)["keys"]
    if found != first + keys:
        raise BenchError(f"{server.kind.label} holds {found} keys instead of {first + keys}")


@contextlib.contextmanager
def taking_turns(servers: list[Server]) -> Iterator[None]:
    for server in servers:
        stop(server)
    try:
        yield
    finally:
        for server in servers:
            go_on(server)


@contextlib.contextmanager
def awake(server: Server) -> Iterator[None]:
    go_on(server)
    try:
        yield
    finally:
        stop(server)


def one_row(
    row: Row, servers: list[Server], programs: Programs, where: Affinity, turns: int, turns_max: int
) -> Result:
    asked = [server for server in servers if can(server, row)]
    started = time.monotonic()
    rate = half_of(row, asked[0], programs, where) if row.half_load else 0
    commands = {server.kind.name: spell(command(row, server, programs, rate)) for server in asked}
    result = Result(row, [], commands, rate)
    pair = [server for server in asked if server.kind.name in (OURS, THEIRS)]
    turn = 0
    while turn < turns or (turn < turns_max and len(pair) == 2 and is_noisy(result)):
        taking_part = asked if turn < turns else pair
        shift = turn % len(taking_part)
        for server in taking_part[shift:] + taking_part[:shift]:
            with awake(server):
                result.runs.append(measure(row, server, programs, where, turn, rate))
        turn += 1
    said = ", ".join(f"{server.kind.label} {median(result.values(server.kind.name, 'cpu_us')):.3f}" for server in asked)
    print(f"{row.title}: {said} us ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
    return result


def can(server: Server, row: Row) -> bool:
    """The floor's +OK is no reply that a client of MGET understands."""
    return server.kind.has_keys or row.op != "mget"


def half_of(row: Row, server: Server, programs: Programs, where: Affinity) -> int:
    """Half of what the first server (Redis, where it is asked) does with the same client as fast as it can."""
    with awake(server):
        heard = [
            hear_load(run_client(own_load(row, programs.load, server.port, server.kind.memcache), where))
            for _ in range(3)
        ]
    return int(median(one.rps for one in heard) / 2)
