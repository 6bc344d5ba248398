"""A node as a process of its own, for tests that want the real thing: real sockets, real signals.

Its ports are whatever is free: it binds port 0, and its log names what it got. A test that gives a port reserves it
(see `ports.py`). Whatever a test waits for has `SOON_S`.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from tests.forked import Forked
from tests.ports import reserve

# When a test gives up waiting for what must come. It is far more than anything takes, and no test measures by it: on a
# machine whose cores are all busy, ten times the usual time is no fault of what is tested.
SOON_S = 150.0
Process: TypeAlias = "subprocess.Popen[bytes] | Forked"
LISTENS = re.compile(r"event=listen clients=\S*?:(\d+)[ ,]")


@dataclass(slots=True)
class LiveNode:
    port: int
    process: "Process"
    log_path: Path
    wires: "list[Wire]" = field(default_factory=list)

    def connect(self, timeout: float = SOON_S) -> "Wire":
        """A connection that is closed with the node, if not before."""
        wire = Wire(socket.create_connection(("127.0.0.1", self.port), timeout))
        self.wires.append(wire)
        return wire

    def log(self) -> str:
        return self.log_path.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends the node in order; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        for wire in self.wires:
            wire.close()
        try:
            return self.process.wait(SOON_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the node did not stop in {SOON_S} s:\n{self.log()}") from None


class Wire:
    """A connection of bytes: what is sent and what comes back, nothing interpreted."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def ask(self, data: bytes, reply_bytes: int) -> bytes:
        self.sock.sendall(data)
        return self.take(reply_bytes)

    def take(self, count: int) -> bytes:
        """Exactly so many bytes, or fewer when the other side closes."""
        got = bytearray()
        while len(got) < count:
            piece = self.sock.recv(count - len(got))
            if not piece:
                break
            got += piece
        return bytes(got)

    def rest(self) -> bytes:
        """All that comes until the other side closes."""
        got = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while piece := self.sock.recv(1 << 16):
                got += piece
        return bytes(got)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """A RST in the middle."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()


def start(*args: str, engine: str = "pure", env: dict[str, str] | None = None, port: int = 0) -> LiveNode:
    """Starts `respram serve` and waits until it answers. `port`: for a node that is started again, or named beforehand.
    """
    handle, name = tempfile.mkstemp(prefix="respram-", suffix=".log")
    has_more_doors = bool({"--tls-port", "--unixsocket"} & set(args))
    if has_more_doors and not port:  # beside them port 0 is none
        port = reserve()
    words = ["--port", str(port), "--peer-port", "0", "--engine", engine, *args]
    with os.fdopen(handle, "wb") as log:
        environment = {**os.environ, **(env or {})}
        if environment.get("TESTS_FORK") == "no":
            command = [sys.executable, "-m", "respram", "serve", *words]
            process: Process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        else:
            process = Forked(["serve", *words], environment, log)
    node = LiveNode(port, process, Path(name))
    end = time.monotonic() + SOON_S
    while time.monotonic() < end and process.poll() is None:
        if not port and (found := LISTENS.search(node.log())):
            node.port = int(found[1])
        # The port of plain clients is bound first: on a busy machine the others may not be there yet. The line that
        # names them all comes after the last.
        if node.port and (not has_more_doors or LISTENS.search(node.log())):
            with contextlib.suppress(OSError):
                node.connect().close()
                return node
        time.sleep(0.02)
    ended = process.poll()
    process.kill()
    process.wait()
    said = "it is not heard" if ended is None else f"exit code {ended}"
    raise AssertionError(f"the node did not start ({said}):\n{node.log()}")


@contextlib.contextmanager
def running(*args: str, engine: str = "pure", env: dict[str, str] | None = None) -> Iterator[LiveNode]:
    node = start(*args, engine=engine, env=env)
    try:
        yield node
    finally:
        node.stop()
        node.log_path.unlink(missing_ok=True)
