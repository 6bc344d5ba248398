"""A member that tells of members that there are not: nobody reckons with them, and whoever is there has room."""

from random import Random

import pytest

from respram.gossip.members import BRANCH, ROOT, Member, pack_all
from respram.replica import Write
from respram.sim.scenarios import crowd
from respram.sim.world import Node, World
from respram.wire.codec import encode
from respram.wire.messages import Members, Vouch
from tests import dear

INVENTED = 1_800
AGAIN_MS = 2_000  # how often the liar tells of others
JOINED_MS_MAX = 61_000  # a joiner that cannot tell is ready after a minute


def liar_and_honest(seed: int, nodes: int = 6) -> tuple[World, Node, list[Node]]:
    world = World(seed)
    for place in range(nodes):
        world.start(world.add(is_root=place < 2))
    world.run_until(20_000)
    assert all(node.replica.core.state == "ready" for node in world.nodes)
    return world, world.nodes[-1], world.nodes[:-1]


def invent(world: World, liar: Node, rng: Random, count: int = INVENTED) -> None:
    """Members as good as any, for whom the liar vouches: ready, of every role, at addresses of nobody and of others."""
    taken, parent = world.nodes[0].address, liar.replica.core.me.number
    made = []
    for _ in range(count):
        nobodys = b"10.9.%d.%d:7000" % (rng.randrange(256), rng.randrange(256))
        number, role = rng.getrandbits(64) | 1, rng.randrange(BRANCH, ROOT + 1)
        address = rng.choice((nobodys, taken))
        made.append(Member(number, liar.enclave, address, rng.randrange(1, 5), 0, True, role, parent))
    for link in list(liar.connections):
        world.carry(
            liar, [Write(link, encode(Members(0, pack_all(made[at : at + 300])))) for at in range(0, count, 300)]
        )
        world.carry(liar, [Write(link, encode(Vouch(b"".join(one.number.to_bytes(8, "little") for one in made))))])


def goes_on(world: World, liar: Node, seed: int, for_ms: int) -> None:
    """It says the same again and again, so that nobody forgets."""
    end_ms = world.now_ms + for_ms
    while world.now_ms < end_ms:
        invent(world, liar, Random(seed))
        world.run_until(min(world.now_ms + AGAIN_MS, end_ms))


@pytest.mark.parametrize("seed", range(2))
def test_members_that_are_not_there_take_no_homes(seed: int) -> None:
    world, liar, honest = liar_and_honest(seed)
    there = {node.replica.core.me.number for node in world.nodes}
    goes_on(world, liar, seed, 6_000)
    for node in honest:
        assert set(node.replica.core.homes.map.owner) <= there


@pytest.mark.parametrize("seed", range(1))
def test_nobody_is_isolated_by_members_that_are_not_there(seed: int) -> None:
    world, liar, honest = liar_and_honest(seed)
    goes_on(world, liar, seed, 40_000)
    assert not world.reports.get("isolated")
    for node in honest:
        core = node.replica.core
        assert core.state == "ready"
        linked = {link.peer.number for link in core.neighbours.greeted() if link.peer}
        assert linked >= {one.replica.core.me.number for one in honest if one is not node}


def joins(world: World, liar: Node, joiner: Node, seed: int) -> int:
    """Until it is ready, the liar lies; how long that took."""
    began_ms = world.now_ms
    while joiner.replica.core.state != "ready" and world.now_ms < began_ms + JOINED_MS_MAX:
        goes_on(world, liar, seed, 500)
    assert joiner.replica.core.state == "ready"
    return world.now_ms - began_ms


@pytest.mark.parametrize("seed", dear.first(1, range(3)))
def test_who_joins_is_known_to_all_before_it_decides_whatever_a_member_invents(seed: int) -> None:
    """Nodes that knew different homes would decide about the same key."""
    world, liar, honest = liar_and_honest(seed)
    goes_on(world, liar, seed, 6_000)
    joiner = world.add()
    world.start(joiner)
    joins(world, liar, joiner, seed)
    world.crash(honest[0])
    goes_on(world, liar, seed, 10_000)
    world.restart(honest[0])
    joins(world, liar, honest[0], seed)
    there = {node.replica.core.me.number for node in world.nodes if node.is_up}
    assert len(there) == 7
    world.run_until(world.now_ms + 50)
    for node in (*honest, joiner):
        assert set(node.replica.core.homes.map.owner) == there


@pytest.mark.parametrize("seed", range(2))
def test_two_who_never_reach_each_other_have_the_same_homes(seed: int) -> None:
    """Each of them would decide about the other's keys, and so would those who reach both."""
    world, _, _ = liar_and_honest(seed, nodes=4)
    joiner = world.add()
    world.network.cut = {(1, joiner.place), (joiner.place, 1)}
    world.start(joiner)
    world.run_until(world.now_ms + 90_000)
    assert joiner.replica.core.state == "ready"
    assert joiner.replica.core.neighbours.link_to(world.nodes[1].replica.core.me.number) is None
    there = {node.replica.core.me.number for node in world.nodes}
    assert [set(node.replica.core.homes.map.members) for node in world.nodes] == [there] * 5


def test_in_a_crowd_everybody_is_proven_to_all_before_the_first_is_ready() -> None:
    """So homes do not wait for witnesses: with or without them they follow who says that it is ready."""
    world = crowd(40, 1, settle_ms=2_500)
    cores = [node.replica.core for node in world.nodes]
    assert not any(core.me.ready for core in cores)
    assert {len(core.book.proven) for core in cores} == {39}


def test_among_many_one_liar_gets_no_slots_and_a_joiner_has_the_homes_of_all() -> None:
    world = crowd(16, 1, settle_ms=20_000)
    liar = world.nodes[-1]
    joiner = world.add()
    world.start(joiner)
    joins(world, liar, joiner, 1)
    goes_on(world, liar, 1, 8_000)
    there = {node.replica.core.me.number for node in world.nodes}
    assert len(there) == 17
    assert [set(node.replica.core.homes.map.members) for node in world.nodes if node is not liar] == [there] * 16
