"""A gateway as a process of its own, beside the nodes of tests.live."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.live import SOON_S, LiveNode, running

EVENTS = ("--notify-keyspace-events", "K$gx")


@dataclass(slots=True)
class LiveGateway:
    port: int
    process: "subprocess.Popen[bytes]"
    log_path: Path

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self.log_path.read_text()

    def client(self, **more: object) -> httpx.Client:
        return httpx.Client(base_url=self.base, timeout=SOON_S, trust_env=False, **more)  # type: ignore[arg-type]


@contextlib.contextmanager
def serving(*urls: str, words: tuple[str, ...] = ()) -> Iterator[LiveGateway]:
    handle, name = tempfile.mkstemp(prefix="respram-gateway-", suffix=".log")
    command = [sys.executable, "-m", "respram", "gateway", "--port", "0", *(f"--url={url}" for url in urls), *words]
    with os.fdopen(handle, "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    path = Path(name)
    try:
        end = time.monotonic() + SOON_S
        while not (found := re.search(r"listen=\S+?:(\d+)", path.read_text())):
            assert process.poll() is None and time.monotonic() < end, f"the gateway did not start:\n{path.read_text()}"
            time.sleep(0.02)
        gateway = LiveGateway(int(found[1]), process, path)
        yield gateway
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SOON_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        path.unlink(missing_ok=True)


def until(condition: "object", seconds: float = SOON_S) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@contextlib.contextmanager
def pair(*node_words: str, words: tuple[str, ...] = ()) -> "Iterator[tuple[LiveNode, LiveGateway]]":
    with running(*EVENTS, *node_words) as node, serving(f"redis://127.0.0.1:{node.port}", words=words) as gateway:
        yield node, gateway
