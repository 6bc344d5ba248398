"""Attacks and accidents, one test each, between whole replicas over encoded bytes. docs/peers.md lists them all."""

import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from respram.gossip.effects import Hangup, Report
from respram.gossip.members import Member
from respram.gossip.policy import Policy
from respram.record import Record, pack
from respram.sim import scenarios
from respram.sim.network import CALM, Faults
from respram.sim.world import EPOCH_MS, Node, World
from tests.engine.each import each_engine  # noqa: F401 (every test here runs on each engine)

DAY_MS, HOUR_MS = 86_400_000, 3_600_000


def enclave(nodes: int = 3, seed: int = 1, policy: Policy | None = None) -> World:
    world = World(seed, policy or Policy())
    for place in range(nodes):
        world.add(is_root=place == 0)
    for node in world.nodes:
        world.start(node)
    world.run_until(8_000)
    assert {node.replica.core.state for node in world.nodes} == {"ready"}
    return world


def write(world: World, node: Node, key: bytes, value: bytes = b"v", ttl_ms: int = 3_600_000) -> None:
    wall_ms = world.time_of(node).wall_ms
    node.engine.store(0, key, value, wall_ms + ttl_ms, False, wall_ms, b"set")
    world.touch(node)


def counts(world: World) -> list[int]:
    return [node.engine.count(0, world.time_of(node).wall_ms) for node in world.up]


def until_level(world: World, limit_ms: int = 30_000) -> int:
    began_ms = world.now_ms
    world.run_until(world.now_ms + 3_500)
    while len(world.digests()) > 1:
        assert world.now_ms < began_ms + limit_ms, counts(world)
        world.run_until(world.now_ms + 100)
    return world.now_ms - began_ms


def read(world: World, node: Node, key: bytes) -> bytes | None:
    entry = node.engine.lookup(0, key, world.time_of(node).wall_ms)
    return entry and entry.value


# -- clocks -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step_ms", [DAY_MS, -HOUR_MS])
def test_a_clock_that_jumps_and_comes_back_loses_nothing_and_poisons_nobody(step_ms: int) -> None:
    world = enclave()
    wrong, right = world.nodes[1], world.nodes[2]
    write(world, right, b"before", b"1", 2 * DAY_MS)
    world.run_until(world.now_ms + 500)
    world.step_clock(wrong, step_ms)
    write(world, wrong, b"during", b"wrong clock")
    write(world, right, b"meanwhile", b"2", 2 * DAY_MS)
    world.run_until(world.now_ms + 10_000)
    if step_ms > 0:
        assert read(world, right, b"during") is None  # a stamp from tomorrow is not merged
        assert not right.replica.core.neighbours.link_to(wrong.replica.core.me.number)
    write(world, right, b"during", b"right clock")
    world.step_clock(wrong, -step_ms)
    until_level(world)
    write(world, wrong, b"after", b"3")
    world.run_until(world.now_ms + 3_000)
    for node in world.nodes:
        assert [read(world, node, key) for key in (b"before", b"meanwhile", b"after")] == [b"1", b"2", b"3"]
    assert len({read(world, node, b"during") for node in world.nodes}) == 1


def test_a_restart_with_a_slow_clock_does_not_lose_to_its_own_past() -> None:
    world = enclave()
    one = world.nodes[1]
    write(world, one, b"k", b"first life")
    world.run_until(world.now_ms + 500)
    world.crash(one)
    one.offset_ms = -1_500
    world.restart(one)
    world.run_until(world.now_ms + 3_000)
    assert read(world, one, b"k") == b"first life"
    write(world, one, b"k", b"second life")
    until_level(world)
    assert {read(world, node, b"k") for node in world.nodes} == {b"second life"}


