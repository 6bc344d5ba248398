"""A client increments a counter while nodes are restarted one after another: no acknowledged number may be lost.

The client adds one to a counter at any node that is up, preferably at one that has just come back, and waits (WAIT)
until all ready nodes have it; only then a number is *acknowledged*. When a node answers LOADING the client asks
another. So each decision must be based on the newest acknowledged record of its key, or on a newer one. The `Ledger`
checks this at the node that decides, wherever the client is. There are two ways:

    ask      a node that may not know asks for the truth (gossip/truths.py), and decides by itself
    forward  every decision is sent to the home of its key (gossip/forwarding.py), and made there
"""
# ruff: noqa: S311 (a simulation wants numbers that can be had again)

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations
from random import Random

from respram.gossip.effects import Serve
from respram.gossip.forwarding import ANSWERED, Request
from respram.gossip.homes import Map
from respram.gossip.policy import Policy
from respram.record import unpack
from respram.sim.checker import Checker, Name, Stamp, Violation, watched
from respram.sim.network import Faults
from respram.sim.world import Node, World, engine_of
from respram.slots import pack_keys, slot_of
from respram.wire.messages import DONE, RUN

ASK, FORWARD = "ask", "forward"
COUNTERS = 6
LIFE_MS = 600_000
START_MS = 60_000  # until all nodes are ready
PATIENCE_MS = 12_000  # of the client for one command; longer than a forward's own
ACKNOWLEDGED_MS = 5_000
STEP_MS = 2


@dataclass(slots=True)
class Ledger:
    """The acknowledged records, and any decision that was not based on them."""

    world: World
    newest: dict[Name, tuple[Stamp, int]] = field(default_factory=dict)  # stamp and deadline
    decisions: int = 0
    while_joining: int = 0

    def acknowledged(self, name: Name, stamp: Stamp, deadline_ms: int) -> None:
        if name not in self.newest or stamp > self.newest[name][0]:
            self.newest[name] = (stamp, deadline_ms)

    def decides(self, node: Node, name: Name) -> None:
        """Checks a node that is about to decide by its own record of a key."""
        wall_ms = self.world.time_of(node).wall_ms
        self.decisions += 1
        self.while_joining += node.replica.core.state == "joining"
        newest = self.newest.get(name)
        if newest is None or newest[1] <= wall_ms:
            return
        entry = node.engine.peek(*name, wall_ms)
        if entry is None or (entry.clock, entry.node) < newest[0]:
            held = "nothing" if entry is None else "an older record"
            raise Violation(
                f"node {node.place} at {self.world.now_ms} ms, key {name[1].decode()}: decided on {held}, in state "
                f"{node.replica.core.state}"
            )


@dataclass(frozen=True, slots=True)
class Counted:
    decisions: int
    while_joining: int  # at a node that had to ask for the current state
    refused: int  # LOADING, or no answer
    restarts: int


