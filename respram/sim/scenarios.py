"""The scenarios: safety under any faults, liveness once they end, one write among many nodes, a healed partition.

A scenario is a function of its arguments alone and returns figures. A failed safety or liveness run raises Violation.
"""
# ruff: noqa: S311 (a simulation wants numbers that can be had again)

from dataclasses import dataclass
from random import Random

from respram.gossip.members import Member
from respram.gossip.policy import Policy
from respram.record import Record, pack, unpack
from respram.sim.checker import DATABASES_USED, Checker, Name, Violation, watched, witness_of
from respram.sim.network import CALM, Faults
from respram.sim.world import EPOCH_MS, Node, World, engine_of

KEYS = 12
LETTING_GO_SHARE = 0.15  # share of a storm's writes in which a client lets go of a visible key
STORM_MS = 15_000
QUIET_MS = 40_000  # this long after the last fault, all nodes must be equal
SWEEP_MS = 400  # between two checks of all invariants
WRITTEN_AT_ONCE = 10  # keys of one batch during a partition, like a client's pipeline


@dataclass(frozen=True, slots=True)
class Outcome:
    events: int
    checks: int
    shortened: int
    level_ms: int  # from the end of the faults until all are equal; -1: not measured
    bytes: int
    trace: tuple[str, ...] = ()


def storm(
    seed: int, nodes: int = 5, liveness: bool = False, policy: Policy | None = None, tracing: bool = False
) -> Outcome:
    """Random writes under partitions, crashes, stalls, skewed and stepped clocks, loss, duplication and reordering."""
    rng = Random(seed)
    world = World(
        seed, policy or Policy(), make_engine=lambda place, made: watched(engine_of(place, made)), tracing=tracing
    )
    checker = Checker(world)
    world.after_event = checker.after_event
    for place in range(nodes):
        world.add(is_root=place < 2, offset_ms=rng.randint(-700, 700))
    for node in world.nodes:
        world.start(node)
    world.network.faults = Faults(
        (1, rng.choice([3, 30, 200])), rng.choice([0, 0.02, 0.1]), rng.choice([0, 0.05]), rng.choice([0, 0.3])
    )
    world.run_until(2_000)
    end_ms = world.now_ms + STORM_MS
    next_sweep_ms = world.now_ms
    while world.now_ms < end_ms:
        world.run_until(world.now_ms + rng.randint(1, 120))
        _mishap(world, checker, rng)
        if rng.random() < 0.75:
            _write(world, checker, rng)
        if world.now_ms >= next_sweep_ms:
            next_sweep_ms = world.now_ms + SWEEP_MS
            checker.check_all()
    level_ms = _until_level(world, checker, rng) if liveness else -1
    checker.check_all()
    return Outcome(world.events, checker.checks, checker.shadowed, level_ms, world.network.bytes, tuple(world.trace))


def _write(world: World, checker: Checker, rng: Random) -> None:
    node = rng.choice(world.nodes)
    if not node.is_up or node.stalled_until_ms > world.now_ms:
        return
    name = (rng.choice(DATABASES_USED), b"k%d" % rng.randrange(KEYS))
    if rng.random() < LETTING_GO_SHARE and checker.let_go(node, name):
        return
    ttl_ms = rng.choice([40, 300, 1_500, 4_000, 9_000, 30_000, 120_000])
    value = b"%d@%d" % (world.events, node.place)
    checker.write(node, name, value, world.time_of(node).wall_ms + ttl_ms)


def _mishap(world: World, checker: Checker, rng: Random) -> None:
    draw = rng.random()
    node = rng.choice(world.nodes)
    if draw < 0.010:
        cut = {(one.place, other.place) for one in world.nodes for other in world.nodes if rng.random() < 0.3}
        world.network.cut = cut if rng.random() < 0.5 else cut | {(b, a) for a, b in cut}
    elif draw < 0.025:
        world.network.cut = set()
    elif draw < 0.032 and node.is_up:
        world.crash(node, silently=rng.random() < 0.3)
    elif draw < 0.050 and not node.is_up:
        world.restart(node)
        checker.forget(node)
    elif draw < 0.057:
        world.stall(node, rng.randint(50, 3_000))
    elif draw < 0.061:
        _step(world, checker, node, rng.choice([-3_600_000, -1_500, -200, 200, 1_500, 86_400_000]))


def _step(world: World, checker: Checker, node: Node, by_ms: int) -> None:
    """Steps a clock. Large steps are undone soon: a day forwards, an hour backwards, as when a clock is set by hand."""
    if not node.is_up:
        return
    if abs(node.offset_ms) > 10_000:
        by_ms = -node.offset_ms
    world.step_clock(node, by_ms)
    checker.forget(node)
    if by_ms > 0:
        _survivors(world, checker, node)


