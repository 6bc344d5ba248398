"""What each test costs, in seconds of a core, and from it `tests/dear.txt`: the tests that `make test` leaves to
`make test-slow`.

    pytest -p tests.prices    writes a line for each test into build/prices
    python -m tests.prices    reads these lines and writes the list

A test costs what its own process took, what the processes that it waited for took, and what the nodes took that were
forked for it. Time of a core changes little with what else the machine does; what a clock says changes much.
"""

import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dear import LIST

LINES = Path(__file__).parents[1] / "build" / "prices"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
DEAR_S = 0.7
# Tests of the source and of the documents run each time, whatever they cost: what they find is what one forgets.
ALWAYS = ("tests/test_",)

HEAD = f"""\
# Tests that cost more than {DEAR_S:g} s of a core, as `make prices` measured them: the dearest first.
# `make test` leaves them to `make test-slow`. CI runs both.
"""


def _children(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _took(pid: int, *fields: int) -> float:
    """The sum of these fields of /proc/PID/stat, counted behind the name of the program."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(words[field]) for field in fields) / TICKS_PER_S


def _is_mother(pid: int) -> bool:
    try:
        return "tests.forked" in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


def _nodes() -> float:
    """Of all nodes that were forked for this process: those that ended, and those that run."""
    mothers = [pid for pid in _children(os.getpid()) if _is_mother(pid)]
    ended = sum(_took(mother, 13, 14) for mother in mothers)
    return ended + sum(_took(node, 11, 12) for mother in mothers for node in _children(mother))


def _so_far() -> float:
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) + _nodes()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    before = _so_far()
    told = yield
    LINES.mkdir(parents=True, exist_ok=True)
    with open(LINES / f"{os.getpid()}.txt", "a") as out:
        out.write(f"{_so_far() - before:.3f} {item.nodeid}\n")
    return told


def main() -> int:
    costs: dict[str, float] = {}
    for path in LINES.glob("*.txt"):
        for line in path.read_text().splitlines():
            cost, _, name = line.partition(" ")
            costs[name] = min(float(cost), costs.get(name, float(cost)))  # of several runs the cheapest
    if not costs:
        sys.stderr.write("prices: nothing was measured (make prices does)\n")
        return 1
    dear = [name for name in sorted(costs, key=lambda name: -costs[name]) if costs[name] > DEAR_S]
    dear = [name for name in dear if not name.startswith(ALWAYS)]
    LIST.write_text(HEAD + "".join(name + "\n" for name in dear))
    left = sum(cost for name, cost in costs.items() if name not in set(dear))
    sys.stdout.write(f"{len(dear)} of {len(costs)} tests are dear; the others cost {left:.0f} s of a core\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
