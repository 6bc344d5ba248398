"""pytest's fixtures: `respram_server`, `respram_client` and `respram_enclave`.
`respram_server.advance(60)` moves its time on.

A test that asks for none of them pays nothing for the plugin: what it needs is imported then.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from respram.embedded.server import Server


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("respram")
    words = "engine of the fixtures' nodes (pure, where time can be moved on; native; auto)"
    group.addoption("--respram-engine", default="pure", choices=("pure", "native", "auto"), help=words)
    parser.addini(
        "respram_settings",
        "settings of the fixtures' nodes, one NAME=VALUE a line, such as default_ttl=60",
        type="linelist",
    )


@pytest.fixture(scope="session")
def respram_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The settings of the nodes. Override this in a conftest.py."""
    found: dict[str, Any] = {"engine": request.config.getoption("--respram-engine")}
    for line in request.config.getini("respram_settings"):
        name, _, value = line.partition("=")
        found[name.strip()] = value.strip()
    return found


@pytest.fixture
def respram_server(respram_settings: dict[str, Any]) -> "Iterator[Server]":
    """A new node for this test alone, because a used one cannot be emptied."""
    from respram.embedded.server import Server

    with Server(**respram_settings) as server:
        yield server


@pytest.fixture
def respram_client(respram_server: "Server") -> Iterator[Any]:
    """A redis-py client of `respram_server`."""
    client = respram_server.client(decode_responses=False)
    yield client
    client.close()


@pytest.fixture
def respram_enclave(respram_settings: dict[str, Any]) -> "Iterator[Callable[..., list[Server]]]":
    """`nodes = respram_enclave(3)` starts three nodes that hold the same keys."""
    from respram.embedded.server import Enclave

    made: list[Enclave] = []

    def make(count: int = 3, **more: Any) -> "list[Server]":
        enclave = Enclave(count, **{**respram_settings, **more})
        made.append(enclave)
        enclave.start()
        return enclave.servers

    yield make
    for enclave in made:
        enclave.stop()
