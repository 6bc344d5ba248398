"""Collections against a model: one node writes, another hears of it with cuts, and what the other kept brings nothing
back.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from respram.engine.api import Engine
from respram.record import HASH, SET

from .conftest import ENGINES
from .rig import NOW, SETTINGS

KEYS, NAMES = (b"a", b"b"), (b"f", b"g", b"")
key, name = st.sampled_from(KEYS), st.sampled_from(NAMES)
ttl = st.one_of(st.integers(1, 40), st.integers(1, 5000), st.integers(1, 10**6))


@dataclass
class Collection:
    kind: int  # 0: a string
    deadline_ms: int
    members: dict[bytes, tuple[bytes, int | None]] = field(default_factory=dict)  # value and own deadline

    def seen(self, now_ms: int) -> dict[bytes, tuple[bytes, int | None]]:
        if now_ms >= self.deadline_ms:
            return {}
        return {
            one: (value, own_ms) for one, (value, own_ms) in self.members.items() if own_ms is None or now_ms < own_ms
        }


def everything(engine: Engine, now_ms: int) -> bytes:
    point, payload = 0, b""
    while point < 1 << 32:
        found = engine.dump(point, 1 << 20, now_ms)
        payload, point = payload + found.payload, found.cursor
    return payload


class Collections(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        pairs = [[make(SETTINGS._replace(node=node)) for node in (1, 2)] for make in ENGINES.values()]
        self.writers, self.hearers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        for engine in (*self.writers, *self.hearers):
            engine.track(7, NOW)
        self.model: dict[bytes, Collection] = {}
        self.now = NOW

    def there(self, key: bytes) -> Collection | None:
        one = self.model.get(key)
        if one is None or (one.kind and not one.seen(self.now)) or self.now >= one.deadline_ms:
            return None
        return one

    @rule(
        key=key,
        kind=st.sampled_from((HASH, SET)),
        name=name,
        value=st.binary(max_size=40),
        ttl=ttl,
        own=st.one_of(st.none(), ttl),
    )
    def put(self, key: bytes, kind: int, name: bytes, value: bytes, ttl: int, own: int | None) -> None:
        there, own_ms = self.there(key), None if own is None else self.now + own
        if there is not None and there.kind != kind:
            return
        if there is None:
            there = self.model[key] = Collection(kind, self.now + ttl)
            for engine in self.writers:
                engine.found(0, key, kind, self.now + ttl, False, self.now)
        is_new = name not in there.seen(self.now)
        there.members[name] = (b"" if kind == SET else value, own_ms)  # members of sets have no value
        for engine in self.writers:
            assert engine.put_member(0, key, name, value, own_ms, self.now) is is_new

    @rule(key=key, ttl=ttl)
    def retime(self, key: bytes, ttl: int) -> None:
        there = self.there(key)
        for engine in self.writers:
            assert engine.retime(0, key, self.now + ttl, False, self.now, b"expire") is (there is not None)
        if there is not None:
            there.members = there.seen(self.now)
            there.deadline_ms = self.now + ttl

    @rule(key=key, name=name)
    def let_go_member(self, key: bytes, name: bytes) -> None:
        there = self.there(key)
        known = there is not None and name in there.seen(self.now)
        for engine in self.writers:
            assert engine.let_go_member(0, key, name, self.now) is known
        if known and there is not None:
            del there.members[name]

    @rule(key=key)
    def let_go(self, key: bytes) -> None:
        known = self.there(key) is not None
        for engine in self.writers:
            assert engine.let_go(0, key, self.now, b"del") is known
        if known:
            del self.model[key]

    @rule(key=key, ttl=ttl)
    def store(self, key: bytes, ttl: int) -> None:
        for engine in self.writers:
            engine.store(0, key, b"string", self.now + ttl, False, self.now, b"set")
        self.model[key] = Collection(0, self.now + ttl)

    @rule(ms=st.one_of(st.integers(0, 50), st.integers(0, 10**5)), works=st.booleans())
    def passes(self, ms: int, works: bool) -> None:
        self.now += ms
        for engine in (*self.writers, *self.hearers):
            while works and engine.expire(self.now, 1000):
                pass

    @rule(arrives=st.booleans())
    def send(self, arrives: bool) -> None:
        for writer, hearer in zip(self.writers, self.hearers, strict=True):
            payload = writer.drain(1 << 20)
            if arrives:
                hearer.merge(payload, self.now)

    @rule()
    def heal(self) -> None:
        """Each hears all that the other has; the model knows nothing of it."""
        for writer, hearer in zip(self.writers, self.hearers, strict=True):
            for _ in range(2):
                hearer.merge(everything(writer, self.now), self.now)
                writer.merge(everything(hearer, self.now), self.now)
            self.check(hearer)

    @invariant()
    def shown(self) -> None:
        for engine in self.writers:
            self.check(engine)

    def check(self, engine: Engine) -> None:
        for key in KEYS:
            there, entry = self.there(key), engine.peek(0, key, self.now)
            assert (entry is None) is (there is None)
            if entry is None or there is None:
                continue
            assert (entry.kind, entry.deadline_ms) == (there.kind, there.deadline_ms)
            if there.kind:
                members = engine.members(0, key, 0, 100, self.now).members
                assert {one.name: (one.value, one.deadline_ms if one.own else None) for one in members} == there.seen(
                    self.now
                )
                assert entry.length == len(members)


TestCollections = Collections.TestCase
TestCollections.settings = settings(stateful_step_count=30, max_examples=60, deadline=None)


def replayed(*steps: tuple[str, dict[str, object]]) -> None:
    machine = Collections()
    for step, arguments in steps:
        getattr(machine, step)(**arguments)
        machine.shown()


@pytest.mark.parametrize("name", ENGINES)
def test_what_a_third_node_has_put_into_the_new_one_stays_too(name: str) -> None:
    """It heard of the new head alone, not that the old one was let go of."""
    writer, _hearer, third = nodes = [ENGINES[name](SETTINGS._replace(node=node)) for node in (1, 2, 3)]

    def meet(*some: Engine) -> None:
        for _ in range(2):
            for one in some:
                for other in some:
                    other.merge(everything(one, now), now)

    for engine in nodes:
        engine.track(7, NOW)
    now = NOW
    writer.found(0, b"a", HASH, now + 1_000, False, now)
    writer.put_member(0, b"a", b"f", b"old", now + 2_000, now)
    meet(*nodes)
    now = NOW + 5
    writer.let_go(0, b"a", now, b"del")
    writer.found(0, b"a", HASH, now + 3_000, False, now)
    writer.put_member(0, b"a", b"f", b"new", now + 2_500, now)
    meet(writer, third)
    third.put_member(0, b"a", b"g", b"other", now + 2_500, now)
    now = NOW + 1_001
    meet(*nodes)
    for engine in nodes:
        assert {one.name: one.value for one in engine.members(0, b"a", 0, 9, now).members} == {
            b"f": b"new", b"g": b"other",
        }  # fmt: skip


@pytest.mark.parametrize("works", [False, True])
@pytest.mark.parametrize("renewed", ["let_go", "store", "retime"])
def test_the_end_of_an_old_collection_elsewhere_clears_nothing_of_one_begun_before_it(
    renewed: str, works: bool
) -> None:
    """The hearer knows the old one alone, which ends there while the new one, or its longer life, is on its way."""
    put: dict[str, object] = {"key": b"a", "kind": HASH, "name": b"f", "value": b"", "own": 2_000}
    anew: dict[str, list[tuple[str, dict[str, object]]]] = {
        "let_go": [("let_go", {"key": b"a"})],
        "store": [("store", {"key": b"a", "ttl": 1}), ("passes", {"ms": 1, "works": works})],
        "retime": [("retime", {"key": b"a", "ttl": 3_000})],
    }
    replayed(
        ("put", put | {"ttl": 1_000}), ("heal", {}), *anew[renewed], ("put", put | {"value": b"new", "ttl": 2_000}),
        ("passes", {"ms": 1_000, "works": works}), ("heal", {}),
        ("passes", {"ms": 100, "works": works}), ("heal", {}),
    )  # fmt: skip
