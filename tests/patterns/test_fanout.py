"""Endpoints that come, read and go."""

from typing import Any

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
    lanes,
    new_secret,
    roster,
)
from respram.patterns.effects import Command, Steps
from respram.patterns.fanout import ALL, BASE
from respram.patterns.steps import ask_all
from tests.live import SOON_S
from tests.patterns.conftest import World
from tests.patterns.trips import counting

VIEWERS = 1000


def test_a_message_goes_to_one_endpoint_or_to_all(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=600)
    names = [f"{world.name}:{name}" for name in ("alice", "bob")]
    alice, bob = (world(Endpoints(world.another(), ttl_s=600).register(name)) for name in names)
    world(endpoints.route(names[0], b"for alice"))
    assert world(alice.receive(SOON_S)) == b"for alice"
    with pytest.raises(TimedOut):
        world(bob.receive(0.01))
    assert set(names) <= set(world(endpoints.broadcast(b"for all")))
    assert world(alice.receive(SOON_S)) == world(bob.receive(SOON_S)) == b"for all"


def test_an_endpoint_that_went_away_is_no_longer_sent_to(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=0.1)  # nothing of it is needed before it ends
    world(endpoints.register(world.name))
    world.until(lambda: world.name not in world(endpoints.names()))
    with pytest.raises(ContentMissing):
        world(endpoints.route(world.name, b"x"))
    world(Endpoints(world.client, ttl_s=60).keep(world.name))
    world(endpoints.route(world.name, b"x"))


def test_an_endpoint_reads_what_is_sent_after_it_came(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=600)
    world(endpoints.register(world.name))
    world(endpoints.route(world.name, b"before"))
    again = world(endpoints.register(world.name))
    world(endpoints.route(world.name, b"after"))
    assert world(again.receive(SOON_S)) == b"after"


def test_a_broadcast_is_one_message_however_many_read_it(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=60)
    readers = [world(endpoints.register(f"{world.name}:{number}")) for number in range(30)]
    before = set(world.raw.keys("stream:*"))
    assert len(world(endpoints.broadcast(b"for all"))) >= 30
    assert len(set(world.raw.keys("stream:*")) - before) <= 2, "a chunk, and a head where it was the first"
    assert {world(reader.receive(SOON_S)) for reader in readers} == {b"for all"}


def test_what_goes_to_an_endpoint_with_a_secret_of_its_own_is_sealed_with_it(world: World) -> None:
    name, shared = f"{world.name}:alice", Sealer(new_secret())
    sealers = {name: Sealer(new_secret())}
    sender = Endpoints(world.client, 60, sealers, shared)
    alice = world(Endpoints(world.another(), 60, sealers, shared).register(name))
    bob = world(Endpoints(world.another(), 60, {}, shared).register(f"{world.name}:bob"))
    world(sender.route(name, b"for alice"))
    world(sender.broadcast(b"for all"))
    assert [world(alice.receive(SOON_S)), world(alice.receive(SOON_S)), world(bob.receive(SOON_S))] == [
        b"for alice",
        b"for all",
        b"for all",
    ]
    world(alice.skip_to_oldest())
    for decoder in [*alice.decoders, *alice._followed()]:
        decoder.sealer = Sealer(new_secret())
    with pytest.raises(WrongKey):
        world(alice.receive(SOON_S))


def test_a_reader_hands_out_messages_until_its_stream_is_closed(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=60)
    reader = world(endpoints.register(world.name))
    world(endpoints.route(world.name, b"one"))
    world(StreamEncoder(world.client, f"endpoint:{world.name}", 60).close())
    reader.decoders = reader.decoders[:1]
    assert world.take(reader.messages(SOON_S), 2) == [b"one"]
    with pytest.raises(StreamEnded):
        world(reader.receive(SOON_S))
    world(reader.skip_to_newest())


def test_a_stream_of_another_s_reaches_no_endpoint(world: World) -> None:
    with pytest.raises(BadName):
        world(Endpoints(world.client, 60).register(""))
    reader = world(Endpoints(world.client, 60).register(world.name))
    for name in ("endpoints", "endpoint", world.name, f"endpoints:{world.name}"):
        world(StreamEncoder(world.client, name, 60).send(b"not for them"))
    world(Endpoints(world.client, 60).broadcast(b"for all"))
    assert world(reader.receive(SOON_S)) == b"for all"


def enter(world: World, names: list[str]) -> None:
    pipe = world.raw.pipeline(transaction=False)
    for name in names:
        for command in roster.entering(BASE, name, 600):
            pipe.execute_command(*command)
    pipe.execute()


