"""The keyspace against a model: a dict of deadlines. And merging against its algebra."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from respram.engine.api import Engine
from respram.record import Record, pack, unpack
from tests import dear

from .conftest import ENGINES
from .rig import NOW, SETTINGS

KEYS = [b"a", b"b", b"c", b"", b"long" * 40]
key = st.sampled_from(KEYS)
db = st.sampled_from([0, 15])
ttl = st.one_of(st.integers(1, 40), st.integers(1, 5000), st.integers(1, 10**8))


class Forgetting(RuleBasedStateMachine):
    """Stores, retimes and lets time pass, on every engine at once; each must show the model's state."""

    def __init__(self) -> None:
        super().__init__()
        self.engines: list[Engine] = [make(SETTINGS) for make in ENGINES.values()]
        self.model: dict[tuple[int, bytes], tuple[bytes, int]] = {}
        self.now = NOW

    @rule(db=db, key=key, value=st.binary(max_size=80), ttl=ttl)
    def store(self, db: int, key: bytes, value: bytes, ttl: int) -> None:
        for engine in self.engines:
            engine.store(db, key, value, self.now + ttl, False, self.now, b"set")
        self.model[db, key] = (value, self.now + ttl)

    @rule(db=db, key=key, ttl=ttl)
    def retime(self, db: int, key: bytes, ttl: int) -> None:
        known = (db, key) in self.model
        for engine in self.engines:
            assert engine.retime(db, key, self.now + ttl, False, self.now, b"expire") is known
        if known:
            self.model[db, key] = (self.model[db, key][0], self.now + ttl)

    @rule(db=db, key=key)
    def let_go(self, db: int, key: bytes) -> None:
        known = self.model.pop((db, key), None) is not None
        for engine in self.engines:
            assert engine.let_go(db, key, self.now, b"del") is known

    @rule(ms=st.one_of(st.integers(0, 50), st.integers(0, 10**7)))
    def wait(self, ms: int) -> None:
        self.now += ms
        self.model = {name: kept for name, kept in self.model.items() if kept[1] > self.now}

    @rule(budget=st.integers(1, 1000))
    def expire(self, budget: int) -> None:
        for engine in self.engines:
            engine.expire(self.now, budget)

    @invariant()
    def shows_the_model(self) -> None:
        for engine in self.engines:
            for db in (0, 15):
                here = {name[1]: kept for name, kept in self.model.items() if name[0] == db}
                assert engine.count(db, self.now) == len(here)
                for key in KEYS:
                    entry = engine.lookup(db, key, self.now)
                    assert (entry and (entry.value, entry.deadline_ms)) == here.get(key)
                assert sorted(walk(engine, db, self.now)) == sorted(here)

    def teardown(self) -> None:
        for engine in self.engines:
            for _ in range(50):
                self.now += 10**8
                while engine.expire(self.now, 100):
                    pass
            counters = engine.counters()
            assert (counters["records"], counters["stubs"]) == (0, 0), engine.name


@pytest.mark.parametrize("examples", dear.first(1, (20, 60)))
def test_engines_forget_as_the_model_does(examples: int) -> None:
    run_state_machine_as_test(
        Forgetting, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )


version = st.builds(
    Record,
    db=db,
    key=st.sampled_from([b"a", b"b"]),
    value=st.binary(max_size=5),
    clock=st.integers(NOW - 3, NOW + 3).map(lambda ms: ms << 16),
    node=st.integers(1, 3),
    deadline_ms=st.integers(NOW + 1, NOW + 60),
    implicit=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(version, min_size=1, max_size=8), st.integers(0, 2**32), st.integers(0, 70))
def test_merging_commutes_and_repeats_without_effect(versions: list[Record], seed: int, later: int) -> None:
    """Invariant 5: any order, any number of times, one state; also when time passed between."""
    by_stamp = {(one.db, one.key, one.stamp): one for one in versions}  # stamps are unique
    payloads = [pack(one) for one in by_stamp.values()]
    shuffled = payloads * 2
    random.Random(seed).shuffle(shuffled)
    for make in ENGINES.values():
        first, second = make(SETTINGS), make(SETTINGS)
        first.merge(b"".join(payloads), NOW)
        for payload in shuffled:
            second.merge(payload, NOW)
        assert state(first) == state(second)
        first.expire(NOW + later, 1000)
        before = visible(first, NOW + later)
        for payload in shuffled:
            first.merge(payload, NOW + later)
        assert visible(first, NOW + later) == before


def state(engine: Engine) -> list[Record]:
    records = [record for db in (0, 15) for packed in engine.records(db) for record in unpack(packed)]
    return sorted(records, key=lambda record: (record.db, record.key))


def visible(engine: Engine, now_ms: int) -> dict[tuple[int, bytes], bytes]:
    entries = {(db, key): engine.lookup(db, key, now_ms) for db in (0, 15) for key in (b"a", b"b")}
    return {name: entry.value for name, entry in entries.items() if entry is not None}


def walk(engine: Engine, db: int, now_ms: int) -> list[bytes]:
    keys: set[bytes] = set()
    cursor = 0
    for _ in range(10_000):
        step = engine.scan(db, cursor, 3, now_ms)
        keys |= set(step.keys)
        cursor = step.cursor
        if not cursor:
            return list(keys)
    raise AssertionError("a walk that does not end")