def test_a_node_whose_clock_is_off_is_refused_with_the_reason_on_both_sides() -> None:
    world = World(1, tracing=True)
    for place, offset_ms in enumerate((0, 5_000)):
        world.add(is_root=place == 0, offset_ms=offset_ms)
    for node in world.nodes:
        world.start(node)
    world.run_until(8_000)
    said = [line for line in world.trace if "clocks_differ" in line]
    assert any(" 0 event=refused" in line for line in said) and any(" 1 event=refused" in line for line in said)


# -- loads --------------------------------------------------------------------------------------------
def test_a_peer_that_stands_still_for_a_minute_costs_bounded_memory_and_nobodys_time() -> None:
    """As many bytes as in the next test, in fewer and larger records: they fill the window and the queue."""
    world = enclave()
    one, slow, _ = world.nodes
    world.stall(slow, 60_000)
    peer = one.replica.core.neighbours.peers[slow.replica.core.me.number]
    worst_bytes = 0
    for step in range(600):
        for number in range(5):
            write(world, one, b"k%d" % (step * 5 + number), bytes(10_000))
        world.run_until(world.now_ms + 100)
        in_flight = peer.link.in_flight_bytes if peer.link else 0
        worst_bytes = max(worst_bytes, in_flight + peer.queue_bytes)
        if step % 50 == 25:
            assert counts(world)[2] >= (step - 1) * 5  # the third is served as ever
    assert worst_bytes <= one.replica.core.policy.in_flight_bytes_max + one.replica.core.policy.queue_bytes_max
    until_level(world, 90_000)
    assert counts(world) == [3_000] * 3


@pytest.mark.slow
def test_a_slow_peer_for_a_minute_at_ten_thousand_writes_a_second(each_engine: str) -> None:  # noqa: F811
    if each_engine == "pure":
        pytest.skip("600,000 writes are minutes in the pure engine: the test before this one does for it")
    world = enclave()
    one, slow, third = world.nodes
    world.stall(slow, 60_000)
    peer = one.replica.core.neighbours.peers[slow.replica.core.me.number]
    policy = one.replica.core.policy
    for step in range(3_000):
        wall_ms = world.time_of(one).wall_ms
        for number in range(200):
            key = b"k%d" % ((step * 200 + number) % 50_000)
            one.engine.store(0, key, b"%d" % step, wall_ms + 3_600_000, False, wall_ms, b"set")
        world.touch(one)
        world.run_until(world.now_ms + 20)
        assert read(world, third, key) == b"%d" % step  # the third has every write within its 20 ms
        in_flight_bytes = peer.link.in_flight_bytes if peer.link else 0
        assert in_flight_bytes <= policy.in_flight_bytes_max and peer.queue_bytes <= policy.queue_bytes_max
    until_level(world, 60_000)
    assert counts(world) == [50_000] * 3


def test_a_value_larger_than_the_window_arrives() -> None:
    world = enclave()
    write(world, world.nodes[0], b"large", bytes(9 << 20))
    write(world, world.nodes[0], b"small")
    world.run_until(world.now_ms + 500)
    assert counts(world) == [2, 2, 2]


def test_a_node_full_of_memory_among_nodes_that_are_not() -> None:
    world = World(1)
    for place in range(3):
        world.add(is_root=place == 0, memory_bytes_max=500_000 if place == 2 else 0)
    for node in world.nodes:
        world.start(node)
    world.run_until(8_000)
    write(world, world.nodes[2], b"mine")
    for number in range(1_000):
        write(world, world.nodes[number % 2], b"k%d" % number, bytes(1_000), ttl_ms=20_000 if number < 900 else 600_000)
    world.run_until(world.now_ms + 5_000)
    assert counts(world)[0] == counts(world)[1] == 1_001 and 100 < counts(world)[2] < 400
    bytes_before = world.network.bytes
    world.run_until(world.now_ms + 10_000)
    assert world.network.bytes - bytes_before < 400_000  # differing for long is not transferring for long
    world.run_until(world.now_ms + 40_000)
    assert counts(world) == [101, 101, 101]  # room came with the deadlines


