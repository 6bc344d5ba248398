"""A storm over collections: members are put, expire and are removed, under any faults.

The invariants, in terms of what clients see:

- a member that is shown was put by some client, with that value, and neither its deadline nor its collection's passed;
- no node shows a member that it has seen covered: overwritten, removed, or gone with
  its collection, by a writer that had seen it;
- in a collection without removals, a member that a node has shown stays until its deadline;
- after the faults, all nodes come to show the same.
"""
# ruff: noqa: S311 (a simulation wants numbers that can be had again)

from dataclasses import dataclass, field
from random import Random

from respram.engine.api import Entry, Member
from respram.gossip.policy import Policy
from respram.record import DATABASES, HASH, MARKS, SET, ZSET, is_member, key_of, member_key
from respram.sim.checker import DATABASES_USED, Violation, know, watched, witness_of
from respram.sim.network import CALM, Faults
from respram.sim.world import EPOCH_MS, Node, World, engine_of

KINDS = (HASH, SET, ZSET)
WILD, CALM_KEYS, NAMES = 4, 2, 6  # keys that any command may change, keys that only grow, members of a key
STORM_MS, QUIET_MS, SWEEP_MS = 12_000, 40_000, 400
FAR_MS = 1_000_000  # deadline of a calm collection, after the end of the storm
SKEW_MS = 1_400  # between two clocks: a member may arrive as a stub, sent by a node for which it has ended
AT_ONCE = 64  # members taken out of the engine in one step of a walk
TTLS_MS = (40, 300, 1_500, 4_000, 9_000, 30_000, 120_000)

Key = tuple[int, bytes]
Name = tuple[int, bytes, bytes]  # database, key, member


@dataclass(frozen=True, slots=True)
class Put:
    """One write of a member. Its number is the value, so what is shown says which write it is (but for sets)."""

    name: Name
    kind: int
    deadline_ms: int  # its own; 0: that of its collection
    covers: frozenset[int]


@dataclass(slots=True)
class Seen:
    """The members that one node has shown, and those that it knows to be over."""

    shown: dict[Name, set[int]] = field(default_factory=dict)
    over: dict[Name, set[int]] = field(default_factory=dict)
    last: dict[Name, tuple[int, int]] = field(default_factory=dict)  # what is visible now, and until when


@dataclass(frozen=True, slots=True)
class Outcome:
    events: int
    checks: int
    puts: int
    let_go: int
    covered: int  # members ended by a write whose author had seen them
    level_ms: int


