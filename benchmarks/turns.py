"""Rows that are no more than a title and a way to measure it, with the servers in turns: what `commands` and `scripts`
share.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from benchmarks import options, tables
from benchmarks.compare import OURS, THEIRS, awake
from benchmarks.figures import CPU_NOISE_MAX, ratio
from benchmarks.servers import Kind, Server


class Turn(NamedTuple):
    title: str
    server: str
    cpu_us: float  # per command; MULTI and EXEC add to the cost and are not counted as commands


class Measure(Protocol):
    def __call__(self, server: Server) -> float: ...


def take_turns(
    count: int, servers: list[Server], rows: Iterable[tuple[str, Measure]], turns: list[Turn],
    after: Callable[[str], None] = lambda title: None,
) -> None:  # fmt: skip
    """Every row so often, one server at a time; each time in the other order. `after` is told of each row."""
    rows = list(rows)
    for number in range(count):
        for title, measure in rows:
            for server in servers[:: 1 if number % 2 == 0 else -1]:
                with awake(server):
                    turns.append(Turn(title, server.kind.name, measure(server)))
            after(title)
            said = ", ".join(f"{turn.server} {turn.cpu_us:.2f}" for turn in turns[-len(servers) :])
            print(f"{title}: {said} us", file=sys.stderr, flush=True)


def lines(turns: Sequence[Turn], kinds: list[Kind], aims: Callable[[str], float | None]) -> list[list[str]]:
    """A line of the page for each title: what each server took, the ratio, and what is aimed at."""

    def values(title: str, server: str) -> list[float]:
        return [turn.cpu_us for turn in turns if (turn.title, turn.server) == (title, server)]

    return [
        [
            title,
            *(tables.figure_cell(values(title, kind.name)) for kind in kinds),
            tables.ratio_cell(ratio(values(title, OURS), values(title, THEIRS), CPU_NOISE_MAX)),
            "" if (aim := aims(title)) is None else f"{aim:g}",
        ]
        for title in dict.fromkeys(turn.title for turn in turns)
    ]


def save(given: Namespace, name: str, whole: bool, facts: dict[str, str], turns: list[Turn], page: str) -> None:
    """Writes the page and all turns; nothing where there was no turn."""
    if not turns:
        return
    path = options.out_path(given, name, whole)
    text = json.dumps({"facts": facts, "turns": [turn._asdict() for turn in turns]}, indent=1)
    options.write(path, ".json", text + "\n")
    options.write(path, ".md", page)
