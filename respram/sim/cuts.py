"""A storm of nodes that are cut off from each other, and let go of whole collections that others add to.

Nothing ends by its deadline here and no node dies, so what has to be there in the end follows from the stamps alone: a
member whose last put is newer than the last time that it, or its whole collection, was let go of.
"""
# ruff: noqa: S311 (a simulation wants numbers that can be had again)

import struct
from dataclasses import dataclass, field
from random import Random

from respram.gossip.policy import Policy
from respram.record import HASH, SET, ZSET
from respram.sim.checker import Violation
from respram.sim.families import FAR_MS, KINDS, QUIET_MS, Key, Name, members_of
from respram.sim.network import CALM, Faults
from respram.sim.world import EPOCH_MS, Node, World, engine_of

KEYS: tuple[tuple[Key, int], ...] = tuple(((db, b"%d" % kind), kind) for kind in KINDS for db in (0, 3))
NAMES, STORM_MS, LAST_CUT_MS, LEVEL_STEP_MS = 5, 10_000, 2_000, 250

Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    puts: int
    let_go: int  # whole collections
    kept: int  # members that were put on one side of the last letting go, unseen by its writer
    level_ms: int


@dataclass(slots=True)
class Cuts:
    world: World
    last: dict[Name, tuple[Stamp, bytes | None]] = field(default_factory=dict)  # None: it was let go of
    cleared: dict[Key, Stamp] = field(default_factory=dict)
    own_cleared: dict[tuple[int, Key], Stamp] = field(default_factory=dict)  # by place, too
    stamps: dict[bytes, Stamp] = field(default_factory=dict)  # of puts, by value
    unseen: set[bytes] = field(default_factory=set)  # values that whoever let go of their collection did not have
    puts: int = 0
    let_go_of: int = 0

    # -- what clients do ------------------------------------------------------------------------------
    def put(self, node: Node, key: Key, kind: int, name: bytes) -> None:
        engine, now_ms = node.engine, self.world.time_of(node).wall_ms
        if engine.peek(*key, now_ms) is None:
            engine.found(*key, kind, EPOCH_MS + FAR_MS, False, now_ms)
        self.puts += 1
        value = {HASH: b"%d" % self.puts, SET: b"", ZSET: struct.pack("<d", self.puts)}[kind]
        engine.put_member(*key, name, value, None, now_ms)
        self._note(node, (*key, name), value)

    def take(self, node: Node, key: Key, name: bytes) -> None:
        if node.engine.let_go_member(*key, name, self.world.time_of(node).wall_ms):
            self._note(node, (*key, name), None)

    def empty(self, node: Node, key: Key) -> None:
        """SPOP or ZPOPMIN until nothing is left."""
        for one in members_of(node, key, self.world.time_of(node).wall_ms):
            self.take(node, key, one.name)

    def let_go(self, node: Node, key: Key) -> None:
        """DEL, UNLINK, or RENAME to another name."""
        now_ms = self.world.time_of(node).wall_ms
        there = {one.value for one in members_of(node, key, now_ms)}
        if not node.engine.let_go(*key, now_ms, b"del"):
            return
        self.let_go_of += 1
        stamp = self.own_cleared[node.place, key] = self._stamp(node)
        self.cleared[key] = max(stamp, self.cleared.get(key, stamp))
        self.unseen |= {value for name, (_, value) in self.last.items() if name[:2] == key and value} - there

    def _stamp(self, node: Node) -> Stamp:
        return node.engine.last_clock(), (node.place + 1) << 16 | node.boot

    def _note(self, node: Node, name: Name, value: bytes | None) -> None:
        stamp = self._stamp(node)
        if value:
            self.stamps[value] = stamp
        if name not in self.last or self.last[name][0] < stamp:
            self.last[name] = stamp, value

    # -- what is checked ------------------------------------------------------------------------------
    def check(self, node: Node) -> None:
        """No node shows what is older than its own letting go."""
        for key, kind in KEYS:
            cleared = self.own_cleared.get((node.place, key))
            if cleared is None or kind == SET:
                continue
            for one in members_of(node, key, self.world.time_of(node).wall_ms):
                if self.stamps[one.value] <= cleared:
                    raise Violation(f"node {node.place} at {self.world.now_ms} ms, key {key}: {one.name!r} came back")

    def expected(self) -> dict[Name, bytes]:
        return {
            name: value
            for name, (stamp, value) in self.last.items()
            if value is not None and stamp[0] > self.cleared.get(name[:2], (0, 0))[0]
        }

    def shown(self, node: Node) -> dict[Name, bytes]:
        wall_ms = self.world.time_of(node).wall_ms
        return {(*key, one.name): one.value for key, _ in KEYS for one in members_of(node, key, wall_ms)}

    def is_level(self) -> bool:
        return len(self.world.digests()) == 1 and all(self.shown(node) == self.expected() for node in self.world.nodes)

    def until_level(self) -> int:
        self.world.network.cut, self.world.network.faults = set(), CALM
        for node in self.world.nodes:
            node.stalled_until_ms = 0
        began_ms = self.world.now_ms
        while self.world.now_ms < began_ms + QUIET_MS:
            self.world.run_until(self.world.now_ms + LEVEL_STEP_MS)
            if self.is_level():
                return self.world.now_ms - began_ms
        expected = self.expected()
        wrong = [
            f"node {node.place} lacks {sorted(expected.items() - shown)} and has {sorted(shown - expected.items())}"
            for node in self.world.nodes
            if (shown := self.shown(node).items()) != expected.items()
        ]
        raise Violation("; ".join(wrong) or "digests are not equal")


