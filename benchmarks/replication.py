"""Servers that hold the same keys: how soon, for how many bytes, at what cost.
An enclave of respram beside a redis-server with replicas.

`python -m benchmarks.replication [--servers redis,native] [--measures lag,quiet,heal,bootstrap,cpu]`. How each figure
is taken stands in `replication_rows.py`; this file runs them in turns and writes the page.
"""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from benchmarks import options, replication_rows, tables
from benchmarks.machine import Affinity
from benchmarks.replication_rows import Figures
from benchmarks.servers import KINDS, Kind, Programs

SERVERS = "redis,native"
MEASURES = ("lag", "quiet", "heal", "bootstrap", "cpu")
KEYS = 1_000_000
FEW_KEYS = 1000
QUICK_DIVISOR = 20
CPU_REQUESTS = {1: 60_000, 16: 300_000}
NO_COMPRESSION = ("--rdbcompression", "no")  # the values here repeat one letter, which real values do not
SHORT_BACKLOG = ("--repl-backlog-size", "16kb", *NO_COMPRESSION)
LONG_BACKLOG = ("--repl-backlog-size", "64mb", *NO_COMPRESSION)

Found = dict[str, list[Figures]]  # by measure; each figure names its server
Say = Callable[[str, str, Figures], None]


def measure(
    what: str, kinds: list[Kind], programs: Programs, where: Affinity, turn: int, quick: bool, say: Say
) -> None:
    """One turn of one measure, for all servers."""
    keys = KEYS // QUICK_DIVISOR if quick else KEYS
    for kind in kinds if turn % 2 else kinds[::-1]:
        name, redis = kind.name, kind.name == "redis"
        if what == "lag":
            say(what, name, replication_rows.lag(name, programs, where, 4 if quick else replication_rows.LAG_S))
        elif what == "quiet" and not redis and not turn:
            for count, size in ((0, 3), (FEW_KEYS, 2), (keys, 2)):
                say(what, name, replication_rows.quiet(name, programs, where, count, size))
        elif what == "heal":
            for case, args in (("beyond", SHORT_BACKLOG), ("within", LONG_BACKLOG)) if redis else (("", ()),):
                say(what, name, replication_rows.healed(name, programs, where, keys, args) | {"backlog": case})
        elif what == "bootstrap":
            say(what, name, replication_rows.bootstrap(name, programs, where, keys, NO_COMPRESSION if redis else ()))
        elif what == "cpu":
            for pipeline, requests in CPU_REQUESTS.items():
                count = requests // 4 if quick else requests
                for one in replication_rows.cpu(name, programs, where, pipeline, count, 3):
                    say(what, name, one)


# -- the page -----------------------------------------------------------------------------------------
def mid(found: Found, what: str, server: str, field: str, **same: object) -> float | None:
    """The median of all turns of one server; None where it did not take part."""
    values = [
        one[field]
        for one in found.get(what, [])
        if one["server"] == server and all(one.get(name) == value for name, value in same.items())
    ]
    return median(values) if values else None


