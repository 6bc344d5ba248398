"""EVAL and its kin over a node: the checks of commands inside scripts, what stays refused, and scripts that run for
long.

Bytes are compared with a real redis-server here for a handful; the oracle has thousands more.
"""

from itertools import count

import pytest

from respram.commands import running
from respram.commands.node import Conn
from respram.commands.reply import Reply
from respram.commands.scripts import HANDLERS
from respram.scripting.cache import digest_of
from tests.live import running as live_node

from .rig import Client, Reference, Rig

pytest.importorskip("lupa")
BUSY = b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n"
NOT_BUSY = b"-NOTBUSY No scripts in execution right now.\r\n"
FOREVER = b"while true do pcall(function() while true do end end) end"


def run(client: Client, text: str, *arguments: bytes, keys: tuple[bytes, ...] = ()) -> bytes:
    return client(b"EVAL", text.encode(), b"%d" % len(keys), *keys, *arguments)


def test_a_script_reads_and_writes_as_its_client(client: Client) -> None:
    assert run(client, "return redis.call('set', KEYS[1], ARGV[1], 'EX', 100)", b"v", keys=(b"k",)) == b"+OK\r\n"
    assert client(b"GET", b"k") == b"$1\r\nv\r\n"
    assert client(b"TTL", b"k") == b":100\r\n"
    assert run(client, "return {redis.call('get', KEYS[1]), redis.call('get', 'nokey'), redis.call('incr', 'n')}",
               keys=(b"k",)) == (
        b"*3\r\n$1\r\nv\r\n$-1\r\n:1\r\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "return redis.call('nosuch')", "return redis.call('get')", "return redis.call('multi')",
        "return redis.call('incr', KEYS[1])",
        "local r = redis.pcall('incr', KEYS[1]) return r.err", "return {1, {2, {ok = 'x'}}, {err = 'E y'}, 3.9, false}",
        "error('x')",
        "return redis.call({})", "return nothing", "x = 1", "return 1 +", "return cjson.encode({a = {1, 2}})",
        "error({err = 'MY thing'})",
        "redis.setresp(3) return redis.call('get', 'nokey')", "return redis.call('set', KEYS[1], 'v', 'PX', 'x')",
        "return redis.call('exists', KEYS[1]) .. redis.sha1hex('x')", "#!lua flags=bogus\nreturn 1",
        "#!lua flags=no-writes\nredis.call('set','k','v')", "rawset({}, nil, 1)", "return rawset({}, 0 / 0, 1)",
        "return redis.error_reply('+one\\0two three')", "return redis.error_reply('-CODE one\\0two')",
        "math.randomseed(3) return tostring(math.random(2^31, 3.9))",
    ],
)  # fmt: skip
def test_a_redis_answers_alike(client: Client, reference: Reference, text: str) -> None:
    for proto in (b"2", b"3"):
        for one in (client, reference):
            one(b"HELLO", proto)
            one(b"SET", b"k", b"text", b"EX", b"1000")
        expected = reference(b"EVAL", text.encode(), b"1", b"k", b"a")
        assert client(b"EVAL", text.encode(), b"1", b"k", b"a") == expected
        assert client(b"EVAL_RO", b"return 1", b"0") == reference(b"EVAL_RO", b"return 1", b"0")


@pytest.mark.parametrize(
    "argv",
    [
        (b"EVAL", b"return 1"), (b"EVAL", b"return 1", b"x"), (b"EVAL", b"return 1", b"2", b"k"),
        (b"EVAL", b"return 1", b"-1"),
        (b"EVALSHA", b"abc", b"0"), (b"EVALSHA", b"f" * 40, b"0"),
        (b"EVAL_RO", b"return redis.call('set', 'k', 'v')", b"0"),
        (b"EVAL_RO", b"#!lua\nreturn 1", b"0"), (b"EVAL_RO", b"return redis.call('publish', 'c', 'm')", b"0"),
        (b"SCRIPT", b"FLUSH", b"x"),
        (b"SCRIPT", b"KILL"), (b"SCRIPT", b"EXISTS", b"a", b"b"), (b"SCRIPT", b"LOAD", b"return 1"),
        (b"SCRIPT", b"LOAD", b"return +"),
        (b"SCRIPT", b"NOSUCH"), (b"SCRIPT",), (b"SCRIPT", b"FLUSH"),
        (b"COMMAND", b"GETKEYS", b"EVAL", b"x", b"1", b"k", b"a"),
        (b"COMMAND", b"GETKEYS", b"EVAL", b"x", b"0"), (b"COMMAND", b"DOCS", b"evalsha_ro"),
    ],
)  # fmt: skip
def test_a_redis_refuses_alike(client: Client, reference: Reference, argv: tuple[bytes, ...]) -> None:
    assert client(*argv) == reference(*argv)


