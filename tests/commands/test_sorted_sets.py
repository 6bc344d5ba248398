"""Sorted sets, one at a time: as Redis has them, and what respram adds: deadlines, letting go."""

from dataclasses import replace

import pytest

from .rig import Client, Reference, Rig

LET_GO = b"+zrem +zpopmin +zpopmax +zmpop +zremrangebyrank +zremrangebyscore +zremrangebylex +del"
SCORES = (
    b"0 -0 1 -1 0.1 3.0e3 1e17 1e22 1e300 5e-324 1e-400 1e400 1e5000 inf -inf nan 0x10 0x1p-3 .5 5. +5 005 x 1x "
    b"9007199254740993 4611686018427387904 123456789.123456789 0.30000000000000004"
).split(b" ")
SCORES += (b"", b" 1", b"1 ", b"1\x00")


@pytest.fixture
def free(client: Client) -> Client:
    """Who may take members away."""
    client(b"ACL", b"SETUSER", b"default", *LET_GO.split(b" "))
    return client


def both(client: Client, reference: Reference, *scripts: bytes) -> None:
    for script in scripts:
        argv = script.split(b" ")
        assert client(*argv) == reference(*argv), script


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("proto", [b"2", b"3"])
def test_scores_are_read_and_told_as_in_redis(
    client: Client, reference: Reference, proto: bytes, score: bytes
) -> None:
    client(b"HELLO", proto)
    reference(b"HELLO", proto)
    for argv in (
        (b"ZADD", b"z", score, b"a"), (b"ZSCORE", b"z", b"a"), (b"ZINCRBY", b"z", score, b"a"),
        (b"ZINCRBY", b"z", b"0.1", b"b"),
        (b"ZADD", b"z", b"INCR", score, b"b"), (b"ZMSCORE", b"z", b"a", b"no", b"b"), (b"ZSCAN", b"z", b"0"),
        (b"ZRANGE", b"z", b"0", b"-1", b"WITHSCORES"), (b"ZCOUNT", b"z", score, b"+inf"),
        (b"ZCOUNT", b"z", b"-inf", b"(" + score),
    ):  # fmt: skip
        assert client(*argv) == reference(*argv), argv


