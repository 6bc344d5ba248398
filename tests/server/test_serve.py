"""The node as a process: its first lines, its signals, its exit code."""

import signal
import subprocess
import sys
import time

import pytest

from respram import __version__
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, running, start
from tests.timing import in_time


def test_the_first_lines_say_what_runs_and_then_there_is_silence(node: LiveNode) -> None:
    wire = node.connect()
    wire.ask(request(b"SET", b"a-key", b"a-secret-value", b"EX", b"9"), 5)
    wire.ask(request(b"NOSUCH", b"a-secret-value"), 60)
    log = node.log()
    for part in (f"version={__version__}", "engine=", f"127.0.0.1:{node.port}", "enclave=", "default_ttl_s=3600",
                 "max_ttl_s=2678400", "maxmemory_bytes="):  # fmt: skip
        assert part in log, part
    assert "secret" not in log and "a-key" not in log
    assert len(log.splitlines()) <= 5
    wire.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_in_order_after_answering_what_was_received(number: int) -> None:
    live = start()
    wire = live.connect()
    assert wire.ask(request(b"PING"), 7) == b"+PONG\r\n"  # it is accepted: who is not yet is no client
    live.process.send_signal(signal.SIGSTOP)
    wire.sock.sendall(request(b"SET", b"k", b"v") + request(b"GET", b"k"))
    live.process.send_signal(number)
    live.process.send_signal(signal.SIGCONT)
    began = time.monotonic()
    assert wire.rest() == b"+OK\r\n$1\r\nv\r\n"
    assert live.process.wait(SOON_S) == 0
    in_time(time.monotonic() - began, 5, "a stop")
    assert "event=stopped" in live.log()
    live.stop()


def test_shutdown_stops_like_a_signal() -> None:
    live = start("--let-go", "shutdown")
    wire = live.connect()
    wire.sock.sendall(request(b"SHUTDOWN", b"NOSAVE"))
    assert wire.rest() == b""
    assert live.process.wait(SOON_S) == 0
    live.stop()


def test_a_taken_port_is_one_line_and_exit_code_1(node: LiveNode) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "respram", "serve", "--port", str(node.port)],
        capture_output=True,
        timeout=SOON_S,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(node.port).encode() in done.stderr and b"Traceback" not in done.stderr


def test_a_port_is_free_again_at_once() -> None:
    with running() as first:
        port = first.port
        first.connect().ask(b"PING\r\n", 7)
    again = start(port=port)
    assert again.connect().ask(b"PING\r\n", 7) == b"+PONG\r\n"
    assert again.stop() == 0