def test_scripts_are_found_by_their_digest(client: Client) -> None:
    text = b"return ARGV[1]"
    digest = digest_of(text)
    assert client(b"EVALSHA", digest, b"0", b"x").startswith(b"-NOSCRIPT")
    assert client(b"SCRIPT", b"LOAD", text) == b"$40\r\n" + digest + b"\r\n"
    assert client(b"EVALSHA", digest.upper(), b"0", b"x") == b"$1\r\nx\r\n"
    assert client(b"SCRIPT", b"EXISTS", digest.upper(), b"no") == b"*2\r\n:1\r\n:0\r\n"
    assert client(b"SCRIPT", b"FLUSH", b"ASYNC") == b"+OK\r\n"
    assert client(b"EVALSHA", digest, b"0", b"x").startswith(b"-NOSCRIPT")
    client(b"EVAL", text, b"0", b"x")
    assert client(b"EVALSHA", digest, b"0", b"x") == b"$1\r\nx\r\n"
    assert b"number_of_cached_scripts:1\r\n" in client(b"INFO", b"memory")


def test_the_cache_is_bounded(rig: Rig) -> None:
    client = rig.connect()
    client(b"EVAL", b"return 1", b"0")
    assert rig.node.scripts is not None
    rig.node.scripts.cache.entries_max = 10
    for number in range(50):
        client(b"EVAL", b"return %d" % number, b"0")
    assert len(rig.node.scripts.cache) == 10


def test_what_is_refused_stays_refused_inside(client: Client) -> None:
    client(b"SET", b"k", b"v")
    assert run(client, "return redis.call('flushall')").startswith(b"-NOPERM 'flushall' is refused by design")
    assert run(client, "return redis.pcall('lpush', 'l', 'v')").startswith(b"-NOPERM 'lpush' is refused by design")
    assert run(client, "return redis.call('del', KEYS[1])", keys=(b"k",)).startswith(
        b"-NOPERM 'del' is refused by design"
    )
    assert run(client, "return redis.call('expire', KEYS[1], -1)", keys=(b"k",)).startswith(
        b"-NOPERM 'expire' is refused by design"
    )
    assert client(b"GET", b"k") == b"$1\r\nv\r\n"


def test_letting_go_works_inside_for_whom_it_was_given(client: Client) -> None:
    client(b"ACL", b"SETUSER", b"app", b"on", b"nopass", b"+@all", b"~*", b"&*", b"+del")
    client(b"SET", b"k", b"v")
    other = client.other()
    other(b"AUTH", b"app", b"x")
    release = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
    assert run(other, release, b"w", keys=(b"k",)) == b":0\r\n"
    assert run(other, release, b"v", keys=(b"k",)) == b":1\r\n"
    assert client(b"EXISTS", b"k") == b":0\r\n"


def test_the_user_of_the_client_is_asked_for_each_command(client: Client) -> None:
    client(
        b"ACL", b"SETUSER", b"low", b"on", b"nopass", b"+eval", b"+get", b"+set", b"+publish", b"~a*", b"resetchannels"
    )
    low = client.other()
    low(b"AUTH", b"low", b"x")
    assert run(low, "return redis.call('set', KEYS[1], 'v')", keys=(b"a1",)) == b"+OK\r\n"
    assert run(low, "return redis.call('incr', KEYS[1])", keys=(b"a1",)).startswith(
        b"-ERR The user executing the script can't run this command or subcommand script: "
    )
    assert run(low, "return redis.call('get', 'b')").startswith(
        b"-ERR The user executing the script can't access at least one of the keys mentioned in the command arguments "
        b"script: "
    )
    assert b"can't publish to the channel" in run(low, "return redis.call('publish', 'c', 'm')")
    assert run(low, "return redis.acl_check_cmd('get', 'a')") == b":1\r\n"
    assert (
        run(low, "return {redis.acl_check_cmd('get', 'b'), redis.acl_check_cmd('del', 'a')}") == b"*2\r\n$-1\r\n$-1\r\n"
    )
    assert run(low, "return 1", keys=(b"b",)).startswith(b"-NOPERM")
    assert b"$3\r\nlua\r\n" in client(b"ACL", b"LOG")


