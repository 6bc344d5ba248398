"""The advisory lock: held, expired, overrun."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from respram.patterns import (
    AdvisoryLock,
    Cache,
    CircuitBreaker,
    ClaimLost,
    CoordinationToken,
    Dedup,
    HeldLock,
    ResourceLocked,
    Retry,
    key,
)
from respram.patterns.advisory_lock import CLAIMS_MAX
from respram.patterns.steps import operation
from tests.patterns.conftest import World


def test_who_comes_second_is_told_who_holds_it_and_for_how_long(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=600)
    held = world(lock.acquire(world.name, "agent-a"))
    with pytest.raises(ResourceLocked, match="agent-a") as caught:
        world(AdvisoryLock(world.another()).acquire(world.name, "agent-b"))
    assert caught.value.locked_by == "agent-a" and 300 < caught.value.remaining_s <= 600
    world(lock.extend(held))
    world(lock.release(held))
    assert acquired(world, lock)


def test_the_numbers_of_later_holders_are_higher(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=600)
    first = world(lock.acquire(world.name, "agent-a"))
    number = world(lock.fence(first))
    world(lock.release(first))
    second = world(AdvisoryLock(world.another()).acquire(world.name, "agent-b"))
    assert world(lock.fence(second)) > number
    with pytest.raises(ClaimLost):
        world(lock.fence(first))


def acquired(world: World, lock: AdvisoryLock) -> bool:  # type: ignore[type-arg]
    try:
        world(lock.acquire(world.name, "agent-c"))
    except ResourceLocked:
        return False
    return True


def test_the_lock_of_one_who_died_expires(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=0.1)
    held = world(lock.acquire(world.name, "agent-a"))
    world.until(lambda: acquired(world, AdvisoryLock(world.client, ttl_s=600)))
    with pytest.raises(ClaimLost):
        world(lock.release(held))


def test_guarded_work_releases_at_its_end_also_when_it_fails(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=60)

    def work() -> str:
        assert world.raw.exists(f"lock:{world.name}")
        return "done"

    assert world(lock.guarded(world.name, "a", work)) == "done"
    world.until(lambda: not world.raw.exists(f"lock:{world.name}"))
    with pytest.raises(ZeroDivisionError):
        world(lock.guarded(world.name, "a", lambda: 1 // 0))
    world.until(lambda: not world.raw.exists(f"lock:{world.name}"))


def test_work_that_overran_its_lock_is_told_so(world: World) -> None:
    def overrun() -> None:
        world.raw.set(f"lock:{world.name}", b'{"holder":"b"}', px=600_000)

    with pytest.raises(ClaimLost):
        world(AdvisoryLock(world.client, ttl_s=600).guarded(world.name, "a", overrun))
    assert world.raw.pttl(f"lock:{world.name}") > 300_000


def test_what_the_function_raised_is_raised_though_another_took_the_lock(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=30)

    def fail() -> None:
        world.raw.set(key("lock", world.name), b"{}", px=600_000)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world(lock.guarded(world.name, "agent-a", fail))
    with pytest.raises(ClaimLost):
        world(
            lock.guarded(
                f"{world.name}:2", "agent-a", lambda: world.raw.set(key("lock", f"{world.name}:2"), b"{}", px=600_000)
            )
        )


def used(world: World, lock: AdvisoryLock, work: Callable[[HeldLock], None]) -> None:  # type: ignore[type-arg]
    """The lock as a context of the world's kind, with `work` as its block."""
    if world.kind == "asyncio":

        async def block() -> None:
            async with lock.holding(world.name, "agent-a") as held:
                work(held)

        world(block())
    else:
        with lock.holding(world.name, "agent-a") as held:
            work(held)