def storm(seed: int, nodes: int = 3) -> Outcome:
    rng = Random(seed)
    world = World(seed, Policy(), make_engine=engine_of)
    cuts = Cuts(world)
    for place in range(nodes):
        world.add(is_root=place < 2, offset_ms=rng.randint(-700, 700))
    for node in world.nodes:
        world.start(node)
    world.network.faults = Faults((1, rng.choice([3, 30, 200])), rng.choice([0, 0.02, 0.1]), rng.choice([0, 0.05]), 0)
    world.run_until(2_000)
    end_ms, is_apart = world.now_ms + STORM_MS, False
    while world.now_ms < end_ms:
        world.run_until(world.now_ms + rng.randint(1, 80))
        if world.now_ms < end_ms - LAST_CUT_MS:
            _mishap(world, rng)
        elif not is_apart:  # at last each by itself
            is_apart, world.network.cut = True, {(a.place, b.place) for a in world.nodes for b in world.nodes}
        node = rng.choice(world.nodes)
        if node.stalled_until_ms <= world.now_ms:
            act(cuts, node, rng)
            world.touch(node)
            cuts.check(node)
    level_ms = cuts.until_level()
    kept = sum(value in cuts.unseen for value in cuts.expected().values())
    return Outcome(cuts.puts, cuts.let_go_of, kept, level_ms)


def act(cuts: Cuts, node: Node, rng: Random) -> None:
    (key, kind), name, draw = rng.choice(KEYS), b"m%d" % rng.randrange(NAMES), rng.random()
    if draw < 0.74:
        cuts.put(node, key, kind, name)
    elif draw < 0.84:
        cuts.take(node, key, name)
    elif draw < 0.87:
        cuts.empty(node, key)
    else:
        cuts.let_go(node, key)
        if draw > 0.96:
            cuts.put(node, key, kind, name)


def _mishap(world: World, rng: Random) -> None:
    draw = rng.random()
    if draw < 0.03:
        cut = {(one.place, other.place) for one in world.nodes for other in world.nodes if rng.random() < 0.4}
        world.network.cut = cut if rng.random() < 0.5 else cut | {(b, a) for a, b in cut}
    elif draw < 0.05:
        world.network.cut = set()
    elif draw < 0.06:
        world.stall(rng.choice(world.nodes), rng.randint(50, 3_000))
