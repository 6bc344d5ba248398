"""Peers whose ids are under another key: level by dumps, each at its time, and counted once they are there."""

from respram.engine.ids import POINTS
from respram.gossip.effects import Hangup
from respram.gossip.other_ids import REST_MS
from respram.sim.world import World
from respram.wire.messages import Ack, Digest, Dumped

from .rig import Bench, hello, member


def stand(peers: int = 1) -> Bench:
    bench = Bench()
    bench.write(b"before")
    for number in range(peers):
        greet(bench, number + 1, 0x200 + number)
    return bench


def greet(bench: Bench, link: int, number: int) -> None:
    bench.take(bench.core.opened(link, b"", bench.now))
    bench.say(link, hello(member(number), clock_ms=bench.now.wall_ms, capabilities=77))


def acknowledge(bench: Bench, link: int, refused: bytes = b"") -> None:
    bench.say(link, Ack(bench.sent(Dumped, link)[-1].seq, refused))


def test_a_foreign_peer_is_dumped_to_once_and_never_compared_with() -> None:
    bench = stand()
    bench.wait(400 + 1_200)
    [chunk] = bench.sent(Dumped)
    assert chunk.point == POINTS and chunk.payload
    assert bench.core.holders(1) == 0
    acknowledge(bench, 1)
    assert bench.core.holders(1) == 1
    bench.wait(1_000)
    assert not bench.sent(Digest) and len(bench.sent(Dumped)) == 1
    bench.say(1, Digest(1, bytes(28)))
    assert [one.reason for one in bench.effects if isinstance(one, Hangup)] == ["DIGEST under another key"]


def test_one_debt_is_paid_at_a_time_with_a_rest_between() -> None:
    bench = stand(2)
    bench.wait(1_600)
    assert len(bench.sent(Dumped)) == 1
    first = 1 if bench.sent(Dumped, 1) else 2
    acknowledge(bench, first)
    bench.wait(1_000)
    assert len(bench.sent(Dumped)) == 1
    for _ in range(REST_MS // 500):
        bench.wait(1_000)
        for link in (1, 2):
            bench.core.neighbours.peers[0x1FF + link].heard_ms = bench.ms
    assert bench.sent(Dumped, 3 - first)


def test_what_was_not_kept_and_what_was_dropped_is_owed_again() -> None:
    bench = stand()
    peer = bench.core.neighbours.peers[0x200]
    bench.wait(1_600)
    acknowledge(bench, 1, bench.sent(Dumped)[-1].seq.to_bytes(8, "little"))
    assert peer.owed and bench.core.holders(1) == 0
    peer.owed = False
    bench.take(bench.core.overflowed(bench.now))
    assert peer.owed


def test_a_rotated_secret_in_the_middle_of_its_round_leaves_all_nodes_level() -> None:
    """Three nodes, restarted one by one under the next secret, with writes that the restarted one cannot hear."""

    def write(place: int, key: bytes) -> None:
        now = world.time_of(world.nodes[place])
        world.nodes[place].engine.store(0, key, b"v", now.wall_ms + 3_600_000, False, now.wall_ms, b"set")
        world.touch(world.nodes[place])

    def counts() -> list[int]:
        return [node.engine.count(0, world.time_of(node).wall_ms) for node in world.nodes]

    world = World(3)
    for place in range(3):
        world.add(is_root=place == 0)
    for node in world.nodes:
        world.start(node)
    world.run_until(3_000)
    for number in range(300):
        write(number % 3, b"k%d" % number)
    world.run_until(world.now_ms + 1_000)
    world.ids_key = 0xAFFE
    world.crash(world.nodes[1])
    world.restart(world.nodes[1])
    world.run_until(world.now_ms + 3_000)
    assert world.nodes[1].replica.core.state == "ready" and counts() == [300] * 3
    world.run_until(world.now_ms + 60_000)
    cut = {(0, 1), (1, 0), (2, 1), (1, 2)}
    world.network.cut = set(cut)
    for number in range(300, 360):
        write(number % 3, b"k%d" % number)
    world.run_until(world.now_ms + 25_000)  # long enough to be thought dead: nothing waits for it any more
    assert counts()[0] < 360 and counts()[1] < 360
    world.network.cut.clear()
    world.run_until(world.now_ms + 60_000)
    assert counts() == [360] * 3
    before = sum(node.replica.sent[b"DUMPED"].bytes for node in world.nodes)
    world.run_until(world.now_ms + 60_000)
    assert sum(node.replica.sent[b"DUMPED"].bytes for node in world.nodes) == before  # and then it is quiet
