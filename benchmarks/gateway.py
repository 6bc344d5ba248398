"""The gateway beside a bare Starlette handler on the same server: requests a second and their p99, and what idle watchers cost.

`make bench-gateway`; it needs `wrk` (Debian: apt install wrk) and respram[gateway]. Both servers are asked in turns, in one run.
"""

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import respram
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


def ask(port: int, script: str, seconds: int) -> tuple[float, float]:
    """Requests a second, and the p99 in ms."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        words = ["wrk", "-t1", "-c32", f"-d{seconds}", "--latency", "-s", file.name, f"http://127.0.0.1:{port}/v1/data/key"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in said, said
    rate, late, unit = re.search(r"Requests/sec:\s+([0-9.]+)", said), *re.findall(r"99%\s+([0-9.]+)(us|ms|s)", said)[0]
    assert rate is not None
    return float(rate[1]), float(late) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def resident_mb(gateway: LiveGateway) -> float:
    pages = Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096 / 1e6


async def watch(gateway: LiveGateway) -> None:
    open_ones = []
    for _ in range(WATCHERS):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(b"GET /v1/watch?prefix=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
        open_ones.append((reader, writer))
    for reader, _ in open_ones:
        await reader.readuntil(b"retry: 1000\n\n")
    await asyncio.sleep(2)
    print(f"{WATCHERS} idle watchers: the gateway takes {resident_mb(gateway):.0f} MB")
    for _, writer in open_ones:
        writer.close()


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seconds", type=int, default=4)
    words.add_argument("--turns", type=int, default=3)
    told = words.parse_args()
    port = reserve()
    bare = subprocess.Popen([sys.executable, "-c", BARE, str(port)])
    try:
        with respram.Server(engine="native") as node, serving(node.url) as gateway, node.client() as client:
            client.set("key", "hello", ex=3600)
            for name, script in (("GET", ""), ("PUT", WRITES)):
                pairs = [(ask(port, script, told.seconds), ask(gateway.port, script, told.seconds)) for _ in range(told.turns)]
                (plain, ours), (plain_late, ours_late) = (
                    [statistics.median(pair[side][which] for pair in pairs) for side in (0, 1)] for which in (0, 1)
                )
                print(f"{name}: bare {plain:,.0f}/s, p99 {plain_late:.1f} ms")
                print(f"{name}: gateway {ours:,.0f}/s, p99 {ours_late:.1f} ms; {ours / plain:.2f} of it")
        with respram.Server(engine="native", notify_keyspace_events="K$gx") as node, serving(node.url) as gateway:
            asyncio.run(watch(gateway))
    finally:
        bare.kill()
        bare.wait()


if __name__ == "__main__":
    main()
