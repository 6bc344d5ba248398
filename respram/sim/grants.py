"""Races for names and counters at all nodes at once: one client gets a name, and no number is given twice.

Homes promise this while the membership is stable, whatever the network does to frames. They also promise it while nodes
join and stop in order, if the network loses nothing (TCP does not). Clients at every node ask at the same time; the
judge checks at the nodes that decide. A lost frame is sent again but must not run again: a counter that is ahead of its
requests would show that.
"""
# ruff: noqa: S311 (a simulation wants numbers that can be had again)

from dataclasses import dataclass, field
from random import Random

from respram.gossip.effects import Serve
from respram.gossip.forwarding import ANSWERED, Request
from respram.gossip.policy import Policy
from respram.sim.checker import Checker, Name, Violation, watched
from respram.sim.network import Faults
from respram.sim.world import Node, World, engine_of
from respram.slots import pack_keys, unpack_keys
from respram.wire.messages import DONE, RUN

GRANT, COUNT = b"grant", b"count"
LIFE_MS = 3_600_000
COUNTERS = 4
NODES_MAX = 6  # running at a time: with more, a run takes longer and tests nothing more
READY_MS = 60_000
PATIENCE_MS = 4_000  # longer than a forward's own
STOPPING_MS = 400  # from giving up its slots to the end of a node that stops in order


@dataclass(slots=True)
class Judge:
    """Runs the commands that homes receive, and detects violations."""

    world: World
    checker: Checker
    granted: dict[Name, int] = field(default_factory=dict)  # name to the place of the node that granted it
    given: dict[Name, set[int]] = field(default_factory=dict)  # numbers that each counter gave out
    asked: dict[Name, int] = field(default_factory=dict)
    away: int = 0  # decisions for other nodes

    def serve(self, node: Node, serve: Serve) -> None:
        [key] = unpack_keys(serve.forward.keys)
        name = (serve.forward.db, key)
        now = self.world.time_of(node)
        self.away += serve.who != 0
        reply = self._grant(node, name) if serve.forward.commands == GRANT else self._count(node, name)
        served = node.replica.served(serve.who, serve.forward, DONE, reply, now)
        self.world.carry(node, served)

    def _grant(self, node: Node, name: Name) -> bytes:
        wall_ms = self.world.time_of(node).wall_ms
        if node.engine.peek(*name, wall_ms) is not None:
            return b"$-1\r\n"
        if name in self.granted:
            raise Violation(f"{self._where(node, name)}: granted again, after node {self.granted[name]} did")
        self.granted[name] = node.place
        self.checker.write(node, name, b"%d" % node.place, wall_ms + LIFE_MS)
        return b"+OK\r\n"

    def _count(self, node: Node, name: Name) -> bytes:
        wall_ms = self.world.time_of(node).wall_ms
        entry = node.engine.lookup(*name, wall_ms)
        number = int(entry.value) + 1 if entry is not None else 1
        given = self.given.setdefault(name, set())
        if number in given:
            raise Violation(f"{self._where(node, name)}: {number} was given twice")
        given.add(number)
        if len(given) > self.asked[name]:
            raise Violation(f"{self._where(node, name)}: counted more often than anybody asked")
        self.checker.write(node, name, b"%d" % number, wall_ms + LIFE_MS)
        return b":%d\r\n" % number

    def _where(self, node: Node, name: Name) -> str:
        return f"node {node.place} at {self.world.now_ms} ms, key {name[1].decode()}"


@dataclass(frozen=True, slots=True)
class Raced:
    asked: int
    answered: int
    away: int
    granted: int
    joined: int
    stopped: int


