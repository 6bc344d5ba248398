"""What the kernel knows: the CPU time and memory of a process, time stolen from the machine, what the machine is.

Linux only. CPU time is read twice. `/proc/PID/stat` counts in ticks of 10 ms, which is too coarse for a run that costs
100 ms; the process's CPU clock has the same sum (user + system, all threads, ended ones too) in nanoseconds. Both
are kept with every run, and a run in which they disagree is an error.
"""

import contextlib
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
FIRST = -20  # the lowest niceness: runs first
CPU_CLOCK_KIND = 2  # CPUCLOCK_SCHED: nanoseconds of all threads of a process


class Affinity(NamedTuple):
    """Processors of the servers and of the clients: one each keeps the scheduler's choices out of the figures."""

    server: frozenset[int]
    client: frozenset[int]


def affinity(pin: bool) -> Affinity:
    own = sorted(os.sched_getaffinity(0))
    if not pin or len(own) < 2:
        return Affinity(frozenset(own), frozenset(own))
    return Affinity(frozenset(own[1:2]), frozenset(own[:1]))


@contextlib.contextmanager
def precedence() -> Iterator[None]:
    """Servers and clients that are started in the `with` go before what else runs here (daemons of the kernel that look
    through memory took a processor for milliseconds at a time). Where that is not allowed, they go as they are."""
    group = Path("/proc/self/autogroup")  # with autogroups, niceness only counts within one
    before = os.getpriority(os.PRIO_PROCESS, 0)
    group_before = group.read_text().rpartition(" ")[2].strip() if group.exists() else ""
    try:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, FIRST)
            group.write_text(str(FIRST))
        yield
    finally:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, before)
            group.write_text(group_before)


def cpu_s(pid: int) -> float:
    """User and system seconds of a process so far, from its CPU clock."""
    return time.clock_gettime_ns((~pid << 3) | CPU_CLOCK_KIND) / 1e9


def stat_cpu_s(text: str) -> float:
    """The same from the text of /proc/PID/stat, in ticks. The name in parentheses may hold blanks."""
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def read_stat_cpu_s(pid: int) -> float:
    return stat_cpu_s(Path(f"/proc/{pid}/stat").read_text())


def rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def stolen_s() -> float:
    """Seconds, of all processors together, in which the host ran something else."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()
    return int(fields[8]) / TICKS_PER_S


def first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "not there"
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def describe(root: Path) -> dict[str, str]:
    """The machine and the tools, for the head of every table."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), platform.machine()
    )
    meminfo = Path("/proc/meminfo").read_text().split()
    changed = first_line(["git", "-C", str(root), "status", "--porcelain", "--untracked-files=no", "respram"])
    return {
        "processor": f"{model}, {os.cpu_count()} of them",
        "memory": f"{int(meminfo[1]) / 1024 / 1024:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "compiler": first_line(["cc", "--version"]),
        "client": first_line(["redis-benchmark", "--version"]),
        "commit": first_line(["git", "-C", str(root), "rev-parse", "--short", "HEAD"])
        + (" and changes" if changed else ""),
        "niceness of servers and clients": str(os.getpriority(os.PRIO_PROCESS, 0)),
        "load before": " ".join(f"{one:.2f}" for one in os.getloadavg()),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
