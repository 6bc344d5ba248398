"""Nodes that need no interpreter of their own: a process that has imported all of `respram serve`, and has run nothing
of it, forks one for each that a test asks for.

The tests start more than a thousand nodes. Nearly all of a start is the interpreter and its imports (0.24 s of a core),
which are the same for all of them; forked, a node costs what it does itself (0.02 s). From the fork on it is
`python -m respram serve` with its own words, environment, folder and log, and ends as an interpreter ends. What a test
wants to see of the start itself is started by `subprocess`, as is every node where TESTS_FORK=no says so.

    test            asks by one byte, with three descriptors: the log, the words, and where the end is to be told
    this process    forks, and tells the number of the node, and how it ended once it has
    the node        reads its words itself: no other node has them in its memory

When the process that asked is gone, the nodes that are left are killed.

TESTS_POLICY in the environment of a node changes times of its gossip core that have no option: `forward_ms=50000`.
"""

import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).parents[1]
IMPORTED = ("respram.server.serve", "respram.engine.pure.engine", "respram.engine.native._native", "uvloop")

_one_at_a_time = threading.Lock()


class Forked:
    """What a test does with a `subprocess.Popen` of a node."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: BinaryIO) -> None:
        self.returncode: int | None = None
        asked = json.dumps({"words": list(words), "environment": dict(environment), "folder": os.getcwd()})
        ours, theirs = os.pipe()
        self._told = ours
        try:
            with tempfile.TemporaryFile() as order:
                order.write(asked.encode())
                order.flush()
                socket.send_fds(_mother(), [b"!"], [log.fileno(), order.fileno(), theirs])
        finally:
            os.close(theirs)
        self.pid = int(self._line() or b"0")
        if not self.pid:
            raise OSError("the process that forks nodes is gone")

    def _line(self) -> bytes:
        """Of what is told; b"" when nobody is left to tell."""
        line = b""
        while (byte := os.read(self._told, 1)) not in (b"", b"\n"):
            line += byte
        return line

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"node {self.pid}", timeout or 0)
        return code

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            end = None if timeout is None else time.monotonic() + timeout
            waiting = select.poll()
            waiting.register(self._told, select.POLLIN)
            if waiting.poll(None if end is None else max(end - time.monotonic(), 0) * 1000):
                self.returncode = int(self._line() or -signal.SIGKILL)
                os.close(self._told)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _mother() -> socket.socket:
    """The way to the process that forks: one for each process that runs tests, until that ends.

    The lock is for programs of several threads. Without it two threads that ask first at the same time start two
    such processes. Nobody keeps the way to one of them, so it ends and kills the node that it has just forked.
    """
    with _one_at_a_time:
        return _the_mother()


@functools.cache
def _the_mother() -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "tests.forked", str(theirs.fileno())]
        mother = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    mother.returncode = 0  # nobody waits for it: it ends when this process does
    return ours


def main(ours: socket.socket) -> int:
    """Forks until nobody is left who asks; in a node, what the node ends with."""
    gc.disable()
    run = importlib.import_module("respram.cli.main").main
    for name in IMPORTED:
        with contextlib.suppress(ModuleNotFoundError):  # where only the pure engine is
            importlib.import_module(name)
    gc.freeze()
    gc.enable()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: who asks ends first
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    nodes: dict[int, int] = {}  # to where it is told that they ended
    while True:
        ready, _, _ = select.select([ours.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _bury(nodes)
        if ours.fileno() not in ready:
            continue
        asked, given, _, _ = socket.recv_fds(ours, 1, 3)
        if not asked:
            for pid in nodes:
                os.kill(pid, signal.SIGKILL)
            return 0
        log, order, told = given
        pid = os.fork()
        if not pid:
            words = _begin(log, order)
            return int(run(words))
        os.close(log)
        os.close(order)
        nodes[pid] = told
        os.write(told, b"%d\n" % pid)


def _bury(nodes: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        told = nodes.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(told)


def _begin(log: int, order: int) -> list[str]:
    """As an interpreter would begin: nothing is open but the three, and signals do what they usually do."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with open(order, "rb") as asked:
        asked.seek(0)
        said = json.load(asked)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(said["environment"])
    os.chdir(said["folder"])
    if given := said["environment"].get("TESTS_POLICY"):
        setup = importlib.import_module("respram.server.peer_setup")
        pairs = (pair.split("=") for pair in given.split())
        setup.Policy = functools.partial(setup.Policy, **{name: int(value) for name, value in pairs})  # type: ignore[attr-defined]
    words = said["words"]
    assert isinstance(words, list)
    sys.argv = ["respram", *words]
    return words


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
