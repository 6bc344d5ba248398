"""The node's channels."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from respram.patterns import BadName, PubSub, Unreadable
from tests.live import SOON_S
from tests.patterns.conftest import World


def once_heard(world: World, topics: list[str], send: Callable[[], Any]) -> Callable[[], Any]:
    """For `together`: what is sent once somebody listens to all of them."""
    names = [f"topic:{topic}" for topic in topics]
    end = time.monotonic() + SOON_S

    def heard() -> bool:
        assert time.monotonic() < end, "nobody listens"
        return all(count for _, count in world.raw.pubsub_numsub(*names))

    async def begin() -> Any:
        while not heard():
            await asyncio.sleep(0.005)
        return await send()

    def start() -> Any:
        world.until(heard)
        return send()

    return begin if world.kind == "asyncio" else start


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

    send = once_heard(world, topics, send_both_async if world.kind == "asyncio" else send_both)
    count = world.together(lambda: ear.listen(dict.fromkeys(topics, note), SOON_S, count=2), send)[0]
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
    message, received = world.together(taken, once_heard(world, [world.name], send))
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
    outcome = world.together(
        lambda: PubSub(world.client).listen({world.name: print}, SOON_S, 1), once_heard(world, [world.name], send)
    )[0]
    assert isinstance(outcome, Unreadable)


def test_a_listener_says_when_it_listens_and_misses_nothing_from_then_on(world: World) -> None:
    heard: list[bytes] = []
    mouth = redis.Redis(port=world.port)

    def ready() -> None:
        mouth.publish(f"topic:{world.name}", b"\x00first")

    def note(topic: str, data: bytes, publisher: str) -> None:
        heard.append(data)

    assert world(PubSub(world.client).listen({world.name: note}, SOON_S, 1, ready)) == 1
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

    assert world(PubSub(clients[1]).listen({world.name: note}, SOON_S, 1, ready)) == 1
    assert heard == [b"across"] and counts == [0]
    mouth.close()
