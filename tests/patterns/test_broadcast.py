"""Broadcasts and their rollback."""

from respram.patterns import Broadcast
from tests.patterns.conftest import World


def test_all_see_the_announcement_until_it_rolls_back_by_itself(world: World) -> None:
    flags = Broadcast(world.client, world.name, {"new": False}, ttl_s=600)
    other = Broadcast(world.another(), world.name, {"new": False})
    assert world(other.current()) == {"new": False}
    world(flags.announce({"new": True}))
    assert world(other.current()) == {"new": True}
    assert world.raw.pttl(f"broadcast:{world.name}") <= 600_000
    world.expire(f"broadcast:{world.name}")
    assert world(other.current()) == {"new": False}


def test_a_follower_is_handed_each_change_and_the_rollback(world: World) -> None:
    world(Broadcast(world.client, world.name, ttl_s=600).announce("on"))
    follower = Broadcast(world.another(), world.name, "off")
    changes = world.take(follower.changes(0.01), 2, lambda: world.expire(f"broadcast:{world.name}"))
    assert changes == ["on", "off"]
