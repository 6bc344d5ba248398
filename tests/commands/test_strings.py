"""Commands on whole values and on ranges of them, SET in every form above all."""

from itertools import permutations

import pytest

from respram.commands.refusals import reason_of

from .rig import NIL, NOW, OK, ONE, ZERO, Client, Reference, array, bulk

REFUSED = b"-NOPERM '%b' is refused by design: " + reason_of(b"delete") + b"\r\n"
SYNTAX = b"-ERR syntax error\r\n"


def test_what_is_set_is_read_back_whatever_its_bytes(client: Client) -> None:
    for value in (b"", b"1", b"\r\n$5\r\n\x00\xff", b"x" * 100_000):
        assert client(b"SET", b"k\r\n", value) == OK
        assert client(b"GET", b"k\r\n") == bulk(value)
        assert client(b"STRLEN", b"k\r\n") == b":%d\r\n" % len(value)
    assert client(b"MGET", b"no", b"k\r\n", b"no") == array(NIL, bulk(b"x" * 100_000), NIL)
    client(b"HELLO", b"3")
    assert client(b"GET", b"no") == b"_\r\n"
    assert client(b"MGET", b"no") == b"*1\r\n_\r\n"


def test_set_takes_its_options_in_any_order_and_case(client: Client) -> None:
    for options in permutations([(b"ex", b"10"), (b"nX",), (b"Get",)]):
        key = b"".join(word for option in options for word in option)
        assert client(b"set", key, b"1", *(word for option in options for word in option)) == NIL
        assert client(b"TTL", key) == b":10\r\n"
        assert client(b"set", key, b"2", *(word for option in options for word in option)) == bulk(b"1")
        assert client(b"GET", key) == bulk(b"1")


