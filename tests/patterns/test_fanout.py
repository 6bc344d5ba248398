"""Endpoints that come, read and go."""

import pytest

from respram.patterns import (
    BadName,
    ContentMissing,
    Endpoints,
    Sealer,
    StreamEncoder,
    StreamEnded,
    TimedOut,
    WrongKey,
    new_secret,
)
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
    endpoints = Endpoints(world.client, ttl_s=0.1)  # nothing of it is needed before it ends
    world(endpoints.register(world.name))
    world.until(lambda: world.name not in world(endpoints.names()))
    with pytest.raises(ContentMissing):
        world(endpoints.route(world.name, b"x"))
    world(Endpoints(world.client, ttl_s=60).keep(world.name))
    world(endpoints.route(world.name, b"x"))


def test_an_endpoint_reads_what_is_sent_after_it_came(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=5)
    world(endpoints.register(world.name))
    world(endpoints.route(world.name, b"before"))
    again = world(endpoints.register(world.name))
    world(endpoints.route(world.name, b"after"))
    assert world(again.receive(1)) == b"after"


def test_a_broadcast_is_one_message_however_many_read_it(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=60)
    readers = [world(endpoints.register(f"{world.name}:{number}")) for number in range(30)]
    before = set(world.raw.keys("stream:*"))
    assert len(world(endpoints.broadcast(b"for all"))) >= 30
    assert len(set(world.raw.keys("stream:*")) - before) <= 2, "a chunk, and a head where it was the first"
    assert {world(reader.receive(1)) for reader in readers} == {b"for all"}


def test_what_goes_to_an_endpoint_with_a_secret_of_its_own_is_sealed_with_it(world: World) -> None:
    name, shared = f"{world.name}:alice", Sealer(new_secret())
    sealers = {name: Sealer(new_secret())}
    sender = Endpoints(world.client, 60, sealers, shared)
    alice = world(Endpoints(world.another(), 60, sealers, shared).register(name))
    bob = world(Endpoints(world.another(), 60, {}, shared).register(f"{world.name}:bob"))
    world(sender.route(name, b"for alice"))
    world(sender.broadcast(b"for all"))
    assert [world(alice.receive(1)), world(alice.receive(1)), world(bob.receive(1))] == [
        b"for alice",
        b"for all",
        b"for all",
    ]
    world(alice.skip_to_oldest())
    alice.decoders[0].sealer = Sealer(new_secret())
    with pytest.raises(WrongKey):
        world(alice.receive(1))


def test_a_reader_hands_out_messages_until_its_stream_is_closed(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=60)
    reader = world(endpoints.register(world.name))
    world(endpoints.route(world.name, b"one"))
    world(StreamEncoder(world.client, f"endpoint:{world.name}", 60).close())
    reader.decoders = reader.decoders[:1]
    assert world.take(reader.messages(1), 2) == [b"one"]
    with pytest.raises(StreamEnded):
        world(reader.receive(1))
    world(reader.skip_to_newest())


def test_a_stream_of_another_s_reaches_no_endpoint(world: World) -> None:
    with pytest.raises(BadName):
        world(Endpoints(world.client, 60).register(""))
    reader = world(Endpoints(world.client, 60).register(world.name))
    for name in ("endpoints", "endpoint", world.name, f"endpoints:{world.name}"):
        world(StreamEncoder(world.client, name, 60).send(b"not for them"))
    world(Endpoints(world.client, 60).broadcast(b"for all"))
    assert world(reader.receive(1)) == b"for all"
