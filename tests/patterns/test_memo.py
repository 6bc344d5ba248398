"""Results remembered, and not."""

import pytest

from respram.patterns import ContentStore, Memo, NotJson
from tests.patterns.conftest import World


def test_a_result_is_computed_once_for_the_same_arguments(world: World) -> None:
    calls: list[tuple[object, ...]] = []

    def compute(*args: object) -> list[object]:
        calls.append(args)
        return list(args)

    memo = Memo(ContentStore(world.client, world.name, 600), "f", compute)
    for args in (("v", 42), ("v", 42), ("v", "42"), ("v",)):
        assert world(memo.call(*args)) == list(args)
    assert calls == [("v", 42), ("v", "42"), ("v",)]
    with pytest.raises(NotJson):
        world(memo.call(b"x"))


def test_content_that_is_gone_under_its_label_is_computed_anew(world: World) -> None:
    store = ContentStore(world.client, world.name, 600)
    memo = Memo(store, "f", lambda: "result")
    world(memo.call())
    (label,) = world(store.list_labels())
    world.raw.set(store.label_key(label), "0" * 64, px=600_000)
    assert world(memo.call()) == "result"


def test_a_failure_is_not_remembered(world: World) -> None:
    outcomes = iter([1 // 1, 0])
    memo = Memo(ContentStore(world.client, world.name, 600), "f", lambda n: 1 // (next(outcomes) - n))
    with pytest.raises(ZeroDivisionError):
        world(memo.call(1))
    assert world(memo.call(1)) == -1
