"""`respram cluster --watch` in a terminal of its own: what is on the screen, and how it ends."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest
import redis

from respram.cli.cluster import plan
from respram.cli.main import main
from respram.cli.watching import View, url_of
from respram.errors import ConfigError
from tests.cli.test_cluster import answers, ports
from tests.live import SOON_S

ROWS, COLUMNS = 24, 80  # the smallest that is common: the enclave must be seen on it
TOKENS = re.compile(r"\x1b\[(?P<numbers>[0-?]*)[ -/]*(?P<what>[@-~])|\x1b[^\[]|(?P<text>[^\x1b])", re.DOTALL)
VIEW = b"\x1b[?1049h"  # the view has taken the terminal
BACK = b"\x1b[?1049l"  # the terminal has its own screen again


def screen_of(written: bytes) -> str:
    """What stands on the screen: texts where the cursor was. Only changed cells are written anew."""
    rows = [[" "] * COLUMNS for _ in range(ROWS)]
    y = x = 0
    for token in TOKENS.finditer(written.decode("utf-8", "replace")):
        text = token["text"]
        if token["what"] == "H":
            row, _, column = token["numbers"].partition(";")
            y, x = int(row or 1) - 1, int(column or 1) - 1
        elif text == "\r":
            x = 0
        elif text == "\n":
            y += 1
        elif text and y < ROWS and x < COLUMNS:
            rows[y][x], x = text, x + 1
    return "\n".join("".join(row) for row in rows)


class Terminal:
    """A pseudo-terminal, and all that was written to it."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.written = b""

    def read(self, seconds: float) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            with contextlib.suppress(OSError):
                self.written += os.read(self.master, 1 << 16)

    def until(self, words: str, process: "subprocess.Popen[bytes]") -> None:
        end = time.monotonic() + SOON_S
        while words not in screen_of(self.written):
            assert time.monotonic() < end and process.poll() is None, (
                f"{words} is not on the screen\n{screen_of(self.written)}"
            )
            self.read(0.2)

    def until_ended(self, process: "subprocess.Popen[bytes]") -> int:
        end = time.monotonic() + SOON_S
        while process.poll() is None:
            assert time.monotonic() < end, "it did not end"
            self.read(0.2)
        self.read(0)
        return process.returncode


@contextlib.contextmanager
def watched(port: int, peer_port: int, *words: str) -> Iterator[tuple[Terminal, "subprocess.Popen[bytes]"]]:
    terminal = Terminal()
    command = ["cluster", "--watch", "--port", str(port), "--peer-port", str(peer_port), "--engine", "pure", *words]
    sized = ("COLUMNS", "LINES")  # the terminal says how large it is
    environment = {name: value for name, value in os.environ.items() if name not in sized}
    environment |= {"TERM": "xterm-256color", "RESPRAM_REQUIREPASS": "a word/of:ours"}
    process = subprocess.Popen(
        [sys.executable, "-m", "respram", *command], stdin=terminal.slave, stdout=terminal.slave, stderr=terminal.slave,
        start_new_session=True, env=environment,
    )  # fmt: skip
    try:
        yield terminal, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its nodes and the view too
        process.wait()
        os.close(terminal.master)
        os.close(terminal.slave)


def test_the_terminal_shows_the_enclave_until_it_is_quit() -> None:
    port, peer_port = ports()
    with watched(port, peer_port) as (terminal, process):
        terminal.until("state ready", process)
        # The line may stand there for less than a look. After READY_S the nodes' lines come in its place.
        begun = terminal.written.partition(VIEW)[0]
        assert b"3 nodes ready" in begun or b"event=start" in begun
        for offset in range(3):
            terminal.until(f"127.0.0.1:{peer_port + offset}", process)
        with redis.Redis(port=port + 1, password="a word/of:ours", socket_timeout=SOON_S) as client:
            assert client.set("k", "v", ex=60)
        terminal.until("keys 1", process)
        assert b"event=" not in terminal.written.partition(VIEW)[2], "lines of the nodes do not run over it"
        os.write(terminal.master, b"q")
        assert terminal.until_ended(process) == 0
        assert terminal.written.partition(BACK)[2].count(b"event=stopped\r\n") == 3
    assert all(answers(port + offset, "k") is None for offset in range(3))


@pytest.mark.slow
def test_when_a_node_ends_the_terminal_is_given_back_and_says_why() -> None:
    port, peer_port = ports()
    with watched(port, peer_port) as (terminal, process):
        terminal.until("state ready", process)
        with redis.Redis(port=port + 1, password="a word/of:ours", socket_timeout=SOON_S) as client:
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
        assert terminal.until_ended(process) == 1
        end = terminal.written.partition(BACK)[2]
        assert b"node 2 was ended by SIGKILL, so all were stopped" in end


def test_a_signal_ends_the_view_and_the_nodes() -> None:
    port, peer_port = ports()
    with watched(port, peer_port, "--nodes", "2") as (terminal, process):
        terminal.until("state ready", process)
        process.send_signal(signal.SIGTERM)
        assert terminal.until_ended(process) == 0 and BACK in terminal.written


def test_without_a_terminal_nothing_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    port, peer_port = ports()
    assert main(["cluster", "--watch", "--port", str(port), "--peer-port", str(peer_port)], {}) == 2
    assert "--watch needs a terminal" in capsys.readouterr().err


def test_a_missing_toolkit_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from respram.cli import watching

    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'respram\[top\]'"):
        watching.check_terminal()


def test_where_the_view_looks_and_that_no_password_is_a_flag() -> None:
    assert url_of("::1", 7000, "") == "redis://[::1]:7000"
    assert url_of("127.0.0.1", 7000, "a/b") == "redis://:a%2Fb@127.0.0.1:7000"
    made = plan(
        {"nodes": "2", "port": "7000", "peer-port": "8000", "watch": "yes"}, {"RESPRAM_REQUIREPASS": "word-of-ours"}
    )
    assert made.urls == ["redis://:word-of-ours@127.0.0.1:7000", "redis://:word-of-ours@127.0.0.1:7001"]
    assert not [word for words in made.commands for word in words if "watch" in word or "word-of-ours" in word]
    said: list[str] = []
    view = View(made.urls, {}, said.append)
    view.tell("a line")
    assert said == ["a line"] and not view.ended and view.environment == {"RESPRAM_URL": " ".join(made.urls)}
