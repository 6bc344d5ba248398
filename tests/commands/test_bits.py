"""Strings as bitmaps, against a real server on random maps, and by hand where there is none."""

import random

from respram.commands.refusals import reason_of

from .rig import ONE, ZERO, Client, Reference, bulk

REFUSED = b"-NOPERM 'bitop' is refused by design: " + reason_of(b"delete") + b"\r\n"
SEED, ROUNDS = 20260923, 1_000
OFFSETS = [b"0", b"1", b"7", b"8", b"9", b"23", b"24", b"100", b"-1", b"-8", b"-9", b"-24", b"-100", b"x", b""]


def test_bits_are_set_and_read(client: Client) -> None:
    assert client(b"SETBIT", b"a", b"7", b"1") == ZERO
    assert client(b"GET", b"a") == bulk(b"\x01")
    assert client(b"SETBIT", b"a", b"7", b"0") == ONE
    assert client(b"SETBIT", b"a", b"23", b"1") == ZERO
    assert client(b"GET", b"a") == bulk(b"\x00\x00\x01")
    assert client(b"GETBIT", b"a", b"23") == ONE
    assert client(b"GETBIT", b"a", b"24") == client(b"GETBIT", b"no", b"0") == ZERO
    assert client(b"BITCOUNT", b"a") == ONE
    assert client(b"BITPOS", b"a", b"1") == b":23\r\n"
    assert client(b"TTL", b"a") == b":3600\r\n"


def test_offsets_end_where_values_do(client: Client) -> None:
    wrong = b"-ERR bit offset is not an integer or out of range\r\n"
    beyond = client.conn.node.settings.bulk_bytes_max * 8
    for offset in (b"-1", b"x", b"%d" % beyond, b"99999999999999999999"):
        assert client(b"SETBIT", b"a", offset, b"1") == wrong
        assert client(b"GETBIT", b"a", offset) == wrong
    for bit in (b"2", b"-1", b"x", b"01"):
        assert client(b"SETBIT", b"a", b"1", bit) == b"-ERR bit is not an integer or out of range\r\n"
    assert client(b"GETBIT", b"a", b"%d" % (beyond - 1)) == ZERO
    assert client(b"EXISTS", b"a") == ZERO


def test_counting_and_finding_are_as_in_redis(client: Client, reference: Reference) -> None:
    source = random.Random(SEED)
    ones = 0
    for _ in range(ROUNDS):
        value = source.choice([b"", b"\xff" * 3, b"\x00" * 3, source.randbytes(source.randrange(1, 9))])
        key = source.choice([b"a", b"a", b"a", b"no"])
        for server in (client, reference):
            server(b"SET", b"a", value)
        tail = source.choices(OFFSETS, k=source.choice([0, 1, 2, 2, 2]))
        tail += source.choice([[], [b"BIT"], [b"byte"], [b"foo"], [b"BIT", b"1"]])
        count = (b"BITCOUNT", key, *tail)
        find = (b"BITPOS", key, source.choice([b"0", b"1", b"2", b"x"]), *tail)
        reply = client(*count)
        ones += reply not in (ZERO,) and reply.startswith(b":")
        assert reply == reference(*count), (SEED, value, count)
        assert client(*find) == reference(*find), (SEED, value, find)
    assert ones > ROUNDS // 20


def test_combining_is_as_in_redis(client: Client, reference: Reference) -> None:
    source = random.Random(SEED)
    for round_number in range(ROUNDS):
        for key in (b"a", b"b", b"c"):
            value = source.randbytes(source.randrange(0, 6))
            for server in (client, reference):
                server(b"SET", key, value)
        target = b"to%d" % round_number
        operation = source.choice([b"AND", b"or", b"XOR", b"NOT", b"foo"])
        words = (b"BITOP", operation, target, *source.choices([b"a", b"b", b"c", b"no"], k=source.randrange(1, 4)))
        assert client(*words) == reference(*words), (SEED, words)
        assert client(b"GET", target) == reference(b"GET", target), (SEED, words)


def test_a_combination_gets_the_default_ttl(client: Client) -> None:
    client(b"SET", b"a", b"x", b"EX", b"10")
    client(b"SET", b"to", b"old", b"EX", b"10")
    assert client(b"BITOP", b"OR", b"to", b"a") == ONE
    assert client(b"TTL", b"to") == b":3600\r\n"


def test_an_empty_combination_does_not_delete_its_target(client: Client) -> None:
    client(b"SET", b"to", b"kept", b"EX", b"10")
    assert client(b"BITOP", b"AND", b"to", b"no", b"missing") == REFUSED
    assert client(b"GET", b"to") == bulk(b"kept")
    assert client(b"TTL", b"to") == b":10\r\n"
    assert client(b"BITOP", b"AND", b"absent", b"no") == ZERO
    assert client.conn.refused_deletes == 1


def test_a_setbit_that_changes_nothing_leaves_no_trace(client: Client) -> None:
    client(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
    client(b"SETBIT", b"k", b"7", b"1")
    other = client.other()
    other(b"WATCH", b"k")
    listener = client.other()
    listener(b"PSUBSCRIBE", b"*")
    listener.pushed()
    assert client(b"SETBIT", b"k", b"7", b"1") == b":1\r\n"
    assert client(b"SETBIT", b"k", b"3", b"0") == b":0\r\n"
    assert listener.pushed() == b""
    other(b"MULTI")
    assert other(b"EXEC") == b"*0\r\n"
    assert client(b"SETBIT", b"k", b"15", b"0") == b":0\r\n"
    assert listener.pushed().count(b"setbit") == 2
    assert client(b"STRLEN", b"k") == b":2\r\n"
