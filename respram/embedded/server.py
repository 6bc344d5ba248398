"""`Server`, its asynchronous twin and `Enclave`: nodes for programs and tests."""

import asyncio
import contextlib
import json
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

from respram.embedded.words import Setting, config_of, flags_of
from respram.errors import BindError, ConfigError

START_S = 120.0  # imports are slow on a loaded machine; a node that has ended is noticed at once
STOP_S = 6.0  # a node promises to stop within 5 s
READY_S = 120.0  # until an enclave is ready
LOOPBACK = "127.0.0.1"


class Server:
    """A node in a child process. Any option of `respram serve` is a keyword: `Server(default_ttl=60,
    maxmemory="64mb")`.

    It has `host`, `port`, `peer_port`, `engine` and `url` while it runs. ConfigError where a setting is wrong,
    BindError where a port is taken. The child ends with this process, however that ends.
    """

    def __init__(self, *, port: int = 0, engine: str = "auto", log: IO[bytes] | int | None = subprocess.DEVNULL,
                 **settings: Setting) -> None:
        self.settings: dict[str, Setting] = {"peer_port": 0, "port": port, "engine": engine, **settings}
        self.password = str(settings.get("requirepass", ""))
        self.host = LOOPBACK
        self.port = self.tls_port = self.peer_port = self.metrics_port = 0
        self.engine = ""
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The URL of the node, for any client library."""
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{login}{self.host}:{self.port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        if self._process is not None:
            raise RuntimeError("this server has been started already; make another one")
        flags = flags_of(self.settings)
        config = config_of(flags)  # raises for wrong flags here rather than in the child
        words = [f"--{name}={value}" for name, value in flags.items()]
        self.host = next(iter(config.bind)) if config.bind != ("0.0.0.0",) else LOOPBACK  # noqa: S104
        self._process = subprocess.Popen(
            [sys.executable, "-m", "respram.embedded.child", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log,
        )  # fmt: skip
        try:
            said = self._hear(START_S)
        except BaseException:
            self.stop()
            raise
        if "error" in said:
            self.stop()
            raise BindError(said["error"]) if "cannot listen" in said["error"] else ConfigError(said["error"])
        self.port, self.tls_port, self.peer_port = said["port"], said["tls_port"], said["peer_port"]
        self.metrics_port, self.engine = said["metrics_port"], said["engine"]

    def stop(self) -> None:
        """Stops the node in order, or kills it after six seconds."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def kill(self) -> None:
        """Kills the node, as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def advance(self, seconds: float) -> None:
        """Puts the node's clock ahead: what is due by then is destroyed when this returns. On the pure engine alone."""
        if self.engine != "pure":
            raise RuntimeError("time is virtual on the pure engine alone: Server(engine='pure')")
        if seconds < 0:
            raise ValueError("time does not run backwards")
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"advance %d\n" % round(seconds * 1000))
        self._process.stdin.flush()
        self._hear(START_S)

    def client(self, **more: Any) -> Any:
        """A redis-py client of it."""
        import redis  # type: ignore[import-not-found, unused-ignore]

        return redis.Redis.from_url(self.url, **more)

    def _hear(self, seconds: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            raise RuntimeError("the node ended, or did not answer; Server(log=None) shows what it says")
        said: dict[str, Any] = json.loads(line)
        return said


class AsyncServer:
    """The same for asynchronous programs. `in_loop=True` runs the node in this very loop: nothing is started, and it is
    there in milliseconds; the node then shares the loop's time, and the seal keys lie in memory that is not locked.
    """

    def __init__(self, *, in_loop: bool = False, port: int = 0, engine: str = "auto", **settings: Setting) -> None:
        self._server = Server(port=port, engine=engine, log=subprocess.DEVNULL, **settings)
        self._in_loop = in_loop
        self._node: Any = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def host(self) -> str:
        return self._server.host

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def peer_port(self) -> int:
        return self._server.peer_port

    @property
    def engine(self) -> str:
        return self._server.engine

    @property
    def url(self) -> str:
        return self._server.url

    async def start(self) -> None:
        if not self._in_loop:
            await asyncio.to_thread(self._server.start)
            return
        from respram.embedded.node import Node

        self._node = Node(config_of(flags_of(self._server.settings)))
        await self._node.start()
        self._server.port, self._server.peer_port = self._node.port, self._node.peer_port
        self._server.engine = self._node.app.node.engine.name

    async def stop(self) -> None:
        if self._node is not None:
            await self._node.stop()
        else:
            await asyncio.to_thread(self._server.stop)

    async def advance(self, seconds: float) -> None:
        """Like `Server.advance`. With `in_loop=True` it advances the clock of all nodes of the process."""
        if self._node is None:
            await asyncio.to_thread(self._server.advance, seconds)
        elif self.engine != "pure":
            raise RuntimeError("time is virtual on the pure engine alone: AsyncServer(engine='pure')")
        else:
            self._node.advance(round(seconds * 1000))


class Enclave:
    """Several nodes that hold the same keys: `with respram.Enclave(3) as nodes`. Complete when the block begins."""

    def __init__(self, count: int = 3, **settings: Setting) -> None:
        if count < 1:
            raise ValueError("an enclave has at least one node")
        self._settings = settings
        self.count = count
        self.servers: list[Server] = []

    def __enter__(self) -> list[Server]:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self.servers

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        for _ in range(self.count):
            join: dict[str, Setting] = (
                {"join": ",".join(f"{LOOPBACK}:{one.peer_port}" for one in self.servers)} if self.servers else {}
            )
            server = Server(**{**self._settings, **join})  # type: ignore[arg-type]
            self.servers.append(server)
            server.start()
        end_s = time.monotonic() + READY_S
        while self.count > 1 and not all(_is_whole(server, self.count - 1) for server in self.servers):
            if time.monotonic() > end_s:
                raise RuntimeError(f"the nodes did not find each other in {READY_S:.0f} s")
            time.sleep(0.02)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def advance(self, seconds: float) -> None:
        for server in self.servers:
            server.advance(seconds)


def _is_whole(server: Server, peers: int) -> bool:
    """Whether a node has links to that many peers and holds what they hold. It asks over a plain socket, without a
    client library.
    """
    import socket

    password = server.password.encode()
    auth = b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%b\r\n" % (len(password), password) if password else b""
    with socket.create_connection((server.host, server.port), START_S) as wire:
        wire.sendall(auth + b"RESPRAM STATE\r\nINFO replication\r\nQUIT\r\n")
        answer = b""
        while piece := wire.recv(1 << 16):
            answer += piece
    return b"+ready\r\n" in answer and b"enclave_peers_linked:%d\r\n" % peers in answer
