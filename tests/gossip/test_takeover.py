"""Before a node decides about slots that came to it, all others have said that they do not, and they are compared."""

from dataclasses import replace
from itertools import pairwise

import pytest

from respram.gossip.homes import Homes
from respram.gossip.members import SUSPECT
from respram.gossip.policy import Policy
from respram.wire.messages import Digest, Members, Ping, Pong, Same

from .rig import ME, Bench, member

OTHER, THIRD = 0x200, 0x300
SETTLE_MS, MS_MAX = Policy().settle_ms, Policy().takeover_ms_max


def homes_of(bench: Bench) -> Homes:
    return bench.core.homes


def losing(policy: Policy | None = None) -> Bench:
    """Of three ready nodes one has just died."""
    bench = Bench(policy)
    if policy is not None:
        bench.core.suffrage._begin("test")
    bench.meet(1, member(OTHER))
    bench.meet(2, member(THIRD))
    bench.wait(SETTLE_MS + MS_MAX + 1)
    bench.forget()
    bench.take(bench.core.closed(2, bench.now))
    bench.take(bench.core.introduce([replace(bench.core.book[THIRD], status=SUSPECT)], bench.now))
    assert homes_of(bench).settling and set(homes_of(bench).map.members) == {ME, OTHER}
    return bench


def question(bench: Bench, link: int = 1) -> int:
    """The nonce of the PING behind this node's entry; 0: there is none."""
    said = [one.message for one in bench.effects if getattr(one, "link", 0) == link and hasattr(one, "message")]
    for entry, ping in pairwise(said):
        if isinstance(entry, Members) and entry.buckets and isinstance(ping, Ping):
            return ping.nonce
    return 0


def pong(bench: Bench, nonce: int, link: int = 1) -> None:
    bench.say(link, Pong(nonce, bench.now.wall_ms, b""))


def test_slots_of_a_dead_member_are_settled_when_all_others_are_asked_and_compared_with() -> None:
    bench = losing()
    bench.wait(SETTLE_MS - 1)
    assert not question(bench) and homes_of(bench).settling, "first what is on its way has time to come"
    bench.wait(2)
    nonce = question(bench)
    assert nonce and homes_of(bench).settling
    bench.forget()
    pong(bench, nonce)
    (digest,) = bench.sent(Digest, 1)
    assert homes_of(bench).settling, "the other does not decide any more; what it holds may still be lacking here"
    bench.say(1, Same(digest.round))
    assert not homes_of(bench).settling and not bench.reports("takeover_unanswered")


def test_a_member_that_does_not_answer_is_waited_for_and_not_for_ever() -> None:
    bench = losing()
    bench.wait(SETTLE_MS + 1)
    assert question(bench)
    bench.wait(MS_MAX - 50)
    assert homes_of(bench).settling
    bench.wait(100)
    assert not homes_of(bench).settling and bench.reports("takeover_unanswered") == ["members=1"]


def test_one_whose_link_is_lost_is_asked_on_the_next() -> None:
    bench = losing()
    bench.take(bench.core.closed(1, bench.now))
    bench.forget()
    bench.wait(SETTLE_MS + 50)
    assert homes_of(bench).settling and member(OTHER).address in bench.core.neighbours.dialling
    bench.meet(7, member(OTHER), dialled=True)
    bench.forget()
    bench.wait(50)
    nonce = question(bench, 7)
    assert nonce
    pong(bench, nonce, 7)
    (digest,) = bench.sent(Digest, 7)
    bench.say(7, Same(digest.round))
    assert not homes_of(bench).settling


def test_one_whose_link_is_lost_while_it_is_compared_with_is_asked_anew() -> None:
    bench = losing()
    bench.wait(SETTLE_MS + 1)
    pong(bench, question(bench))
    assert bench.sent(Digest, 1)
    bench.take(bench.core.closed(1, bench.now))
    bench.meet(7, member(OTHER))
    bench.forget()
    bench.wait(50)
    nonce = question(bench, 7)
    assert nonce and homes_of(bench).settling
    pong(bench, nonce, 7)
    (digest,) = bench.sent(Digest, 7)
    bench.say(7, Same(digest.round))
    assert not homes_of(bench).settling


