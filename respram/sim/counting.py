"""Counters under trouble: after it, what is read everywhere is what was counted, no more and no less.

    python -m respram.sim.counting --seeds 100

Clients at all nodes count at the home of a counter, or, in `duels`, every node takes itself for the home of all. Nodes
are cut off, do not run for a while, lose frames, or die. The judge keeps what each start of a node has counted. Once
the trouble is over and all have heard of all, every node reads the sum of what the survivors counted, and of what
others had heard of a dead node when it died, at the least; and at the most, of all that was ever counted.
"""
# ruff: noqa: S311, T201 (a simulation wants numbers that can be had again, and a command prints)

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from random import Random

from respram.engine.pure.shares import unpack_counter
from respram.gossip.effects import Serve
from respram.gossip.forwarding import ANSWERED, Request
from respram.record import unpack
from respram.sim.checker import Violation
from respram.sim.mutants import mutated
from respram.sim.network import Faults
from respram.sim.world import Node, World
from respram.slots import pack_keys, unpack_keys
from respram.wire.messages import DONE, RUN

FRAMES, CUTS, PAUSES, KILLS = "frames", "cuts", "pauses", "kills"
TROUBLES = (FRAMES, CUTS, PAUSES, KILLS)
NODES, KEYS, TURNS = 3, 4, 120
READY_MS, LEVEL_MS = 60_000, 120_000  # virtual; far more than it takes
LIFE_MS = 3_600_000


@dataclass(slots=True)
class Counted:
    """Figures of one run, or of many."""

    asked: int = 0
    answered: int = 0
    counted: int = 0
    merged: int = 0  # versions that were joined
    troubles: int = 0
    lost: int = 0  # counted by a node that died before anybody heard of it

    def add(self, other: "Counted") -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Judge:
    world: World
    figures: Counted = field(default_factory=Counted)
    counted: dict[tuple[bytes, int], int] = field(default_factory=dict)  # by key and number of the node's start
    heard: dict[tuple[bytes, int], int] = field(default_factory=dict)  # of the dead, by others when they died
    asked: dict[tuple[int, int], tuple[bytes, int]] = field(default_factory=dict)  # by place and token

    def serve(self, node: Node, serve: Serve) -> None:
        [key] = unpack_keys(serve.forward.keys)
        now, step = self.world.time_of(node), int(serve.forward.commands)
        entry = node.engine.lookup(0, key, now.wall_ms)
        deadline_ms = now.wall_ms + LIFE_MS if entry is None else entry.deadline_ms
        total = node.engine.add(0, key, step, deadline_ms, False, now.wall_ms, b"incrby")
        name = (key, number_of(node))
        self.counted[name] = self.counted.get(name, 0) + step
        self.figures.counted += 1
        self.world.touch(node)
        reply = b"%d" % total
        served = node.replica.served(serve.who, serve.forward, DONE, reply, now)
        self.world.carry(node, served)

    def kill(self, node: Node) -> None:
        number = number_of(node)
        for key, its in [name for name in self.counted if name[1] == number]:
            shares = [self._share(other, key, number) for other in self.world.up if other is not node]
            self.heard[key, its] = max(shares, default=0)
        self.figures.merged += node.engine.counters()["counters_merged"]
        self.world.crash(node)

    def _share(self, node: Node, key: bytes, number: int) -> int:
        """The share of another start's counts that a node holds."""
        for record in unpack(node.engine.fetch(0, key, self.world.time_of(node).wall_ms)):
            counter = unpack_counter(record.value or b"", record.shares, record.stamp)
            return sum(share.sum for share in counter.shares if share.node == number) if counter is not None else 0
        return 0

    def is_level(self) -> bool:
        values = [
            [node.engine.fetch(0, key_of(number), self.world.time_of(node).wall_ms) for number in range(KEYS)]
            for node in self.world.up
        ]
        return all(one == values[0] for one in values)

    def check(self) -> None:
        for number in range(KEYS):
            key = key_of(number)
            most = sum(total for (of, _), total in self.counted.items() if of == key)
            least = most - sum(
                total - self.heard[of, its] for (of, its), total in self.counted.items() if (of, its) in self.heard
                and of == key
            )  # fmt: skip
            for node in self.world.up:
                entry = node.engine.lookup(0, key, self.world.time_of(node).wall_ms)
                value = 0 if entry is None else int(entry.value)
                if not least <= value <= most:
                    raise Violation(f"node {node.place}: {key.decode()} is {value}, and {least} to {most} was counted")
            self.figures.lost += most - value
        self.figures.merged += sum(node.engine.counters()["counters_merged"] for node in self.world.up)


