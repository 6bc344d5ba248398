"""Fields and members end by themselves, as Redis 7.4 has it of hashes."""

import pytest

from .drawing import may_let_go
from .rig import NIL, Client, Rig, array, bulk


@pytest.fixture
def free(client: Client) -> Client:
    """A client that may let go."""
    may_let_go(client)
    return client


def test_fields_end_by_themselves(free: Client, rig: Rig) -> None:
    free(b"HSET", b"h", b"a", b"1", b"b", b"2", b"c", b"3")
    assert free(b"HEXPIRE", b"h", b"10", b"FIELDS", b"3", b"a", b"b", b"none") == array(
        b":1\r\n", b":1\r\n", b":-2\r\n"
    )
    assert free(b"HTTL", b"h", b"FIELDS", b"3", b"a", b"c", b"none") == array(b":10\r\n", b":-1\r\n", b":-2\r\n")
    assert free(b"HPEXPIRE", b"h", b"5000", b"GT", b"FIELDS", b"1", b"a") == array(b":0\r\n")
    assert free(b"HPEXPIRE", b"h", b"5000", b"LT", b"FIELDS", b"2", b"a", b"c") == array(b":1\r\n", b":1\r\n")
    assert free(b"HPEXPIRE", b"h", b"9000", b"NX", b"FIELDS", b"1", b"a") == array(b":0\r\n")
    assert free(b"HSET", b"h", b"c", b"4") == b":0\r\n"
    assert free(b"HPTTL", b"h", b"FIELDS", b"1", b"c") == array(b":-1\r\n")
    assert free(b"HINCRBY", b"h", b"a", b"1") == b":2\r\n"
    assert free(b"HPTTL", b"h", b"FIELDS", b"1", b"a") == array(b":5000\r\n")
    rig.now_ms += 5_000
    assert free(b"HLEN", b"h") == b":2\r\n" and free(b"HGET", b"h", b"a") == NIL
    rig.advance(5_000)
    assert free(b"HKEYS", b"h") == array(bulk(b"c"))
    assert free(b"HEXPIRE", b"h", b"0", b"FIELDS", b"1", b"c") == array(b":2\r\n")
    assert free(b"EXISTS", b"h") == b":0\r\n" and free(b"DBSIZE") == b":0\r\n" and free(b"TYPE", b"h") == b"+none\r\n"
    assert free(b"HSET", b"h", b"d", b"5") == b":1\r\n" and free(b"TTL", b"h") == b":3600\r\n"


def test_members_of_sets_end_by_themselves_too(client: Client, rig: Rig) -> None:
    client(b"SADD", b"s", b"a", b"b")
    assert client(b"HPEXPIRE", b"s", b"20", b"FIELDS", b"1", b"a") == array(b":1\r\n")
    rig.advance(20)
    assert client(b"SMEMBERS", b"s") == array(bulk(b"b")) and client(b"SADD", b"s", b"a") == b":1\r\n"


def test_hsetex_and_hgetex(free: Client, rig: Rig) -> None:
    assert free(b"HSETEX", b"h", b"EX", b"10", b"FIELDS", b"2", b"a", b"1", b"b", b"2") == b":1\r\n"
    assert free(b"HSETEX", b"h", b"FNX", b"FIELDS", b"2", b"a", b"9", b"z", b"9") == b":0\r\n"
    assert free(b"HSETEX", b"h", b"FXX", b"KEEPTTL", b"FIELDS", b"1", b"a", b"7") == b":1\r\n"
    assert free(b"HTTL", b"h", b"FIELDS", b"1", b"a") == array(b":10\r\n")
    assert free(b"HGETEX", b"h", b"PX", b"500", b"FIELDS", b"2", b"a", b"none") == array(bulk(b"7"), NIL)
    assert free(b"HPTTL", b"h", b"FIELDS", b"1", b"a") == array(b":500\r\n")
    assert free(b"HGETDEL", b"h", b"FIELDS", b"2", b"b", b"none") == array(bulk(b"2"), NIL)
    rig.advance(500)
    assert free(b"EXISTS", b"h") == b":0\r\n"
    for words in (
        (b"HTTL", b"h", b"FIELDS", b"2", b"a"),
        (b"HTTL", b"h", b"F", b"1", b"a"),
        (b"HTTL", b"h", b"FIELDS", b"0", b"a"),
    ):
        assert free(*words).startswith(b"-ERR ")
