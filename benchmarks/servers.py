"""The servers that are measured: how each is started, asked, stopped while others run, and ended.

A server lives inside `with serving(...)`: it is ended there by its process id, and should this process be killed, the
kernel kills the server too. All listen on loopback, on ports that were free a moment before.
"""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.machine import Affinity
from tests.ports import reserve

HERE = Path(__file__).parent
ROOT = HERE.parent
START_S_MAX = 15.0  # from starting a server to its first reply
STOP_S_MAX = 10.0  # from asking a server to end to killing it
REPLY_S_MAX = 10.0  # the longest wait for one reply
COMPILE_S_MAX = 60.0
MEMCACHED_MIB = 8192  # more than any row stores, so that nothing is evicted
CLIENTS_MAX = 2000
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
PROGRAMS = ("floor", "load", "witness")  # in the order of `Programs`
C_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra")


class BenchError(Exception):
    """What was measured is not what was meant: no figure comes of it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A server to compare: `argv` of it, given programs, its port and a second free one."""

    name: str
    label: str
    memcache: bool
    has_keys: bool
    program: str  # the program that must be on the PATH; "" for one that is built here
    argv: Callable[["Programs", int, int], list[str]]
    version: Callable[["Programs"], str]

    @property
    def is_own(self) -> bool:
        """Whether it is respram, whichever engine it has."""
        return self.version is _respram_version


@dataclass(frozen=True, slots=True)
class Programs:
    """What was compiled for this run."""

    floor: Path
    load: Path
    witness: Path


@dataclass(frozen=True, slots=True)
class Server:
    kind: Kind
    pid: int
    port: int


def _redis(program: str) -> Callable[[Programs, int, int], list[str]]:
    def argv(_programs: Programs, port: int, _spare: int) -> list[str]:
        return [
            program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize",
            "no",
            "--loglevel", "warning", "--maxclients", str(CLIENTS_MAX),
        ]  # fmt: skip

    return argv


def _respram(engine: str, *more: str) -> Callable[[Programs, int, int], list[str]]:
    def argv(_programs: Programs, port: int, spare: int) -> list[str]:
        return [
            sys.executable, "-m", "respram", "serve", "--engine", engine, "--port", str(port), "--peer-port",
            str(spare),
            "--log-level", "warning", *more,
        ]  # fmt: skip

    return argv


def _memcached(_programs: Programs, port: int, _spare: int) -> list[str]:
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    return [
        "memcached",
        "-p",
        str(port),
        "-l",
        "127.0.0.1",
        "-U",
        "0",
        "-t",
        "1",
        "-m",
        str(MEMCACHED_MIB),
        "-c",
        str(CLIENTS_MAX),
        *user,
    ]


def _memcached_version(_programs: Programs) -> str:
    return machine.first_line(["memcached", "--version"]).removeprefix("memcached ")


def _floor(programs: Programs, port: int, _spare: int) -> list[str]:
    return [str(programs.floor), str(port)]


def _redis_version(program: str) -> Callable[[Programs], str]:
    def version(_programs: Programs) -> str:
        line = machine.first_line([program, "--version"])
        found = re.search(r"v=(\S+).*malloc=(\S+)", line)
        return f"{found[1]} ({found[2]})" if found else line

    return version


def _respram_version(_programs: Programs) -> str:
    return machine.first_line([sys.executable, "-c", "import respram; print(respram.__version__)"])


KINDS = {
    kind.name: kind
    for kind in (
        Kind("redis", "Redis", False, True, "redis-server", _redis("redis-server"), _redis_version("redis-server")),
        Kind("valkey", "Valkey", False, True, "valkey-server", _redis("valkey-server"),
             _redis_version("valkey-server")),
        Kind("native", "respram", False, True, "", _respram("native"), _respram_version),
        Kind("unsealed", "respram (unsealed)", False, True, "", _respram("native", "--seal-memory", "no"),
             _respram_version),
        Kind("pure", "respram (pure)", False, True, "", _respram("pure"), _respram_version),
        Kind("memcached", "memcached", True, True, "memcached", _memcached, _memcached_version),
        Kind("floor", "epoll floor", False, False, "", _floor, lambda _: "floor.c"),
    )
}  # fmt: skip


