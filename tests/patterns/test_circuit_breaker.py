"""Calls that are made, and calls that are not."""

import pytest

from respram.patterns import CircuitBreaker, CircuitOpen, Heartbeat, Presence
from tests.patterns.conftest import World


def test_a_service_is_called_only_while_it_reports_that_it_is_well(world: World) -> None:
    calls: list[int] = []
    breaker = CircuitBreaker(world.client, world.name, ttl_s=600)
    with pytest.raises(CircuitOpen):
        world(breaker.guard(calls.append, 1))
    world(breaker.report_healthy())
    world(breaker.guard(calls.append, 2))
    assert world(breaker.closed()) and world.raw.pttl(breaker.key) <= 600_000
    world.expire(breaker.key)
    with pytest.raises(CircuitOpen):
        world(breaker.guard(calls.append, 3))
    assert calls == [2]


def test_the_result_and_the_exception_of_the_function_are_the_caller_s(world: World) -> None:
    breaker = CircuitBreaker(world.client, world.name)
    world(breaker.report_healthy())
    assert world(breaker.guard(int, "41")) == 41
    with pytest.raises(ValueError, match="invalid literal"):
        world(breaker.guard(int, "x"))


def test_the_breaker_can_watch_a_service_s_own_heartbeat(world: World) -> None:
    breaker = CircuitBreaker(world.client, world.name, heartbeat=True)
    with pytest.raises(CircuitOpen):
        world(breaker.guard(int, "1"))
    world(Heartbeat(world.another(), world.name, ttl_s=60).beat())
    assert world(breaker.guard(int, "7f", base=16)) == 127
    grouped = CircuitBreaker(world.client, "svc", heartbeat=True, group=world.name)
    assert not world(grouped.closed())
    world(grouped.report_healthy())
    assert world(grouped.closed()) and world(Presence(world.client, world.name).members()) == ["svc"]
