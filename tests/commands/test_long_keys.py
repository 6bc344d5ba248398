"""`--key-size-limit`: no command makes a longer key. What is there already can be read and let go."""

from dataclasses import replace

import pytest

from respram.config.limits import Limits
from tests.commands.rig import NOW, Client, Rig
from tests.engine.conftest import ENGINES

MOST = Limits().key_bytes_max
LONGEST, TOO_LONG = b"k" * MOST, b"k" * (MOST + 1)
REFUSED = b"-ERR key is longer than key-size-limit\r\n"
MAKES: tuple[tuple[bytes, ...], ...] = (
    (b"SET", TOO_LONG, b"x"), (b"SET", TOO_LONG, b"x", b"NX"), (b"SET", TOO_LONG, b"x", b"EX", b"10", b"GET"),
    (b"SETNX", TOO_LONG, b"x"), (b"SETEX", TOO_LONG, b"10", b"x"), (b"GETSET", TOO_LONG, b"x"),
    (b"MSET", b"a", b"1", TOO_LONG, b"x"), (b"MSETNX", b"b", b"1", TOO_LONG, b"x"),
    (b"APPEND", TOO_LONG, b"x"), (b"SETRANGE", TOO_LONG, b"1", b"x"), (b"SETBIT", TOO_LONG, b"1", b"1"),
    (b"INCR", TOO_LONG), (b"INCRBY", TOO_LONG, b"5"), (b"INCRBYFLOAT", TOO_LONG, b"0.5"),
    (b"BITOP", b"NOT", TOO_LONG, b"string"), (b"COPY", b"string", TOO_LONG), (b"RENAME", b"string", TOO_LONG),
    (b"RENAMENX", b"string", TOO_LONG),
    (b"HSET", TOO_LONG, b"f", b"v"), (b"HINCRBY", TOO_LONG, b"f", b"1"), (b"SADD", TOO_LONG, b"m"),
    (b"SMOVE", b"set", TOO_LONG, b"m"), (b"SUNIONSTORE", TOO_LONG, b"set"), (b"ZADD", TOO_LONG, b"1", b"m"),
    (b"ZINCRBY", TOO_LONG, b"1", b"m"), (b"ZUNIONSTORE", TOO_LONG, b"1", b"set"), (b"BF.ADD", TOO_LONG, b"m"),
    (b"CL.THROTTLE", TOO_LONG, b"1", b"1", b"60"),
)  # fmt: skip
READS: tuple[tuple[tuple[bytes, ...], bytes], ...] = (
    ((b"GET", TOO_LONG), b"$-1\r\n"), ((b"EXISTS", TOO_LONG, b"string"), b":1\r\n"), ((b"TTL", TOO_LONG), b":-2\r\n"),
    ((b"DEL", TOO_LONG), b":0\r\n"), ((b"EXPIRE", TOO_LONG, b"10"), b":0\r\n"), ((b"HLEN", TOO_LONG), b":0\r\n"),
    ((b"TYPE", TOO_LONG), b"+none\r\n"), ((b"WATCH", TOO_LONG), b"+OK\r\n"),
)  # fmt: skip


def client_of(engine: str, hot: bool = True) -> Client:
    client = Rig(ENGINES[engine], hot=hot).connect()
    assert client(b"ACL", b"SETUSER", b"default", b"+@all", b"+del", b"+rename", b"+renamenx", b"+smove") == b"+OK\r\n"
    assert client(b"SET", b"string", b"x") == b"+OK\r\n" and client(b"SADD", b"set", b"m") == b":1\r\n"
    return client


@pytest.mark.parametrize("hot", [True, False], ids=["hot", "cold"])
@pytest.mark.parametrize("engine", ENGINES)
def test_no_command_makes_a_longer_key(engine: str, hot: bool) -> None:
    client = client_of(engine, hot)
    for argv in MAKES:
        assert client(*argv) == REFUSED, argv[0]
        shorter = tuple(LONGEST if word is TOO_LONG else word for word in argv)
        assert client(*shorter)[:1] != b"-", argv[0]
        client(b"DEL", LONGEST, b"a", b"b")
        client(b"SET", b"string", b"x")
        client(b"SADD", b"set", b"m")
        assert client(b"EXISTS", TOO_LONG) == b":0\r\n", argv[0]
    assert client(b"SET", b"string", TOO_LONG) == b"+OK\r\n", "a value may be longer"
    assert client(b"SADD", b"set", TOO_LONG) == b":1\r\n", "and the name of a member"


