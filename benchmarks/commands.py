"""What commands cost beyond GET and SET EX: alone, in pipelines, and in transactions, which is how client libraries
send their pipelines (redis-py does unless told otherwise). The rows are in command_rows.py.

CPU of the server as everywhere here. Single commands are sent by redis-benchmark; a transaction by a client here, on
one connection that sends it whole and reads all of the answer.
"""

import contextlib
import os
import re
import socket
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from functools import partial

from benchmarks import machine, options, tables
from benchmarks.command_rows import (
    KEYS,
    SINGLES,
    TARGETS,
    TRANSACTIONS,
    VALUE_BYTES,
    Single,
    Transaction,
    refills,
    setup,
)
from benchmarks.compare import fill, taking_turns
from benchmarks.drive import hear_redis_benchmark, run_client
from benchmarks.machine import Affinity
from benchmarks.servers import REPLY_S_MAX, BenchError, Kind, Programs, Server, numbers, serving
from benchmarks.turns import Measure, Turn, lines, save, take_turns

SERVERS = "redis,native,valkey"
CONNECTIONS = 50
REQUESTS = {1: 60_000, 16: 300_000}  # requests by pipeline length
COMMANDS_PER_TURN = 100_000  # commands inside transactions
QUICK_DIVISOR = 10
LISTENER_BYTES = 1 << 16  # read at a time by who listens


def encoded(*argv: bytes) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in argv)


def filled_in(template: tuple[bytes, ...], number: int) -> tuple[bytes, ...]:
    key = template[1] % (number % KEYS) if b"%" in template[1] else template[1]
    return template[0], key, *template[2:]