def _survivors(world: World, checker: Checker, node: Node) -> None:
    """Keys that survive a clock set forwards count as seen: they must not vanish early."""
    now = world.time_of(node)
    witness = witness_of(node)
    for name, stamp in list(checker.versions):
        entry = node.engine.lookup(*name, now.wall_ms)
        if entry is not None and (entry.clock, entry.node) == stamp:
            witness.note(name, stamp)


def _until_level(world: World, checker: Checker, rng: Random) -> int:
    """Ends the faults, restarts all nodes with right clocks, writes once at each; then all must be equal."""
    world.network.cut, world.network.faults = set(), CALM
    for node in world.nodes:
        node.stalled_until_ms = 0
        if abs(node.offset_ms) > 700:
            world.step_clock(node, -node.offset_ms)
            checker.forget(node)
        if not node.is_up:
            world.restart(node)
            checker.forget(node)
    began_ms = world.now_ms
    while world.now_ms < began_ms + QUIET_MS:
        world.run_until(world.now_ms + 250)
        checker.check_all()
        if world.now_ms - began_ms > 4_000 and is_level(world):
            return world.now_ms - began_ms
    digests = sorted(map(str, world.digests()))
    raise Violation(f"not equal {QUIET_MS} ms after the last fault: {len(digests)} different digests")


def is_level(world: World) -> bool:
    """Whether all nodes show the same by one clock, except keys younger than a second or expiring within two."""
    if len(world.digests()) > 1 or any(node.replica.core.state != "ready" for node in world.up):
        return False
    return len({shown(world, node) for node in world.up}) == 1


def shown(world: World, node: Node) -> tuple[tuple[Name, bytes], ...]:
    """What a client would read at a node; digests alone would not prove equality."""
    settled_ms = EPOCH_MS + world.now_ms + 3_000
    found: dict[Name, bytes] = {}
    for db in DATABASES_USED:
        for packed in node.engine.records(db):
            for record in unpack(packed):
                if record.value is not None and record.deadline_ms > settled_ms:
                    found[db, record.key] = record.value
    return tuple(sorted(found.items()))


# -- many nodes ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Crowd:
    world: World

    @property
    def rounds(self) -> float:
        return sum(node.replica.core.rounds.done for node in self.world.nodes) / len(self.world.nodes)


def crowd(
    nodes: int, seed: int, loss: float = 0.0, roots: int = 3, settle_ms: int = 12_000, policy: Policy | None = None
) -> World:
    """A settled enclave of many nodes that know each other from the start (as from a root's address book)."""
    world = World(seed, policy or Policy())
    for place in range(nodes):
        world.add(is_root=place < roots)
    book = [Member(node.replica.core.me.number, node.enclave, node.address, role=node.role) for node in world.nodes]
    for node in world.nodes:
        world.carry(
            node,
            node.replica.introduce(
                [one for one in book if one.number != node.replica.core.me.number], world.time_of(node)
            ),
        )
        world.start(node)
    world.run_until(settle_ms)
    world.network.faults = Faults((1, 20), loss)
    return world


@dataclass(frozen=True, slots=True)
class Spread:
    after_pushes: int  # nodes that had the record when the rumors had ended
    everybody_ms: int
    rounds: float  # rounds of comparison per node until then
    copies: float  # payloads received per node
    bytes: float  # received per node for it


def holders(world: World, key: bytes) -> int:
    return sum(node.engine.peek(0, key, EPOCH_MS + world.now_ms) is not None for node in world.up)