@pytest.mark.parametrize(
    ("unit", "number", "left_ms"),
    [
        (b"EX", b"10", 10_000),
        (b"PX", b"10", 10),
        (b"EXAT", b"%d" % (NOW // 1000 + 10), 10_000),
        (b"PXAT", b"%d" % (NOW + 10), 10),
    ],
)
def test_a_ttl_is_named_in_four_ways(client: Client, unit: bytes, number: bytes, left_ms: int) -> None:
    for command in ((b"SET", b"a", b"v", unit, number), (b"MSETEX", b"1", b"a", b"v", unit, number)):
        assert client(*command) in (OK, ONE)
        assert client(b"PTTL", b"a") == b":%d\r\n" % left_ms
    client(b"SET", b"a", b"w")
    assert client(b"GETEX", b"a", unit, number) == bulk(b"w")
    assert client(b"PTTL", b"a") == b":%d\r\n" % left_ms


def test_conditions_decide_whether_a_set_happens(client: Client) -> None:
    assert client(b"SET", b"a", b"1", b"XX") == NIL
    assert client(b"SET", b"a", b"1", b"NX") == OK
    assert client(b"SET", b"a", b"2", b"NX") == NIL
    assert client(b"SET", b"a", b"2", b"XX") == OK
    assert client(b"SET", b"a", b"3", b"IFEQ", b"no") == NIL
    assert client(b"SET", b"a", b"3", b"IFEQ", b"2") == OK
    assert client(b"SET", b"a", b"4", b"IFEQ", b"no", b"GET") == bulk(b"3")
    assert client(b"SET", b"a", b"4", b"GET", b"IFEQ", b"3") == bulk(b"3")
    assert client(b"GET", b"a") == bulk(b"4")
    assert client(b"SET", b"new", b"1", b"IFEQ", b"") == NIL
    assert client(b"EXISTS", b"new") == ZERO
    client(b"SET", b"empty", b"")
    assert client(b"SET", b"empty", b"1", b"IFEQ", b"") == OK


def test_keepttl_keeps_deadline_and_mark(client: Client) -> None:
    client(b"SET", b"a", b"1", b"EX", b"10")
    client.advance(3_000)
    assert client(b"SET", b"a", b"2", b"KEEPTTL") == OK
    assert client(b"PTTL", b"a") == b":7000\r\n"
    assert client(b"EXPIRE", b"a", b"5", b"NX") == ZERO
    assert client(b"SET", b"i", b"1") == client(b"SET", b"i", b"2", b"KEEPTTL") == OK
    assert client(b"EXPIRE", b"i", b"5", b"NX") == ONE
    assert client(b"SET", b"new", b"1", b"KEEPTTL") == OK
    assert client(b"TTL", b"new") == b":3600\r\n"
    assert client(b"SET", b"a", b"3") == OK
    assert client(b"TTL", b"a") == b":3600\r\n"


def test_a_set_in_the_past_is_refused_only_where_it_would_have_deleted(client: Client) -> None:
    client(b"SET", b"a", b"1", b"EX", b"50")
    for unit in (b"EXAT", b"PXAT"):
        assert client(b"SET", b"a", b"2", unit, b"1") == REFUSED % b"set"
        assert client(b"SET", b"a", b"2", unit, b"1", b"NX") == NIL
        assert client(b"GETEX", b"a", unit, b"1") == REFUSED % b"getex"
        assert client(b"GETEX", b"no", unit, b"1") == NIL
        assert client(b"MSETEX", b"1", b"a", b"2", unit, b"1") == REFUSED % b"msetex"
    assert client(b"GETEX", b"a", b"PERSIST") == b"-NOPERM 'getex' is refused by design: every key has a TTL\r\n"
    assert client(b"SET", b"a", b"2", b"PXAT", b"%d" % NOW) == REFUSED % b"set"
    assert client(b"GET", b"a") == bulk(b"1")
    assert client(b"TTL", b"a") == b":50\r\n"
    assert client.conn.refused_deletes == 8


@pytest.mark.parametrize(
    "options",
    [b"EX", b"EX 0", b"EX -1", b"EX x", b"EX 1.5", b"PX 0", b"EXAT 0", b"PXAT -5", b"EX 9223372036854775807",
     b"EX 9223372036854775", b"PX 9223372036854775807", b"EX 10 PX 10", b"EX 10 KEEPTTL", b"KEEPTTL EX 10", b"NX XX",
     b"XX NX", b"PERSIST", b"FOO", b"EX 10 FOO", b"NX EX", b"GET GET NX NX EX 10 EX 0", b"EX 99999999999999999999"],
)  # fmt: skip
def test_wrong_options_are_told_as_in_redis(client: Client, reference: Reference, options: bytes) -> None:
    words = options.split(b" ")
    for server in (client, reference):
        server(b"SET", b"a", b"old")
    assert client(b"SET", b"a", b"v", *words) == reference(b"SET", b"a", b"v", *words)
    assert client(b"GETEX", b"no", *words) == reference(b"GETEX", b"no", *words)
    if b"PERSIST" not in words:
        assert client(b"GETEX", b"a", *words) == reference(b"GETEX", b"a", *words)
    assert client(b"GET", b"a") == bulk(b"old")


def test_a_comparison_is_with_the_value_or_with_its_digest(client: Client) -> None:
    assert client(b"DIGEST", b"a") == NIL
    for comparison, operand in ((b"IFEQ", b"x"), (b"IFDEQ", b"0" * 16)):
        assert client(b"SET", b"a", b"1", comparison, operand) == NIL and client(b"EXISTS", b"a") == ZERO
    assert client(b"SET", b"a", b"Hello world", b"IFNE", b"Hello world") == OK  # a missing key equals nothing
    digest = b"b6acb9d84a38ff74"
    assert client(b"DIGEST", b"a") == bulk(digest)
    assert client(b"SET", b"a", b"2", b"IFNE", b"Hello world") == NIL == client(b"SET", b"a", b"2", b"IFDNE", digest)
    assert client(b"SET", b"a", b"2", b"IFDEQ", b"f" * 16) == NIL
    assert client(b"SET", b"a", b"2", b"GET", b"IFDEQ", b"f" * 16) == bulk(b"Hello world") == client(b"GET", b"a")
    assert client(b"SET", b"a", b"2", b"EX", b"7", b"IFDEQ", digest.upper()) == OK and client(b"TTL", b"a") == b":7\r\n"
    assert client(b"SET", b"a", b"3", b"IFDNE", digest, b"KEEPTTL") == OK and client(b"TTL", b"a") == b":7\r\n"
    assert client(b"SET", b"a", b"4", b"ifne", b"2", b"GET") == bulk(b"3") and client(b"GET", b"a") == bulk(b"4")
    assert client(b"SET", b"b", b"1", b"IFDNE", digest) == OK


@pytest.mark.parametrize("digest", [b"", b"x", b"b6acb9d84a38ff7", b"b6acb9d84a38ff744", b"b6acb9d84a38ff7g",
                                    b"b6acb9d84a38ff7\n"])
def test_a_digest_is_sixteen_hexadecimal_digits(client: Client, digest: bytes) -> None:
    for comparison in (b"IFDEQ", b"IFDNE"):
        wrong = b"-ERR The digest must be exactly 16 hexadecimal characters\r\n"
        assert client(b"SET", b"a", b"1", comparison, digest) == wrong and client(b"EXISTS", b"a") == ZERO


def test_comparisons_exclude_each_other(client: Client) -> None:
    assert client(b"SET", b"a", b"v", b"IFEQ", b"x", b"IFNE", b"y") == SYNTAX == client(b"SET", b"a", b"v", b"IFDEQ",
                                                                                        b"0" * 16, b"XX")


@pytest.mark.parametrize("options", [b"NX IFEQ x", b"IFEQ x NX", b"XX IFEQ x", b"IFEQ", b"NX GET IFEQ"])
def test_ifeq_excludes_the_other_conditions_and_wants_its_value(client: Client, options: bytes) -> None:
    assert client(b"SET", b"a", b"v", *options.split(b" ")) == SYNTAX


def test_older_forms_of_set(client: Client, reference: Reference) -> None:
    for words in (
        b"SETNX a 1", b"SETNX a 2", b"GET a", b"GETSET a 3", b"GETSET new 1", b"SETEX a 0 v", b"SETEX a x v",
        b"PSETEX a -1 v", b"SETEX a 9999999999999999 v", b"SETEX a 100 v", b"TTL a", b"PSETEX a 100000 v", b"TTL a",
    ):  # fmt: skip
        argv = words.split(b" ")
        assert client(*argv) == reference(*argv), words
    assert client(b"TTL", b"new") == b":3600\r\n"


def test_many_keys_are_written_together(client: Client, reference: Reference) -> None:
    for words in (
        b"MSET a 1 b 2", b"MGET a b", b"MSET a", b"MSET a 1 b", b"MSETNX a", b"MSETNX c 1 a 2", b"MGET c a",
        b"MSETNX c 1 d 2", b"MGET c d", b"MSET x 1 x 2", b"GET x", b"MSETNX y 1 y 2", b"GET y",
    ):  # fmt: skip
        argv = words.split(b" ")
        assert client(*argv) == reference(*argv), words
    assert client(b"TTL", b"a") == b":3600\r\n"


def test_msetex_writes_all_or_nothing(client: Client) -> None:
    assert client(b"MSETEX", b"2", b"a", b"1", b"b", b"2", b"EX", b"10", b"NX") == ONE
    assert client(b"MGET", b"a", b"b") == array(bulk(b"1"), bulk(b"2"))
    assert client(b"PTTL", b"b") == b":10000\r\n"
    assert client(b"MSETEX", b"2", b"new", b"1", b"b", b"3", b"nx") == ZERO
    assert client(b"MSETEX", b"2", b"new", b"1", b"b", b"3", b"xx") == ZERO
    assert client(b"EXISTS", b"new") == ZERO
    assert client(b"MSETEX", b"2", b"a", b"9", b"b", b"9", b"keepttl", b"xx") == ONE
    assert client(b"PTTL", b"a") == b":10000\r\n"
    assert client(b"MSETEX", b"1", b"a", b"7") == ONE
    assert client(b"TTL", b"a") == b":3600\r\n"
    for count in (b"0", b"-1", b"x", b"9999999999"):
        assert client(b"MSETEX", count, b"a", b"1") == b"-ERR invalid numkeys value\r\n"
    assert client(b"MSETEX", b"2", b"a", b"1", b"b") == b"-ERR wrong number of key-value pairs\r\n"
    assert client(b"MSETEX", b"1", b"a", b"1", b"b") == SYNTAX
    assert client(b"MSETEX", b"1", b"a", b"1", b"EX", b"0") == b"-ERR invalid expire time in 'msetex' command\r\n"


def test_ranges_are_read_as_in_redis(client: Client, reference: Reference) -> None:
    for server in (client, reference):
        server(b"SET", b"a", b"Hello, world")
    numbers = [b"0", b"1", b"-1", b"-3", b"5", b"11", b"12", b"100", b"-100", b"9223372036854775807", b"x"]
    for start in numbers:
        for end in numbers:
            for command in (b"GETRANGE", b"SUBSTR"):
                assert client(command, b"a", start, end) == reference(command, b"a", start, end), (start, end)
    assert client(b"GETRANGE", b"no", b"0", b"-1") == bulk(b"")


def test_ranges_are_written_as_in_redis(client: Client, reference: Reference) -> None:
    for words in (
        b"APPEND a abc", b"APPEND a def", b"GET a", b"SETRANGE a 2 XY", b"GET a", b"SETRANGE a 8 Z", b"GET a",
        b"SETRANGE a -1 x", b"SETRANGE a x x", b"SETRANGE new 3 v", b"GET new", b"STRLEN new", b"SUBSTR a 0 1",
    ):  # fmt: skip
        argv = words.split(b" ")
        assert client(*argv) == reference(*argv), words
    for server in (client, reference):
        assert server(b"SETRANGE", b"missing", b"5", b"") == ZERO
        assert server(b"EXISTS", b"missing") == ZERO


def test_changing_a_part_keeps_deadline_and_mark(client: Client) -> None:
    for change in (
        (b"APPEND", b"a", b"x"),
        (b"SETRANGE", b"a", b"0", b"9"),
        (b"SETBIT", b"a", b"0", b"0"),
        (b"INCR", b"a"),
    ):
        client(b"SET", b"a", b"1", b"EX", b"10")
        client(*change)
        assert client(b"PTTL", b"a") == b":10000\r\n", change
        client(b"SET", b"a", b"1")
        client.advance(5)
        client(*change)
        assert client(b"PTTL", b"a") == b":3599995\r\n"
        assert client(b"EXPIRE", b"a", b"10", b"NX") == ONE, change


def test_a_value_does_not_grow_beyond_its_limit(client: Client) -> None:
    too_long = b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"
    limit = client.conn.node.settings.bulk_bytes_max
    client(b"SET", b"a", b"x")
    assert client(b"SETRANGE", b"a", b"%d" % limit, b"x") == too_long
    assert client(b"SETRANGE", b"a", b"9223372036854775807", b"x") == too_long
    client.conn.node.settings = client.conn.node.settings._replace(bulk_bytes_max=100)
    client.conn.node.engine.configure(client.conn.node.settings)
    assert client(b"APPEND", b"a", b"y" * 99) == b":100\r\n"
    assert client(b"APPEND", b"a", b"y") == too_long
    assert client(b"STRLEN", b"a") == b":100\r\n"


def test_without_memory_a_write_is_refused_and_nothing_is_lost(client: Client) -> None:
    client(b"SET", b"a", b"1")
    settings = client.conn.node.settings._replace(memory_bytes_max=1)
    client.rig.engine.configure(settings)
    oom = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
    for words in ((b"SET", b"a", b"2"), (b"APPEND", b"a", b"2"), (b"INCR", b"a"), (b"MSETEX", b"1", b"a", b"2")):
        assert client(*words) == oom
    assert client(b"GET", b"a") == bulk(b"1")
    assert client(b"EXPIRE", b"a", b"10") == ONE


def test_events_carry_redis_names(client: Client) -> None:
    client(b"CONFIG", b"SET", b"notify-keyspace-events", b"KA")
    listener = client.other()
    listener(b"PSUBSCRIBE", b"__keyspace@0__:*")
    listener.pushed()
    for words, events in (
        (b"SET a 1", [b"set"]),
        (b"SET a 1 EX 10", [b"set", b"expire"]),
        (b"SETEX a 10 1", [b"set", b"expire"]),
        (b"MSETEX 1 a 1 EX 10", [b"set", b"expire"]),
        (b"APPEND a 1", [b"append"]),
        (b"SETRANGE a 0 1", [b"setrange"]),
        (b"INCR a", [b"incrby"]),
        (b"DECRBY a 2", [b"incrby"]),
        (b"INCRBYFLOAT a 1.5", [b"incrbyfloat"]),
        (b"SETBIT a 0 1", [b"setbit"]),
        (b"EXPIRE a 100", [b"expire"]),
        (b"GETEX a EX 100", [b"expire"]),
        (b"GETSET a 1", [b"set"]),
        (b"SETNX a 1", []),
        (b"GETEX a", []),
        (b"COPY a b", [b"copy_to"]),
        (b"INCREX n EX 10 ENX", [b"incrby", b"expire"]),
    ):
        client(*words.split(b" "))
        pushed = listener.pushed()
        assert list(pushed.split(b"\r\n")[8::9]) == events, (words, pushed)
