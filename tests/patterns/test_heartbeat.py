"""Beats, losses, returns; by event and by polling."""

import pytest
import redis

from respram.patterns import Heartbeat, Presence
from tests.patterns.conftest import World


def test_who_beats_is_present_until_the_beats_stop(world: World) -> None:
    board = Presence(world.client, world.name)
    world(Heartbeat(world.client, "w:1", ttl_s=300, group=world.name).beat(b"load 3"))
    world(Heartbeat(world.client, "w:2", ttl_s=600, group=world.name).beat())
    assert world(board.detail("w:1")) == b"load 3"
    assert world(board.members()) == ["w:1", "w:2"]
    assert world(board.alive("w:1")) and world.raw.pttl(board.prefix + b"w%3A1") <= 300_000
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
    world(Heartbeat(client, "w", ttl_s=600, group=world.name).beat())
    poll_s = 0.7 if events else 0.05
    key, raw = board.prefix + b"w", redis.Redis(port=world.port, db=3 if events else 4)
    changes = world.take(board.changes(poll_s), 2, lambda: raw.pexpire(key, 20))
    raw.close()
    assert [(change.member, change.alive) for change in changes] == [("w", True), ("w", False)]
    assert changes[1].source == ("expired" if events else "poll")
    world(Heartbeat(client, "w", ttl_s=600, group=world.name).beat())
    assert world.take(board.changes(poll_s), 1)[0].alive


def test_switching_events_on_keeps_those_that_are_on(world: World) -> None:
    world.raw.config_set("notify-keyspace-events", "Kg")
    world(Presence(world.client).enable_events())
    flags = next(iter(world.raw.config_get("notify-keyspace-events").values()))
    assert set("KgEx") <= set(flags)


def test_a_member_of_no_group_beats_under_the_document_s_name_and_strangers_are_seen(world: World) -> None:
    board = Presence(world.another(db=5))
    raw = redis.Redis(port=world.port, db=5)
    member = world.name
    world(Heartbeat(world.another(db=5), member, ttl_s=60).beat(b"load"))
    assert raw.exists(f"heartbeat:{member}") and raw.get(f"heartbeat:{member}") == b"load"
    # A beat by another program, one of an earlier version, and one of a group that is none of this board's.
    for name in (f"{member}-plain", f"all:{member}-earlier", f"billing:{member}-grouped"):
        raw.set(f"heartbeat:{name}", b"x", px=60_000)
    names = [member, f"{member}-earlier", f"{member}-plain"]
    world.until(lambda: set(names) <= set(world(board.members())))
    assert f"{member}-grouped" not in world(board.members())
    assert all(world(board.alive(name)) for name in names) and world(board.detail(f"{member}-earlier")) == b"x"
    for name in (f"heartbeat:{member}-plain", f"heartbeat:all:{member}-earlier"):
        raw.pexpire(name, 1)
    world.until(lambda: [name for name in world(board.members()) if member in name] == [member])
    assert not world(board.alive(f"{member}-plain"))
    raw.close()


def test_the_walk_over_the_node_s_keys_takes_a_page_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client, raw = world.another(db=6), redis.Redis(port=world.port, db=6)
    for number in range(3000):
        raw.set(f"other:{world.name}:{number}", b"", px=60_000)
    raw.set(f"heartbeat:{world.name}:ada", b"", px=60_000)
    board = Presence(client, world.name)
    looks = 0
    while "ada" not in world(board.members()):
        looks += 1
        assert looks < 100
    world.until(lambda: (world(board.members()), board.cursor == 0)[1])
    assert board.strangers == {"ada"}
    world(Heartbeat(client, "ada", ttl_s=60, group=world.name).beat())
    assert world(board.members()) == ["ada"]
    raw.close()
