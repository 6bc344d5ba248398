"""Nodes that are peers, each a process of its own, and the means to trouble them: kills, stops, cut wires."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from tests.engine.conftest import ENGINES
from tests.live import SOON_S, LiveNode, start
from tests.ports import reserve
from tests.secrets import secret_of

SECRET = secret_of("enclave")
USUAL = "native" if "native" in ENGINES else "pure"  # the engine of a node whose test names none

# For tests of what clients are told, by nodes that may get no core for seconds: nobody is thought gone for that, and a
# client is never told that another node did not answer in time.
PATIENT = ("--suspicion-ms", "150000", "--isolation-windows", "100")
PATIENT_POLICY = "forward_ms=50000 truth_ms=50000"


@dataclass(slots=True)
class Member:
    """A place in the enclave: its ports stay when the node in it is restarted."""

    port: int
    peer_port: int
    join: str
    engine: str
    args: tuple[str, ...]
    secret: str
    policy: str = ""  # of forked.py
    node: LiveNode | None = None
    clients: "list[redis.Redis]" = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, wait: bool = True) -> None:
        """`wait` False: a client may come before the node has begun with its peers."""
        words = ["--peer-port", str(self.peer_port), *(["--join", self.join] if self.join else []), *self.args]
        self.node = start(
            *words,
            engine=self.engine,
            env={
                **self.environment,
                **({"RESPRAM_CLUSTER_SECRET": self.secret} if self.secret else {}),
                **({"TESTS_POLICY": self.policy} if self.policy else {}),
            },
            port=self.port,
        )
        if wait:
            until(lambda: "peer_state" in self.info(), "the node did not begin with its peers")

    @property
    def patient(self) -> "redis.Redis":
        """A client that asks again when the node says that it cannot answer yet, and has done nothing. A node that
        had no core for long says so until it has heard of the others, or waited for them (17 s where wires are cut).
        """
        again = Retry(ConstantBackoff(0.1), int(SOON_S / 0.1), (redis.exceptions.BusyLoadingError,))
        self.clients += [self.connect()] * (not self.clients)
        self.clients.append(redis.Redis(port=self.port, socket_timeout=SOON_S, protocol=3, retry=again))
        return self.clients[-1]

    @property
    def client(self) -> "redis.Redis":
        if not self.clients:
            self.clients.append(self.connect())
        return self.clients[0]

    def connect(self) -> "redis.Redis":
        return redis.Redis(port=self.port, socket_timeout=SOON_S, protocol=3, retry=Retry(NoBackoff(), 0))

    def log(self) -> str:
        assert self.node is not None
        return self.node.log()

    def info(self) -> dict[str, object]:
        found = self.client.info("replication")
        assert isinstance(found, dict)
        return found

    def digest(self, at_ms: int) -> tuple[int, bytes]:
        reply = self.client.execute_command("RESPRAM", "DIGEST", at_ms)
        return reply[b"records"], reply[b"digest"]

    def kill(self) -> None:
        """As a power cut: nothing is said, nothing is kept."""
        assert self.node is not None
        self.node.process.kill()
        self.node.process.wait()
        self._forget()

    def stop(self) -> None:
        if self.node is not None:
            self.node.process.send_signal(signal.SIGCONT)
            self.node.stop()
            self._forget()

    def freeze(self) -> None:
        assert self.node is not None
        self.node.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.node is not None
        self.node.process.send_signal(signal.SIGCONT)

    def _forget(self) -> None:
        for client in self.clients:
            client.close()
        self.clients.clear()
        if self.node is not None:
            self.node.log_path.unlink(missing_ok=True)
        self.node = None


@contextlib.contextmanager
def enclave(
    count: int,
    *args: str,
    engines: tuple[str, ...] = (USUAL,),
    secret: str = SECRET,
    each: Callable[[int], tuple[str, ...]] = lambda _: (),
    policy: str = "",
    environment: Callable[[int], dict[str, str]] = lambda _: {},
) -> Iterator[list[Member]]:
    """So many nodes, started and known to each other. `each` gives further words by number, `environment` variables."""
    ports = [reserve() for _ in range(count)]
    join = ",".join(f"127.0.0.1:{port}" for port in ports)
    members = [
        Member(
            reserve(), port, join, engines[number % len(engines)], (*args, *each(number)), secret, policy,
            environment=environment(number),
        )
        for number, port in enumerate(ports)
    ]  # fmt: skip
    try:
        for member in members:
            member.start()
        until_linked(members)
        yield members
        for member in members:
            if member.node is not None:
                log = member.log()
                assert "event=bug" not in log and "Traceback" not in log, log
    finally:
        for member in members:
            with contextlib.suppress(subprocess.TimeoutExpired):
                member.stop()


def until(condition: Callable[[], object], what: str, seconds: float = SOON_S) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def until_linked(members: list[Member], seconds: float = SOON_S) -> None:
    alive = [member for member in members if member.node is not None]

    def linked() -> bool:
        return all(member.info()["enclave_peers_linked"] == len(alive) - 1 for member in alive)

    until(linked, "not all nodes are linked", seconds)


def until_ready(members: list[Member]) -> None:
    """A node that is still alone has no such state."""
    until(lambda: all(member.info().get("peer_state") == "ready" for member in members), "not all nodes are ready")


def until_equal(members: list[Member], records_least: int, seconds: float = SOON_S) -> int:
    """Waits for equal digests of one moment, of so many records at least (the young ones do not count yet)."""
    seen: list[tuple[int, bytes]] = []

    def equal() -> bool:
        now_ms = int(time.time() * 1000)
        seen[:] = [member.digest(now_ms) for member in members]
        return len(set(seen)) == 1 and seen[0][0] >= records_least

    end = time.monotonic() + seconds
    while not equal():
        assert time.monotonic() < end, f"the nodes still differ: {seen}"
        time.sleep(0.1)
    return seen[0][0]


def rss_bytes(member: Member) -> int:
    assert member.node is not None
    with open(f"/proc/{member.node.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
