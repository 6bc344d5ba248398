"""Beats, losses, returns; by event and by polling."""

import pytest
import redis

from respram.patterns import Heartbeat, Presence
from tests.patterns.conftest import World


def test_who_beats_is_present_until_the_beats_stop(world: World) -> None:
    board = Presence(world.client, world.name)
    world(Heartbeat(world.client, "w:1", ttl_s=4, group=world.name).beat(b"load 3"))
    world(Heartbeat(world.client, "w:2", ttl_s=5, group=world.name).beat())
    assert world(board.detail("w:1")) == b"load 3"
    assert world(board.members()) == ["w:1", "w:2"]
    assert world(board.alive("w:1")) and world.raw.pttl(board.prefix + b"w%3A1") <= 4000
    world.expire(board.prefix + b"w%3A1")
    assert not world(board.alive("w:1"))
    assert world(board.members()) == ["w:2"]


@pytest.mark.parametrize("events", [True, False], ids=["by event", "by polling"])
def test_a_loss_is_reported_once_and_a_return_is_too(world: World, events: bool) -> None:
    # Without events the poll must find it alone; the node's setting is one for all tests, so another database serves.
    client = world.another(db=3 if events else 4)
    board = Presence(client, world.name)
    world(board.enable_events())
    if not events:
        world.raw.config_set("notify-keyspace-events", "")
    world(Heartbeat(client, "w", ttl_s=5, group=world.name).beat())
    poll_s = 0.7 if events else 0.05
    key, raw = board.prefix + b"w", redis.Redis(port=world.port, db=3 if events else 4)
    changes = world.take(board.changes(poll_s), 2, lambda: raw.pexpire(key, 20))
    raw.close()
    assert [(change.member, change.alive) for change in changes] == [("w", True), ("w", False)]
    assert changes[1].source == ("expired" if events else "poll")
    world(Heartbeat(client, "w", ttl_s=5, group=world.name).beat())
    assert world.take(board.changes(poll_s), 1)[0].alive


def test_switching_events_on_keeps_those_that_are_on(world: World) -> None:
    world.raw.config_set("notify-keyspace-events", "Kg")
    world(Presence(world.client).enable_events())
    flags = next(iter(world.raw.config_get("notify-keyspace-events").values()))
    assert set("KgEx") <= set(flags)