def transaction(templates: tuple[tuple[bytes, ...], ...], count: int, first: int, watched: bytes = b"") -> bytes:
    """The commands between MULTI and EXEC, behind a WATCH where there is a key for it."""
    parts = [encoded(*filled_in((b"WATCH", watched), first))] if watched else []
    parts.append(encoded(b"MULTI"))
    for number in range(count):
        template = templates[number % len(templates)]
        parts.append(encoded(*filled_in(template, first + number // len(templates))))
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

    def ask(self, *argv: bytes) -> None:
        """One command with an answer of one line, which is no error."""
        self.sock.sendall(encoded(*argv))
        answer = b""
        while not answer.endswith(b"\r\n"):
            data = self.sock.recv(1 << 16)
            if not data:
                raise BenchError("the server hung up")
            answer += data
        if answer.startswith(b"-"):
            raise BenchError(f"{argv[0].decode()} was answered with {answer!r}")

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


@contextlib.contextmanager
def listening(port: int, where: Affinity) -> Iterator[None]:
    """One client subscribes to `channel`, and reads what it is sent."""
    with Client(port) as client:
        client.sock.sendall(encoded(b"SUBSCRIBE", b"channel"))
        client.sock.recv(LISTENER_BYTES)

        def read() -> None:
            os.sched_setaffinity(threading.get_native_id(), where.client)
            with contextlib.suppress(OSError):
                while client.sock.recv(LISTENER_BYTES):
                    pass

        reader = threading.Thread(target=read)
        client.sock.settimeout(None)
        reader.start()
        try:
            yield
        finally:
            client.sock.shutdown(socket.SHUT_RDWR)
            reader.join()


def alone(server: Server, single: Single, pipeline: int, divisor: int, where: Affinity) -> float:
    requests = max(REQUESTS[pipeline] // single.divisor // divisor, 1)
    argv = single.instead if single.instead and not server.kind.is_own else single.argv
    words = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-c", str(CONNECTIONS), "-n", str(requests),
             "-P", str(pipeline), "-r", str(KEYS), "--dbnum", str(single.db), "--csv", *argv]  # fmt: skip
    if single.refill:
        with Client(server.port) as client:
            for refill in refills(single.refill):
                client.ask(*refill)
    listener = listening(server.port, where) if single.listened else contextlib.nullcontext()
    with listener:
        errors = numbers(server)["error_replies"]
        before_s = machine.cpu_s(server.pid)
        text = run_client(words, where)
        cpu_s = machine.cpu_s(server.pid) - before_s
        errors = numbers(server)["error_replies"] - errors
    if errors:
        raise BenchError(f"{server.kind.label}, {single.title}: {errors} error replies")
    hear_redis_benchmark(text, requests)
    return cpu_s / requests * 1e6


def together(server: Server, of: Transaction, divisor: int, where: Affinity) -> float:
    rounds = max(COMMANDS_PER_TURN // divisor // of.count, 1)
    batches = [transaction(of.templates, of.count, number * of.count, of.watched)
               for number in range(min(rounds, KEYS // of.count))]  # fmt: skip
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, where.client)
    try:
        with Client(server.port) as client:
            before_s = machine.cpu_s(server.pid)
            for number in range(rounds):
                client.run(batches[number % len(batches)], of.count)
            cpu_s = machine.cpu_s(server.pid) - before_s
    finally:
        os.sched_setaffinity(0, before)
    return cpu_s / (rounds * of.count) * 1e6


def rows(divisor: int, where: Affinity, wanted: re.Pattern[str]) -> dict[str, tuple[Measure, float | None]]:
    """How each is measured, and what is aimed at, by its title."""
    found: dict[str, tuple[Measure, float | None]] = {}
    for pipeline in REQUESTS:
        for single in SINGLES:
            measure = partial(alone, single=single, pipeline=pipeline, divisor=divisor, where=where)
            found[f"{single.title}, P={pipeline}"] = measure, (single.target or TARGETS)[pipeline]
    for one in TRANSACTIONS:
        found[one.title] = partial(together, of=one, divisor=divisor, where=where), one.target
    return {title: row for title, row in found.items() if wanted.search(title)}


def page(facts: dict[str, str], turns: list[Turn], kinds: list[Kind], aims: dict[str, float | None]) -> str:
    return "\n\n".join([
        "# Other commands, and transactions",
        f"Made by the command at the end of the list; do not edit. {KEYS:,} keys, values of {VALUE_BYTES} bytes. "
        "Single commands on\n"
        f"{CONNECTIONS} connections; transactions on one, the cost of WATCH, MULTI and EXEC divided among the commands "
        "between them.\n"
        "Medians of all turns, ± their spread; a ratio is the median of the turns' ratios, with the lowest and "
        "highest. `aim` is the\nratio that is aimed at.",
        tables.facts_list(facts),
        tables.table(["server CPU, us per command", *(kind.label for kind in kinds), "respram to Redis", "aim"],
                     lines(turns, kinds, aims.get)),
    ]) + "\n"  # fmt: skip


def work(given: Namespace, kinds: list[Kind], programs: Programs, where: Affinity) -> None:
    facts = options.facts_of(kinds, programs, where)
    wanted = rows(QUICK_DIVISOR if given.quick else 1, where, given.rows)
    aims = {title: aim for title, (_, aim) in wanted.items()}
    turns: list[Turn] = []

    def keep(whole: bool) -> None:
        whole = whole and not given.rows.pattern
        save(given, "commands", whole, facts, turns, page(facts, turns, kinds, aims))

    with options.saving(keep), contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(kind, programs, where)) for kind in kinds]
        for server in servers:
            fill(server, programs, where, KEYS, VALUE_BYTES)
            with Client(server.port) as client:
                for argv in setup(server.kind.is_own):
                    client.ask(*argv)
        with taking_turns(servers):
            take_turns(given.turns, servers, [(title, measure) for title, (measure, _) in wanted.items()], turns)


def pattern(parser: ArgumentParser, text: str) -> re.Pattern[str]:
    try:
        found = re.compile(text)
    except re.error:
        parser.error(f"--rows takes a regular expression, and {text!r} is no regular expression")
    if not rows(1, Affinity(frozenset(), frozenset()), found):
        parser.error("no row has such a title")
    return found


def main(argv: list[str]) -> int:
    parser = options.parser_for("commands", "What other commands cost, and transactions.", SERVERS, 10_800)
    parser.add_argument(
        "--turns", type=options.positive, default=3, metavar="N", help="how often each server has its turn (default 3)"
    )
    parser.add_argument(
        "--rows", default="", metavar="REGEX", help="only rows whose titles match; goes to results/try.*"
    )
    given = parser.parse_args(argv)
    given.rows = pattern(parser, given.rows)
    kinds = options.chosen_kinds(parser, given.servers)
    if any(kind.memcache or not kind.has_keys for kind in kinds):
        parser.error("memcached and the floor know no such commands")
    return options.run(given, partial(work, given, kinds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
