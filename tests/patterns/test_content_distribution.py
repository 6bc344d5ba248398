"""Several nodes, some of them away or wrong. Databases of one node stand for nodes here."""

import socket

import pytest

from respram.patterns import ContentDistribution, ContentMissing, StoreAway, drivers
from tests.patterns.conftest import World
from tests.ports import reserve

DATA = b"a chapter"


def test_content_is_fetched_from_the_node_that_has_it_unharmed(world: World) -> None:
    away, harmed, empty, good = world.another(port=reserve()), *(world.another(db=db) for db in (5, 6, 7))
    ref = world(ContentDistribution((good,), world.name, 600).publish(DATA))
    key = ContentDistribution((good,), world.name).key(ref)
    world(harmed.set(key, b"forged", px=600_000))
    assert world(ContentDistribution((away, harmed, empty, good), world.name).retrieve(ref)) == DATA
    with pytest.raises(ContentMissing, match=r"1 is away.*2 has something else.*3 does not have it"):
        world(ContentDistribution((away, harmed, empty), world.name).retrieve(ref))


def test_copies_go_to_so_many_nodes_and_fewer_are_an_error(world: World) -> None:
    away, one, two = world.another(port=reserve()), world.another(db=5), world.another(db=6)
    ref = world(ContentDistribution((away, one, two), world.name, 600).publish(DATA, copies=2))
    for client in (one, two):
        assert world(ContentDistribution((client,), world.name).retrieve(ref)) == DATA
    spare = world.another(db=8)
    world(ContentDistribution((one, spare), world.name, 600).publish(DATA))
    with pytest.raises(ContentMissing):
        world(ContentDistribution((spare,), world.name).retrieve(ref))
    with pytest.raises(StoreAway, match="2 of 3"):
        world(ContentDistribution((away, one, two), world.name, 600).publish(DATA, copies=3))


def test_a_node_that_never_answers_costs_nothing_while_another_has_it(world: World) -> None:
    # It takes the connection and says nothing: a client without a timeout would wait for ever.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dead = world.another(port=silent.getsockname()[1], socket_timeout=600)
        good = world.another(db=7)
        content = ContentDistribution((dead, *(world.another(db=db) for db in (5, 6)), good), world.name, 60)
        ref = world(ContentDistribution((good,), world.name, 60).publish(DATA))
        assert world(content.retrieve(ref)) == DATA


def test_more_nodes_than_are_asked_together_are_all_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "TOGETHER_MAX", 2)
    good = world.another(db=7)
    ref = world(ContentDistribution((good,), world.name, 60).publish(DATA))
    empty = tuple(world.another(db=5) for _ in range(6))
    assert world(ContentDistribution((*empty, good), world.name).retrieve(ref)) == DATA
    with pytest.raises(ContentMissing, match="6 does not have it"):
        world(ContentDistribution(empty, world.name).retrieve(ref))
