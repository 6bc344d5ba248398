"""Histories: the replies to clients at all nodes under one kind of fault, checked per key for linearizability.

    python -m respram.sim.histories --seeds 100

Homes promise that every history is linearizable while the members stay, whatever happens to frames, and while nodes
join and stop in order. When a node dies, stalls or is cut off, views differ for a time, and some histories are not
linearizable; they are counted. Writes that no other node had acknowledged when a node died are no special case: they
are counted, too. The check itself is in linear.py.
"""
# ruff: noqa: S311, T201 (a simulation wants numbers that can be had again, and a command prints)

import argparse
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from random import Random

from respram.gossip.effects import Serve
from respram.gossip.forwarding import ANSWERED, NOTHING, Request
from respram.gossip.policy import Policy
from respram.sim.linear import INCR, LOOK, SWAP, TAKE, Held, Operation, Undecided, apply, is_linear, longest_linear
from respram.sim.mutants import mutated
from respram.sim.network import Faults
from respram.sim.world import Node, World
from respram.slots import pack_keys, unpack_keys
from respram.wire.messages import DONE, LATER, RUN

FRAMES, ORDER, KILLS, PAUSES, CUTS = "frames", "order", "kills", "pauses", "cuts"
SHIFTS = "shifts"  # one node is cut off and decided without; then another is killed, and the third cut off
PAIRS = "pairs"  # two nodes die at once: a majority is left of five, and none of three
TROUBLES = (FRAMES, ORDER, KILLS, PAUSES, CUTS, SHIFTS)
STAYS = (FRAMES, ORDER)  # kinds of trouble under which every history must stay in order
NODES, CLIENTS, KEYS = 3, 6, 6
LENGTH_MS = 20_000
STEP_MS = 5
READY_MS = 60_000
LIFE_MS = 3_600_000
LIVES = (1, 1, 2, 3)
SHIFTED_MS = 9_000  # time to join a present node, and to decide with it
STOPPING_MS = 400  # from giving up its slots to the end of a node that stops in order


@dataclass(slots=True)
class Client:
    place: int  # of its node, while that is running
    next_ms: int = 0
    token: int = 0  # of the command that it waits for; 0: none
    boot: int = 0  # of the node that it asked
    key: bytes = b""
    operation: Operation = field(default_factory=lambda: Operation(0, None, INCR))


