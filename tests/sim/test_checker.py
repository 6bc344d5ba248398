"""The checker sees what it is there to see: each kind of violation is made by hand once."""

import pytest

from respram.record import Record, pack
from respram.sim.checker import Checker, Violation, watched, witness_of
from respram.sim.world import EPOCH_MS, Node, World, engine_of

NAME = (0, b"k")


def stand() -> tuple[World, Checker, Node]:
    world = World(1, make_engine=lambda place, made: watched(engine_of(place, made)))
    checker = Checker(world)
    node = world.add()
    world.start(node)
    return world, checker, node


def merge(node: Node, value: bytes, clock_ms: int, deadline_ms: int) -> None:
    node.engine.merge(pack(Record(0, b"k", value, EPOCH_MS + clock_ms << 16, 9, EPOCH_MS + deadline_ms)), EPOCH_MS)


def test_what_is_right_passes() -> None:
    world, checker, node = stand()
    checker.write(node, NAME, b"a", EPOCH_MS + 5_000)
    checker.write(node, NAME, b"b", EPOCH_MS + 1_000)
    world.run_until(900)
    checker.check_all()
    world.run_until(6_000)
    checker.check_all()
    assert checker.checks == 4 and checker.shadowed == 1


def test_a_version_that_nobody_wrote() -> None:
    _, checker, node = stand()
    merge(node, b"foreign", 0, 5_000)
    with pytest.raises(Violation, match="nobody wrote"):
        checker.after_event(node)


def test_a_value_gone_early() -> None:
    world, checker, node = stand()
    checker.write(node, NAME, b"a", EPOCH_MS + 5_000)
    for _ in range(3):
        witness_of(node).engine.expire(EPOCH_MS + 9_000, 100)
    world.run_until(10)
    with pytest.raises(Violation, match="early"):
        checker.check_all()


def test_a_deadline_that_moved() -> None:
    _, checker, node = stand()
    checker.write(node, NAME, b"a", EPOCH_MS + 5_000)
    [row] = witness_of(node).engine.keyspace.tables[0].values()  # type: ignore[attr-defined]
    row.deadline_ms += 1
    with pytest.raises(Violation, match="nobody wrote"):
        checker.check_all()


def test_an_overwritten_version_that_came_back() -> None:
    world, checker, node = stand()
    checker.write(node, NAME, b"old", EPOCH_MS + 5_000)
    packed = node.engine.fetch(*NAME, EPOCH_MS)
    checker.write(node, NAME, b"new", EPOCH_MS + 100)
    table = witness_of(node).engine.keyspace  # type: ignore[attr-defined]
    [row] = table.tables[0].values()
    table.wheel.remove(row)
    table.remove(row)  # forgets the shadow
    world.run_until(200)
    witness_of(node).engine.merge(packed, EPOCH_MS + 200)
    with pytest.raises(Violation, match="came back"):
        checker.check_all()


def test_what_was_let_go_must_not_be_shown_again() -> None:
    world, checker, node = stand()
    checker.write(node, NAME, b"a", EPOCH_MS + 5_000)
    [packed] = node.engine.records(0)
    assert checker.let_go(node, NAME) and not checker.let_go(node, NAME)
    world.run_until(10)
    checker.check_all()
    assert checker.let_go_of == 1
    node.engine.engine.keyspace.stubs.clear()  # type: ignore[attr-defined]
    node.engine.engine.merge(packed, EPOCH_MS + 10)  # type: ignore[attr-defined]
    with pytest.raises(Violation, match="an overwritten version came back"):
        checker.check_all()
