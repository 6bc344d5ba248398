"""Peers in trouble, as real processes: one that fills up while it is asked, one that stands still, one that dies in a
full swing.
"""

import threading
import time

import pytest

from tests import timing
from tests.peers.enclave import SECRET, USUAL, Member, enclave, rss_bytes, until, until_equal, until_linked, until_ready
from tests.ports import reserve
from tests.timing import in_time

LIFE_S = 600
MIB = 1 << 20
TRIES_MAX = 5


def fill(member: Member, count: int, value: bytes) -> list[bytes]:
    keys = [b"full:%d" % number for number in range(count)]
    for at in range(0, count, 500):
        with member.client.pipeline(transaction=False) as pipe:
            for key in keys[at : at + 500]:
                pipe.set(key, key + value, ex=LIFE_S)
            pipe.execute()
    return keys


@pytest.mark.slow
def test_a_node_that_fills_up_asks_for_what_it_is_asked_and_answers_in_order() -> None:
    value = b"x" * 20_000
    with enclave(1) as members:
        until_ready(members)
        keys = fill(members[0], 5000, value)
        for _ in range(TRIES_MAX):
            if asked_while_it_fills(members[0], keys, value):
                return
        raise AssertionError(f"in {TRIES_MAX} tries it was full before it could be asked")


def asked_while_it_fills(other: Member, keys: list[bytes], value: bytes) -> bool:
    """False when it was full before it had asked for anything: that is no fault."""
    joiner = Member(reserve(), reserve(), f"127.0.0.1:{other.peer_port}", USUAL, (), SECRET)
    joiner.start()
    try:
        until(lambda: joiner.info()["enclave_peers_linked"] == 1, "no link")
        asked = early = 0
        while asked < len(keys) and joiner.info()["peer_state"] == "joining":
            some = keys[::-1][asked : asked + 10]
            with joiner.client.pipeline(transaction=False) as pipe:
                for number, key in enumerate(some):
                    pipe.echo(b"before %d" % number)
                    pipe.get(key)
                    pipe.set(b"own:%d" % number, b"%d" % asked, ex=LIFE_S)
                    pipe.get(b"own:%d" % number)
                    pipe.exists(b"nowhere:%d" % asked)
                replies = pipe.execute()
            for number, key in enumerate(some):
                before, got, done, own, nowhere = replies[number * 5 : number * 5 + 5]
                assert (before, done, own, nowhere) == (b"before %d" % number, True, b"%d" % asked, 0)
                assert got in (None, key + value), "the reply to another command"
                early += got is not None
            asked += 10
        pulled = asked and early and joiner.info()["truths_asked"]
        until_ready([joiner])
        assert joiner.client.dbsize() >= len(keys)
        assert joiner.client.mget(keys[:100]) == [key + value for key in keys[:100]]
        return bool(pulled)
    finally:
        joiner.stop()


def stand_still(writes_bytes: int, value_bytes: int, still_s: float) -> None:
    """One of three is stopped while so much is written; the others may keep 4 MiB in flight and 16 MiB waiting for it.

    Lagging comes first; after some seconds it counts as dead as well, and then it is no peer that could lag. Either way
    the memory is looked at while it stands still, not only afterwards: what a dead peer costs is given back.
    """
    with enclave(3) as members:
        until_ready(members)
        value = b"x" * value_bytes
        window = 28 * MIB // value_bytes  # so many keys, again and again
        fill_up = [b"still:%d" % number for number in range(window)]
        for key in fill_up:
            members[0].client.set(key, value, ex=LIFE_S)
        until(lambda: members[1].client.dbsize() == members[2].client.dbsize() == window, "the records did not spread")
        before, started = rss_bytes(members[0]), time.monotonic()
        members[1].freeze()
        waits, number, grown, waiting, looked = [], 0, 0, 0, started
        while number * value_bytes < writes_bytes or time.monotonic() < started + still_s:
            began = time.monotonic()
            members[0].client.set(fill_up[number % window], b"y" * value_bytes, ex=LIFE_S)
            waits.append(time.monotonic() - began)
            number += 1
            if number * value_bytes > writes_bytes * (time.monotonic() - started) / still_s:
                time.sleep(0.001)
            if time.monotonic() > looked + 0.1:
                looked = time.monotonic()
                grown = max(grown, rss_bytes(members[0]) - before)
                waiting = max(waiting, int(str(members[0].info()["replication_queue_bytes"])))
        assert "event=lagging" in members[0].log() or not timing.JUDGED, "16 MiB were not enough to be too much"
        seen = members[0].info()
        assert seen["enclave_peers_lagging"] == 1 or seen["enclave_members"] == 2, "neither lagging nor dead"
        waits.sort()
        until(
            lambda: members[2].client.get(fill_up[(number - 1) % window]) == b"y" * value_bytes,
            "the third node waits for the second",
        )
        members[1].thaw()
        until_linked(members)
        until(lambda: members[0].info()["enclave_peers_lagging"] == 0, "it lags for ever")
        # Then values: a digest tells of some seconds ago, when perhaps nothing had been overwritten yet, and is equal
        # then.
        until(lambda: set(members[1].client.mget(fill_up)) == {b"y" * value_bytes}, "what it missed does not come")
        assert until_equal(members, window) == window
        assert 0 < waiting <= 16 * MIB, f"{waiting} bytes waited"
        assert grown < 96 * MIB, f"{grown} bytes more"
        in_time(waits[len(waits) * 99 // 100], 0.1, "a write beside one that stands still")


@pytest.mark.slow
def test_a_peer_that_stands_still_costs_bounded_memory_and_nobodys_time() -> None:
    stand_still(28 * MIB, 16_384, 1.5)


@pytest.mark.slow
def test_a_peer_that_stands_still_for_a_minute_is_made_level() -> None:
    stand_still(1024 * MIB, 4_096, 60.0)


@pytest.mark.slow
def test_two_of_three_may_die_in_full_swing() -> None:
    """What the survivor had is on all of them again; what only the dead had, and nobody had acknowledged, may be lost.
    """
    with enclave(3) as members:
        until_ready(members)
        stop, written = threading.Event(), 0

        def keep_writing() -> None:
            nonlocal written
            client = members[0].connect()
            while not stop.is_set():
                with client.pipeline(transaction=False) as pipe:
                    for number in range(written, written + 50):
                        pipe.set(f"swing:{number}", f"v{number}", ex=LIFE_S)
                    pipe.execute()
                written += 50
                time.sleep(0.005)
            client.close()

        thread = threading.Thread(target=keep_writing)
        thread.start()
        time.sleep(0.5)
        for member in members[1:]:
            member.kill()
        time.sleep(0.3)
        for member in members[1:]:
            member.start()
        time.sleep(0.3)
        stop.set()
        thread.join()
        until_linked(members)
        until_ready(members)
        assert until_equal(members, written) == written
        keys = [f"swing:{number}" for number in range(written)]
        for member in members:
            assert member.client.mget(keys) == [f"v{number}".encode() for number in range(written)]