@dataclass(slots=True)
class Told:
    """Figures of one run, or of many."""

    histories: int = 0  # one for each key
    disordered: int = 0
    operations: int = 0
    unknown: int = 0  # operations without an outcome
    refused: int = 0  # operations that were not executed
    undecided: int = 0  # histories with too many operations without an outcome to decide
    late: int = 0  # operations after the first that is out of order, in its history
    troubles: int = 0

    def add(self, other: "Told") -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Play:
    world: World
    rng: Random
    trouble: str
    told: Told = field(default_factory=Told)
    histories: dict[bytes, list[Operation]] = field(default_factory=dict)
    due: list[tuple[int, str, Node]] = field(default_factory=list)  # actions that end a trouble
    next_ms: int = 0  # time of the next trouble
    values: int = 1_000_000
    operations: tuple[str, ...] = (INCR, INCR, TAKE, SWAP)

    # -- a home -------------------------------------------------------------------------------------
    def serve(self, node: Node, serve: Serve) -> None:
        """Serves as a server does: what was written leaves behind the answer."""
        now = self.world.time_of(node)
        if not node.replica.may_run(serve.who, serve.forward.number, now):
            later = node.replica.served(serve.who, serve.forward, LATER, b"", now)
            self.world.carry(node, later)
            return
        [key] = unpack_keys(serve.forward.keys)
        what, value = serve.forward.commands.split()
        entry = node.engine.lookup(0, key, now.wall_ms)
        held = int(entry.value) if entry is not None else None
        then, answer = apply(Operation(0, None, what.decode(), int(value)), held)
        if then is not None and then != held:
            life_ms = LIFE_MS * self.rng.choice(LIVES)  # some decisions prolong a life: they take two steps
            node.engine.store(0, key, b"%d" % then, now.wall_ms + life_ms, False, now.wall_ms, b"set")
        reply = b"" if answer is None else b"%d" % answer
        served = node.replica.served(serve.who, serve.forward, DONE, reply, now)
        self.world.carry(node, served)
        self.world.touch(node)

    # -- clients ------------------------------------------------------------------------------------
    def turn(self, client: Client) -> None:
        node = self.world.nodes[client.place]
        if client.token:
            self._look(client, node)
        elif self.world.now_ms >= client.next_ms:
            if _is_usable(self.world, node):
                self._ask(client, node)
            else:
                client.place = (client.place + 1) % len(self.world.nodes)

    def _look(self, client: Client, node: Node) -> None:
        if not node.is_up or node.boot != client.boot:
            self._conclude(client, known=False)
        elif client.token in node.decided and node.stalled_until_ms <= self.world.now_ms:
            outcome = node.decided[client.token]
            if outcome == NOTHING:
                self.told.refused += 1
                client.token = 0
                client.next_ms = self.world.now_ms + 100
            else:
                reply = node.replies[client.token]
                self._conclude(client, outcome == ANSWERED, int(reply) if reply else None)

    def _conclude(self, client: Client, known: bool, answer: Held = None) -> None:
        began, ended = client.operation.began, self.world.now_ms if known else None
        operation = Operation(began, ended, client.operation.what, client.operation.value, answer)
        self.histories.setdefault(client.key, []).append(operation)
        self.told.unknown += not known
        client.token = 0
        client.next_ms = self.world.now_ms + self.rng.choice([0, 5, 50, 400])

    def _ask(self, client: Client, node: Node) -> None:
        rng = self.rng
        self.values += 1
        client.key = b"key %d" % rng.randrange(KEYS)
        client.operation = Operation(
            self.world.now_ms, None, rng.choice(self.operations), self.values * 1_000
        )
        command = b"%b %d" % (client.operation.what.encode(), client.operation.value)
        request = Request(RUN, 0, 2, b"", b"", pack_keys([client.key]), b"", command)
        client.token, outputs = node.replica.forward(request, self.world.time_of(node))
        client.boot = node.boot
        self.world.carry(node, outputs)

    # -- trouble ------------------------------------------------------------------------------------
    def stir(self) -> None:
        world = self.world
        for due in [due for due in self.due if due[0] <= world.now_ms]:
            self.due.remove(due)
            self._end(due[1], due[2], world.now_ms - due[0])
        if self.due or world.now_ms < self.next_ms or self.trouble == FRAMES:
            return
        if not all(_is_usable(world, node) and _decides(node) for node in world.nodes):
            return
        self.next_ms = world.now_ms + self.rng.randint(1_500, 4_000)
        self.told.troubles += 1
        self._begin(self.rng.choice(world.nodes))

    def _begin(self, node: Node) -> None:
        world, for_ms = self.world, self.rng.choice([100, 700, 2_000, 5_000])
        if self.trouble == ORDER:
            world.carry(node, node.replica.hand_over(world.time_of(node)))
            self.due.append((world.now_ms + STOPPING_MS, "stop", node))
        elif self.trouble == KILLS:
            world.crash(node, silently=self.rng.random() < 0.3)
            self.due.append((world.now_ms + for_ms, "start", node))
        elif self.trouble == PAIRS:
            for one in (node, self.rng.choice([other for other in world.nodes if other is not node])):
                world.crash(one, silently=self.rng.random() < 0.3)
                self.due.append((world.now_ms + for_ms + self.rng.choice([0, 20, 700]), "start", one))
        elif self.trouble == PAUSES:
            world.stall(node, for_ms + 2 * STEP_MS)
            self.due.append((world.now_ms + for_ms, f"go on {for_ms}", node))
        elif self.trouble == SHIFTS:
            world.network.cut = self._around(node)
            self.due.append((world.now_ms + for_ms, "shift", node))
        else:
            assert self.trouble == CUTS
            pairs = self._around(node)
            world.network.cut |= (
                pairs if self.rng.random() < 0.7 else {pair for pair in pairs if pair[0] == node.place}
            )
            self.due.append((world.now_ms + for_ms, "heal", node))

    def _around(self, node: Node) -> set[tuple[int, int]]:
        others = [other.place for other in self.world.nodes if other is not node]
        return {(node.place, other) for other in others} | {(other, node.place) for other in others}

    def _end(self, what: str, node: Node, late_ms: int) -> None:
        world = self.world
        if what == "stop":
            world.carry(node, node.replica.leave(world.time_of(node)))
            self.due.append((world.now_ms + 30, "end", node))
        elif what == "end":
            world.crash(node)
            self.due.append((world.now_ms + self.rng.choice([50, 1_000]), "start", node))
        elif what == "start":
            world.restart(node)
        elif what == "shift":
            killed, cut_off = self.rng.sample([other for other in world.nodes if other is not node], 2)
            world.crash(killed)
            world.network.cut = self._around(cut_off)
            self.due.append((world.now_ms + 50, "start", killed))
            self.due.append((world.now_ms + SHIFTED_MS, "heal", node))
        elif what == "heal":
            world.network.cut.clear()
        else:
            for_ms = int(what.rpartition(" ")[2]) + late_ms
            if for_ms > world.policy.stopped_ms:  # a node notices such a stop before it does anything else
                world.carry(node, node.replica.stopped(for_ms, world.time_of(node)))
            node.stalled_until_ms = world.now_ms


