"""Large payloads behind short messages."""

import pytest

from respram.patterns import (
    ContentCorrupt,
    ContentMissing,
    ContentStore,
    ReferenceMessages,
    ReferenceReader,
    Unreadable,
)
from respram.patterns.content_store import reference
from tests.patterns.conftest import World

LARGE = bytes(range(256)) * 4096


def test_a_large_payload_travels_as_a_short_message(world: World) -> None:
    message = world(ReferenceMessages(ContentStore(world.client, world.name, 600)).wrap("process", LARGE))
    assert len(message) < 300
    assert world(ReferenceReader(world.another()).unwrap(message)) == ("process", LARGE)


def test_a_payload_that_is_gone_or_changed_and_a_strange_message_are_refused(world: World) -> None:
    store = ContentStore(world.client, world.name, 60)
    message = world(ReferenceMessages(store).wrap("process", LARGE))
    world.expire(store.content_key(reference(LARGE)))
    reader = ReferenceReader(world.client)
    with pytest.raises(ContentMissing):
        world(reader.unwrap(message))
    world.raw.set(store.content_key(reference(LARGE)), b"other", px=60_000)
    with pytest.raises(ContentCorrupt):
        world(reader.unwrap(message))
    for strange in (b"hello", b"{}"):
        with pytest.raises(Unreadable):
            world(reader.unwrap(strange))
