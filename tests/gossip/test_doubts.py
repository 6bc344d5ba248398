"""After a stop a node decides nothing until all others have said that they did not suspect it; else it joins again."""

import pytest

from respram.gossip.effects import Report
from respram.gossip.members import LEFT, SUSPECT, pack_member
from respram.gossip.policy import Policy
from respram.gossip.states import JOINING, READY
from respram.wire.messages import Members, Ping, Pong

from .rig import Bench, member

OTHERS = {1: member(0x200), 2: member(0x201)}


def stood() -> Bench:
    bench = Bench(roots=[b"host-512:7000"])
    bench.core.boot.become_ready("test")
    for link, other in OTHERS.items():
        bench.meet(link, other)
    bench.wait(Policy().settle_ms + 1)
    bench.forget()
    return bench


def stop(bench: Bench, for_ms: int = 5_000, local: bool = False) -> None:
    """As the driver says it; timers come behind."""
    bench.ms += for_ms
    bench.take(bench.core.stopped(for_ms, bench.now, local))


def questions(bench: Bench) -> dict[int, int]:
    """By link: the nonce of the last PING, which stands behind the entry of this node."""
    return {
        link: bench.sent(Ping, link)[-1].nonce
        for link in OTHERS
        if any(one.buckets for one in bench.sent(Members, link))
    }


def answer(bench: Bench, link: int, nonce: int) -> None:
    bench.say(link, Pong(nonce, bench.now.wall_ms, b""))


def settles(bench: Bench) -> bool:
    homes = bench.core.homes
    return bool(homes.slots_here()) and not homes.settling


def test_who_is_told_by_all_that_nobody_suspected_it_goes_on() -> None:
    bench = stood()
    assert settles(bench)
    stop(bench)
    assert bench.core.state == JOINING and bench.core.unsure() and bench.core.me.ready
    assert bench.core.homes.slots_here() == len(bench.core.homes.settling) > 1_000, (
        "its slots stay, and none is decided about"
    )
    for link, nonce in questions(bench).items():
        assert bench.core.state == JOINING and not settles(bench)
        answer(bench, link, nonce)
    bench.wait(0)
    assert bench.core.state == READY and not bench.core.unsure() and settles(bench)
    assert [one.warns for one in bench.effects if isinstance(one, Report) and one.event == "stopped"] == [True]
    assert "why=nobody_had_suspected_it" in bench.reports("ready")[-1]
    bench.wait(Policy().doubt_ms * 2)
    assert bench.core.state == READY and bench.core.me.ready


@pytest.mark.parametrize("suspecting", OTHERS)
def test_one_that_had_suspected_it_is_enough_to_join_again(suspecting: int) -> None:
    bench = stood()
    stop(bench)
    for link, nonce in questions(bench).items():
        if link == suspecting:
            bench.say(
                link, Members(0, pack_member(member(0x100, status=SUSPECT, incarnation=bench.core.me.incarnation)))
            )
        answer(bench, link, nonce)
    assert bench.core.state == JOINING and not bench.core.me.ready and not bench.core.homes.slots_here()


def test_a_denial_from_before_anybody_noticed_the_stop_counts() -> None:
    bench = stood()
    bench.ms += 5_000
    bench.say(1, Members(0, pack_member(member(0x100, status=SUSPECT, incarnation=bench.core.me.incarnation))))
    bench.take(bench.core.stopped(5_000, bench.now))
    assert bench.core.state == JOINING and not bench.core.me.ready


def test_one_of_long_ago_does_not() -> None:
    bench = stood()
    bench.say(1, Members(0, pack_member(member(0x100, status=SUSPECT, incarnation=bench.core.me.incarnation))))
    bench.wait(100)
    stop(bench)
    assert bench.core.me.ready and len(questions(bench)) == 2


def test_silence_is_no_answer() -> None:
    bench = stood()
    stop(bench)
    answer(bench, 1, questions(bench)[1])
    bench.wait(Policy().doubt_ms - 1)
    assert bench.core.state == JOINING and bench.core.me.ready
    bench.wait(1)
    assert bench.core.state == JOINING and not bench.core.me.ready
    answer(bench, 2, questions(bench)[2])
    assert bench.core.state == JOINING and not bench.core.me.ready, "too late"


def test_a_pong_from_before_another_stop_says_nothing_of_that() -> None:
    bench = stood()
    stop(bench)
    first = questions(bench)
    answer(bench, 1, first[1])
    stop(bench)
    second = questions(bench)
    assert set(first.values()).isdisjoint(second.values())
    for link, nonce in first.items():
        answer(bench, link, nonce)
    assert bench.core.state == JOINING
    for link, nonce in second.items():
        answer(bench, link, nonce)
    assert bench.core.state == READY


@pytest.mark.parametrize("why", ["local", "long", "unlinked"])
def test_where_asking_proves_nothing_it_joins_again_at_once(why: str) -> None:
    bench = stood()
    if why == "unlinked":
        bench.take(bench.core.closed(2, bench.now))
    stop(bench, Policy().doubted_ms_max + 1 if why == "long" else 5_000, local=why == "local")
    assert bench.core.state == JOINING and not bench.core.me.ready and not questions(bench)


def test_a_node_without_others_goes_on() -> None:
    bench = stood()
    for number in (0x200, 0x201):
        bench.core.book.learn(member(number, incarnation=9, status=LEFT), bench.ms)
    stop(bench)
    assert bench.core.state == READY, "nobody else can have decided anything"


def test_a_member_answers_that_it_has_suspected_the_one_who_asks() -> None:
    """The question and its answer are old words: what a member says to them is what this rests on."""
    bench = stood()
    bench.core.books.learn_member(member(0x200, status=SUSPECT))
    bench.forget()
    bench.say(1, Members(1 << 63 | (1 << 63) - 1, pack_member(member(0x200))))
    told = bench.sent(Members, 1)[-1].entries
    assert pack_member(member(0x200, status=SUSPECT)) in told
    bench.forget()
    bench.say(2, Members(1 << 63 | (1 << 63) - 1, pack_member(member(0x201))))
    assert pack_member(member(0x201, status=SUSPECT)) not in bench.sent(Members, 2)[-1].entries
