"""What one ordinary client asks for costs no more than its own bytes and what it may hold unread, in memory and in the
others' time.
"""

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest

from respram.catalog import COMMANDS
from respram.commands.reply import BREATHS_MAX
from respram.commands.running import READS_TOO_MUCH
from respram.commands.transactions import EXEC_US_MAX, TOOK_TOO_LONG
from respram.config.limits import Limits
from tests import dear
from tests.abuse.rig import endure, rss_bytes
from tests.commands.rig import Rig, request
from tests.engine.conftest import ENGINES
from tests.live import LiveNode, Wire

MIB = 1 << 20
VALUE = b"v" * MIB
REFUSED = b"-" + READS_TOO_MUCH.text + b"\r\n"


def small_rig(engine: str, output_bytes_max: int = 4 * MIB) -> Rig:
    rig = Rig(ENGINES[engine])
    rig.node.limits = replace(rig.node.limits, output_buffer_bytes_max=output_bytes_max)
    return rig


@pytest.mark.parametrize("engine", ENGINES)
def test_a_short_request_for_a_huge_reply_costs_its_client_and_no_memory(engine: str) -> None:
    """An MGET of one value a thousand times, and an EXEC of such, would be gigabytes: the client is closed before they
    are made.
    """
    rig = small_rig(engine)
    writer = rig.connect()
    writer(b"SET", b"k", VALUE)
    tracemalloc.start()
    try:
        greedy = rig.connect()
        assert greedy(b"MGET", *[b"k"] * 1000) == b"" and greedy.conn.session.closing
        greedy = rig.connect()
        greedy(b"MULTI")
        greedy(b"TIME")
        for _ in range(50):
            greedy(b"GET", b"k")
        assert greedy(b"EXEC") == b"" and greedy.conn.session.closing
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()
    assert rig.node.stats.output_limit_disconnections == 2
    assert writer(b"PING") == b"+PONG\r\n" and writer(b"MGET", b"k", b"k").startswith(b"*2\r\n")


ASKS_FOR_MUCH: dict[str, Callable[[bytes], list[bytes]]] = {
    "keys": lambda me: [b"KEYS", b"*"],
    "client-list": lambda me: [b"CLIENT", b"LIST", b"ID", *[me] * 30_000],
    "command-info": lambda me: [b"COMMAND", b"INFO", *[b"set"] * 30_000],
    "channels": lambda me: [b"PUBSUB", b"CHANNELS"],
    "numsub": lambda me: [b"PUBSUB", b"NUMSUB", *[b"c" * 40] * 30_000],
    "getkeys": lambda me: [b"COMMAND", b"GETKEYSANDFLAGS", b"MSET", *[b"k" * 60] * 30_000],
}
# Each name first, on the engines in turn.
CROSSED = [
    (list(ENGINES)[(place + turn) % len(ENGINES)], name)
    for turn in range(len(ENGINES))
    for place, name in enumerate(ASKS_FOR_MUCH)
]


