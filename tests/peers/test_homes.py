"""One home per key, on live nodes: no two grants, no lost increment, and everybody reads its own writes."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import redis

from respram.slots import slot_of
from tests.engine.conftest import ENGINES
from tests.live import SOON_S

from .enclave import PATIENT, PATIENT_POLICY, Member, enclave, until, until_ready

RACES = 60
COUNTS = 300
LET_GO = ("--let-go", "del,getdel,delex,rename,bzpopmin")


@pytest.fixture(scope="module", params=list(ENGINES))
def nodes(request: pytest.FixtureRequest) -> Iterator[list[Member]]:
    with enclave(3, *PATIENT, *LET_GO, engines=(request.param,), policy=PATIENT_POLICY) as members:
        until_ready(members)
        until(lambda: all(settled(member) for member in members), "homes do not settle")
        yield members


def settled(member: Member) -> bool:
    info = member.info()
    rows = [member.client.execute_command("RESPRAM", "HOME", f"k{number}") for number in range(32)]
    return info["homes_members"] == 3 and all(row[b"settled"] for row in rows)


def home(members: list[Member], key: str) -> Member:
    return next(one for one in members if one.client.execute_command("RESPRAM", "HOME", key)[b"here"])


def away(members: list[Member], key: str) -> Member:
    return next(one for one in members if not one.client.execute_command("RESPRAM", "HOME", key)[b"here"])


def at_once(*tasks: Callable[[], object]) -> list[object]:
    results: list[object] = [None] * len(tasks)
    ready = threading.Barrier(len(tasks))

    def run(number: int) -> None:
        ready.wait()
        results[number] = tasks[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_all_nodes_name_the_same_home(nodes: list[Member]) -> None:
    for number in range(50):
        rows = [member.client.execute_command("RESPRAM", "HOME", f"key:{number}") for member in nodes]
        assert len({row[b"node"] for row in rows}) == 1 and sum(row[b"here"] for row in rows) == 1
        assert {row[b"slot"] for row in rows} == {slot_of(b"key:%d" % number)}


def test_of_three_who_want_one_name_one_gets_it(nodes: list[Member]) -> None:
    clients = [member.connect() for member in nodes]
    for number in range(RACES):
        granted = at_once(
            *(lambda client=client, n=number: client.set(f"lock:{n}", "x", nx=True, ex=60) for client in clients)
        )
        assert sum(map(bool, granted)) == 1, f"race {number}: {granted}"


def test_no_increment_is_lost(nodes: list[Member]) -> None:
    def count(member: Member) -> None:
        client = member.connect()
        for _ in range(COUNTS // 10):
            pipe = client.pipeline(transaction=False)
            for _ in range(10):
                pipe.incr("counter")
            pipe.execute()

    at_once(*(lambda member=member: count(member) for member in nodes))
    assert [int(member.client.incr("counter") or 0) for member in nodes] == [
        3 * COUNTS + 1,
        3 * COUNTS + 2,
        3 * COUNTS + 3,
    ]


def test_a_chain_of_getset_has_no_fork_and_appends_are_all_there(nodes: list[Member]) -> None:
    seen: list[object] = []

    def chain(member: Member, name: str) -> None:
        client = member.connect()
        for number in range(50):
            old = client.getset("chain", f"{name}{number}")
            seen.append(old or b"")
            client.append("letters", name)

    at_once(*(lambda m=member, n=name: chain(m, n) for member, name in zip(nodes, "abc", strict=True)))
    last = home(nodes, "chain").client.get("chain")
    assert len(seen) == len(set(seen)) == 150 and b"" in seen and last not in seen, (
        "each value was taken by exactly one"
    )
    assert sorted(home(nodes, "letters").client.execute_command("GET", "letters")) == sorted(b"abc" * 50)


def test_everybody_reads_their_own_writes(nodes: list[Member]) -> None:
    for number in range(100):
        key = f"own:{number}"
        client = away(nodes, key).client
        assert client.incr(key) == 1 and client.get(key) == b"1"
        client.set(key, 41)  # a blind write stays here, and goes ahead of what is decided next
        assert client.incr(key) == 42 and client.get(key) == b"42"
        assert client.set(key, "x", nx=True) is None and client.get(key) == b"42"


def test_long_pipelines_read_their_own_writes_beside_others(nodes: list[Member]) -> None:
    """So much is written that the home pushes records before it answers. A counter never falls behind its answers."""

    def write(member: Member, number: int) -> list[object]:
        client, wrong = member.connect(), list[object]()
        for turn in range(20):
            names = [f"long:{number}:{turn}:{at}" for at in range(60)]
            asking = client.pipeline(transaction=False)
            for at, name in enumerate(names):
                asking.set(name, f"{at}" * 300, nx=True, ex=60)
                asking.incr(f"long:{at % 7}")
            answers = asking.execute()
            reading = client.pipeline(transaction=False)
            for at, name in enumerate(names):
                reading.strlen(name)
                reading.get(f"long:{at % 7}")
            for asked, (answer, found) in enumerate(zip(answers, reading.execute(), strict=True)):
                right = answer is True and found >= 300 if asked % 2 == 0 else int(str(found, "ascii")) >= answer
                wrong += [] if right else [(asked, answer, found)]
        client.close()
        return wrong

    assert at_once(*(partial(write, member, number) for number, member in enumerate([*nodes, *nodes]))) == [[]] * 6
    until(lambda: all(member.client.get("long:0") == nodes[0].client.get("long:0") for member in nodes), "they differ")
    assert sum(nodes[0].client.incrby(f"long:{number}", 0) for number in range(7)) == 6 * 20 * 60


def test_a_copy_in_another_database_can_be_read_at_once(nodes: list[Member]) -> None:
    for number in range(30):
        key = f"far:{number}"
        client = away(nodes, key).connect()
        client.set(key, "v", ex=60)
        pipe = client.pipeline(transaction=False)
        pipe.execute_command("COPY", key, key, "DB", 2)
        pipe.execute_command("SELECT", 2)
        pipe.get(key)
        pipe.execute_command("SELECT", 0)
        copied, _, found, _ = pipe.execute()
        assert (copied, found) == (1, b"v"), f"key {number}"


def test_what_refused_can_be_read_at_once(nodes: list[Member]) -> None:
    for number in range(50):
        key = f"refused:{number}"
        other = away(nodes, key)
        home(nodes, key).client.set(key, "taken", ex=60)
        assert other.client.set(key, "x", nx=True) is None
        assert other.client.get(key) == b"taken"


def test_the_order_of_one_connection_is_kept(nodes: list[Member]) -> None:
    client = nodes[0].connect()
    pipe = client.pipeline(transaction=False)
    for number in range(200):
        pipe.set(f"order:{number}", number)
        pipe.incr(f"order:{number}")
        pipe.get(f"order:{number}")
        pipe.ping()
    replies = pipe.execute()
    for number in range(200):
        assert replies[4 * number : 4 * number + 4] == [True, number + 1, b"%d" % (number + 1), True]


def test_errors_are_those_of_the_own_node(nodes: list[Member]) -> None:
    for number in range(20):
        key = f"wrong:{number}"
        client = away(nodes, key).client
        client.set(key, "text")
        for words in (
            ("INCR", key),
            ("INCRBY", key, "x"),
            ("SET", key, "v", "NX", "XX"),
            ("EXPIRE", key, "x"),
            ("GETEX", key, "EX"),
        ):
            here, there = (said(one, words) for one in (client, home(nodes, key).client))
            assert here == there and here.startswith(("ERR ", "value ", "syntax ", "")), (here, there)


def said(client: "redis.Redis", words: tuple[str, ...]) -> str:
    with pytest.raises(redis.ResponseError) as error:
        client.execute_command(*words)
    return str(error.value)


def test_transactions_scripts_and_letting_go_are_decided_at_the_home(nodes: list[Member]) -> None:
    for number in range(20):
        key = f"tx:{number}"
        client = away(nodes, key).client
        with client.pipeline() as pipe:
            pipe.incr(key)
            pipe.expire(key, 30)
            pipe.get(key)
            assert pipe.execute() == [1, True, b"1"]
        assert client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, key, 5) == 6
        digest = client.script_load("return redis.call('GET', KEYS[1])")
        assert client.evalsha(digest, 1, key) == b"6"
        assert client.delete(key) == 1 and client.get(key) is None
        assert home(nodes, key).client.get(key) is None


def test_watch_travels_with_exec(nodes: list[Member]) -> None:
    for number in range(20):
        key = f"watched:{number}"
        client, decider = away(nodes, key).connect(), home(nodes, key).client
        client.set(key, "1", nx=True)
        with client.pipeline() as pipe:
            pipe.watch(key)
            pipe.multi()
            pipe.set(key, "2")
            assert pipe.execute() == [True]
            pipe.watch(key)
            decider.set(key, "elsewhere", xx=True)
            pipe.multi()
            pipe.set(key, "3")
            with pytest.raises(redis.WatchError):
                pipe.execute()
        assert decider.get(key) == b"elsewhere"


def test_it_goes_over_the_wire_and_is_counted(nodes: list[Member]) -> None:
    for member in nodes:
        before = member.info()
        client = member.connect()
        for number in range(60):
            client.incr(f"wire:{number}")
        after = member.info()
        assert int(str(after["forwarded_commands"])) - int(str(before["forwarded_commands"])) > 20
        assert not after["forwards_unknown"] and not after["forwards_timed_out"] and not after["forwards_open"]
    assert all(int(str(member.info()["forwarded_served"])) > 20 for member in nodes)


def test_wait_counts_what_another_node_wrote_for_its_client(nodes: list[Member]) -> None:
    clients = [member.connect() for member in nodes]
    for number in range(RACES):
        key = f"waited:{number}"
        asked = clients[number % 3]
        assert asked.set(key, "x", nx=True, ex=60) and asked.incr(f"{key}:n") == 1
        assert asked.execute_command("WAIT", 2, 50_000) == 2
        assert [client.get(key) for client in clients] == [b"x"] * 3, number
        assert [client.get(f"{key}:n") for client in clients] == [b"1"] * 3, number


def test_wait_gives_up_in_time_where_a_home_cannot_pass_its_writes_on(nodes: list[Member]) -> None:
    asked = nodes[0].connect()
    key = next(
        key for key in map("slow:{}".format, range(1000)) if not asked.execute_command("RESPRAM", "HOME", key)[b"here"]
    )
    assert asked.set(key, "x", nx=True, ex=60)
    assert asked.execute_command("WAIT", 2, 50_000) == 2
    until(lambda: asked.execute_command("WAIT", 9, 300) == 2, "WAIT gave up before its time, each time")
    pipe = asked.pipeline(transaction=True)
    pipe.incr(f"{key}:n")
    pipe.execute_command("WAIT", 2, 1000)
    assert pipe.execute()[0] == 1


def test_each_member_is_popped_once_whoever_waits_where(nodes: list[Member]) -> None:
    """Two who wait on each node, and members that come from all nodes: nobody gets what another got, and nothing is
    left over.
    """
    count, got = 60, list[bytes]()
    waiters = [member.connect() for member in nodes for _ in range(2)]

    def take(client: redis.Redis) -> None:
        end = time.monotonic() + SOON_S
        while len(got) < count and time.monotonic() < end:
            popped = client.execute_command("BZPOPMIN", "queue", 1)
            if popped is not None:
                got.append(popped[1])

    def give() -> None:
        clients = [member.connect() for member in nodes]
        for number in range(count):
            clients[number % 3].zadd("queue", {f"m{number}": number})

    at_once(give, *(lambda one=one: take(one) for one in waiters))
    assert sorted(got) == sorted(b"m%d" % number for number in range(count))


def test_who_hangs_up_while_it_waits_takes_nothing(nodes: list[Member]) -> None:
    member = home(nodes, "left")
    gone = member.connect()
    gone.connection_pool.get_connection().send_command("BZPOPMIN", "left", 0)
    until(lambda: member.client.info("clients")["blocked_clients"] == 1, "nobody waits")
    gone.connection_pool.disconnect()
    member.client.zadd("left", {"m": 1})
    until(lambda: member.client.info("clients")["blocked_clients"] == 0, "it still waits")
    assert member.client.zcard("left") == 1


def test_a_renamed_key_has_one_name_on_all_nodes(nodes: list[Member]) -> None:
    for number in range(20):
        old, new = f"old:{number}", f"new:{number}"
        away(nodes, old).client.hset(old, mapping={"f": number})
        away(nodes, old).client.rename(old, new)
        until(partial(all_renamed, nodes, old, new, b"%d" % number), "some node has not the new name alone")


def all_renamed(members: list[Member], old: str, new: str, value: bytes) -> bool:
    return all(member.client.hget(new, "f") == value and not member.client.exists(old) for member in members)
