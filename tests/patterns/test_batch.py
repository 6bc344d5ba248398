"""Batches, their checkpoints and their results."""

from typing import Any

import pytest

from respram.patterns import Batch, Contended, ContentMissing, NotJson, TooMany, Unreadable, pieces
from tests.patterns.conftest import World


def test_runs_go_on_where_the_last_one_stopped(world: World) -> None:
    done: list[int] = []
    items = list(range(25))

    def process(item: int) -> int:
        done.append(item)
        return item * 2

    progress = [world(Batch(world.another(), world.name, 10, ttl_s=30).run(items, process)) for _ in range(4)]
    assert [(one.processed, one.complete) for one in progress] == [(10, False), (20, False), (25, True), (25, True)]
    assert done == items and progress[1].results == [item * 2 for item in range(10, 20)]
    assert progress[2].results == [40, 42, 44, 46, 48] and progress[3].results == []
    assert world(Batch(world.another(), world.name).results()) == [item * 2 for item in items]


def test_a_run_that_dies_has_checkpointed_its_results_and_the_next_one_returns_them_too(world: World) -> None:
    batch = Batch(world.client, world.name, 3, ttl_s=30)
    with pytest.raises(ZeroDivisionError):
        world(batch.run([1, 2, 0, 4], lambda item: 1 // item))
    assert world(batch.processed()) == 2 and world(batch.results()) == [1, 0]
    after = world(Batch(world.another(), world.name, 3, ttl_s=30).run([1, 2, 1, 4], lambda item: 1 // item))
    assert after.results == [1, 0, 1] and after.processed == 3
    assert world(batch.run([1, 2, 1, 4], lambda item: 1 // item)).results == [0]
    assert world(batch.results()) == [1, 0, 1, 0]


def test_a_smaller_batch_returns_what_a_larger_one_left(world: World) -> None:
    def process(item: int) -> float:
        return 1 / item

    with pytest.raises(ZeroDivisionError):
        world(Batch(world.client, world.name, 10, ttl_s=30).run([1, 2, 4, 0], process))
    small = Batch(world.client, world.name, 2, ttl_s=30)
    assert world(small.run([1, 2, 4, 8], process)).results == [1, 0.5, 0.25]
    assert world(small.run([1, 2, 4, 8], process)).results == [0.125]


def test_results_beyond_one_piece_are_kept_and_their_number_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 10)
    monkeypatch.setattr(pieces, "PIECES_MAX", 4)
    batch = Batch(world.client, world.name, 100, ttl_s=30)
    with pytest.raises(TooMany):
        world(batch.run(list(range(100, 200)), lambda item: item))
    assert world(batch.results()) == list(range(100, 108)), "two in each of four pieces"
    assert world.raw.get(pieces.piece_key(batch.key, 3)) == b"[106,107]"
    world.expire(pieces.piece_key(batch.key, 1))
    with pytest.raises(ContentMissing, match="piece 2"):
        world(batch.results())


def test_a_result_that_is_no_json_is_refused_and_the_item_is_not_done(world: World) -> None:
    batch = Batch(world.client, world.name, ttl_s=30)
    with pytest.raises(NotJson):
        world(batch.run(["a"], lambda item: b"bytes"))
    assert world(batch.processed()) == 0


def test_a_checkpoint_of_an_earlier_version_is_gone_on_with(world: World) -> None:
    batch = Batch(world.client, world.name, 2, ttl_s=30)
    world.raw.set(batch.key, b'{"processed":2}', px=30_000)
    assert world(batch.run([1, 2, 3, 4, 5], str)).results == ["3", "4"]
    with pytest.raises(ContentMissing, match="first 2"):
        world(batch.results())
    world.raw.set(batch.key, b'{"processed":2,"pieces":[true,"x"]}', px=30_000)
    with pytest.raises(Unreadable):
        world(batch.run([1, 2, 3], str))


def test_a_second_run_at_the_same_time_stops_the_slower_one(world: World) -> None:
    batch = Batch(world.client, world.name, 10, ttl_s=30)

    def process(item: int) -> Any:
        world.raw.set(batch.key, b'{"processed":7}', px=30_000)

    with pytest.raises(Contended):
        world(batch.run([1, 2, 3], process))
    assert world(batch.processed()) == 7