@pytest.mark.parametrize(("engine", "name"), dear.first(len(ASKS_FOR_MUCH), CROSSED))
def test_whatever_makes_the_reply_it_ends_at_the_limit(engine: str, name: str) -> None:
    """None of these knows of a limit: the writer of the reply does."""
    rig = small_rig(engine, output_bytes_max=MIB)
    writer = rig.connect()
    if name == "keys":
        for begin in range(0, 30_000, 10_000):
            writer(b"MSET", *(part for number in range(begin, begin + 10_000) for part in (b"%040d" % number, b"v")))
    if name == "channels":
        listener = rig.connect()
        for begin in range(0, 4_000, 500):
            listener(b"SUBSCRIBE", *(b"%0390d" % number for number in range(begin, begin + 500)))
    greedy = rig.connect()
    words = ASKS_FOR_MUCH[name](b"%d" % greedy.conn.id)
    tracemalloc.start()
    try:
        reply = greedy(*words)
        while greedy.conn.session.suspended:
            reply += greedy.wake()
        assert tracemalloc.get_traced_memory()[1] < 48 * MIB
    finally:
        tracemalloc.stop()
    assert (reply, greedy.conn.session.closing) == (b"", True)
    assert rig.node.stats.output_limit_disconnections == 1
    assert writer(b"PING") == b"+PONG\r\n"
    inside = rig.connect()  # the same in a transaction, whose other commands run
    for argv in ([b"MULTI"], words, [b"SET", b"ran", b"x"]):
        inside(*argv)
    assert inside(b"EXEC") == b"" and inside.conn.session.closing
    assert writer(b"GET", b"ran") == b"$1\r\nx\r\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_command_reads_no_more_than_two_of_the_largest_values(engine: str) -> None:
    """Of 60 values of 1 MiB, 33 may be read: twice the largest, and one to spare. The rest of a transaction is refused,
    and says so.
    """
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    client(b"SET", b"k", VALUE)
    assert client(b"BITOP", b"AND", b"d", *[b"k"] * 33) == b":%d\r\n" % MIB
    for argv in ([b"BITOP", b"AND", b"e", *[b"k"] * 60], [b"MGET", *[b"k"] * 60]):
        assert client(*argv) == REFUSED
    assert client(b"EXISTS", b"e") == b":0\r\n"
    for queued in (
        [b"GETRANGE", b"k", b"0", b"0"],
        [b"SETRANGE", b"k", b"5", b"x"],
        [b"LCS"],
        [b"COPY", b"k", b"d", b"REPLACE"],
    ):
        client(b"MULTI")
        assert client(b"SET", b"first", b"x") == b"+QUEUED\r\n"
        for _ in range(60):
            client(*queued)
        reply = client(b"EXEC")
        if queued == [b"LCS"]:
            continue
        assert reply.startswith(b"*61\r\n+OK\r\n") and 20 < reply.count(REFUSED) < 50, reply[-200:]
    assert client(b"BITCOUNT", b"k") != REFUSED, "the next command has its own share"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_turn_ends_after_so_many_bytes_of_values_whatever_they_are_for(engine: str) -> None:
    """512 commands a turn, of 1 MiB each, would be half a gigabyte before anybody else is served."""
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    client(b"SET", b"k", VALUE)
    for words in (
        [b"SETRANGE", b"k", b"0", b"x"],
        [b"EXPIRE", b"k", b"60"],
        [b"GETBIT", b"k", b"0"],
        [b"OBJECT", b"ENCODING", b"k"],
    ):
        session = client.conn.session
        reply = bytes(rig.engine.feed(session, request(*words) * 100, rig.now_ms))
        assert session.more and reply.count(b"\r\n") < 12, words
        assert client.raw(b"").count(b"\r\n") > 80


@pytest.mark.parametrize("engine", ENGINES)
def test_keys_lets_others_in_and_a_transaction_of_too_many_says_so(engine: str) -> None:
    rig = Rig(ENGINES[engine], hot=False)  # the fast path tells of a few thousand keys at once
    rig.node.micros = iter(range(0, 1 << 60, 500)).__next__  # each look at the clock finds it half a millisecond on
    client, other = rig.connect(), rig.connect()
    count = 4_000
    client(b"MSET", *(part for number in range(count) for part in (b"k:%d" % number, b"v")))
    reply, turns = client(b"KEYS", b"k:*"), 1
    while client.conn.session.suspended:
        assert other(b"SET", b"late:%d" % turns, b"x") == b"+OK\r\n"
        reply += client.wake()
        turns += 1
    assert turns > 2
    assert reply.startswith(b"*%d\r\n" % count) and set(reply.split(b"\r\n")[2::2]) == {
        b"k:%d" % number for number in range(count)
    }
    client(b"MULTI")
    client(b"KEYS", b"k:*")
    assert client(b"EXEC").startswith(b"*1\r\n*%d\r\n" % count)
    assert BREATHS_MAX * 256 > 100_000


# -- live -----------------------------------------------------------------------------------------------
def ask(wire: Wire, *argv: bytes) -> bytes:
    """One simple reply."""
    wire.sock.sendall(request(*argv))
    line = b""
    while not line.endswith(b"\r\n"):
        piece = wire.sock.recv(1)
        if not piece:
            return line
        line += piece
    return line


