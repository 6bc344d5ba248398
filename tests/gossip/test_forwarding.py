"""Forwards: run once whatever is lost, refused by who is not the home, and never decided by two views."""

from dataclasses import replace

import pytest

from respram.gossip.effects import Decided, Dial, Merge, Send, Serve
from respram.gossip.forwarding import ANSWERED, APART, CLOSED, NOTHING, UNKNOWN, Request
from respram.gossip.members import DEAD, LEFT, pack_member
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.slots import pack_keys, slot_of
from respram.wire.messages import (
    ALONE,
    CLOSES,
    DONE,
    FORGOTTEN,
    LATER,
    NOT_HOME,
    PART,
    RECORDS_KIND,
    RUN,
    TOGETHER,
    Answer,
    Bye,
    Forward,
    Members,
    Push,
)

from .rig import ME, Bench, member

OTHER, THIRD = 0x200, 0x300
INCR = b"*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"


def pair(*others: int) -> Bench:
    bench = Bench()
    for link, number in enumerate(others or (OTHER,), 1):
        bench.meet(link, member(number))
    bench.wait(260)
    bench.forget()
    return bench


def key_of(bench: Bench, number: int, skip: int = 0) -> bytes:
    found = (key for key in (b"k%d" % n for n in range(1_000)) if bench.core.homes.home_of(slot_of(key)) == number)
    return [next(found) for _ in range(skip + 1)][-1]


def ask(bench: Bench, *keys: bytes, kind: int = RUN, commands: bytes = INCR) -> int:
    token, effects = bench.core.forward(Request(kind, 0, 2, b"", b"", pack_keys(keys), b"", commands), bench.now)
    bench.take(effects)
    return token


def forward(
    number: int, *keys: bytes, below: int = 1, again: int = 0, kind: int = RUN, records: bytes = b""
) -> Forward:
    return Forward(number, below, kind, again, 0, 2, b"", b"", pack_keys(keys), b"", records, INCR)


def decided(bench: Bench) -> list[Decided]:
    return [one for one in bench.effects if isinstance(one, Decided)]


def serves(bench: Bench) -> list[Serve]:
    return [one for one in bench.effects if isinstance(one, Serve)]


def serve(
    bench: Bench,
    number: int,
    replies: bytes = b":1\r\n",
    records: tuple[bytes, ...] = (),
    outcome: int = DONE,
    who: int = OTHER,
) -> None:
    bench.take(bench.core.served(who, number, outcome, replies, list(records), bench.now))


def packed(value: bytes, key: bytes = b"k", later: int = 0) -> bytes:
    return pack(Record(0, key, value, (EPOCH_MS << 16) + later, 9, EPOCH_MS + 60_000))


# -- where the client is ------------------------------------------------------------------------------
def test_what_another_decides_goes_to_it_and_its_records_are_merged_before_the_client_hears() -> None:
    bench = pair()
    token = ask(bench, key_of(bench, OTHER))
    (sent,) = bench.sent(Forward, 1)
    assert (sent.number, sent.below, sent.again, sent.commands, sent.records) == (1, 1, 0, INCR, b"")
    bench.say(1, Answer(1, DONE, OTHER, b":7\r\n", packed(b"7")))
    merge = next(number for number, one in enumerate(bench.effects) if isinstance(one, Merge))
    assert bench.effects.index(Decided(token, ANSWERED, b":7\r\n")) > merge
    assert not bench.core.forwarding.open and not bench.core.forwarding.under_way and not bench.core.forwarding.bytes_to


def test_what_is_decided_here_is_run_here() -> None:
    bench = pair()
    token = ask(bench, key_of(bench, ME))
    (one,) = serves(bench)
    assert one.who == 0 and not bench.sent(Forward)
    serve(bench, one.forward.number, who=0)
    assert decided(bench) == [Decided(token, ANSWERED, b":1\r\n")]


