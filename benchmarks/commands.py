"""What commands cost beyond GET and SET EX: those that sessions, limits and locks are made of, alone, in pipelines, and
in transactions, which is how client libraries send their pipelines (redis-py does unless told otherwise).

CPU of the server as everywhere here. Single commands are sent by redis-benchmark; a transaction by a client here, on
one connection that sends it whole and reads all of the answer.
"""

import contextlib
import json
import os
import socket
import sys
from argparse import Namespace
from functools import partial
from typing import NamedTuple

from benchmarks import machine, options, tables
from benchmarks.compare import OURS, THEIRS, awake, fill, taking_turns
from benchmarks.drive import hear_redis_benchmark, run_client
from benchmarks.figures import CPU_NOISE_MAX, ratio
from benchmarks.machine import Affinity
from benchmarks.servers import REPLY_S_MAX, BenchError, Kind, Programs, Server, serving

SERVERS = "redis,native,valkey"
KEYS = 100_000
VALUE_BYTES = 64
CONNECTIONS = 50
REQUESTS = {1: 60_000, 16: 300_000}  # requests by pipeline length
COMMANDS_PER_TURN = 100_000  # commands inside transactions
QUICK_DIVISOR = 10
KEY, VALUE = "key:__rand_int__", "x" * VALUE_BYTES
COMMANDS = {
    "EXPIRE": ["EXPIRE", KEY, "3600"],
    "SET NX EX": ["SET", KEY, VALUE, "NX", "EX", "3600"],
    "SETNX": ["SETNX", KEY, VALUE],
    "GETEX EX": ["GETEX", KEY, "EX", "3600"],
    "INCR": ["INCR", "count:__rand_int__"],
    "EXISTS": ["EXISTS", KEY],
    "TTL": ["TTL", KEY],
    "SET KEEPTTL": ["SET", KEY, VALUE, "KEEPTTL"],
    "MSET of 2": ["MSET", KEY, VALUE, KEY, VALUE],
    "GETSET": ["GETSET", KEY, VALUE],
    "GETRANGE": ["GETRANGE", KEY, "0", "9"],
    "INCRBYFLOAT": ["INCRBYFLOAT", "sum:__rand_int__", "0.1"],
    "PUBLISH": ["PUBLISH", "channel", VALUE],
    "HSET": ["HSET", "hash:__rand_int__", "field", VALUE],
    "HGET": ["HGET", "hash:__rand_int__", "field"],
    "HMGET of 2": ["HMGET", "hash:__rand_int__", "field", "other"],
    "HGETALL": ["HGETALL", "hash:__rand_int__"],
    "HINCRBY": ["HINCRBY", "visits:__rand_int__", "field", "1"],
    "SADD": ["SADD", "set", "member:__rand_int__"],
    "SISMEMBER": ["SISMEMBER", "set", "member:__rand_int__"],
    "ZADD": ["ZADD", "zset", "__rand_int__", "member:__rand_int__"],
    "ZINCRBY": ["ZINCRBY", "zset", "1", "member:__rand_int__"],
    "ZSCORE": ["ZSCORE", "zset", "member:__rand_int__"],
    "ZRANGE of 10": ["ZRANGE", "zset", "0", "9"],
    "ZRANGEBYSCORE, LIMIT 10": ["ZRANGEBYSCORE", "zset", "1000", "+inf", "LIMIT", "0", "10"],
}
SET, GET = (b"SET", b"key:%012d", b"x" * VALUE_BYTES, b"EX", b"3600"), (b"GET", b"key:%012d")
LIMIT = ((b"INCR", b"limit:%012d"), (b"EXPIRE", b"limit:%012d", b"3600"))
TRANSACTIONS = {  # the commands of each transaction, repeated until it is long enough
    "MULTI, INCR, EXPIRE, EXEC": (LIMIT, 2),
    "MULTI, 10 SET EX, EXEC": ((SET,), 10),
    "MULTI, 10 GET, EXEC": ((GET,), 10),
    "MULTI, 100 SET EX, EXEC": ((SET,), 100),
    "MULTI, 100 GET, EXEC": ((GET,), 100),
    "MULTI, 1,000 SET EX, EXEC": ((SET,), 1_000),
    "MULTI, 1,000 GET, EXEC": ((GET,), 1_000),
}


class Turn(NamedTuple):
    title: str
    server: str
    cpu_us: float  # per command; MULTI and EXEC add to the cost and are not counted as commands


def encoded(*argv: bytes) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in argv)


