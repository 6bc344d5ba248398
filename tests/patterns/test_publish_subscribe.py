"""The node's channels."""

from typing import Any

import pytest
import redis

from respram.patterns import BadName, PubSub, Unreadable
from tests.patterns.conftest import World


def test_handlers_hear_topic_data_and_publisher(world: World) -> None:
    heard: list[tuple[str, bytes, str]] = []
    topics = [f"{world.name}:{name}" for name in "ab"]
    ear, mouth = PubSub(world.client), PubSub(world.another(), "station-4")

    def send_both() -> None:
        world.raw.publish(f"topic:{topics[0]}", b"\x09station-4\xff1")
        world.raw.publish(f"topic:{topics[1]}", b"\x00")

    async def send_both_async() -> None:
        send_both()

    def note(topic: str, data: bytes, publisher: str) -> None:
        heard.append((topic, data, publisher))

    send = world.later(0.1, send_both_async if world.kind == "asyncio" else send_both)
    count = world.together(lambda: ear.listen(dict.fromkeys(topics, note), 5, count=2), send)[0]
    assert count == 2 and heard == [(topics[0], b"\xff1", "station-4"), (topics[1], b"", "")]
    assert world(mouth.publish(topics[0], b"nobody")) == 0


def test_messages_are_handed_out_as_they_come(world: World) -> None:
    mouth = PubSub(world.another(), "me")
    items = PubSub(world.client).messages(world.name)

    def send() -> object:
        return mouth.publish(world.name, b"hello")

    async def first() -> object:
        return await anext(items)

    taken = first if world.kind == "asyncio" else lambda: next(items)
    message, received = world.together(taken, world.later(0.1, send))
    assert (message.topic, message.data, message.publisher) == (world.name, b"hello", "me")
    assert received == 1
    world(items.aclose()) if world.kind == "asyncio" else items.close()


def test_listening_ends_in_time(world: World) -> None:
    assert world(PubSub(world.client).listen({world.name: print}, 0.05)) == 0


def test_strange_messages_and_endless_names_are_refused(world: World) -> None:
    with pytest.raises(BadName):
        world(PubSub(world.client, "x" * 256).publish(world.name, b""))

    async def strange() -> None:
        world.raw.publish(f"topic:{world.name}", b"\x09short")

    send = strange if world.kind == "asyncio" else lambda: world.raw.publish(f"topic:{world.name}", b"")
    outcome = world.together(lambda: PubSub(world.client).listen({world.name: print}, 5, 1), world.later(0.1, send))[0]
    assert isinstance(outcome, Unreadable)


def test_a_listener_says_when_it_listens_and_misses_nothing_from_then_on(world: World) -> None:
    heard: list[bytes] = []
    mouth = redis.Redis(port=world.port)

    def ready() -> None:
        mouth.publish(f"topic:{world.name}", b"\x00first")

    def note(topic: str, data: bytes, publisher: str) -> None:
        heard.append(data)

    assert world(PubSub(world.client).listen({world.name: note}, 5, 1, ready)) == 1
    assert heard == [b"first"]
    mouth.close()


def test_a_listener_on_another_node_hears_though_the_count_is_0(apart: tuple[World, list[Any]]) -> None:
    world, clients = apart
    heard: list[bytes] = []
    counts: list[int] = []
    mouth = redis.Redis(port=world.port)

    def note(topic: str, data: bytes, publisher: str) -> None:
        heard.append(data)

    def ready() -> None:
        counts.append(int(str(mouth.publish(f"topic:{world.name}", b"\x00across"))))

    assert world(PubSub(clients[1]).listen({world.name: note}, 5, 1, ready)) == 1
    assert heard == [b"across"] and counts == [0]
    mouth.close()
