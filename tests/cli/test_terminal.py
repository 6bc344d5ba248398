"""Bars, lines and colours: who is shown what, and who nothing."""

import io
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import respram
from respram.cli import terminal
from respram.cli.main import main
from respram.cli.terminal import Bar, Lines, Silence, coloured, progress, spell
from tests.cli.test_workload import line
from tests.live import SOON_S


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture(autouse=True)
def _with_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("TTY_COMPATIBLE", raising=False)


def test_a_step_is_spelt_by_what_is_known_of_it() -> None:
    assert spell("reading", 40 << 20, 100 << 20, "bytes") == "reading: 40% (40 of 100 MB)"
    assert spell("filling up", 7, 100) == "filling up: 7%"
    assert spell("starting", 1, 3, "ready") == "starting: 33% (1 of 3 ready)"
    assert spell("waiting", 0, 0) == "waiting: 0" and spell("more", 9, 3) == "more: 100% (9 of 3)"


def test_a_file_gets_a_line_now_and_then_and_none_for_what_is_quick() -> None:
    clock, file = Clock(), io.StringIO()
    shown = progress(stream=file, clock=clock)
    assert isinstance(shown, Lines)
    for second in range(31):
        clock.s = second
        shown.show("reading", second, 60)
    shown.close()
    assert file.getvalue() == (
        "respram: reading: 16% (10 of 60)\nrespram: reading: 33% (20 of 60)\nrespram: reading: 50% (30 of 60)\n"
    )
    assert isinstance(progress(lines=False, stream=file), Silence)


def test_a_terminal_without_rich_gets_lines_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "has_rich", lambda: False)
    clock, screen = Clock(), Screen()
    shown = progress(stream=screen, clock=clock)
    for second in range(5):
        clock.s = second
        shown.show("reading", second, 8)
    assert screen.getvalue().count("\n") == 2 and "\x1b" not in screen.getvalue()
    said: list[str] = []
    assert coloured(said.append, [("a", "red")], screen) == said.append


def test_a_bar_is_drawn_where_rich_is_and_leaves_nothing_behind() -> None:
    clock, screen = Clock(), Screen()
    shown = progress(stream=screen, clock=clock)
    assert isinstance(shown, Bar)
    shown.show("reading", 1, 10, "bytes")
    assert screen.getvalue() == "", "it may be over in a moment"
    clock.s = 1.0
    shown.show("reading", 5 << 20, 10 << 20, "bytes")
    assert "reading" in screen.getvalue() and "50% (5 of 10 MB)" in screen.getvalue()
    shown.close()
    assert screen.getvalue().endswith("\x1b[2K") or screen.getvalue().rstrip("\r\n").endswith(("\x1b[2K", "\x1b[?25h"))
    shown.close()


def test_lines_are_coloured_by_how_they_begin() -> None:
    screen = Screen()
    say = coloured(print, [("state      ready", "bold green"), ("problem", "bold red")], screen)
    for text in ("state      ready", "problem    [red]x[/red]", "keys       1"):
        say(text)
    good, bad, plain = screen.getvalue().splitlines()
    assert good == "\x1b[1;32mstate      ready\x1b[0m" and bad == "\x1b[1;31mproblem    [red]x[/red]\x1b[0m"
    assert plain == "keys       1", "numbers stay as they are"


def test_colours_may_be_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    coloured(print, [("problem", "red")], screen)("problem    x")
    assert screen.getvalue() == "problem    x\n"


def test_a_long_capture_shows_how_much_of_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = tmp_path / "capture"
    capture.write_bytes(line("get", "k") * 30_000)
    told: list[tuple[str, int, int]] = []

    class Told:
        def show(self, what: str, done: int, total: int, unit: str = "") -> None:
            told.append((what, done, total))

        def close(self) -> None:
            told.append(("end", 0, 0))

    monkeypatch.setattr("respram.cli.check.progress", Told)
    assert main(["check", "--monitor", str(capture)], {}) == 0
    size = capture.stat().st_size
    assert [what for what, _, _ in told] == ["reading the capture"] * 3 + ["end"]
    assert [done for _, done, _ in told[:3]] == [size // 3, size * 2 // 3, size] and told[0][2] == size
    assert "30,000 served" in capsys.readouterr().out


def read_until(stream: int, done: Callable[[str], bool]) -> str:
    said, end_s = "", time.monotonic() + SOON_S
    while not done(said):
        assert time.monotonic() < end_s, said
        if select.select([stream], [], [], 0.1)[0]:
            try:
                said += os.read(stream, 4096).decode()
            except OSError:  # the other side is closed
                break
    return said


@pytest.fixture
def sitting() -> Iterator[Callable[[list[str]], tuple["subprocess.Popen[bytes]", int]]]:
    """A command whose standard error is a terminal."""
    begun = []

    def begin(words: list[str]) -> tuple["subprocess.Popen[bytes]", int]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen([sys.executable, "-m", "respram", *words], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=theirs)
        os.close(theirs)
        begun.append((process, ours))
        return process, ours

    yield begin
    for process, stream in begun:
        process.kill()
        process.wait()
        os.close(stream)
        if process.stdout is not None:
            process.stdout.close()


def test_a_node_that_finds_nobody_says_so_at_a_terminal_and_stops_all_the_same(
    sitting: Callable[[list[str]], tuple["subprocess.Popen[bytes]", int]],
) -> None:
    process, screen = sitting(["serve", "--port", "0", "--peer-port", "0", "--engine", "pure",
                               "--join", "127.0.0.1:1"])
    said = read_until(screen, lambda said: "looking for peers" in said)
    assert "event=start" in said
    process.terminate()
    said = read_until(screen, lambda said: "event=stopped" in said)
    assert process.wait(SOON_S) == 0


def test_status_waits_for_a_node_and_shows_that_it_does(
    sitting: Callable[[list[str]], tuple["subprocess.Popen[bytes]", int]],
) -> None:
    with respram.Server(engine="pure", join="127.0.0.1:1") as server:
        process, screen = sitting(["status", "--url", server.url, "--wait", "3600"])
        read_until(screen, lambda said: "filling up from peers" in said or "waiting for nodes" in said)
        process.terminate()
        assert main(["status", "--url", server.url, "--wait", "1"]) == 3
    assert main(["status", "--url", "redis://127.0.0.1:1", "--wait", "x"]) == 2


def test_status_waits_no_longer_than_until_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with respram.Server(engine="pure") as server:
        assert main(["status", "--url", server.url, "--wait", "3600"]) == 0
    assert capsys.readouterr().out.startswith("state      ready")
