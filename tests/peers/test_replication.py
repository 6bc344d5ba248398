"""Real processes, real sockets, mutual TLS: what is written on one node is on all, whatever happens to them."""

import random
import threading
import time
from collections.abc import Iterator

import pytest
import redis

from respram.cli.main import main
from tests.engine.conftest import ENGINES
from tests.live import SOON_S
from tests.peers.enclave import SECRET, USUAL, Member, enclave, until, until_equal, until_linked, until_ready
from tests.ports import reserve
from tests.timing import in_time

LIFE_S = 300


@pytest.fixture(scope="module", params=list(ENGINES))
def three(request: pytest.FixtureRequest) -> Iterator[list[Member]]:
    """For the tests that leave it as they found it, but for their records."""
    with enclave(3, "--notify-keyspace-events", "E$x", engines=(request.param,)) as members:
        until_ready(members)
        yield members


def write(member: Member, count: int, prefix: str) -> dict[bytes, bytes]:
    """Distinct records with distinct lives; what was written."""
    made = {}
    with member.client.pipeline(transaction=False) as pipe:
        for number in range(count):
            key, value = f"{prefix}:{number}".encode(), f"value {prefix} {number}".encode()
            pipe.set(key, value, px=LIFE_S * 1000 + number)
            made[key] = value
        assert pipe.execute() == [True] * count
    return made


def until_held(member: Member, made: dict[bytes, bytes]) -> None:
    until(lambda: holds(member, made), "not all records are there")


def holds(member: Member, made: dict[bytes, bytes]) -> bool:
    return member.client.mget(list(made)) == list(made.values())


def test_writes_on_all_nodes_are_on_all_nodes_to_the_millisecond(three: list[Member]) -> None:
    made: dict[bytes, bytes] = {}
    for number, member in enumerate(three):
        made |= write(member, 300, f"node{number}")
    for member in three:
        until_held(member, made)
    keys = random.sample(sorted(made), 50)
    deadlines = [[member.client.pexpiretime(key.decode()) for key in keys] for member in three]
    assert deadlines[0] == deadlines[1] == deadlines[2]
    until_equal(three, len(made))


def test_the_enclave_says_what_it_is_doing(three: list[Member]) -> None:
    made = write(three[0], 100, "said")
    until(lambda: holds(three[1], made), "no push came")
    info = three[0].info()
    assert info["connected_slaves"] == 2 and info["enclave_members"] == 3 and info["tree_role"] == "root"
    assert info["peer_sent_push"]["frames"] >= 2  # type: ignore[index]
    rows = three[0].client.execute_command("RESPRAM", "PEERS")
    assert {row[b"state"] for row in rows} <= {b"online", b"differs", b"joining"} and len(rows) == 2
    topology = three[2].client.execute_command("RESPRAM", "TOPOLOGY")
    assert {row[b"address"].decode() for row in topology} == {f"127.0.0.1:{one.peer_port}" for one in three}
    log = three[0].log()
    assert "proof=secret" in log and SECRET not in log and "event=met" in log and "event=ready" in log
    for member in three:  # each names both others, however it learnt of them
        met = [line for line in member.log().splitlines() if "event=met" in line]
        assert {line.split("address='")[1].split("'")[0] for line in met} >= {
            f"127.0.0.1:{other.peer_port}" for other in three if other is not member
        }
        rows = [member.info()[f"peer{number}"] for number in range(2)]
        assert all(isinstance(row, dict) and row["enclave"] == "default" and row["lag_ms"] >= 0 for row in rows)


def test_a_node_is_ready_when_it_holds_what_the_others_hold(three: list[Member]) -> None:
    made = write(three[0], 500, "filled")
    newcomer = Member(reserve(), reserve(), three[0].join, USUAL, (), SECRET)
    newcomer.start()
    try:
        port = str(newcomer.port)
        until(lambda: main(["ping", "--port", port, "--ready"], {}) == 0, "it never became ready")
        assert holds(newcomer, made)
        newcomer_joining = Member(reserve(), reserve(), f"127.0.0.1:{reserve()}", USUAL, (), SECRET)
        newcomer_joining.start()
        try:
            assert main(["ping", "--port", str(newcomer_joining.port)], {}) == 0
            assert main(["ping", "--port", str(newcomer_joining.port), "--ready"], {}) == 1, (
                "alone, and still looking for its root"
            )
        finally:
            newcomer_joining.stop()
    finally:
        newcomer.stop()
    until_linked(three)


