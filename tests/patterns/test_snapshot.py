"""Moments and the latest."""

import pytest

from respram.patterns import Contended, ContentMissing, ContentStore, Snapshots, snapshot
from tests.patterns.conftest import World


def test_the_latest_and_every_moment_can_be_restored(world: World) -> None:
    snapshots = Snapshots(ContentStore(world.client, world.name, 600), "game")
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


def test_no_two_snapshots_have_one_moment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1_781_234_567_890_000_000)
    snapshots = Snapshots(ContentStore(world.client, world.name, 60), "game")
    taken = world.together(*(lambda level=level: snapshots.take({"level": level}) for level in range(5)))
    assert sorted(taken) == [1_781_234_567_890 + number for number in range(5)] == world(snapshots.moments())
    assert [world(snapshots.restore(moment)) for moment in taken] == [{"level": level} for level in range(5)]
    monkeypatch.setattr(snapshot, "CHANGE_TRIES_MAX", 5)
    with pytest.raises(Contended):
        world(snapshots.take({}))
