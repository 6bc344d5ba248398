"""The latest word, and how much was missed."""

import pytest

from respram.patterns import OverwritePublisher, OverwriteSubscriber, Unreadable
from tests.patterns.conftest import World


def test_a_subscriber_gets_the_latest_once_and_learns_what_it_missed(world: World) -> None:
    publisher = OverwritePublisher(world.client, world.name, ttl_s=600)
    subscriber = OverwriteSubscriber(world.another(), world.name)
    assert world(subscriber.poll()) is None
    world(publisher.publish(b"1"))
    update = world(subscriber.poll())
    assert (update.payload, update.missed) == (b"1", 0)
    assert world(subscriber.poll()) is None
    for payload in (b"2", b"3", b"4"):
        world(publisher.publish(payload))
    update = world(subscriber.poll())
    assert (update.payload, update.missed) == (b"4", 2)


def test_a_publisher_that_begins_anew_is_heard(world: World) -> None:
    subscriber = OverwriteSubscriber(world.client, world.name)
    for _ in range(2):
        world(OverwritePublisher(world.client, world.name, ttl_s=600).publish(b"same"))
        assert world(subscriber.poll()).payload == b"same"


def test_the_topic_is_gone_when_its_publisher_stops(world: World) -> None:
    world(OverwritePublisher(world.client, world.name, ttl_s=0.05).publish(b"1"))
    world.until(lambda: not world.raw.exists(f"topic:{world.name}"))
    assert world(OverwriteSubscriber(world.client, world.name).poll()) is None


def test_updates_hands_out_each_that_is_found(world: World) -> None:
    world(OverwritePublisher(world.client, world.name, ttl_s=600).publish(b"1"))
    subscriber = OverwriteSubscriber(world.client, world.name)
    behind = b"12345678" + (9).to_bytes(8, "big") + b"9"
    updates = world.take(subscriber.updates(0.01), 2, lambda: world.raw.set(f"topic:{world.name}", behind, px=600_000))
    assert [update.payload for update in updates] == [b"1", b"9"]


def test_what_others_wrote_there_is_refused(world: World) -> None:
    world.raw.set(f"topic:{world.name}", b"x", px=600_000)
    with pytest.raises(Unreadable):
        world(OverwriteSubscriber(world.client, world.name).poll())
