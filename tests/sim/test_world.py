"""The world: the same events for the same seed, whatever the hash seed; crashes, restarts, stalls."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from respram.sim.world import EPOCH_MS, World
from tests import dear
from tests.engine.each import each_engine  # noqa: F401 (every test here runs on each engine)

ROOT = Path(__file__).parents[2]
FRESH = -1  # drawn in the test: workers must collect the same tests


def small(seed: int = 1, nodes: int = 3) -> World:
    world = World(seed)
    for place in range(nodes):
        world.add(is_root=place == 0)
    for node in world.nodes:
        world.start(node)
    world.run_until(8_000)
    return world


def test_nodes_meet_and_are_ready() -> None:
    world = small()
    assert [node.replica.core.state for node in world.nodes] == ["ready"] * 3
    assert [len(node.replica.core.neighbours.greeted()) for node in world.nodes] == [2, 2, 2]


@pytest.mark.parametrize("seed", dear.first(1, [FRESH, 11]))
def test_a_run_is_replayed_bit_by_bit_under_any_hash_seed(seed: int) -> None:
    seed = int.from_bytes(os.urandom(4), "big") if seed == FRESH else seed
    command = [sys.executable, "-m", "respram.sim", "--seed", str(seed), "--mode", "liveness", "--trace"]
    traces = []
    for hash_seed in ("1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=True)
        traces.append(done.stdout)
    assert traces[0].count(b"\n") > 1_000
    assert traces[0] == traces[1], " ".join(command)


def test_a_node_that_waits_is_called_when_it_asked_to_be() -> None:
    """Each call that came too early asked for another, and a run became slower by the second."""
    world = small()
    world.run_until(20_000)
    before = world.events
    world.run_until(40_000)
    assert 3 * 20 * 2 < world.events - before < 3 * 20 * 40


def test_a_restarted_node_comes_back_empty_and_fills_up() -> None:
    world = small()
    one = world.nodes[1]
    for number in range(50):
        one.engine.store(0, b"k%d" % number, b"v", EPOCH_MS + 90_000, False, EPOCH_MS + world.now_ms, b"set")
    world.touch(one)
    world.run_until(world.now_ms + 100)
    world.crash(one)
    world.run_until(world.now_ms + 2_000)
    world.restart(one)
    assert one.engine.count(0, EPOCH_MS + world.now_ms) == 0
    world.run_until(world.now_ms + 3_000)
    assert one.engine.count(0, EPOCH_MS + world.now_ms) == 50
    assert len(world.digests()) == 1


def test_a_stalled_node_gets_everything_later() -> None:
    world = small()
    one, other = world.nodes[1:]
    world.stall(one, 3_000)
    other.engine.store(0, b"k", b"v", EPOCH_MS + 90_000, False, EPOCH_MS + world.now_ms, b"set")
    world.touch(other)
    world.run_until(world.now_ms + 2_000)
    assert one.engine.count(0, EPOCH_MS + world.now_ms) == 0
    world.run_until(world.now_ms + 1_500)
    assert one.engine.count(0, EPOCH_MS + world.now_ms) == 1
