"""Actors across restarts and migrations."""

import pytest

from respram.patterns import ActorState, ContentMissing, ContentRef, ContentStore
from tests.patterns.conftest import World


def actors(world: World) -> ActorState:  # type: ignore[type-arg]
    return ActorState(ContentStore(world.another(), world.name, 600))


def test_an_actor_finds_its_state_after_a_restart(world: World) -> None:
    assert world(actors(world).load("7e3f")) is None
    world(actors(world).save("7e3f", b"state"))
    assert world(actors(world).load("7e3f")) == b"state"


def test_a_successor_gets_the_exported_state_and_its_history(world: World) -> None:
    world(actors(world).save("old", b"state at export"))
    ticket = world(actors(world).export("old"))
    world(actors(world).save("old", b"later"))
    new = world(actors(world).import_from(ContentRef(ticket.hash)))
    assert world(actors(world).load(new)) == b"state at export"
    assert world(actors(world).history(new))["actor_id"] == "old"
    assert world(actors(world).history("old")) is None
    assert world(actors(world).import_from(ticket, "named")) == "named"


def test_without_its_state_nothing_is_exported_or_imported(world: World) -> None:
    with pytest.raises(ContentMissing):
        world(actors(world).export("nobody"))
    ref = world(actors(world).save("old", b"state"))
    ticket = world(actors(world).export("old"))
    key = actors(world).store.content_key(ref)
    world.raw.set(key, b"x", px=1)
    world.until(lambda: not world.raw.exists(key))
    with pytest.raises(ContentMissing):
        world(actors(world).import_from(ticket, "new"))
    assert world(actors(world).store.list_labels("actor:new")) == []
