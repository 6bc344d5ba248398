"""Results as text: Markdown tables and the JSON that holds every raw figure. Nothing here measures."""

import json
import re
from dataclasses import asdict
from typing import Any

from benchmarks.compare import OURS, THEIRS, Result, cpu_ratio, p99_ratio
from benchmarks.drive import Run
from benchmarks.figures import CPU_NOISE_MAX, LATENCY_NOISE_MAX, Ratio, Refusal, summary
from benchmarks.rows import Row
from benchmarks.servers import KINDS, Kind

# The rows of the README: without and with pipelining, reads and writes, and a longer value. The page of results has
# all.
SHORT_ROWS = (
    "GET, 100k keys, P=1",
    "SET EX, 100k keys, P=1",
    "GET, 100k keys, P=16",
    "SET EX, 100k keys, P=16",
    "GET, 100k keys, P=16, 1 KiB values",
)


def ratio_cell(found: Ratio | Refusal) -> str:
    if isinstance(found, Refusal):
        return f"({found.reason})"
    return f"**{found.value:.2f}** ({found.low:.2f}-{found.high:.2f})"


def figure_cell(values: list[float]) -> str:
    """Median and spread; a dash where the server does not take part."""
    if not values:
        return "-"
    found = summary(values)
    return f"{number(found.median)} ±{found.noise:.0%}"


def number(value: float) -> str:
    """Three digits that count, no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def table(head: list[str], lines: list[list[str]]) -> str:
    body = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in body)


def cpu_table(results: list[Result], kinds: list[Kind]) -> str:
    head = ["server CPU, us per command", *(kind.label for kind in kinds), "respram's CPU / Redis's", "target"]
    lines = [
        [
            result.row.title,
            *(figure_cell(result.values(kind.name, "cpu_us")) for kind in kinds),
            ratio_cell(cpu_ratio(result)),
            f"{result.row.target:.2f}" if result.row.target else "",
        ]
        for result in results
    ]
    return table(head, lines)


def p99_table(results: list[Result], kinds: list[Kind]) -> str:
    head = ["99th percentile, us", *(kind.label for kind in kinds), "respram's p99 / Redis's"]
    lines = [
        [
            result.row.title,
            *(figure_cell(result.values(kind.name, "p99_us")) for kind in kinds),
            ratio_cell(p99_ratio(result)),
        ]
        for result in results
    ]
    return table(head, lines)


def rate_table(results: list[Result], kinds: list[Kind]) -> str:
    head = ["commands per second / median latency, us", *(kind.label for kind in kinds)]
    lines = []
    for result in results:
        cells = []
        for kind in kinds:
            rates, times = result.values(kind.name, "rps"), result.values(kind.name, "p50_us")
            cells.append(f"{number(summary(rates).median)} / {number(summary(times).median)}" if rates else "-")
        lines.append([result.row.title, *cells])
    return table(head, lines)


def raw_table(results: list[Result], kinds: list[Kind]) -> str:
    head = ["CPU us per command, turn by turn", *(kind.label for kind in kinds)]
    return table(
        head,
        [
            [one.row.title, *(" ".join(map(number, one.values(kind.name, "cpu_us"))) or "-" for kind in kinds)]
            for one in results
        ],
    )


def commands(results: list[Result]) -> str:
    """The command of each row; servers that are driven by the same words stand together."""
    lines = []
    for result in results:
        lines.append(f"- {result.row.title}")
        said: dict[str, list[str]] = {}
        for name, words in result.commands.items():
            said.setdefault(re.sub(r"(-p|--port) \d+", r"\1 PORT", words), []).append(KINDS[name].label)
        lines += [f"    - {', '.join(names)}: `{shown}`" for shown, names in said.items()]
    return "\n".join(lines)


def facts_list(facts: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def page(title: str, facts: dict[str, str], results: list[Result], kinds: list[Kind]) -> str:
    parts = [
        f"# {title}",
        "Made by the command at the end of the list; do not edit. Figures are medians of all turns, ± the spread "
        "(median absolute\n"
        "deviation, scaled); ratios are medians of the turns' ratios with the lowest and highest, and are left out "
        "where the\n"
        f"turns differ too much (spread above {CPU_NOISE_MAX:.0%} for CPU, {LATENCY_NOISE_MAX:.0%} for latency). Where "
        "the first three\n"
        "turns did, Redis and respram had some more.",
        facts_list(facts),
        cpu_table(results, kinds), p99_table(results, kinds), rate_table(results, kinds),
        "## Raw figures", raw_table(results, kinds), "## Commands", commands(results),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def as_json(facts: dict[str, str], results: list[Result], kinds: list[Kind]) -> str:
    whole: dict[str, Any] = {"facts": facts, "servers": [kind.name for kind in kinds], "rows": []}
    for result in results:
        found = {"cpu": cpu_ratio(result), "p99": p99_ratio(result)}
        whole["rows"].append({
            "title": result.row.title, "row": asdict(result.row), "rate": result.rate, "commands": result.commands,
            "ratios": {name: one._asdict() for name, one in found.items()},
            "runs": [asdict(run) for run in result.runs],
        })  # fmt: skip
    return json.dumps(whole, indent=1) + "\n"


def from_json(text: str) -> tuple[dict[str, str], list[Result]]:
    """Facts and results, as `as_json` wrote them. The ratios are made anew."""
    whole = json.loads(text)
    return whole["facts"], [
        Result(Row(**one["row"]), [Run(**run) for run in one["runs"]], one["commands"], one["rate"])
        for one in whole["rows"]
    ]


def short_table(results: list[Result]) -> str:
    """For the README: ours, theirs, how much, of the rows that stand for the others."""
    kinds = [KINDS[THEIRS], KINDS[OURS]]
    head = ["server CPU, us per command", *(kind.label for kind in kinds), "respram's CPU / Redis's",
            "respram's p99 / Redis's"]
    lines = [
        [
            result.row.title,
            *(number(summary(result.values(kind.name, "cpu_us")).median) if result.values(kind.name, "cpu_us") else "-"
              for kind in kinds),
            ratio_cell(cpu_ratio(result)), ratio_cell(p99_ratio(result)),
        ]
        for result in results if result.row.title in SHORT_ROWS
    ]  # fmt: skip
    return table(head, lines)


def replace_block(text: str, block: str, name: str = "bench") -> str:
    """The text with what stands between its two markers replaced. Without markers, or with several, nothing is guessed.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"there must be one {begin} and after it one {end}")
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{block.strip()}\n{end}{rest.partition(end)[2]}"
