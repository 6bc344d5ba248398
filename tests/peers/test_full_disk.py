"""Disks that take nothing more, among peers: snapshots fail and say so, and nothing that was acknowledged is lost
with a node.

A limit on the size of files stands for the full disk: the kernel answers a write beyond it in the same way. The log
is a file, too, and far below the limit.
"""

import asyncio
import random
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import redis

from tests.engine.conftest import ENGINES
from tests.live import SOON_S
from tests.peers.enclave import Member, enclave, until, until_equal, until_ready
from tests.trials.stops import Count, check, stop_under_load

KEYS = [f"counter:{number}" for number in range(100)]
LIFE_S = 3_000
DISK_BYTES = 65_536  # of one file; a segment that holds BULK does not fit
BULK = b"x" * 200_000


def each_with_snapshots(tmp_path: Path) -> Callable[[int], tuple[str, ...]]:
    """The words of each node of an enclave: a directory of its own, one key for all, a snapshot every second."""
    key_file = tmp_path / "snapshot.key"
    key_file.touch(0o600)
    key_file.write_text("k" * 43 + "\n")

    def each(number: int) -> tuple[str, ...]:
        here = str(tmp_path / str(number))
        return "--snapshot-dir", here, "--snapshot-key-file", str(key_file), "--snapshot-interval", "1"

    return each


def fill_disk(member: Member) -> None:
    assert member.node is not None
    _, hard = resource.prlimit(member.node.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(member.node.process.pid, resource.RLIMIT_FSIZE, (DISK_BYTES, hard))


def refused(member: Member) -> bool:
    return bool(member.client.info("persistence")["snapshot_status"] == "file_too_large")


def saved(member: Member, records: int) -> bool:
    return int(member.client.info("persistence")["snapshot_records"]) >= records


class Counters:
    """Counts each key once more, at a node that may be loading. An answer is one more than the last, and may be one
    more for each time that nobody knew whether it was done.
    """

    def __init__(self) -> None:
        self.told = dict.fromkeys(KEYS, 1_000)
        self.unsure = dict.fromkeys(KEYS, 0)

    def add(self, member: Member) -> None:
        for key in KEYS:
            until(partial(self._is_told, member, key), "the node does not decide", SOON_S)

    def _is_told(self, member: Member, key: str) -> bool:
        try:
            answer = int(member.client.incr(key))
        except (redis.exceptions.BusyLoadingError, redis.exceptions.TryAgainError):
            return False
        except redis.exceptions.ResponseError as error:
            if not str(error).startswith("UNCERTAIN "):
                raise
            self.unsure[key] += 1
            return False
        before = self.told[key]
        assert before < answer <= before + 1 + self.unsure[key], (key, before, answer, self.unsure[key])
        self.unsure[key] -= answer - before - 1
        self.told[key] = answer
        return True

    def check(self, member: Member) -> None:
        for key, value in zip(KEYS, member.client.mget(KEYS), strict=True):
            assert self.told[key] <= int(value or 0) <= self.told[key] + self.unsure[key], (key, value)


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_node_with_a_full_disk_restarts_and_loses_nothing(engine: str, tmp_path: Path) -> None:
    restart_with_full_disks(engine, tmp_path, 1)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_nodes_with_full_disks_restart_one_after_the_other_and_lose_nothing(engine: str, tmp_path: Path) -> None:
    restart_with_full_disks(engine, tmp_path, 3)


def restart_with_full_disks(engine: str, tmp_path: Path, nodes: int) -> None:
    """Each has a snapshot of before, which no longer holds: it is stopped under load, then killed, and comes back."""
    with enclave(3, each=each_with_snapshots(tmp_path), engines=(engine,)) as members:
        until_ready(members)
        for key in KEYS:
            members[0].client.set(key, 1_000, ex=LIFE_S)
        assert members[0].client.wait(2, 150_000) == 2
        for member in members:
            until(partial(saved, member, len(KEYS)), "no snapshot was written")
            fill_disk(member)
        members[0].client.set("bulk", BULK, ex=LIFE_S + 1)
        counters, count, rng = Counters(), Count(), random.Random(5)
        for number, member in enumerate(members[:nodes]):
            others = [one for one in members if one is not member]
            until(partial(refused, member), "nobody noticed that the disk is full")
            assert "WARNING event=snapshot_failed why=file_too_large" in member.log()
            counters.add(others[0])
            assert others[0].client.wait(2, 150_000) == 2
            assert member.node is not None
            writers = asyncio.run(stop_under_load(member.node, f"full{number}", 2_000, rng, count))
            assert "event=snapshot_failed why=file_too_large" in member.log()
            assert member.node.process.poll() == 0, "its peers have it all"
            if not count.left:
                for other in others:
                    asyncio.run(check(other.port, writers, count, f"node {number}"))
            for end in (member.stop, member.kill):
                end()
                member.start(wait=False)
                fill_disk(member)
                counters.add(member)
                until_ready(members)
                assert member.client.wait(2, 150_000) == 2
            assert member.client.get("bulk") == BULK
        assert not count.lost, (str(count), count.examples)
        until_equal(members, len(KEYS))
        for member in members:
            counters.check(member)


def test_a_node_that_is_killed_with_a_full_disk_while_it_restores_has_it_all_in_the_end(tmp_path: Path) -> None:
    """The earlier segments stay as they are for as long as nothing can be written in their place."""
    with enclave(2, each=each_with_snapshots(tmp_path)) as members:
        until_ready(members)
        one, other = members
        with one.client.pipeline(transaction=False) as pipe:
            for number in range(20_000):
                pipe.set(f"k{number}", number, ex=LIFE_S + number)
            pipe.execute()
        until(lambda: saved(one, 20_000), "no snapshot was written")
        other.stop()  # from here on only one has them, in its memory and on its disk
        for end in (one.kill, one.stop, one.kill):
            end()
            one.start(wait=False)
            fill_disk(one)
        other.start()
        until_ready(members)
        for member in members:
            assert member.client.dbsize() == 20_000
            assert member.client.mget("k0", "k777", "k19999") == [b"0", b"777", b"19999"]
