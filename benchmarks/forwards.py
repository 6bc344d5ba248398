"""What a decision costs at another node than its key's home: CPU of all three nodes per INCR, beside the same INCR at
its home.

`python -m benchmarks.forwards [--servers native,pure]`. All keys of a run have one home (they share a hash tag), and
redis-benchmark asks one node: the home, or another. `mixed` is without a tag, so that each node is the home of a third.
Each figure counts until the records are at all nodes. Links between nodes are TLS. `cold` is MSETNX of two keys, which
travels without `gather`.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Any

from benchmarks import machine, options, tables
from benchmarks.drive import CLIENT_S_MAX, hear_redis_benchmark, run_client
from benchmarks.groups import Group, group, until
from benchmarks.machine import Affinity
from benchmarks.servers import BenchError, Kind, Programs

SERVERS = "native"
REQUESTS = {1: 30_000, 16: 240_000}  # requests by pipeline length
CONNECTIONS = (50, 1)
QUICK_DIVISOR = 10
TAGS = 200  # tags that are tried, until each node is the home of one
AT_HOME, FORWARDED, MIXED, COLD = "at its home", "forwarded", "mixed", "forwarded, cold"
COMMAND = {AT_HOME: "INCR", FORWARDED: "INCR", MIXED: "INCR", COLD: "MSETNX"}

Figures = dict[str, Any]


def tag_of(made: Group, home: int) -> str:
    """A hash tag whose home is this node."""
    for tag in map("t{}".format, range(TAGS)):
        before = made.askers[home].info("replication")["forwarded_commands"]
        made.askers[home].ask("INCR", f"{{{tag}}}:probe")
        if made.askers[home].info("replication")["forwarded_commands"] == before:
            return tag
    raise BenchError("no tag has this node as its home")


def measured(made: Group, where: Affinity, what: str, tag: str, pipeline: int, connections: int,
             requests: int) -> Figures:
    port = made.servers[1 if what == AT_HOME else 0].port
    key = "count:__rand_int__" if what == MIXED else f"{{{tag}}}:{COMMAND[what]}:__rand_int__"
    rest = {"INCR": [], "MSETNX": ["v", f"{key}:other", "v"]}[COMMAND[what]]
    argv = [
        "redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-c", str(connections), "-n", str(requests), "-P",
        str(pipeline), "-r", "10000",
        "--csv", COMMAND[what], key, *rest,
    ]  # fmt: skip
    forwarded = int(made.askers[0].info("replication")["forwarded_commands"])
    cpu_by = [machine.cpu_s(server.pid) for server in made.servers]
    heard = hear_redis_benchmark(run_client(argv, where, CLIENT_S_MAX), requests)
    until(lambda: _caught_up(made), "the nodes did not catch up")
    spent = [machine.cpu_s(server.pid) - before for server, before in zip(made.servers, cpu_by, strict=True)]
    forwarded = int(made.askers[0].info("replication")["forwarded_commands"]) - forwarded
    if what in (FORWARDED, COLD) and forwarded < requests or what == AT_HOME and forwarded:
        raise BenchError(f"{forwarded} of {requests} commands were forwarded")
    return {
        "what": what, "pipeline": pipeline, "connections": connections, "cpu_us": sum(spent) / requests * 1e6,
        "cpu_us_by": [one / requests * 1e6 for one in spent], "rps": heard.rps, "p50_us": heard.p50_us,
        "p99_us": heard.p99_us,
    }  # fmt: skip


def _caught_up(made: Group) -> bool:
    return all(
        info["outbox_waiting_bytes"] == info["replication_queue_bytes"] == "0"
        for info in (asker.info("replication") for asker in made.askers)
    )


def turns(name: str, programs: Programs, where: Affinity, count: int, divisor: int) -> Iterator[Figures]:
    with group(name, 3, programs, where) as made:
        tag = tag_of(made, 1)
        for turn in range(count + 1):
            for pipeline, requests in REQUESTS.items():
                for connections in CONNECTIONS:
                    share = divisor * (4 if connections == 1 else 1)
                    for what in (AT_HOME, FORWARDED, MIXED) if turn % 2 else (MIXED, FORWARDED, AT_HOME):
                        found = measured(made, where, what, tag, pipeline, connections, requests // share)
                        if turn:  # the first turn warms up
                            yield {"server": name, "turn": turn} | found
                    if pipeline > 1:
                        found = measured(made, where, COLD, tag, pipeline, connections, requests // share // 4)
                        if turn:
                            yield {"server": name, "turn": turn} | found


def page(facts: dict[str, str], found: list[Figures]) -> str:
    lines = []
    for key in dict.fromkeys((one["server"], one["pipeline"], one["connections"], one["what"]) for one in found):
        mine = [one for one in found if (one["server"], one["pipeline"], one["connections"], one["what"]) == key]
        by = {one["turn"]: one for one in found
              if (one["server"], one["pipeline"], one["connections"], one["what"]) == (*key[:3], AT_HOME)}
        ratio = median(one["cpu_us"] / by[one["turn"]]["cpu_us"] for one in mine)
        mid = {name: median(one[name] for one in mine) for name in ("cpu_us", "rps", "p50_us", "p99_us")}
        numbers = (tables.number(mid[name]) for name in ("cpu_us", "rps", "p50_us", "p99_us"))
        lines.append([key[0], str(key[1]), str(key[2]), key[3], *numbers, f"{ratio:.2f}x"])
    head = ["engine", "pipeline", "connections", "where", "CPU us a command, all nodes", "commands/s", "p50 us",
            "p99 us", "to its home"]
    about = "Made by the command in the list; do not edit."
    return "\n\n".join(["# Decisions at another node", about, tables.facts_list(facts), tables.table(head, lines)])


def work(chosen: Namespace, kinds: list[Kind], programs: Programs, where: Affinity) -> None:
    found: list[Figures] = []

    def save(whole: bool) -> None:
        path = options.out_path(chosen, "forwards", whole)
        facts = options.facts_of(kinds, programs, where)
        options.write(path, ".json", json.dumps({"facts": facts, "runs": found}, indent=1) + "\n")
        if found:
            options.write(path, ".md", page(facts, found) + "\n")

    with options.saving(save):
        for kind in kinds:
            for one in turns(kind.name, programs, where, chosen.turns, QUICK_DIVISOR if chosen.quick else 1):
                found.append(one)
                by = " + ".join(f"{us:.2f}" for us in one["cpu_us_by"])
                print(
                    f"{one['what']:16} pipeline {one['pipeline']:3} connections {one['connections']:3}: "
                    f"{one['cpu_us']:7.2f} us ({by})"
                    f"  {one['rps']:8.0f}/s  p50 {one['p50_us']:.0f} us", file=sys.stderr,
                )  # fmt: skip


def main() -> int:
    parser = options.parser_for("forwards", "CPU of all nodes per decision, at its home and elsewhere", SERVERS, 900)
    parser.add_argument(
        "--turns", type=options.positive, default=5, metavar="N", help="how often each is measured (default 5)"
    )
    chosen = parser.parse_args()
    kinds = options.chosen_kinds(parser, chosen.servers)
    return options.run(chosen, partial(work, chosen, kinds))


if __name__ == "__main__":
    sys.exit(main())