def test_a_thousand_viewers_cost_one_round_trip(world: World) -> None:
    names = [f"{world.name}:{number}" for number in range(VIEWERS)]
    enter(world, names)
    readers = [world(Endpoints(world.another(), 600).register(name)) for name in names[:3]]
    with counting(world.port) as trips:
        endpoints = Endpoints(world.another(trips.port), ttl_s=600)
        assert set(names) <= set(world(endpoints.broadcast(b"0"))), "the first of a process enters its lane as well"
        for number in range(1, 20):
            trips.reset()
            assert set(names) <= set(world(endpoints.broadcast(b"%d" % number)))
            assert trips.count == 1
    for reader in readers:
        assert [int(world(reader.receive(SOON_S))) for _ in range(20)] == list(range(20))


def test_a_thousand_viewers_with_secrets_of_their_own_cost_one_round_trip(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{world.name}:{number}" for number in range(VIEWERS)]
    sealers = {name: Sealer(new_secret()) for name in names}
    enter(world, names)
    shared = Sealer(new_secret())
    alice = world(Endpoints(world.another(), 600, sealers, shared).register(names[0]))
    bob = world(Endpoints(world.another(), 600, {}, shared).register(f"{world.name}:bob"))
    endpoints = Endpoints(world.client, 600, sealers, shared)
    world(endpoints.broadcast(b"0"))
    asked: list[int] = []

    def counted(*commands: Command) -> Steps[list[Any]]:
        # Of so much the node answers the first while the client still writes the last: trips of bytes say nothing.
        asked.append(len(commands))
        return (yield from ask_all(*commands))

    monkeypatch.setattr(lanes, "ask_all", counted)
    for number in (1, 2):
        assert set(names) <= set(world(endpoints.broadcast(b"%d" % number)))
    assert len(asked) == 2 and min(asked) > 2 * VIEWERS
    for reader in (alice, bob):
        assert [int(world(reader.receive(SOON_S))) for _ in range(3)] == [0, 1, 2]


def test_who_comes_between_two_broadcasts_gets_the_second(world: World) -> None:
    names = [f"{world.name}:{name}" for name in ("alice", "bob")]
    sealers = {name: Sealer(new_secret()) for name in names}
    endpoints = Endpoints(world.client, 600, sealers)
    alice = world(Endpoints(world.another(), 600, sealers).register(names[0]))
    world(endpoints.broadcast(b"one"))
    bob = world(Endpoints(world.another(), 600, sealers).register(names[1]))
    plain = world(Endpoints(world.another(), 600).register(f"{world.name}:plain"))
    world(endpoints.broadcast(b"two"))
    assert [world(alice.receive(SOON_S)), world(alice.receive(SOON_S))] == [b"one", b"two"]
    assert world(bob.receive(SOON_S)) == world(plain.receive(SOON_S)) == b"two"


def test_a_message_goes_out_in_plain_only_where_somebody_reads_it_in_plain(world: World) -> None:
    sealers = {f"{world.name}:{name}": Sealer(new_secret()) for name in ("alice", "bob")}
    endpoints = Endpoints(world.client, 600, sealers)
    asked = endpoints._guessed([f"{world.name}:plain"])
    assert ALL not in asked and ALL not in endpoints._guessed([])
    assert ALL in Endpoints(world.client, 600, sealers, Sealer(new_secret()))._guessed([f"{world.name}:plain"])
    assert ALL not in Endpoints(world.client, 600, sealers, Sealer(new_secret()))._guessed(list(sealers))


def test_what_an_earlier_version_broadcasts_is_read(world: World) -> None:
    reader = world(Endpoints(world.client, 60).register(world.name))
    world(StreamEncoder(world.client, "endpoint:", 60).send(b"of an earlier version"))
    assert world(reader.receive(SOON_S)) == b"of an earlier version"


def test_many_broadcast_at_once_through_one_client_in_the_order_of_each(world: World) -> None:
    reader = world(Endpoints(world.another(), 600).register(world.name))
    endpoints = Endpoints(world.client, 600)
    found = world.together(*(lambda at=at: endpoints.broadcast(b"%d" % at) for at in range(50)))
    assert all(isinstance(each, list) for each in found), found
    assert sorted(int(world(reader.receive(SOON_S))) for _ in range(50)) == list(range(50))


def test_a_user_without_scripts_and_rights_to_delete_broadcasts(world: World) -> None:
    user, word = f"plain-{world.name}", new_secret()
    rights = ["+@read", "+@write", "+@connection", "-@scripting", "-del", "-unlink", "-@dangerous"]
    world.raw.execute_command("ACL", "SETUSER", user, "on", f">{word}", "~stream:*", "~roster:*", *rights)
    endpoints = Endpoints(world.another(username=user, password=word), 600)
    reader = world(endpoints.register(world.name))
    for number in range(3):
        world(endpoints.broadcast(b"%d" % number))
    assert [int(world(reader.receive(SOON_S))) for _ in range(3)] == [0, 1, 2]
    world.raw.execute_command("ACL", "DELUSER", user)
