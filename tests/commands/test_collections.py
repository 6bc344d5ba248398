"""Collections as keys: their time, their events, what is seen of them and what is not."""

import pytest

from .rig import NIL, Client, Rig, array, bulk


def test_a_collection_is_a_key_as_others_are(client: Client, rig: Rig) -> None:
    assert client(b"HSET", b"h", b"f", b"v") == b":1\r\n"
    assert client(b"TTL", b"h") == b":3600\r\n"
    assert client(b"DBSIZE") == b":1\r\n"
    assert client(b"SCAN", b"0", b"COUNT", b"100", b"TYPE", b"hash") == array(bulk(b"0"), array(bulk(b"h")))
    assert client(b"SCAN", b"0", b"COUNT", b"100", b"TYPE", b"set") == array(bulk(b"0"), array())
    assert client(b"RANDOMKEY") == bulk(b"h")
    assert client(b"EXPIRE", b"h", b"10") == b":1\r\n"
    rig.advance(9_999)
    assert client(b"HGET", b"h", b"f") == bulk(b"v")
    rig.advance(1)
    assert (
        client(b"EXISTS", b"h") == b":0\r\n" and client(b"HGET", b"h", b"f") == NIL and client(b"DBSIZE") == b":0\r\n"
    )


def test_a_new_one_of_the_name_shows_nothing_of_the_old(client: Client, rig: Rig) -> None:
    client(b"HSET", b"h", b"old", b"v")
    client(b"PEXPIRE", b"h", b"50")
    rig.now_ms += 50  # nothing is destroyed yet
    assert client(b"HSET", b"h", b"new", b"w") == b":1\r\n"
    assert client(b"HGETALL", b"h") == array(bulk(b"new"), bulk(b"w"))
    rig.advance(1_000)
    assert client(b"HGET", b"h", b"old") == NIL and client(b"HLEN", b"h") == b":1\r\n"


def test_more_time_for_the_hash_is_more_for_its_fields(client: Client, rig: Rig) -> None:
    client(b"HSET", b"h", b"f", b"v")
    client(b"HSET", b"h", b"short", b"v")
    assert client(b"HPEXPIRE", b"h", b"1000", b"FIELDS", b"1", b"short") == array(b":1\r\n")
    client(b"EXPIRE", b"h", b"7200")
    rig.advance(3_600_001)
    assert client(b"HGETALL", b"h") == array(bulk(b"f"), bulk(b"v"))


def test_hdel_is_a_right_by_name(client: Client) -> None:
    client(b"HSET", b"h", b"f", b"v")
    client(b"SADD", b"s", b"m")
    for words in (
        (b"HDEL", b"h", b"f"),
        (b"SREM", b"s", b"m"),
        (b"SPOP", b"s"),
        (b"HGETDEL", b"h", b"FIELDS", b"1", b"f"),
    ):
        assert client(*words).startswith(b"-NOPERM '%b' is refused by design" % words[0].lower())
    assert client(b"HEXPIRE", b"h", b"0", b"FIELDS", b"1", b"f").startswith(b"-NOPERM 'hexpire'")
    assert client(b"HPERSIST", b"h", b"FIELDS", b"1", b"f").startswith(b"-NOPERM 'hpersist'")
    assert client(b"SINTERSTORE", b"s", b"s", b"none").startswith(b"-NOPERM 'sinterstore'")
    assert client(b"HLEN", b"h") == b":1\r\n" and client(b"SCARD", b"s") == b":1\r\n"


def test_watch_sees_every_change_of_a_member(client: Client, rig: Rig) -> None:
    client(b"HSET", b"h", b"a", b"1")
    client(b"HPEXPIRE", b"h", b"100", b"FIELDS", b"1", b"a")
    client(b"HSET", b"h", b"b", b"1")
    other = client.other()
    for change in (
        lambda: other(b"HSET", b"h", b"b", b"2"),
        lambda: other(b"HSET", b"h", b"c", b"1"),
        lambda: rig.advance(100),
    ):
        client(b"WATCH", b"h")
        change()
        client(b"MULTI")
        client(b"HSET", b"h", b"lost", b"1")
        assert client(b"EXEC") == b"*-1\r\n"
    client(b"WATCH", b"h")
    client(b"MULTI")
    client(b"HSET", b"h", b"kept", b"1")
    assert client(b"EXEC") == array(b":1\r\n")


def test_scripts_see_collections(client: Client) -> None:
    writes = b"redis.call('HSET', KEYS[1], 'f', ARGV[1]); redis.call('SADD', KEYS[2], 'm');"
    script = writes + b"return {redis.call('HGET', KEYS[1], 'f'), redis.call('SCARD', KEYS[2])}"
    reply = client(b"EVAL", script, b"2", b"h", b"s", b"v")
    assert reply == array(bulk(b"v"), b":1\r\n")


