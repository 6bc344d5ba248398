"""Unions, intersections and differences of sorted sets, against Redis."""

from itertools import product

import pytest

from .rig import Client, Reference
from .test_sorted_ranges import agree, free, pair

__all__ = ["free", "pair"]

KEYS = (b"x", b"y", b"z", b"none")


@pytest.fixture
def filled(pair: tuple[Client, Reference]) -> tuple[Client, Reference]:
    agree(pair, *b"ZADD x 1 a 2 b 3 c 0.1 d inf e".split(b" "))
    agree(pair, *b"ZADD y 10 b 0.2 d -inf e 7 f".split(b" "))
    agree(pair, *b"ZADD z 100 d 5 g".split(b" "))
    return pair


@pytest.mark.parametrize("name", [b"ZUNION", b"ZINTER", b"ZDIFF"])
def test_sets_are_put_together_as_in_redis(filled: tuple[Client, Reference], name: bytes) -> None:
    tails = (
        ((), (b"WITHSCORES",))
        if name == b"ZDIFF"
        else (
            (b"WITHSCORES",),
            (b"AGGREGATE", b"MIN", b"WITHSCORES"),
            (b"withscores", b"aggregate", b"max"),
            (b"WEIGHTS", b"2", b"-1", b"0.5"),
            (b"WEIGHTS", b"0", b"inf", b"1e308", b"AGGREGATE", b"sum", b"WITHSCORES"),
        )
    )
    for keys in product(KEYS, repeat=3):
        for tail in tails:
            agree(filled, name, b"3", *keys, *tail)
            if b"WITHSCORES" not in tail and b"withscores" not in tail:
                agree(filled, name + b"STORE", b"out", b"3", *keys, *tail)
                agree(filled, b"ZRANGE", b"out", b"0", b"-1", b"WITHSCORES")
    agree(filled, name + b"STORE", b"x", b"2", b"x", b"y")  # over one of its sources
    agree(filled, b"ZRANGE", b"x", b"0", b"-1", b"WITHSCORES")


def test_an_intersection_is_counted_up_to_a_limit(filled: tuple[Client, Reference]) -> None:
    for keys, tail in product(product(KEYS, repeat=2), ((), (b"LIMIT", b"0"), (b"LIMIT", b"1"), (b"LIMIT", b"9"))):
        agree(filled, b"ZINTERCARD", b"2", *keys, *tail)


@pytest.mark.parametrize(
    "words",
    [
        b"ZUNION 0 x",
        b"ZUNION -1 x",
        b"ZUNION a x",
        b"ZUNION 9 x",
        b"ZUNION 1 x FOO",
        b"ZUNION 1 x WEIGHTS",
        b"ZUNION 1 x WEIGHTS a",
        b"ZUNION 1 x WEIGHTS nan",
        b"ZUNION 1 x AGGREGATE",
        b"ZUNION 1 x AGGREGATE FOO",
        b"ZUNION 2 x y WEIGHTS 1",
        b"ZDIFF 1 x WEIGHTS 1",
        b"ZDIFF 1 x AGGREGATE MIN",
        b"ZUNIONSTORE out 1 x WITHSCORES",
        b"ZINTERCARD 1 x LIMIT",
        b"ZINTERCARD 1 x LIMIT -1",
        b"ZINTERCARD 1 x LIMIT a",
        b"ZINTERCARD 0 x",
        b"ZINTERCARD 1 x WITHSCORES",
        b"ZINTERCARD 1 x WEIGHTS 1",
        b"ZUNION 2 x text",
        b"ZUNIONSTORE out 0 x",
        b"ZUNION 1 x WEIGHTS 1 WEIGHTS 2 WITHSCORES",
        b"ZUNION 1 x AGGREGATE MIN AGGREGATE MAX WITHSCORES",
        b"ZINTER 1 x x",
    ],
)
def test_wrong_words_are_told_as_in_redis(filled: tuple[Client, Reference], words: bytes) -> None:
    agree(filled, b"SET", b"text", b"v")
    agree(filled, *words.split(b" "))


def test_a_result_of_nothing_lets_go_where_one_may(filled: tuple[Client, Reference]) -> None:
    agree(filled, *b"ZINTERSTORE y 2 x none".split(b" "))
    agree(filled, b"EXISTS", b"y")


def test_a_stored_set_replaces_what_was_there_and_gets_the_default_ttl(client: Client) -> None:
    client(b"ZADD", b"z", b"1", b"a")
    client(b"ZADD", b"out", b"1", b"old")
    client(b"EXPIRE", b"out", b"5")
    assert (
        client(b"ZUNIONSTORE", b"out", b"1", b"z") == b":1\r\n"
        and client(b"ZRANGE", b"out", b"0", b"-1") == b"*1\r\n$1\r\na\r\n"
    )
    assert client(b"TTL", b"out") == b":3600\r\n"