def test_an_answer_about_an_older_map_says_nothing() -> None:
    bench = losing()
    bench.wait(SETTLE_MS + 1)
    old = question(bench)
    bench.meet(2, member(0x400))
    bench.take(bench.core.introduce([replace(bench.core.book[0x400], status=SUSPECT)], bench.now))
    bench.forget()
    pong(bench, old)
    for digest in bench.sent(Digest, 1):
        bench.say(1, Same(digest.round))
    assert homes_of(bench).settling


@pytest.mark.parametrize("moment", ["asked", "answered"])
def test_another_round_that_is_under_way_gives_way(moment: str) -> None:
    bench = losing()
    bench.wait(SETTLE_MS + 1)
    if moment == "asked":
        bench.core.repair.begin()
        bench.core._taken()
    nonce = question(bench)
    bench.forget()
    pong(bench, nonce)
    (digest,) = bench.sent(Digest, 1)
    if moment == "answered":
        bench.core.repair.begin()
        assert bench.core.rounds.own is not None and bench.core.rounds.own.id == digest.round, "and keeps its place"
    bench.say(1, Same(digest.round))
    assert not homes_of(bench).settling


def test_what_is_compared_counts_as_equal_up_to_the_granule_before() -> None:
    """Of this granule more may be written behind the digest: WAIT must not count that as held."""
    bench = losing()
    bench.wait(SETTLE_MS + 1)
    nonce = question(bench)
    bench.forget()
    pong(bench, nonce)
    (digest,) = bench.sent(Digest, 1)
    bench.say(1, Same(digest.round))
    peer = bench.core.neighbours.peers[OTHER]
    assert peer.equal_stamp == (bench.now.wall_ms >> 10) - 1


def test_who_was_only_held_asks_nobody() -> None:
    bench = losing()
    bench.wait(SETTLE_MS + MS_MAX + 60)
    assert not homes_of(bench).settling
    bench.forget()
    homes_of(bench).hold()
    homes_of(bench).release()
    bench.wait(1)
    assert not homes_of(bench).settling and not question(bench)


def test_who_was_held_while_slots_came_asks() -> None:
    bench = losing()
    homes_of(bench).hold()
    homes_of(bench).release()
    bench.forget()
    bench.wait(SETTLE_MS + 1)
    assert homes_of(bench).settling and question(bench)


def test_where_a_majority_decides_one_that_answers_late_is_compared_with_before_anything_is_decided() -> None:
    """Its vote brings the members of a collection, and no stub of a member that was removed."""
    bench = losing(replace(Policy(), enclave_size=3))
    bench.wait(SETTLE_MS + 1)
    nonce = question(bench)
    assert nonce
    bench.wait(MS_MAX + 100)
    assert homes_of(bench).settling and not bench.reports("takeover_unanswered")
    bench.forget()
    pong(bench, nonce)
    (digest,) = bench.sent(Digest, 1)
    bench.wait(100)
    assert homes_of(bench).settling, "it has answered, and is not compared with yet"
    bench.say(1, Same(digest.round))
    assert not homes_of(bench).settling and not bench.reports("takeover_unanswered")


def test_where_a_majority_decides_a_node_without_others_waits_for_one() -> None:
    bench = losing(replace(Policy(), enclave_size=3))
    alive = bench.core.book[OTHER]
    bench.take(bench.core.introduce([replace(alive, status=SUSPECT)], bench.now))
    assert set(homes_of(bench).map.members) == {ME}
    bench.wait(SETTLE_MS + 2 * Policy().takeover_votes_ms_max)
    assert homes_of(bench).settling and not bench.reports("takeover_unanswered")
    bench.take(bench.core.introduce([replace(alive, incarnation=alive.incarnation + 1)], bench.now))
    assert set(homes_of(bench).map.members) == {ME, OTHER}
    if 1 not in bench.core.neighbours.links:
        bench.meet(1, member(OTHER))
    bench.forget()
    bench.wait(SETTLE_MS + 50)
    nonce = question(bench)
    assert nonce and homes_of(bench).settling
    pong(bench, nonce)
    digest = bench.sent(Digest, 1)[-1]
    bench.say(1, Same(digest.round))
    assert not homes_of(bench).settling


def test_where_a_majority_has_answered_the_others_are_waited_for_as_long_as_a_home_waits() -> None:
    bench = losing(replace(Policy(), enclave_size=1))
    bench.wait(SETTLE_MS + MS_MAX - 50)
    assert homes_of(bench).settling
    bench.wait(100)
    assert not homes_of(bench).settling and bench.reports("takeover_unanswered") == ["members=1"]