def test_wait_counts_the_peers_that_hold_the_write(three: list[Member]) -> None:
    for number in range(20):
        three[0].client.set(f"k{number}", "v", ex=100)
        started = time.monotonic()
        assert three[0].client.wait(2, 50_000) == 2
        in_time(time.monotonic() - started, 2, "WAIT")
        assert [one.client.get(f"k{number}") for one in three] == [b"v"] * 3
    three[2].freeze()
    three[0].client.set("late", "v", ex=100)
    assert three[0].client.wait(1, 50_000) == 1
    started = time.monotonic()
    assert three[0].client.wait(2, 300) == 1
    assert time.monotonic() - started > 0.25
    in_time(time.monotonic() - started, 2, "WAIT for one that stands still")
    three[2].thaw()
    assert three[0].client.wait(2, 50_000) == 2
    assert three[2].client.get("late") == b"v"


def test_publications_and_events_reach_subscribers_on_every_node(three: list[Member]) -> None:
    listeners = []
    for member in three:
        listener = member.connect().pubsub()
        listener.subscribe("news", "__keyevent@0__:set", "__keyevent@0__:expired")
        for _ in range(3):
            assert listener.get_message(timeout=SOON_S)["type"] == "subscribe"
        listeners.append(listener)
    three[0].client.set("brief", "v", ex=LIFE_S)
    three[0].client.publish("news", "first")
    three[0].client.publish("news", "second")
    three[0].client.pexpire("brief", 1)
    for member, listener in zip(three, listeners, strict=True):
        wrote, ended = (b"__keyevent@0__:set", b"brief"), (b"__keyevent@0__:expired", b"brief")
        news = [(b"news", b"first"), (b"news", b"second")]
        told: list[tuple[bytes, bytes]] = []
        while ended not in told or news[1] not in told:
            heard = listener.get_message(timeout=SOON_S)
            told.append((heard["channel"], heard["data"]))
        # On the writer's node the event comes with the write, elsewhere with the push: before what was published later.
        assert told[0] == wrote and [one for one in told if one in news] == news, member.port
        # Who shortened its life may be another node, the key's home: on all but that one a change of a key is told as
        # `set`, and it may come before what the first node published.
        assert told.count(ended) == 1 and {*told} == {wrote, ended, *news}, member.port
        listener.close()
        listener.connection_pool.disconnect()