def test_commands_on_the_largest_values_hold_nobody_up(node: LiveNode) -> None:
    largest = b"v" * (Limits().bulk_bytes_max - 1)
    wire = node.connect()
    assert ask(wire, b"SET", b"big", largest) == b"+OK\r\n"
    assert ask(wire, b"SET", b"m", VALUE) == b"+OK\r\n"
    before = rss_bytes(node)

    def attack() -> None:
        for _ in range(3):
            assert ask(wire, b"SETRANGE", b"big", b"5", b"x") == b":%d\r\n" % len(largest)
            assert ask(wire, b"BITOP", b"AND", b"d", *[b"m"] * 1000) == REFUSED
            assert ask(wire, b"MGET", *[b"m"] * 1000) == REFUSED
            assert ask(wire, b"EXPIRE", b"big", b"600") == b":1\r\n"
        batch = request(b"MULTI") + request(b"SETRANGE", b"big", b"5", b"x") * 40 + request(b"EXEC")
        wire.sock.sendall(batch)
        got = b""
        while not got.endswith(REFUSED) or got.count(b"\r\n") < 82:
            got += wire.sock.recv(65_536)
        assert got.count(REFUSED) > 30

    endure(node, attack)
    assert rss_bytes(node) - before < 64 * MIB


LONG = 30_000
STEPS_MAX = 10_000  # calls of Python and of what it calls, for one command
BEFORE = ((), (b"k",), (b"k", b"5"), (b"LIB-NAME",), (b"3", b"SETNAME"))
SPARED = {b"shutdown", b"debug", b"acl|setuser"}  # the last one reads patterns, and is an administrator's


