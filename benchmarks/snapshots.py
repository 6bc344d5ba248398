"""Snapshots: what writing 1M records costs those who are served, how long a stop and a restart take, and what a restart
with a snapshot saves beside filling up from a peer.

`python -m benchmarks.snapshots [--keys 1000000] [--engine native] [--write]`. All processes run on one machine, with
TLS between the peers and sealing on, as they come. The prober says PING every millisecond on a connection of its own.
With `--write` the page and the raw figures go to `results/snapshots.*`.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.servers import START_S_MAX, BenchError
from respram.server.secret import fresh_secret
from tests.ports import reserve

RESULTS = Path(__file__).parent / "results"
VALUE = b"v" * 64
CHUNK_KEYS = 2_000  # keys written before their replies are read
WAIT_S_MAX = 120.0
CHANGED_KEYS = 1_000
IDLE_S = 3.0
MS = 1000

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Node:
    port: int
    process: "subprocess.Popen[bytes]"

    def ask(self, *argv: bytes) -> bytes:
        """A whole reply of one line, or of one bulk."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            sock.settimeout(30)
            sock.sendall(request(*argv))
            with sock.makefile("rb") as replies:
                line = replies.readline()
                return replies.read(int(line[1:])) if line[:1] == b"$" else line[1:].strip()

    def fact(self, section: bytes, name: str) -> str:
        for line in self.ask(b"INFO", section).decode().splitlines():
            if line.startswith(name + ":"):
                return line.partition(":")[2]
        return ""

    def keys(self) -> int:
        return int(self.ask(b"DBSIZE"))


def request(*argv: bytes) -> bytes:
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(one), one) for one in argv)


@contextlib.contextmanager
def node(engine: str, folder: Path | None, *words: str, secret: str = "", port: int = 0) -> Iterator[Node]:
    """One node, ended by its process id. It is served as soon as it answers."""
    port = port or reserve()
    argv = [sys.executable, "-m", "respram", "serve", "--engine", engine, "--port", str(port), "--maxmemory", "0",
            *words]
    argv += ["--snapshot-dir", str(folder)] if folder is not None else []
    env = {**os.environ, "RESPRAM_CLUSTER_SECRET": secret} if secret else dict(os.environ)
    made = Node(port, subprocess.Popen(argv, env=env, stderr=subprocess.DEVNULL))
    try:
        until(lambda: answers(made), "the node does not answer", START_S_MAX)
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.process.wait()


def answers(one: Node) -> bool:
    try:
        return one.ask(b"PING") == b"PONG"
    except OSError:
        return False


def until(condition: Callable[[], object], what: str, seconds: float = WAIT_S_MAX) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise BenchError(what)
        time.sleep(0.01)


def fill(one: Node, first: int, count: int) -> None:
    with socket.create_connection(("127.0.0.1", one.port)) as sock, sock.makefile("rb") as replies:
        for start in range(first, first + count, CHUNK_KEYS):
            numbers = range(start, min(start + CHUNK_KEYS, first + count))
            sock.sendall(
                b"".join(request(b"SET", b"key:%012d" % at, VALUE, b"EX", b"%d" % (1800 + at % 1800)) for at in numbers)
            )
            if replies.read(5 * len(numbers)) != b"+OK\r\n" * len(numbers):
                raise BenchError("a write was refused")


