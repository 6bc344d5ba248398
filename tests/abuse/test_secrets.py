"""Guessing passwords, and noise on the TLS port: nobody else waits, nothing is told, nothing stays."""

import contextlib
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from respram.commands.auth_throttle import FREE_FAILURES, delay_ms
from tests.abuse.rig import endure
from tests.engine.conftest import ENGINES
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, Wire, running
from tests.ports import reserve

PASSWORD = "correct-horse"
SEED = 13
NOISE_S, GUESSED_S = 1.0, 4.0  # how long it is attacked


@pytest.fixture(scope="module", params=list(ENGINES))
def locked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveNode, int]]:
    """A node with a password and, beside the plain port, one for TLS."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    folder: Path = tmp_path_factory.mktemp("tls")
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj",
         "/CN=localhost", "-keyout", key, "-out", cert],
        check=True, capture_output=True, timeout=SOON_S,
    )  # fmt: skip
    port = reserve()
    words = ["--requirepass", PASSWORD, "--tls-port", str(port), "--tls-cert", cert, "--tls-key", key,
             "--tls-auth-clients", "no"]
    with running(*words, engine=request.param) as live:
        yield live, port


def test_noise_on_the_tls_port(locked: tuple[LiveNode, int]) -> None:
    node, port = locked
    noise = random.Random(SEED)
    hello = bytes.fromhex("160301007a010000760303")

    def attack() -> None:
        end = time.monotonic() + NOISE_S
        while time.monotonic() < end:
            for data in (
                noise.randbytes(500),
                hello + noise.randbytes(117),
                b"\x16\x03\x01\xff\xff" + noise.randbytes(3000),
                b"PING\r\n",
            ):
                wire = Wire(socket.create_connection(("127.0.0.1", port), SOON_S))
                wire.sock.sendall(data)
                if noise.random() < 0.5:
                    with contextlib.suppress(OSError):
                        wire.sock.shutdown(socket.SHUT_WR)
                    assert b"PONG" not in wire.rest()
                wire.reset()

    endure(node, attack, PASSWORD)


def test_five_hundred_handshakes_that_are_not_finished(locked: tuple[LiveNode, int]) -> None:
    node, port = locked

    def attack() -> None:
        wires = [socket.create_connection(("127.0.0.1", port), SOON_S) for _ in range(500)]
        for wire in wires:
            wire.sendall(b"\x16\x03\x01\x02\x00\x01")
        time.sleep(1)
        for wire in wires:
            wire.close()

    endure(node, attack, PASSWORD)


def test_guessing_passwords_takes_longer_and_longer(locked: tuple[LiveNode, int]) -> None:
    """From another address than the bystander's. 20 guessers at once are no faster than one."""
    node, _ = locked
    looked_at, began = 0, time.monotonic()
    lock = threading.Lock()

    def guess(end: float) -> None:
        nonlocal looked_at
        while time.monotonic() < end or looked_at < FREE_FAILURES and time.monotonic() < end + SOON_S:
            with contextlib.suppress(TimeoutError, ConnectionError):
                sock = socket.create_connection(("127.0.0.1", node.port), SOON_S, source_address=("127.0.0.77", 0))
                with contextlib.closing(sock):
                    sock.sendall(request(b"AUTH", b"guess"))
                    answer = sock.recv(200)
                with lock:
                    looked_at += answer.startswith(b"-WRONGPASS")
                if answer.startswith(b"-ERR too many"):
                    time.sleep(0.05)

    def attack() -> None:
        end = time.monotonic() + GUESSED_S
        guessers = [threading.Thread(target=guess, args=(end,)) for _ in range(20)]
        for one in guessers:
            one.start()
        for one in guessers:
            one.join()

    endure(node, attack, PASSWORD)
    spent_ms, most = 0, FREE_FAILURES
    while spent_ms < (time.monotonic() - began) * 1000:
        spent_ms += delay_ms(most)
        most += 1
    assert FREE_FAILURES <= looked_at <= most
    assert PASSWORD not in node.log() and "guess " not in node.log()
    assert "event=auth_guessing address=127.0.0.77" in node.log()
