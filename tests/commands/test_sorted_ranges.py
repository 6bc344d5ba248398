"""Ranges of sorted sets: every form against Redis, over members that tie, and over more than one piece of a walk."""

from itertools import product

import pytest

from .rig import Client, Reference
from .test_sorted_sets import LET_GO

SCORED = b"ZADD z 1 a 1 b 2 c 2 d 3 e 5 f inf g -inf h"
NAMED = b"ZADD z 0 a 0 ab 0 b 0 c 0 d 0 e"


@pytest.fixture
def free(client: Client) -> Client:
    client(b"ACL", b"SETUSER", b"default", *LET_GO.split(b" "))
    return client


@pytest.fixture(params=[b"2", b"3"])
def pair(request: pytest.FixtureRequest, free: Client, reference: Reference) -> tuple[Client, Reference]:
    free(b"HELLO", request.param)
    reference(b"HELLO", request.param)
    return free, reference


def agree(pair: tuple[Client, Reference], *argv: bytes) -> bytes:
    client, reference = pair
    expected = reference(*argv)
    assert client(*argv) == expected, argv
    return expected


def test_ranges_of_ranks(pair: tuple[Client, Reference]) -> None:
    agree(pair, *SCORED.split(b" "))
    for first, last in product((b"0", b"1", b"5", b"7", b"8", b"-1", b"-3", b"-8", b"-9", b"x"), repeat=2):
        for tail in (
            (),
            (b"WITHSCORES",),
            (b"REV",),
            (b"rev", b"withscores"),
            (b"LIMIT", b"0", b"-1"),
            (b"LIMIT", b"2", b"-1"),
            (b"LIMIT", b"0", b"1"),
        ):
            agree(pair, b"ZRANGE", b"z", first, last, *tail)
        agree(pair, b"ZREVRANGE", b"z", first, last, b"WITHSCORES")


def test_ranges_of_scores(pair: tuple[Client, Reference]) -> None:
    agree(pair, *SCORED.split(b" "))
    ends = (
        b"-inf",
        b"+inf",
        b"(-inf",
        b"(inf",
        b"1",
        b"(1",
        b"2",
        b"(2",
        b"2.5",
        b"5",
        b"(5",
        b"9",
        b"nan",
        b"",
        b"(",
        b" 2",
        b"1e999",
        b"x",
    )
    for low, high in product(ends, repeat=2):
        agree(pair, b"ZCOUNT", b"z", low, high)
        for tail in (
            (),
            (b"WITHSCORES", b"LIMIT", b"1", b"2"),
            (b"LIMIT", b"-1", b"9"),
            (b"limit", b"2", b"-5"),
            (b"LIMIT", b"0", b"0"),
        ):
            agree(pair, b"ZRANGEBYSCORE", b"z", low, high, *tail)
            agree(pair, b"ZREVRANGEBYSCORE", b"z", low, high, *tail)
        agree(pair, b"ZRANGE", b"z", low, high, b"BYSCORE", b"REV")
        agree(pair, b"ZRANGESTORE", b"y", b"z", low, high, b"BYSCORE", b"LIMIT", b"1", b"3")
        agree(pair, b"ZRANGE", b"y", b"0", b"-1", b"WITHSCORES")


def test_ranges_of_names(pair: tuple[Client, Reference]) -> None:
    agree(pair, *NAMED.split(b" "))
    ends = (b"-", b"+", b"[a", b"(a", b"[ab", b"(c", b"[c", b"[", b"(", b"[zz", b"(", b"a", b"", b"-x")
    for low, high in product(ends, repeat=2):
        agree(pair, b"ZLEXCOUNT", b"z", low, high)
        for tail in ((), (b"LIMIT", b"1", b"2"), (b"WITHSCORES",)):
            agree(pair, b"ZRANGEBYLEX", b"z", low, high, *tail)
            agree(pair, b"ZREVRANGEBYLEX", b"z", low, high, *tail)
            agree(pair, b"ZRANGE", b"z", low, high, b"BYLEX", *tail)
    for low, high in product(ends, repeat=2):
        agree(pair, *NAMED.split(b" "))
        agree(pair, b"ZREMRANGEBYLEX", b"z", low, high)
        agree(pair, b"ZRANGE", b"z", b"0", b"-1")