def cell(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{tables.number(value)}{unit}"


def verdict(met: bool | None) -> str:
    return "-" if met is None else "yes" if met else "**no**"


def page(facts: dict[str, str], found: Found, server: str) -> str:
    head = ["measure", "respram", "Redis in the same run", "target", "met"]
    parts = [
        "# Replication",
        "Made by the command in the list; do not edit. Medians of the turns; every turn's raw figures are in the JSON "
        "beside this\n"
        "page. All servers and the clients share the processors of one machine. Links of respram are TLS 1.3, those of "
        "Redis plain TCP.",
        busy_note(facts),
        tables.facts_list(facts),
        tables.table(
            head,
            [
                line
                for make in (lag_lines, quiet_lines, heal_lines, bootstrap_lines, cpu_lines)
                for line in make(found, server)
            ],
        ),
        "How each figure is taken: `benchmarks/replication_rows.py`. Bytes of a cut are those on the wire, with TLS, "
        "handshakes and all; bytes of\n"
        f"exchanges and dumps are those of the frames. A record is {replication_rows.RECORD_BYTES} bytes on its way: "
        f"{replication_rows.KEY_BYTES} of key, {replication_rows.VALUE_BYTES} of value, the rest stamp, deadline, seal "
        "and lengths.\n"
        "Redis runs without compression of its dumps, because the values here are one letter again and again.",
    ]
    return "\n\n".join(parts) + "\n"


def busy_note(facts: dict[str, str]) -> str:
    """Several servers and a client want all processors; with other work beside them, latencies are those of the queue
    for a processor.
    """
    load, processors = float(facts.get("load before", "0").split()[0]), os.cpu_count() or 1
    if load < processors / 2:
        return "The machine was quiet."
    said = f"The machine had other work at the start (load {load:g} on {processors} processors)"
    return f"**{said}: times are too long, for all servers; bytes are not.**"


def lag_lines(found: Found, server: str) -> list[list[str]]:
    lines = []
    for field, label, most in (("p50_ms", "p50", 3.0), ("p99_ms", "p99", 10.0)):
        ours, theirs = mid(found, "lag", server, field), mid(found, "lag", "redis", field)
        met = None if ours is None else ours <= most
        label = f"lag of one write to another of 3 nodes, 10,000 writes a second, {label}"
        lines.append([label, cell(ours, " ms"), cell(theirs, " ms"), f"{most:g} ms", verdict(met)])
    return lines


def quiet_lines(found: Found, server: str) -> list[list[str]]:
    lines = []
    for one in found.get("quiet", []):
        if one["server"] != server:
            continue
        if one["nodes"] == 2:
            label = f"one comparison of a level pair of {one['keys']:,} keys"
            lines.append([label, cell(one["exchange_bytes"], " bytes"), "-", "100 bytes",
                          verdict(one["exchange_bytes"] <= 100)])
        else:
            sent = f"{cell(one['frames_per_s'])} frames, {cell(one['bytes_per_s'])} bytes"
            said = f"{sent}, {cell(one['cpu_ms_per_s'])} ms of CPU"
            lines.append(["an idle enclave of 3, all nodes together, per second", said, "-", "", "-"])
    return lines


def heal_lines(found: Found, server: str) -> list[list[str]]:
    fields = ("level_bytes", "arrived_s", "level_s")
    ours, beyond, within = (
        [mid(found, "heal", name, field, backlog=case) for field in fields]
        for name, case in ((server, ""), ("redis", "beyond"), ("redis", "within"))
    )
    keys = next((one["keys"] for one in found.get("heal", [])), 0)
    if ours[0] is None or ours[1] is None:
        return []
    lines = []
    for at, what, most in ((0, "bytes until level", 250_000),
                           (1, "seconds from mending the wire until all arrived", 2)):
        value, theirs = ours[at] or 0.0, f"{cell(beyond[at])} beyond its backlog, {cell(within[at])} within"
        lines.append([f"{keys:,} keys, 1,000 overwritten while the wire was cut: {what}", cell(value), theirs,
                      f"{most:,}", verdict(value <= most)])
    return lines


def bootstrap_lines(found: Found, server: str) -> list[list[str]]:
    fields = (
        "bytes", "record_bytes", "text_bytes", "took_s", "source_cpu_s", "own_p99_idle_us", "own_p99_during_us",
        "p99_idle_us", "p99_during_us", "max_during_us",
    )  # fmt: skip
    ours, theirs = ({field: mid(found, "bootstrap", name, field) or 0.0 for field in fields}
                    for name in (server, "redis"))
    if not ours["bytes"]:
        return []
    keys = found["bootstrap"][0]["keys"]
    share = ours["bytes"] / ours["record_bytes"]
    slower, theirs_slower = (one["own_p99_during_us"] / one["own_p99_idle_us"] if one["own_p99_idle_us"] else None
                             for one in (ours, theirs))
    met = slower is not None and slower <= 2
    witnessed = "" if any(one.get("unwitnessed") for one in found["bootstrap"]) else ", without the machine's pauses"
    there = f"{cell(theirs['bytes'] / ours['text_bytes'])} of keys and values" if theirs["bytes"] else "-"
    label = f"a node joins one of {keys:,} records: "
    said = f"{share:.3f} ({cell(ours['bytes'] / ours['text_bytes'])} of keys and values)"
    times, their_times = (" / ".join(cell(one[field]) for field in fields[-3:]) for one in (ours, theirs))
    return [
        [label + "bytes sent, to those of the records", said, there, "1.05", verdict(share <= 1.05)],
        [label + "seconds from its start until ready", cell(ours["took_s"]), cell(theirs["took_s"] or None), "", "-"],
        [label + "CPU seconds of the source", cell(ours["source_cpu_s"]),
         f"{cell(theirs['source_cpu_s'] or None)} and its child's", "", "-"],
        [label + "p99 of a client of the source, to idle" + witnessed, cell(slower), cell(theirs_slower), "2",
         verdict(met)],
        [label + "the same with the machine's pauses, in us, idle / meanwhile / longest", times, their_times, "", "-"],
    ]  # fmt: skip


def cpu_lines(found: Found, server: str) -> list[list[str]]:
    lines = []
    for pipeline, most in ((1, 1.0), (16, 0.7)):
        ours, theirs = (mid(found, "cpu", name, "cpu_us", pipeline=pipeline) for name in (server, "redis"))
        share = ours / theirs if ours and theirs else None
        said = cell(ours, " us") + (f", {share:.2f} of Redis's" if share else "")
        met = None if share is None else share <= most
        lines.append(
            [
                f"CPU of all 3 processes per write, P={pipeline}",
                said,
                cell(theirs, " us"),
                f"{most:g} of Redis's",
                verdict(met),
            ]
        )
    return lines


def work(given: Namespace, kinds: list[Kind], measures: list[str], programs: Programs, where: Affinity) -> None:
    facts = options.facts_of(kinds, programs, where)
    found: Found = {}
    server = next((kind.name for kind in kinds if kind.name != "redis"), "native")

    taken: list[Figures] = []  # figures of the current turn

    def say(what: str, name: str, figures: Figures) -> None:
        taken.append({"server": name} | figures)
        shown = {field: round(value, 3) for field, value in figures.items() if isinstance(value, int | float)}
        print(f"{KINDS[name].label}, {what}: {shown}", file=sys.stderr, flush=True)

    def save(whole: bool) -> None:
        if found:
            path = options.out_path(given, "replication", whole and measures == list(MEASURES))
            raw: dict[str, Any] = {"facts": facts, "figures": found}
            options.write(path, ".json", json.dumps(raw, indent=1) + "\n")
            options.write(path, ".md", page(facts, found, server))

    with options.saving(save):
        for turn in range(given.turns):
            for what in measures:
                taken.clear()
                measure(what, kinds, programs, where, turn, given.quick, say)
                found.setdefault(what, []).extend(taken)


def main(argv: list[str]) -> int:
    parser = options.parser_for("replication", __doc__.partition("\n")[0], SERVERS, 2400)
    parser.add_argument("--measures", default=",".join(MEASURES), metavar="NAMES", help=f"some of {','.join(MEASURES)}")
    parser.add_argument(
        "--turns", type=options.positive, default=3, metavar="N", help="fresh starts of each (default 3)"
    )
    given = parser.parse_args(argv)
    measures = given.measures.split(",")
    if any(what not in MEASURES for what in measures):
        parser.error(f"--measures takes some of {','.join(MEASURES)}")
    given.no_pin = True  # several servers run at once
    kinds = options.chosen_kinds(parser, given.servers)
    if any(kind.name not in ("redis", "native", "pure") for kind in kinds):
        parser.error("--servers takes some of redis,native,pure")
    return options.run(given, partial(work, given, kinds, measures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
