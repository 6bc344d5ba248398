"""The gateway beside a bare Starlette handler on the same server: requests a second, their p99, CPU, and what idle
watchers cost.

`make bench-gateway`; it needs `wrk` (Debian: apt install wrk) and respram[gateway]. Both servers are asked in turns, in
one run. They go before what else runs here, where that is allowed; CPU a request is what other work on the machine
changes least. `--write` puts the page into benchmarks/results.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import respram
from benchmarks import machine
from tests.gateway.faces import LiveGateway, serving
from tests.ports import reserve

BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def read(request):
    return Response(b"hello", media_type="application/octet-stream")

async def write(request):
    await request.body()
    return Response(b"OK", status_code=201)

app = Starlette(routes=[Route("/v1/data/{key:path}", read), Route("/v1/data/{key:path}", write, methods=["PUT"])])
uvicorn.run(app, port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False, log_level="critical")
"""
WRITES = 'wrk.method = "PUT"\nwrk.body = "hello"\n'
WATCHERS = 1_000
CONNECTIONS = 32
RESULTS = Path(__file__).parent / "results" / "gateway.md"


class Turn(NamedTuple):
    rate: float  # requests per second
    late_ms: float  # 99th percentile
    cpu_us: float  # CPU time of the server's process per request


def ask(port: int, pid: int, script: str, seconds: int) -> Turn:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", "-s", file.name,
                 f"http://127.0.0.1:{port}/v1/data/key"]
        before = machine.cpu_s(pid)
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        cpu = machine.cpu_s(pid) - before
    assert "Non-2xx" not in said, said
    rate, count = re.search(r"Requests/sec:\s+([0-9.]+)", said), re.search(r"(\d+) requests in", said)
    late, unit = re.findall(r"99%\s+([0-9.]+)(us|ms|s)", said)[0]
    assert rate is not None and count is not None
    return Turn(float(rate[1]), float(late) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit], cpu * 1e6 / int(count[1]))


def middle(turns: list[Turn]) -> Turn:
    return Turn(*(statistics.median(column) for column in zip(*turns, strict=True)))


def resident_mb(gateway: LiveGateway) -> float:
    pages = Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096 / 1e6


async def watch(gateway: LiveGateway) -> str:
    before = resident_mb(gateway)
    open_ones = []
    for _ in range(WATCHERS):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /v1/watch?prefix=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        open_ones.append((reader, writer))
    for reader, _ in open_ones:
        await reader.readuntil(b"retry: 1000\n\n")
    await asyncio.sleep(2)
    after = resident_mb(gateway)
    for _, writer in open_ones:
        writer.close()
    return f"{WATCHERS:,} idle watchers: the gateway takes {after:.0f} MB with them, {before:.0f} MB before they came."


def compare(told: argparse.Namespace, node: respram.Server, gateway: LiveGateway, port: int, bare: int) -> list[str]:
    """Rows of the table."""
    with node.client() as client:
        client.set("key", "hello", ex=3600)
    rows = []
    for name, script in (("GET", ""), ("PUT", WRITES)):
        pairs = [
            (ask(port, bare, script, told.seconds), ask(gateway.port, gateway.process.pid, script, told.seconds))
            for _ in range(told.turns)
        ]
        plain, ours = middle([pair[0] for pair in pairs]), middle([pair[1] for pair in pairs])
        shares = sorted(pair[1].rate / pair[0].rate for pair in pairs)
        for who, one in (("bare handler", plain), ("gateway", ours)):
            rows.append(f"| {name} | {who} | {one.rate:,.0f}/s | {one.late_ms:.1f} ms | {one.cpu_us:.0f} us |")
        rows.append(
            f"| {name} | share | **{ours.rate / plain.rate:.2f}** (turns: {shares[0]:.2f} to {shares[-1]:.2f}) | | "
            f"{plain.cpu_us / ours.cpu_us:.2f} |"
        )
        print("\n".join(rows[-3:]), flush=True)
    return rows


def page(told: argparse.Namespace, rows: list[str], watchers: str) -> str:
    load = os.getloadavg()[0]
    head = (
        f"Made by `python -m benchmarks.gateway --seconds {told.seconds} --turns {told.turns} --write` on "
        f"{datetime.now(UTC):%d %B %Y}. "
        f"`wrk` with {CONNECTIONS} connections, values of five bytes, both servers uvicorn with httptools and uvloop, "
        "asked in turns; "
        f"medians. Node, gateway and `wrk` shared {os.cpu_count()} cores. The machine's load at the end was "
        f"{load:.0f}: what is above "
        "1 is other work, which CPU a request hardly feels and p99 feels most. Shares are the gateway's part of the "
        "bare handler's "
        "requests a second, and of the requests that a second of CPU buys."
    )
    table = ["| request | server | requests | p99 | CPU a request |", "| --- | --- | --- | --- | --- |", *rows]
    return "\n".join(["# The gateway beside a bare handler", "", head, "", *table, "", watchers, ""])


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seconds", type=int, default=4)
    words.add_argument("--turns", type=int, default=3)
    words.add_argument("--write", action="store_true")
    told = words.parse_args()
    port = reserve()
    with machine.precedence():
        bare = subprocess.Popen([sys.executable, "-c", BARE, str(port)])
        try:
            with respram.Server(engine="native") as node, serving(node.url) as gateway:
                rows = compare(told, node, gateway, port, bare.pid)
            with respram.Server(engine="native", notify_keyspace_events="K$gx") as node, serving(node.url) as gateway:
                watchers = asyncio.run(watch(gateway))
        finally:
            bare.kill()
            bare.wait()
    print(watchers)
    if told.write:
        RESULTS.write_text(page(told, rows, watchers))


if __name__ == "__main__":
    main()
