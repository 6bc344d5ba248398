"""The tree: attach deepest, keep to capacities, check, and move rarely."""

from dataclasses import replace

import pytest

from respram.gossip.members import BRANCH, LEAF, ROOT, TRUNK, Member, pack_member
from respram.gossip.policy import Policy
from respram.wire.messages import Attach, Attached, Detach, Members

from .rig import Bench, member

ROOT_1 = member(0x200, role=ROOT)
TRUNK_1 = member(0x300, role=TRUNK, parent=0x200)
BRANCH_1 = member(0x400, role=BRANCH, parent=0x300)


def know(bench: Bench, *members: Member) -> None:
    for one in members:
        bench.core.books.learn_member(one)
        bench.core.book.prove(one.number)


@pytest.mark.parametrize(
    ("known", "parent", "role"),
    [
        ([ROOT_1], 0x200, TRUNK),
        ([ROOT_1, TRUNK_1], 0x300, BRANCH),
        ([ROOT_1, TRUNK_1, BRANCH_1], 0x400, LEAF),
    ],
)
def test_a_node_attaches_at_the_deepest_level_with_room(known: list[Member], parent: int, role: int) -> None:
    bench = Bench()
    know(bench, *known)
    for number, one in enumerate(known):
        bench.meet(number + 1, one)
    bench.wait(1_500)
    link = bench.core.neighbours.peers[parent].link
    assert link is not None
    assert bench.sent(Attach) == [Attach(role)] == bench.sent(Attach, link.id)
    bench.say(link.id, Attached(role, 1))
    assert (bench.core.me.parent, bench.core.me.role) == (parent, role)
    assert bench.sent(Members)


def test_a_full_level_is_passed_over() -> None:
    bench = Bench()
    leaves = [member(0x1000 + number, role=LEAF, parent=0x400) for number in range(25)]
    know(bench, ROOT_1, TRUNK_1, BRANCH_1, *leaves)
    assert bench.core.tree.with_room(BRANCH) == []
    assert bench.core.tree.with_room(TRUNK) == [0x300]
    know(bench, *[replace(one, incarnation=2, parent=0) for one in leaves[:1]])
    assert bench.core.tree.with_room(BRANCH) == [0x400]


def test_who_is_refused_asks_the_next() -> None:
    bench = Bench()
    other = member(0x201, role=ROOT)
    for link, one in ((1, ROOT_1), (2, other)):
        bench.meet(link, one)
    bench.wait(1_500)
    asked = 1 if bench.sent(Attach, 1) else 2
    bench.say(asked, Attached(TRUNK, 0))
    assert bench.sent(Attach, 3 - asked) == [Attach(TRUNK)]


def root(policy: Policy | None = None) -> Bench:
    bench = Bench(policy)
    bench.core.book.set_me(role=ROOT)
    bench.core.tree.is_root = True
    return bench


def test_a_parent_takes_children_of_the_right_role_up_to_its_capacity() -> None:
    bench = root(Policy(trunks_max=2))
    for link in (1, 2, 3):
        bench.meet(link, member(0x300 + link))
        bench.say(link, Attach(TRUNK))
    assert [bench.sent(Attached, link)[-1].accepted for link in (1, 2, 3)] == [1, 1, 0]
    bench.say(1, Attach(TRUNK))
    assert bench.sent(Attached, 1)[-1].accepted == 1
    bench.say(2, Detach())
    bench.say(3, Attach(TRUNK))
    assert bench.sent(Attached, 3)[-1].accepted == 1
    bench.say(1, Attach(LEAF))
    assert bench.sent(Attached, 1)[-1].accepted == 0


def test_a_node_without_a_parent_takes_no_children() -> None:
    bench = Bench()
    bench.core.book.set_me(role=TRUNK)
    bench.meet(1, member(0x300))
    bench.say(1, Attach(BRANCH))
    assert bench.sent(Attached, 1)[-1].accepted == 0


def attached(policy: Policy | None = None) -> Bench:
    bench = Bench(policy)
    bench.meet(1, ROOT_1)
    bench.meet(2, member(0x201, role=ROOT))
    bench.core.tree.full[0x201] = 1 << 40
    bench.wait(1_500)
    bench.say(1, Attached(TRUNK, 1))
    assert bench.core.me.parent == 0x200
    bench.core.tree.full.clear()
    bench.forget()
    return bench


