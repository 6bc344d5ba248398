"""One node and one gateway for all tests of a worker that do not harm them; keys are told apart by their names."""

from collections.abc import Iterator

import httpx
import pytest
import redis

from tests.gateway.faces import LiveGateway, pair
from tests.live import SOON_S, LiveNode


@pytest.fixture(scope="session")
def shared_pair() -> Iterator[tuple[LiveNode, LiveGateway]]:
    with pair() as both:
        yield both


@pytest.fixture
def node(shared_pair: tuple[LiveNode, LiveGateway]) -> LiveNode:
    return shared_pair[0]


@pytest.fixture
def gateway(shared_pair: tuple[LiveNode, LiveGateway]) -> LiveGateway:
    return shared_pair[1]


@pytest.fixture
def client(gateway: LiveGateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


@pytest.fixture
def direct(node: LiveNode) -> Iterator["redis.Redis"]:
    """The node itself, without the gateway."""
    with redis.Redis(port=node.port, socket_timeout=SOON_S) as connection:
        yield connection
