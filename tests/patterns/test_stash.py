"""Payloads under keys that are made for them."""

import uuid

import pytest

from respram.patterns import BadName, ContentMissing, Stash
from tests.patterns.conftest import World


def test_a_stored_payload_is_found_by_the_key_that_was_made_for_it(world: World) -> None:
    stash = Stash(world.client, world.name, ttl_s=30)
    names = [world(stash.store(payload)) for payload in (b"one", b"two")]
    assert [world(Stash(world.another()).look(name)) for name in names] == [b"one", b"two"]
    for name in names:
        prefix, _, rest = name.rpartition(":")
        assert prefix == world.name and uuid.UUID(rest).version == 4
        assert 0 < world.raw.pttl(name) <= 30_000


def test_what_is_gone_and_what_is_no_key_are_said(world: World) -> None:
    stash = Stash(world.client, world.name, ttl_s=30)
    name = world(stash.store(b"one"))
    world.expire(name)
    with pytest.raises(ContentMissing):
        world(stash.look(name))
    with pytest.raises(BadName):
        world(stash.look(""))
