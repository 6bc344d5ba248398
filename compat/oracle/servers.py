"""The two servers: started here on free loopback ports, ended here by their process ids, or found at an address.

Redis gets the limits that respram has where they are settings in both, so that a text about a limit is the
same text. The persistence of Redis is off: nothing is written.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.ports import reserve
from tests.secrets import secret_of

START_S = 60.0  # from starting the process to the first reply
STOP_S = 30.0
REDIS_OPTIONS = (
    "--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--databases", "16", "--proto-max-bulk-len", "16mb",
    "--client-query-buffer-limit", "32mb",
    "--enable-debug-command", "no", "--daemonize", "no", "--loglevel", "warning", "--protected-mode", "no",
)  # fmt: skip


class ServerError(Exception):
    """A server that is not there, or did not come up."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens."""

    name: str
    host: str
    port: int
    is_redis: bool


def find_redis(path: str | None) -> str:
    found = shutil.which(path or "redis-server")
    if found is None:
        raise ServerError(f"there is no {path or 'redis-server'}; install redis-server or name it with --redis PATH")
    return found


@contextlib.contextmanager
def redis_server(path: str | None = None, name: str = "redis") -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        port = reserve()
        command = [find_redis(path), "--port", str(port), "--dir", folder, *REDIS_OPTIONS]
        with _process(command, Path(folder) / "log", port):
            yield Place(name, "127.0.0.1", port, is_redis=True)


ARGS_MAX = str(1 << 20)  # arguments of one command, as in Redis; a node's default is lower


@contextlib.contextmanager
def respram_node(engine: str, nodes: int = 1) -> Iterator[Place]:
    """One of so many that are peers: with several, others decide about most keys."""
    ports, peer_ports = [reserve() for _ in range(nodes)], [reserve() for _ in range(nodes)]
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder, contextlib.ExitStack() as stack:
        for number, (port, peer_port) in enumerate(zip(ports, peer_ports, strict=True)):
            command = [sys.executable, "-m", "respram", "serve", "--bind", "127.0.0.1", "--port", str(port),
                       "--peer-port", str(peer_port), "--engine", engine, "--args-limit", ARGS_MAX]  # fmt: skip
            if nodes > 1:
                command += ["--join", ",".join(f"127.0.0.1:{one}" for one in peer_ports)]
            secret = {"RESPRAM_CLUSTER_SECRET": secret_of("oracle")} if nodes > 1 else {}
            stack.enter_context(_process(command, Path(folder) / f"log-{number}", port, **secret))
        for port in ports if nodes > 1 else ():
            _await_members(port, nodes)
        yield Place(
            f"respram ({engine}, {nodes} nodes)" if nodes > 1 else f"respram ({engine})",
            "127.0.0.1",
            ports[0],
            is_redis=False,
        )


@contextlib.contextmanager
def _process(command: list[str], log_path: Path, port: int, **given: str) -> Iterator[None]:
    # Its options come from here alone, whatever the caller's environment says.
    env = {name: value for name, value in os.environ.items() if not name.startswith("RESPRAM_")} | given
    with log_path.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
    try:
        _await_answer(process, log_path, port)
        yield
        if process.poll() is not None:
            raise ServerError(f"{command[0]} ended by itself with {process.returncode}:\n{_tail(log_path)}")
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(process: "subprocess.Popen[bytes]", log_path: Path, port: int) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as probe:
            probe.sendall(b"PING\r\n")
            if probe.recv(16).startswith(b"+PONG"):
                return
        time.sleep(0.02)
    raise ServerError(f"no answer from port {port}:\n{_tail(log_path)}")


def _await_members(port: int, nodes: int) -> None:
    """Until this node is ready, and shares the slots with all others."""
    end, heard = time.monotonic() + START_S, b""
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as probe:
            probe.sendall(b"RESPRAM STATE\r\nINFO\r\nQUIT\r\n")
            heard = b"".join(iter(lambda: probe.recv(65_536), b""))
            if heard.startswith(b"+ready") and b"homes_members:%d\r\n" % nodes in heard:
                return
        time.sleep(0.05)
    raise ServerError(f"the node at port {port} did not meet {nodes - 1} others: {heard[:40]!r}")


def _tail(log_path: Path) -> str:
    return log_path.read_text(errors="replace")[-2000:]
