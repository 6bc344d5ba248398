"""The driver: outputs carried out, arrivals handed in, one timer, and clients that wait."""

import asyncio
import time
from functools import partial

import pytest

from respram.server import driver as driver_module
from respram.server.links import now
from respram.server.secret import Trust, trust_by_secret
from tests.secrets import secret_of
from tests.server.nodes import Party, parties, run, until
from tests.timing import in_time


@pytest.fixture(scope="module")
def trust() -> Trust:
    return trust_by_secret((secret_of("driver"),))


def both_have(one: Party, other: Party, key: bytes) -> bool:
    return one.value(key) == other.value(key) == b"v"


@pytest.mark.parametrize("secure", [True, False])
def test_a_write_is_on_the_other_nodes_within_milliseconds(trust: Trust, secure: bool) -> None:
    async def main() -> None:
        async with parties(3, trust if secure else None) as (one, two, three):
            took = []
            for number in range(20):
                key = b"k%d" % number
                started = time.monotonic()
                one.store(key, b"v")
                await until(partial(both_have, two, three, key))
                took.append(time.monotonic() - started)
            in_time(sorted(took)[10], 0.1, "a write on its way")
            assert two.driver.members()[0].address == b"127.0.0.1:%d" % two.port
            assert {row.state for row in one.driver.linked()} <= {b"online", b"differs", b"joining"}

    run(main)


def test_publications_of_both_kinds_reach_their_own_subscribers() -> None:
    async def main() -> None:
        async with parties(2) as (one, two):
            heard: list[bytes] = []
            conn = two.connect(heard, [])
            two.node.channels[b"c"] = {conn: 0}
            two.node.shard_channels[b"c"] = {conn: 0}
            one.driver.publish(b"c", b"plain", shard=False)
            one.driver.publish(b"c", b"shard", shard=True)
            await until(lambda: len(heard) == 2)
            assert heard[0] == b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nplain\r\n"
            assert heard[1] == b"*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$5\r\nshard\r\n"
            two.node.channels.clear()
            two.node.shard_channels.clear()

    run(main)


def test_who_waits_is_woken_when_enough_peers_have_it_and_not_before() -> None:
    async def main() -> None:
        async with parties(3) as (one, two, three):
            patient: list[int] = []
            greedy: list[int] = []
            first, second = one.connect([], patient), one.connect([], greedy)
            one.store(b"k", b"v")
            number = one.driver.flush()
            one.driver.notice(first, number, 2)
            one.driver.notice(second, number, 3)
            await until(lambda: patient)
            assert two.value(b"k") == three.value(b"k") == b"v" and one.driver.holders(number) == 2
            assert not greedy and list(one.driver.waiting.acks) == [second]
            one.driver.forget(second)
            assert not one.driver.waiting.acks

    run(main)


def test_a_miss_while_joining_is_asked_for_and_the_client_woken() -> None:
    async def main() -> None:
        async with parties(2) as (one, two):
            await until(lambda: one.driver.replica.core.state == two.driver.replica.core.state == "ready")
            two.store(b"there", b"v")
            await until(lambda: one.value(b"there"))
            # One node alone has a key; the other believes that somebody may know more.
            two.node.engine.drain(1 << 20)
            now_ms = now().wall_ms
            two.node.engine.store(0, b"rare", b"v", now_ms + 60_000, False, now_ms, b"set")
            two.node.engine.drain(1 << 20)
            core = one.driver.replica.core
            (peer,) = core.neighbours.of_enclave()
            core.neighbours.set_differs(peer)
            assert one.driver.pulls_useful()
            woken: list[int] = []
            conn = one.connect([], woken)
            assert one.driver.pull(conn, 0, b"rare") > 0 and one.driver.pull(conn, 0, b"missing") > 0
            await until(lambda: woken)
            assert one.value(b"rare") == b"v" and one.value(b"missing") is None and len(woken) == 1
            assert not one.driver.waiting.pulling and not one.driver.waiting.pulls_of
            assert one.driver.pull(conn, 0, b"missing") == 0, "nobody had it a moment ago"

    run(main)


def test_misses_leave_the_fast_path_exactly_while_they_may_be_asked_for() -> None:
    async def main() -> None:
        async with parties(2) as (one, two):
            await until(lambda: one.driver.replica.core.state == two.driver.replica.core.state == "ready")
            await until(lambda: not one.driver.pulls_useful())
            assert one.node.engine.hot_reads
            core = one.driver.replica.core
            core.neighbours.set_differs(core.neighbours.of_enclave()[0])
            one.driver.carry([])
            assert not one.node.engine.hot_reads
            await until(lambda: one.node.engine.hot_reads)

    run(main)


def test_a_client_that_leaves_is_forgotten_by_its_pulls() -> None:
    async def main() -> None:
        async with parties(2) as (one, two):
            core = one.driver.replica.core
            await until(lambda: core.state == two.driver.replica.core.state == "ready")
            woken: list[int] = []
            conn, other = one.connect([], woken), one.connect([], woken)

            def both_ask() -> bool:
                if core.neighbours.of_enclave():  # a comparison that is under way may clear it at once
                    core.neighbours.set_differs(core.neighbours.of_enclave()[0])
                return one.driver.pull(conn, 0, b"a") > 0 and one.driver.pull(other, 0, b"a") > 0

            await until(both_ask)
            one.driver.forget(conn)
            assert one.driver.waiting.pulling == {(0, b"a"): {other: None}}
            await until(lambda: woken)
            assert woken == [1]

    run(main)


def test_a_bug_in_a_tick_is_seen_and_does_not_end_all_gossip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "AFTER_BUG_S", 0.05)
    seen: list[object] = []

    async def main() -> None:
        async with parties(2) as (one, two):

            def note(_: object, context: dict[str, object]) -> None:
                seen.append(context["exception"])
                seen.append(one.driver._timer)

            asyncio.get_running_loop().set_exception_handler(note)
            real = one.driver.replica.tick
            broken = [True]

            def tick(now: object) -> list[object]:
                if broken:
                    broken.clear()
                    raise KeyError("a bug")
                return real(now)  # type: ignore[arg-type, return-value]

            monkeypatch.setattr(one.driver.replica, "tick", tick)
            await until(lambda: seen)
            one.store(b"k", b"v")
            await until(lambda: two.value(b"k") == b"v")
            bug, timer = seen
            assert isinstance(bug, KeyError) and timer is not None, "nothing else may have to set it again"

    run(main)


def test_what_the_engine_had_to_drop_is_made_up_by_comparison() -> None:
    async def main() -> None:
        async with parties(2) as (one, two):
            await until(lambda: one.driver.replica.core.state == two.driver.replica.core.state == "ready")
            now_ms = now().wall_ms
            for number in range(40):
                one.node.engine.store(0, b"k%d" % number, b"x" * 60_000, now_ms + 60_000, False, now_ms, b"set")
            one.driver.wrote()
            await until(lambda: two.node.engine.count(0, now_ms) == 40)
            assert one.driver.replica.core.rounds.filters_sent + two.driver.replica.core.rounds.filters_sent > 0

    run(main)
