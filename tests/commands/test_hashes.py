"""Hashes: the replies of Redis to random commands."""

import pytest

from .drawing import VALUES, Maker, a_count, a_key, a_name, a_value, compare, some_names, some_pairs
from .rig import Client, Reference

ODD_SCANS = ((b"MATCH", b"f*", b"COUNT", b"1000"), (b"COUNT", b"0"), (b"MATCH",))
HASHES: tuple[Maker, ...] = (
    lambda rng: [b"HSET", a_key(rng), *some_pairs(rng)],
    lambda rng: [b"HSET", a_key(rng), *some_pairs(rng)],
    lambda rng: [b"HSET", a_key(rng), *some_names(rng)],
    lambda rng: [b"HMSET", a_key(rng), *some_pairs(rng)],
    lambda rng: [b"HSETNX", a_key(rng), a_name(rng), a_value(rng)],
    lambda rng: [b"HGET", a_key(rng), a_name(rng)],
    lambda rng: [b"HMGET", a_key(rng), *some_names(rng)],
    lambda rng: [b"HGETALL", a_key(rng)],
    lambda rng: [b"HKEYS", a_key(rng)],
    lambda rng: [b"HVALS", a_key(rng)],
    lambda rng: [b"HLEN", a_key(rng)],
    lambda rng: [b"HEXISTS", a_key(rng), a_name(rng)],
    lambda rng: [b"HSTRLEN", a_key(rng), a_name(rng)],
    lambda rng: [b"HINCRBY", a_key(rng), a_name(rng), a_value(rng)],
    lambda rng: [b"HINCRBYFLOAT", a_key(rng), a_name(rng), rng.choice((*VALUES, b"inf", b"nan", b"-inf"))],
    lambda rng: [b"HDEL", a_key(rng), *some_names(rng)],
    lambda rng: [b"HSCAN", a_key(rng), b"0", b"COUNT", b"1000"],
    lambda rng: [b"HSCAN", a_key(rng), rng.choice((b"0", b"x", b"")), *rng.choice(ODD_SCANS)],
    lambda rng: [b"HRANDFIELD", a_key(rng), a_count(rng), *rng.choice(((), (b"WITHVALUES",), (b"x",)))],
)

@pytest.mark.parametrize("proto", [b"2", b"3"])
def test_replies_are_those_of_redis(client: Client, reference: Reference, proto: bytes) -> None:
    compare(client, reference, HASHES, proto)


def test_hscan_can_leave_the_values_out(client: Client) -> None:
    client(b"HSET", b"h", b"f", b"1", b"novalues", b"2")
    for words in ((b"NOVALUES",), (b"COUNT", b"10", b"novalues"), (b"NOVALUES", b"MATCH", b"*")):
        reply = client(b"HSCAN", b"h", b"0", *words)
        assert sorted(reply.split(b"\r\n")[5:-1:2]) == [b"f", b"novalues"], words
    assert client(b"HSCAN", b"h", b"0", b"MATCH", b"NOVALUES") == b"*2\r\n$1\r\n0\r\n*0\r\n"
    assert client(b"HSCAN", b"h", b"0", b"MATCH", b"nov*").count(b"$") == 3
    client(b"SADD", b"s", b"m")
    assert client(b"SSCAN", b"s", b"0", b"NOVALUES") == b"-ERR syntax error\r\n"
