"""Two sides that meet by a derived key."""

import pytest

from respram.patterns import DeadDrop, TimedOut
from tests.live import SOON_S
from tests.patterns.conftest import World


def test_both_sides_meet_without_knowing_each_other(world: World) -> None:
    world(DeadDrop(world.client, world.name, "a", "b").leave(b"findings", ttl_s=600))
    assert world(DeadDrop(world.another(), world.name, "a", "b").look()) == b"findings"


def test_who_lacks_a_part_of_the_context_finds_nothing(world: World) -> None:
    world(DeadDrop(world.client, world.name, "a", "b").leave(b"findings", ttl_s=600))
    assert world(DeadDrop(world.client, world.name, "b", "a").look()) is None
    assert DeadDrop(world.client, "ab", "c", "d").key != DeadDrop(world.client, "a", "bc", "d").key


def test_a_waiting_side_gets_what_comes_later(world: World) -> None:
    drop = DeadDrop(world.client, world.name, "a", "b")
    other = DeadDrop(world.another(), world.name, "a", "b")
    late = world.later(0.05, lambda: other.leave(b"late", ttl_s=600))
    found, _ = world.together(lambda: drop.wait(SOON_S, 0.01), late)
    assert found == b"late"


def test_the_payload_is_gone_when_its_time_is_up(world: World) -> None:
    drop = DeadDrop(world.client, world.name, "a", "b")
    world(drop.leave(b"short", ttl_s=0.05))
    world.until(lambda: world(drop.look()) is None)
    with pytest.raises(TimedOut):
        world(drop.wait(0.02, 0.01))