def test_a_scan_finds_every_member_that_stays(client: Client) -> None:
    stay = [b"stay%d" % number for number in range(500)]
    client(b"SADD", b"s", *stay)
    client(b"ACL", b"SETUSER", b"default", b"+srem")
    cursor, seen, step = b"0", set[bytes](), 0
    while step == 0 or cursor != b"0":
        client(b"SADD", b"s", *(b"more%d-%d" % (step, number) for number in range(20)))
        client(b"SREM", b"s", *(b"more%d-%d" % (step - 1, number) for number in range(20)))
        reply = client(b"SSCAN", b"s", cursor, b"COUNT", b"30").split(b"\r\n")
        cursor = reply[2]
        seen.update(reply[5::2])
        step += 1
        assert step < 200
    assert seen >= set(stay)


@pytest.mark.parametrize(("line", "reply"), [
    (b"HMSET h f v g w", b"+OK\r\n"),
    (b"HSETNX h a x", b":0\r\n"),
    (b"HSETNX fresh f x", b":1\r\n"),
    (b"HKEYS h", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
    (b"HVALS h", b"*2\r\n$1\r\n1\r\n$2\r\n22\r\n"),
    (b"HSTRLEN h b", b":2\r\n"),
    (b"SMEMBERS s", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
    (b"SMISMEMBER s a x b", b"*3\r\n:1\r\n:0\r\n:1\r\n"),
    (b"ZADD z 3 c 4 d", b":2\r\n"),
    (b"ZADD z XX CH 3 a 9 x", b":1\r\n"),
    (b"ZADD fresh 1 a 2 b", b":2\r\n"),
    (b"ZADD fresh XX 1 a", b":0\r\n"),
    (b"ZCOUNT z (1 +inf", b":1\r\n"),
    (b"ZMSCORE z b x", b"*2\r\n$1\r\n2\r\n$-1\r\n"),
    (b"ZREVRANK z a", b":1\r\n"),
    (b"ZREVRANGE z 0 0 WITHSCORES", b"*2\r\n$1\r\nb\r\n$1\r\n2\r\n"),
    (b"ZREVRANGEBYSCORE z +inf 0 LIMIT 1 5", b"*1\r\n$1\r\na\r\n"),
    (b"ZRANGE z 0 9 BYSCORE LIMIT 0 1", b"*1\r\n$1\r\na\r\n"),
    (b"SCAN 0 MATCH [h]* COUNT 1000", b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nh\r\n"),
    (b"ZRANGE z 9 0 BYSCORE REV", b"*2\r\n$1\r\nb\r\n$1\r\na\r\n"),
])  # fmt: skip
def test_ordinary_commands_are_answered_by_the_engine_alone(
    rig: Rig, client: Client, line: bytes, reply: bytes
) -> None:
    client(b"HSET", b"h", b"a", b"1", b"b", b"22")
    client(b"SADD", b"s", b"a", b"b")
    client(b"ZADD", b"z", b"1", b"a", b"2", b"b")
    before = rig.node.stats.commands
    assert client(*line.split()) == reply
    assert rig.node.stats.commands == before or not rig.hot, "dispatch was asked"


@pytest.mark.parametrize(("line", "gone", "left"), [
    (b"ZREMRANGEBYSCORE z 2 (4", 2, [b"a", b"d", b"e"]),
    (b"ZREMRANGEBYSCORE z -inf +inf", 5, []),
    (b"ZREMRANGEBYSCORE z 6 9", 0, [b"a", b"b", b"c", b"d", b"e"]),
    (b"ZREMRANGEBYRANK z 0 -2", 4, [b"e"]),
    (b"ZREMRANGEBYRANK z -1 -1", 1, [b"a", b"b", b"c", b"d"]),
    (b"ZREMRANGEBYRANK z 3 1", 0, [b"a", b"b", b"c", b"d", b"e"]),
    (b"ZREM z a x e a", 2, [b"b", b"c", b"d"]),
    (b"ZREM missing a", 0, [b"a", b"b", b"c", b"d", b"e"]),
])  # fmt: skip
def test_who_was_given_the_right_lets_go_of_members_in_the_engine(
    rig: Rig, client: Client, line: bytes, gone: int, left: list[bytes]
) -> None:
    client(b"ACL", b"SETUSER", b"default", b"+" + line.split()[0].lower())
    client(b"ZADD", b"z", b"1", b"a", b"2", b"b", b"3", b"c", b"4", b"d", b"5", b"e")
    before = rig.node.stats.commands
    assert client(*line.split()) == b":%d\r\n" % gone
    assert rig.node.stats.commands == before or not rig.hot, "dispatch was asked"
    assert client(b"ZRANGE", b"z", b"0", b"-1") == array(*map(bulk, left))
    assert client(b"EXISTS", b"z") == b":%d\r\n" % bool(left)


def test_more_members_than_one_command_lets_go_of_in_the_engine_go_all_the_same(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"default", b"+zremrangebyscore")
    for first in range(0, 1_500, 300):
        pairs = ((b"%d" % number, b"m%d" % number) for number in range(first, first + 300))
        client(b"ZADD", b"z", *(word for pair in pairs for word in pair))
    assert client(b"ZREMRANGEBYSCORE", b"z", b"(0", b"+inf") == b":1499\r\n"
    assert client(b"ZRANGE", b"z", b"0", b"-1") == array(bulk(b"m0"))
