"""A life is prolonged in two steps: first a majority remembers for as long, under the old value."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from respram.gossip.lengthening import SPARE, decided, packed_all, prolonged, reserved, stamp_of
from respram.record import HASH, Record, pack, unpack
from respram.wire.messages import ACCEPT, GIVEN, Ballot, Vote

from .rig import ME, Bench
from .test_majority import KEY, KEYS, POLICY, accept, asked, called, majority, prepare, reigning, value

OLD = Record(0, KEY, b"old", 10, 1, 1_000)
NEW = replace(OLD, value=b"new", clock=20, deadline_ms=3_000)


def pairs(old: Record, new: Record) -> list[tuple[Record, Record]]:
    return prolonged([pack(old)], [pack(new)])


def test_a_string_that_lives_longer_than_anybody_remembers_is_found() -> None:
    assert pairs(OLD, NEW) == [(OLD, NEW)]
    assert not pairs(replace(OLD, shadow_ms=3_000), NEW), "who holds the old record remembers for long enough"
    assert not pairs(OLD, replace(NEW, deadline_ms=1_000))
    assert not prolonged([b""], [pack(NEW)]), "what comes up late was decided late"
    assert not pairs(replace(OLD, value=None), NEW) and not pairs(OLD, replace(NEW, kind=HASH, value=b""))
    assert not pairs(replace(OLD, db=1), NEW) and not pairs(OLD, replace(NEW, value=None))
    both = b"".join(map(pack, (NEW, replace(NEW, key=b"other"))))
    assert prolonged([pack(OLD)], [b"", both]) == [(OLD, NEW)]


def test_the_old_value_is_remembered_for_an_eighth_longer_than_the_new_one_lives() -> None:
    one = reserved((OLD, NEW), 21, ME, 1_400)
    assert one == replace(OLD, clock=21, node=ME, shadow_ms=3_000 + 1_600 // SPARE)
    new = decided((OLD, NEW), 22, ME, one.shadow_ms)
    assert new == replace(NEW, clock=22, node=ME, shadow_ms=one.shadow_ms)
    assert stamp_of(packed_all([new])) == (22, ME) and stamp_of(b"") == (0, 0)


# -- in two steps -----------------------------------------------------------------------------------------
def run(bench: Bench, number: int, text: bytes, ttl_ms: int) -> list[tuple[bool, list[bytes]]]:
    """As a server does: the record is made, and goes nowhere before the core has seen it."""
    assert bench.core.may_run(0, number, bench.now)
    bench.engine.store(0, KEY, text, bench.now.wall_ms + ttl_ms, False, bench.now.wall_ms, b"set")
    records = [bench.engine.fetch(0, KEY, bench.now.wall_ms)]
    told: list[tuple[bool, list[bytes]]] = []

    def accept_it(then: Callable[[bool], None]) -> None:
        majority(bench).accept(0, number, records, lambda given, found: told.append((given, found)))

    called(bench, accept_it)
    bench.core.runs_on(0, number)
    return told


def step(bench: Bench) -> Record:
    ballot = asked(bench, 1)
    assert ballot.kind == ACCEPT
    [record] = unpack(ballot.records)
    return record


def given(bench: Bench) -> None:
    bench.say(1, Vote(asked(bench, 1).number, GIVEN, 0, b""))


def prolonging() -> tuple[Bench, list[tuple[bool, list[bytes]]]]:
    bench = reigning()
    assert prepare(bench, 2) == [True]
    return bench, run(bench, 2, b"longer", 900_000)


def test_a_majority_remembers_the_end_before_anybody_has_the_new_record() -> None:
    bench, told = prolonging()
    first = step(bench)
    end_ms = bench.now.wall_ms + 900_000
    assert first.value == b"mine" and first.deadline_ms < end_ms < first.shadow_ms and value(bench) == b"mine"
    assert bench.engine.drain(1 << 20) == pack(first), "nor does it leave by gossip"
    given(bench)
    second = step(bench)
    assert told == [] and second.value == b"longer" and second.deadline_ms == end_ms and second.stamp > first.stamp
    assert second.shadow_ms == first.shadow_ms
    given(bench)
    assert told == [(True, [pack(second)])] and value(bench) == b"longer" and majority(bench).chosen == 2


def test_the_next_that_is_a_little_longer_costs_one_exchange() -> None:
    bench, _ = prolonging()
    given(bench)
    given(bench)
    bench.forget()
    assert prepare(bench, 3) == [True]
    told = run(bench, 3, b"again", 910_000)
    assert step(bench).value == b"again"
    given(bench)
    assert told[0][0] and len(bench.sent(Ballot, 1)) == 1


def test_others_about_the_key_wait_until_it_is_done() -> None:
    bench, told = prolonging()
    assert prepare(bench, 3) == [True] and not bench.core.may_run(0, 3, bench.now)
    given(bench)
    assert not bench.core.may_run(0, 3, bench.now)
    given(bench)
    assert told and bench.core.may_run(0, 3, bench.now)


@pytest.mark.parametrize("steps", [0, 1])
def test_what_is_not_accepted_is_not_known_and_the_next_need_not_wait(steps: int) -> None:
    bench, told = prolonging()
    for _ in range(steps):
        given(bench)
    bench.wait(POLICY.forward_ms + POLICY.forward_turn_ms * 2)
    assert [one for one, _ in told] == [False] and not majority(bench).prolonging and majority(bench).lost == 1
    assert value(bench) == (b"longer" if steps else b"mine")


def test_a_blind_write_in_between_is_the_newest() -> None:
    bench, told = prolonging()
    bench.write(KEY, b"blind")
    given(bench)
    assert step(bench).value == b"blind"
    given(bench)
    assert told[0][0] and value(bench) == b"blind"


@pytest.mark.parametrize("kept", [0, 1])
def test_what_the_store_does_not_keep_is_not_known(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = reigning()
    assert prepare(bench, 2) == [True]
    right = majority(bench).take
    takes: list[bytes] = []

    def take(one: object, link: int, records: bytes, then: Callable[[bool], None]) -> None:
        takes.append(records)
        if len(takes) > kept:
            then(False)  # as in a full store
        else:
            right(link, records, then)

    with monkeypatch.context() as patch:
        patch.setattr(type(majority(bench)), "take", take)
        told = run(bench, 2, b"longer", 900_000)
        if kept:
            given(bench)
    assert [one for one, _ in told] == [False] and len(takes) == kept + 1 and not majority(bench).prolonging


def test_a_reign_that_ends_between_the_steps_ends_the_decision() -> None:
    bench, told = prolonging()
    majority(bench).low += 1
    given(bench)
    assert [one for one, _ in told] == [False] and value(bench) == b"mine"


def test_a_run_that_goes_on_is_not_compared_with_what_was_there() -> None:
    """Others may have written meanwhile, and the old value would be theirs no more."""
    bench = reigning()
    assert prepare(bench, 2) == [True] and bench.core.may_run(0, 2, bench.now)
    bench.core.runs_on(0, 2)
    bench.write(KEY, b"by a long script", ttl_ms=900_000)
    assert accept(bench, 2) == [] and step(bench).value == b"by a long script"
    assert asked(bench, 1).keys == KEYS

