"""What a node tells of its peers is what is the case."""

from respram.commands.info import render
from respram.gossip.members import ROOT
from respram.replica import Replica
from respram.server import clock, peer_overview
from respram.wire.messages import Ack, Attached, Push
from tests.gossip.rig import Bench, hello, member
from tests.server.nodes import parties, run, until


def test_rows_follow_the_links_and_the_writes_on_their_way() -> None:
    async def main() -> None:
        async with parties(2) as (one, two):
            (row,) = one.driver.linked()
            assert (row.number, row.host, row.port, row.enclave, row.role) == (
                2,
                b"127.0.0.1",
                two.port,
                b"default",
                b"root",
            )
            assert row.queue_bytes == 0 and 0 <= row.heard_ms < 10_000
            for link in one.driver.links.table.values():
                link.write = lambda data: None  # type: ignore[method-assign]
            one.store(b"k", b"x" * 1000)
            one.driver.flush()
            (row,) = one.driver.linked()
            assert row.in_flight_bytes > 1000
            await until(lambda: one.driver.linked()[0].lag_ms > 20)
            facts = dict(one.driver.facts())
            assert facts["enclave_members"] == 2 and facts["tree_role"] == "root"
            assert isinstance(facts["replication_lag_ms_max"], int) and facts["replication_lag_ms_max"] > 20
            (peer,) = one.driver.replica.core.neighbours.of_enclave()
            peer.lagging_ms = clock.micros() // 1000 - 500
            assert (
                one.driver.linked()[0].state == b"lagging" and peer_overview.lag_ms(peer, clock.micros() // 1000) >= 500
            )
            peer.lagging_ms = None

    run(main)


def test_the_lag_of_a_stopped_peer_grows_though_frames_are_sent_again() -> None:
    bench = Bench()
    bench.meet(1, member(0x200))
    (peer,) = bench.core.neighbours.of_enclave()
    bench.write(b"k")
    for ms in (900, 1_500, 2_000):
        bench.wait(ms)
        bench.write(b"later")
        assert peer_overview.lag_ms(peer, bench.ms) == bench.ms
    assert len(bench.sent(Push)) > 4, "nothing was sent again"
    bench.take(bench.core.closed(1, bench.now))
    bench.meet(2, member(0x200))
    assert peer_overview.lag_ms(peer, bench.ms) == bench.ms, "a new link does not make it younger"


def test_info_has_numbers_that_grow_with_what_they_count() -> None:
    async def main() -> None:
        async with parties(2) as (one, two):
            before = dict(one.driver.facts())
            one.store(b"k", b"v")
            await until(lambda: two.value(b"k"))
            after = dict(one.driver.facts())
            assert after["batches_sent"] == before["batches_sent"] + 1  # type: ignore[operator]
            assert after["peer_sent_bytes"] > before["peer_sent_bytes"]  # type: ignore[operator]
            assert str(after["peer_sent_push"]).startswith("frames=")
            received = dict(two.driver.facts())["peer_received_bytes"]
            assert isinstance(received, int) and received > 100
            shown = render(one.node, [b"replication"], clock.now_ms()).decode()
            assert f"slave0:ip=127.0.0.1,port={two.port},state=online,offset=1,lag=0\r\n" in shown
            assert "\r\npeer_state:" in shown and "\r\nlinks_garbage:0\r\n" in shown

    run(main)


def test_members_tell_who_left() -> None:
    async def main() -> None:
        async with parties(2) as (one, two):
            assert [row.status for row in one.driver.members()] == [b"alive", b"alive"]
            await two.driver.stop()
            await until(lambda: one.driver.members()[1].status == b"left")
            assert not one.driver.linked()

    run(main)


def test_each_state_of_a_peer_has_its_name() -> None:
    bench = Bench()
    bench.meet(1, member(0x200, role=ROOT))
    bench.meet(2, member(0x300, ready=False))
    for link in (3, 4, 5):
        bench.meet(link, member(0x100 + 0x100 * link))
    bench.take(bench.core.opened(6, b"", bench.now))
    bench.say(6, hello(member(0x700), clock_ms=bench.now.wall_ms, capabilities=77))
    bench.wait(1_500)
    bench.say(1, Attached(2, 1))
    bench.write(b"k", bytes(1_000))
    bench.say(1, Ack(1, b""))
    core = bench.core
    core.neighbours.set_differs(core.neighbours.peers[0x400])
    core.neighbours.peers[0x500].lagging_ms = 0
    bench.take(core.closed(5, bench.now))
    replica = Replica(bench.engine, core, 1 << 20)
    rows = {row.number: row for row in peer_overview.linked(replica, bench.ms)}
    assert {number: row.state for number, row in rows.items()} == {
        0x200: b"online", 0x300: b"joining", 0x400: b"differs", 0x500: b"lagging", 0x600: b"unlinked",
        0x700: b"foreign",
    }  # fmt: skip
    assert rows[0x200].in_flight_bytes == 0 and rows[0x300].in_flight_bytes > 1_000 and rows[0x600].queue_bytes > 1_000
    facts = dict(peer_overview.facts(replica, {}, bench.ms))
    assert (facts["enclave_peers_linked"], facts["enclave_peers_differing"], facts["batches_sent"]) == (5, 1, 1)
    assert facts["tree_parent"] == f"{0x200:016x}" and facts["bootstrap_percent"] == 100
    joining = Bench(roots=[b"root:1"])
    joining.core.boot.point = 1 << 31
    facts = dict(peer_overview.facts(Replica(joining.engine, joining.core, 1 << 20), {}, 0))
    assert (facts["peer_state"], facts["bootstrap_percent"]) == ("joining", 50)
