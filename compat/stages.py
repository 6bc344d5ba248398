"""Where a program of the matrix plays: nodes of its own as they come or with words more, or redis-server in their
place.
"""

import contextlib
import secrets
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from compat.install import CACHE
from compat.reference import Server, redis_server
from tests.live import LiveNode, start
from tests.peers.enclave import Member, enclave, until_ready
from tests.ports import reserve

PASSWORD = "of-the-matrix"
TLS = CACHE / "tls"
LOST = 1  # index of the peer that a program may have killed and restarted


def socket_path() -> str:
    """Short, as the path of a Unix socket has to be."""
    return str(Path(tempfile.gettempdir(), f"compat-{secrets.token_hex(8)}.sock"))


class Stage(Protocol):
    port: int  # port of the node without a password
    socket: str  # path of its Unix socket
    tls_port: int
    auth_port: int  # port of the node with a password
    peer_ports: list[int]

    def open(self, peers: int = 0, cluster: str = "") -> None: ...
    def obey(self, word: str) -> str:
        """What a program asks for in a line of its own: the answer, or nothing where it asked for nothing."""

    def close(self) -> None: ...
    def kill(self) -> None:
        """At once, and without another thought."""


@dataclass(slots=True)
class Nodes:
    engine: str
    words: tuple[str, ...] = ()  # options that each of them is started with
    port: int = field(default_factory=reserve)
    socket: str = field(default_factory=socket_path)
    tls_port: int = field(default_factory=reserve)
    auth_port: int = 0
    peer_ports: list[int] = field(default_factory=list)
    nodes: list[LiveNode] = field(default_factory=list)
    peers: list[Member] = field(default_factory=list)
    rest: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def open(self, peers: int = 0, cluster: str = "") -> None:
        if peers:
            words = (*self.words, *(("--cluster", cluster) if cluster else ()))
            self.peers = self.rest.enter_context(enclave(peers, *words, engines=(self.engine,)))
            until_ready(self.peers)
            self.peer_ports = [peer.port for peer in self.peers]
        self.nodes = [self._open_node(), start("--requirepass", PASSWORD, *self.words, engine=self.engine)]
        self.auth_port = self.nodes[1].port

    def _open_node(self) -> LiveNode:
        tls = [
            "--tls-port",
            str(self.tls_port),
            "--tls-cert",
            str(TLS / "node.pem"),
            "--tls-key",
            str(TLS / "node.key"),
        ]
        tls += ["--tls-auth-clients", "no"]
        doors = ("--unixsocket", self.socket, *tls)
        return start("--notify-keyspace-events", "Ex", *doors, *self.words, engine=self.engine, port=self.port)

    def restart(self) -> None:
        self.nodes[0].stop()
        self.nodes[0].log_path.unlink(missing_ok=True)
        self.nodes[0] = self._open_node()

    def obey(self, word: str) -> str:
        if word == "restart":
            self.restart()
            return "restarted"
        if word == "kill" and self.peers:
            self.peers[LOST].kill()
            return "killed"
        if word == "start" and self.peers:
            self.peers[LOST].start()
            until_ready(self.peers)
            return "started"
        return ""

    def close(self) -> None:
        with self.rest:
            for node in self.nodes:
                node.stop()
                node.log_path.unlink(missing_ok=True)

    def kill(self) -> None:
        for node in [peer.node for peer in self.peers if peer.node is not None] + self.nodes:
            node.process.send_signal(signal.SIGKILL)


@dataclass(slots=True)
class Redis:
    """In the place of several nodes stands one: what is done at it is seen at once by who asks it for another. It has
    no TLS.
    """

    port: int = field(default_factory=reserve)
    socket: str = field(default_factory=socket_path)
    tls_port: int = field(default_factory=reserve)
    auth_port: int = 0
    peer_ports: list[int] = field(default_factory=list)
    servers: list[Server] = field(default_factory=list)

    def open(self, peers: int = 0, cluster: str = "") -> None:
        assert not cluster, "no cluster of redis-server is made here"
        self.peer_ports = [self.port] * peers
        self.servers = [self._open_server(), redis_server("--requirepass", PASSWORD)]
        self.auth_port = self.servers[1].port

    def _open_server(self) -> Server:
        return redis_server("--notify-keyspace-events", "Ex", "--unixsocket", self.socket, port=self.port)

    def obey(self, word: str) -> str:
        if word != "restart":
            return ""
        self.servers[0].stop()
        self.servers[0] = self._open_server()
        return "restarted"

    def close(self) -> None:
        for server in self.servers:
            server.stop()

    def kill(self) -> None:
        for server in self.servers:
            server.process.kill()
