"""TLS beside redis-server's TLS: throughput and server CPU per command, in turns in one run.

`python -m benchmarks.tls [--rounds N] [--requests N]`. Needs redis-server and redis-benchmark built with TLS. The
certificate is made for the run. redis-benchmark speaks to both; what is compared is the CPU time of the server's
process, because the load generator shares the machine.
"""

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIPELINES = (1, 16, 64)
CLIENTS = 50
START_S = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_certificate(folder: Path) -> None:
    program = shutil.which("openssl")
    assert program is not None
    subprocess.run(
        [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip


def start(name: str, folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
    port = free_port()
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    if name == "redis":
        words = ["redis-server", "--port", "0", "--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key,
                 "--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--save", "", "--dir", str(folder)]  # fmt: skip
    else:
        words = [sys.executable, "-m", "respram", "serve", "--port", "0", "--tls-port", str(port), "--peer-port", str(free_port()),
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
    raise RuntimeError(f"{name} did not start")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, folder: Path, command: list[str], pipeline: int, requests: int) -> float:
    """Requests per second of one run of redis-benchmark."""
    words = ["redis-benchmark", "--tls", "--cacert", str(folder / "cert.pem"), "-h", "localhost", "-p", str(port), "-q", "--csv",
             "-c", str(CLIENTS), "-P", str(pipeline), "-n", str(requests), "-r", "100000", *command]  # fmt: skip
    told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300).stdout
    found = re.search(r'^"[^"]*","([0-9.]+)"', told.splitlines()[-1])
    assert found is not None, told
    return float(found[1])


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--requests", type=int, default=200_000)
    asked.add_argument("--servers", default="redis,native")
    given = asked.parse_args()
    for program in ("redis-server", "redis-benchmark", "openssl"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificate(folder)
        running = {server: start(server, folder) for server in given.servers.split(",")}
        commands = {"SET EX": ["SET", "key:__rand_int__", "x" * 64, "EX", "600"], "GET": ["GET", "key:__rand_int__"]}
        rows: dict[tuple[str, int, str], list[tuple[float, float]]] = {}
        try:
            for _ in range(given.rounds):
                for pipeline in PIPELINES:
                    requests = given.requests if pipeline > 1 else given.requests // 4
                    for label, command in commands.items():
                        for server, (process, port) in running.items():
                            before = cpu_s(process.pid)
                            rate = load(port, folder, command, pipeline, requests)
                            spent_us = (cpu_s(process.pid) - before) / requests * 1e6
                            rows.setdefault((label, pipeline, server), []).append((rate, spent_us))
        finally:
            for process, _ in running.values():
                process.terminate()
                process.wait(10)
    print("| command | pipeline | server | requests/s | server CPU us | beside redis |\n|---|---|---|---|---|---|")
    for (label, pipeline, server), results in sorted(rows.items()):
        rate, spent = (statistics.median(column) for column in zip(*results, strict=True))
        beside = [ours[1] / theirs[1] for ours, theirs in zip(results, rows.get((label, pipeline, "redis"), results), strict=True)]
        print(f"| {label} | {pipeline} | {server} | {rate:,.0f} | {spent:.2f} | {statistics.median(beside):.2f} |")


if __name__ == "__main__":
    main()
