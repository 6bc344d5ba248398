"""Several servers that hold the same keys: an enclave of respram nodes, or a redis-server with its replicas.

Nodes prove themselves by a cluster secret, so their links are TLS; Redis's are plain, as it comes. `wired` puts a Wire
before each port at which the others connect.
"""

import contextlib
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import hiredis

from benchmarks import machine
from benchmarks.machine import Affinity
from benchmarks.servers import KINDS, REPLY_S_MAX, BenchError, Programs, Server, serving
from benchmarks.wire import Wire
from respram.server.secret import fresh_secret
from tests.ports import reserve

GROUP_S_MAX = 60.0  # until all members are linked and their digests are equal
LOOK_S = 0.02


def packed(*args: bytes | str | int) -> bytes:
    words = [str(arg).encode() if not isinstance(arg, bytes) else arg for arg in args]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class Asker:
    """A connection to one server: commands out, replies back, in one piece or one by one."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), REPLY_S_MAX)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = hiredis.Reader()

    def send(self, *args: bytes | str | int) -> None:
        self.sock.sendall(packed(*args))

    def take(self) -> object:
        while True:
            reply: object = self.reader.gets()
            if reply is not False:
                if isinstance(reply, Exception):
                    raise BenchError(f"a server answered {reply}")
                return reply
            data = self.sock.recv(1 << 16)
            if not data:
                raise BenchError("a server closed its connection")
            self.reader.feed(data)

    def ask(self, *args: bytes | str | int) -> object:
        self.send(*args)
        return self.take()

    def info(self, section: str) -> dict[str, str]:
        text = self.ask("INFO", section)
        assert isinstance(text, bytes)
        return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


@dataclass(slots=True)
class Group:
    """`servers[0]` is the one that is written to; Redis's master."""

    name: str
    servers: list[Server]
    askers: list[Asker]
    wires: list[Wire]

    def cpu_s(self) -> float:
        return sum(machine.cpu_s(server.pid) for server in self.servers)

    def wire_bytes(self) -> int:
        return sum(wire.passed_bytes for wire in self.wires)

    def is_level(self) -> bool:
        if self.name == "redis":
            return _redis_level(self.askers)
        return respram_level(self.askers)

    def wait_level(self) -> None:
        until(self.is_level, f"the {self.name} group is not level")


def until(condition: Callable[[], bool], what: str, seconds: float = GROUP_S_MAX, look_s: float = LOOK_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise BenchError(f"{what} after {seconds:.0f} s")
        time.sleep(look_s)


def respram_level(askers: Sequence[Asker]) -> bool:
    """All linked and ready, the same digest of one moment, and nothing on its way."""
    for asker in askers:
        info = asker.info("replication")
        linked = int(info.get("enclave_peers_linked", 0)) == len(askers) - 1
        if (
            not linked
            or info["peer_state"] != "ready"
            or info["replication_lag_ms_max"] != "0"
            or info["enclave_peers_differing"] != "0"
        ):
            return False
    return len({str(asker.ask("DBSIZE")) for asker in askers}) == 1 and same_digest(askers)


def same_digest(askers: Sequence[Asker]) -> bool:
    now_ms = int(time.time() * 1000)
    return len({str(asker.ask("RESPRAM", "DIGEST", now_ms)) for asker in askers}) == 1


def _redis_level(askers: Sequence[Asker]) -> bool:
    infos = [asker.info("replication") for asker in askers]
    if any(info.get("master_link_status", "up") != "up" for info in infos):
        return False
    return len({info["master_repl_offset"] for info in infos}) == 1 and infos[0]["connected_slaves"] == str(
        len(askers) - 1
    )


@contextlib.contextmanager
def group(
    name: str, size: int, programs: Programs, where: Affinity, args: Sequence[str] = (), wired: bool = False
) -> Iterator[Group]:
    """So many servers, level. `args` go to each."""
    made = Group(name, [], [], [])
    with contextlib.ExitStack() as stack:
        add = _adder(made, size, programs, where, args, wired, stack)
        for number in range(size):
            add(number)
        made.wait_level()
        yield made


@contextlib.contextmanager
def growing(
    name: str, size: int, programs: Programs, where: Affinity, args: Sequence[str] = ()
) -> Iterator[tuple[Group, Callable[[int], None]]]:
    """Only the first of them is there; the function adds the others, by number."""
    made = Group(name, [], [], [])
    with contextlib.ExitStack() as stack:
        add = _adder(made, size, programs, where, args, False, stack)
        add(0)
        yield made, add


def _adder(
    made: Group,
    size: int,
    programs: Programs,
    where: Affinity,
    args: Sequence[str],
    wired: bool,
    stack: contextlib.ExitStack,
) -> Callable[[int], None]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
    secret = folder / "secret"
    secret.write_text(fresh_secret())
    ports = [reserve() for _ in range(size)]
    doors = list(ports)
    if wired:
        made.wires = [Wire(port) for port in ports]
        doors = [wire.port for wire in made.wires]
        for wire in made.wires:
            stack.callback(wire.close)
    join = ",".join(f"127.0.0.1:{port}" for port in doors)
    kind = KINDS[made.name]

    def words(number: int, port: int, spare: int, programs: Programs) -> list[str]:
        if made.name == "redis":
            usual = [*kind.argv(programs, ports[number], spare), "--dir", str(folder), "--dbfilename", f"{number}.rdb"]
            usual += ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]
            return [*usual, *args, *(["--replicaof", "127.0.0.1", str(doors[0])] if number else [])]
        usual = [*kind.argv(programs, port, ports[number]), "--cluster-secret-file", str(secret), "--join", join]
        return [*usual, "--advertise", f"127.0.0.1:{doors[number]}", *args]

    def add(number: int) -> None:
        member = replace(kind, argv=lambda programs, port, spare: words(number, port, spare, programs))
        server = stack.enter_context(serving(member, programs, where, ports[number] if made.name == "redis" else 0))
        made.servers.append(server)
        asker = Asker(server.port)
        stack.callback(asker.sock.close)
        made.askers.append(asker)

    return add