def test_a_home_that_has_another_view_is_believed_and_the_number_is_a_new_one() -> None:
    bench = pair(OTHER, THIRD)
    token = ask(bench, key_of(bench, OTHER))
    bench.say(1, Answer(1, NOT_HOME, THIRD, b"", b""))
    (again,) = bench.sent(Forward, 2)
    assert again.number == 2 and not again.again
    bench.say(1, Answer(1, DONE, OTHER, b":9\r\n", b""))
    assert not decided(bench), "an answer to what was refused before"
    bench.say(2, Answer(2, DONE, THIRD, b":1\r\n", b""))
    assert decided(bench) == [Decided(token, ANSWERED, b":1\r\n")]


def test_where_views_never_agree_nothing_is_done_and_the_client_is_told_so() -> None:
    bench = pair()
    token = ask(bench, key_of(bench, OTHER))
    for _ in range(80):
        if not (sent := bench.sent(Forward, 1)) or decided(bench):
            break
        bench.say(1, Answer(sent[-1].number, NOT_HOME, ME, b"", b""))
        bench.wait(25)
    assert decided(bench) == [Decided(token, NOTHING, b"")]
    assert not serves(bench), "nobody but its home decides"


def test_keys_whose_homes_have_parted_are_decided_by_neither() -> None:
    bench = pair(OTHER, THIRD)
    mine, other, third = key_of(bench, ME), key_of(bench, OTHER), key_of(bench, THIRD)
    assert [ask(bench, mine, other), ask(bench, other, third), ask(bench, other, key_of(bench, OTHER, 1))] == [1, 2, 3]
    assert [(one.token, one.outcome) for one in decided(bench)] == [(1, APART), (2, APART)] and not serves(bench)
    bench.say(1, Answer(1, NOT_HOME, THIRD, b"", b""))
    assert decided(bench)[-1] == Decided(3, APART, b""), "it does not say which of them is not its own"


def test_a_home_that_asks_for_patience_is_asked_again() -> None:
    bench = pair()
    token = ask(bench, key_of(bench, OTHER))
    bench.say(1, Answer(1, LATER, OTHER, b"", b""))
    bench.wait(26)
    assert [one.number for one in bench.sent(Forward, 1)] == [1, 2]
    bench.say(1, Answer(2, DONE, OTHER, b":1\r\n", b""))
    assert decided(bench) == [Decided(token, ANSWERED, b":1\r\n")]


def test_without_an_answer_it_is_sent_again_under_its_number_and_ends_unknown() -> None:
    bench = pair()
    token = ask(bench, key_of(bench, OTHER))
    bench.wait(330)
    assert [(one.number, one.again) for one in bench.sent(Forward, 1)] == [(1, 0), (1, 1)]
    bench.wait(1_500)
    assert decided(bench) == [Decided(token, UNKNOWN, b"")]


def test_a_broken_link_is_waited_for_and_the_outcome_is_learnt_on_the_next() -> None:
    bench = pair()
    token = ask(bench, key_of(bench, OTHER))
    bench.say(1, Answer(1, PART, OTHER, b"torn", b""))
    bench.take(bench.core.closed(1, bench.now))
    bench.meet(2, bench.core.book[OTHER])
    bench.wait(60)
    assert [(one.number, one.again) for one in bench.sent(Forward, 2)][:1] == [(1, 1)]
    bench.say(2, Answer(1, PART, OTHER, b":1\r", b""))
    bench.say(2, Answer(1, DONE, OTHER, b"\n", b""))
    assert decided(bench) == [Decided(token, ANSWERED, b":1\r\n")]


def test_a_home_that_stops_in_order_has_run_what_it_answered_and_nothing_else() -> None:
    bench = pair(OTHER, THIRD)
    token = ask(bench, key_of(bench, OTHER))
    (sent,) = bench.sent(Forward, 1)
    bench.say(1, Members(0, pack_member(replace(member(OTHER, ready=False), incarnation=2, status=LEFT))), Bye())
    assert not decided(bench)
    bench.wait(bench.core.policy.settle_ms + bench.core.policy.takeover_ms_max + 50)
    again = [*bench.sent(Forward, 2), *(one.forward for one in serves(bench))]
    assert again and again[-1].number != sent.number, "it is asked elsewhere, under another number"
    if again[-1] in bench.sent(Forward, 2):
        bench.say(2, Answer(again[-1].number, DONE, THIRD, b":1\r\n", b""))
    else:
        serve(bench, again[-1].number, who=0)
    (one,) = decided(bench)
    assert (one.token, one.outcome) == (token, ANSWERED)


