"""COPY and RENAME of collections: the copy has the members with their deadlines, and stands for itself."""

import pytest

from .rig import OK, Client, Rig, bulk
from .test_notify import events

MEMBERS = 12
MANY = 3_000  # more than a fast path copies
TOO_MANY = 23_000  # more than COPY may look at and store
FILL = {b"h": b"HSET", b"s": b"SADD", b"z": b"ZADD"}
WALK = {b"h": b"HGETALL", b"s": b"SMEMBERS", b"z": b"ZRANGE"}


def fill(client: Client, key: bytes, count: int = MEMBERS, *, named: bytes | None = None) -> None:
    kind = named or key
    for first in range(0, count, 500):
        words = list[bytes]()
        for number in range(first, min(first + 500, count)):
            name = b"m%d" % number
            words += {b"h": [name, b"v%d" % number], b"s": [name], b"z": [b"%d" % (number % 7), name]}[kind]
        assert client(FILL[kind], key, *words) == b":%d\r\n" % min(500, count - first)


def shown(client: Client, kind: bytes, key: bytes) -> bytes:
    return client(WALK[kind], key, *((b"0", b"-1", b"WITHSCORES") if kind == b"z" else ()))


def copy(client: Client, *words: bytes) -> bytes:
    return client(b"COPY", *words)


@pytest.mark.parametrize("kind", FILL)
@pytest.mark.parametrize("count", [1, MEMBERS, MANY])
@pytest.mark.parametrize("way", ["here", "elsewhere", "in MULTI", "renamed"])
def test_a_copy_has_all_members_in_their_order_with_their_lives(
    rig: Rig, client: Client, kind: bytes, count: int, way: str
) -> None:
    fill(client, kind, count)
    client(b"PEXPIRE", kind, b"50000")
    before, length = shown(client, kind, kind), client(b"OBJECT", b"ENCODING", kind)
    if way == "renamed":
        client(b"ACL", b"SETUSER", b"renamer", b"on", b"nopass", b"~*", b"&*", b"+@all", b"+rename")
        renamer = client.other()
        assert renamer(b"AUTH", b"renamer", b"") == renamer(b"RENAME", kind, b"c") == OK
    elif way == "here":
        assert copy(client, kind, b"c") == b":1\r\n"
    elif way == "in MULTI":
        client(b"MULTI")
        copy(client, kind, b"c")
        assert client(b"EXEC") == b"*1\r\n:1\r\n"
    else:
        assert copy(client, kind, b"c", b"DB", b"3") == b":1\r\n"
        client(b"SELECT", b"3")
    assert shown(client, kind, b"c") == before and client(b"PTTL", b"c") == b":50000\r\n"
    assert client(b"OBJECT", b"ENCODING", b"c") == length
    rig.advance(50_000)
    assert client(b"EXISTS", b"c", kind) == b":0\r\n"
    rig.advance(60_000)  # the wheel looks in steps
    assert rig.engine.counters()["records"] == 0


@pytest.mark.parametrize("count", [MEMBERS, MANY])
def test_members_with_deadlines_of_their_own_keep_them(rig: Rig, client: Client, count: int) -> None:
    fill(client, b"h", count)
    client(b"PEXPIRE", b"h", b"50000")
    client(b"HPEXPIRE", b"h", b"1000", b"FIELDS", b"1", b"m1")
    client(b"HPEXPIRE", b"h", b"90000", b"FIELDS", b"1", b"m2")
    assert copy(client, b"h", b"c") == b":1\r\n"
    ttls = client(b"HPTTL", b"c", b"FIELDS", b"3", b"m0", b"m1", b"m2")
    assert ttls == client(b"HPTTL", b"h", b"FIELDS", b"3", b"m0", b"m1", b"m2")
    rig.advance(1_000)
    assert client(b"HLEN", b"c") == b":%d\r\n" % (count - 1) and client(b"HGET", b"c", b"m1") == b"$-1\r\n"
    assert client(b"PEXPIRE", b"c", b"70000") == b":1\r\n", "what is the copy's moves with the copy"
    rig.advance(1)  # the timer raises many members in slices
    rig.advance(60_000)
    assert client(b"EXISTS", b"h") == b":0\r\n" and client(b"HLEN", b"c") == b":%d\r\n" % (count - 1)


@pytest.mark.parametrize("count", [MEMBERS, MANY])
def test_members_that_have_ended_are_not_copied(rig: Rig, client: Client, count: int) -> None:
    fill(client, b"h", count)
    client(b"HPEXPIRE", b"h", b"1000", b"FIELDS", b"2", b"m0", b"m5")
    rig.now_ms += 1_000  # the timer has not come yet
    assert copy(client, b"h", b"c") == b":1\r\n"
    assert client(b"HLEN", b"c") == b":%d\r\n" % (count - 2) and client(b"HGET", b"c", b"m5") == b"$-1\r\n"


@pytest.mark.parametrize("count", [MEMBERS, MANY])
@pytest.mark.parametrize("old", [b"SET c old", b"HSET c old v", b"SADD c old", b"ZADD c 1 old"])
def test_a_copy_takes_the_place_of_what_was_there_only_where_it_may(
    rig: Rig, client: Client, old: bytes, count: int
) -> None:
    fill(client, b"s", count)
    client(*old.split())
    kind = client(b"TYPE", b"c")
    assert copy(client, b"s", b"c") == b":0\r\n" and client(b"TYPE", b"c") == kind
    assert copy(client, b"s", b"c", b"REPLACE") == b":1\r\n"
    assert shown(client, b"s", b"c") == shown(client, b"s", b"s")


def test_the_source_and_its_copy_go_their_own_ways(client: Client) -> None:
    fill(client, b"h")
    copy(client, b"h", b"c")
    client(b"HSET", b"c", b"m0", b"other", b"new", b"v")
    assert client(b"HGET", b"h", b"m0") == bulk(b"v0") and client(b"HLEN", b"h") == b":%d\r\n" % MEMBERS
    client(b"PEXPIRE", b"h", b"10")
    assert client(b"HGET", b"c", b"m0") == bulk(b"other")


@pytest.mark.parametrize("kind", FILL)
def test_a_copy_that_is_too_large_is_refused_before_anything_changes(rig: Rig, client: Client, kind: bytes) -> None:
    fill(client, kind, TOO_MANY)
    client(b"SET", b"c", b"old")
    assert copy(client, kind, b"c", b"REPLACE").startswith(b"-ERR ")
    assert client(b"GET", b"c") == bulk(b"old")


@pytest.mark.parametrize("count", [MEMBERS, MANY])
def test_a_watched_target_or_source_is_seen_to_change_or_not(client: Client, count: int) -> None:
    fill(client, b"z", count)
    other = client.other()
    for watched, changed in ((b"c", True), (b"z", False)):
        client(b"WATCH", watched)
        assert copy(other, b"z", b"c", b"REPLACE") == b":1\r\n"
        client(b"MULTI")
        client(b"PING")
        assert (client(b"EXEC") == b"*-1\r\n") is changed, watched


@pytest.mark.parametrize("count", [MEMBERS, MANY])
def test_events_are_told_once_for_a_copy(client: Client, count: int) -> None:
    fill(client, b"s", count)
    assert events(client, b"EAn", b"COPY s c") == [b"new", b"copy_to"]
    assert events(client, b"EAn", b"COPY s c") == []
    assert events(client, b"EAn", b"COPY s c REPLACE") == [b"new", b"copy_to"]
