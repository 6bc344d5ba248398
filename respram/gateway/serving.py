"""The gateway as a process: sockets, uvicorn, signals, its few lines of log; and the MCP server on standard input and
output.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Sequence

import uvicorn

from respram import __version__
from respram.errors import BindError, ConfigError
from respram.gateway.app import Bounds, Gateway
from respram.gateway.patience import Patience
from respram.gateway.settings import Settings
from respram.gateway.target import Target

STOP_S = 2  # for streams and slow responses, after the signal to stop
# Imported objects are excluded from collection. Garbage of requests is collected once in some hundred
# requests.
GC_THRESHOLDS = (20_000, 20, 20)
READY_LINE = b"ready\n"  # what a parent with a lifeline waits for

log = logging.getLogger("respram.gateway")


def serve(settings: Settings) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # their lines contain paths, and so keys
    sockets = listen(settings.hosts, settings.port)
    gateway = Gateway(
        settings.targets, settings.rules, Bounds(settings.body_bytes_max, settings.bodies_bytes_max),
        quorum=settings.quorum,
        write_timeout_s=settings.write_timeout_s,
    )  # fmt: skip
    config = uvicorn.Config(
        gateway, http=Patience().protocol, ws="none", lifespan="on",  # type: ignore[arg-type]
        log_config=None, access_log=False, server_header=False,
        proxy_headers=False, limit_concurrency=settings.connections_max, timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_S,
        ssl_certfile=settings.tls_cert or None, ssl_keyfile=settings.tls_key or None,
    )  # fmt: skip
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"--tls-cert and --tls-key cannot be used: {error.strerror or type(error).__name__}"
        ) from None
    places = ",".join(_spell(one) for one in sockets)
    nodes = ",".join(str(target) for target in settings.targets)
    anonymous = "yes" if settings.rules.anonymous else "no"
    log.info("event=gateway_start version=%s listen=%s nodes=%s anonymous=%s", __version__, places, nodes, anonymous)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn stops in order and then raises the signal again
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(uvicorn.Server(config), sockets, lifeline=settings.lifeline))
    log.info("event=gateway_stopped")
    return 0


async def _run(server: uvicorn.Server, sockets: list[socket.socket], *, lifeline: bool) -> None:
    if lifeline:

        def cut() -> None:
            if not os.read(0, 64):
                server.should_exit = True
                asyncio.get_running_loop().remove_reader(0)

        asyncio.get_running_loop().add_reader(0, cut)
        os.write(1, READY_LINE)
    asyncio.get_running_loop().set_exception_handler(_bug)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    await server.serve(sockets)


def _bug(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Logs the kind and place of an error, but not its text, which could contain a client's data."""
    log.error("event=gateway_bug what=%s", type(context.get("exception")).__name__)


def listen(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Listens. Raises BindError if the port is taken."""
    made: list[socket.socket] = []
    for host in hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        one = socket.socket(family, socket.SOCK_STREAM)
        made.append(one)
        try:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((host, port))
            one.listen(2048)
        except OSError as error:
            for opened in made:
                opened.close()
            raise BindError(
                f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port or --bind"
            ) from None
        port = one.getsockname()[1]
    return made


def _spell(one: socket.socket) -> str:
    host, port = one.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def serve_agent(targets: Sequence[Target]) -> int:
    """MCP on standard input and output, until the input ends."""
    asyncio.run(_serve_agent(targets))
    return 0


async def _serve_agent(targets: Sequence[Target]) -> None:
    from respram.gateway.agents import make_server

    gateway = Gateway(targets, mcp=False, page=False)
    try:
        await make_server(gateway.store, gateway.hub).run_stdio_async()
    finally:
        await gateway.close()
