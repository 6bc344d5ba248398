"""RENAME and RENAMENX: as Redis answers, for whom the right was given, and what becomes of the lives and of the old
name.
"""

import pytest

from respram.commands.refusals import reason_of

from .rig import NIL, OK, Client, Reference, bulk


@pytest.fixture
def free(client: Client) -> Client:
    assert client(b"ACL", b"SETUSER", b"default", b"+rename", b"+renamenx", b"+del") == OK
    return client


STEPS = (
    "RENAME no a", "RENAME no no", "RENAMENX no a", "SET a 1 EX 100", "RENAME a b", "EXISTS a", "GET b", "TTL b",
    "RENAME b b", "RENAMENX b b",
    "SET c 3 EX 50", "RENAMENX b c", "GET c", "RENAME b c", "GET c", "TTL c", "EXISTS b", "RENAME b c",
    "SET b 2 EX 100", "GET b", "RENAMENX b d",
    "DBSIZE", "HSET h f 1 g 2", "EXPIRE h 70", "RENAME h i", "TYPE i", "HGETALL i", "HLEN i", "TTL i", "EXISTS h",
    "HSET h f 9", "HGETALL h",
    "RENAME i h", "HGETALL h", "SADD s m", "RENAME s h", "SMEMBERS h", "HGET h f", "ZADD z 2 b 1 a", "RENAME z h",
    "ZRANGE h 0 -1 WITHSCORES",
    "RENAME h c", "TYPE c", "ZRANK c b", "SET h x EX 9", "RENAME h c", "GET c", "TTL c", "MULTI", "RENAME c e", "GET e",
    "EXISTS c", "EXEC",
    "RENAME a", "RENAMENX a b c",
)  # fmt: skip


def test_replies_are_those_of_redis(free: Client, reference: Reference) -> None:
    reference(b"FLUSHALL")
    for step in STEPS:
        words = step.encode().split()
        assert free(*words) == reference(*words), step


@pytest.mark.parametrize("name", [b"rename", b"renamenx"])
def test_who_was_not_given_it_keeps_both_keys(client: Client, name: bytes) -> None:
    client(b"SET", b"a", b"1", b"EX", b"100")
    client(b"ACL", b"SETUSER", b"default", b"+del")  # another right is not this one
    assert client(name, b"a", b"b") == b"-NOPERM '%b' is refused by design: %b\r\n" % (name, reason_of(b"delete", name))
    assert client(b"GET", b"a") == bulk(b"1") and client(b"GET", b"b") == NIL


def test_a_key_that_named_no_ttl_still_counts_as_one_without(free: Client) -> None:
    free(b"SET", b"a", b"1")
    free(b"RENAME", b"a", b"b")
    assert free(b"EXPIRE", b"b", b"50", b"NX") == b":1\r\n"


def test_members_keep_lives_of_their_own(free: Client) -> None:
    free(b"HSET", b"h", b"f", b"1", b"g", b"2")
    free(b"HEXPIRE", b"h", b"20", b"FIELDS", b"1", b"f")
    before = free(b"HPTTL", b"h", b"FIELDS", b"2", b"f", b"g")
    free(b"RENAME", b"h", b"i")
    assert free(b"HPTTL", b"i", b"FIELDS", b"2", b"f", b"g") == before


def test_a_transaction_that_watches_either_name_is_aborted(free: Client) -> None:
    for watched in (b"a", b"b"):
        free(b"SET", b"a", b"1", b"EX", b"100")
        free(b"WATCH", watched)
        other = free.other()
        assert other(b"RENAME", b"a", b"b") == OK
        free(b"MULTI")
        free(b"PING")
        assert free(b"EXEC") == b"*-1\r\n"


def test_both_names_are_told_of(free: Client) -> None:
    free(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
    listener = free.other()
    listener(b"PSUBSCRIBE", b"__keyevent@0__:*")
    free(b"HSET", b"h", b"f", b"1")
    listener.pushed()
    free(b"RENAME", b"h", b"i")
    heard = listener.pushed()
    assert b"rename_to" in heard and b"rename_from" in heard and b"__keyevent@0__:del" not in heard