def race(seed: int, changes: bool, nodes: int = 3, turns: int = 60, policy: Policy | None = None) -> Raced:
    """Raises Violation. With `changes` nodes come and go in order; without, frames are lost, doubled and overtaken."""
    rng = Random(seed)
    if policy is None:  # in every second run records go before each answer
        policy = Policy(answer_pushed_bytes_min=0) if seed % 2 else Policy()
    world = World(seed, policy, make_engine=lambda place, made: watched(engine_of(place, made)), apart=seed % 2 == 1)
    checker = Checker(world)
    judge = Judge(world, checker)
    world.after_event, world.serve = checker.after_event, judge.serve
    for _ in range(nodes):
        world.add(is_root=True, offset_ms=rng.randint(-300, 300))
    for node in world.nodes:
        world.start(node)
    _until_ready(world)
    world.network.faults = Faults((1, rng.choice([3, 20])), *((0, 0, 0) if changes else (0.05, 0.05, 0.2)))
    asked = answered = joined = stopped = 0
    stopping: list[tuple[int, Node]] = []  # nodes that have given up their slots and will end at that time
    for turn in range(turns):
        if changes and rng.random() < 0.15 and len(world.up) < NODES_MAX:
            world.start(world.add())
            joined += 1
        elif changes and rng.random() < 0.2 and len(_ready(world)) > 2:
            leaving = rng.choice(_ready(world)[1:])
            world.carry(leaving, leaving.replica.hand_over(world.time_of(leaving)))
            stopping.append((world.now_ms + STOPPING_MS, leaving))
            stopped += 1
        elif rng.random() < 0.1:
            world.stall(rng.choice(world.up), rng.randint(5, 60))
        command, name = GRANT, b"name %d" % turn
        if rng.random() >= 0.5:
            command, name = COUNT, b"counter %d" % rng.randrange(COUNTERS)
        while stopping and stopping[0][0] <= world.now_ms:
            _stop(world, stopping.pop(0)[1])
        more, done = _everybody(world, judge, rng, command, (0, name))
        asked, answered = asked + more, answered + done
        world.run_until(world.now_ms + rng.choice([0, 3, 40, 300]))
    checker.check_all()
    return Raced(asked, answered, judge.away, len(judge.granted), joined, stopped)


def _everybody(world: World, judge: Judge, rng: Random, command: bytes, name: Name) -> tuple[int, int]:
    """A client at each running node asks, within a few milliseconds; returns how many asked and were answered."""
    waiting: list[tuple[Node, int]] = []
    askers = [node for node in world.up if node.stalled_until_ms <= world.now_ms]
    rng.shuffle(askers)
    for node in askers:
        if not node.is_up:
            continue
        judge.asked[name] = judge.asked.get(name, 0) + 1
        request = Request(RUN, name[0], 2, b"", b"", pack_keys([name[1]]), b"", command)
        token, outputs = node.replica.forward(request, world.time_of(node))
        world.carry(node, outputs)
        waiting.append((node, token))
        world.run_until(world.now_ms + rng.choice([0, 0, 1, 4]))
    end_ms = world.now_ms + PATIENCE_MS
    while world.now_ms < end_ms and any(token not in node.decided for node, token in waiting if node.is_up):
        world.run_until(world.now_ms + 2)
    for node, token in waiting:
        done = node.decided.get(token) == ANSWERED
        if done and node.is_up and node.engine.peek(*name, world.time_of(node).wall_ms) is None:
            raise Violation(f"node {node.place}: was answered, and cannot read it")
    return len(waiting), sum(node.decided.get(token) == ANSWERED for node, token in waiting)


def _stop(world: World, node: Node) -> None:
    world.carry(node, node.replica.leave(world.time_of(node)))
    world.run_until(world.now_ms + 30)
    world.crash(node)


def _ready(world: World) -> list[Node]:
    return [node for node in world.up if node.replica.core.me.ready]


def _until_ready(world: World) -> None:
    while not all(node.replica.core.state == "ready" for node in world.nodes):
        if world.now_ms > READY_MS:
            raise Violation("they do not become ready")
        world.run_until(world.now_ms + 100)
    world.run_until(world.now_ms + 1_000)
