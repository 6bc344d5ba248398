"""A decision holds when a majority has accepted it: promises first, then the newest of them, then the run."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from respram.gossip.agreement import pack_said
from respram.gossip.forwarding import Request
from respram.gossip.majority import Majority
from respram.gossip.policy import Policy, Said
from respram.record import Record, pack, unpack
from respram.slots import pack_keys, slot_of
from respram.stamp import from_ms
from respram.wire.messages import (
    ACCEPT,
    BELOW,
    GIVEN,
    PREPARE,
    RUN,
    SILENT,
    Ballot,
    Bye,
    Forward,
    Vote,
)

from .rig import ME, Bench, hello, member

OTHER, THIRD = 0x200, 0x300
KEY = b"lock"
KEYS = pack_keys([KEY])
POLICY = Policy(enclave_size=3)


def voting(others: tuple[int, ...] = (OTHER, THIRD)) -> Bench:
    bench = Bench(POLICY)
    bench.core.promises.votes = True
    for link, number in enumerate(others, 1):
        bench.meet(link, member(number))
    bench.forget()
    return bench


def majority(bench: Bench) -> Majority:
    return bench.core.majority


def called(bench: Bench, call: Callable[[Callable[[bool], None]], None]) -> list[bool]:
    """What `then` is called with, as it comes."""
    told: list[bool] = []
    bench.core.now = bench.now
    call(told.append)
    bench.take(bench.core._taken())
    return told


def prepare(bench: Bench, number: int = 1) -> list[bool]:
    return called(bench, lambda then: majority(bench).prepare(0, number, 0, KEYS, then))


def accept(bench: Bench, number: int = 1) -> list[bool]:
    record = bench.engine.fetch(0, KEY, bench.now.wall_ms)
    return called(bench, lambda then: majority(bench).accept(0, number, [record], lambda given, found: then(given)))


def asked(bench: Bench, link: int) -> Ballot:
    return bench.sent(Ballot, link)[-1]


def record(bench: Bench, value: bytes, clock: int, node: int = THIRD) -> bytes:
    return pack(Record(0, KEY, value, clock, node, bench.now.wall_ms + 60_000))


def value(bench: Bench) -> bytes | None:
    entry = bench.engine.lookup(0, KEY, bench.now.wall_ms)
    return None if entry is None else entry.value


def reigning() -> Bench:
    """It has decided about the key once."""
    bench = voting()
    prepare(bench)
    bench.say(1, Vote(asked(bench, 1).number, GIVEN, 0, b""))
    bench.write(KEY, b"mine")
    told = accept(bench)
    bench.say(1, Vote(asked(bench, 1).number, GIVEN, 0, b""))
    assert told == [True]
    bench.forget()
    return bench


def test_it_may_be_run_when_a_majority_has_promised_and_by_the_newest_that_one_of_them_holds() -> None:
    bench = voting()
    bench.write(KEY, b"old")
    told = prepare(bench)
    assert told == [] and asked(bench, 1) == asked(bench, 2) and asked(bench, 1).kind == PREPARE
    newer = majority(bench).low - 1
    bench.say(2, Vote(asked(bench, 2).number, GIVEN, 0, record(bench, b"new", newer)))
    assert told == [True] and value(bench) == b"new"
    [stamped] = unpack(bench.engine.fetch(0, KEY, bench.now.wall_ms))
    assert stamped.node == ME and stamped.clock >= asked(bench, 1).low, "what an earlier reign left may lie between"


def test_the_client_is_answered_when_a_majority_has_accepted_and_a_second_decision_costs_one_exchange() -> None:
    bench = voting()
    prepare(bench)
    bench.say(1, Vote(asked(bench, 1).number, GIVEN, 0, b""))
    bench.write(KEY, b"mine")
    told = accept(bench)
    ballot = asked(bench, 2)
    assert told == [] and ballot.kind == ACCEPT and next(iter(unpack(ballot.records))).value is not None
    bench.say(2, Vote(ballot.number, GIVEN, 0, b""))
    assert told == [True] and majority(bench).chosen == 1
    bench.forget()
    assert prepare(bench, 2) == [True] and not bench.sent(Ballot)


def test_after_a_while_without_decisions_promises_are_asked_for_again() -> None:
    bench = reigning()
    bench.wait(POLICY.reign_ms)
    bench.forget()
    assert prepare(bench, 2) == [] and asked(bench, 1).kind == PREPARE


def test_without_a_majority_in_sight_or_a_vote_of_its_own_nothing_is_begun() -> None:
    bench = voting(others=())
    assert prepare(bench) == [False] and majority(bench).short == 1
    bench = voting()
    bench.core.promises.votes = False
    assert prepare(bench) == [False] and not bench.sent(Ballot)


def test_who_has_promised_a_later_reign_says_so_and_the_next_one_begins_above_it() -> None:
    bench = voting()
    told = prepare(bench)
    bound = asked(bench, 1).high + from_ms(500)
    bench.say(1, Vote(asked(bench, 1).number, BELOW, bound, b""))
    assert told == [], "the others may be a majority"
    bench.say(2, Vote(asked(bench, 2).number, SILENT, 0, b""))
    assert told == [False] and majority(bench).low == bound + 1
    bench.forget()
    assert prepare(bench) == [False] and not bench.sent(Ballot), "this clock is not there yet"
    bench.wait(POLICY.reign_ms + 501)
    bench.forget()
    assert prepare(bench) == [] and asked(bench, 1).low == bound + 1


def test_what_was_run_and_is_not_accepted_in_time_is_not_known() -> None:
    bench = reigning()
    prepare(bench, 2)
    bench.write(KEY, b"again")
    told = accept(bench, 2)
    bench.wait(POLICY.forward_ms - 1)
    assert told == [] and len(bench.sent(Ballot, 1)) > 2, "it is sent again and again"
    bench.wait(POLICY.forward_turn_ms * 2)
    assert told == [False] and majority(bench).lost == 1


def test_a_vote_counts_once_and_a_late_one_not_at_all() -> None:
    bench = Bench(replace(POLICY, enclave_size=5))
    bench.core.promises.votes = True
    for link, number in enumerate((OTHER, THIRD, 0x400, 0x500), 1):
        bench.meet(link, member(number))
    told = prepare(bench)
    vote = Vote(asked(bench, 1).number, GIVEN, 0, b"")
    bench.say(1, vote, vote)
    assert told == []
    bench.say(2, vote)
    assert told == [True]
    bench.say(3, vote)
    assert told == [True]


def test_what_the_store_cannot_keep_is_no_promise_to_decide_by() -> None:
    bench = voting()
    told = prepare(bench)
    ahead = record(bench, b"new", from_ms(bench.now.wall_ms + 60_000))
    bench.say(1, Vote(asked(bench, 1).number, GIVEN, 0, ahead))
    assert told == []


def test_what_cannot_be_stamped_anew_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = voting()
    bench.write(KEY, b"old")
    told = prepare(bench)
    monkeypatch.setattr(Majority, "take", lambda self, link, records, then: then(link != 0))  # as in a full store
    bench.say(1, Vote(asked(bench, 1).number, GIVEN, 0, b""))
    assert told == [False] and not majority(bench).tickets


@pytest.mark.parametrize("size", [0, 5, 3])
def test_no_home_is_asked_that_decides_alone_or_by_another_majority(size: int) -> None:
    bench = Bench(POLICY)
    bench.core.promises.votes = True
    terms = POLICY.terms
    bench.take(bench.core.opened(1, b"", bench.now))
    bench.say(1, hello(member(OTHER), settings=pack_said(Said(terms, terms, terms, enclave_size=size))))
    theirs = next(key for key in map(b"%d".__mod__, range(1_000)) if bench.core.homes.home_of(slot_of(key)) == OTHER)
    token, effects = bench.core.forward(Request(RUN, 0, 2, b"", b"", pack_keys([theirs]), b"", b""), bench.now)
    bench.take(effects)
    assert token and bool(bench.sent(Forward, 1)) == (size == 3)


# -- who votes --------------------------------------------------------------------------------------------
def reign(bench: Bench, kind: int, low: int, records: bytes = b"", number: int = 7) -> Ballot:
    return Ballot(number, kind, 3, low, low + from_ms(1_000), 0, KEYS, records)


def test_who_votes_promises_and_says_what_it_holds() -> None:
    bench = voting()
    bench.write(KEY, b"held")
    low = from_ms(bench.now.wall_ms)
    bench.say(1, reign(bench, PREPARE, low))
    [vote] = bench.sent(Vote, 1)
    assert vote == Vote(7, GIVEN, 0, bench.engine.fetch(0, KEY, bench.now.wall_ms))
    bench.say(2, reign(bench, PREPARE, low + 1))
    assert bench.sent(Vote, 2) == [Vote(7, BELOW, low + from_ms(1_000), b"")]


def test_a_reign_far_ahead_is_promised_nothing_and_sets_nobody_back() -> None:
    """All others could decide nothing until then."""
    bench = voting()
    low = from_ms(bench.now.wall_ms)
    bench.say(1, replace(reign(bench, PREPARE, low), high=(1 << 64) - 1))
    assert bench.sent(Vote, 1) == [Vote(7, SILENT, 0, b"")] and not bench.core.promises.by_slot
    bench.forget()
    told = prepare(bench)
    began = majority(bench).low
    for link in (1, 2):
        bench.say(link, Vote(asked(bench, link).number, BELOW, (1 << 64) - 1, b""))
    assert told == [False] and majority(bench).low == began
    bench.forget()
    assert prepare(bench) == [] and asked(bench, 1).low == began, "it asks again"


@pytest.mark.parametrize(("low", "high"), [(0, 5), (6, 5)])
def test_a_reign_that_cannot_be_ends_its_link(low: int, high: int) -> None:
    bench = voting()
    bench.say(1, replace(reign(bench, PREPARE, 1), low=low, high=high))
    assert 1 in bench.hangups()


def test_what_is_to_be_accepted_below_a_promise_is_not_even_merged() -> None:
    bench = voting()
    low = from_ms(bench.now.wall_ms)
    bench.say(1, reign(bench, PREPARE, low))
    bench.say(2, reign(bench, ACCEPT, low - 1, record(bench, b"late", low + 5), number=8))
    assert bench.sent(Vote, 2)[0].outcome == BELOW and value(bench) is None
    bench.say(1, reign(bench, ACCEPT, low, record(bench, b"right", low + 6, OTHER), number=9))
    assert bench.sent(Vote, 1)[-1] == Vote(9, GIVEN, 0, b"") and value(bench) == b"right"


def test_who_was_promised_something_else_meanwhile_does_not_decide() -> None:
    bench = reigning()
    bench.say(1, reign(bench, PREPARE, max(majority(bench).held.values()) + 1))
    bench.forget()
    assert prepare(bench, 2) == [False] and not bench.sent(Ballot)
    assert not majority(bench).may_run(0, 2)


def test_a_run_that_waited_for_its_turn_is_not_run_when_its_promise_has_ended() -> None:
    bench = reigning()
    assert prepare(bench, 2) == [True]
    assert bench.core.may_run(0, 2, bench.now)
    bench.ms += POLICY.reign_ms
    assert not bench.core.may_run(0, 2, bench.now)


def test_who_does_not_vote_or_counts_others_says_nothing() -> None:
    bench = voting()
    bench.say(1, replace(reign(bench, PREPARE, 5), size=5))
    bench.core.promises.votes = False
    bench.say(1, reign(bench, PREPARE, 5))
    assert bench.sent(Vote, 1) == [Vote(7, SILENT, 0, b"")] * 2 and not bench.core.promises.by_slot


@pytest.mark.parametrize("wrong", [{"kind": 9}, {"db": 99}, {"keys": b"\xff"}])
def test_a_ballot_that_cannot_be_ends_the_link(wrong: dict[str, object]) -> None:
    bench = voting()
    bench.say(1, replace(reign(bench, PREPARE, 5), **wrong))  # type: ignore[arg-type]
    assert 1 in bench.hangups()


def test_a_vote_on_nothing_is_passed_over() -> None:
    bench = voting()
    bench.say(1, Vote(99, GIVEN, 0, b""))
    assert not bench.hangups()


def test_promises_are_of_slots() -> None:
    bench = voting()
    low = from_ms(bench.now.wall_ms)
    bench.say(1, reign(bench, PREPARE, low), Bye())
    assert set(bench.core.promises.by_slot) == {slot_of(KEY)}