def test_concurrent_overwrites_of_the_same_keys_end_in_one_value_everywhere(three: list[Member]) -> None:
    seed = random.randrange(1 << 32)

    def scribble(number: int) -> None:
        draw, client = random.Random(seed + number), three[number].connect()
        for round_ in range(600):
            client.set(f"shared:{draw.randrange(20)}", f"{number}:{round_}", px=draw.randrange(60_000, 90_000))
        client.close()

    threads = [threading.Thread(target=scribble, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until_equal(three, 20)
    keys = [f"shared:{number}" for number in range(20)]

    def one_value_everywhere() -> bool:
        values = [member.client.mget(keys) for member in three]
        deadlines = [[member.client.pexpiretime(key) for key in keys] for member in three]
        return (
            None not in values[0]
            and values[0] == values[1] == values[2]
            and deadlines[0] == deadlines[1] == deadlines[2]
        )

    until(one_value_everywhere, f"the values differ, seed {seed}")


@pytest.mark.slow
def test_a_killed_node_loses_nothing_that_a_living_one_had() -> None:
    with enclave(3) as members:
        until_ready(members)
        acknowledged: list[bytes] = []
        stop = threading.Event()

        def keep_writing(member: Member, prefix: str) -> None:
            client, number = member.connect(), 0
            while not stop.is_set():
                key = f"{prefix}:{number}".encode()
                try:
                    client.set(key, key, ex=LIFE_S)
                    if member is not members[2] or client.wait(1, 50_000) >= 1:
                        acknowledged.append(key)
                except redis.ConnectionError:
                    return
                number += 1
            client.close()

        threads = [
            threading.Thread(target=keep_writing, args=(member, f"n{number}")) for number, member in enumerate(members)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        until(lambda: len(acknowledged) > 100, "nothing is acknowledged")
        members[2].kill()
        time.sleep(0.5)
        members[2].start()
        time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join()
        until_linked(members)
        until_ready(members)
        assert until_equal(members, len(acknowledged)) >= len(acknowledged) > 100
        for member in members:
            values = member.client.mget(acknowledged)
            assert [key for key, value in zip(acknowledged, values, strict=True) if value != key] == []
        # The first such line: a node that gets no core for a while doubts itself, and then is ready with nothing new.
        ready = next(line for line in members[2].log().splitlines() if "event=ready" in line)
        assert " records=0 " not in ready


@pytest.mark.slow
def test_a_restarted_enclave_fills_from_whoever_is_left() -> None:
    with enclave(3) as members:
        until_ready(members)
        made = write(members[0], 2000, "kept")
        until(lambda: holds(members[1], made) and holds(members[2], made), "the records did not spread")
        for number in (1, 2, 0):
            members[number].stop()
            members[number].start()
            until_linked(members)
            until_ready(members)
            until_held(members[number], made)
        assert until_equal(members, len(made)) == len(made)


@pytest.mark.slow
def test_a_stopped_peer_costs_the_others_nothing_and_catches_up() -> None:
    with enclave(3) as members:
        until_ready(members)
        members[1].freeze()
        slowest, client = 0.0, members[0].client
        for number in range(400):
            started = time.monotonic()
            client.set(f"k{number}", "x" * 5000, ex=LIFE_S)
            slowest = max(slowest, time.monotonic() - started)
        until(lambda: members[2].client.dbsize() == 400, "the third node must not wait for the second")
        in_time(slowest, 0.5, "a write beside a peer that stands still")
        members[1].thaw()
        until(lambda: members[1].client.dbsize() == 400, "the stopped node did not catch up")
        until_linked(members)
        assert until_equal(members, 400) == 400


@pytest.mark.slow
@pytest.mark.skipif("native" not in ENGINES, reason="there is no native engine here")
def test_nodes_of_both_engines_are_equals() -> None:
    with enclave(3, engines=("native", "pure")) as members:
        until_ready(members)
        assert [member.client.info("respram")["engine"] for member in members] == ["native", "pure", "native"]
        made = write(members[0], 500, "native") | write(members[1], 500, "pure")
        for member in members:
            until_held(member, made)
        assert until_equal(members, len(made)) == len(made)
        keys = [key.decode() for key in made]
        deadlines = [[member.client.pexpiretime(key) for key in keys] for member in members]
        assert deadlines[0] == deadlines[1] == deadlines[2]
        members[2].kill()
        members[2].start()
        until_linked(members)
        until_ready(members)
        assert until_equal(members, len(made)) == len(made)


@pytest.mark.slow
def test_a_full_node_among_others_refuses_and_lives_on() -> None:
    def small(number: int) -> tuple[str, ...]:
        return ("--maxmemory", "4mb") if number == 2 else ()

    with enclave(3, each=small) as members:
        until_ready(members)
        for number in range(150):
            members[number % 2].client.set(f"k{number}", "x" * 100_000, ex=LIFE_S)
        until(lambda: members[0].client.dbsize() == members[1].client.dbsize() == 150, "the others must not suffer")
        until(lambda: members[2].info()["records_refused"], "the full node took all")
        held = members[2].client.dbsize()
        assert 10 < held < 100
        before = members[0].info()["peer_sent_bytes"]
        time.sleep(2)
        assert members[2].client.get("k0") == b"x" * 100_000
        after = members[0].info()["peer_sent_bytes"]
        assert isinstance(before, int) and isinstance(after, int) and after - before < 30_000_000, (
            "nobody shouts at the deaf"
        )
        assert until_equal(members[:2], 150) == 150
