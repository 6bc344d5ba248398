"""The advisory lock: held, expired, overrun."""

import pytest

from respram.patterns import AdvisoryLock, ClaimLost, ResourceLocked, key
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
