"""Jobs step by step, with rivals and failures."""

import datetime
from functools import partial
from typing import Any

import pytest

from respram.patterns import ClaimLost, ResourceLocked, Workflow
from respram.patterns.workflow import Progress
from tests.patterns.conftest import World

STEPS = ("fetch", "process", "complete")


def flow(world: World) -> Workflow:  # type: ignore[type-arg]
    return Workflow(world.another(), world.name, STEPS, ttl_s=30)


def test_a_job_goes_through_its_steps_whoever_advances_it(world: World) -> None:
    seen: list[str] = []

    def execute(step: str, progress: Progress) -> str:
        seen.append(step)
        return f"{step} after {len(progress.completed)}"

    assert world(flow(world).progress("j")).status == "pending"
    for agent in ("a", "b", "c", "d"):
        world.until(partial(advanced, world, agent, execute))
    done = world(flow(world).progress("j"))
    assert seen == list(STEPS) and done.completed == STEPS
    assert (done.status, done.result, done.next_step) == ("completed", "complete after 2", None)


def advanced(world: World, agent: str, execute: Any) -> bool:
    try:
        world(flow(world).advance("j", agent, execute))
    except ResourceLocked:  # the lock before lives a millisecond longer
        return False
    return True


def test_a_step_that_fails_leaves_the_job_where_it_was(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        world(flow(world).advance("j", "a", lambda step, progress: 1 // 0))
    failed = world(flow(world).progress("j"))
    assert (failed.next_step, failed.current_step, failed.status) == ("fetch", "fetch", "in_progress")
    world.until(lambda: advanced(world, "a", lambda step, progress: 1))
    assert world(flow(world).progress("j")).next_step == "process"


def test_the_step_under_way_and_the_times_of_those_before_it_are_seen_from_outside(world: World) -> None:
    seen: list[bytes] = []

    def execute(step: str, progress: Progress) -> int:
        seen.append(world.raw.get(flow(world).key("j")))
        return 7

    assert world(flow(world).progress("j")).current_step is None
    world(flow(world).advance("j", "a", execute))
    assert b'"current_step":"fetch"' in seen[0] and b'"completed":[]' in seen[0]
    after = world(flow(world).progress("j"))
    assert (after.current_step, after.next_step, after.results) == ("fetch", "process", {"fetch": 7})
    assert list(after.completed_at) == ["fetch"]
    seconds, _ = world.raw.time()
    ended = datetime.datetime.fromisoformat(after.completed_at["fetch"])
    assert ended.tzinfo is not None and 0 <= seconds + 1 - ended.timestamp() < 60


def test_a_job_that_an_earlier_version_began_is_gone_on_with(world: World) -> None:
    world.raw.set(flow(world).key("j"), b'{"completed":["fetch"],"results":{"fetch":1}}', px=30_000)
    before = world(flow(world).progress("j"))
    assert (before.current_step, before.completed_at, before.next_step) == ("fetch", {}, "process")
    world(flow(world).advance("j", "a", lambda step, progress: 2))
    assert list(world(flow(world).progress("j")).completed_at) == ["process"]


def test_another_agent_is_kept_out_while_a_step_runs(world: World) -> None:
    def execute(step: str, progress: Progress) -> bool:
        return bool(world.raw.exists(f"lock:workflow:{world.name}:j"))

    assert world(flow(world).advance("j", "a", execute)).results == {"fetch": True}


def test_the_result_of_a_step_that_another_overtook_is_not_noted(world: World) -> None:
    theirs = b'{"completed":["fetch"],"results":{"fetch":"theirs"}}'
    with pytest.raises(ClaimLost):
        world(flow(world).advance("j", "a", lambda *_: world.raw.set(flow(world).key("j"), theirs, px=600_000)))
    assert world(flow(world).progress("j")).results == {"fetch": "theirs"}


def test_steps_follow_each_other_without_a_pause(world: World) -> None:
    long = Workflow(world.another(), world.name, tuple(str(number) for number in range(50)), ttl_s=60)
    for number in range(50):
        assert len(world(long.advance("j", "a", lambda step, progress: step)).completed) == number + 1


def test_names_with_colons_lock_no_other_job(world: World) -> None:
    def inner(step: str, progress: Progress) -> str:
        assert not world.raw.exists(f"lock:workflow:{world.name}:a:b")
        return "done"

    assert world(Workflow(world.another(), world.name, STEPS).advance("a:b", "x", inner)).results == {"fetch": "done"}