def test_the_options_of_zadd_are_those_of_redis(client: Client, reference: Reference) -> None:
    words = (b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR")
    for chosen in range(1 << len(words)):
        options = [word for at, word in enumerate(words) if chosen >> at & 1]
        for server in (client, reference):
            server(b"ZADD", b"z%d" % chosen, b"1", b"a", b"2", b"b")
        for pairs in (b"0 a", b"1 a", b"2 a", b"5 new", b"3 a 0 b 7 c", b"inf a", b"-inf a", b"1", b"x a"):
            argv = (b"ZADD", b"z%d" % chosen, *options, *pairs.split(b" "))
            assert client(*argv) == reference(*argv), argv
        show = (b"ZRANGE", b"z%d" % chosen, b"0", b"-1", b"WITHSCORES")
        assert client(*show) == reference(*show), options


def test_a_sum_that_is_no_number_is_told_and_what_came_before_it_stays(client: Client, reference: Reference) -> None:
    both(
        client,
        reference,
        b"ZADD z inf a",
        b"ZADD z INCR -inf a",
        b"ZINCRBY z -inf a",
        b"ZSCORE z a",
        b"ZADD z 5 b nan c",
        b"ZCARD z",
        b"ZINCRBY text 1 a",
        b"ZRANK z a",
        b"ZREVRANK z a",
        b"ZRANK z no",
        b"ZRANK no a",
    )


def test_a_key_of_another_type_is_told(client: Client) -> None:
    client(b"SET", b"text", b"v")
    for script in (
        b"ZADD text 1 a",
        b"ZSCORE text a",
        b"ZRANGE text 0 -1",
        b"ZCARD text",
        b"ZSCAN text 0",
        b"ZUNION 1 text",
        b"ZRANK text a",
    ):
        assert client(*script.split(b" ")).startswith(b"-WRONGTYPE "), script
    assert client(b"GET", b"text") == b"$1\r\nv\r\n"


def test_a_sorted_set_without_a_ttl_gets_the_default_one_and_keeps_what_it_has(client: Client) -> None:
    client(b"ZADD", b"z", b"1", b"a")
    assert client(b"TTL", b"z") == b":3600\r\n" and client(b"EXPIRE", b"z", b"50", b"NX") == b":1\r\n"
    client.advance(10_000)
    client(b"ZADD", b"z", b"2", b"b")
    client(b"ZINCRBY", b"z", b"2", b"a")
    assert client(b"TTL", b"z") == b":40\r\n"
    client.advance(39_999)
    assert client(b"ZCARD", b"z") == b":2\r\n"
    client.advance(1)
    assert client(b"ZCARD", b"z") == b":0\r\n" and client(b"ZRANGE", b"z", b"0", b"-1") == b"*0\r\n"
    client(b"ZADD", b"z", b"9", b"c")
    assert (
        client(b"ZRANGE", b"z", b"0", b"-1", b"WITHSCORES") == b"*2\r\n$1\r\nc\r\n$1\r\n9\r\n"
    )  # nothing of the old one shows
    assert client(b"ZSCORE", b"z", b"a") == b"$-1\r\n" and client(b"ZRANK", b"z", b"c") == b":0\r\n"


def test_who_may_not_let_go_takes_no_member_away(client: Client) -> None:
    client(b"ZADD", b"z", b"1", b"a", b"2", b"b")
    for script in (
        b"ZREM z a",
        b"ZPOPMIN z",
        b"ZPOPMAX z",
        b"ZMPOP 1 z MIN",
        b"ZREMRANGEBYRANK z 0 0",
        b"ZREMRANGEBYSCORE z 1 1",
        b"ZREMRANGEBYLEX z - +",
    ):
        name = script.split(b" ")[0].lower()
        assert client(*script.split(b" ")).startswith(b"-NOPERM '%b' is refused by design: keys leave" % name), script
    assert client(b"ZUNIONSTORE", b"z", b"1", b"none").startswith(b"-NOPERM 'zunionstore' is refused by design: ")
    assert client(b"ZRANGE", b"z", b"0", b"-1") == b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"


def test_with_its_last_member_a_sorted_set_is_gone(free: Client, reference: Reference) -> None:
    both(
        free,
        reference,
        b"ZADD z 1 a 2 b",
        b"ZREM z a no",
        b"ZREM z b",
        b"EXISTS z",
        b"ZREM z b",
        b"ZCARD z",
        b"ZADD z 5 b",
        b"ZRANGE z 0 -1 WITHSCORES",
    )


def test_listeners_are_told(free: Client) -> None:
    free(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEz")
    listener = free.other()
    listener(b"PSUBSCRIBE", b"__keyevent@0__:*")
    told = []
    for script in (
        b"ZADD z 1 a", b"ZADD z 1 a", b"ZINCRBY z 1 a", b"ZADD z 4 b 5 c 6 d 7 e 8 f", b"ZREM z b", b"ZPOPMIN z",
        b"ZPOPMAX z",
        b"ZREMRANGEBYRANK z 0 0", b"ZREMRANGEBYSCORE z 6 6", b"ZUNIONSTORE y 1 z", b"ZRANGESTORE x z 0 -1",
        b"ZUNIONSTORE y 1 z", b"ZDIFFSTORE y 1 z", b"ZINTERSTORE y 1 z", b"ZRANGESTORE x z 0 -1", b"ZMPOP 1 y MAX",
        b"ZREMRANGEBYLEX z - +",
    ):  # fmt: skip
        listener.pushed()
        free(*script.split(b" "))
        told.append([part.split(b"\r\n")[0] for part in listener.pushed().split(b"\r\n__keyevent@0__:")[2::2]])
    assert told == [
        [b"zadd"], [], [b"zincr"], [b"zadd"], [b"zrem"], [b"zpopmin"], [b"zpopmax"], [b"zremrangebyrank"],
        [b"zremrangebyscore"],
        [b"zunionstore"], [b"zrangestore"], [b"zunionstore"], [b"zdiffstore"], [b"zinterstore"], [b"zrangestore"],
        [b"zpopmax"], [b"zremrangebylex"],
    ]  # fmt: skip


def test_a_watched_sorted_set_that_changes_aborts(client: Client) -> None:
    client(b"ZADD", b"z", b"1", b"a")
    client(b"WATCH", b"z")
    client.other()(b"ZADD", b"z", b"2", b"b")
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"


# -- walks and draws ---------------------------------------------------------------------------------
def names_of(reply: bytes) -> list[bytes]:
    return reply.split(b"\r\n")[2::2]


def test_a_walk_meets_whoever_was_there_from_its_first_call_to_its_last(free: Client) -> None:
    for number in range(700):
        free(b"ZADD", b"z", b"%d" % (number % 7), b"m%d" % number)
    seen: set[bytes] = set()
    cursor, calls = b"0", 0
    while calls == 0 or cursor != b"0":
        reply = free(b"ZSCAN", b"z", cursor, b"COUNT", b"40").split(b"\r\n")
        cursor, calls = reply[2], calls + 1
        seen.update(reply[5::4])
        free(b"ZADD", b"z", b"1", b"new%d" % calls, b"5", b"m%d" % (600 + calls))
        free(b"ZREM", b"z", b"m%d" % calls)
        assert calls < 100
    assert calls > 5 and {b"m%d" % number for number in range(calls + 1, 700)} <= seen


def test_draws_are_of_members_and_of_all_of_them_in_time(client: Client) -> None:
    everybody = {b"m%d" % number for number in range(20)}
    client(b"ZADD", b"z", *(word for name in everybody for word in (b"1", name)))
    assert {names_of(client(b"ZRANDMEMBER", b"z", b"-1"))[0] for _ in range(500)} == everybody
    for count in (1, 5, 10, 15, 19, 20, 30):
        drawn = names_of(client(b"ZRANDMEMBER", b"z", b"%d" % count))
        assert len(drawn) == len(set(drawn)) == min(count, 20) and set(drawn) <= everybody
    assert len(names_of(client(b"ZRANDMEMBER", b"z", b"-50"))) == 50
    assert client(b"ZRANDMEMBER", b"no") == b"$-1\r\n" and client(b"ZRANDMEMBER", b"no", b"3") == b"*0\r\n"
    client(b"HELLO", b"3")
    assert client(b"ZRANDMEMBER", b"z", b"-1", b"WITHSCORES").startswith(b"*1\r\n*2\r\n$")


def test_a_reply_beyond_what_a_client_may_hold_unread_closes_it(rig: Rig) -> None:
    client = rig.connect()
    for number in range(40):
        client(b"ZADD", b"z", b"1", b"%03d" % number + b"x" * 1000)
    rig.node.limits = replace(rig.node.limits, output_buffer_bytes_max=20_000)
    cold = (b"ZUNION", b"17", *[b"z"] * 17)  # of more sources than a fast path takes
    for words in ((b"ZRANDMEMBER", b"z", b"-10000"), (b"ZRANGEBYSCORE", b"z", b"0", b"1e9"), cold):
        greedy = client.other()
        assert greedy(*words) == b"" and greedy.conn.session.closing
