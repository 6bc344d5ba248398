"""How long after its deadline an untouched key is destroyed: 500k keys whose deadlines lie in 30 s, never read.

Method: key number i gets the deadline `base + i * 30 s / 500k` to the millisecond (PXAT), so its due time is known from
its name. A subscriber to the `expired` keyspace event, which Redis and respram alike publish at the moment of
destruction, notes when each name arrives: arrival minus due time is the lag, publishing and reading included (same
machine, same clock). Nothing reads the keys, so nothing expires them lazily. What has not come 20 s after the last
deadline is reported as left, and counts as a lag beyond all others. `backlog` is the largest number of keys at any time
that were due and not destroyed, as a share of all.
"""

import json
import math
import re
import socket
import sys
import time
from argparse import Namespace
from functools import partial
from typing import NamedTuple

from benchmarks import machine, options, tables
from benchmarks.drive import run_load
from benchmarks.machine import Affinity
from benchmarks.servers import BenchError, Kind, Programs, Server, ask, numbers, serving

KEYS = 500_000
SPREAD_MS = 30_000
LEAD_MS = 12_000  # all keys must be written within this time
GRACE_S = 20.0
EARLY_MS_MAX = 1.5  # deadlines are whole milliseconds; a key that ends earlier than this is a fault
QUICK_DIVISOR = 10  # keys and time are divided by this
SERVERS = "redis,native,valkey,pure"
NAME = re.compile(rb"\$16\r\nkey:(\d{12})\r\n")
NAME_BYTES = len(b"$16\r\nkey:000000000000\r\n")