@dataclass(slots=True)
class _Client:
    world: World
    checker: Checker
    ledger: Ledger
    way: str

    def adds_one(self, node: Node, name: Name) -> bool:
        """Adds one at this node; False if the node refused, is gone, or did not answer in time."""
        return self._forwarded(node, name) if self.way == FORWARD else self._asked(node, name)

    def _asked(self, node: Node, name: Name) -> bool:
        world = self.world
        if node.replica.unsure():
            token, outputs = node.replica.ask(*name, world.time_of(node))
            world.carry(node, outputs)
            if not token or not self._until(node, lambda: token in node.learnt) or not node.learnt[token]:
                return False
        self._decide(node, name)
        return self._wait(node, name)

    def _forwarded(self, node: Node, name: Name) -> bool:
        return self.asks_home(node, name) and self._wait(node, name)

    def asks_home(self, node: Node, name: Name) -> bool:
        request = Request(RUN, name[0], 2, b"", b"", pack_keys([name[1]]), b"", b"*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n")
        token, outputs = node.replica.forward(request, self.world.time_of(node))
        self.world.carry(node, outputs)
        if not token or not self._until(node, lambda: token in node.decided):
            return False
        return node.decided[token] == ANSWERED

    def serve(self, node: Node, serve: Serve) -> None:
        """Runs a forwarded command at its home."""
        [key] = [key for key in self._keys if pack_keys([key]) == serve.forward.keys]
        name = (serve.forward.db, key)
        self._decide(node, name)
        now = self.world.time_of(node)
        served = node.replica.served(serve.who, serve.forward, DONE, b":1\r\n", now)
        self.world.carry(node, served)

    @property
    def _keys(self) -> list[bytes]:
        return [b"counter %d" % number for number in range(COUNTERS)]

    def _decide(self, node: Node, name: Name) -> None:
        self.ledger.decides(node, name)
        wall_ms = self.world.time_of(node).wall_ms
        entry = node.engine.lookup(*name, wall_ms)
        value = b"%d" % (int(entry.value) + 1 if entry is not None else 1)
        self.checker.write(node, name, value, wall_ms + LIFE_MS)

    def _wait(self, node: Node, name: Name) -> bool:
        """Waits (WAIT) for all ready nodes; the number is then acknowledged."""
        world = self.world
        packed = node.engine.fetch(*name, world.time_of(node).wall_ms)
        [record] = unpack(packed)
        number, outputs = node.replica.await_acks(world.time_of(node))
        world.carry(node, outputs)
        end_ms = world.now_ms + ACKNOWLEDGED_MS
        while world.now_ms < end_ms and node.is_up:
            holding = [
                one for one in world.up if one.replica.core.state == "ready" and one.stalled_until_ms <= world.now_ms
            ]
            if node.replica.holders(number) >= len([one for one in holding if one is not node]) and all(
                record.stamp <= _stamp_at(world, one, name) for one in holding
            ):
                self.ledger.acknowledged(name, record.stamp, record.deadline_ms)
                return True
            world.run_until(world.now_ms + STEP_MS)
        return False

    def _until(self, node: Node, done: Callable[[], bool]) -> bool:
        world, end_ms = self.world, self.world.now_ms + PATIENCE_MS
        while not done():
            if world.now_ms >= end_ms or not node.is_up:
                return False
            world.run_until(world.now_ms + STEP_MS)
        return True