def present(names: list[str]) -> list[Kind]:
    """Those of the names that this machine has; the others are told on standard error."""
    kinds = [KINDS[name] for name in names]
    for kind in kinds:
        if kind.program and shutil.which(kind.program) is None:
            print(f"{kind.program} is not on this machine: left out", file=sys.stderr)
    return [kind for kind in kinds if not kind.program or shutil.which(kind.program)]


@contextlib.contextmanager
def compiled() -> Iterator[Programs]:
    """The C programs, compiled into a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for name in PROGRAMS:
            command = [os.environ.get("CC", "cc"), *C_FLAGS, "-o", f"{folder}/{name}", str(HERE / f"{name}.c")]
            done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S_MAX, check=False)
            if done.returncode != 0:
                raise BenchError(f"{name}.c does not compile:\n{done.stderr}")
        yield Programs(*(Path(folder, name) for name in PROGRAMS))


@contextlib.contextmanager
def serving(kind: Kind, programs: Programs, where: Affinity, port: int = 0) -> Iterator[Server]:
    port, spare = port or reserve(), reserve()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            kind.argv(programs, port, spare), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
            preexec_fn=lambda: _settle(where.server),
        )  # fmt: skip
        server = Server(kind, process.pid, port)
        try:
            try:
                _wait_for(server, process)
            except BenchError as error:
                log.seek(0)
                raise BenchError(f"{error}; it said: {log.read()[-2000:].decode(errors='replace').strip()}") from None
            yield server
        finally:
            _end(process)


def _settle(processors: frozenset[int]) -> None:
    """In the child: dies with its parent, keeps to its processors."""
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)
    os.sched_setaffinity(0, processors)


def _wait_for(server: Server, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_S_MAX
    while time.monotonic() < end:
        if process.poll() is not None:
            raise BenchError(f"{server.kind.label} ended at its start with code {process.returncode}")
        with contextlib.suppress(OSError):
            ask(server, b"version\r\n" if server.kind.memcache else b"*1\r\n$4\r\nPING\r\n")
            return
        time.sleep(0.02)
    raise BenchError(f"{server.kind.label} did not answer within {START_S_MAX:.0f} s")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)  # it may be stopped between two turns
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def bounded(seconds: int) -> Iterator[None]:
    """No measurement goes on for ever: after so long, or at SIGTERM, a BenchError ends it and all that it started."""

    def give_up(number: int, _frame: object) -> None:
        raise BenchError(
            f"not done after {seconds} s: given up (see --seconds-max)" if number == signal.SIGALRM else "told to end"
        )

    before = {number: signal.signal(number, give_up) for number in (signal.SIGALRM, signal.SIGTERM)}
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


# -- questions ----------------------------------------------------------------------------------------
def ask(server: Server, command: bytes) -> bytes:
    """The reply to one inline command, raw: a line, a whole RESP bulk, or memcached's lines up to END."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=REPLY_S_MAX) as sock:
        sock.sendall(command)
        data = b""
        while not _whole(data):
            more = sock.recv(1 << 16)
            if not more:
                raise BenchError(f"{server.kind.label} closed the connection")
            data += more
        return data


def _whole(data: bytes) -> bool:
    head, newline, rest = data.partition(b"\r\n")
    if not newline:
        return False
    if head.startswith(b"$"):
        return len(rest) >= int(head[1:]) + 2
    return not head.startswith(b"STAT") or data.endswith(b"END\r\n")


def numbers(server: Server) -> dict[str, int]:
    """Counters of the server by its own names, whole numbers only."""
    if not server.kind.has_keys:
        return {}
    text = ask(server, b"stats\r\n" if server.kind.memcache else b"INFO\r\n").decode()
    pattern = r"STAT (\w+) (\d+)\r" if server.kind.memcache else r"(?m)^(\w+):(\d+)\r"
    found = {name: int(value) for name, value in re.findall(pattern, text)}
    keys = re.search(r"db0:keys=(\d+)", text)
    found["keys"] = found.get("curr_items", 0) if server.kind.memcache else int(keys[1]) if keys else 0
    found["misses"] = found.get("get_misses" if server.kind.memcache else "keyspace_misses", 0)
    found["error_replies"] = found.get("total_error_replies", 0)
    return found


def stop(server: Server) -> None:
    os.kill(server.pid, signal.SIGSTOP)


def go_on(server: Server) -> None:
    os.kill(server.pid, signal.SIGCONT)
