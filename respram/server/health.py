"""Serves `/livez`, `/readyz` and `/metrics` over HTTP. Off unless `--metrics-port` asks for it.

It needs so little of HTTP that no framework is used: one GET, one answer, then the connection ends. A request has
HEAD_BYTES_MAX and REQUEST_S; CONNECTIONS_MAX may be open. On loopback a Host that is a name is refused, so that no page
of somebody else's reads it (DNS rebinding); beyond, Prometheus comes by whatever name the operator chose.
"""

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from respram.commands.cluster import UNREADY, state_of
from respram.commands.node import Node
from respram.errors import BindError, ConfigError
from respram.server import clock

if TYPE_CHECKING:
    from respram.server.metrics import Family, Times
    from respram.server.telemetry import Telemetry

HEAD_BYTES_MAX = 8 << 10  # of a request, which has no body
CONNECTIONS_MAX = 64  # simultaneous; a further one is closed without a reply
REQUEST_S = 5.0  # for a request and its response
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"

Answer = tuple[int, str, bytes]


class Health:
    def __init__(self, node: Node, *, local: bool) -> None:
        self.node = node
        self.local = local  # it listens on loopback only
        self.open = 0
        self.servers: list[asyncio.Server] = []
        self.spell = _spelling()

    async def start(self, hosts: Sequence[str], port: int) -> None:
        """Listens. Raises BindError if a port is taken."""
        for host in hosts:
            try:
                self.servers.append(await asyncio.start_server(self._serve, host, port, limit=HEAD_BYTES_MAX))
            except OSError as error:
                raise BindError(
                    f"cannot listen on {host}:{port}: {error.strerror}; choose another --metrics-port"
                ) from None
            port = self.port

    @property
    def port(self) -> int:
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        for server in self.servers:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            if self.open <= CONNECTIONS_MAX:
                async with asyncio.timeout(REQUEST_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(_spell(await self.answer(head), head.startswith(b"HEAD ")))
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # such a client gets no reply
        finally:
            self.open -= 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def answer(self, head: bytes) -> Answer:
        first, *lines = head.split(b"\r\n")
        words = first.split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return 400, PLAIN, b"this is no request\n"
        hosts = [line.partition(b":")[2].strip() for line in lines if line[:5].lower() == b"host:"]
        if self.local and not (len(hosts) == 1 and is_address(hosts[0].decode("latin-1"))):
            return 421, PLAIN, b"ask by an address or localhost\n"
        if any(line[:7].lower() == b"origin:" for line in lines):
            return 403, PLAIN, b"no page may ask\n"
        if words[0] not in (b"GET", b"HEAD"):
            return 405, PLAIN, b"GET alone\n"
        path = words[1].partition(b"?")[0]
        if path == b"/livez":
            return 200, PLAIN, b"ok\n"
        if path == b"/readyz":
            return self._ready()
        if path == b"/metrics":
            return await self._metrics()
        return 404, PLAIN, b"/metrics, /livez, /readyz\n"

    def _ready(self) -> Answer:
        state = state_of(self.node)
        return (503 if state in UNREADY else 200), PLAIN, state + b"\n"

    async def _metrics(self) -> Answer:
        """Copies the metrics, in far less than a millisecond; another thread formats them."""
        from respram.server.metrics import look

        families = look(self.node, clock.now_ms())
        return 200, OPENMETRICS, await asyncio.get_running_loop().run_in_executor(None, self.spell, families)


def _spelling() -> "Callable[[list[Family | Times]], bytes]":
    """ConfigError where prometheus-client is not installed: then the node does not start."""
    with _needing("--metrics-port", "metrics"):
        from respram.server.metrics import spell
    return spell


def make_telemetry(node: Node, loop: asyncio.AbstractEventLoop, log: Callable[[str], None]) -> "Telemetry":
    """What sends the same numbers to a collector. ConfigError where OpenTelemetry's SDK is not installed."""
    config = node.config
    with _needing("--otlp-endpoint", "opentelemetry"):
        from respram.server.telemetry import Telemetry, place_of
    log(f"event=otlp collector={place_of(config.otlp_endpoint)} interval_s={config.otlp_interval_s}")
    return Telemetry(node, config.otlp_endpoint, config.otlp_interval_s, loop, log)


def quiet_telemetry() -> None:
    """Silences the SDK's own log, in a process that is only a node."""
    with _needing("--otlp-endpoint", "opentelemetry"):
        from respram.server.telemetry import silence
    silence()


@contextlib.contextmanager
def _needing(option: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{option} needs {error.name}, which is not installed: pip install 'respram[{extra}]'"
        ) from None


def is_address(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _spell(answer: Answer, is_head: bool) -> bytes:
    status, kind, body = answer
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if is_head else body)