@dataclass(slots=True)
class Families:
    world: World
    puts: list[Put] = field(default_factory=list)
    seen: dict[int, Seen] = field(default_factory=dict)  # by place
    outliving: bool = False  # whether members may have deadlines after that of their collection
    renewed: set[int] = field(default_factory=set)
    checks: int = 0
    let_go_of: int = 0
    covered: int = 0

    # -- what clients do ------------------------------------------------------------------------------
    def put(self, node: Node, key: Key, kind: int, name: bytes, ttl_ms: int, member_ttl_ms: int) -> None:
        """HSET, SADD or ZADD, as the handlers do it: a collection of another kind is an error, and changes nothing."""
        engine, now_ms = node.engine, self.world.time_of(node).wall_ms
        entry = engine.peek(*key, now_ms)
        if entry is not None and entry.kind != kind:
            return
        self.look(node, key)
        if entry is None:
            self._end(node, key)
            head_ms = (
                EPOCH_MS + FAR_MS
                if is_calm(key)
                else now_ms + (ttl_ms if self.outliving else max(ttl_ms, member_ttl_ms))
            )
            engine.found(*key, kind, head_ms, False, now_ms)
        full = (*key, name)
        number = len(self.puts)
        covers = self._cover(node, full, kind)
        own_ms = now_ms + member_ttl_ms if member_ttl_ms else 0
        if own_ms and not self.outliving:
            entry = engine.peek(*key, now_ms)
            own_ms = min(own_ms, entry.deadline_ms if entry is not None and entry.length else own_ms)
        self.puts.append(Put(full, kind, own_ms, covers))
        engine.put_member(*key, name, b"%d" % number, own_ms or None, now_ms)
        self._changed(node, key)

    def take(self, node: Node, key: Key, name: bytes) -> None:
        """HDEL, SREM or ZREM."""
        self.look(node, key)
        entry = node.engine.peek(*key, self.world.time_of(node).wall_ms)
        if entry is not None and node.engine.let_go_member(*key, name, self.world.time_of(node).wall_ms):
            self._cover(node, (*key, name), entry.kind)
            self.let_go_of += 1
            self._changed(node, key)

    def let_go(self, node: Node, key: Key) -> None:
        self.look(node, key)
        if node.engine.let_go(*key, self.world.time_of(node).wall_ms, b"del"):
            self._end(node, key)
            self.let_go_of += 1
            self._changed(node, key)

    def store(self, node: Node, key: Key, ttl_ms: int) -> None:
        """SET: replaces the collection by a string."""
        now_ms = self.world.time_of(node).wall_ms
        self.look(node, key)
        self._end(node, key)
        node.engine.store(*key, b"string", now_ms + ttl_ms, False, now_ms, b"set")
        self._changed(node, key)

    def retime(self, node: Node, key: Key, ttl_ms: int) -> None:
        """EXPIRE writes its members again, which makes them newer than those that ended elsewhere, like a string."""
        now_ms = self.world.time_of(node).wall_ms
        self.look(node, key)
        self.renewed |= {number for name, (number, _) in self.of(node).last.items() if name[:2] == key}
        if node.engine.retime(*key, now_ms + ttl_ms, False, now_ms, b"expire"):
            self._changed(node, key)

    def _changed(self, node: Node, key: Key) -> None:
        witness_of(node).touched[key] = None
        self.world.touch(node)
        self.after_event(node)

    def _cover(self, node: Node, name: Name, kind: int = 0) -> frozenset[int]:
        """Notes that a member has ended for this node: with its collection, or, with a kind, by itself. The latter does
        not end it in a collection of another kind that was made elsewhere at the same time."""
        seen = self.of(node)
        shown = {one for one in seen.shown.get(name, ()) if not kind or self.puts[one].kind == kind}
        self.covered += len(shown - seen.over.get(name, set()))
        seen.over.setdefault(name, set()).update(shown)
        seen.last.pop(name, None)
        return frozenset(seen.over[name])

    def _end(self, node: Node, key: Key) -> None:
        for name in [name for name in self.of(node).shown if name[:2] == key]:
            self._cover(node, name)

    # -- what is checked ------------------------------------------------------------------------------
    def of(self, node: Node) -> Seen:
        return self.seen.setdefault(node.place, Seen())

    def forget(self, node: Node) -> None:
        """Forgets a node's history: the node restarted, or its clock was set."""
        self.seen.pop(node.place, None)
        witness_of(node).seen.clear()
        witness_of(node).touched.clear()

    def after_event(self, node: Node) -> None:
        witness = witness_of(node)
        witness.restamped.clear()
        keys = dict.fromkeys(found for found in map(key_of_record, witness.touched) if found is not None)
        witness.touched.clear()
        for key in keys:
            self.look(node, key)

    def check_all(self) -> None:
        for node in self.world.up:
            if node.stalled_until_ms <= self.world.now_ms:
                for key in all_keys():
                    self.look(node, key)

    def look(self, node: Node, key: Key) -> None:
        self.checks += 1
        wall_ms, seen = self.world.time_of(node).wall_ms, self.of(node)
        entry = node.engine.peek(*key, wall_ms)
        found = members_of(node, key, wall_ms) if entry is not None and entry.kind else []
        where = f"node {node.place} at {self.world.now_ms} ms, key {key[1].decode()}"
        if entry is not None and entry.kind and (entry.length != len(found) or not found):
            raise Violation(f"{where}: {entry.length} members are counted, and {len(found)} shown")
        shown = set()
        for one in found:
            assert entry is not None
            shown.add(self._check(node, key, entry, one, where))
        for name in [name for name in seen.last if name[:2] == key and name not in shown]:
            _, until_ms = seen.last.pop(name)
            over = seen.over.get(name, set())
            ended = any(
                put.name == name and 0 < put.deadline_ms <= wall_ms + SKEW_MS and one not in over
                for one, put in enumerate(self.puts)
            )
            if is_calm(key) and until_ms > wall_ms and not ended:
                raise Violation(f"{where}: member {name[2].decode()} is gone {until_ms - wall_ms} ms early")

    def _check(self, node: Node, key: Key, entry: Entry, one: Member, where: str) -> Name:
        wall_ms, seen, name = self.world.time_of(node).wall_ms, self.of(node), (*key, one.name)
        number = self._oldest(name, entry, one, seen.over.get(name, set())) if entry.kind == SET else int(one.value)
        put = self.puts[number] if number < len(self.puts) else None
        if (
            put is None
            or put.name != name
            or put.kind != entry.kind
            or put.deadline_ms != (one.deadline_ms if one.own else 0)
        ):
            raise Violation(f"{where}: member {one.name.decode()} as nobody put it")
        until_ms = min(put.deadline_ms or entry.deadline_ms, entry.deadline_ms)
        if until_ms <= wall_ms:
            raise Violation(f"{where}: member {one.name.decode()} is shown {wall_ms - until_ms} ms after its end")
        over = seen.over.setdefault(name, set())
        if number in over and number not in self.renewed:
            raise Violation(f"{where}: member {one.name.decode()} came back")
        seen.shown.setdefault(name, set()).add(number)
        over |= put.covers
        seen.last[name] = number, until_ms
        return name


    def _oldest(self, name: Name, entry: Entry, one: Member, over: set[int]) -> int:
        """A set's member has no value to tell its write by: the oldest that may stand, or else the oldest of all."""
        alike = [
            number
            for number, put in enumerate(self.puts)
            if put.name == name and put.kind == entry.kind and put.deadline_ms == (one.deadline_ms if one.own else 0)
        ]
        standing = [number for number in alike if number not in over or number in self.renewed]
        return (standing or alike or [len(self.puts)])[0]


