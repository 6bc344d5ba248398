"""A node that joins decides about members of collections, by scripts and by letting go as about strings: by what
others hold.
"""

from collections.abc import Callable
from functools import partial

import pytest
import redis

from tests.engine.conftest import ENGINES
from tests.peers.enclave import enclave, until, until_ready
from tests.peers.test_joining import once_decided, reborn

LIFE_S = 900
MANY = 2_500  # more members than the fast path of COPY copies
ONCE_IF = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('INCR', KEYS[1]) else return 'another' end"


def fill(client: "redis.Redis") -> None:
    client.hset("h", mapping={"count": 100, "field": "x"})
    client.hset("h2", mapping={"count": 100})
    client.sadd("s", "a", "b")
    client.sadd("s2", "b", "z")
    client.zadd("z", {"m": 5, "n": 7})
    client.hset("many", mapping=dict.fromkeys(map(str, range(MANY)), "v"))
    client.sadd("old", "member")
    for key in ("h", "h2", "s", "s2", "z", "many", "old"):
        client.expire(key, LIFE_S)
    for key, value in (("text", "v"), ("source", "v"), ("named", "r"), ("taken", "v"), ("script", "10")):
        client.set(key, value, ex=LIFE_S)


def wrong_kind(client: "redis.Redis") -> str:
    try:
        return str(client.get("h"))
    except redis.exceptions.ResponseError as error:
        if isinstance(error, redis.exceptions.BusyLoadingError | redis.exceptions.TryAgainError):
            raise
        return str(error)[:9]


def questions(client: "redis.Redis") -> list[tuple[Callable[[], object], object]]:
    """In order: what is asked, and what a node that has everything answers."""
    return [
        (lambda: client.hincrby("h", "count", 1), 101),
        (lambda: client.hsetnx("h", "field", "y"), 0),
        (lambda: client.hset("h", "field", "z"), 0),
        (lambda: client.hlen("h"), 2),
        (lambda: client.hgetall("h2"), {b"count": b"100"}),
        (lambda: client.hdel("h2", "count"), 1),
        (lambda: client.sadd("s", "a", "q"), 1),
        (lambda: client.scard("s"), 3),
        (lambda: client.sinter(["s", "s2"]), {b"b"}),
        (lambda: client.sinterstore("s3", ["s", "s2"]), 1),
        (lambda: client.smove("s2", "s", "z"), 1),
        (lambda: client.srem("s", "b"), 1),
        (lambda: client.zincrby("z", 2, "m"), 7.0),
        (lambda: client.zadd("z", {"m": 1}, nx=True), 0),
        (lambda: client.zadd("z", {"n": 1}, gt=True, ch=True), 0),
        (lambda: client.zrank("z", "n"), 1),
        (lambda: client.zcard("z"), 2),
        (lambda: client.type("h"), b"hash"),
        (lambda: wrong_kind(client), "WRONGTYPE"),
        (lambda: client.exists("text", "h", "nowhere"), 2),
        (lambda: client.getex("text", ex=500), b"v"),
        (lambda: client.copy("source", "copied"), True),
        (lambda: client.copy("many", "old"), False),
        (lambda: client.copy("many", "old", replace=True), True),
        (lambda: client.hlen("old"), MANY),
        (lambda: client.copy("z", "old", replace=True), True),
        (lambda: client.zrange("old", 0, -1), [b"m", b"n"]),
        (lambda: client.rename("many", "z2"), True),
        (lambda: client.hlen("z2"), MANY),
        (lambda: client.msetnx({"source": 1, "new": 1}), False),
        (lambda: client.getset("source", "w"), b"v"),
        (lambda: client.getdel("taken"), b"v"),
        (lambda: client.getdel("taken"), None),
        (lambda: client.eval("return redis.call('INCRBY', KEYS[1], 5)", 1, "script"), 15),
        (lambda: client.eval(ONCE_IF, 1, "script", "15"), 16),
        (lambda: client.rename("named", "renamed"), True),
        (lambda: client.delete("text", "nowhere"), 1),
    ]


@pytest.mark.parametrize("engine", list(ENGINES))
def test_members_scripts_and_letting_go_are_decided_by_what_others_hold_from_the_first_answer_on(
    engine: str,
) -> None:
    with enclave(3, "--let-go", "all", engines=(engine,)) as members:
        until_ready(members)
        fill(members[0].client)
        assert members[0].client.wait(2, 150_000) == 2
        client = reborn(members[1])
        for number, (ask, wanted) in enumerate(questions(client)):
            assert once_decided(ask) == wanted, number
        until_ready(members)
        for member in members:
            until(partial(has_all, member.client), "they differ")


def has_all(client: "redis.Redis") -> bool:
    return (
        client.hmget("h", "count", "field") == [b"101", b"z"]
        and client.smembers("s") == {b"a", b"q", b"z"}
        and client.zrange("z", 0, -1) == [b"m", b"n"]
        and client.zrange("old", 0, -1) == [b"m", b"n"]
        and client.hlen("z2") == MANY
        and client.mget("script", "renamed", "text") == [b"16", b"r", None]
    )
