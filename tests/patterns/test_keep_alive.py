"""Links that hold, and each way in which one closes."""

import asyncio
import time
from itertools import pairwise
from typing import Any

from respram.patterns import KeepAlive
from tests.live import running
from tests.patterns.conftest import World
from tests.ports import reserve

TTL_S = 0.6
TRIES_MAX = 20


def test_a_peer_that_falls_silent_is_reported_once(world: World) -> None:
    ada = KeepAlive(world.client, world.name, "ada", "bob", TTL_S)
    bob = KeepAlive(world.another(), world.name, "bob", "ada", ttl_s=600)
    assert not world(bob.tick())
    assert world(ada.tick())
    closed: list[tuple[str, str]] = []
    beats: list[int] = []

    def let_bob_go() -> bool:
        """Before ada's second beat, with the first of which bob was seen."""
        beats.append(1)
        if len(beats) == 2:
            world.raw.pexpire(bob.key("bob"), 1)
        return False

    assert world(ada.monitor(lambda *why: closed.append(why), stop=let_bob_go)) == "timeout"
    assert closed == [("bob", "timeout")]


def test_two_that_beat_stay_linked(world: World) -> None:
    assert any(stayed_linked(world, f"{world.name}-{number}") for number in range(TRIES_MAX)), (
        "the machine stood still in each try"
    )


def stayed_linked(world: World, name: str) -> bool:
    """False where this machine stood still, and with it the beat: then the try says nothing."""
    sides = [KeepAlive(world.another(), name, me, peer, ttl_s=TTL_S) for me, peer in (("a", "b"), ("b", "a"))]
    reasons: list[str] = []
    moments: list[float] = []
    # b goes on for twice its TTL, then stops; a must not have worried before.
    reason, beats = world.together(
        lambda: sides[0].monitor(lambda peer, why: reasons.append(f"{peer} {why}")),
        lambda: beating(world, sides[1], 16, moments),
    )
    if max(later - earlier for earlier, later in pairwise(moments)) > TTL_S / 2:
        return False
    assert reason == "timeout" and beats == 16 and reasons == ["b timeout"]
    return True


def beating(world: World, side: KeepAlive, count: int, moments: list[float]) -> object:  # type: ignore[type-arg]
    """So many beats; `moments` are those before and after each."""
    if world.kind == "asyncio":

        async def beat() -> int:
            for done in range(count):
                moments.append(time.monotonic())
                alive = await side.tick()
                moments.append(time.monotonic())
                if not alive and done > count // 2:
                    return done
                await asyncio.sleep(0.08)
            return count

        return beat()
    for done in range(count):
        moments.append(time.monotonic())
        alive = side.tick()
        moments.append(time.monotonic())
        if not alive and done > count // 2:
            return done
        time.sleep(0.08)
    return count


def test_a_peer_that_never_came_and_a_node_that_is_away_are_told_apart(world: World) -> None:
    assert world(KeepAlive(world.client, world.name, "a", "b", ttl_s=0.05).monitor(patience_s=0.05)) == "absent"
    away = KeepAlive(world.another(port=reserve()), world.name, "a", "b", ttl_s=0.05)

    async def reconnect(peer: str, reason: str) -> None:
        raise ZeroDivisionError

    assert world(away.monitor()) == "store away"
    if world.kind == "asyncio":
        try:
            world(away.monitor(reconnect))
        except ZeroDivisionError:
            return
        raise AssertionError("the async callback was not awaited")


def test_a_wrong_password_is_no_dead_peer(world: World) -> None:
    with running("--requirepass", "correct horse battery") as node:
        link = KeepAlive(world.another(port=node.port, password="wrong"), world.name, "a", "b", ttl_s=600)
        closed: list[tuple[str, str]] = []
        assert world(link.monitor(lambda *why: closed.append(why))) == "auth_failure"
        assert closed == [("b", "auth_failure")]
        assert world(KeepAlive(world.another(port=node.port), world.name, "a", "b").monitor()) == "auth_failure"


def test_a_monitor_is_stopped_by_whoever_started_it(world: World) -> None:
    beats: list[int] = []
    closed: list[str] = []
    link = KeepAlive(world.client, world.name, "a", "b", ttl_s=0.4)

    def stop() -> bool:
        beats.append(1)
        return len(beats) > 3

    assert world(link.monitor(lambda peer, reason: closed.append(reason), stop=stop)) == "stopped"
    assert len(beats) == 4 and closed == []


def test_an_asyncio_monitor_is_a_task_beside_others(world: World) -> None:
    if world.kind != "asyncio":
        return
    link = KeepAlive(world.client, world.name, "a", "b", ttl_s=0.2)

    async def beside() -> Any:
        task = asyncio.ensure_future(link.monitor())
        other = KeepAlive(world.another(), world.name, "b", "a", ttl_s=60)
        while not await other.tick():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert world(beside())