@pytest.mark.parametrize("engine", ENGINES)
def test_no_command_takes_a_step_of_python_for_each_byte_of_an_argument(engine: str) -> None:
    """CLIENT SETNAME with 16 MB stopped a node for 1.2 s, to say that a name has at most 1,024 bytes."""
    rig = Rig(ENGINES[engine], hot=False)
    flat = [one for command in COMMANDS.values() for one in (command.subcommands or (command,))]
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    tried, many = 0, {}
    spared = SPARED | ({b"keys"} if engine == "pure" else set())  # it reads patterns in Python
    for name in sorted({one.name for one in flat} - spared):
        for words in (b"9" * LONG, b"a\n" * (LONG // 2)):
            for before in BEFORE:
                client, steps, tried = rig.connect(), 0, tried + 1
                sys.setprofile(count)
                try:
                    client(*name.split(b"|"), *before, words)
                finally:
                    sys.setprofile(None)
                client.close()
                if steps > STEPS_MAX:
                    many[name] = steps
    assert tried > 1_000 and not many, many


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("words", [b"KEYS *", b"SCAN 0 COUNT 16384 MATCH none"])
def test_many_walks_in_one_transaction_share_what_it_may_read(engine: str, words: bytes) -> None:
    """40 KEYS of 60,000 keys, a request of 1 kB, were 5 s in one piece."""
    rig = Rig(ENGINES[engine])
    rig.node.worked_us = lambda: 0  # else its time may end first
    client = rig.connect()
    for begin in range(0, 16_000, 1_000):
        client(b"MSET", *(part for number in range(begin, begin + 1_000) for part in (b"%d" % number, b"v")))
    client(b"MULTI")
    client(b"TIME")
    for _ in range(60):
        client(*words.split())
    reply = client(b"EXEC")
    assert reply.startswith(b"*61\r\n") and reply.count(REFUSED) > 10
    assert not client(*words.split()).startswith(b"-")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("first", [b"TIME", b"CLIENT GETNAME"])
def test_a_transaction_that_holds_the_node_for_too_long_ends_in_refusals(engine: str, first: bytes) -> None:
    """8,192 INFO took 7 s, and 2,000 COMMAND half a minute. All that is left is refused, also what is cheap: what has
    run is the beginning.
    """
    rig = Rig(ENGINES[engine])
    rig.node.worked_us = iter(range(0, 1 << 60, 300)).__next__
    client = rig.connect()
    for number in (500, 5):
        client(b"MULTI")
        client(*first.split())
        for _ in range(number):
            client(b"INFO", b"server")
        client(b"SET", b"k%d" % number, b"v")
        reply = client(b"EXEC")
        refused = reply.count(b"-" + TOOK_TOO_LONG.text)
        assert reply.startswith(b"*%d\r\n" % (number + 2))
        if number == 500:
            assert refused > 100 and reply.count(b"redis_version") > 50
            assert refused + reply.count(b"redis_version") == number + 1
            assert client(b"EXISTS", b"k500") == b":0\r\n"
        else:
            assert not refused and client(b"EXISTS", b"k5") == b":1\r\n"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("first", [b"PTTL k", b"CLIENT GETNAME"])
def test_a_transaction_of_few_commands_is_not_refused_by_its_time(engine: str, first: bytes) -> None:
    """The gateway reads a value of 16 MiB in one with its TTL and its age: 30 ms of a core, and more of a slow one."""
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    client(b"SET", b"k", b"x" * Limits().bulk_bytes_max)
    rig.node.worked_us = iter(range(0, 1 << 60, 30_000)).__next__
    for more in (0, 1):
        client(b"MULTI")
        client(*first.split())
        client(b"GET", b"k")
        for _ in range(1 + 2 * more):
            client(b"OBJECT", b"IDLETIME", b"k")
        reply = client(b"EXEC")
        assert (b"-" + TOOK_TOO_LONG.text in reply) == bool(more)
        assert more or reply.count(b"x" * Limits().bulk_bytes_max) == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("first", [b"TIME", b"CLIENT GETNAME"])
def test_late_in_a_transaction_a_command_may_look_at_no_more_than_there_is_time_for(engine: str, first: bytes) -> None:
    """Else the last one could take as long as all before it together."""
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    members = [b"%d" % number for number in range(6_000)]
    for key in (b"s", b"s2"):
        client(b"SADD", key, *members)
    used_us = EXEC_US_MAX - 4_000
    for step_us, refused in ((0, 0), (used_us, 4)):
        rig.node.worked_us = lambda: 0
        client(b"MULTI")
        client(*first.split())
        client(b"SINTERSTORE", b"d", b"s", b"s2")
        client(b"SADD", b"t%d" % step_us, *members)
        client(b"SINTERCARD", b"2", b"s", b"s2")
        client(b"SCARD", b"s")
        moments = iter([0])
        rig.node.worked_us = lambda moments=moments, step_us=step_us: next(moments, step_us)  # type: ignore[misc]
        reply = client(b"EXEC")
        assert reply.startswith(b"*5\r\n") and reply.count(b"-" + TOOK_TOO_LONG.text) == refused, reply
        assert client(b"EXISTS", b"t%d" % step_us) == b":%d\r\n" % (not refused)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_left_of_a_transaction_is_refused_in_one_go(engine: str) -> None:
    """8,000 refusals, made one by one, took as long as the 150 commands that ran."""
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    for number in range(4):
        client(b"SADD", b"s%d" % number, *[b"%d-%d" % (number, member) for member in range(500)])
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    client(b"MULTI")
    for _ in range(8_000):
        client(b"SUNIONSTORE", b"d", b"s0", b"s1", b"s2", b"s3")
    sys.setprofile(count if engine == "native" else None)
    try:
        reply = client(b"EXEC")
    finally:
        sys.setprofile(None)
    assert reply.startswith(b"*8000\r\n:2000\r\n") and reply.count(b":2000\r\n") < 100
    assert reply.count(REFUSED) + reply.count(b":2000\r\n") == 8_000 and calls < 1_000
    assert rig.node.stats.errors[b"ERR"] == reply.count(REFUSED)
    assert client(b"PING") == b"+PONG\r\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_names_of_missing_sources_leave_no_share_for_others(engine: str) -> None:
    """Each argument brings a look with it, and what was not used was there for the members of one large set."""
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    for begin in range(0, 40_000, 10_000):
        some = range(begin, begin + 10_000)
        client(b"SADD", b"s", *(b"%d" % number for number in some))
        client(b"ZADD", b"z", *(part for number in some for part in (b"1", b"%d" % number)))
    none = [b"none"] * 20_000
    for words in ([b"SUNIONSTORE", b"d", b"s"], [b"SINTERCARD", b"20001", b"s"], [b"ZUNIONSTORE", b"d", b"20001", b"z"],
                  [b"ZINTERCARD", b"20001", b"z"], [b"ZDIFF", b"20001", b"z"]):
        if words[0] == b"SINTERCARD":
            words = [*words, *[b"s"] * 20_000]
        else:
            words = [*words, *(none if words[0] != b"ZINTERCARD" else [b"z"] * 20_000)]
        assert client(*words) == REFUSED, words[:3]
    value = b"x" * (12 << 20)
    for key in (b"a", b"b", b"c"):
        assert client(b"SET", key, value) == b"+OK\r\n"
    assert client(b"BITOP", b"AND", b"d", b"a", b"b", b"c", *none) == REFUSED
    assert client(b"EXISTS", b"d") == b":0\r\n"