def spread_one(world: World, limit_ms: int = 30_000) -> Spread:
    """Measures how one write at one node reaches the others, and its cost."""
    writer = world.nodes[len(world.nodes) // 2]
    key = b"rumor %d" % world.now_ms
    count = len(world.up)

    def payloads() -> int:
        return sum(node.replica.core.rumors.firsts + node.replica.core.rumors.duplicates for node in world.nodes)

    def pushed_bytes() -> int:
        words = (b"PUSH", b"ANNOUNCE", b"WANT", b"ACK")
        return sum(node.replica.sent[word].bytes for node in world.nodes for word in words if word in node.replica.sent)

    payloads_before, bytes_before = payloads(), pushed_bytes()
    rounds_before = Crowd(world).rounds
    writer.engine.store(0, key, b"v" * 64, EPOCH_MS + world.now_ms + 600_000, False, EPOCH_MS + world.now_ms, b"set")
    world.touch(writer)
    began_ms = world.now_ms
    world.run_until(began_ms + 600)
    after_pushes = holders(world, key)
    while holders(world, key) < count and world.now_ms < began_ms + limit_ms:
        world.run_until(world.now_ms + 50)
    if holders(world, key) < count:
        raise Violation(f"{count - holders(world, key)} nodes have not got the write after {limit_ms} ms")
    return Spread(
        after_pushes, world.now_ms - began_ms, Crowd(world).rounds - rounds_before,
        (payloads() - payloads_before) / count, (pushed_bytes() - bytes_before) / count,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Healing:
    isolated: int
    level_ms: int
    rounds: float  # rounds of comparison per node from the heal to equality
    bytes_per_node: float


def heal_halves(world: World, keys: int = 1_000, cut_ms: int = 40_000, limit_ms: int = 120_000) -> Healing:
    """Separates two halves, writes keys in each, and joins them again. Nothing else is lost, because links are TCP
    connections: a lost DIGEST would cost five seconds here, and does not happen in a real network."""
    count = len(world.nodes)
    half = count // 2
    world.network.faults = Faults((1, 20))
    world.network.cut = {
        (one, other) for one in range(count) for other in range(count) if (one < half) != (other < half)
    }
    rng = Random(world.seed)
    for first in range(0, keys, WRITTEN_AT_ONCE):
        node = world.nodes[rng.randrange(count)]
        now_ms = EPOCH_MS + world.now_ms
        for number in range(first, min(first + WRITTEN_AT_ONCE, keys)):
            node.engine.store(0, b"key %d" % number, b"v" * 64, now_ms + 3_600_000, False, now_ms, b"set")
        world.touch(node)
        world.run_until(world.now_ms + cut_ms * WRITTEN_AT_ONCE // keys)
    isolated = sum(node.replica.core.state == "isolated" for node in world.nodes)
    world.network.cut = set()
    began_ms, rounds_before, bytes_before = world.now_ms, Crowd(world).rounds, world.network.bytes
    while len(world.digests()) > 1 and world.now_ms < began_ms + limit_ms:
        world.run_until(world.now_ms + 250)
    if len(world.digests()) > 1:
        raise Violation(f"halves not equal {limit_ms} ms after the cut was healed")
    return Healing(
        isolated, world.now_ms - began_ms, Crowd(world).rounds - rounds_before,
        (world.network.bytes - bytes_before) / count,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Repaired:
    bytes: int  # of comparison, in both directions, until equality
    level_ms: int
    rounds: int


def repair_pair(
    seed: int, stored: int, changed: int, one_sided: bool = True, policy: Policy | None = None, limit_ms: int = 60_000
) -> Repaired:
    """Compares two nodes with `stored` records each, of which `changed` were overwritten without a push."""
    world = crowd(2, seed, roots=2, settle_ms=1_000, policy=policy)

    def place(node: Node, numbers: range, clock_ms: int) -> None:
        for start in range(numbers.start, numbers.stop, 1_000):
            records = (
                Record(0, b"key:%012d" % number, b"v" * 64, clock_ms << 16, 9, EPOCH_MS + 3_000_000 + number % 600_000)
                for number in range(start, min(start + 1_000, numbers.stop))
            )
            node.engine.merge(b"".join(map(pack, records)), EPOCH_MS + world.now_ms)

    for node in world.nodes:
        place(node, range(stored), EPOCH_MS - 3_000_000)
    world.run_until(20_000)
    wall_ms = EPOCH_MS + world.now_ms - 5_000
    share = changed if one_sided else changed // 2
    place(world.nodes[0], range(share), wall_ms)
    place(world.nodes[1], range(share, changed), wall_ms)
    repairs = [node.replica.core.rounds for node in world.nodes]

    def spoken() -> int:
        words = (b"DIGEST", b"SAME", b"BUCKETS", b"FILTER", b"RECORDS", b"ACK")
        return sum(node.replica.sent[word].bytes for node in world.nodes for word in words if word in node.replica.sent)

    began_ms, bytes_before, rounds_before = world.now_ms, spoken(), sum(one.done for one in repairs)
    while len(world.digests()) > 1 and world.now_ms < began_ms + limit_ms:
        world.run_until(world.now_ms + 50)
    if len(world.digests()) > 1:
        raise Violation(f"two nodes are not equal after {limit_ms} ms of comparison")
    return Repaired(spoken() - bytes_before, world.now_ms - began_ms, sum(one.done for one in repairs) - rounds_before)


@dataclass(frozen=True, slots=True)
class Idle:
    messages_per_s: float  # sent per node
    bytes_per_s: float
    links: float


def idle(world: World, for_ms: int = 10_000) -> Idle:
    """Measures what a node sends while no client writes."""

    def frames() -> int:
        return sum(traffic.frames for node in world.nodes for traffic in node.replica.sent.values())

    frames_before, bytes_before = frames(), world.network.bytes
    world.run_until(world.now_ms + for_ms)
    per = len(world.nodes) * for_ms / 1000
    links = sum(len(node.replica.core.neighbours.links) for node in world.nodes) / len(world.nodes)
    return Idle((frames() - frames_before) / per, (world.network.bytes - bytes_before) / per, links)