def members_of(node: Node, key: Key, wall_ms: int) -> list[Member]:
    found: list[Member] = []
    cursor = 0
    while True:
        walked = node.engine.members(*key, cursor, AT_ONCE, wall_ms)
        found += walked.members
        cursor = walked.cursor
        if not cursor:
            return found


def all_keys() -> list[Key]:
    names = [b"wild:%d" % number for number in range(WILD)] + [b"calm:%d" % number for number in range(CALM_KEYS)]
    return [(db, name) for db in DATABASES_USED for name in names]


def is_calm(key: Key) -> bool:
    return key[1].startswith(b"calm")


def key_of_record(name: tuple[int, bytes]) -> Key | None:
    """The key that a record belongs to, whether the record is a key, a member or a mark."""
    space, key = name
    if is_member(space):
        return space % DATABASES, key_of(key)
    return (space % DATABASES, key) if space < MARKS + DATABASES else None


# -- the storm --------------------------------------------------------------------------------------------
def storm(seed: int, nodes: int = 4, flips: float = 0.0, policy: Policy | None = None) -> Outcome:
    """Random writes of collections under partitions, crashes, stalls, skewed clocks and a bad network; then calm."""
    rng = Random(seed)
    world = World(seed, policy or Policy(), make_engine=lambda place, made: watched(engine_of(place, made)))
    families = Families(world)
    for db, key in all_keys():
        know((db, key))
        for kind in KINDS:
            for number in range(NAMES):
                know((kind * DATABASES + db, member_key(key, b"m%d" % number)))
    world.after_event = families.after_event
    for place in range(nodes):
        world.add(is_root=place < 2, offset_ms=rng.randint(-700, 700))
    for node in world.nodes:
        world.start(node)
    world.network.faults = Faults(
        (1, rng.choice([3, 30, 200])), rng.choice([0, 0.02, 0.1]), rng.choice([0, 0.05]), rng.choice([0, 0.3])
    )
    world.run_until(2_000)
    end_ms, next_sweep_ms = world.now_ms + STORM_MS, world.now_ms
    while world.now_ms < end_ms:
        world.run_until(world.now_ms + rng.randint(1, 80))
        _mishap(world, families, rng)
        node = rng.choice(world.nodes)
        if node.is_up and node.stalled_until_ms <= world.now_ms:
            act(families, node, rng, flips)
        if world.now_ms >= next_sweep_ms:
            next_sweep_ms = world.now_ms + SWEEP_MS
            families.check_all()
    level_ms = _until_level(world, families)
    return Outcome(world.events, families.checks, len(families.puts), families.let_go_of, families.covered, level_ms)


