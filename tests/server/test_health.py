"""The three paths: live, ready, and numbers; and those who ask for them wrongly."""

import asyncio
import contextlib
import http.client
import socket

import pytest

import respram
from respram.config.options import Address
from respram.config.settings import Config
from respram.errors import BindError
from respram.server import metrics
from respram.server.app import App
from respram.server.health import Health, is_address
from tests.engine.conftest import ENGINES
from tests.live import SOON_S


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=SOON_S)
    wire.request(method, path, headers=headers)
    answer = wire.getresponse()
    found = answer.status, answer.getheader("content-type", ""), answer.read().decode()
    wire.close()
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_a_node_tells_that_it_lives_and_is_ready(engine: str) -> None:
    with respram.Server(engine=engine, metrics_port=0) as server, server.client() as client:
        client.set("name-of-a-key", "the-value", ex=60)
        assert ask(server.metrics_port, "/livez")[0::2] == (200, "ok\n")
        assert ask(server.metrics_port, "/readyz")[0::2] == (200, "ready\n")
        status, kind, text = ask(server.metrics_port, "/metrics")
        assert status == 200 and kind.startswith("application/openmetrics-text") and text.endswith("# EOF\n")
        assert "name-of-a-key" not in text and "the-value" not in text
        assert ask(server.metrics_port, "/metrics", "HEAD")[2] == ""
        assert ask(server.metrics_port, "/")[0] == 404 and ask(server.metrics_port, "/metrics", "POST")[0] == 405


def test_no_page_of_somebody_elses_reads_it() -> None:
    with respram.Server(engine="pure", metrics_port=0) as server:
        assert ask(server.metrics_port, "/metrics", Host="evil.example")[0] == 421
        assert ask(server.metrics_port, "/metrics", Origin="http://evil.example")[0] == 403
    with respram.Server(engine="pure", metrics_port=0, metrics_bind="0.0.0.0") as server:
        assert ask(server.metrics_port, "/metrics", Host="node.example")[0] == 200, "Prometheus comes by a name"


def test_a_node_that_still_fills_up_lives_and_is_not_ready() -> None:
    with respram.Server(engine="pure", metrics_port=0, join="127.0.0.1:1") as server:
        assert ask(server.metrics_port, "/livez")[0] == 200
        status, _, state = ask(server.metrics_port, "/readyz")
        assert (status, state) in ((503, "joining\n"), (200, "isolated\n"), (200, "ready\n"))


def test_a_node_that_has_not_begun_with_its_peers_or_reads_its_snapshot_is_not_ready() -> None:
    async def main() -> None:
        config = Config(port=0, peer_port=0, engine="pure", metrics_port=0, join=(Address("127.0.0.1", 1),))
        app = App(config, asyncio.get_running_loop())
        app.listen()
        await app.show()
        assert app.health is not None and app.node.peers is None
        request = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert (await app.health.answer(request))[::2] == (503, b"joining\n")
        assert not metrics.is_ready(app.node)
        app.node.loading = True
        assert (await app.health.answer(request))[::2] == (503, b"loading\n")
        assert not metrics.is_ready(app.node)
        await app.drain()
        assert app.ring is not None
        app.ring.wipe()

    asyncio.run(main())


@pytest.mark.parametrize(
    "data",
    [b"\0" * 20_000, b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 5000, b"\r\n\r\n", b"GET\r\n\r\n", b"GET /metrics"],
)
def test_what_is_no_request_harms_nobody(data: bytes) -> None:
    with respram.Server(engine="pure", metrics_port=0) as server:
        with socket.create_connection(("127.0.0.1", server.metrics_port)) as wire:
            wire.sendall(data)
            wire.shutdown(socket.SHUT_WR)
            wire.settimeout(SOON_S)
            with contextlib.suppress(ConnectionResetError):
                assert b" 200 " not in wire.recv(1 << 16)
        assert ask(server.metrics_port, "/livez")[0] == 200


def test_addresses_are_told_from_names() -> None:
    assert all(
        is_address(host) for host in ("127.0.0.1", "127.0.0.1:80", "[::1]:80", "[::1]", "localhost:1", "LOCALHOST")
    )
    assert not any(
        is_address(host) for host in ("evil.example", "evil.example:80", "", "127.0.0.1.evil", "localhost.evil")
    )


def test_a_port_that_is_taken_is_told() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindError):
            await Health(None, local=True).start(["127.0.0.1"], taken.getsockname()[1])  # type: ignore[arg-type]

    asyncio.run(main())