def number_of(node: Node) -> int:
    return (node.place + 1) << 16 | node.boot


def key_of(number: int) -> bytes:
    return b"counter %d" % number


def play(seed: int, trouble: str, duels: bool = False, counters: bool = True) -> Counted:
    """Raises Violation. Without `counters` they are merged by stamp, as all other strings."""
    with mutated("everybody-home") if duels else nullcontext():
        return _play(seed, trouble, counters)


def _play(seed: int, trouble: str, counters: bool) -> Counted:
    rng = Random(seed)
    world = World(seed, counters=counters)
    judge = Judge(world)
    world.serve = judge.serve
    for _ in range(NODES):
        world.add(is_root=True, offset_ms=rng.randint(-300, 300))
    for node in world.nodes:
        world.start(node)
    _until(world, lambda: all(node.replica.core.state == "ready" for node in world.nodes), "become ready")
    world.run_until(world.now_ms + 1_000)
    world.network.faults = Faults((1, rng.choice([3, 20])), *((0.05, 0.05, 0.2) if trouble == FRAMES else (0, 0, 0)))
    for _ in range(TURNS):
        if rng.random() < 0.1:
            _disturb(world, judge, rng, trouble)
        for node in world.up:
            if node.stalled_until_ms <= world.now_ms and node.replica.core.state == "ready" and rng.random() < 0.7:
                _ask(world, judge, node, key_of(rng.randrange(KEYS)), rng.choice([1, 1, 1, 5, 100]))
        world.run_until(world.now_ms + rng.choice([1, 5, 40, 300]))
    world.network.cut.clear()
    for node in world.nodes:
        if not node.is_up:
            world.restart(node)
    world.run_until(world.now_ms + 6_000)
    _until(world, lambda: all(node.replica.core.state == "ready" for node in world.nodes), "become ready again")
    _until(world, judge.is_level, "become equal")
    judge.check()
    judge.figures.answered = sum(
        world.nodes[place].decided.get(token) == ANSWERED for place, token in judge.asked
    )  # fmt: skip
    return judge.figures


def _ask(world: World, judge: Judge, node: Node, key: bytes, step: int) -> None:
    request = Request(RUN, 0, 2, b"", b"", pack_keys([key]), b"", b"%d" % step)
    token, outputs = node.replica.forward(request, world.time_of(node))
    judge.figures.asked += 1
    judge.asked[node.place, token] = (key, step)
    world.carry(node, outputs)


def _disturb(world: World, judge: Judge, rng: Random, trouble: str) -> None:
    judge.figures.troubles += 1
    node = rng.choice(world.nodes)
    if trouble == CUTS:
        others = [other.place for other in world.nodes if other is not node]
        pairs = {(node.place, other) for other in others} | {(other, node.place) for other in others}
        world.network.cut = set() if world.network.cut else pairs
    elif trouble == PAUSES and node.stalled_until_ms <= world.now_ms:
        world.stall(node, rng.choice([100, 700, 3_000]))
    elif trouble == KILLS:
        if not node.is_up:
            world.restart(node)
        elif len([one for one in world.up if one.replica.core.state == "ready"]) == NODES:
            judge.kill(node)  # the others are ready: so somebody who holds the counters stays


def _until(world: World, condition: Callable[[], bool], what: str) -> None:
    end_ms = world.now_ms + max(READY_MS, LEVEL_MS)
    while not condition():
        if world.now_ms > end_ms:
            raise Violation(f"they do not {what}")
        world.run_until(world.now_ms + 100)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m respram.sim.counting", description="Count under trouble.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--trouble", choices=TROUBLES)
    asked = parser.parse_args()
    wrong = 0
    for trouble in [asked.trouble] if asked.trouble else TROUBLES:
        for duels in (False, True):
            figures = Counted()
            for seed in range(asked.seed, asked.seed + asked.seeds):
                try:
                    figures.add(play(seed, trouble, duels))
                except Violation as violation:
                    wrong += 1
                    print(f"seed {seed}, {trouble}{', duels' if duels else ''}: {violation}")
            print(f"{trouble}{', duels' if duels else ''}: {figures}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
