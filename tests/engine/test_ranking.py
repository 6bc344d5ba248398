"""The order of sorted sets through the engine's contract: whatever became of the members, the ranks are those of a
sorted list.
"""

from math import inf

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from respram.engine import make
from respram.engine.api import Engine
from respram.engine.ranking import Item
from respram.engine.scores import score_of, with_score
from respram.record import SPACES, ZSET

from .conftest import ENGINES
from .rig import NOW, RING, SETTINGS

HOUR = 3_600_000
names = st.binary(max_size=2) | st.sampled_from([b"x" * 300, b"y" * 5_000])
scores = st.sampled_from([0.0, 1.0, -1.0, 0.5, inf, -inf, 1e300])
tails = st.sampled_from([b"", b"", b"", b"z" * 40, b"z" * 700])  # a member's value may be longer than its score
lives = st.sampled_from([None, None, None, 40, 5_000, 2 * HOUR])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), names, scores, tails, lives),
        st.tuples(st.just("put"), names, scores, tails, lives),
        st.tuples(st.just("put"), names, scores, tails, lives),
        st.tuples(st.just("let go"), names),
        st.tuples(st.just("let all go")),
        st.tuples(st.just("retime"), st.sampled_from([60, 10_000, HOUR, 3 * HOUR])),
        st.tuples(st.just("overwrite")),
        st.tuples(st.just("wait"), st.sampled_from([1, 50, 6_000, 2 * HOUR])),
        st.tuples(st.just("track")),
        st.tuples(st.just("tell")),
    ),
    max_size=60,
)


def check(engine: Engine, now_ms: int, key: bytes = b"z") -> None:
    items: list[Item] = sorted(
        (score_of(member.value), member.name) for member in engine.members(0, key, 0, 1 << 20, now_ms).members
    )
    assert engine.ranked(0, key, 0, 1 << 20, False, now_ms) == items
    assert engine.ranked(0, key, max(len(items) - 1, 0), 1 << 20, True, now_ms) == items[::-1]
    for rank, (score, name) in enumerate(items):
        assert engine.place(0, key, score, name, False, now_ms) == rank
        assert engine.place(0, key, score, name, True, now_ms) == rank + 1
        assert engine.place(0, key, score, None, False, now_ms) == sum(its < score for its, _ in items)
        assert engine.place(0, key, score, None, True, now_ms) == sum(its <= score for its, _ in items)
    entry = engine.peek(0, key, now_ms)
    assert (0 if entry is None or entry.kind != ZSET else entry.length) == len(items)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("name", ENGINES)
@given(script=steps)
@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranks_are_those_of_a_sorted_list_whatever_becomes_of_the_members(
    name: str, sealed: bool, script: list[tuple[object, ...]]
) -> None:
    engine, peer = (make(name, SETTINGS._replace(node=node)) for node in (1, 2))
    if sealed:
        for one in (engine, peer):
            one.use_seals(RING, True)
    now_ms, tracked = NOW, False
    for what, *given_ in script:
        entry = engine.peek(0, b"z", now_ms)
        if what == "put":
            member, score, tail, life = given_
            assert isinstance(member, bytes) and isinstance(score, float) and isinstance(tail, bytes)
            if entry is None or entry.kind != ZSET:
                engine.found(0, b"z", ZSET, now_ms + HOUR, True, now_ms)
            engine.put_member(
                0, b"z", member, with_score(score, tail), None if life is None else now_ms + int(str(life)), now_ms
            )
        elif what == "let go":
            assert isinstance(given_[0], bytes)
            engine.let_go_member(0, b"z", given_[0], now_ms)
        elif what == "let all go":
            engine.let_go(0, b"z", now_ms, b"del")
        elif what == "retime":
            engine.retime(0, b"z", now_ms + int(str(given_[0])), False, now_ms, b"expire")
        elif what == "overwrite":
            engine.store(0, b"z", b"text", now_ms + HOUR, True, now_ms, b"set")
        elif what == "wait":
            now_ms += int(str(given_[0]))
            for _ in range(4):
                engine.expire(now_ms, 1_000)
        elif what == "track" and not tracked:
            tracked = True
            engine.track(7, now_ms)
        elif what == "tell":
            peer.merge(engine.drain(1 << 30), now_ms)
            check(peer, now_ms)
        check(engine, now_ms)
    peer.expire(now_ms, 1_000)
    peer.merge(b"".join(record for space in range(SPACES) for record in engine.records(space)), now_ms)
    check(peer, now_ms)


@pytest.mark.parametrize("name", ENGINES)
def test_the_order_of_many_takes_little_memory_and_gives_it_back(name: str) -> None:
    engine = make(name, SETTINGS._replace(outbox_bytes_max=0))
    engine.found(0, b"z", ZSET, NOW + HOUR, True, NOW)
    for number in range(20_000):
        engine.put_member(0, b"z", b"m%05d" % number, with_score(float(number * 7919 % 20_000)), None, NOW)
    assert engine.ranked(0, b"z", 12_345, 3, False, NOW) == [
        (float(score), b"m%05d" % (score * 17_679 % 20_000)) for score in range(12_345, 12_348)
    ]
    full = engine.used_bytes()
    engine.let_go(0, b"z", NOW, b"del")
    assert engine.ranked(0, b"z", 0, 10, False, NOW) == []
    calls = 0
    while engine.expire(NOW, 500):
        calls += 1
    assert 20_000 / 500 <= calls <= 200  # what was let go of is remembered, and nothing else of it
    while engine.expire(NOW + 2 * HOUR, 500):
        calls += 1
    assert engine.used_bytes() < full / 10


@pytest.mark.parametrize("name", ENGINES)
def test_where_there_is_no_sorted_set_there_is_no_rank(name: str) -> None:
    engine = make(name, SETTINGS)
    engine.store(0, b"text", b"v", NOW + HOUR, True, NOW, b"set")
    for key in (b"text", b"no"):
        assert engine.ranked(0, key, 0, 5, False, NOW) == [] and engine.place(0, key, 1.0, b"a", True, NOW) == 0
    engine.found(0, b"z", ZSET, NOW + HOUR, True, NOW)
    assert engine.ranked(0, b"z", 0, 5, True, NOW) == [] and engine.ranked(0, b"z", -1, 5, False, NOW) == []