def play(
    seed: int, trouble: str, length_ms: int = LENGTH_MS, majority: bool = False, nodes: int = NODES,
    duels: bool = False,
) -> tuple[dict[bytes, list[Operation]], Told]:  # fmt: skip
    """Runs one history. With `majority` a majority decides, and every history must be linearizable, whatever happens.

    With `duels` every node takes itself for the home of all slots, and reigns are short; the same must hold.
    """
    with mutated("everybody-home") if duels else nullcontext():
        return _play(seed, trouble, length_ms, majority, nodes, duels)


def _play(
    seed: int, trouble: str, length_ms: int, majority: bool, nodes: int, duels: bool
) -> tuple[dict[bytes, list[Operation]], Told]:
    rng = Random(seed)
    policy = Policy(enclave_size=nodes if majority else 0)
    if seed % 2:
        policy = replace(policy, answer_pushed_bytes_min=0)  # records go before each answer
    policy = replace(policy, reign_ms=60, reign_spare_ms=10) if duels else policy
    world = World(seed, policy, apart=seed % 2 == 1)
    acts = Play(world, rng, trouble)
    if majority:
        acts.operations = (INCR, TAKE, SWAP, LOOK, LOOK)  # reads are checked as well
    world.serve = acts.serve
    for _ in range(nodes):
        world.add(is_root=True, offset_ms=rng.randint(-300, 300))
    for node in world.nodes:
        world.start(node)
    while not all(node.replica.core.state == "ready" for node in world.nodes):
        assert world.now_ms < READY_MS, "they do not become ready"
        world.run_until(world.now_ms + 100)
    while not all(map(_decides, world.nodes)):
        assert world.now_ms < READY_MS, "they do not vote"
        world.run_until(world.now_ms + 100)
    world.run_until(world.now_ms + 1_000)
    world.network.faults = Faults((1, rng.choice([3, 20])), *((0.05, 0.05, 0.2) if trouble == FRAMES else (0, 0, 0)))
    clients = [Client(number % nodes) for number in range(CLIENTS)]
    end_ms = world.now_ms + length_ms
    while world.now_ms < end_ms:
        acts.stir()
        for client in clients:
            acts.turn(client)
        world.run_until(world.now_ms + STEP_MS)
    for client in clients:
        if client.token:
            acts._conclude(client, known=False)
    judge(acts.histories, acts.told)
    return acts.histories, acts.told


def judge(histories: dict[bytes, list[Operation]], told: Told) -> None:
    for history in histories.values():
        told.histories += 1
        told.operations += len(history)
        try:
            is_right = is_linear(history)
        except Undecided:
            told.undecided += 1
            continue
        if not is_right:
            told.disordered += 1
            told.late += sum(one.ended is not None for one in history) - longest_linear(history)


def _is_usable(world: World, node: Node) -> bool:
    return node.is_up and node.stalled_until_ms <= world.now_ms and node.replica.core.state == "ready"


def _decides(node: Node) -> bool:
    """Whether the node has a vote, when votes are counted."""
    core = node.replica.core
    return not core.policy.enclave_size or core.promises.votes


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m respram.sim.histories", description="Judge what clients are told under trouble."
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--trouble", choices=(*TROUBLES, PAIRS))
    parser.add_argument("--decide", choices=["home", "majority"], default="home")
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--duels", action="store_true", help="every node decides, with a majority")
    asked = parser.parse_args()
    majority = asked.decide == "majority"
    wrong = 0
    for trouble in [asked.trouble] if asked.trouble else TROUBLES:
        told = Told()
        for seed in range(asked.seed, asked.seed + asked.seeds):
            _, more = play(seed, trouble, majority=majority, nodes=asked.nodes, duels=asked.duels)
            told.add(more)
            if more.disordered and (majority or trouble in STAYS):
                wrong += 1
                print(f"seed {seed}, {trouble}: {more.disordered} histories are out of order")
        print(f"{trouble}: {told}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
