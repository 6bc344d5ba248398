"""Moments and the latest."""

import pytest

from respram.patterns import ContentMissing, ContentStore, Snapshots
from tests.patterns.conftest import World


def test_the_latest_and_every_moment_can_be_restored(world: World) -> None:
    snapshots = Snapshots(ContentStore(world.client, world.name, 5), "game")
    world(snapshots.take({"level": 1}, moment_ms=1000))
    now = world(snapshots.take({"level": 2}))
    assert world(snapshots.restore()) == {"level": 2} == world(snapshots.restore(now))
    assert world(snapshots.restore(1000)) == {"level": 1}
    assert world(snapshots.moments()) == [1000, now]


def test_a_snapshot_that_is_gone_is_missing(world: World) -> None:
    store = ContentStore(world.client, world.name, 60)
    snapshots = Snapshots(store)
    with pytest.raises(ContentMissing):
        world(snapshots.restore())
    world(snapshots.take({"level": 1}))
    world.expire(*world.raw.keys(f"*{world.name}*"))
    assert world(store.list_labels("")) == []
    assert world(snapshots.moments()) == []
    with pytest.raises(ContentMissing):
        world(snapshots.restore())