def test_a_context_acquires_and_releases_also_when_its_block_fails(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=60)
    seen: list[str] = []

    def work(held: HeldLock) -> None:
        seen.append(held.claim.holder)
        assert world.raw.exists(f"lock:{world.name}")

    used(world, lock, work)
    world.until(lambda: not world.raw.exists(f"lock:{world.name}"))
    with pytest.raises(ZeroDivisionError):
        used(world, lock, lambda held: seen.append(str(1 // 0)))
    world.until(lambda: not world.raw.exists(f"lock:{world.name}"))
    assert seen == ["agent-a"]
    world.raw.set(f"lock:{world.name}", b'{"holder":"b"}', px=60_000)
    with pytest.raises(ResourceLocked):
        used(world, lock, work)


def test_a_context_whose_time_was_up_says_so_unless_its_block_failed(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=60)

    def overtaken(held: HeldLock) -> None:
        world.raw.set(f"lock:{world.name}", b'{"holder":"b"}', px=60_000)

    with pytest.raises(ClaimLost):
        used(world, lock, overtaken)
    world.expire(f"lock:{world.name}")

    def failed(held: HeldLock) -> None:
        overtaken(held)
        raise KeyError

    with pytest.raises(KeyError):
        used(world, lock, failed)
    assert world.raw.exists(f"lock:{world.name}"), "another's claim is left alone"


def test_guarded_work_takes_keyword_arguments(world: World) -> None:
    assert world(AdvisoryLock(world.client, ttl_s=60).guarded(world.name, "a", int, "ff", base=16)) == 255


def test_a_lock_is_free_as_soon_as_it_was_released(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=60)
    seen: list[str] = []
    for _ in range(50):
        used(world, lock, lambda held: seen.append(held.claim.holder))
    assert len(seen) == 50


def test_whoever_meets_one_that_has_just_let_go_claims_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, refused = CoordinationToken.claim.function, [True, True]

    def refusing(self: Any, holder: str) -> Any:
        if refused:
            refused.pop()
            return None
        return (yield from claim(self, holder))

    monkeypatch.setattr(CoordinationToken, "claim", operation(refusing))
    assert world(AdvisoryLock(world.client, ttl_s=60).acquire(world.name, "a"))
    refused += [True] * CLAIMS_MAX
    with pytest.raises(ResourceLocked, match="just released it"):
        world(AdvisoryLock(world.client, ttl_s=60).acquire(f"{world.name}:2", "a"))


def test_a_task_that_is_cancelled_leaves_no_lock_behind(world: World) -> None:
    """Cancelled at many moments: before the claim is sent, while it is answered, in the block, while it is released."""
    if world.kind != "asyncio":
        pytest.skip("tasks are asyncio's")
    lock = AdvisoryLock(world.client, ttl_s=600)

    async def hold(name: str, again: int) -> None:
        for _ in range(again):
            async with lock.holding(name, "a"):
                await asyncio.sleep(0)

    async def every() -> list[int]:
        left = []
        for number in range(150):
            name = f"{world.name}:{number}"
            task = asyncio.ensure_future(hold(name, 3))
            for _ in range(number % 50):
                await asyncio.sleep(0)
            if number >= 50:
                await asyncio.sleep(number / 100_000)
            for _ in range(1 + number % 2):  # some are told twice
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.wait((task,))
            if await world.client.exists(f"lock:{name}"):
                left.append(number)
        return left

    assert world(every()) == []


def test_arguments_of_any_name_reach_the_function(world: World) -> None:
    def echo(**named: int) -> dict[str, int]:
        return named

    names = "self resource agent function name compute load event_id handler client args"
    named = {name: number for number, name in enumerate(names.split())}
    assert world(AdvisoryLock(world.client, 60).guarded(world.name, "a", echo, **named)) == named
    breaker = CircuitBreaker(world.client, world.name, 60)
    world(breaker.report_healthy())
    assert world(breaker.guard(echo, **named)) == named
    assert world(Retry(world.client).call(echo, **named)) == named
    assert world(Dedup(world.client, world.name).process("1", echo, **named)).result == named
    assert world(Cache(world.client, world.name, 60).through("t", echo, **named)).value == named
    assert world(Cache(world.client, world.name, 60).aside("a", echo, **named)).value == named