def test_what_was_sent_twice_or_answered_in_part_may_have_been_run_by_a_home_that_stops() -> None:
    bench = pair()
    token = ask(bench, key_of(bench, OTHER))
    bench.say(1, Answer(1, PART, OTHER, b"torn", b""), Bye())
    other = pair()
    there = ask(other, key_of(other, OTHER))
    other.take(other.core.closed(1, other.now))
    other.meet(2, other.core.book[OTHER])
    other.wait(60)
    other.say(2, Bye())
    third = pair()
    told = ask(third, key_of(third, OTHER))
    third.say(1, Answer(1, DONE, OTHER, b":7\r\n", b"", behind=9), Bye())  # it was run, and its records are lost
    for one, asked in ((bench, token), (other, there), (third, told)):
        assert not decided(one) and one.core.forwarding.open[asked].number == 1
        one.core.books.learn_member(replace(one.core.book[OTHER], status=DEAD, incarnation=3))
        one.wait(60)
        (over,) = decided(one)
        assert (over.token, over.outcome) == (asked, UNKNOWN)


def test_who_stops_says_of_what_it_still_runs_that_nobody_knows() -> None:
    bench = pair()
    bench.say(1, forward(1, key_of(bench, ME)))
    assert len(serves(bench)) == 1
    bench.take(bench.core.leave(bench.now))
    assert [(one.number, one.outcome) for one in bench.sent(Answer, 1)] == [(1, FORGOTTEN)]


def test_without_a_link_it_is_dialled_and_nothing_was_done_if_it_cannot_be_had() -> None:
    bench = pair()
    key = key_of(bench, OTHER)
    bench.take(bench.core.closed(1, bench.now))
    bench.take(bench.core.dial_failed(bench.core.book.members[OTHER].address, bench.now))
    bench.forget()
    token = ask(bench, key)
    assert any(isinstance(one, Dial) for one in bench.effects)
    bench.wait(1_600)
    assert decided(bench) == [Decided(token, NOTHING, b"")]


def test_a_home_that_dies_leaves_the_outcome_unknown_and_what_was_not_sent_goes_to_the_next() -> None:
    bench = pair(OTHER, THIRD)
    first = ask(bench, key_of(bench, OTHER))
    bench.core.neighbours.links[1].peer.link = None  # type: ignore[union-attr]
    second = ask(bench, key_of(bench, OTHER, 1))
    bench.take(bench.core.introduce([replace(bench.core.book[OTHER], status=DEAD)], bench.now))
    bench.wait(400)
    for one in serves(bench):
        serve(bench, one.forward.number, who=0)
    for sent in bench.sent(Forward, 2):
        bench.say(2, Answer(sent.number, DONE, THIRD, b":1\r\n", b""))
    assert {one.token: one.outcome for one in decided(bench)} == {first: UNKNOWN, second: ANSWERED}


def test_what_was_forgotten_is_unknown_and_what_closes_closes() -> None:
    bench = pair()
    tokens = [ask(bench, key_of(bench, OTHER)) for _ in range(2)]
    bench.say(1, Answer(1, FORGOTTEN, 0, b"", b""), Answer(2, CLOSES, OTHER, b"", b""))
    assert [(one.token, one.outcome) for one in decided(bench)] == [(tokens[0], UNKNOWN), (tokens[1], CLOSED)]


