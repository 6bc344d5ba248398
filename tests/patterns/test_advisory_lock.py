"""The advisory lock: held, expired, overrun."""

from collections.abc import Callable

import pytest

from respram.patterns import AdvisoryLock, ClaimLost, HeldLock, ResourceLocked, key
from tests.patterns.conftest import World


def test_who_comes_second_is_told_who_holds_it_and_for_how_long(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=5)
    held = world(lock.acquire(world.name, "agent-a"))
    with pytest.raises(ResourceLocked, match="agent-a") as caught:
        world(AdvisoryLock(world.another()).acquire(world.name, "agent-b"))
    assert caught.value.locked_by == "agent-a" and 4 < caught.value.remaining_s <= 5
    world(lock.extend(held))
    world(lock.release(held))
    world.until(lambda: acquired(world, lock))


def acquired(world: World, lock: AdvisoryLock) -> bool:  # type: ignore[type-arg]
    try:
        world(lock.acquire(world.name, "agent-c"))
    except ResourceLocked:
        return False
    return True


def test_the_lock_of_one_who_died_expires(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=0.1)
    held = world(lock.acquire(world.name, "agent-a"))
    world.until(lambda: acquired(world, AdvisoryLock(world.client, ttl_s=5)))
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
        world.raw.set(f"lock:{world.name}", b'{"holder":"b"}', px=5000)

    with pytest.raises(ClaimLost):
        world(AdvisoryLock(world.client, ttl_s=5).guarded(world.name, "a", overrun))
    assert world.raw.pttl(f"lock:{world.name}") > 4000


def test_what_the_function_raised_is_raised_though_another_took_the_lock(world: World) -> None:
    lock = AdvisoryLock(world.client, ttl_s=30)

    def fail() -> None:
        world.raw.set(key("lock", world.name), b"{}", px=5000)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world(lock.guarded(world.name, "agent-a", fail))
    with pytest.raises(ClaimLost):
        world(
            lock.guarded(
                f"{world.name}:2", "agent-a", lambda: world.raw.set(key("lock", f"{world.name}:2"), b"{}", px=5000)
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
