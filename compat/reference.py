"""redis-server, for what has to come out as on Redis.

It proves the programs of `applications`, and says what the frameworks of the matrix should come to where they may let
go.
"""

import contextlib
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

from tests.ports import reserve

START_S = 60.0
STOP_S = 20.0


@dataclass(slots=True)
class Server:
    port: int
    process: "subprocess.Popen[bytes]"
    place: "tempfile.TemporaryDirectory[str]"

    def stop(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_S)
        self.process.kill()
        self.process.wait()
        self.place.cleanup()


def redis_server(*words: str, port: int = 0) -> Server:
    """One that answers, and keeps nothing when it ends."""
    place, port = tempfile.TemporaryDirectory(), port or reserve()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", place.name, *words]
    server = Server(port, subprocess.Popen(command, stdout=subprocess.DEVNULL), place)
    end = time.monotonic() + START_S
    while not _answers(port):
        if server.process.poll() is not None or time.monotonic() > end:
            server.stop()
            raise AssertionError("redis-server does not answer")
        time.sleep(0.05)
    return server


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