def test_a_script_sees_one_time_and_its_own_database(client: Client) -> None:
    assert (
        run(client, "redis.call('select', 3) redis.call('set', 'k', 'in3') return redis.call('get', 'k')")
        == b"$3\r\nin3\r\n"
    )
    assert client(b"GET", b"k") == b"$-1\r\n"
    assert run(client, "return redis.call('get', 'k')") == b"$-1\r\n"
    client(b"SELECT", b"3")
    assert client(b"GET", b"k") == b"$3\r\nin3\r\n"


def test_a_ttl_that_nobody_named_is_none_inside(client: Client) -> None:
    client(b"SET", b"k", b"v")
    lives = (
        "return {redis.call('ttl', 'k'), redis.call('pttl', 'k'), "
        "redis.call('expiretime', 'k'), redis.call('pexpiretime', 'k')}"
    )
    assert run(client, lives) == b"*4\r\n:-1\r\n:-1\r\n:-1\r\n:-1\r\n"
    assert client(b"TTL", b"k") == b":3600\r\n"
    window = (
        "local n = redis.call('incr', 'c') "
        "if redis.call('pttl', 'c') == -1 then redis.call('pexpire', 'c', 5000) end return n"
    )
    assert run(client, window) == b":1\r\n"
    assert client(b"PTTL", b"c") == b":5000\r\n"
    assert run(client, window) == b":2\r\n"
    assert run(client, "return redis.call('pttl', 'c')") == b":5000\r\n"


def test_a_script_in_a_transaction_is_one_of_its_commands(client: Client) -> None:
    client(b"MULTI")
    client(b"SET", b"k", b"1")
    run(client, "return redis.call('incr', KEYS[1])", keys=(b"k",))
    run(client, "return redis.call('get')")
    client(b"GET", b"k")
    reply = client(b"EXEC")
    assert reply.startswith(b"*4\r\n+OK\r\n:2\r\n-ERR Wrong number of args calling Redis command from script script: ")
    assert reply.endswith(b"$1\r\n2\r\n")


def test_what_a_script_writes_goes_to_the_peers_as_records(rig: Rig) -> None:
    client = rig.connect()
    run(client, "for i = 1, 3 do redis.call('set', 'key' .. i, 'value' .. i) end")
    payload = bytes(rig.engine.drain(1 << 20))
    assert all(b"key%d" % number in payload for number in (1, 2, 3))
    assert b"redis.call" not in payload


def test_full_memory_stops_a_script_before_its_first_write(client: Client) -> None:
    client(b"SET", b"k", b"v")
    client(b"CONFIG", b"SET", b"maxmemory", b"1")
    assert b"-OOM command not allowed" in run(client, "return redis.call('set', 'k', 'v')")
    assert run(client, "return redis.call('get', 'k')") == b"$1\r\nv\r\n"
    assert client(b"EVAL", b"#!lua\nreturn 1", b"0").startswith(b"-OOM")
    assert client(b"EVAL", b"#!lua flags=allow-oom\nreturn redis.call('set', 'k', 'w')", b"0") == b"+OK\r\n"


