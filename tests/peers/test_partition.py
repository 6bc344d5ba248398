"""Wires that are cut and mended, by proxies between the peer ports: each node advertises its proxy's address."""

import threading
import time
from typing import Any

import pytest
import redis

from tests.peers.enclave import until, until_equal, until_linked
from tests.peers.wires import wired
from tests.timing import in_time

LIFE_S = 300


def cut_and_mend(cut_s: float) -> None:
    with wired(3) as (members, proxies):
        before, first = [f"before:{number}" for number in range(2000)], members[0].patient
        for key in before:
            first.set(key, key, ex=LIFE_S)
        until_equal(members, len(before))
        for proxy in proxies:
            proxy.cut()
        until(lambda: all(member.info()["enclave_peers_linked"] == 0 for member in members), "the wires are not cut")
        written: list[list[str]] = [[], [], []]
        stop = threading.Event()

        def keep_writing(number: int) -> None:
            client = members[number].patient
            while not stop.is_set():
                key = f"cut{number}:{len(written[number])}"
                client.set(key, key, ex=LIFE_S)
                client.set(f"shared:{len(written[number]) % 50}", f"{number}:{key}", ex=LIFE_S)
                written[number].append(key)
                time.sleep(0.005)

        threads = [threading.Thread(target=keep_writing, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(cut_s)
        stop.set()
        for thread in threads:
            thread.join()
        assert first.exists(written[1][0]) == 0, "nothing may have come through"
        carried = sum(proxy.passed_bytes for proxy in proxies)
        for proxy in proxies:
            proxy.mend()
        mended = time.monotonic()
        everything = before + [key for keys in written for key in keys]
        until_equal(members, len(everything) + 50)
        took_s = time.monotonic() - mended
        carried = sum(proxy.passed_bytes for proxy in proxies) - carried
        for member in members:
            values = member.patient.mget(everything)
            assert [key for key, value in zip(everything, values, strict=True) if value != key.encode()] == []
        shared = [member.patient.mget([f"shared:{number}" for number in range(50)]) for member in members]
        assert shared[0] == shared[1] == shared[2]
        until_linked(members)
        written_bytes = sum(len(key) * 2 for keys in written for key in keys)
        in_time(took_s, 15, "equal again")
        assert carried < 40 * written_bytes + 200_000 + 100_000 * took_s, (
            f"equal after {took_s:.2f} s and {carried} bytes"
        )


def test_nodes_that_were_cut_off_from_each_other_become_equal_again() -> None:
    cut_and_mend(2.0)


@pytest.mark.slow
def test_ten_seconds_of_partition_heal() -> None:
    cut_and_mend(10.0)


def test_a_flapping_link_loses_nothing() -> None:
    with wired(2) as (members, proxies):
        clients = [member.patient for member in members]
        for number in range(300):
            clients[number % 2].set(f"k{number}", f"v{number}", ex=LIFE_S)
            if number % 60 == 30:
                for proxy in proxies:
                    proxy.cut()
            if number % 60 == 45:
                time.sleep(0.1)
                for proxy in proxies:
                    proxy.mend()
            time.sleep(0.003)
        until_equal(members, 300)
        values = [f"v{number}".encode() for number in range(300)]
        for client in clients:
            assert client.mget([f"k{number}" for number in range(300)]) == values


def add(client: "redis.Redis", way: str, name: str) -> None:
    client.hset(f"{way}:h", name, "1")
    client.sadd(f"{way}:s", name)
    client.zadd(f"{way}:z", {name: 1})


def shown(client: "redis.Redis", way: str) -> list[set[Any]]:
    hashed, ranked = client.hkeys(f"{way}:h"), client.zrange(f"{way}:z", 0, -1)
    return [set(hashed), set(client.smembers(f"{way}:s")), set(ranked)]


def test_what_is_added_after_a_deletion_on_the_other_side_stays() -> None:
    """Of hashes, sets and sorted sets, with DEL, UNLINK and RENAME on one side (decision 0248)."""
    with wired(2, "--decide", "local", "--let-go", "del,unlink,rename") as (members, proxies):
        near, far = (member.patient for member in members)
        kept = {"del": {b"new"}, "unlink": {b"new"}, "rename": {b"new"}, "again": {b"new", b"own"}}
        for way in kept:
            add(near, way, "old")
        until(lambda: all(shown(far, way) == [{b"old"}] * 3 for way in kept), "the nodes are not equal")
        for proxy in proxies:
            proxy.cut()
        until(lambda: all(member.info()["enclave_peers_linked"] == 0 for member in members), "the wires are not cut")
        for key in (f"{way}:{kind}" for way in kept for kind in "hsz"):
            if key.startswith("rename"):
                near.rename(key, f"to:{key}")
            else:
                (near.unlink if key.startswith("unlink") else near.delete)(key)
        time.sleep(0.05)  # later by the clock of the other side, too
        for way in kept:
            add(far, way, "new")
        add(near, "again", "own")
        assert shown(near, "del") == [set()] * 3 and shown(far, "del") == [{b"old", b"new"}] * 3
        for proxy in proxies:
            proxy.mend()
        wanted = [[names] * 3 for names in kept.values()]
        for client in (near, far):
            until(lambda: [shown(client, way) for way in kept] == wanted, "it is not kept")  # noqa: B023
            assert shown(client, "to:rename") == [{b"old"}] * 3
        until_linked(members)