@pytest.mark.parametrize(
    "words",
    [
        b"ZRANGE z 0 -1 BYSCORE BYLEX",
        b"ZRANGE z 0 -1 FOO",
        b"ZRANGE z 0 -1 LIMIT 1",
        b"ZRANGE z 0 -1 LIMIT a 1",
        b"ZRANGE z - + BYLEX WITHSCORES",
        b"ZRANGEBYSCORE z 0 1 REV",
        b"ZREVRANGE z 0 1 LIMIT 0 1",
        b"ZREVRANGE z 0 1 BYSCORE",
        b"ZRANGESTORE y z 0 -1 WITHSCORES",
        b"ZRANGE z 0 1 REV REV",
        b"ZRANGESTORE y z 0",
        b"ZRANGEBYLEX z [a [b BYLEX",
        b"ZREMRANGEBYRANK z a 1",
        b"ZREMRANGEBYSCORE z a 1",
        b"ZREMRANGEBYLEX z a b",
    ],
)
def test_wrong_words_are_told_as_in_redis(pair: tuple[Client, Reference], words: bytes) -> None:
    agree(pair, *words.split(b" "))
    agree(pair, *SCORED.split(b" "))
    agree(pair, *words.split(b" "))


def test_what_is_taken_away(pair: tuple[Client, Reference]) -> None:
    takes = (
        b"ZPOPMIN z",
        b"ZPOPMAX z",
        b"ZPOPMIN z 2",
        b"ZPOPMAX z 3",
        b"ZPOPMIN z 0",
        b"ZPOPMIN z 99",
        b"ZPOPMIN z -1",
        b"ZPOPMIN z x",
        b"ZPOPMIN z 1 2",
        b"ZMPOP 1 z MIN",
        b"ZMPOP 2 no z MAX COUNT 2",
        b"ZMPOP 1 z MIN COUNT 99",
        b"ZMPOP 1 no MIN",
        b"ZMPOP 0 z MIN",
        b"ZMPOP 1 z MID",
        b"ZMPOP 2 z MIN",
        b"ZMPOP 1 z MIN COUNT 0",
        b"ZMPOP 1 z MIN COUNT 1 COUNT 1",
        b"ZMPOP x z MIN",
        b"ZREMRANGEBYRANK z 1 -2",
        b"ZREMRANGEBYRANK z 5 1",
        b"ZREMRANGEBYRANK z -3 99",
        b"ZREMRANGEBYSCORE z (1 2",
        b"ZREMRANGEBYSCORE z -inf +inf",
        b"ZREMRANGEBYSCORE no 0 1",
    )
    for take in takes:
        agree(pair, *SCORED.split(b" "))
        agree(pair, *take.split(b" "))
        agree(pair, b"ZRANGE", b"z", b"0", b"-1", b"WITHSCORES")
        agree(pair, b"EXISTS", b"z")


def test_a_range_over_many_pieces_of_a_walk(free: Client, reference: Reference) -> None:
    """A walk takes 1,024 members at a time."""
    for start in range(0, 3_000, 500):
        words = [
            word
            for number in range(start, start + 500)
            for word in (b"%d" % (number * 7919 % 1_000), b"m%d" % number)
        ]
        assert free(b"ZADD", b"z", *words) == reference(b"ZADD", b"z", *words) == b":500\r\n"
    for line in (b"ZRANGE z 0 -1 WITHSCORES", b"ZREVRANGE z 10 2990", b"ZRANGEBYSCORE z 3 990 LIMIT 5 2500",
                 b"ZREVRANGEBYSCORE z 990 (1 LIMIT 1 2100",
                  b"ZCOUNT z 100 (700",
                 b"ZRANK z m1234", b"ZREVRANK z m77", b"ZREMRANGEBYRANK z 100 2500", b"ZRANGE z 0 -1"):  # fmt: skip
        assert free(*line.split(b" ")) == reference(*line.split(b" ")), line


def test_a_stored_range_replaces_what_was_there(client: Client) -> None:
    client(b"ZADD", b"z", b"1", b"a", b"2", b"b")
    client(b"SET", b"text", b"v", b"EX", b"7")
    assert client(b"ZRANGESTORE", b"text", b"z", b"1", b"1") == b":1\r\n" and client(b"TTL", b"text") == b":3600\r\n"
    assert client(b"ZRANGE", b"text", b"0", b"-1") == b"*1\r\n$1\r\nb\r\n"
    assert (
        client(b"ZRANGESTORE", b"z", b"z", b"0", b"0") == b":1\r\n"
        and client(b"ZRANGE", b"z", b"0", b"-1") == b"*1\r\n$1\r\na\r\n"
    )
    assert client(b"ZRANGESTORE", b"new", b"z", b"5", b"6") == b":0\r\n" and client(b"EXISTS", b"new") == b":0\r\n"
    assert (
        client(b"ZRANGESTORE", b"z", b"z", b"5", b"6").startswith(b"-NOPERM ") and client(b"ZCARD", b"z") == b":1\r\n"
    )
