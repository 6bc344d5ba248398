"""HELLO: who is let in, who is refused with which reason, and which of two links stays."""

from dataclasses import replace

import pytest

from respram.gossip.effects import Dial, Report, Send
from respram.gossip.members import ALIVE, DEAD, INCARNATION_MAX, LEFT, SUSPECT, pack_member, unpack_members
from respram.gossip.policy import Policy
from respram.sim.world import EPOCH_MS
from respram.wire.messages import Hello, Members, Ping, Push, Refuse, Same

from .rig import ME, Bench, hello, member


def test_both_say_hello_first_and_then_know_each_other() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    [said] = bench.sent(Hello)
    assert (said.node, said.clock_ms, said.network) == (ME, EPOCH_MS, b"respram")
    assert bench.core.book[0x200].address == b"host-512:7000"
    assert len(bench.reports("met")) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 1}, "version"),
        ({"network": b"another"}, "network"),
        ({"clock_ms": EPOCH_MS + 2_001}, "clocks differ by 2001"),
        ({"clock_ms": EPOCH_MS - 86_400_000}, "clocks differ"),
    ],
)
def test_a_hello_is_refused_with_the_reason_in_both_logs(changes: dict[str, object], reason: str) -> None:
    bench = Bench()
    bench.core.opened(1, b"", bench.now)
    bench.say(1, hello(member(0x200), **changes))
    [refusal] = bench.sent(Refuse)
    assert reason.encode() in refusal.reason
    assert list(bench.hangups()) == [1]
    assert reason.replace(" ", "_") in bench.reports("refused")[0]
    other = Bench()
    other.core.opened(1, b"host-9:1", other.now)
    other.say(1, refusal)
    assert reason.replace(" ", "_") in other.reports("refused_there")[0]


@pytest.mark.parametrize("address", [b"host-512:7000", b""])
@pytest.mark.parametrize("changes", [{"network": b"another"}, {"version": 1}, {"version": 4}])
def test_who_dials_a_wrong_network_or_version_is_warned(changes: dict[str, object], address: bytes) -> None:
    """Every line about a node that was told to join another network was at the level INFO. Who is dialled need do
    nothing.
    """
    bench = Bench()
    bench.core.opened(1, address, bench.now)
    bench.say(1, hello(member(0x200), **changes))
    assert [one.warns for one in bench.effects if isinstance(one, Report) and one.event == "refused"] == [bool(address)]


def test_a_refusal_after_the_others_hello_is_in_the_log_as_well() -> None:
    """As of too many links, or of an address that somebody else has: only the other side sees that."""
    bench = Bench()
    bench.meet(1, member(0x200), dialled=True)
    bench.say(1, Refuse(b"too many links\nevent=forged"))
    assert bench.reports("refused_there") == ["peer=0000000000000200 why=too_many_links\\nevent=forged"]
    assert list(bench.hangups()) == [1]


def test_ones_own_number_is_refused() -> None:
    bench = Bench()
    bench.core.opened(1, b"", bench.now)
    bench.say(1, hello(member(ME)))
    assert bench.sent(Refuse)[0].reason == b"that is my own number"


def test_an_address_that_leads_back_is_not_dialled_again() -> None:
    bench = Bench(roots=[b"me-by-another-name:1", b"host-9:1"])
    bench.core.opened(1, b"me-by-another-name:1", bench.now)
    bench.say(1, hello(member(ME)))
    bench.forget()
    bench.wait(30_000)
    assert {one.address for one in bench.effects if isinstance(one, Dial)} == {b"host-9:1"}


def test_two_nodes_at_one_address_are_told_so_and_the_first_stays() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.meet(2, replace(member(0x201), address=member(0x200).address))
    assert bench.sent(Refuse, 2)[0].reason == b"another node advertises this address"
    assert list(bench.core.book.alive) == [0x200] and list(bench.hangups()) == [2]
    bench.meet(3, replace(member(0x202), address=member(ME).address))
    assert bench.sent(Refuse, 3)[0].reason == b"we both advertise this address"
    assert list(bench.hangups()) == [2, 3] and bench.core.greeting.refusals == 2


def test_links_are_bounded() -> None:
    bench = Bench(Policy(links_max=3))
    for link in range(1, 6):
        bench.meet(link, member(0x200 + link))
    assert sorted(bench.hangups()) == [4, 5]


def test_a_hello_that_contradicts_itself_ends_the_link() -> None:
    one = member(0x200)
    for wrong in (
        hello(one, node=0x300),
        hello(one, address=b"elsewhere:1"),
        hello(one, member=b""),
        hello(one, member=pack_member(one) * 2),
        hello(one, member=pack_member(replace(one, status=DEAD))),
    ):
        bench = Bench()
        bench.core.opened(1, b"", bench.now)
        bench.say(1, wrong)
        assert "HELLO" in bench.hangups()[1]
        assert not bench.core.book.alive


def test_no_word_before_hello_and_none_without_it_in_time() -> None:
    bench = Bench()
    bench.core.opened(1, b"", bench.now)
    bench.say(1, Same(1))
    assert 1 in bench.hangups()
    bench.take(bench.core.opened(2, b"", bench.now))
    bench.wait(6_000)
    assert bench.hangups()[2] == "no HELLO in time"


@pytest.mark.parametrize(("number", "survivor"), [(0x50, 1), (0x200, 2)])
def test_of_two_links_the_one_that_the_lower_number_dialled_stays(number: int, survivor: int) -> None:
    for order in ((1, 2), (2, 1)):
        bench = Bench()
        for link in order:
            bench.meet(link, member(number), dialled=link == 2)
        assert [link for link in (1, 2) if link not in bench.hangups()] == [survivor]
        assert [link.id for link in bench.core.neighbours.greeted()] == [survivor]