@pytest.mark.parametrize("engine", ENGINES)
def test_one_in_a_transaction_or_a_script_is_refused_alone(engine: str) -> None:
    client = client_of(engine)
    assert client(b"MULTI") == b"+OK\r\n"
    for argv in ((b"SET", b"before", b"1"), (b"SET", TOO_LONG, b"x"), (b"SET", b"behind", b"1")):
        assert client(*argv) == b"+QUEUED\r\n"
    assert client(b"EXEC") == b"*3\r\n+OK\r\n" + REFUSED + b"+OK\r\n"
    script = b"local said = redis.pcall('SET', KEYS[1], 'x') return {said.err, redis.call('GET', 'string')}"
    assert client(b"EVAL", script, b"1", TOO_LONG) == (
        b"*2\r\n$%d\r\n%b\r\n$1\r\nx\r\n" % (len(REFUSED) - 3, REFUSED[1:-2])
    )
    assert client(b"EVAL", b"return redis.call('INCR', KEYS[1])", b"1", TOO_LONG).startswith(REFUSED[:-2])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_longer_key_that_is_there_is_listed_read_and_let_go(engine: str) -> None:
    """It was written before the limit was lowered, or comes from a peer with a higher one."""
    client = client_of(engine)
    for argv, reply in READS:
        assert client(*argv) == reply, argv[0]
    client(b"UNWATCH")
    client.rig.engine.store(0, TOO_LONG, b"old", NOW + 60_000, False, NOW, b"set")
    assert client(b"GET", TOO_LONG) == b"$3\r\nold\r\n" and client(b"KEYS", b"kk*").startswith(b"*1\r\n")
    assert client(b"EXPIRE", TOO_LONG, b"50") == b":1\r\n" and client(b"APPEND", TOO_LONG, b"x") == REFUSED
    assert client(b"RENAME", TOO_LONG, b"short") == REFUSED and client(b"DEL", TOO_LONG) == b":1\r\n"


@pytest.mark.parametrize("hot", [True, False], ids=["hot", "cold"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_long_key_counts_as_several_for_scan(engine: str, hot: bool) -> None:
    """COUNT 16384 of keys of 64 KiB would be a gigabyte in one reply."""
    client = client_of(engine, hot)
    every = {b"%04d" % number + b"k" * (MOST - 4) for number in range(200)} | {b"string", b"set"}
    for key in every:
        client(b"SET", key, b"x")
    for pattern, wanted in ((b"*", every), (b"00[0-3]*k", {key for key in every if b"00" <= key[:2] < b"01"})):
        wanted = {key for key in wanted if pattern == b"*" or b"0" <= key[2:3] <= b"3"}
        listed = client(b"KEYS", pattern)
        while client.conn.session.suspended:
            listed += client.wake()
        assert listed.startswith(b"*%d\r\n" % len(wanted)) and set(listed.split(b"\r\n")[2::2]) == wanted
    found: set[bytes] = set()
    cursor, turns = b"0", 0
    while turns == 0 or cursor != b"0":
        reply = client(b"SCAN", cursor, b"COUNT", b"1024")
        assert len(reply) < 40 * MOST, "not all of them at once"
        words = reply.split(b"\r\n")
        cursor, turns = words[2], turns + 1
        found.update(words[5::2])
    assert found == every and turns > 5


@pytest.mark.parametrize("engine", ENGINES)
def test_the_limit_can_be_changed_while_the_node_runs(engine: str) -> None:
    client = client_of(engine)
    assert client(b"CONFIG", b"SET", b"key-size-limit", b"2mb") == b"+OK\r\n"
    assert client(b"SET", TOO_LONG, b"x") == b"+OK\r\n" and client(b"INCR", b"n" * (2 << 20)) == b":1\r\n"
    assert client(b"CONFIG", b"SET", b"key-size-limit", b"1kb") == b"+OK\r\n"
    assert client(b"SET", b"k" * 1025, b"x") == REFUSED and client(b"SET", b"k" * 1024, b"x") == b"+OK\r\n"
    assert client(b"CONFIG", b"SET", b"key-size-limit", b"1").startswith(b"-ERR")
    assert client(b"CONFIG", b"GET", b"key-size-limit") == b"*2\r\n$14\r\nkey-size-limit\r\n$4\r\n1024\r\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_container_has_no_subcommand(engine: str) -> None:
    """A first argument is not looked at for one: to make the letters of 16 MiB small took 10 ms."""
    client = client_of(engine)
    client.rig.node.limits = replace(client.rig.node.limits, key_bytes_max=64 << 20)
    assert client(b"object", b"encoding", b"string") == client(b"OBJECT", b"ENCODING", b"string") == b"$6\r\nembstr\r\n"
    assert client(b"Config", b"gEt", b"databases") == b"*2\r\n$9\r\ndatabases\r\n$2\r\n16\r\n"
    assert client(b"OBJECT", b"NOTHING").startswith(b"-ERR unknown subcommand 'NOTHING'")