@pytest.mark.slow
def test_twenty_joiners_at_once_are_served_two_at_a_time() -> None:
    world = enclave()
    for number in range(3_000):
        write(world, world.nodes[0], b"k%d" % number, bytes(300))
    world.run_until(world.now_ms + 2_000)
    joiners = [world.add() for _ in range(20)]
    for node in joiners:
        world.start(node)
    most = 0
    for _ in range(300):
        world.run_until(world.now_ms + 100)
        most = max(
            most,
            *(
                sum(link.dump_point is not None for link in node.replica.core.neighbours.links.values())
                for node in world.nodes
            ),
        )
        if all(node.replica.core.state == "ready" for node in joiners):
            break
    assert most <= 2
    assert {node.replica.core.state for node in joiners} == {"ready"}
    until_level(world)
    assert counts(world) == [3_000] * 23


# -- comings and goings -------------------------------------------------------------------------------
def test_half_of_the_nodes_restarted_at_once() -> None:
    world = enclave(6)
    for number in range(200):
        write(world, world.nodes[number % 6], b"k%d" % number)
    world.run_until(world.now_ms + 1_000)
    for node in world.nodes[:3]:
        world.crash(node)
    world.run_until(world.now_ms + 500)
    for node in world.nodes[:3]:
        world.restart(node)
    until_level(world)
    assert counts(world) == [200] * 6


def test_all_roots_restarted_one_by_one() -> None:
    world = World(1)
    for place in range(5):
        world.add(is_root=place < 2)
    for node in world.nodes:
        world.start(node)
    world.run_until(8_000)
    write(world, world.nodes[4], b"k")
    for node in world.nodes[:2]:
        world.crash(node)
        world.run_until(world.now_ms + 2_000)
        world.restart(node)
        world.run_until(world.now_ms + 5_000)
    assert counts(world) == [1] * 5
    assert {node.replica.core.state for node in world.nodes} == {"ready"}


def test_a_flapping_link() -> None:
    world = enclave()
    rng = Random(3)
    for step in range(60):
        world.network.cut = {(0, 1), (1, 0)} if step % 2 else set()
        for connection, _ in list(world.nodes[0].connections.values()):
            if step % 2 and {place for place, _ in connection.ends} == {0, 1}:
                world._break(connection)
        write(world, world.nodes[rng.randrange(3)], b"k%d" % step)
        world.run_until(world.now_ms + 300)
    world.network.cut = set()
    until_level(world)
    assert counts(world) == [60] * 3
    assert world.reports.get("died", 0) == 0  # the third reaches both


def test_a_partition_under_writes_heals_and_the_last_write_stands() -> None:
    world = enclave(4)
    world.network.cut = {(a, b) for a in range(4) for b in range(4) if (a < 2) != (b < 2)}
    for number in range(100):
        write(world, world.nodes[number % 4], b"k%d" % (number % 10), b"%d" % number)
        world.run_until(world.now_ms + 100)
    world.network.cut = set()
    until_level(world)
    for key in range(10):
        values = {read(world, node, b"k%d" % key) for node in world.nodes}
        assert values == {b"%d" % (90 + key)}


def test_two_networks_that_meet_stay_apart() -> None:
    world = World(1)
    one = world.add(is_root=True)
    world.policy = replace(world.policy, network=b"staging")
    other = world.add(is_root=True)
    for node in world.nodes:
        world.start(node)
    world.run_until(8_000)
    write(world, one, b"k")
    world.run_until(world.now_ms + 3_000)
    assert counts(world) == [1, 0]
    assert world.reports["refused"] >= 1 and not other.replica.core.book.alive


def test_enclaves_share_the_topology_and_not_the_data() -> None:
    world = World(1)
    for place in range(4):
        world.add(enclave=b"main" if place < 2 else b"other", is_root=place == 0)
    for node in world.nodes:
        world.start(node)
    world.run_until(8_000)
    write(world, world.nodes[0], b"k", b"main")
    write(world, world.nodes[2], b"k", b"other")
    world.run_until(world.now_ms + 3_000)
    assert [read(world, node, b"k") for node in world.nodes] == [b"main", b"main", b"other", b"other"]
    assert [len(node.replica.core.book.alive) for node in world.nodes] == [3, 3, 3, 3]


