"""The page of replication, from made-up figures, and a pair of real nodes through a wire that is cut."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks import machine, replication, replication_rows
from benchmarks.groups import packed
from benchmarks.servers import compiled
from benchmarks.wire import Wire
from tests.engine.conftest import ENGINES
from tests.live import SOON_S


def figures(server: str, **fields: Any) -> dict[str, Any]:
    return {"server": server} | fields


def test_a_target_that_was_missed_is_said_to_be() -> None:
    found = {
        "lag": [figures("native", p50_ms=value, p99_ms=11.0) for value in (1.0, 2.0, 9.0)]
        + [figures("redis", p50_ms=0.2, p99_ms=4.0)],
        "cpu": [figures("native", pipeline=1, cpu_us=12.0), figures("redis", pipeline=1, cpu_us=15.0)],
        "heal": [figures("native", backlog="", keys=1_000_000, level_bytes=119_000, arrived_s=2.5, level_s=2.6)],
    }
    text = replication.page({}, found, "native")
    assert "p50 | 2.00 ms | 0.200 ms | 3 ms | yes |" in text
    assert "p99 | 11.0 ms | 4.00 ms | 10 ms | **no** |" in text
    assert "bytes until level | 119,000 | - beyond its backlog, - within | 250,000 | yes |" in text
    assert "all arrived | 2.50 | - beyond its backlog, - within | 2 | **no** |" in text
    assert "P=1 | 12.0 us, 0.80 of Redis's | 15.0 us | 1 of Redis's | yes |" in text
    assert "P=16 | - | - | 0.7 of Redis's | - |" in text


def test_a_page_of_nothing_has_no_verdicts() -> None:
    assert "yes |" not in (text := replication.page({}, {}, "native")) and "**no**" not in text


def test_a_busy_machine_is_said_to_have_been() -> None:
    assert "The machine was quiet." in replication.page({"load before": "0.10 3.00 9.00"}, {}, "native")
    assert "**The machine had other work at the start (load 99 on" in replication.page(
        {"load before": "99.00 1.00 1.00"}, {}, "native"
    )


@contextmanager
def echo() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                while data := sock.recv(100):
                    sock.sendall(data)
                sock.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(SOON_S)


def test_a_wire_counts_what_passes_and_can_be_cut() -> None:
    with echo() as port:
        wire = Wire(port)
        try:
            with socket.create_connection(("127.0.0.1", wire.port), SOON_S) as sock:
                sock.sendall(b"hello")
                assert sock.recv(100) == b"hello" and wire.passed_bytes == 10
                wire.cut()
                assert sock.recv(100) == b""
            with socket.create_connection(("127.0.0.1", wire.port), SOON_S) as sock:
                assert sock.recv(100) == b""
            wire.mend()
            with socket.create_connection(("127.0.0.1", wire.port), SOON_S) as sock:
                sock.sendall(b"again")
                assert sock.recv(100) == b"again" and wire.passed_bytes == 20
        finally:
            wire.close()


def test_commands_are_packed_as_arrays() -> None:
    assert packed("SET", b"k", 12) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n12\r\n"


@pytest.mark.skipif(not shutil.which("cc"), reason="the load is a C program")
def test_a_pair_that_was_cut_is_measured_until_it_is_level() -> None:
    name = "native" if "native" in ENGINES else "pure"
    with compiled() as programs:
        found = replication_rows.healed(name, programs, machine.affinity(False), 2000)
    assert 100_000 < found["arrived_bytes"] <= found["level_bytes"] < 1_000_000 and found["arrived_s"] < SOON_S