def act(families: Families, node: Node, rng: Random, flips: float) -> None:
    key, name, draw = rng.choice(all_keys()), b"m%d" % rng.randrange(NAMES), rng.random()
    ttl_ms = rng.choice(TTLS_MS)
    own_ms = rng.choice(TTLS_MS) if rng.random() < 0.4 else 0
    if is_calm(key) or draw < 0.6:
        kind = HASH if is_calm(key) else rng.choice(KINDS) if rng.random() < flips else KINDS[key[1][-1] % 3]
        families.put(node, key, kind, name, ttl_ms, own_ms)
    elif draw < 0.75:
        families.take(node, key, name)
    elif draw < 0.83:
        families.let_go(node, key)
    elif draw < 0.88:
        families.store(node, key, ttl_ms)
    else:
        families.retime(node, key, ttl_ms)


def _mishap(world: World, families: Families, rng: Random) -> None:
    draw, node = rng.random(), rng.choice(world.nodes)
    if draw < 0.012:
        cut = {(one.place, other.place) for one in world.nodes for other in world.nodes if rng.random() < 0.3}
        world.network.cut = cut if rng.random() < 0.5 else cut | {(b, a) for a, b in cut}
    elif draw < 0.028:
        world.network.cut = set()
    elif draw < 0.035 and node.is_up:
        world.crash(node, silently=rng.random() < 0.3)
    elif draw < 0.053 and not node.is_up:
        world.restart(node)
        families.forget(node)
    elif draw < 0.060:
        world.stall(node, rng.randint(50, 3_000))


def _until_level(world: World, families: Families) -> int:
    world.network.cut, world.network.faults = set(), CALM
    for node in world.nodes:
        node.stalled_until_ms = 0
        if not node.is_up:
            world.restart(node)
            families.forget(node)
    began_ms = world.now_ms
    while world.now_ms < began_ms + QUIET_MS:
        world.run_until(world.now_ms + 250)
        families.check_all()
        if world.now_ms - began_ms > 4_000 and is_level(world):
            return world.now_ms - began_ms
    raise Violation(f"collections are not equal {QUIET_MS} ms after the last fault")


def is_level(world: World) -> bool:
    if len(world.digests()) > 1 or any(node.replica.core.state != "ready" for node in world.up):
        return False
    return len({shown(world, node) for node in world.up}) == 1


def shown(world: World, node: Node) -> tuple[tuple[Key, int, tuple[tuple[bytes, bytes], ...]], ...]:
    """What a client would read of collections at a node, by one clock, except members that are about to expire. The
    engine is asked as of now: it destroys what has expired by the time that it is told.
    """
    settled_ms, wall_ms, rows = EPOCH_MS + world.now_ms + 3_000, world.time_of(node).wall_ms, []
    for key in all_keys():
        entry = node.engine.peek(*key, wall_ms)
        if entry is not None and entry.kind and entry.deadline_ms > settled_ms:
            found = members_of(node, key, wall_ms)
            members = sorted((one.name, one.value) for one in found if one.deadline_ms > settled_ms)
            if members:
                rows.append((key, entry.kind, tuple(members)))
    return tuple(rows)
