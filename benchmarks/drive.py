"""One run of one client against one server: the command goes out, figures come back.

RESP servers are driven by redis-benchmark, which is nobody's own tool here; what it cannot do (memcached's protocol, a
fixed rate, every key once) by `load.c`.
"""

import csv
import io
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import machine
from benchmarks.machine import Affinity
from benchmarks.rows import Row, own_load, redis_benchmark
from benchmarks.servers import BenchError, Programs, Server, numbers

CLIENT_S_MAX = 120.0  # the longest run of a client
# The tick counter and the CPU clock may differ by this: a tick at each end, and what runs between the readings.
STAT_SLACK_S = 0.05
STAT_SLACK_SHARE = 0.10


class Heard(NamedTuple):
    """What a client says of a run."""

    requests: int
    rps: float
    p50_us: float
    p99_us: float
    max_us: float


@dataclass(frozen=True, slots=True)
class Run:
    """One turn of one server in one row: every raw figure."""

    row: str
    server: str
    turn: int
    requests: int
    cpu_s: float
    stat_cpu_s: float
    rps: float
    p50_us: float
    p99_us: float
    max_us: float
    stolen_s: float

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.requests * 1e6


def hear_redis_benchmark(text: str, requests: int) -> Heard:
    """From `redis-benchmark --csv`: a head and one line, times in milliseconds."""
    lines = list(csv.DictReader(io.StringIO(text)))
    if len(lines) != 1:
        raise BenchError(f"redis-benchmark printed {len(lines)} results instead of one")
    found = lines[0]
    try:
        return Heard(
            requests,
            float(found["rps"]),
            *(float(found[f"{name}_latency_ms"]) * 1000 for name in ("p50", "p99", "max")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"redis-benchmark printed something else: {error}") from None


def hear_load(text: str) -> Heard:
    """From load.c; an error reply, a missing key or a request not sent in time makes it no result."""
    found = json.loads(text)
    for name in ("errors", "misses", "overruns"):
        if found[name]:
            raise BenchError(f"the load counted {found[name]} {name}")
    times = found["times"]
    return Heard(
        found["requests"], found["requests"] / found["seconds"], times["p50_us"], times["p99_us"], times["max_us"]
    )


def run_client(argv: list[str], where: Affinity, seconds_max: float = CLIENT_S_MAX) -> str:
    """Runs a client to its end and hands back what it printed."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=seconds_max, check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, where.client),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BenchError(f"{Path(argv[0]).name} was not done after {seconds_max:.0f} s") from None
    if done.returncode != 0 or not done.stdout:
        raise BenchError(f"{Path(argv[0]).name} failed with code {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def run_load(argv: list[str], where: Affinity, seconds_max: float = CLIENT_S_MAX) -> dict[str, Any]:
    """The load's whole answer, for scripts that want more of it than a Heard."""
    found: dict[str, Any] = json.loads(run_client(argv, where, seconds_max))
    return found


def command(row: Row, server: Server, programs: Programs, rate: int) -> list[str]:
    if rate or server.kind.memcache:
        return own_load(row, programs.load, server.port, server.kind.memcache, rate)
    return redis_benchmark(row, server.port)


def measure(row: Row, server: Server, programs: Programs, where: Affinity, turn: int, rate: int = 0) -> Run:
    """One turn. Raises BenchError where the server missed a key, answered an error or did not do all of it."""
    argv = command(row, server, programs, rate)
    before = numbers(server)
    stolen_s, stat_cpu_s, cpu_s = machine.stolen_s(), machine.read_stat_cpu_s(server.pid), machine.cpu_s(server.pid)
    text = run_client(argv, where)
    cpu_s, stat_cpu_s = machine.cpu_s(server.pid) - cpu_s, machine.read_stat_cpu_s(server.pid) - stat_cpu_s
    stolen_s = machine.stolen_s() - stolen_s
    heard = hear_load(text) if argv[0] == str(programs.load) else hear_redis_benchmark(text, row.requests)
    check(row, server, before, numbers(server), heard.requests)
    if abs(cpu_s - stat_cpu_s) > STAT_SLACK_S + STAT_SLACK_SHARE * cpu_s:
        raise BenchError(f"{server.kind.label}: the CPU clock says {cpu_s:.3f} s, /proc/PID/stat {stat_cpu_s:.2f} s")
    return Run(
        row.title, server.kind.name, turn, heard.requests, cpu_s, stat_cpu_s, heard.rps, heard.p50_us, heard.p99_us,
        heard.max_us, round(stolen_s, 2),
    )  # fmt: skip


def check(row: Row, server: Server, before: dict[str, int], after: dict[str, int], requests: int) -> None:
    """By the server's own counters: every command was run, none erred, every key was there."""
    if not server.kind.has_keys:
        return
    for name in ("misses", "error_replies"):
        if after[name] != before[name]:
            raise BenchError(f"{server.kind.label}, {row.title}: {after[name] - before[name]} {name}")
    if after["keys"] < row.keys:
        raise BenchError(f"{server.kind.label}, {row.title}: only {after['keys']} of {row.keys} keys are there")
    counter = "total_commands_processed"
    if counter in after and after[counter] - before[counter] < requests:
        raise BenchError(
            f"{server.kind.label}, {row.title}: it counted {after[counter] - before[counter]} of {requests} commands"
        )
