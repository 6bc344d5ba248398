"""Batches and their checkpoints."""

import pytest

from respram.patterns import Batch, Contended
from tests.patterns.conftest import World


def test_runs_go_on_where_the_last_one_stopped(world: World) -> None:
    done: list[int] = []
    items = list(range(25))

    def process(item: int) -> int:
        done.append(item)
        return item * 2

    progress = [world(Batch(world.another(), world.name, 10, ttl_s=5).run(items, process)) for _ in range(4)]
    assert [(one.processed, one.complete) for one in progress] == [(10, False), (20, False), (25, True), (25, True)]
    assert done == items and progress[1].results == [item * 2 for item in range(10, 20)]


def test_a_run_that_dies_has_checkpointed_what_it_did(world: World) -> None:
    batch = Batch(world.client, world.name, 10, ttl_s=5)
    with pytest.raises(ZeroDivisionError):
        world(batch.run([1, 2, 0, 4], lambda item: 1 // item))
    assert world(batch.processed()) == 2
    assert world(batch.run([1, 2, 1, 4], lambda item: 1 // item)).results == [1, 0]


def test_a_second_run_at_the_same_time_stops_the_slower_one(world: World) -> None:
    batch = Batch(world.client, world.name, 10, ttl_s=5)

    def process(item: int) -> None:
        world.raw.set(batch.key, b'{"processed":7}', px=5000)

    with pytest.raises(Contended):
        world(batch.run([1, 2, 3], process))
    assert world(batch.processed()) == 7
