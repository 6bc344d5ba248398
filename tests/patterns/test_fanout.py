"""Endpoints that come, read and go."""

import pytest

from respram.patterns import ContentMissing, Endpoints, TimedOut
from tests.patterns.conftest import World


def test_a_message_goes_to_one_endpoint_or_to_all(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=5)
    names = [f"{world.name}:{name}" for name in ("alice", "bob")]
    alice, bob = (world(Endpoints(world.another(), ttl_s=5).register(name)) for name in names)
    world(endpoints.route(names[0], b"for alice"))
    assert world(alice.receive(1)) == b"for alice"
    with pytest.raises(TimedOut):
        world(bob.receive(0.01))
    assert set(names) <= set(world(endpoints.broadcast(b"for all")))
    assert world(alice.receive(1)) == world(bob.receive(1)) == b"for all"


def test_an_endpoint_that_went_away_is_no_longer_sent_to(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=0.1)
    world(endpoints.register(world.name))
    world.until(lambda: world.name not in world(endpoints.names()))
    with pytest.raises(ContentMissing):
        world(endpoints.route(world.name, b"x"))
    world(Endpoints(world.client, ttl_s=5).keep(world.name))
    world(endpoints.route(world.name, b"x"))


def test_an_endpoint_reads_what_is_sent_after_it_came(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=5)
    world(endpoints.register(world.name))
    world(endpoints.route(world.name, b"before"))
    again = world(endpoints.register(world.name))
    world(endpoints.route(world.name, b"after"))
    assert world(again.receive(1)) == b"after"
