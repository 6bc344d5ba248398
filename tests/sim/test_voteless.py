"""A member without a vote keeps no majority from deciding: one that comes back, or one too many."""

from respram.gossip.forwarding import ANSWERED
from respram.sim.world import Node
from tests.sim.test_lengthening import Enclave


def slots(node: Node) -> int:
    return node.replica.core.homes.slots_here()


def refused(enclave: Enclave) -> int:
    """Decisions that were not begun."""
    return sum(node.replica.core.majority.short for node in enclave.world.nodes)


def test_one_that_comes_back_gets_slots_with_its_vote_and_nothing_is_refused_before() -> None:
    enclave = Enclave(3)
    world = enclave.world
    home = enclave.home()
    other = next(node for node in world.nodes if node is not home)
    assert enclave.decide(other, b"nx", b"1", 600_000) == (ANSWERED, b"1")
    world.crash(home)
    world.run_until(world.now_ms + 4_000)
    world.restart(home)
    enclave.until(lambda: home.replica.core.state == "ready")
    assert not home.replica.core.promises.votes and slots(home) == 0
    before = refused(enclave)
    for number in range(20):
        assert enclave.decide(home, b"xx", b"%d" % number, 600_000) == (ANSWERED, b"1")
    assert refused(enclave) == before and not home.replica.core.promises.votes
    enclave.until(lambda: home.replica.core.promises.votes)
    world.run_until(world.now_ms + 3_000)
    assert all(home.replica.core.me.number in node.replica.core.homes.map.members for node in world.nodes)
    assert enclave.decide(other, b"xx", b"last", 600_000) == (ANSWERED, b"1") and slots(home) > 0


def test_a_fourth_of_three_decides_nothing_and_costs_nothing() -> None:
    enclave = Enclave(4)
    world = enclave.world
    fourth = world.add(offset_ms=100)
    world.start(fourth)
    enclave.until(lambda: fourth.replica.core.state == "ready")
    before = refused(enclave)
    assert enclave.decide(fourth, b"nx", b"0", 600_000) == (ANSWERED, b"1")
    for number in range(20):
        for node in world.nodes:
            assert enclave.decide(node, b"xx", b"%d" % number, 600_000) == (ANSWERED, b"1")
    assert slots(fourth) == 0 and refused(enclave) == before and world.reports["majority_crowded"]
