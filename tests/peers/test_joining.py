"""A node that joins decides nothing in ignorance: what others hold is asked for, from the first answer on.

A node is killed and comes back empty, or with an old snapshot, and a client is there before its peers are. Every answer
must be the one that a node with everything would give, or LOADING.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import redis

from tests.engine.conftest import ENGINES
from tests.live import SOON_S
from tests.peers.enclave import Member, enclave, until, until_ready
from tests.timing import in_time

LIFE_S = 600


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def reborn(member: Member) -> "redis.Redis":
    """Killed and started again; a client as soon as anybody answers a PING."""
    member.kill()
    member.start(wait=False)
    client = member.client
    assert client.ping()
    return client


def all_say(members: list[Member], keys: list[str], told: list[bytes]) -> bool:
    return all(member.client.mget(keys) == told for member in members)


def once_loaded(act: Callable[[], object], seconds: float = 10) -> object:
    """While its own snapshot is read a node answers LOADING, and nothing else."""
    end = time.monotonic() + seconds
    while True:
        try:
            return act()
        except redis.exceptions.BusyLoadingError:
            assert time.monotonic() < end
            time.sleep(0.02)


@contextlib.contextmanager
def three(engine: str, *args: str) -> Iterator[list[Member]]:
    with enclave(3, *args, engines=(engine,)) as members:
        until_ready(members)
        yield members


def told(act: Callable[..., Any], *words: object, **more: object) -> Any:
    """The answer. LOADING says that nothing was done: a node that got no processor may have to be asked again."""
    return once_loaded(partial(act, *words, **more), SOON_S)


def counted_twice(client: "redis.Redis", key: str) -> list[object]:
    with client.pipeline(transaction=True) as pipe:
        pipe.watch(key)
        seen = int(pipe.get(key) or 0)
        pipe.multi()
        pipe.set(key, seen + 1, ex=LIFE_S)
        pipe.incr(key)
        return list(pipe.execute())


def test_what_others_hold_is_decided_by_from_the_first_answer_on(engine: str) -> None:
    with three(engine) as members:
        source = members[0].client
        for number in range(5):
            with source.pipeline(transaction=False) as pipe:
                for name in (b"count", b"text", b"held", b"bits", b"move", b"old", b"both", b"tx", b"kept"):
                    pipe.set(b"%b:%d" % (name, number), b"1000", ex=LIFE_S)
                pipe.execute()
            assert source.wait(2, 50_000) == 2
            client = reborn(members[1])
            assert client.execute_command("RESPRAM", "STATE") in (b"joining", b"ready")  # it may be through already
            assert told(client.incr, f"count:{number}") == 1001
            assert told(client.append, f"text:{number}", b"x") == 5
            assert told(client.set, f"held:{number}", b"mine", nx=True) is None
            assert told(client.set, f"free:{number}", b"mine", nx=True, ex=LIFE_S) is True
            assert told(client.set, f"old:{number}", b"new", xx=True, get=True) == b"1000"
            assert told(client.setbit, f"bits:{number}", 1, 1) == 0
            assert told(client.expire, f"move:{number}", 100) == 1
            assert told(client.copy, f"move:{number}", f"both:{number}") == 0
            assert told(client.mget, f"count:{number}", f"nowhere:{number}") == [b"1001", None]
            assert told(client.set, f"kept:{number}", b"1", keepttl=True) and 0 < client.ttl(f"kept:{number}") <= LIFE_S
            assert once_loaded(partial(counted_twice, client, f"tx:{number}"), SOON_S) == [True, 1002]
            until_ready(members)
            keys, values = [f"{name}:{number}" for name in ("count", "held", "tx")], [b"1001", b"1000", b"1002"]
            until(partial(all_say, members, keys, values), "they differ")


def test_blind_writes_are_served_at_once_and_keep_their_place(engine: str) -> None:
    with three(engine) as members:
        client = reborn(members[2])
        began = time.monotonic()
        assert (
            client.set("blind", b"v", ex=LIFE_S)
            and client.mset({"a": b"1", "b": b"2"})
            and client.psetex("c", 60_000, b"3")
        )
        in_time(time.monotonic() - began, 0.5, "blind writes")
        assert client.get("blind") == b"v"
        with client.pipeline(transaction=False) as pipe:
            for words in (("INCR", "n"), ("SET", "n", 7, "EX", LIFE_S), ("INCR", "n"), ("GET", "n"), ("PING",)):
                pipe.execute_command(*words)
            assert pipe.execute() == [1, True, 8, b"8", True]


def test_an_old_snapshot_is_no_ground_for_a_decision(engine: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folders = [str(tmp_path_factory.mktemp(f"node{number}")) for number in range(3)]

    def each(number: int) -> tuple[str, ...]:
        return ("--snapshot-dir", folders[number], "--snapshot-interval", "3600")

    with enclave(3, engines=(engine,), each=each) as members:
        until_ready(members)
        members[0].client.set("count", 900, ex=LIFE_S)
        assert members[0].client.wait(2, 50_000) == 2
        members[1].stop()  # its last snapshot holds 900
        members[0].client.set("count", 1000, ex=LIFE_S)
        members[1].start(wait=False)
        assert once_loaded(lambda: members[1].client.incr("count")) == 1001
        until_ready(members)
        until(lambda: [member.client.get("count") for member in members] == [b"1001"] * 3, "they differ")


def test_where_nobody_answers_in_time_the_client_is_told_to_come_again(engine: str) -> None:
    with three(engine) as members:
        members[0].client.set("count", 1000, ex=LIFE_S)
        assert members[0].client.wait(2, 50_000) == 2
        members[0].freeze()
        members[2].freeze()
        try:
            client = reborn(members[1])
            with pytest.raises(redis.exceptions.BusyLoadingError):
                client.incr("count")
            with pytest.raises(redis.exceptions.BusyLoadingError):
                client.get("count")
            with client.pipeline(transaction=True) as pipe:
                pipe.incr("count")
                with pytest.raises(redis.exceptions.BusyLoadingError):
                    pipe.execute()
            assert client.set("blind", 1, ex=LIFE_S)
        finally:
            members[0].thaw()
            members[2].thaw()
        until_ready(members)
        assert members[1].client.incr("count") == 1001


def test_two_of_three_that_come_back_at_once_decide_what_the_third_would(engine: str) -> None:
    """Both are killed, and at the first PONG of each a client of its own counts, takes and appends, with one at the
    third.
    """
    with three(engine) as members:
        source, asked = members[0].client, [f"n:{number}" for number in range(20)]
        for key in asked:
            source.set(key, 1000, ex=LIFE_S)
            source.set(f"held:{key}", "somebody", ex=LIFE_S)
        assert source.wait(2, 150_000) == 2
        for member in members[1:]:
            member.kill()
        threads = [threading.Thread(target=member.start, args=(False,)) for member in members[1:]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told: dict[int, dict[str, list[object]]] = {}
        clients = [
            threading.Thread(target=lambda at=at, member=member: told.update({at: _ask_for_all(member, asked)}))
            for at, member in enumerate(members)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert len(told) == 3
        for key in asked:
            counted = sorted(int(str(told[at][key][0])) for at in told)
            assert counted == [1001, 1002, 1003], (key, counted)
            assert [told[at][key][1] for at in told] == [None] * 3, (key, "a lock that is held was given away")
            assert sorted(bool(told[at][key][2]) for at in told) == [False, False, True], (
                key,
                "a free lock has one owner",
            )
        until_ready(members)
        keys = [name for key in asked for name in (key, f"held:{key}")]
        until(partial(all_say, members, keys, [b"1003", b"somebody"] * len(asked)), "they differ")


def _ask_for_all(member: Member, keys: list[str]) -> dict[str, list[object]]:
    """From the first PONG on. LOADING and its like are no answer, and nothing was done then: it is asked again."""
    client = member.client
    assert once_decided(client.ping)
    return {
        key: [
            once_decided(partial(client.incr, key)),
            once_decided(partial(client.set, f"held:{key}", member.port, nx=True, ex=LIFE_S)),
            once_decided(partial(client.set, f"free:{key}", member.port, nx=True, ex=LIFE_S)),
        ]
        for key in keys
    }


def once_decided(act: Callable[[], object]) -> object:
    end = time.monotonic() + SOON_S
    while True:
        try:
            return act()
        except (redis.exceptions.BusyLoadingError, redis.exceptions.TryAgainError):
            assert time.monotonic() < end
            time.sleep(0.02)