def test_an_earlier_boot_at_the_same_address_has_left() -> None:
    bench = Bench()
    first = member(0x200)
    bench.meet(1, first)
    bench.ms += 2_000  # its link has not ended, but nothing comes
    bench.meet(2, replace(member(0x201), address=first.address))
    assert list(bench.core.book.alive) == [0x201]
    assert 1 in bench.hangups()


def test_who_is_thought_dead_is_told_so_and_may_deny_it() -> None:
    bench = Bench()
    bench.meet(9, member(0x300))
    bench.core.books.learn_member(member(0x200))
    bench.core.books.learn_member(replace(member(0x200), status=DEAD))
    bench.meet(1, member(0x200))
    told = [entry for said in bench.sent(Members, 1) for entry in unpack_members(said.entries)]
    assert [(entry.number, entry.status) for entry in told if entry.number == 0x200] == [(0x200, DEAD)]
    bench.say(1, Members(0, pack_member(replace(member(0x200), incarnation=2))))
    assert 0x200 in bench.core.book.alive


def test_whoever_comes_or_goes_is_told_once_however_that_was_learnt() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    heard_of = member(0x300)
    bench.say(1, Members(0, pack_member(heard_of)))
    bench.meet(2, heard_of)
    assert [one.split()[0] for one in bench.reports("met")] == ["peer=0000000000000200", "peer=0000000000000300"]
    bench.say(1, Members(0, pack_member(replace(heard_of, status=LEFT))))
    assert [one.split()[0] for one in bench.reports("left")] == ["peer=0000000000000300"]
    bench.say(1, Members(0, pack_member(replace(heard_of, incarnation=2))))
    assert [one.split()[0] for one in bench.reports("met")][2:] == ["peer=0000000000000300"]


def test_what_was_not_acknowledged_waits_for_the_next_link() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.write(b"k")
    [push] = bench.sent(Push, 1)
    bench.take(bench.core.closed(1, bench.now))
    bench.write(b"later")
    bench.meet(2, member(0x200))
    again = bench.sent(Push, 2)
    assert [one.number for one in again] == [1, 2] and again[0].payload == push.payload
    assert [one.seq for one in again] == [1, 2]


def test_a_rumor_that_a_neighbour_has_left_does_not_end_its_link() -> None:
    """Only its own word does."""
    bench = Bench()
    bench.meet(1, member(0x200))
    bench.meet(2, member(0x300))
    bench.say(2, Members(0, pack_member(replace(member(0x200), status=LEFT, incarnation=2))))
    assert not bench.hangups() and bench.core.neighbours.link_to(0x200) is not None
    bench.say(1, Members(0, pack_member(replace(member(0x200), incarnation=3))))
    assert 0x200 in bench.core.book.enclave


def test_hearsay_that_came_before_its_member_is_set_right_by_its_greeting() -> None:
    bench = Bench()
    bench.meet(2, member(0x300))
    bench.say(2, Members(0, pack_member(replace(member(0x200), incarnation=INCARNATION_MAX))))
    bench.say(2, Members(0, pack_member(replace(member(0x200), incarnation=INCARNATION_MAX, status=DEAD))))
    bench.meet(1, member(0x200))
    assert bench.core.book.members[0x200] == member(0x200) and not bench.hangups()
    bench.say(2, Members(0, pack_member(replace(bench.core.me, incarnation=INCARNATION_MAX, status=DEAD))))
    assert bench.core.me.incarnation < 100


def test_whoever_says_the_number_of_a_neighbour_that_speaks_takes_no_link_from_it() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    for _ in range(5):
        bench.wait(1_000)
        bench.say(1, Same(1))
    bench.meet(2, replace(member(0x200), address=b"elsewhere:1"))
    assert list(bench.hangups()) == [2]
    link = bench.core.neighbours.link_to(0x200)
    assert link is not None and link.id == 1
    bench.wait(2_500)  # it says nothing any more: it may have come back by another way, or be slow. It is asked
    bench.forget()
    for number in (3, 4):
        bench.meet(number, member(0x200))
    assert list(bench.hangups()) == [3, 4]
    assert link.questioned
    bench.forget()
    bench.say(1, Same(1))
    bench.wait(3_900)
    assert not bench.hangups(), "it was there"
    bench.meet(5, member(0x200))
    bench.wait(5_000)
    assert list(bench.hangups()) == [5, 1], "it was silent"
    bench.meet(6, member(0x200))
    link = bench.core.neighbours.link_to(0x200)
    assert link is not None and link.id == 6


def test_hearsay_of_a_neighbours_end_ends_no_link_before_it_was_asked() -> None:
    """Among many partners one is pinged every few seconds: its silence in between says nothing."""
    for status in (SUSPECT, DEAD, LEFT):
        for answers in (True, False):
            bench = Bench()
            bench.meet(1, member(0x200))
            bench.meet(2, member(0x300))
            for _ in range(4):
                bench.wait(700)
                bench.say(2, Same(1))
            bench.effects.clear()
            bench.say(2, Members(0, pack_member(replace(member(0x200), status=status, incarnation=3))))
            asked = [one.message for one in bench.effects if isinstance(one, Send) and one.link == 1]
            assert any(isinstance(one, Ping) for one in asked) and any(isinstance(one, Members) for one in asked)
            assert 1 not in bench.hangups()
            if answers:
                bench.say(1, Members(0, pack_member(replace(member(0x200), incarnation=4))))
                assert bench.core.book[0x200].status == ALIVE
            bench.wait(4_500)
            link = bench.core.neighbours.link_to(0x200)
            assert (link is not None) is answers, (status, answers)
