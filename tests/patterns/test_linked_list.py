"""Lists of immutable nodes, rivals at the head, tails that expired."""

import pytest

from respram.patterns import Contended, ContentMissing, ContentStore, LinkedList, TooMany, linked_list
from tests.patterns.conftest import World


def linked(world: World, ttl_s: float = 600, **options: int) -> LinkedList:  # type: ignore[type-arg]
    return LinkedList(ContentStore(world.another(), world.name, ttl_s), "list", **options)


def test_values_come_from_the_head_on(world: World) -> None:
    assert world(linked(world).values()) == []
    for value in ("Node 3", {"n": 2}, "Node 1"):
        world(linked(world).push(value))
    assert world(linked(world).values()) == ["Node 1", {"n": 2}, "Node 3"]


def test_pushes_at_once_are_all_in_the_list(world: World) -> None:
    lists = [linked(world) for _ in range(5)]
    world.together(*(lambda each=each, at=at: each.push(at) for at, each in enumerate(lists)))
    assert sorted(world(lists[0].values())) == [0, 1, 2, 3, 4]


def test_keep_lets_the_whole_list_live_on(world: World) -> None:
    for value in (1, 2):
        world(linked(world, 300).push(value))
    assert world(linked(world, 600).keep()) == 2
    keys = world.raw.keys(f"*:{world.name}:*")
    assert len(keys) == 3 and all(world.raw.pttl(key) > 300_000 for key in keys)


def test_a_list_whose_tail_expired_does_not_look_shorter(world: World) -> None:
    tail = world(linked(world, 60).push("tail"))
    world(linked(world, 60).push("head"))
    world.expire(linked(world).store.content_key(tail))
    with pytest.raises(ContentMissing):
        world(linked(world).values())


def test_a_list_longer_than_its_bound_is_not_walked_for_ever(world: World) -> None:
    for value in (1, 2, 3):
        world(linked(world).push(value))
    with pytest.raises(TooMany):
        world(linked(world, nodes_max=2).values())


def test_a_race_that_is_always_lost_ends_with_a_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linked_list, "CHANGE_TRIES_MAX", 0)
    with pytest.raises(Contended):
        world(linked(world).push(1))
    assert world(linked(world).values()) == []
