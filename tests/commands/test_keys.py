"""Commands about keys: existence, time to live, walks, copies."""

import pytest

from respram.commands.refusals import reason_of

from .rig import NIL, NOW, OK, ONE, ZERO, Client, Reference, array, bulk

REFUSED = b"-NOPERM '%b' is refused by design: " + reason_of(b"delete") + b"\r\n"
DAY_MS = 86_400_000


def test_existence_counts_each_mention(client: Client) -> None:
    client(b"MSET", b"a", b"1", b"b", b"2")
    assert client(b"EXISTS", b"a", b"a", b"b", b"no") == b":3\r\n"
    assert client(b"TOUCH", b"a", b"no") == ONE
    assert client(b"TYPE", b"a") == b"+string\r\n"
    assert client(b"TYPE", b"no") == b"+none\r\n"
    assert client(b"DBSIZE") == b":2\r\n"
    client(b"SELECT", b"3")
    assert client(b"DBSIZE") == ZERO
    assert client(b"EXISTS", b"a") == ZERO


def test_time_to_live_is_told_and_rounded_as_in_redis(client: Client) -> None:
    client(b"SET", b"a", b"1", b"PX", b"10500")
    assert client(b"PTTL", b"a") == b":10500\r\n"
    assert client(b"TTL", b"a") == b":11\r\n"
    client.advance(1)
    assert client(b"TTL", b"a") == b":10\r\n"
    assert client(b"PEXPIRETIME", b"a") == b":%d\r\n" % (NOW + 10_500)
    assert client(b"EXPIRETIME", b"a") == b":%d\r\n" % ((NOW + 11_000) // 1000)
    client(b"SET", b"b", b"1", b"PXAT", b"%d" % (NOW + 10_499))
    assert client(b"EXPIRETIME", b"b") == b":%d\r\n" % ((NOW + 10_000) // 1000)
    for command in (b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME"):
        assert client(command, b"no") == b":-2\r\n"


def test_a_write_without_a_ttl_gets_the_default_one_and_is_counted(client: Client) -> None:
    client(b"SET", b"a", b"1")
    assert client(b"TTL", b"a") == b":3600\r\n"
    assert client.conn.node.stats.ttl_cut == 0


def test_a_key_is_gone_at_its_deadline_and_not_before(client: Client) -> None:
    client(b"SET", b"a", b"1", b"PX", b"100")
    client.advance(99)
    assert client(b"GET", b"a") == bulk(b"1")
    assert client(b"PTTL", b"a") == ONE
    client.rig.now_ms += 1  # nothing has been destroyed yet
    for words in ((b"EXISTS", b"a"), (b"DBSIZE",), (b"STRLEN", b"a")):
        assert client(*words) == ZERO
    assert client(b"GET", b"a") == NIL
    assert client(b"RANDOMKEY") == NIL
    assert client(b"KEYS", b"*") == b"*0\r\n"
    assert client(b"SCAN", b"0") == array(bulk(b"0"), b"*0\r\n")
    assert client(b"COPY", b"a", b"b") == ZERO


@pytest.mark.parametrize(
    ("words", "left_ms"),
    [
        ((b"EXPIRE", b"a", b"10"), 10_000),
        ((b"PEXPIRE", b"a", b"10"), 10),
        ((b"EXPIREAT", b"a", b"%d" % (NOW // 1000 + 7)), 7_000),
        ((b"PEXPIREAT", b"a", b"%d" % (NOW + 7)), 7),
    ],
)
def test_the_expire_family_sets_the_deadline(client: Client, words: tuple[bytes, ...], left_ms: int) -> None:
    client(b"SET", b"a", b"1")
    assert client(*words) == ONE
    assert client(b"PTTL", b"a") == b":%d\r\n" % left_ms
    assert client(b"GET", b"a") == bulk(b"1")
    assert client(words[0], b"no", words[2]) == ZERO


@pytest.mark.parametrize("command", [b"EXPIRE", b"PEXPIRE", b"EXPIREAT", b"PEXPIREAT"])
@pytest.mark.parametrize("time", [b"0", b"-1", b"-9000000"])
def test_a_time_that_is_not_in_the_future_is_refused_and_the_key_survives(
    client: Client, command: bytes, time: bytes
) -> None:
    client(b"SET", b"a", b"1", b"EX", b"50")
    assert client(command, b"a", time) == REFUSED % command.lower()
    assert client(b"PTTL", b"a") == b":50000\r\n"
    assert client(command, b"no", time) == ZERO  # as in Redis: there is nothing to delete
    assert client.conn.refused_deletes == client.conn.node.stats.refused_deletes == 1


def test_a_past_time_whose_condition_fails_is_no_delete(client: Client) -> None:
    client(b"SET", b"a", b"1", b"EX", b"50")
    assert client(b"EXPIRE", b"a", b"-1", b"NX") == ZERO
    assert client(b"EXPIRE", b"a", b"-1", b"GT") == ZERO
    assert client(b"EXPIRE", b"a", b"-1", b"LT") == REFUSED % b"expire"
    assert client(b"EXPIREAT", b"a", b"%d" % (NOW // 1000)) == REFUSED % b"expireat"


def test_an_implicit_deadline_counts_as_none_for_conditions(client: Client) -> None:
    for condition, lets_in in ((b"NX", ONE), (b"XX", ZERO), (b"GT", ZERO), (b"LT", ONE)):
        client(b"SET", b"a", b"1")
        assert client(b"EXPIRE", b"a", b"5000", condition) == lets_in, condition
        assert client(b"TTL", b"a") == (b":5000\r\n" if lets_in == ONE else b":3600\r\n")


def test_a_named_deadline_counts_for_conditions(client: Client) -> None:
    for condition, longer, shorter in ((b"NX", ZERO, ZERO), (b"XX", ONE, ONE), (b"GT", ONE, ZERO), (b"LT", ZERO, ONE)):
        for ttl, expected in ((b"200", longer), (b"50", shorter)):
            client(b"SET", b"a", b"1", b"EX", b"100")
            assert client(b"EXPIRE", b"a", ttl, condition) == expected, (condition, ttl)
    client(b"SET", b"a", b"1", b"EX", b"100")
    assert client(b"EXPIRE", b"a", b"100", b"GT") == client(b"EXPIRE", b"a", b"100", b"LT") == ZERO


def test_a_counter_gets_its_window_from_the_first_expire_nx(client: Client) -> None:
    assert client(b"INCR", b"hits") == ONE
    assert client(b"EXPIRE", b"hits", b"60", b"NX") == ONE
    client.advance(10_000)
    assert client(b"INCR", b"hits") == b":2\r\n"
    assert client(b"EXPIRE", b"hits", b"60", b"NX") == ZERO
    assert client(b"PTTL", b"hits") == b":50000\r\n"


def test_beyond_the_maximum_a_ttl_is_cut_and_counted(client: Client) -> None:
    client(b"SET", b"a", b"1", b"EX", b"%d" % (40 * 86_400))
    assert client(b"PTTL", b"a") == b":%d\r\n" % (31 * DAY_MS)
    assert client(b"EXPIRE", b"a", b"%d" % (32 * 86_400)) == ONE
    assert client(b"PTTL", b"a") == b":%d\r\n" % (31 * DAY_MS)
    assert client.conn.node.stats.ttl_cut == 2


@pytest.mark.parametrize(
    "options",
    [b"10 NX XX", b"10 nx gt", b"10 GT LT", b"10 XX GT", b"10 FOO", b"x NX XX", b"x NX", b"10 NX NX",
     b"99999999999999999", b"9223372036854775", b"1.5", b" 1", b"+1"],
)  # fmt: skip
def test_options_and_errors_are_those_of_redis(client: Client, reference: Reference, options: bytes) -> None:
    for server in (client, reference):
        server(b"SET", b"a", b"1", b"EX", b"20000")
    words = options.split(b" ") if options != b" 1" else [options]
    for command in (b"EXPIRE", b"PEXPIRE"):
        if (command, words) != (b"PEXPIRE", [b"99999999999999999"]):
            assert client(command, b"a", *words) == reference(command, b"a", *words)


def test_a_line_break_in_an_option_does_not_break_the_reply(client: Client) -> None:
    assert client(b"EXPIRE", b"a", b"1", b"x\r\n+OK") == b"-ERR Unsupported option x  +OK\r\n"


@pytest.mark.parametrize("options", [
    b"count 20 TYPE string Match key:*", b"MATCH key:* COUNT 20", b"match k*y:[0-9]* count 7 count 20",
])  # fmt: skip
def test_a_walk_finds_every_key_whatever_order_its_options_have(client: Client, options: bytes) -> None:
    names = {b"key:%d" % number for number in range(500)}
    for name in names:
        client(b"SET", name, b"v")
    client(b"SET", b"other", b"v")
    found: set[bytes] = set()
    cursor, calls = b"0", 0
    while True:
        reply = client(b"SCAN", cursor, *options.split()).split(b"\r\n")
        cursor, calls = reply[2], calls + 1
        found.update(reply[5::2])
        if cursor == b"0":
            break
    assert found - {b""} == names
    assert 5 < calls < 200
    assert set(client(b"KEYS", b"key:*").split(b"\r\n")[2::2]) == names
    assert client(b"SCAN", b"0", b"TYPE", b"hash", b"COUNT", b"1000") == array(bulk(b"0"), b"*0\r\n")


@pytest.mark.parametrize(
    "words",
    [b"x", b"0 COUNT", b"0 COUNT 0", b"0 COUNT x", b"0 FOO 1", b"0 MATCH", b"18446744073709551616", b"-", b"0x1"],
)
def test_a_wrong_walk_is_told_as_in_redis(client: Client, reference: Reference, words: bytes) -> None:
    argv = [b"SCAN", *words.split(b" ")]
    assert client(*argv) == reference(*argv)


def test_a_random_key_is_one_of_the_keys(client: Client) -> None:
    assert client(b"RANDOMKEY") == NIL
    keys = [b"k%d" % number for number in range(26)]
    for key in keys:
        client(b"SET", key, b"1")
    # A key is drawn as often as the gap before it is wide, and two keys may lie side by side.
    drawn = {client(b"RANDOMKEY") for _ in range(64)}
    assert len(drawn) > 1 and drawn <= {bulk(key) for key in keys}


def test_a_copy_lives_exactly_as_long_as_its_source(client: Client) -> None:
    client(b"SET", b"a", b"1", b"PX", b"777")
    client(b"SET", b"i", b"1")
    assert client(b"COPY", b"a", b"b") == ONE
    assert client(b"PTTL", b"b") == b":777\r\n"
    assert client(b"COPY", b"i", b"b") == ZERO
    assert client(b"COPY", b"i", b"b", b"REPLACE") == ONE
    assert client(b"EXPIRE", b"b", b"9", b"NX") == ONE  # the mark came along
    assert client(b"COPY", b"a", b"a", b"DB", b"5") == ONE
    client(b"SELECT", b"5")
    assert client(b"GET", b"a") == bulk(b"1")


@pytest.mark.parametrize(
    "words",
    [b"a a", b"a b DB 0", b"a b DB 15", b"a b DB 16", b"a b DB -1", b"a b DB x", b"a b DB", b"a b FOO", b"no b",
     *(b"a b DB %d" % number for number in (99999999999, 1 << 31, (1 << 31) - 1, -(1 << 31), -(1 << 31) - 1))],
)  # fmt: skip
def test_where_a_copy_may_go_is_told_as_in_redis(client: Client, reference: Reference, words: bytes) -> None:
    for server in (client, reference):
        server(b"SET", b"a", b"1")
    argv = [b"COPY", *words.split(b" ")]
    assert client(*argv) == reference(*argv)


def test_object_tells_what_redis_would_say(client: Client, reference: Reference) -> None:
    for value in (b"-1", b"0", b"1", b"9999", b"10000", b"abc", b"x" * 44, b"x" * 45, b"9" * 19, b"9" * 18):
        for server in (client, reference):
            server(b"SET", b"a", value)
        for subcommand in (b"ENCODING", b"REFCOUNT", b"FREQ", b"NOSUCH"):
            assert client(b"OBJECT", subcommand, b"a") == reference(b"OBJECT", subcommand, b"a"), value
    assert client(b"OBJECT", b"ENCODING", b"no") == client(b"OBJECT", b"FREQ", b"no") == NIL
    assert client(b"OBJECT", b"IDLETIME", b"a") == ZERO
    client.advance(5_000)
    assert client(b"OBJECT", b"IDLETIME", b"a") == b":5\r\n"
    assert client(b"OBJECT", b"IDLETIME", b"no") == client(b"OBJECT", b"REFCOUNT", b"no") == NIL
    assert client(b"OBJECT", b"HELP").startswith(b"*11\r\n+OBJECT")


def test_waiting_for_peers_answers_that_there_are_none(client: Client, reference: Reference) -> None:
    for words in (b"0 0", b"x 0", b"0 x", b"0 -1", b"0 5"):
        argv = [b"WAIT", *words.split(b" ")]
        assert client(*argv) == reference(*argv)
    assert client(b"WAIT", b"3", b"100") == ZERO


def test_a_new_deadline_is_a_write_that_peers_hear_of(client: Client) -> None:
    client(b"SET", b"a", b"1")
    engine = client.rig.engine
    engine.drain(1 << 20)
    before = engine.peek(0, b"a", NOW)
    assert client(b"EXPIRE", b"a", b"10") == ONE
    after = engine.peek(0, b"a", NOW)
    assert before is not None and after is not None and (after.clock, after.node) > (before.clock, before.node)
    assert engine.drain(1 << 20) != b""
    assert client(b"SET", b"b", b"2") == OK