class Lags(NamedTuple):
    """In milliseconds; infinite where a key was never reported."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    left: int
    backlog: float  # share of all keys that are overdue
    cpu_s: float


def due_ms(number: int, base_ms: int, keys: int, spread_ms: int) -> int:
    """As load.c computes it."""
    return base_ms + number * spread_ms // keys


def take_names(buffer: bytearray) -> list[int]:
    """Numbers of the keys in what was received; what may be the beginning of the next stays."""
    found = list(NAME.finditer(buffer))
    keep_from = max(found[-1].end() if found else 0, len(buffer) - NAME_BYTES)
    numbers_found = [int(one[1]) for one in found]
    del buffer[:keep_from]
    return numbers_found


def lags_of(arrivals: list[tuple[int, float]], base_ms: int, keys: int, spread_ms: int, cpu_s: float) -> Lags:
    """From (key number, arrival in Unix ms), in the order of arrival."""
    seen = {number for number, _ in arrivals}
    if len(seen) != len(arrivals) or not all(0 <= number < keys for number in seen):
        raise BenchError("a key expired twice, or one that was never written")
    lags = sorted(at - due_ms(number, base_ms, keys, spread_ms) for number, at in arrivals)
    if lags and lags[0] < -EARLY_MS_MAX:
        raise BenchError(f"a key was destroyed {-lags[0]:.1f} ms before its deadline")
    lags += [math.inf] * (keys - len(lags))
    backlog = 0
    for gone, (_, at) in enumerate(arrivals):
        due = min(keys, int((at - base_ms) * keys / spread_ms) + 1)
        backlog = max(backlog, due - gone)
    return Lags(
        lags[keys // 2], lags[min(keys - 1, keys * 99 // 100)], lags[-1], keys - len(arrivals), backlog / keys, cpu_s
    )


def listen(server: Server) -> socket.socket:
    ask(server, b"CONFIG SET notify-keyspace-events Ex\r\n")
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    sock.sendall(b"SUBSCRIBE __keyevent@0__:expired\r\n")
    if b"subscribe" not in sock.recv(200):
        raise BenchError(f"{server.kind.label} took no subscription")
    return sock


def collect(sock: socket.socket, keys: int, end_s: float) -> list[tuple[int, float]]:
    arrivals: list[tuple[int, float]] = []
    buffer = bytearray()
    while len(arrivals) < keys and time.time() < end_s:
        sock.settimeout(max(0.01, end_s - time.time()))
        try:
            data = sock.recv(1 << 18)
        except TimeoutError:
            break
        if not data:
            raise BenchError("the subscriber was cut off")
        at = time.time() * 1000
        buffer += data
        arrivals += [(number, at) for number in take_names(buffer)]
    return arrivals


def measure(kind: Kind, programs: Programs, where: Affinity, divisor: int) -> Lags:
    keys, spread_ms = KEYS // divisor, SPREAD_MS // divisor
    with serving(kind, programs, where) as server, listen(server) as sock:
        base_ms = int(time.time() * 1000) + LEAD_MS // (3 if divisor > 1 else 1)
        run_load(
            [
                str(programs.load), "--port", str(server.port), "--op", "set", "--keys", str(keys), "--requests",
                str(keys),
                "--sequential", "--pipeline", "50", "--connections", "4", "--due-ms", str(base_ms), "--spread-ms",
                str(spread_ms),
            ],
            where,
        )  # fmt: skip
        there = numbers(server)["keys"]
        if there != keys or time.time() * 1000 > base_ms:
            raise BenchError(
                f"{kind.label}: {there} of {keys} keys were there before the first was due: a slow machine"
            )
        cpu_s = machine.cpu_s(server.pid)
        arrivals = collect(sock, keys, (base_ms + spread_ms) / 1000 + GRACE_S)
        return lags_of(arrivals, base_ms, keys, spread_ms, machine.cpu_s(server.pid) - cpu_s)


def page(facts: dict[str, str], found: list[tuple[str, Lags]], kinds: list[Kind], keys: int) -> str:
    labels = {kind.name: kind.label for kind in kinds}
    head = ["lag, ms", "p50", "p99", "longest", "never destroyed", "largest backlog", "server CPU, s"]
    lines = [
        [labels[name], *(f"{one:,.1f}" for one in lags[:3]), str(lags.left), f"{lags.backlog:.2%}", f"{lags.cpu_s:.2f}"]
        for name, lags in found
    ]
    seconds = SPREAD_MS * keys // KEYS / 1000
    text = f"{keys:,} keys that nobody touches, deadlines evenly over {seconds:g} s; one line per turn."
    return "\n\n".join(["# Expiry lag", text, tables.facts_list(facts), tables.table(head, lines)]) + "\n"


def work(given: Namespace, kinds: list[Kind], programs: Programs, where: Affinity) -> None:
    divisor = QUICK_DIVISOR if given.quick else 1
    facts = options.facts_of(kinds, programs, where)
    found: list[tuple[str, Lags]] = []

    def save(whole: bool) -> None:
        if found:
            path = options.out_path(given, "expiry-lag", whole)
            raw = [{"server": name} | lags._asdict() for name, lags in found]
            options.write(path, ".json", json.dumps({"facts": facts, "turns": raw}, indent=1) + "\n")
            options.write(path, ".md", page(facts, found, kinds, KEYS // divisor))

    with options.saving(save):
        for _turn in range(given.turns):
            for kind in kinds:
                lags = measure(kind, programs, where, divisor)
                found.append((kind.name, lags))
                said = f"p99 {lags.p99_ms:,.1f} ms, longest {lags.max_ms:,.1f} ms"
                print(f"{kind.label}: {said}", file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    parser = options.parser_for("expiry_lag", "How late untouched keys are destroyed.", SERVERS, 1200)
    parser.add_argument("--turns", type=options.positive, default=1, metavar="N", help="of 40 to 60 s each (default 1)")
    given = parser.parse_args(argv)
    kinds = [kind for kind in options.chosen_kinds(parser, given.servers) if kind.has_keys and not kind.memcache]
    if not kinds:
        parser.error("none of these servers publishes what expires")
    return options.run(given, partial(work, given, kinds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