def probe(one: Node, until_s: float, also: Callable[[], object] | None = None) -> list[float]:
    """Milliseconds that each PING took, one a millisecond, until the time is over or `also` says so."""
    took: list[float] = []
    with socket.create_connection(("127.0.0.1", one.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < until_s:
            began = time.perf_counter()
            sock.sendall(b"PING\r\n")
            sock.recv(64)
            took.append((time.perf_counter() - began) * MS)
            if also is not None and len(took) % 100 == 0 and also():
                break
            time.sleep(0.001)
    return sorted(took)


def of(took: list[float], name: str) -> Figures:
    return {
        f"{name}_p50_ms": took[len(took) // 2],
        f"{name}_p99_ms": took[len(took) * 99 // 100],
        f"{name}_max_ms": took[-1],
    }


def alone(engine: str, keys: int, folder: Path) -> Figures:
    """A pass while clients are served, the stop, the restart."""
    secret = folder / "secret"
    secret.write_text("k" * 43)
    words = ("--snapshot-key-file", str(secret))
    found: Figures = {}
    with node(engine, folder / "a", *words, "--snapshot-interval", "3600") as one:
        fill(one, 0, keys)
        found |= of(probe(one, time.monotonic() + IDLE_S), "idle")
        began = time.monotonic()
        one.process.send_signal(signal.SIGTERM)
        one.process.wait()
        found["stop_s"] = time.monotonic() - began
    found["bytes"] = sum(path.stat().st_size for path in (folder / "a").iterdir())
    found["files"] = len(list((folder / "a").glob("*.segment")))
    began = time.monotonic()
    with node(engine, folder / "a", *words, "--snapshot-interval", "1") as one:
        until(lambda: one.fact(b"persistence", "snapshot_restoring") == "0", "it does not end restoring")
        found["restart_s"] = time.monotonic() - began
        if one.keys() != keys:
            raise BenchError(f"{one.keys()} of {keys} keys came back")
        # The first pass of a boot writes everything anew.
        cpu = machine_cpu_s(one)
        took = probe(one, time.monotonic() + WAIT_S_MAX, lambda: int(one.fact(b"persistence", "snapshot_passes")) > 0)
        found |= of(took, "writing")
        found["write_cpu_s"] = machine_cpu_s(one) - cpu
        found["write_s"] = int(one.fact(b"persistence", "snapshot_last_took_ms")) / MS
    return found


def machine_cpu_s(one: Node) -> float:
    fields = Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def joining(engine: str, keys: int, folder: Path) -> Figures:
    """Filling up from a peer, and coming back with a snapshot after 1,000 writes were missed."""
    secret, ports = fresh_secret(), (reserve(), reserve())
    words = [("--peer-port", str(port), "--join", ",".join(f"127.0.0.1:{one}" for one in ports)) for port in ports]
    found: Figures = {}
    with node(engine, None, *words[0], secret=secret) as source:
        until(lambda: source.fact(b"replication", "peer_state") == "ready", "the source is not ready")
        fill(source, 0, keys)
        began = time.monotonic()
        with node(engine, folder / "b", *words[1], "--snapshot-interval", "2", secret=secret) as joiner:
            level(joiner, keys)
            found["bootstrap_s"] = time.monotonic() - began
            found["bootstrap_bytes"] = int(joiner.fact(b"replication", "peer_received_bytes"))
            until(lambda: int(joiner.fact(b"persistence", "snapshot_records")) == keys, "no snapshot was written")
        fill(source, keys, CHANGED_KEYS)
        began = time.monotonic()
        with node(engine, folder / "b", *words[1], "--snapshot-interval", "3600", secret=secret) as joiner:
            level(joiner, keys + CHANGED_KEYS)
            found["rejoin_s"] = time.monotonic() - began
            found["rejoin_bytes"] = int(joiner.fact(b"replication", "peer_received_bytes"))
            found["rejoin_restored"] = int(joiner.fact(b"persistence", "snapshot_restored_records"))
    return found


def level(one: Node, keys: int) -> None:
    until(lambda: one.fact(b"replication", "peer_state") == "ready" and one.keys() == keys,
          f"{one.keys()} of {keys} keys")


def page(found: Figures, engine: str, keys: int) -> str:
    rows = [
        ("a last snapshot of everything, from SIGTERM to the exit", f"{found['stop_s']:.1f} s"),
        ("on disk", f"{found['bytes'] / 1e6:.0f} MB in {found['files']:.0f} segments"),
        ("a restart alone, from the start of the process to the last record", f"{found['restart_s']:.1f} s"),
        ("a pass that writes everything, while serving",
         f"{found['write_s']:.1f} s, {found['write_cpu_s']:.1f} s of CPU"),
        ("PING of a bystander during it: p50, p99, longest", waits(found, "writing")),
        ("the same before, with nothing written", waits(found, "idle")),
        ("filling up from a peer, to ready",
         f"{found['bootstrap_s']:.1f} s, {found['bootstrap_bytes'] / 1e6:.1f} MB received"),
        (f"coming back with a snapshot after {CHANGED_KEYS:,} missed writes, to ready and level",
         f"{found['rejoin_s']:.1f} s, {found['rejoin_bytes'] / 1e6:.2f} MB received"),
    ]  # fmt: skip
    lines = [f"| {what} | {value} |" for what, value in rows]
    made = (
        f"Made by `python -m benchmarks.snapshots --keys {keys} --engine {engine} --write`. Keys of 16 bytes, values "
        "of 64, lives of 30 to 60 "
        "minutes; sealing on, TLS between peers; one machine for all, one run. The idle row shows the waits of the "
        "machine's own making."
    )
    return "\n".join(
        [f"# Snapshots of {keys:,} records", "", made, "", "| what | measured |", "| --- | --- |", *lines, ""]
    )


def waits(found: Figures, when: str) -> str:
    return ", ".join(f"{found[f'{when}_{one}_ms']:.2f} ms" for one in ("p50", "p99", "max"))


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--engine", default="native")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="respram-snapshots-") as folder:
        found = alone(asked.engine, asked.keys, Path(folder)) | joining(asked.engine, asked.keys, Path(folder))
    text = page(found, asked.engine, asked.keys)
    print(text)
    if asked.write:
        (RESULTS / "snapshots.md").write_text(text)
        raw = {"machine": machine.first_line(["uname", "-srm"]), "processors": os.cpu_count(), "figures": found}
        (RESULTS / "snapshots.json").write_text(json.dumps(raw, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
