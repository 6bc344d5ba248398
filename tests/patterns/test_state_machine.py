"""Moves along the table, and jobs gone stale."""

import pytest
import redis

from respram.patterns import BadTransition, StateMachine
from respram.patterns.effects import Ask
from tests.patterns.conftest import World

MOVES = {"queued": ["in_progress"], "in_progress": ["complete", "failed"]}


def test_a_job_moves_along_its_table_and_each_move_begins_its_time_anew(world: World) -> None:
    jobs = StateMachine(world.client, MOVES, ttl_s=600)
    world(StateMachine(world.client, MOVES, ttl_s=300).begin(world.name, "queued"))
    world(jobs.move(world.name, "queued", "in_progress", {"by": "w"}))
    state = world(jobs.state(world.name))
    assert (state.name, state.detail) == ("in_progress", {"by": "w"}) and state.fresh_s > 300


def test_a_move_that_the_table_or_the_job_does_not_allow_changes_nothing(world: World) -> None:
    jobs = StateMachine(world.client, MOVES, ttl_s=600)
    world(jobs.begin(world.name, "queued"))
    for old, new in (("queued", "complete"), ("in_progress", "complete"), ("queued", "gone")):
        with pytest.raises(BadTransition):
            world(jobs.move(world.name, old, new))
    with pytest.raises(BadTransition, match="exists"):
        world(jobs.begin(world.name, "queued"))
    assert world(jobs.state(world.name)).name == "queued"


def test_a_job_whose_worker_died_goes_stale_and_cannot_be_moved(world: World) -> None:
    jobs = StateMachine(world.client, MOVES, ttl_s=0.05)
    world(jobs.begin(world.name, "in_progress"))
    world.until(lambda: world(jobs.state(world.name)) is None)
    with pytest.raises(BadTransition, match="stale"):
        world(jobs.move(world.name, "in_progress", "complete"))
    assert world(jobs.state(world.name)) is None


def test_one_of_two_workers_that_take_the_same_job_at_once_gets_it(world: World) -> None:
    jobs = [StateMachine(world.another(), MOVES, ttl_s=600) for _ in range(6)]
    world(jobs[0].begin(world.name, "queued"))
    outcomes = world.together(*(lambda each=each: each.move(world.name, "queued", "in_progress") for each in jobs))
    assert sum(outcome is None for outcome in outcomes) == 1
    assert all(outcome is None or isinstance(outcome, BadTransition) for outcome in outcomes)


def test_a_beginning_that_was_sent_twice_is_recognised() -> None:
    """The reply to the first SET was lost: the second is refused, and what lies there is our own."""
    beginning = StateMachine(redis.Redis(), MOVES).begin.steps("job", "queued")
    asked = next(beginning)
    assert isinstance(asked, Ask)
    with pytest.raises(StopIteration):
        beginning.send([None, asked.commands[0][2]])
