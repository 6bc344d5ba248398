"""What is shown is what is."""

from respram.gossip.members import ROOT
from respram.gossip.status import peers_of, status_of, topology_of
from respram.wire.messages import Ack, Attached

from .rig import Bench, member


def test_a_node_alone_is_ready_and_has_nobody() -> None:
    core = Bench().core
    shown = status_of(core)
    assert (shown.state, shown.role, shown.members, shown.links, shown.bootstrap_percent) == (
        "ready",
        "leaf",
        1,
        0,
        100,
    )
    assert peers_of(core) == [] and topology_of(core) == [core.me]


def test_peers_are_shown_with_their_state_and_what_waits_for_them() -> None:
    bench = Bench()
    bench.meet(1, member(0x200, role=ROOT))
    bench.meet(2, member(0x300, ready=False))
    bench.meet(3, member(0x400))
    bench.meet(4, member(0x500))
    bench.wait(1_500)
    bench.say(1, Attached(2, 1))
    bench.write(b"k", bytes(1_000))
    bench.say(1, Ack(1, b""))
    core = bench.core
    core.set_differs(core.peers[0x400])
    bench.take(core.closed(4, bench.now))
    lines = {line.number: line for line in peers_of(core)}
    assert {number: line.state for number, line in lines.items()} == {
        0x200: "online", 0x300: "joining", 0x400: "differs", 0x500: "unlinked"
    }  # fmt: skip
    assert lines[0x200].is_parent and lines[0x200].in_flight_bytes == 0
    assert lines[0x300].in_flight_bytes > 1_000 and lines[0x500].queued_bytes > 1_000
    shown = status_of(core)
    assert (shown.links, shown.differing_peers, shown.batches_sent, shown.parent) == (3, 1, 1, 0x200)
    assert topology_of(core)[0] == core.me
    assert [one.number for one in topology_of(core)[1:]] == [0x200, 0x400, 0x500, 0x300]  # the root, then by address


def test_a_joiner_shows_how_far_it_is() -> None:
    bench = Bench(roots=[b"root:1"])
    bench.core.boot.point = 1 << 31
    shown = status_of(bench.core)
    assert (shown.state, shown.bootstrap_percent) == ("joining", 50)
