"""What a server kept a client waiting itself, apart from what the machine did to both.

On a machine that is shared a processor is taken away for milliseconds at a time, whoever runs on it: a bare loop that
stores nothing shows waits of 5 to 30 ms. `witness.c` runs on each processor, before everybody else, and tells when
it was not let run either. The part of a wait in which a witness stood still was the machine's; the rest is the server's
own.
"""

import json
import subprocess
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.machine import Affinity
from benchmarks.servers import BenchError, Programs

SECONDS_MAX = 600  # the longest watch
END_S_MAX = 10.0
SHARED_MAX = 2  # processors that unpinned servers and clients may use: with more, most gaps would not concern them
REFUSED = 3  # exit code where the process may not raise its priority

Span = tuple[int, int]  # start and length, nanoseconds of CLOCK_MONOTONIC


@dataclass(slots=True)
class Watch:
    """What the witnesses saw, once the watch has ended."""

    why_not: str = ""  # the reason why there was no witness
    gaps: list[Span] = field(default_factory=list)  # in order and disjoint, of all processors together

    @property
    def longest_ns(self) -> int:
        return max((length for _, length in self.gaps), default=0)

    @property
    def total_ns(self) -> int:
        return sum(length for _, length in self.gaps)

    def own_ns(self, wait: Span) -> int:
        """The part of a wait in which every witness ran."""
        start, end = wait[0], wait[0] + wait[1]
        first = max(bisect_left(self.gaps, (start, 0)) - 1, 0)
        lost = 0
        for at, length in self.gaps[first:]:
            if at >= end:
                break
            lost += max(min(end, at + length) - max(start, at), 0)
        return wait[1] - lost


def united(spans: Iterable[Span]) -> list[Span]:
    """The moments that lie in any of the spans."""
    found: list[Span] = []
    for start, length in sorted(spans):
        if found and start <= found[-1][0] + found[-1][1]:
            before = found.pop()
            found.append((before[0], max(before[1], start + length - before[0])))
        else:
            found.append((start, length))
    return found


@contextmanager
def watching(programs: Programs, where: Affinity) -> Iterator[Watch]:
    """Witnesses on the server's processor and the client's, while what is in the `with` goes on. Where both go about on
    two processors, each gap of either counts: for every server alike, and rather too much than too little.
    """
    watch = Watch()
    if len(where.server | where.client) > SHARED_MAX:
        watch.why_not = "servers and clients have no processor each"
        yield watch
        return
    witnesses = [
        subprocess.Popen(
            [str(programs.witness), str(processor), str(SECONDS_MAX)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for processor in sorted(where.server | where.client)
    ]  # fmt: skip
    try:
        said = [one.stderr.readline() if one.stderr else "" for one in witnesses]
        if any(line != "ready\n" for line in said):
            watch.why_not = f"nothing may take precedence here ({said[0].strip()})"
            yield watch
            return
        yield watch
        watch.gaps = united(gap for one in witnesses for gap in _told(one))
    finally:
        for one in witnesses:
            one.kill()
            one.communicate()


def _told(witness: "subprocess.Popen[str]") -> list[Span]:
    witness.terminate()
    try:
        out, errors = witness.communicate(timeout=END_S_MAX)
    except subprocess.TimeoutExpired:
        raise BenchError("a witness does not end") from None
    if witness.returncode != 0 or not out:
        raise BenchError(f"a witness failed with code {witness.returncode}: {errors.strip()[-200:]}")
    found = json.loads(out)
    if found["lost"]:
        raise BenchError("a witness saw more gaps than it can keep: this machine is too busy")
    return [(start, length) for start, length in found["gaps"]]
