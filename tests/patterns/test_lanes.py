"""Lanes: numbers that their writer alone gives, what becomes of a lane that failed, and how many there may be."""

import os
import subprocess
import sys
from typing import Any

import pytest
import redis

from respram.patterns import Endpoints, Sealer, StoreRefused, TimedOut, drivers, lanes, live_stream
from respram.patterns.effects import Ask, Steps
from respram.patterns.fanout import ALL
from tests.live import SOON_S
from tests.patterns.conftest import World


def test_a_message_that_is_sent_twice_is_read_once_and_a_late_head_hides_nothing(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=600)
    reader = world(endpoints.register(world.name))
    world(endpoints.broadcast(b"one"))
    lane = lanes._lane(lanes._place(world.client, 600), 600)
    first = live_stream.HEAD.pack(lane.numbers[ALL], lane.life, 0)
    world(endpoints.broadcast(b"two"))
    # What a client library does after a connection broke, and the node read the old one's bytes last.
    lane.numbers[ALL] -= 1
    world(endpoints.broadcast(b"two"))
    head = live_stream.head_key(lanes.stream_name(lane.name, ALL))
    world.raw.set(head, first, ex=600)
    assert [world(reader.receive(SOON_S)) for _ in range(2)] == [b"one", b"two"]
    with pytest.raises(TimedOut):
        world(reader.receive(0.01))
    world(endpoints.broadcast(b"three"))
    assert live_stream.head_of(world.raw.get(head), "") == (lane.numbers[ALL], lane.life, 0)


def test_a_lane_whose_message_failed_is_not_used_again(world: World) -> None:
    place = lanes._place(world.client, 600)
    reader = world(Endpoints(world.another(), ttl_s=600).register(world.name))
    world(Endpoints(world.client, ttl_s=600).broadcast(b"one"))
    before = lanes._lane(place, 600)
    assert lanes._lane(place, 600) is before

    def failing(lane: lanes.Lane) -> Steps[None]:
        yield from lane.send([(ALL, b"two", None)], ("LPUSH", lanes.BASE, "x"))

    with pytest.raises(StoreRefused):
        drive(world, lanes.alone(world.client, 600, failing))
    world(Endpoints(world.client, ttl_s=600).broadcast(b"three"))
    assert lanes._lane(place, 600) is not before
    assert {world(reader.receive(SOON_S)) for _ in range(3)} == {b"one", b"two", b"three"}


def drive(world: World, steps: Steps[Any]) -> Any:
    return world((drivers.run_async if world.kind == "asyncio" else drivers.run)(world.client, steps))


def test_a_lane_that_was_silent_for_long_is_not_used_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = Endpoints(world.client, ttl_s=600)
    reader = world(endpoints.register(world.name))
    world(endpoints.broadcast(b"one"))
    lane = lanes._lane(lanes._place(world.client, 600), 600)
    lane.used_s -= lanes.IDLE_S
    world(endpoints.broadcast(b"two"))
    assert lanes._lane(lanes._place(world.client, 600), 600) is not lane
    assert {world(reader.receive(SOON_S)) for _ in range(2)} == {b"one", b"two"}
    assert lanes.IDLE_S <= lanes.LANE_EXTRA_S / 2


def test_a_lane_that_the_node_has_forgotten_is_entered_again(world: World) -> None:
    endpoints = Endpoints(world.client, ttl_s=600)
    world(endpoints.broadcast(b"one"))
    lane = lanes._lane(lanes._place(world.client, 600), 600)
    name = lane.name.encode()
    world.raw.execute_command("HPEXPIRE", lanes.BASE, 1, "FIELDS", 1, name)
    world.until(lambda: name not in world.raw.hkeys(lanes.BASE))
    world(endpoints.broadcast(b"two"))
    assert name in world.raw.hkeys(lanes.BASE) and lanes._lane(lanes._place(world.client, 600), 600) is lane


def test_a_long_message_ends_in_one_millisecond(world: World) -> None:
    reader = world(Endpoints(world.another(), 600).register(world.name))
    message = os.urandom(3 * live_stream.CHUNK_BYTES)
    world(Endpoints(world.client, 600).broadcast(message))
    assert world(reader.receive(SOON_S)) == message
    lane = lanes._lane(lanes._place(world.client, 600), 600)
    stream, end = lanes.stream_name(lane.name, ALL), lane.numbers[ALL]
    deadlines = {world.raw.pexpiretime(live_stream.chunk_key(stream, at)) for at in range(end - 3, end)}
    assert len(deadlines) == 1


def test_what_is_refused_within_a_multi_is_raised() -> None:
    steps = lanes.Lane(600).send([(ALL, bytes(2 * live_stream.CHUNK_BYTES), None)])
    asked = next(steps)
    assert isinstance(asked, Ask) and [each[0] for each in asked.commands[:5]] == ["MULTI", "SET", "SET", "SET", "EXEC"]
    refused = redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'.")
    with pytest.raises(StoreRefused):
        steps.send([b"OK", b"QUEUED", b"QUEUED", b"QUEUED", [b"OK", refused, b"OK"], [600_000]])


FORKS = """
import os
from respram.patterns import lanes
lanes._lanes["nowhere"] = lanes.Lane(1.0)
child = os.fork()
if child == 0:
    os._exit(len(lanes._lanes))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and len(lanes._lanes) == 1
"""


def test_a_child_process_begins_lanes_of_its_own() -> None:
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=SOON_S)


def test_a_process_has_no_more_lanes_than_it_may() -> None:
    made = [lanes._lane(("nowhere", number), 1.0) for number in range(lanes.LANES_MAX + 5)]
    assert len(lanes._lanes) <= lanes.LANES_MAX and len({lane.name for lane in made}) == len(made)
    lane = made[-1]
    lane.numbers.update((str(number), 0) for number in range(lanes.STREAMS_MAX))
    assert lanes._lane(("nowhere", lanes.LANES_MAX + 4), 1.0) is not lane
    for number in range(lanes.LANES_MAX + 5):
        lanes._lanes.pop(("nowhere", number), None)


def test_long_messages_to_many_are_sent_in_several_parts() -> None:
    copies: list[tuple[str, bytes, Sealer | None]] = [(str(at), bytes(3 << 20), None) for at in range(5)]
    assert [len(group) for group in lanes._groups(copies)] == [2, 2, 1]
    assert [len(group) for group in lanes._groups([("a", bytes(16 << 20), None)])] == [1]