def check(bench: Bench) -> None:
    bench.core.now = bench.now
    bench.core.tree.check()
    bench.take(bench.core._taken())


def test_the_self_check_finds_a_parent_that_died_changed_or_forgot() -> None:
    for change in ("died", "changed", "forgot", "silent"):
        bench = attached()
        if change == "died":
            bench.core.neighbours.peers[0x200].heard_ms = -10_000
            know(bench, replace(ROOT_1, status=2))
        elif change == "changed":
            know(bench, replace(ROOT_1, incarnation=2, role=LEAF))
        check(bench)
        if change == "forgot":
            bench.say(1, Attached(TRUNK, 0))
        elif change == "silent":
            for _ in range(2):
                bench.ms += 6_000
                check(bench)
        assert bench.reports("parent_lost"), change
        assert bench.core.me.parent != 0x200 or not bench.core.me.parent


def test_a_confirmed_parent_is_kept() -> None:
    bench = attached()
    for _ in range(5):
        check(bench)
        bench.say(1, Attached(TRUNK, 1))
        bench.ms += 30_000
    assert bench.core.me.parent == 0x200 and not bench.reports("parent_lost")


def rebalance(bench: Bench) -> list[Attach]:
    bench.forget()
    bench.core.now = bench.now
    bench.core.tree.rebalance()
    bench.take(bench.core._taken())
    return bench.sent(Attach, 2)


@pytest.mark.parametrize(("own_ms", "other_ms", "moves"), [(20.0, 10.0, True), (20.0, 17.0, False), (3.0, 2.0, False)])
def test_it_moves_only_for_a_fifth_and_two_milliseconds(own_ms: float, other_ms: float, moves: bool) -> None:
    bench = attached(Policy(rest_ms=1))
    bench.core.neighbours.peers[0x200].rtt_ms, bench.core.neighbours.peers[0x201].rtt_ms = own_ms, other_ms
    for _ in range(12):
        check(bench)
        bench.say(1, Attached(TRUNK, 1))
        bench.ms += 30_000
    assert bool(rebalance(bench)) is moves
    if moves:
        bench.say(2, Attached(TRUNK, 1))
        assert bench.core.me.parent == 0x201 and bench.sent(Detach, 1)


def test_it_moves_for_what_lasted_and_rests_after_a_move() -> None:
    bench = attached()
    bench.core.neighbours.peers[0x200].rtt_ms, bench.core.neighbours.peers[0x201].rtt_ms = 50.0, 5.0
    for lasted_ms in range(0, 630_000, 30_000):
        check(bench)
        bench.say(1, Attached(TRUNK, 1))
        bench.ms += 30_000
        if lasted_ms < 540_000:
            assert not rebalance(bench)  # resting, or not better for long enough
    assert rebalance(bench)
    bench.core.tree.better_since.clear()
    assert not rebalance(bench)


def test_leaves_branches_and_trunks_have_a_third_each() -> None:
    for role, third in ((LEAF, 0), (BRANCH, 1), (TRUNK, 2)):
        bench = Bench()
        bench.core.book.set_me(role=role)
        bench.ms = 250_000
        bench.core.now = bench.now
        for this_time in (True, False) * 25:
            wait_ms = bench.core.tree.next_turn_ms(this_time)
            assert wait_ms > 0 and (250_000 + wait_ms) % 900_000 // 300_000 == third
            assert wait_ms >= 650_000 or this_time


def test_who_became_a_branch_meanwhile_waits_for_the_third_of_branches() -> None:
    bench = attached()
    bench.core.neighbours.peers[0x200].rtt_ms, bench.core.neighbours.peers[0x201].rtt_ms = 50.0, 5.0
    bench.ms = 900_000 + 100_000
    bench.core.now = bench.now
    bench.core.tree.better_since = {0x201: 0}
    bench.forget()
    bench.core.tree.turn()  # drawn as a leaf; it is a trunk by now
    assert not bench.take(bench.core._taken())
    bench.ms += 600_000
    bench.core.now = bench.now
    bench.core.tree.turn()
    bench.take(bench.core._taken())
    assert bench.sent(Attach, 2)


def test_entries_pack_with_their_place_in_the_tree() -> None:
    assert len(pack_member(TRUNK_1)) == 24 + len(TRUNK_1.enclave) + len(TRUNK_1.address)
