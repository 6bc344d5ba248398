"""The C client against servers that do exactly what the test says."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.servers import compiled
from tests import timing
from tests.live import SOON_S
from tests.timing import in_time

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
Answer = Callable[[bytes], Iterator[bytes]]


@pytest.fixture(scope="module")
def load() -> Iterator[Path]:
    with compiled() as programs:
        yield programs.load


@contextmanager
def server(answer: Answer) -> Iterator[tuple[int, bytearray]]:
    """Answers each read of any number of connections with what `answer` yields; keeps what it read."""
    received = bytearray()

    def serve(sock: socket.socket) -> None:
        with sock:
            while data := sock.recv(1 << 16):
                received.extend(data)
                for piece in answer(data):
                    sock.sendall(piece)

    def accept() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(sock,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1], received
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(SOON_S)


def run(load: Path, port: int, *argv: str) -> dict[str, Any]:
    done = subprocess.run(
        [str(load), "--port", str(port), *argv], capture_output=True, text=True, timeout=SOON_S, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def each_command(reply: bytes, step: int = 1 << 20) -> Answer:
    """The reply as often as commands were read (none of the test's arguments holds an asterisk), in pieces."""

    def answer(data: bytes) -> Iterator[bytes]:
        whole = reply * data.count(b"*")
        yield from (whole[at : at + step] for at in range(0, len(whole), step))

    return answer


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
def test_replies_are_counted_in_any_pieces(load: Path, step: int) -> None:
    body = b"$200\r\n" + b"\r\n$-1" * 40 + b"\r\n"  # looks like misses, and is a value
    with server(each_command(body, step)) as (port, _):
        found = run(
            load, port, "--op", "get", "--requests", "60", "--connections", "3", "--pipeline", "5", "--keys", "9"
        )
    assert (found["requests"], found["errors"], found["misses"], found["times"]["count"]) == (60, 0, 0, 60)


def test_misses_and_errors_are_told_apart(load: Path) -> None:
    with server(each_command(b"$-1\r\n")) as (port, _):
        found = run(load, port, "--op", "get", "--requests", "20", "--connections", "2")
    assert (found["requests"], found["misses"], found["errors"]) == (20, 20, 0)
    with server(each_command(b"-ERR no\r\n")) as (port, _):
        found = run(load, port, "--op", "set", "--requests", "20", "--connections", "2")
    assert (found["requests"], found["misses"], found["errors"]) == (20, 0, 20)


def test_every_key_is_written_once_with_its_own_deadline(load: Path) -> None:
    with server(each_command(b"+OK\r\n")) as (port, received):
        run(
            load, port, "--op", "set", "--keys", "40", "--first", "100", "--requests", "40", "--sequential",
            "--connections", "1",
            "--pipeline", "10", "--value-bytes", "3", "--due-ms", "5000000000000", "--spread-ms", "400",
        )  # fmt: skip
    expected = b"".join(
        b"*5\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$3\r\nxxx\r\n$4\r\nPXAT\r\n$13\r\n%d\r\n"
        % (100 + at, 5_000_000_000_000 + 10 * at)
        for at in range(40)
    )
    assert bytes(received) == expected


def test_memcached_misses_are_what_it_left_out(load: Path) -> None:
    def answer(data: bytes) -> Iterator[bytes]:
        for line in data.splitlines():
            names = line.split()[1:]
            yield b"".join(b"VALUE %s 0 5\r\nEND\r\n\r\n" % name for name in names[1:]) + b"END\r\n"

    with server(answer) as (port, _):
        found = run(load, port, "--op", "mget", "--requests", "4", "--connections", "1", "--memcache", "--keys", "50")
    assert (found["requests"], found["misses"], found["errors"]) == (4, 4, 0)


def test_a_pause_is_charged_to_all_who_came_meanwhile(load: Path) -> None:
    """500 requests a second, and a server that sleeps once for 200 ms: some 100 requests wait, on average for 100 ms.
    """
    paused = threading.Event()

    def answer(data: bytes) -> Iterator[bytes]:
        if not paused.is_set():
            paused.set()
            time.sleep(0.2)
        yield b"+OK\r\n" * data.count(b"*")

    with server(answer) as (port, _):
        found = run(load, port, "--op", "ping", "--rate", "500", "--seconds", "1", "--connections", "1")
    assert found["times"]["max_us"] >= 195_000
    # The last one is due as the second ends. What a busy machine sends too late for it is left out, however many.
    assert (499 if timing.JUDGED else 1) <= found["requests"] <= 500
    assert found["overruns"] == 0 or not timing.JUDGED
    assert found["times"]["over_2ms"] >= 90 or found["requests"] < 499


@pytest.mark.timing
def test_a_request_that_is_sent_late_is_timed_from_when_it_was_due(load: Path) -> None:
    argv = ["--op", "ping", "--rate", "500", "--seconds", "1", "--connections", "1"]
    with (
        server(each_command(b"+OK\r\n")) as (port, received),
        subprocess.Popen([str(load), "--port", str(port), *argv], stdout=subprocess.PIPE, text=True) as client,
    ):
        while len(received) < 50 * len(b"*1\r\n$4\r\nPING\r\n"):
            time.sleep(0.001)
        client.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        client.send_signal(signal.SIGCONT)
        found = json.loads(client.communicate(timeout=SOON_S)[0])
    assert found["requests"] == 500
    assert found["times"]["over_2ms"] >= 90
    assert found["times"]["max_us"] >= 190_000


def test_the_prober_sees_the_longest_pause(load: Path) -> None:
    asked = 0

    def answer(data: bytes) -> Iterator[bytes]:
        nonlocal asked
        asked += 1
        if asked == 20:
            time.sleep(0.15)
        yield b"+PONG\r\n" * data.count(b"*")

    with server(answer) as (port, _):
        found = run(load, port, "--op", "idle", "--probe", "--seconds", "1")
    assert found["requests"] == 0
    assert found["probe"]["max_us"] >= 150_000
    in_time(found["probe"]["max_us"] / 1e6, 0.6, "the longest of the prober's waits")
    in_time(found["probe"]["p50_us"] / 1e6, 0.05, "the usual one")
    assert found["probe"]["count"] >= 20


def test_times_are_right_to_two_in_a_hundred(load: Path) -> None:
    def answer(data: bytes) -> Iterator[bytes]:
        time.sleep(0.02)
        yield b"+PONG\r\n" * data.count(b"*")

    with server(answer) as (port, _):
        found = run(load, port, "--op", "ping", "--requests", "10", "--connections", "1")
    times = found["times"]
    assert times["p50_us"] >= 20_000 * 0.984
    assert times["p50_us"] <= times["p99_us"] <= times["max_us"] <= found["seconds"] * 1e6


def test_a_server_that_hangs_up_is_an_error(load: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        done = subprocess.run(
            [str(load), "--port", str(port), "--op", "ping", "--requests", "5", "--connections", "1"],
            capture_output=True,
            text=True,
            timeout=SOON_S,
            check=False,
        )
    assert done.returncode == 1
    assert "closed a connection" in done.stderr