# -- hostile peers ------------------------------------------------------------------------------------
def test_far_future_stamps_do_not_pull_the_clock_along() -> None:
    world = enclave()
    one = world.nodes[0]
    forged = pack(Record(0, b"k", b"forged", EPOCH_MS + DAY_MS << 16, 66, EPOCH_MS + 600_000))
    assert one.engine.merge(forged, EPOCH_MS + world.now_ms).refused == 1
    write(world, one, b"k", b"real")
    world.run_until(world.now_ms + 500)
    assert {read(world, node, b"k") for node in world.nodes} == {b"real"}


def test_garbage_on_every_port_is_noticed_by_nobody_else() -> None:
    world = enclave()
    rng = Random(9)
    one = world.nodes[0]
    for number in range(200):
        link = 1_000 + number
        now = world.time_of(one)
        world.carry(one, one.replica.opened(link, b"", now))
        outputs = one.replica.received(link, rng.randbytes(rng.randrange(1, 300)), now)
        world.carry(one, [output for output in outputs if isinstance(output, Report)])
        if not [output for output in outputs if isinstance(output, Hangup)]:
            world.carry(one, one.replica.closed(link, now))
    write(world, one, b"k")
    world.run_until(world.now_ms + 500)
    assert counts(world) == [1, 1, 1]
    assert len(one.replica.core.neighbours.greeted()) == 2


def test_a_member_that_lies_about_the_others_is_denied() -> None:
    world = enclave()
    one = world.nodes[0]
    victims = [world.nodes[place].replica.core.me for place in (1, 2)]
    now = world.time_of(one)
    world.carry(one, one.replica.introduce([replace(victim, status=2) for victim in victims], now))
    world.run_until(world.now_ms + 5_000)
    write(world, one, b"k")
    world.run_until(world.now_ms + 2_000)
    assert counts(world) == [1, 1, 1]
    assert len(one.replica.core.book.alive) == 2


def test_a_book_full_of_inventions_ends_in_nothing() -> None:
    world = enclave()
    one = world.nodes[0]
    ghosts = [Member(0x900000 + number, b"main", b"10.9.9.%d:1" % number, ready=True) for number in range(8)]
    world.carry(one, one.replica.introduce(ghosts, world.time_of(one)))
    world.run_until(world.now_ms + 60_000)
    write(world, one, b"k")
    world.run_until(world.now_ms + 1_000)
    assert counts(world) == [1, 1, 1]
    assert [len(node.replica.core.book.alive) for node in world.nodes] == [2, 2, 2]


def test_every_test_that_the_page_of_the_peers_names_is_there() -> None:
    root = Path(__file__).parents[2]
    rows = re.findall(
        r"^\| .* \| `(tests/[a-z_/]+\.py)::(test_[a-z_0-9]+)` \|$", (root / "docs/peers.md").read_text(), re.M
    )
    assert len(rows) >= 19
    for path, name in rows:
        assert f"\ndef {name}(" in (root / path).read_text(), f"{path}::{name}"


# -- the network --------------------------------------------------------------------------------------
def test_loss_duplication_and_reordering_do_not_stop_writes() -> None:
    world = enclave(4)
    world.network.faults = Faults((1, 100), 0.1, 0.1, 0.5)
    for number in range(200):
        write(world, world.nodes[number % 4], b"k%d" % number)
        world.run_until(world.now_ms + 20)
    world.network.faults = CALM
    until_level(world)
    assert counts(world) == [200] * 4


def test_an_idle_enclave_of_three_is_nearly_silent() -> None:
    world = enclave()
    world.run_until(60_000)
    quiet = scenarios.idle(world, 30_000)
    assert quiet.messages_per_s < 4 and quiet.bytes_per_s < 300
