"""A node as a process of its own, for tests that want the real thing: real sockets, real signals."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import reserve

START_S = 10.0  # how long a node may take until it answers
STOP_S = 6.0  # and until it is gone: it promises 5


@dataclass(slots=True)
class LiveNode:
    port: int
    process: "subprocess.Popen[bytes]"
    log_path: Path
    wires: "list[Wire]" = field(default_factory=list)

    def connect(self, timeout: float = 5.0) -> "Wire":
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
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the node did not stop in {STOP_S} s:\n{self.log()}") from None


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


def start(*args: str, engine: str = "pure", env: dict[str, str] | None = None, port: int | None = None) -> LiveNode:
    """Starts `respram serve` and waits until it answers."""
    port = port or reserve()
    handle, name = tempfile.mkstemp(prefix="respram-", suffix=".log")
    command = [sys.executable, "-m", "respram", "serve", "--port", str(port), "--peer-port", str(reserve())]
    with os.fdopen(handle, "wb") as log:
        process = subprocess.Popen(
            [*command, "--engine", engine, *args], stdout=log, stderr=log, env={**os.environ, **(env or {})}
        )
    node = LiveNode(port, process, Path(name))
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            node.connect(1.0).close()
            return node
        time.sleep(0.02)
    process.kill()
    raise AssertionError(f"the node did not start:\n{node.log()}")


@contextlib.contextmanager
def running(*args: str, engine: str = "pure", env: dict[str, str] | None = None) -> Iterator[LiveNode]:
    node = start(*args, engine=engine, env=env)
    try:
        yield node
    finally:
        node.stop()
        node.log_path.unlink(missing_ok=True)
