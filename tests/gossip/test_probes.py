"""Failure detection: nobody is suspected on one node's word for its own slowness; isolation is noticed and left."""

from dataclasses import replace

import pytest

from respram.gossip.effects import Dial
from respram.gossip.members import ALIVE, DEAD, LEFT, SUSPECT, pack_member
from respram.gossip.policy import Policy
from respram.gossip.probes import ENDED_DIAL_MS, ENDED_DIALS_MAX
from respram.gossip.states import ISOLATED, READY
from respram.sim.world import EPOCH_MS
from respram.wire.messages import Members, Ping, Pong, Probe, Probed

from .rig import Bench, member


def stand(peers: int = 4) -> Bench:
    bench = Bench()
    for number in range(peers):
        bench.meet(number + 1, member(0x200 + number))
    bench.forget()
    return bench


def answer(bench: Bench, silent: set[int], ms: int) -> None:
    """Time passes, and all but some links answer pings."""
    for _ in range(ms // 50):
        bench.wait(50)
        for link in list(bench.core.neighbours.links):
            for ping in bench.sent(Ping, link):
                if link not in silent:
                    bench.say(link, Pong(ping.nonce, EPOCH_MS + bench.ms, b""))
        bench.effects = [
            one for one in bench.effects if not (hasattr(one, "message") and isinstance(one.message, Ping))
        ]


def status(bench: Bench, number: int) -> int:
    return bench.core.book.members[number].status


def test_who_answers_stays_alive_and_has_a_latency() -> None:
    bench = stand()
    answer(bench, set(), 20_000)
    assert [status(bench, 0x200 + number) for number in range(4)] == [ALIVE] * 4
    rtt_ms = bench.core.neighbours.peers[0x200].rtt_ms
    assert rtt_ms is not None and 0 <= rtt_ms <= 50


def test_others_are_asked_before_anybody_is_suspected() -> None:
    bench = stand()
    answer(bench, {1}, 6_000)
    assert {one.node for one in bench.sent(Probe)} == {0x200}
    assert len(bench.sent(Probe)) >= 3


def test_a_silent_member_is_suspected_then_dead_and_its_link_closed() -> None:
    bench = stand()
    answer(bench, {1}, 30_000)
    assert status(bench, 0x200) == DEAD
    assert 1 in bench.hangups() and len(bench.reports("died")) == 1
    assert 0x200 not in bench.core.neighbours.peers


def test_whom_somebody_else_reaches_is_not_suspected() -> None:
    bench = stand()
    for _ in range(200):
        answer(bench, {1}, 100)
        for link in (2, 3, 4):
            for probe in bench.sent(Probe, link):
                bench.say(link, Probed(probe.nonce, 1))
        bench.effects = [
            one for one in bench.effects if not (hasattr(one, "message") and isinstance(one.message, Probe))
        ]
    assert status(bench, 0x200) == ALIVE


def test_a_suspect_that_denies_it_lives() -> None:
    bench = stand()
    bench.core.books.learn_member(replace(member(0x200), status=SUSPECT))
    bench.say(2, Members(0, pack_member(replace(member(0x200), incarnation=2))))
    answer(bench, set(), 10_000)
    assert status(bench, 0x200) == ALIVE


@pytest.mark.parametrize("denial_is_seen", [True, False])
def test_who_is_suspected_again_has_the_whole_time_to_deny_it(denial_is_seen: bool) -> None:
    """The verdict on the first suspicion came 3 s later and found a second one: dead after 1 s of it."""
    bench = stand()
    suspicion_ms = bench.core.policy.suspicion_ms
    bench.core.books.learn_member(replace(member(0x200), status=SUSPECT))
    answer(bench, {1}, suspicion_ms - 1_000)
    bench.core.now = bench.now
    if denial_is_seen:
        bench.core.books.learn_member(replace(member(0x200), incarnation=2))
    bench.core.books.learn_member(replace(member(0x200), incarnation=2, status=SUSPECT))
    answer(bench, {1}, suspicion_ms - 100)
    assert status(bench, 0x200) == SUSPECT
    answer(bench, {1}, 200)
    assert status(bench, 0x200) == DEAD


def test_a_slow_node_doubts_itself_first() -> None:
    bench = stand()
    bench.wait(1_200)
    assert bench.core.probes.asked
    bench.ms += 5_000  # the process stood still
    bench.take(bench.core.tick(bench.now))
    assert bench.core.probes.doubt >= 5
    bench.wait(1_000)
    assert {status(bench, 0x200 + number) for number in range(4)} == {ALIVE}


def test_a_probe_for_somebody_is_passed_on_and_its_answer_back() -> None:
    bench = stand()
    bench.say(1, Probe(77, 0x201))
    [ping] = bench.sent(Ping, 2)
    bench.say(2, Pong(ping.nonce, EPOCH_MS, b""))
    assert bench.sent(Probed, 1) == [Probed(77, 1)]
    bench.say(1, Probe(78, 0x999))
    assert bench.sent(Probed, 1)[-1] == Probed(78, 0)
    bench.say(1, Probe(79, 0x201))
    bench.wait(600)
    assert bench.sent(Probed, 1)[-1] == Probed(79, 0)


def test_a_clock_that_is_set_while_the_link_stands_ends_it() -> None:
    bench = stand()
    bench.say(1, Ping(1, EPOCH_MS + 86_400_000, b""))
    assert "clocks_differ" in bench.reports("hangup")[0]
    assert list(bench.hangups()) == [1]


def test_half_gone_is_not_isolated_and_more_than_half_for_half_a_minute_is() -> None:
    for silent, expected in (({1, 2}, READY), ({1, 2, 3}, ISOLATED)):
        bench = stand()
        answer(bench, set(), 11_000)
        answer(bench, silent, 45_000)
        assert bench.core.state == expected, silent


def test_members_that_were_killed_and_run_again_at_their_addresses_isolate_nobody() -> None:
    """A start is another member: nobody waits for an answer of one whose place another has taken."""
    bench = stand()
    answer(bench, set(), 11_000)
    there = [(place + 1, 0x200 + place) for place in range(4)]  # links and numbers
    for start in range(8):
        place = start % 4
        link, number = there[place]
        bench.take(bench.core.closed(link, bench.now))
        answer(bench, set(), 30_000)
        assert status(bench, number) == DEAD
        there[place] = 11 + start, 0x300 + start
        bench.meet(11 + start, replace(member(0x300 + start), address=member(0x200 + place).address))
        answer(bench, set(), 5_000)
        assert bench.core.state == READY, (start, bench.reports("isolated"))


def test_an_isolated_node_dials_its_roots_and_the_dead_and_comes_back() -> None:
    bench = stand()
    bench.core.partners.roots = [b"root:1"]
    answer(bench, set(), 11_000)
    bench.forget()
    for link in (1, 2, 3, 4):
        bench.take(bench.core.closed(link, bench.now))
    answer(bench, set(), 60_000)
    assert bench.core.state == ISOLATED and len(bench.reports("isolated")) == 1
    assert bench.effects.count(Dial(b"root:1")) >= 3
    assert any(Dial(member(0x200 + number).address) in bench.effects for number in range(4))
    for link in (11, 12, 13):
        bench.meet(link, replace(member(0x200 + link - 11), incarnation=5))
    answer(bench, set(), 12_000)
    assert bench.core.state == READY and len(bench.reports("reconnected")) == 1


def test_a_node_that_nobody_talks_to_is_not_ready_however_long_that_lasts() -> None:
    """Also where it happens in its first seconds, before any window was over."""
    bench = stand(2)
    bench.wait(1_000)
    bench.core.state = READY
    for link in (1, 2):
        bench.take(bench.core.closed(link, bench.now))
    bench.wait(60_000)
    assert [status(bench, 0x200 + number) for number in range(2)] == [DEAD] * 2
    assert bench.core.state == ISOLATED
    bench.wait(600_000)
    assert bench.core.state == ISOLATED
    bench.meet(3, replace(member(0x200), incarnation=9))
    answer(bench, set(), 30_000)
    assert bench.core.state == READY


LOST = 0x200


def end_link(bench: Bench, number: int = LOST, refused: bool = True) -> None:
    """The link of a member is ended from there, and so is the attempt to connect again."""
    peer = bench.core.neighbours.peers[number]
    assert peer.link is not None
    bench.take(bench.core.closed(peer.link.id, bench.now))
    address = bench.core.book.members[number].address
    assert Dial(address) in bench.effects
    bench.take(bench.core.dial_failed(address, bench.now, refused))


def test_whose_process_is_gone_is_suspected_at_once_and_all_hear_of_it() -> None:
    bench = stand()
    end_link(bench)
    asked = {link for link in (2, 3, 4) if bench.sent(Probe, link)}
    assert asked == {2, 3, 4} and status(bench, LOST) == ALIVE
    for link in asked:
        assert status(bench, LOST) == ALIVE
        bench.say(link, Probed(bench.sent(Probe, link)[0].nonce, 0))
        bench.say(link, Probed(bench.sent(Probe, link)[0].nonce, 0))
    assert status(bench, LOST) == SUSPECT and bench.ms == 0
    suspect = pack_member(bench.core.book.members[LOST])
    assert {link for link in (2, 3, 4) if any(one.entries == suspect for one in bench.sent(Members, link))} == asked
    bench.wait(10_000)
    assert status(bench, LOST) == DEAD


def test_one_who_still_has_a_link_to_it_keeps_it_alive() -> None:
    bench = stand()
    end_link(bench)
    for link, answered in ((2, 0), (3, 1), (4, 0)):
        bench.say(link, Probed(bench.sent(Probe, link)[0].nonce, answered))
    bench.wait(900)
    assert status(bench, LOST) == ALIVE


def test_who_does_not_answer_is_waited_for() -> None:
    bench = stand()
    end_link(bench)
    for link in (2, 3):
        bench.say(link, Probed(bench.sent(Probe, link)[0].nonce, 0))
    bench.say(4, Probed(0xFFFF, 0))
    assert status(bench, LOST) == ALIVE
    answer(bench, set(), 1_100)
    assert status(bench, LOST) == SUSPECT


def test_a_link_that_ended_alone_says_nothing() -> None:
    bench = stand()
    address = bench.core.book.members[LOST].address
    end_link(bench, refused=False)
    for _ in range(2 * ENDED_DIALS_MAX):
        bench.wait(ENDED_DIAL_MS)
        if address in bench.core.neighbours.dialling:
            bench.take(bench.core.dial_failed(address, bench.now))
    assert not bench.core.probes.ended and not bench.sent(Probe) and status(bench, LOST) == ALIVE
    assert bench.effects.count(Dial(address)) >= ENDED_DIALS_MAX
    bench.take(bench.core.dial_failed(address, bench.now, refused=True))
    assert not bench.sent(Probe), "that was the partners' timer, later"


@pytest.mark.parametrize("opens", [False, True])
def test_a_process_that_still_listens_while_it_ends_is_dialled_again(opens: bool) -> None:
    bench = stand()
    end_link(bench, refused=False)
    for _ in range(3):
        bench.wait(ENDED_DIAL_MS)
        address = bench.core.book.members[LOST].address
        assert address in bench.core.neighbours.dialling
        if opens:  # without TLS a link counts as open before anything was said on it
            bench.take(bench.core.opened(77, address, bench.now))
            bench.take(bench.core.closed(77, bench.now))
        else:
            bench.take(bench.core.dial_failed(address, bench.now))
    bench.wait(ENDED_DIAL_MS)
    bench.take(bench.core.dial_failed(address, bench.now, refused=True))
    assert len(bench.sent(Probe)) == 3 and not bench.core.probes.ended


def test_who_is_linked_again_is_dialled_no_more() -> None:
    bench = stand()
    end_link(bench, refused=False)
    bench.meet(9, member(LOST))
    bench.forget()
    bench.wait(ENDED_DIAL_MS)
    assert not bench.core.probes.ended and Dial(bench.core.book.members[LOST].address) not in bench.effects


def test_who_comes_back_while_others_are_asked_is_not_suspected() -> None:
    bench = stand()
    end_link(bench)
    bench.meet(9, member(LOST))
    for link in (2, 3, 4):
        bench.say(link, Probed(bench.sent(Probe, link)[0].nonce, 0))
    assert status(bench, LOST) == ALIVE


def test_of_two_the_one_that_is_left_needs_no_witness() -> None:
    bench = stand(1)
    end_link(bench)
    assert status(bench, LOST) == SUSPECT


def test_who_left_in_order_is_not_looked_for() -> None:
    bench = stand()
    bench.say(1, Members(0, pack_member(replace(bench.core.book.members[LOST], status=LEFT, incarnation=9))))
    bench.forget()
    bench.take(bench.core.closed(1, bench.now))
    assert not [one for one in bench.effects if isinstance(one, Dial)] and not bench.core.probes.ended


def test_who_waits_for_a_probe_hears_at_once_that_the_link_has_ended() -> None:
    bench = stand()
    bench.say(2, Probe(77, LOST))
    assert not bench.sent(Probed)
    bench.take(bench.core.closed(1, bench.now))
    assert bench.sent(Probed, 2) == [Probed(77, 0)]
    bench.wait(2_000)
    assert bench.sent(Probed, 2) == [Probed(77, 0)], "and once"


def test_among_many_links_end_by_rotation_and_nobody_dials_back() -> None:
    bench = stand(Policy().direct_peers_max + 1)
    bench.take(bench.core.closed(1, bench.now))
    assert not [one for one in bench.effects if isinstance(one, Dial)] and not bench.core.probes.ended