def test_forwards_are_bounded_in_number_and_in_bytes_under_way() -> None:
    bench = pair()
    policy, key = bench.core.policy, key_of(bench, OTHER)
    big = b"x" * (policy.forward_bytes_max // 2)
    ask(bench, key, commands=big)
    ask(bench, key, commands=big)
    ask(bench, key, commands=INCR)
    assert [one.number for one in bench.sent(Forward)] == [1, 2], "one alone may be large; the next waits"
    bench.say(1, Answer(1, DONE, OTHER, b"+OK\r\n", b""))
    bench.wait(26)
    assert len(bench.sent(Forward)) == 3
    while ask(bench, key):
        pass
    assert len(bench.core.forwarding.open) == policy.forwards_max


# -- where the home is --------------------------------------------------------------------------------
def test_a_home_runs_what_it_is_sent_once_and_answers_as_often_as_it_is_asked() -> None:
    bench = pair()
    key = key_of(bench, ME)
    bench.say(1, forward(1, key), forward(1, key, again=1))
    assert len(serves(bench)) == 1 and serves(bench)[0].who == OTHER
    serve(bench, 1, b":1\r\n", (packed(b"1"),))
    bench.say(1, forward(1, key, again=1))
    assert len(serves(bench)) == 1
    assert bench.sent(Answer) == [Answer(1, DONE, ME, b":1\r\n", packed(b"1"))] * 2


def test_who_is_not_the_home_runs_nothing_and_names_who_is() -> None:
    bench = pair(OTHER, THIRD)
    bench.say(1, forward(1, key_of(bench, ME), key_of(bench, THIRD)))
    assert not serves(bench) and bench.sent(Answer) == [Answer(1, NOT_HOME, THIRD, b"", b"")]
    bench.say(1, forward(1, key_of(bench, ME), again=1))
    assert bench.sent(Answer)[-1].outcome == NOT_HOME, "the same number has the same answer, whatever has changed"
    bench.say(1, forward(2, key_of(bench, ME), key_of(bench, THIRD), kind=TOGETHER))
    assert len(serves(bench)) == 1, "of a transaction the first key counts"


def test_a_home_that_has_just_got_its_slots_asks_for_patience() -> None:
    bench = pair()
    key = key_of(bench, OTHER)
    bench.meet(9, member(THIRD))
    bench.take(bench.core.introduce([replace(bench.core.book[OTHER], status=DEAD)], bench.now))
    mine = key if bench.core.homes.is_here(slot_of(key)) else next(
        key_ for key_ in (b"m%d" % n for n in range(1_000)) if slot_of(key_) in bench.core.homes.settling
    )
    bench.forget()
    bench.say(9, forward(1, mine))
    assert [one.outcome for one in bench.sent(Answer)] == [LATER]
    bench.wait(bench.core.policy.settle_ms + bench.core.policy.takeover_ms_max + 50)
    bench.say(9, forward(2, mine))
    assert serves(bench)


@pytest.mark.parametrize("trouble", ["dead", "another view", "dead before"])
def test_what_is_about_one_member_is_asked_of_no_other(trouble: str) -> None:
    """A WAIT for what it wrote: from another home it would count what that one wrote."""
    bench = pair(OTHER, THIRD)
    key = key_of(bench, OTHER)
    dead = replace(bench.core.book[OTHER], status=DEAD)
    if trouble == "dead before":
        bench.take(bench.core.introduce([dead], bench.now))
    request = Request(ALONE, 0, 2, b"", b"", pack_keys([key]), b"", INCR, 3_600_000, only=OTHER)
    token, effects = bench.core.forward(request, bench.now)
    bench.take(effects)
    if trouble == "another view":
        (sent,) = bench.sent(Forward, 1)
        bench.say(1, Answer(sent.number, NOT_HOME, THIRD, b"", b""))
    elif trouble == "dead":
        bench.take(bench.core.introduce([dead], bench.now))
        bench.wait(bench.core.policy.forward_turn_ms * 2)
    (one,) = decided(bench)
    assert one.token == token and one.outcome in (NOTHING, UNKNOWN)
    assert not bench.sent(Forward, 2) and not serves(bench)


def test_a_node_that_joins_is_nobodys_home() -> None:
    bench = Bench(roots=[b"root:7000"])
    bench.meet(1, member(OTHER))
    bench.say(1, forward(1, b"k"))
    assert not serves(bench) and bench.sent(Answer)[-1].outcome == NOT_HOME


def test_records_that_come_along_are_merged_before_the_commands_run() -> None:
    bench = pair()
    key = key_of(bench, ME)
    bench.say(1, forward(1, key, records=packed(b"5", key)))
    kinds = [type(one) for one in bench.effects if isinstance(one, Merge | Serve)]
    assert kinds == [Merge, Serve]


def test_what_is_over_is_not_kept_and_what_is_kept_is_bounded() -> None:
    bench = pair()
    key, policy = key_of(bench, ME), bench.core.policy
    for number in range(1, 11):
        bench.say(1, forward(number, key))
        serve(bench, number)
    bench.say(1, forward(11, key, below=9))
    cache = bench.core.forwarding.answer_caches[OTHER]
    assert list(cache.answers) == [9, 10]
    bench.say(1, forward(3, key, again=1))
    assert bench.sent(Answer)[-1] == Answer(3, FORGOTTEN, 0, b"", b"")
    serve(bench, 11, b"x" * (policy.answer_cache_bytes_max + 1))
    assert not cache.answers and cache.bytes == 0 and cache.forgotten == 11
    bench.say(1, forward(11, key, again=1))
    assert bench.sent(Answer)[-1].outcome == FORGOTTEN and len(serves(bench)) == 11


def test_a_long_answer_comes_in_parts() -> None:
    bench = pair()
    part = bench.core.policy.answer_part_bytes
    bench.say(1, forward(1, key_of(bench, ME)))
    serve(bench, 1, b"a" * part + b"b" * 10, (packed(b"1"), packed(b"2")))
    answers = bench.sent(Answer)
    assert [one.outcome for one in answers] == [PART, PART, PART, DONE]
    assert b"".join(one.replies for one in answers) == b"a" * part + b"b" * 10
    assert [one.records for one in answers if one.records] == [packed(b"1"), packed(b"2")]


# -- what goes before an answer -------------------------------------------------------------------------
def pushed(bench: Bench, number: int, key: bytes, value: bytes = b"7") -> Push:
    return Push(number, 0, OTHER, number, 0, RECORDS_KIND, packed(value, key, later=number))


def held(bench: Bench, key: bytes) -> bytes | None:
    entry = bench.engine.lookup(0, key, bench.now.wall_ms)
    return entry and entry.value


def test_an_answer_behind_a_push_that_is_here_is_given_at_once() -> None:
    bench = pair()
    key = key_of(bench, OTHER)
    token = ask(bench, key)
    bench.say(1, pushed(bench, 1, key), Answer(1, DONE, OTHER, b":7\r\n", b"", behind=1))
    assert decided(bench) == [Decided(token, ANSWERED, b":7\r\n")]
    assert held(bench, key) == b"7"


@pytest.mark.parametrize("comes", [False, True])
def test_an_answer_without_the_push_before_it_is_asked_for_again(comes: bool) -> None:
    """The push was lost, or was overtaken: the client is told nothing that it could not read."""
    bench = pair()
    key = key_of(bench, OTHER)
    token = ask(bench, key)
    bench.say(1, pushed(bench, 1, key))
    bench.say(1, Answer(1, PART, OTHER, b":", b""), Answer(1, DONE, OTHER, b"7\r\n", b"", behind=2))
    assert not decided(bench)
    assert [(one.number, one.again) for one in bench.sent(Forward, 1)] == [(1, 0), (1, 1)], "and at once"
    if comes:
        bench.say(1, pushed(bench, 2, key, b"8"))
        bench.say(1, Answer(1, PART, OTHER, b":", b""), Answer(1, DONE, OTHER, b"8\r\n", b"", behind=2))
    else:
        bench.say(1, Answer(1, PART, OTHER, b":", b""), Answer(1, DONE, OTHER, b"8\r\n", packed(b"8", key, later=9)))
    assert decided(bench) == [Decided(token, ANSWERED, b":8\r\n")]
    assert held(bench, key) == b"8"


def test_a_link_that_is_cut_between_push_and_answer_brings_the_records_on_the_next() -> None:
    bench = pair()
    key = key_of(bench, OTHER)
    token = ask(bench, key)
    bench.say(1, pushed(bench, 1, key))
    bench.take(bench.core.closed(1, bench.now))
    bench.meet(2, bench.core.book[OTHER])
    bench.say(2, Answer(1, DONE, OTHER, b":7\r\n", b"", behind=1))
    assert not decided(bench), "numbers of frames are those of a link"
    bench.say(2, Answer(1, DONE, OTHER, b":7\r\n", packed(b"7", key)))
    assert decided(bench) == [Decided(token, ANSWERED, b":7\r\n")]


def test_who_asks_again_gets_the_records_whatever_went_before_the_first_answer() -> None:
    bench = pair()
    key = key_of(bench, ME)
    bench.say(1, forward(1, key))
    bench.write(key, b"7")
    behind = bench.core.forwarding.pushed_through(OTHER)
    assert behind is not None
    bench.take(bench.core.served(OTHER, 1, DONE, b":7\r\n", [], bench.now, behind))
    (first,) = bench.sent(Answer, 1)
    assert first.behind == bench.sent(Push, 1)[-1].seq and not first.records
    bench.say(1, forward(1, key, again=1))
    again = bench.sent(Answer, 1)[-1]
    assert again.behind == 0 and again.records == bench.engine.fetch(0, key, bench.now.wall_ms)
    assert len(serves(bench)) == 1
    bench.say(1, replace(forward(1, key, again=1), keys=b"\xff\0\0\0k"))
    assert "cut short" in bench.hangups()[1], "the peer's fault, and not one of this node"


@pytest.mark.parametrize("trouble", ["", "no link", "lagging", "window", "buried", "many", "majority"])
def test_it_is_known_when_a_push_may_come_after_an_answer(trouble: str) -> None:
    bench = pair()
    bench.write(b"k")
    peer = bench.core.neighbours.peers[OTHER]
    if trouble == "no link":
        bench.take(bench.core.closed(1, bench.now))
    elif trouble == "lagging":
        peer.lagging_ms = bench.ms
    elif trouble == "window":
        bench.core.policy = replace(bench.core.policy, in_flight_bytes_max=1)
        bench.write(b"k", b"again")
        assert peer.queue
    elif trouble == "buried":
        bench.core.books.learn_member(replace(bench.core.book[OTHER], status=DEAD, incarnation=3))
        bench.core.neighbours.peers[OTHER].link = peer.link
    elif trouble == "many":
        bench.core.policy = replace(bench.core.policy, direct_peers_max=0)
    elif trouble == "majority":
        bench.core.policy = replace(bench.core.policy, enclave_size=3)
    through = bench.core.forwarding.pushed_through(OTHER)
    assert through == (None if trouble else bench.sent(Push, 1)[-1].seq)


@pytest.mark.parametrize(
    "bad",
    [
        forward(1), replace(forward(1, b"k"), keys=b"\xff\0\0\0k"), replace(forward(1, b"k"), keys=b"\1"),
        replace(forward(1, b"k"), db=16), replace(forward(1, b"k"), proto=9), replace(forward(1, b"k"), kind=7),
    ],
)  # fmt: skip
def test_a_forward_that_cannot_be_costs_the_link(bad: Forward) -> None:
    bench = pair()
    bench.say(1, bad)
    assert not serves(bench) and 1 in bench.hangups()


def test_another_enclave_decides_nothing_here() -> None:
    bench = pair()
    bench.meet(7, member(0x700, enclave=b"blue"))
    bench.say(7, forward(1, key_of(bench, ME)))
    assert not serves(bench) and 7 in bench.hangups()


def test_no_key_is_shown_where_messages_are_printed() -> None:
    bench = pair()
    ask(bench, key_of(bench, OTHER), commands=b"secret")
    sent = next(one for one in bench.effects if isinstance(one, Send) and isinstance(one.message, Forward))
    assert "secret" not in repr(sent)