def test_no_value_of_a_script_reaches_info_or_the_log(rig: Rig) -> None:
    client = rig.connect()
    client(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0")
    for text in ("error({err = ARGV[1]})", "return {err = ARGV[1]}", "error(ARGV[1])", "redis.log(3, ARGV[1])",
                 "return redis.call(ARGV[1])",
                 "return redis.call('set', 'k', ARGV[1], ARGV[1])", "redis.call('echo', ARGV[1])",
                 "return cjson.decode(ARGV[1])"):  # fmt: skip
        run(client, text, b"Secret-Value")
    told = client(b"INFO", b"everything") + client(b"SLOWLOG", b"GET", b"-1") + "".join(rig.lines).encode()
    assert b"Secret-Value" not in told
    assert b"errorstat_ERR" in told


@pytest.mark.parametrize("proto", [b"2", b"3"])
@pytest.mark.parametrize("setresp", ["", "redis.setresp(3) "])
@pytest.mark.parametrize(
    "call",
    ["'zrange', 'z', 0, -1, 'withscores'", "'zunion', 2, 'z', 'x', 'withscores'", "'hrandfield', 'h', 2, 'withvalues'",
     "'zrandmember', 'z', 2, 'withscores'", "'zpopmin', 'z', 2"],
)
def test_a_script_sees_pairs_in_its_own_protocol(
    client: Client, reference: Reference, proto: bytes, setresp: str, call: str
) -> None:
    client(b"ACL", b"SETUSER", b"default", b"+zpopmin")
    for one in (client, reference):
        one(b"HELLO", proto)
        one(b"HSET", b"h", b"f", b"v", b"g", b"w")
        one(b"SADD", b"x", b"a")
    for _ in range(2):
        for one in (client, reference):
            one(b"ZADD", b"z", b"1", b"a", b"2", b"b")
        text = f"{setresp}local t = redis.call({call}) return {{#t, type(t[1])}}"
        assert run(client, text) == reference(b"EVAL", text.encode(), b"0")


# -- scripts that run for long: the clock of these tests moves by 7 us for each look at it ------------------
def slow(rig: Rig) -> Client:
    """A client whose script has run for so long that others are told."""
    client = rig.connect()
    client(b"CONFIG", b"SET", b"lua-time-limit", b"1")
    client(b"CONFIG", b"SET", b"script-time-max", b"1000")
    assert client(b"EVAL", FOREVER, b"0") == b""
    assert client.conn.session.suspended
    return client


def test_others_are_told_that_a_script_runs_for_long(rig: Rig) -> None:
    client = slow(rig)
    other = rig.connect()
    for argv in (
        (b"GET", b"k"),
        (b"SET", b"k", b"v"),
        (b"EVAL", b"return 1", b"0"),
        (b"EXEC",),
        (b"CONFIG", b"GET", b"x"),
    ):
        assert BUSY[1:-2] in other(*argv)
    assert other(b"SCRIPT", b"KILL") == b"+OK\r\n"
    assert client.wake().startswith(b"-ERR Script killed by user with SCRIPT KILL... script: ")
    assert other(b"SET", b"k", b"v") == b"+OK\r\n"
    assert run(client, "return redis.call('get', 'k')") == b"$1\r\nv\r\n"
    assert any("event=slow_script" in line for line in rig.lines)


def test_others_wait_before_they_are_told(rig: Rig) -> None:
    rig.ticks = count(0, 1_000)  # a look at the clock takes a millisecond
    client, other, third = rig.connect(), rig.connect(), rig.connect()
    assert client(b"EVAL", FOREVER, b"0") == b""
    assert other(b"GET", b"k") == third(b"SET", b"k", b"v") == b""
    assert other.conn.session.suspended and third.conn.session.suspended
    assert rig.connect()(b"SCRIPT", b"KILL") == b"+OK\r\n"
    assert not other.line.woken
    assert client.wake().startswith(b"-ERR Script killed by user with SCRIPT KILL... script: ")
    assert other.line.woken == third.line.woken == 1
    assert third.wake() == b"+OK\r\n"
    assert other.wake() == b"$1\r\nv\r\n"
    assert not any("event=slow_script" in line for line in rig.lines)


def test_who_waits_for_a_script_is_told_after_the_limit(rig: Rig) -> None:
    rig.ticks = count(0, 1_000)
    client, other = rig.connect(), rig.connect()
    assert client(b"EVAL", FOREVER, b"0") == b""
    assert other(b"GET", b"k") == b""
    rig.ticks = count(6_000_000, 1_000)
    assert client.wake() == b""
    assert other.wake() == BUSY
    assert [line for line in rig.lines if "event=slow_script" in line and "ms=5000" in line]
    assert rig.connect()(b"SCRIPT", b"KILL") == b"+OK\r\n"
    assert client.wake().startswith(b"-ERR Script killed")
    assert not other.line.woken  # it waits no longer
    assert other(b"GET", b"k") == b"$-1\r\n"


def test_what_was_held_back_runs_as_if_for_the_first_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that runs again has asked the peers for its key. One that a pause or a script held back has not."""
    seen = []

    def look(conn: Conn, argv: list[bytes]) -> Reply:
        seen.append(conn.session.retried)
        return None

    monkeypatch.setitem(running.HANDLERS, b"object|encoding", look)
    rig.ticks = count(0, 1_000)
    client, other = rig.connect(), rig.connect()
    assert client(b"EVAL", FOREVER, b"0") == b""
    assert other(b"OBJECT", b"ENCODING", b"k") == b""
    rig.connect()(b"SCRIPT", b"KILL")
    client.wake()
    other.wake()
    client(b"CLIENT", b"PAUSE", b"100")
    assert other(b"OBJECT", b"ENCODING", b"k") == b""
    client(b"CLIENT", b"UNPAUSE")
    other.wake()
    assert seen == [False, False]


def test_a_script_that_comes_to_its_end_after_all_is_answered(rig: Rig) -> None:
    client = rig.connect()
    client(b"CONFIG", b"SET", b"lua-time-limit", b"1")
    assert run(client, "local n = 0 for i = 1, 3000000 do n = n + 1 end return n") == b""
    reply = b""
    for _ in range(1000):
        reply = client.wake()
        if reply:
            break
    assert reply == b":3000000\r\n"
    assert rig.node.busy is None
    assert rig.connect()(b"SET", b"k", b"v") == b"+OK\r\n"


def test_a_node_answers_while_a_script_runs_for_long() -> None:
    """Its peers are answered in the same turns as PING is."""
    with live_node("--lua-time-limit", "600000", "--script-time-max", "3600000") as node:
        script, reader, other = node.connect(), node.connect(), node.connect()
        script.sock.sendall(b"EVAL '%b' 0\r\n" % FOREVER)
        reader.sock.sendall(b"GET k\r\n")
        assert other.ask(b"PING\r\n", 7) == b"+PONG\r\n"
        reply = b""
        while reply != b"+OK\r\n":  # the script has not begun yet
            other.sock.sendall(b"SCRIPT KILL\r\n")
            reply = other.take(5)
            other.take(0 if reply == b"+OK\r\n" else len(NOT_BUSY) - 5)
        assert script.take(29) == b"-ERR Script killed by user wi"
        assert reader.take(5) == b"$-1\r\n"


def test_a_script_that_wrote_is_ended_by_time_alone_and_keeps_what_it_wrote(rig: Rig) -> None:
    client, other = rig.connect(), rig.connect()
    client(b"CONFIG", b"SET", b"lua-time-limit", b"1")
    client(b"CONFIG", b"SET", b"script-time-max", b"50")
    assert run(client, "redis.call('set', 'k', 'written') while true do end") == b""
    assert other(b"SCRIPT", b"KILL").startswith(b"-UNKILLABLE")
    reply = b""
    for _ in range(1000):
        reply = client.wake()
        if reply:
            break
    assert b"it ran for longer than a script may" in reply
    assert other(b"GET", b"k") == b"$7\r\nwritten\r\n"


def test_in_a_transaction_a_script_is_ended_at_the_first_limit(rig: Rig) -> None:
    client = rig.connect()
    client(b"CONFIG", b"SET", b"lua-time-limit", b"1")
    client(b"MULTI")
    client(b"EVAL", FOREVER, b"0")
    client(b"SET", b"k", b"v")
    assert b"it ran for longer than a script may" in client(b"EXEC")
    assert client(b"GET", b"k") == b"$1\r\nv\r\n"


def test_a_client_that_goes_ends_its_script(rig: Rig) -> None:
    client = slow(rig)
    client.close()
    assert rig.node.busy is None
    assert rig.node.scripts is not None and rig.node.scripts.running is None
    other = rig.connect()
    assert other(b"SET", b"k", b"v") == b"+OK\r\n"
    assert run(other, "return 1") == b":1\r\n"


def test_a_bug_of_the_node_inside_a_script_is_one_outside(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(conn: object, argv: list[bytes]) -> Reply:
        raise ZeroDivisionError

    monkeypatch.setitem(running.HANDLERS, b"object|encoding", broken)
    client = rig.connect()
    with pytest.raises(ZeroDivisionError):
        run(client, "while true do pcall(redis.call, 'object', 'encoding', 'k') end")
    assert run(rig.connect(), "return 1") == b":1\r\n"


def test_without_lua_the_refusal_says_how_to_get_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lupa", None)
    for argv in ((b"EVAL", b"return 1", b"0"), (b"EVALSHA", b"f" * 40, b"0"), (b"SCRIPT", b"LOAD", b"return 1")):
        assert b"pip install 'respram[scripts]'" in client(*argv)
    assert client(b"EVAL", b"return 1", b"0").startswith(b"-NOPERM 'eval' is refused by design: ")


def test_every_command_about_scripts_is_served() -> None:
    assert len(HANDLERS) == 9
