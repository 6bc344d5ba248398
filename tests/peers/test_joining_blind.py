"""Members that are written without a question while a node joins: what was acknowledged is there in the end, on all
nodes, whoever took it and whoever decides about its collection.
"""

import threading
import time
from collections.abc import Callable

import pytest
import redis

from tests.engine.conftest import ENGINES
from tests.peers.enclave import Member, enclave, until, until_ready

LIFE_S = 900
COLLECTIONS = 8  # of each kind, so that each node is the home of some
WRITES_S = 1.0  # how long writers go on after the node is ready
ROUND_S_MAX = 60.0
Names = dict[str, set[bytes]]
LATER = (redis.exceptions.BusyLoadingError, redis.exceptions.TryAgainError, redis.exceptions.ConnectionError,
         redis.exceptions.TimeoutError)  # fmt: skip


class Writer:
    """One client of one node. It notes what was acknowledged, and stops at the first reply that it did not expect."""

    def __init__(self, member: Member, name: str) -> None:
        self.client, self.name = member.connect(), name
        self.acknowledged: Names = {}
        self.fault: Exception | None = None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        end, number = time.monotonic() + ROUND_S_MAX, 0
        try:
            while not self.done.is_set() and time.monotonic() < end:
                self._write(number)
                number += 1
        except Exception as error:
            self.fault = error

    def _write(self, number: int) -> None:
        """Three commands in a pipeline, each on its own: what an error says nothing of may be there or not."""
        names = [f"{self.name}:{number}:{part}" for part in range(3)]
        at = number % COLLECTIONS
        with self.client.pipeline(transaction=False) as pipe:
            pipe.hset(f"h:{at}", mapping=dict.fromkeys(names, "v"))
            pipe.sadd(f"s:{at}", *names)
            pipe.zadd(f"z:{at}", dict.fromkeys(names, number))
            try:
                replies = pipe.execute(raise_on_error=False)
            except LATER:
                return
        for kind, reply in zip("hsz", replies, strict=True):
            if isinstance(reply, LATER) or str(reply).startswith("UNCERTAIN"):
                continue
            assert reply == len(names), (self.name, number, kind, str(reply))
            self.acknowledged.setdefault(f"{kind}:{at}", set()).update(name.encode() for name in names)


def held(client: "redis.Redis", key: str) -> set[bytes]:
    words = {"h": ("HKEYS", key), "s": ("SMEMBERS", key), "z": ("ZRANGE", key, 0, -1)}[key[0]]
    return set(client.execute_command(*words))


def lacks(members: list[Member], wanted: Names) -> list[tuple[int, str, list[bytes]]]:
    found = []
    for number, member in enumerate(members):
        for key, names in wanted.items():
            if missing := names - held(member.client, key):
                found.append((number, key, sorted(missing)[:3]))
    return found


@pytest.mark.parametrize("decide", ["home", "local"])
@pytest.mark.parametrize("engine", list(ENGINES))
def test_no_acknowledged_member_is_lost_while_a_node_joins(engine: str, decide: str) -> None:
    with enclave(3, "--decide", decide, engines=(engine,)) as members:
        until_ready(members)
        first = members[0].patient
        for key in (f"{kind}:{at}" for kind in "hsz" for at in range(COLLECTIONS)):
            _begin(first, key)
        assert first.wait(2, 150_000) == 2
        members[1].kill()
        members[1].start(wait=False)
        assert members[1].client.ping()
        writers = [Writer(member, f"w{number}") for number, member in enumerate(members)]
        for writer in writers:
            writer.thread.start()
        try:
            until_ready(members)
            time.sleep(WRITES_S)
        finally:
            for writer in writers:
                writer.done.set()
            for writer in writers:
                writer.thread.join()
                writer.client.close()
        assert [writer.fault for writer in writers] == [None] * 3
        wanted: Names = {key: {b"first"} for key in (f"{kind}:{at}" for kind in "hsz" for at in range(COLLECTIONS))}
        for writer in writers:
            assert writer.acknowledged, "it wrote nothing"
            for key, names in writer.acknowledged.items():
                wanted[key] |= names
        _until_all_there(members, wanted)
        counts = [[_count(member.client, key) for key in wanted] for member in members]
        assert counts[0] == counts[1] == counts[2]


def _begin(client: "redis.Redis", key: str) -> None:
    made: dict[str, Callable[[], object]] = {
        "h": lambda: client.hset(key, "first", "v"),
        "s": lambda: client.sadd(key, "first"),
        "z": lambda: client.zadd(key, {"first": 0}),
    }
    assert made[key[0]]() == 1 and client.expire(key, LIFE_S)


def _count(client: "redis.Redis", key: str) -> object:
    return client.hlen(key) if key[0] == "h" else client.scard(key) if key[0] == "s" else client.zcard(key)


def _until_all_there(members: list[Member], wanted: Names) -> None:
    left: list[object] = []

    def all_there() -> bool:
        left[:] = lacks(members, wanted)
        return not left

    try:
        until(all_there, "members are missing")
    except AssertionError as error:
        raise AssertionError(f"missing: {left[:6]}") from error
