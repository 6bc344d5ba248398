"""The safety checker: verifies invariants 1, 2, 5 and 6 of the design during a run.

A *witness* stands between a replica and its engine and notes which versions that node has seen. After every event, for
the keys that it touched, and for all keys now and then:

- a visible value was written by some client, with that deadline to the millisecond, and has not expired by the node's
  clock;
- no node shows a version older than one it has seen, if that one still lives or if its writer had seen the older one;
- no node misses the newest version it has seen while that version lives.

A node that restarts, or whose clock is set back, starts with an empty history.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from respram.engine.api import Engine, Merged
from respram.record import Record, pack, stub_name, unpack
from respram.sim.world import Node, World

DATABASES_USED = (0, 3)

Name = tuple[int, bytes]
Stamp = tuple[int, int]


_KEYS: dict[bytes, Name] = {}  # all that simulated clients wrote, by the names that stubs carry


def know(name: Name) -> None:
    _KEYS[stub_name(*name)] = name


def name_in(record: Record) -> Name:
    return _KEYS[record.key] if record.named else (record.db, record.key)


class Violation(AssertionError):
    """An invariant was violated; the text says how."""


@dataclass(frozen=True, slots=True)
class Version:
    stamp: Stamp
    value: bytes
    deadline_ms: int
    covers: frozenset[Stamp]  # the writes of this key that its writer had seen


@dataclass(slots=True)
class Witness:
    """An engine whose merges are watched. Everything else goes straight through."""

    engine: Engine
    touched: dict[Name, None] = field(default_factory=dict)
    seen: dict[Name, dict[Stamp, bool]] = field(default_factory=dict)
    restamped: list[tuple[Name, Stamp, Stamp]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    @property
    def spreads(self) -> bool:
        return self.engine.spreads

    @spreads.setter
    def spreads(self, spreads: bool) -> None:
        self.engine.spreads = spreads

    def merge(self, payload: bytes | memoryview, now_ms: int) -> Merged:
        totals = [0] * len(Merged._fields)
        for record in unpack(bytes(payload)):
            outcome = self.engine.merge(pack(record), now_ms)
            totals = [a + b for a, b in zip(totals, outcome, strict=True)]
            if outcome.new:
                self.note(name_in(record), record.stamp, record.value is not None)
        return Merged(*totals)

    def restamp(self, now_ms: int) -> int:
        """Restamps a node's own versions from the future, and tells the checker which stamp became which."""
        before = self._stamps()
        count: int = self.engine.restamp(now_ms)
        if count:
            for name, stamp in self._stamps().items():
                if stamp != before[name]:
                    self.restamped.append((name, before[name], stamp))
                    self.note(name, stamp, False)
        return count

    def _stamps(self) -> dict[Name, Stamp]:
        packed = b"".join(one for db in DATABASES_USED for one in self.engine.records(db))
        return {name_in(record): record.stamp for record in unpack(packed)}

    def note(self, name: Name, stamp: Stamp, with_value: bool = True) -> None:
        """Notes a version. `with_value` False: it came as a stub, from a node whose clock has passed the deadline."""
        self.seen.setdefault(name, {})[stamp] = with_value
        self.touched[name] = None


@dataclass(slots=True)
class Checker:
    world: World
    versions: dict[tuple[Name, Stamp], Version] = field(default_factory=dict)
    checks: int = 0
    shadowed: int = 0  # overwrites that shortened a life: shows that the run tested something
    let_go_of: int = 0  # keys that a client let go of

    def write(self, node: Node, name: Name, value: bytes, deadline_ms: int) -> None:
        """Writes as a client at a node, and records the write."""
        witness = witness_of(node)
        now = self.world.time_of(node)
        know(name)
        before = frozenset(witness.seen.get(name, {}))
        entry = witness.engine.peek(*name, now.wall_ms)
        if entry is not None and entry.deadline_ms > deadline_ms:
            self.shadowed += 1
        witness.engine.store(*name, value, deadline_ms, False, now.wall_ms, b"set")
        [record] = unpack(node.engine.fetch(*name, now.wall_ms))
        self.versions[name, record.stamp] = Version(record.stamp, value, deadline_ms, before)
        witness.note(name, record.stamp)
        self.world.touch(node)
        self.after_event(node)

    def let_go(self, node: Node, name: Name) -> bool:
        """Releases a visible key as a client: from then on no version that its node had seen may be shown."""
        witness = witness_of(node)
        now = self.world.time_of(node)
        before = frozenset(witness.seen.get(name, {}))
        if not witness.engine.let_go(*name, now.wall_ms, b"del"):
            return False
        stubs = list(unpack(node.engine.fetch(*name, now.wall_ms)))
        if not stubs:
            raise Violation(
                f"node {node.place} at {self.world.now_ms} ms, key {name[1].decode()}: let go of, "
                "and nothing remembers it"
            )
        [record] = stubs
        self.versions[name, record.stamp] = Version(record.stamp, b"", now.wall_ms, before)
        witness.note(name, record.stamp, False)
        self.let_go_of += 1
        self.world.touch(node)
        self.after_event(node)
        return True

    def after_event(self, node: Node) -> None:
        witness = witness_of(node)
        for name, old, new in witness.restamped:
            version = self.versions.get((name, old))
            if version is not None:
                self.versions[name, new] = replace(version, stamp=new, covers=version.covers | {old})
                for other in [one for one in witness.seen[name] if one > new]:
                    del witness.seen[name][other]  # it came from a later time, and was overwritten since
        witness.restamped.clear()
        if witness.touched:
            names, witness.touched = list(witness.touched), {}
            for name in names:
                self.check(node, name)

    def check_all(self) -> None:
        for node in self.world.up:
            if node.stalled_until_ms <= self.world.now_ms:
                for name in witness_of(node).seen:
                    self.check(node, name)

    def check(self, node: Node, name: Name) -> None:
        self.checks += 1
        wall_ms = self.world.time_of(node).wall_ms
        seen = witness_of(node).seen[name]
        entry = node.engine.lookup(*name, wall_ms)
        newest = self.versions.get((name, max(seen)))
        where = f"node {node.place} at {self.world.now_ms} ms, key {name[1].decode()}"
        if newest is not None and seen[newest.stamp] and newest.deadline_ms > wall_ms and entry is None:
            raise Violation(f"{where}: the newest version seen is gone {newest.deadline_ms - wall_ms} ms early")
        if entry is None:
            return
        stamp = (entry.clock, entry.node)
        shown = self.versions.get((name, stamp))
        if shown is None or shown.value != entry.value or shown.deadline_ms != entry.deadline_ms:
            raise Violation(f"{where}: a version that nobody wrote")
        if entry.deadline_ms <= wall_ms:
            raise Violation(f"{where}: shown {wall_ms - entry.deadline_ms} ms after its deadline")
        for other in seen:
            newer = self.versions.get((name, other))
            if newer is None or other <= stamp:
                continue
            if newer.deadline_ms > wall_ms or stamp in newer.covers:
                raise Violation(f"{where}: an overwritten version came back")

    def forget(self, node: Node) -> None:
        """Forgets a node's history: the node restarted, or its clock was set back."""
        witness = witness_of(node)
        witness.seen.clear()
        witness.touched.clear()


def witness_of(node: Node) -> Witness:
    witness = node.engine
    assert isinstance(witness, Witness)
    return witness


def watched(engine: Engine) -> Engine:
    witness: Any = Witness(engine)
    return witness  # type: ignore[no-any-return]
