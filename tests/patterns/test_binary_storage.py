"""Bytes by hash, plain and sealed."""

import hashlib
import json

import pytest

from respram.patterns import BinaryStorage, ContentMissing, ContentStore, Sealer, Tampered, WrongKey, new_secret
from tests.patterns.conftest import World

READING = json.dumps({"temp": 25.3, "humidity": 60}).encode()


def storage(world: World, sealer: Sealer | None = None, ttl_s: float = 600) -> BinaryStorage:  # type: ignore[type-arg]
    return BinaryStorage(ContentStore(world.another(), world.name, ttl_s), sealer)


def test_bytes_are_found_by_their_hash(world: World) -> None:
    address = world(storage(world).store(READING))
    assert address.hash == hashlib.sha256(READING).hexdigest()
    assert world(storage(world).retrieve(address)) == READING


def test_sealed_bytes_show_neither_themselves_nor_their_hash(world: World) -> None:
    sealer = Sealer(new_secret())
    address = world(storage(world, sealer).store(READING))
    assert address.hash != hashlib.sha256(READING).hexdigest()
    assert world(storage(world, sealer).store(READING)) == address
    assert world(storage(world, sealer).retrieve(address)) == READING
    assert 300_000 < world.raw.pttl(storage(world).contents.content_key(address)) <= 600_000
    assert b"temp" not in world.raw.get(storage(world).contents.content_key(address))
    with pytest.raises(WrongKey):
        world(storage(world, Sealer(new_secret())).retrieve(address))


def test_sealed_bytes_that_were_moved_changed_or_expired_are_refused(world: World) -> None:
    sealer = Sealer(new_secret())
    one = world(storage(world, sealer, 60).store(b"one"))
    two = world(storage(world, sealer, 60).store(b"two"))
    world.expire(storage(world).contents.content_key(two))
    with pytest.raises(ContentMissing):
        world(storage(world, sealer).retrieve(two))
    held = world.raw.get(storage(world).contents.content_key(one))
    world.raw.set(storage(world).contents.content_key(two), held, px=600_000)
    with pytest.raises(Tampered):
        world(storage(world, sealer).retrieve(two))