def transaction(templates: tuple[tuple[bytes, ...], ...], count: int, first: int) -> bytes:
    parts = [encoded(b"MULTI")]
    for number in range(count):
        template = templates[number % len(templates)]
        key = template[1] % ((first + number // len(templates)) % KEYS)
        parts.append(encoded(template[0], key, *template[2:]))
    return b"".join((*parts, encoded(b"EXEC")))


class Client:
    """One connection that reads an answer by its lines: as many as the commands ask for."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=REPLY_S_MAX)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def run(self, data: bytes, count: int) -> None:
        """An error among the replies, or one too few, makes it no result."""
        self.sock.sendall(data)
        received = bytearray()
        head = b"*%d\r\n" % count
        while (at := received.find(head)) < 0 or not is_whole(received, at + len(head), count):
            data = self.sock.recv(1 << 20)
            if not data:
                raise BenchError("the server hung up in a transaction")
            received += data
        if b"\r\n-" in received or received[:1] == b"-" or received.count(b"+QUEUED\r\n") != count:
            raise BenchError(f"a transaction was answered with {bytes(received[:80])!r}")


def is_whole(received: bytearray, at: int, count: int) -> bool:
    """Whether `count` replies lie behind `at`: integers, states, errors and bulks."""
    for _ in range(count):
        end = received.find(b"\r\n", at)
        if end < 0:
            return False
        size = int(received[at + 1 : end]) if received[at : at + 1] == b"$" else -1
        at = end + 2 + (size + 2 if size >= 0 else 0)
    return at <= len(received)


def alone(server: Server, argv: list[str], pipeline: int, divisor: int, where: Affinity) -> float:
    requests = REQUESTS[pipeline] // divisor
    words = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-c", str(CONNECTIONS), "-n", str(requests),
             "-P", str(pipeline), "-r", str(KEYS), "--csv", *argv]  # fmt: skip
    before_s = machine.cpu_s(server.pid)
    text = run_client(words, where)
    cpu_s = machine.cpu_s(server.pid) - before_s
    hear_redis_benchmark(text, requests)
    return cpu_s / requests * 1e6


def together(server: Server, templates: tuple[tuple[bytes, ...], ...], count: int, divisor: int,
             where: Affinity) -> float:
    rounds = max(COMMANDS_PER_TURN // divisor // count, 1)
    batches = [transaction(templates, count, number * count) for number in range(min(rounds, KEYS // count))]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, where.client)
    try:
        with Client(server.port) as client:
            before_s = machine.cpu_s(server.pid)
            for number in range(rounds):
                client.run(batches[number % len(batches)], count)
            cpu_s = machine.cpu_s(server.pid) - before_s
    finally:
        os.sched_setaffinity(0, before)
    return cpu_s / (rounds * count) * 1e6


def page(facts: dict[str, str], turns: list[Turn], kinds: list[Kind]) -> str:
    def values(title: str, server: str) -> list[float]:
        return [turn.cpu_us for turn in turns if (turn.title, turn.server) == (title, server)]

    lines = [
        [
            title,
            *(tables.figure_cell(values(title, kind.name)) for kind in kinds),
            tables.ratio_cell(ratio(values(title, OURS), values(title, THEIRS), CPU_NOISE_MAX)),
        ]
        for title in dict.fromkeys(turn.title for turn in turns)
    ]
    return "\n\n".join([
        "# Other commands, and transactions",
        f"Made by the command at the end of the list; do not edit. {KEYS:,} keys, values of {VALUE_BYTES} bytes. "
        "Single commands on\n"
        f"{CONNECTIONS} connections; transactions on one, the cost of MULTI and EXEC divided among the commands "
        "between them. Medians of\n"
        "all turns, ± their spread; a ratio is the median of the turns' ratios, with the lowest and highest.",
        tables.facts_list(facts),
        tables.table(["server CPU, us per command", *(kind.label for kind in kinds), "respram to Redis"], lines),
    ]) + "\n"  # fmt: skip


def take_turns(given: Namespace, servers: list[Server], where: Affinity, turns: list[Turn]) -> None:
    divisor = QUICK_DIVISOR if given.quick else 1
    single = {
        f"{name}, P={pipeline}": partial(alone, argv=argv, pipeline=pipeline, divisor=divisor, where=where)
        for pipeline in REQUESTS
        for name, argv in COMMANDS.items()
    }
    several = {
        title: partial(together, templates=templates, count=count, divisor=divisor, where=where)
        for title, (templates, count) in TRANSACTIONS.items()
    }
    for number in range(given.turns):
        for title, measure in (single | several).items():
            for server in servers[:: 1 if number % 2 == 0 else -1]:
                with awake(server):
                    turns.append(Turn(title, server.kind.name, measure(server)))
            said = ", ".join(f"{turn.server} {turn.cpu_us:.2f}" for turn in turns[-len(servers) :])
            print(f"{title}: {said} us", file=sys.stderr, flush=True)


def work(given: Namespace, kinds: list[Kind], programs: Programs, where: Affinity) -> None:
    facts = options.facts_of(kinds, programs, where)
    turns: list[Turn] = []

    def save(whole: bool) -> None:
        if turns:
            path = options.out_path(given, "commands", whole)
            options.write(
                path,
                ".json",
                json.dumps({"facts": facts, "turns": [turn._asdict() for turn in turns]}, indent=1) + "\n",
            )
            options.write(path, ".md", page(facts, turns, kinds))

    with options.saving(save), contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(kind, programs, where)) for kind in kinds]
        for server in servers:
            fill(server, programs, where, KEYS, VALUE_BYTES)
        with taking_turns(servers):
            take_turns(given, servers, where, turns)


def main(argv: list[str]) -> int:
    parser = options.parser_for("commands", "What other commands cost, and transactions.", SERVERS, 1200)
    parser.add_argument(
        "--turns", type=options.positive, default=3, metavar="N", help="how often each server has its turn (default 3)"
    )
    given = parser.parse_args(argv)
    kinds = options.chosen_kinds(parser, given.servers)
    if any(kind.memcache or not kind.has_keys for kind in kinds):
        parser.error("memcached and the floor know no such commands")
    return options.run(given, partial(work, given, kinds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
