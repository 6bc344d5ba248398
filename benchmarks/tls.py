"""TLS beside redis-server's TLS: throughput and server CPU per command, in turns in one run.

Needs redis-server and redis-benchmark built with TLS, and openssl: the certificate is made for the run. redis-benchmark
asks both, and takes more of the machine than either server: throughput is much the client's, so the server's CPU stands
beside it.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import options, tables
from benchmarks.compare import OURS, THEIRS
from benchmarks.figures import CPU_NOISE_MAX, ratio
from benchmarks.machine import Affinity
from benchmarks.servers import BenchError, Kind, Programs
from tests.ports import reserve

SERVERS = "redis,native"
REQUESTS = {1: 50_000, 16: 200_000, 64: 400_000}  # requests by pipeline length
QUICK_DIVISOR = 10
CLIENTS = 50
START_S = 10.0
LOAD_S_MAX = 300
COMMANDS = {"GET": ["GET", "key:__rand_int__"], "SET EX": ["SET", "key:__rand_int__", "x" * 64, "EX", "600"]}
PROGRAMS = ("redis-server", "redis-benchmark", "openssl")


class Turn(NamedTuple):
    title: str
    server: str
    rps: float
    cpu_us: float  # per command


def make_certificate(folder: Path) -> None:
    program = shutil.which("openssl")
    assert program is not None
    subprocess.run(
        [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj",
         "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip


def start(name: str, folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
    port = reserve()
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    if name == "redis":
        words = ["redis-server", "--port", "0", "--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key,
                 "--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--save", "", "--dir",
                 str(folder)]  # fmt: skip
    else:
        words = [sys.executable, "-m", "respram", "serve", "--port", "0", "--tls-port", str(port), "--peer-port",
                 str(reserve()),
                 "--tls-cert", cert, "--tls-key", key, "--tls-auth-clients", "no", "--engine", name]  # fmt: skip
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise BenchError(f"{name} did not start")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, folder: Path, command: list[str], pipeline: int, requests: int) -> float:
    """Requests per second of one run of redis-benchmark."""
    words = ["redis-benchmark", "--tls", "--cacert", str(folder / "cert.pem"), "-h", "localhost", "-p", str(port), "-q",
             "--csv",
             "-c", str(CLIENTS), "-P", str(pipeline), "-n", str(requests), "-r", "100000", *command]  # fmt: skip
    told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=LOAD_S_MAX).stdout
    found = re.search(r'^"[^"]*","([0-9.]+)"', told.splitlines()[-1])
    assert found is not None, told
    return float(found[1])


def page(facts: dict[str, str], turns: list[Turn], kinds: list[Kind]) -> str:
    def values(title: str, server: str, field: str) -> list[float]:
        return [getattr(turn, field) for turn in turns if (turn.title, turn.server) == (title, server)]

    def lines(field: str) -> list[list[str]]:
        return [
            [
                title,
                *(tables.figure_cell(values(title, kind.name, field)) for kind in kinds),
                tables.ratio_cell(ratio(values(title, OURS, field), values(title, THEIRS, field), CPU_NOISE_MAX)),
            ]
            for title in dict.fromkeys(turn.title for turn in turns)
        ]

    labels = [kind.label for kind in kinds]
    return "\n\n".join([
        "# TLS for clients",
        f"Made by the command at the end of the list; do not edit. {CLIENTS} connections of TLS 1.3, 100,000 keys, "
        "values of 64 bytes. Figures are\n"
        "medians of all turns, ± their spread; a ratio is the median of the turns' ratios, with the lowest and "
        "highest.",
        tables.facts_list(facts),
        tables.table(["server CPU, us per command", *labels, "respram to Redis"], lines("cpu_us")),
        tables.table(["commands per second", *labels, "respram to Redis"], lines("rps")),
    ]) + "\n"  # fmt: skip


def measure(
    title: str, name: str, pid: int, port: int, folder: Path, command: list[str], pipeline: int, requests: int
) -> Turn:
    before = cpu_s(pid)
    rate = load(port, folder, command, pipeline, requests)
    return Turn(title, name, rate, (cpu_s(pid) - before) / requests * 1e6)


def take_turns(given: Namespace, kinds: list[Kind], folder: Path, turns: list[Turn]) -> None:
    running = {kind.name: start(kind.name, folder) for kind in kinds}
    divisor = QUICK_DIVISOR if given.quick else 1
    try:
        for number in range(given.turns):
            for pipeline, requests in REQUESTS.items():
                for label, command in COMMANDS.items():
                    for kind in kinds[:: 1 if number % 2 == 0 else -1]:
                        process, port = running[kind.name]
                        title = f"{label}, pipeline {pipeline}"
                        turns.append(
                            measure(title, kind.name, process.pid, port, folder, command, pipeline, requests // divisor)
                        )
                        print(f"{kind.label}: {title}, {turns[-1].cpu_us:.2f} us", file=sys.stderr, flush=True)
    finally:
        for process, _ in running.values():
            process.terminate()
            process.wait(10)


def work(given: Namespace, kinds: list[Kind], programs: Programs, where: Affinity) -> None:
    facts = options.facts_of(kinds, programs, where)
    facts["processors"] = "servers and clients share them"
    turns: list[Turn] = []

    def save(whole: bool) -> None:
        if turns:
            path = options.out_path(given, "tls", whole)
            raw = [turn._asdict() for turn in turns]
            options.write(path, ".json", json.dumps({"facts": facts, "turns": raw}, indent=1) + "\n")
            options.write(path, ".md", page(facts, turns, kinds))

    with tempfile.TemporaryDirectory() as name:
        make_certificate(Path(name))
        with options.saving(save):
            take_turns(given, kinds, Path(name), turns)


def main(argv: list[str]) -> int:
    parser = options.parser_for("tls", "TLS for clients beside that of redis-server.", SERVERS, 900)
    parser.add_argument(
        "--turns", type=options.positive, default=5, metavar="N", help="how often each server has its turn (default 5)"
    )
    given = parser.parse_args(argv)
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        parser.error(f"{missing[0]} is not installed")
    kinds = options.chosen_kinds(parser, given.servers)
    if not {kind.name for kind in kinds} <= {"redis", "native", "pure"}:
        parser.error("only redis, native and pure speak TLS here")
    return options.run(given, partial(work, given, kinds))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
