"""Versions and the latest."""

import pytest

from respram.patterns import Contended, ContentMissing, ContentStore, Unreadable, Versions
from respram.patterns import versions as versions_module
from tests.patterns.conftest import World


def versions(world: World) -> Versions:  # type: ignore[type-arg]
    return Versions(ContentStore(world.another(), world.name, 300), "document")


def test_each_version_is_readable_and_latest_is_the_last(world: World) -> None:
    document = versions(world)
    assert [world(document.publish(text)) for text in (b"one", b"two", b"one")] == [1, 2, 3]
    assert world(document.read()) == b"one" and world(document.read(2)) == b"two"
    assert world(document.reference(1)) == world(document.reference(3))
    assert world(document.numbers()) == [1, 2, 3]


def test_a_version_that_never_was_is_missing(world: World) -> None:
    for number in (None, 4):
        with pytest.raises(ContentMissing):
            world(versions(world).read(number))


def test_publishers_at_once_get_different_numbers(world: World) -> None:
    texts = [str(at).encode() for at in range(5)]
    numbers = world.together(*(lambda text=text: versions(world).publish(text) for text in texts))
    assert sorted(numbers) == [1, 2, 3, 4, 5]
    assert sorted(world(versions(world).read(number)) for number in numbers) == texts


def test_a_race_that_is_always_lost_ends_with_a_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_module, "CHANGE_TRIES_MAX", 0)
    with pytest.raises(Contended):
        world(versions(world).publish(b"x"))
    assert world(versions(world).numbers()) == []


def test_publishing_costs_the_same_whatever_else_the_node_holds_and_no_number_is_used_twice(world: World) -> None:
    document = Versions(ContentStore(world.client, world.name, 30), "document")
    for number in (1, 2, 3):
        assert world(document.publish(b"version %d" % number)) == number
    label = document.store.label_key(document.label(3))
    world.expire(label)
    assert world(document.numbers()) == [1, 2]
    assert world(document.publish(b"version 4")) == 4
    assert world(document.numbers()) == [1, 2, 4] and world.raw.hget(document.key, "last") == b"4"


def test_what_an_earlier_version_published_is_found_by_its_labels(world: World) -> None:
    document = Versions(ContentStore(world.client, world.name, 30), "document")
    for number in (1, 7):
        world(document.store.store_at_label(document.label(number), b"version %d" % number))
    world(document.store.store_at_label(document.label(None), b"version 7"))
    assert world(document.numbers()) == [1, 7]
    assert world(document.publish(b"version 8")) == 8 and world(document.numbers()) == [1, 7, 8]
    world.raw.hset(document.key, "x", "")
    with pytest.raises(Unreadable):
        world(document.numbers())


def test_counting_goes_on_as_long_as_any_version_lives(world: World) -> None:
    long = Versions(ContentStore(world.client, world.name, 600), "document")
    assert world(long.publish(b"one")) == 1
    assert world(versions(world).publish(b"two")) == 2
    assert world.raw.pttl(long.key) > 500_000, "one that lives shorter takes nothing from the numbers"
    left_ms = world.raw.execute_command("HPTTL", long.key, "FIELDS", 2, "1", "2")
    assert [left > 500_000 for left in left_ms] == [True, False]
    store = ContentStore(world.client, world.name, 6000)
    assert world(store.touch_label(long.label(1)))
    world.expire(store.label_key(long.label(None)), store.label_key(long.label(2)))
    assert world.raw.pttl(long.key) > 5_000_000
    assert world.raw.execute_command("HPTTL", long.key, "FIELDS", 1, "1")[0] > 5_000_000
    assert world(long.publish(b"three")) == 3 and world(long.numbers()) == [1, 3]
    # A label that no version has prolongs nothing of another.
    world(store.store_at_label("document", b"plain"))
    assert world(store.touch_label("document")) and world(store.touch_label(long.label(3)))
