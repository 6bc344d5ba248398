"""Results made up for tests: nothing here was measured."""

from collections.abc import Sequence

from benchmarks.compare import Result
from benchmarks.drive import Run
from benchmarks.rows import Row

REQUESTS = 100_000


def run_of(server: str, turn: int, cpu_us: float, p99_us: float = 100.0, row: str = "GET") -> Run:
    cpu_s = cpu_us * REQUESTS / 1e6
    return Run(row, server, turn, REQUESTS, cpu_s, cpu_s, 90_000.0, 50.0, p99_us, 900.0, 0.0)


def result_of(costs: dict[str, Sequence[float]], row: Row | None = None) -> Result:
    """CPU per command by server, turn by turn."""
    row = row or Row("get", 1000, REQUESTS, target=0.95)
    runs = [
        run_of(name, turn, cost, row=row.title) for name, values in costs.items() for turn, cost in enumerate(values)
    ]
    return Result(row, runs, {name: f"redis-benchmark -p {7000 + at} GET k" for at, name in enumerate(costs)}, 0)