def stopped(seed: int, way: str = FORWARD, for_ms: int = 12_000) -> Counted:
    """One node of three is stopped until others decide in its place; its first event then is a client's command."""
    rng = Random(seed)
    world, ledger, client = _started(seed, way, 3, rng, Policy())
    names = [(0, key) for key in client._keys]
    refused = sum(not client.adds_one(rng.choice(world.nodes), name) for name in names)
    sleeper = rng.choice(world.nodes)
    world.stall(sleeper, for_ms)
    others = [node for node in world.nodes if node is not sleeper]
    world.run_until(world.now_ms + for_ms // 2)
    refused += sum(not client.adds_one(rng.choice(others), name) for name in names)
    world.run_until(sleeper.stalled_until_ms - 1)
    world.now_ms = sleeper.stalled_until_ms
    world.carry(
        sleeper, sleeper.replica.stopped(for_ms, world.time_of(sleeper), local=way != FORWARD)
    )  # as the driver does before any command
    refused += sum(not client.adds_one(sleeper, name) for name in names)
    return Counted(ledger.decisions, ledger.while_joining, refused, 0)


def lagging(seed: int) -> Counted:
    """A home dies, and only one of the two others knows its last decisions: the client's node, which received them with
    the answers, and so can confirm for WAIT that they are held. The third node decides next.
    """
    rng = Random(seed)
    world, ledger, client = _started(seed, FORWARD, 3, rng, Policy())
    names = [(0, key) for key in client._keys]
    refused = sum(not client.adds_one(rng.choice(world.nodes), name) for name in names)
    ways = [(home, other, _inherited(names, home, other)) for home, other in permutations(world.nodes, 2)]
    home, other, mine = rng.choice([way for way in ways if way[2]])
    [witness] = [node for node in world.nodes if node not in (home, other)]
    world.network.cut = {(home.place, other.place)}  # pushes to it are lost
    for name in mine:
        if client.asks_home(witness, name):
            [record] = unpack(witness.engine.fetch(*name, world.time_of(witness).wall_ms))
            ledger.acknowledged(name, record.stamp, record.deadline_ms)
        else:
            refused += 1
    world.crash(home)
    world.network.cut = set()
    for name in mine:
        refused += not client.adds_one(other, name)
    return Counted(ledger.decisions, ledger.while_joining, refused, 0)


def _inherited(names: list[Name], home: Node, heir: Node) -> list[Name]:
    """The keys of one node whose home becomes another node when the first is gone."""
    now, then = home.replica.core.homes.map, Map()
    numbers = home.replica.core.me.number, heir.replica.core.me.number
    then.change({number: 1 for number in now.members if number != numbers[0]})
    return [name for name in names if (now.owner[slot := slot_of(name[1])], then.owner[slot]) == numbers]


def starved(seed: int) -> Counted:
    """A node returns while another gets no processor, for less time than it notices (`stopped_ms`) and for longer than
    slots settle. Its client asks it the moment it runs again.
    """
    rng = Random(seed)
    policy = Policy()
    world, ledger, client = _started(seed, FORWARD, 3, rng, policy)
    names = [(0, key) for key in client._keys]
    refused = 0
    newcomer, busy = rng.sample(world.nodes, 2)
    world.crash(newcomer)
    world.run_until(world.now_ms + 5_000)
    refused += sum(not client.adds_one(busy, name) for name in names)
    number = busy.replica.core.me.number
    were_its = [name for name in names if busy.replica.core.homes.home_of(slot_of(name[1])) == number]
    world.restart(newcomer)
    client.checker.forget(newcomer)
    while newcomer.replica.core.state != "ready":
        world.run_until(world.now_ms + 1)
    world.stall(busy, policy.stopped_ms - 100)  # it has not yet read that another node is ready
    homes = newcomer.replica.core.homes
    moved = [name for name in were_its if homes.is_here(slot_of(name[1]))][:1]
    world.run_until(world.now_ms + policy.settle_ms + 100)
    for name in moved:
        refused += not client.asks_home(newcomer, name)
        entry = newcomer.engine.peek(*name, world.time_of(newcomer).wall_ms)
        assert entry is not None
        ledger.acknowledged(name, (entry.clock, entry.node), entry.deadline_ms)
    world.now_ms = max(world.now_ms, busy.stalled_until_ms)
    refused += sum(not client.asks_home(busy, name) for name in moved)
    return Counted(ledger.decisions, ledger.while_joining, refused, 0)


def _stamp_at(world: World, node: Node, name: Name) -> Stamp:
    entry = node.engine.peek(*name, world.time_of(node).wall_ms)
    return (0, 0) if entry is None else (entry.clock, entry.node)


def count(seed: int, way: str = ASK, nodes: int = 3, turns: int = 120, policy: Policy | None = None) -> Counted:
    """Runs the scenario. Raises Violation when a decision was not based on the newest acknowledged record."""
    rng = Random(seed)
    world, ledger, client = _started(seed, way, nodes, rng, policy or Policy())
    checker = client.checker
    refused = restarts = 0
    returned = world.nodes[0]
    for _ in range(turns):
        if all(node.is_up and node.replica.core.state == "ready" for node in world.nodes) and rng.random() < 0.3:
            returned = rng.choice(world.nodes)
            world.crash(returned)
            world.run_until(world.now_ms + rng.choice([0, 5, 100, 700]))
            world.restart(returned)
            checker.forget(returned)
            restarts += 1
        node = returned if rng.random() < 0.5 else rng.choice(world.nodes)
        name = (0, b"counter %d" % rng.randrange(COUNTERS))
        refused += not client.adds_one(node, name)
        world.run_until(world.now_ms + rng.choice([0, 3, 40, 400]))
    return Counted(ledger.decisions, ledger.while_joining, refused, restarts)


def _started(seed: int, way: str, nodes: int, rng: Random, policy: Policy) -> tuple[World, Ledger, _Client]:
    world = World(seed, policy, make_engine=lambda place, made: watched(engine_of(place, made)))
    checker, ledger = Checker(world), Ledger(world)
    client = _Client(world, checker, ledger, way)
    world.after_event, world.serve = checker.after_event, client.serve
    for _ in range(nodes):
        world.add(is_root=True, offset_ms=rng.randint(-300, 300))
    for node in world.nodes:
        world.start(node)
    _until_ready(world)
    world.network.faults = Faults((1, rng.choice([3, 20])), 0, 0, 0)
    return world, ledger, client


def _until_ready(world: World) -> None:
    while not all(node.replica.core.state == "ready" for node in world.nodes):
        if world.now_ms > START_MS:
            raise Violation("they do not become ready")
        world.run_until(world.now_ms + 100)
