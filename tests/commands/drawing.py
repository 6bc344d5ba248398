"""Random commands about collections, for comparison with a Redis."""

import random
from collections.abc import Callable

from .rig import OK, Client, Reference

KEYS = (b"a", b"b", b"c")
NAMES = (b"f0", b"f1", b"f2", b"", b"10", b"-7", b"\r\n", b"x" * 70)
VALUES = (b"1", b"-5", b"v", b"", b"9223372036854775807", b"1.5", b"3.0", b"abc", b"1e3", b" 1", b"y" * 70)
RIGHTS = (b"+del", b"+unlink", b"+getdel", b"+hdel", b"+srem", b"+spop", b"+smove", b"+hgetdel")
UNORDERED = frozenset({
    b"hgetall", b"hkeys", b"hvals", b"smembers", b"sinter", b"sunion", b"sdiff", b"hscan", b"sscan", b"keys",
    b"hrandfield",
    b"srandmember", b"spop",
})  # fmt: skip
Maker = Callable[[random.Random], list[bytes]]


def may_let_go(client: Client) -> None:
    assert client(b"ACL", b"SETUSER", b"default", *RIGHTS) == OK


def a_key(rng: random.Random) -> bytes:
    return rng.choice(KEYS)


def a_name(rng: random.Random) -> bytes:
    return rng.choice(NAMES)


def a_value(rng: random.Random) -> bytes:
    return rng.choice(VALUES)


def some_names(rng: random.Random) -> list[bytes]:
    return [a_name(rng) for _ in range(rng.randrange(1, 4))]


def some_pairs(rng: random.Random) -> list[bytes]:
    return [part for _ in range(rng.randrange(1, 4)) for part in (a_name(rng), a_value(rng))]


def a_count(rng: random.Random) -> bytes:
    return rng.choice((b"0", b"100", b"-0", b"abc", b"9223372036854775808", b"-9223372036854775808"))


GENERAL: tuple[Maker, ...] = (
    lambda rng: [b"SET", a_key(rng), a_value(rng), b"EX", b"100"],
    lambda rng: [b"GET", a_key(rng)],
    lambda rng: [b"MGET", *KEYS],
    lambda rng: [rng.choice((b"APPEND", b"GETSET", b"SETNX")), a_key(rng), b"v"],
    lambda rng: [b"SET", a_key(rng), b"v", rng.choice((b"NX", b"XX", b"GET"))],
    lambda rng: [rng.choice((b"INCR", b"STRLEN", b"GETEX", b"GETDEL", b"TYPE")), a_key(rng)],
    lambda rng: [rng.choice((b"TYPE", b"EXISTS", b"DEL", b"TOUCH")), a_key(rng)],
    lambda rng: [b"EXPIRE", a_key(rng), b"100"],
    lambda rng: [b"DBSIZE"],
    lambda rng: [b"KEYS", b"*"],
    lambda rng: [b"COPY", a_key(rng), a_key(rng), *rng.choice(((), (b"REPLACE",)))],
    lambda rng: [b"DEL", a_key(rng)],
)


def parts(reply: bytes) -> list[bytes]:
    """The elements of a reply in an order of their own, for what comes in none."""
    return sorted(reply.split(b"\r\n"))


def compare(client: Client, reference: Reference, makers: tuple[Maker, ...], proto: bytes) -> None:
    """The same random commands to both, and the same replies, but for the order of what comes in none."""
    may_let_go(client)
    for seed in range(4):
        rng = random.Random(seed)
        client(b"DEL", *KEYS)
        reference(b"FLUSHALL")
        client(b"HELLO", proto)
        reference(b"HELLO", proto)
        for step in range(400):
            words = rng.choice(makers if rng.random() < 0.8 else GENERAL)(rng)
            got, expected = client(*words), reference(*words)
            if got != expected:
                assert words[0].lower() in UNORDERED, (seed, step, words, got, expected)
                assert parts(got) == parts(expected), (seed, step, words, got, expected)
        reference(b"HELLO", b"2")
