"""What must always be true, seen from outside: each test carries the number of its invariant.

(3, 5 and 6 are properties of the engines and of merging: see tests/engine.)
"""

import random
import time
from collections.abc import Iterator

import pytest

from respram.commands.refusals import LOGGED_KEY_BYTES_MAX
from tests.engine.conftest import ENGINES
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, Wire, running

MARKER = b"s3cret-marker"
REFUSED = b"-NOPERM '%b' is refused by design: "


@pytest.fixture(scope="module", params=list(ENGINES))
def node(request: pytest.FixtureRequest) -> Iterator[LiveNode]:
    with running("--log-level", "debug", engine=request.param) as live:
        yield live


@pytest.fixture
def wire(node: LiveNode) -> Iterator[Wire]:
    wire = node.connect()
    yield wire
    wire.close()


def test_invariant_1_every_record_has_a_deadline_whatever_wrote_it(wire: Wire) -> None:
    writes = [
        "SET a 1", "SETNX b 1", "MSET c 1 d 2", "MSETNX e 1 f 2", "GETSET g 1", "APPEND h 1", "SETRANGE i 3 x",
        "INCR j", "DECR k", "INCRBY l 5", "DECRBY m 5", "INCRBYFLOAT n 1.5", "SETBIT o 3 1", "COPY a p",
        "SETEX q 100 1",
        "PSETEX r 100000 1", "BITOP NOT s a", "SET t 1 KEEPTTL", "SET u 1 GET", "SET v 1 EX 99999999999",
        "SET a 2 KEEPTTL",
        "GETEX c EX 50", "EXPIRE d 9999999999",
    ]  # fmt: skip
    wire.ask(request(b"SELECT", b"1"), 5)  # other tests of this node use the same short names
    for write in writes:
        reply = wire.ask(request(*write.encode().split()), 1)
        assert reply in (b"+", b":", b"$", b"_"), (write, reply + read_some(wire))
        read_some(wire)
    now_s = time.time()
    for name in b"abcdefghijklmnopqrstuv":
        key = bytes((name,))
        ttl = number(wire, b"TTL", key)
        assert 0 < ttl <= 31 * 86_400, key
        assert now_s < number(wire, b"EXPIRETIME", key) <= time.time() + 31 * 86_400 + 1, key
    info = bulk(wire, b"INFO", b"keyspace")
    keys, expires = (int(field.split(b"=")[1]) for field in info.split(b"db1:")[1].split(b",")[:2])
    assert keys == expires >= 22


def test_invariant_2_at_its_deadline_a_value_cannot_be_seen(wire: Wire) -> None:
    exact = int(time.time() * 1000) + 1000
    wire.ask(request(b"SELECT", b"7"), 5)
    for number_ in range(50):
        wire.ask(request(b"SET", b"gone:%d" % number_, b"v", b"PXAT", b"%d" % exact), 5)
    while time.time() * 1000 < exact:
        time.sleep(0.0005)
    batch = [
        ([b"GET", b"gone:1"], b"$-1\r\n"), ([b"MGET", b"gone:2", b"gone:3"], b"*2\r\n$-1\r\n$-1\r\n"),
        ([b"EXISTS", b"gone:4"], b":0\r\n"), ([b"KEYS", b"gone:*"], b"*0\r\n"), ([b"DBSIZE"], b":0\r\n"),
        ([b"RANDOMKEY"], b"$-1\r\n"), ([b"SCAN", b"0", b"COUNT", b"1000"], b"*2\r\n$1\r\n0\r\n*0\r\n"),
        ([b"TYPE", b"gone:5"], b"+none\r\n"), ([b"TTL", b"gone:6"], b":-2\r\n"), ([b"STRLEN", b"gone:7"], b":0\r\n"),
        ([b"GETRANGE", b"gone:8", b"0", b"9"], b"$0\r\n\r\n"), ([b"OBJECT", b"ENCODING", b"gone:9"], b"$-1\r\n"),
        ([b"MULTI"], b"+OK\r\n"), ([b"GET", b"gone:10"], b"+QUEUED\r\n"), ([b"EXEC"], b"*1\r\n$-1\r\n"),
        ([b"COPY", b"gone:11", b"x"], b":0\r\n"), ([b"SET", b"gone:12", b"v", b"XX"], b"$-1\r\n"),
        ([b"EXPIRE", b"gone:13", b"100"], b":0\r\n"), ([b"GETEX", b"gone:14", b"EX", b"100"], b"$-1\r\n"),
    ]  # fmt: skip
    expected = b"".join(reply for _, reply in batch)
    assert wire.ask(b"".join(request(*argv) for argv, _ in batch), len(expected)) == expected


DELETES = [
    "DEL k", "UNLINK k", "GETDEL k", "FLUSHALL", "FLUSHDB", "PERSIST k", "RENAME k l", "RENAMENX k l", "MOVE k 1",
    "SWAPDB 0 1", "EXPIRE k 0", "EXPIRE k -1", "PEXPIRE k -5", "EXPIREAT k 1", "PEXPIREAT k 1", "SET k v EXAT 1",
    "SET k v PXAT 1", "GETEX k PERSIST", "GETEX k EXAT 1", "RESTORE k 0 x", "DELEX k", "DELIFEQ k v",
]  # fmt: skip


@pytest.mark.parametrize("line", DELETES)
def test_invariant_4_there_is_no_delete_and_no_disguised_one(wire: Wire, line: str) -> None:
    argv = line.encode().split()
    wire.ask(request(b"SET", b"k", b"v", b"EX", b"100"), 5)
    refusal = REFUSED % argv[0].lower()
    assert wire.ask(request(*argv), len(refusal)) == refusal
    read_some(wire)
    assert wire.ask(request(b"GET", b"k"), 7) == b"$1\r\nv\r\n"
    assert 90 < number(wire, b"TTL", b"k") <= 100
    transaction = request(b"MULTI") + request(b"SET", b"sibling", b"1") + request(*argv) + request(b"EXEC")
    expected = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n" + refusal
    assert wire.ask(transaction, len(expected)) == expected
    read_some(wire)
    assert wire.ask(request(b"MGET", b"k", b"sibling"), 18) == b"*2\r\n$1\r\nv\r\n$1\r\n1\r\n"


def test_invariant_7_a_full_memory_refuses_writes_and_evicts_nothing() -> None:
    for engine in ENGINES:
        with running("--maxmemory", "8mb", engine=engine) as live:
            wire = live.connect()
            replies = b""
            for number_ in range(200):
                replies = wire.ask(request(b"SET", b"k%d" % number_, b"x" * 100_000, b"EX", b"100"), 5)
                if replies != b"+OK\r\n":
                    break
            text = replies + read_some(wire)
            assert text == b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
            assert number(wire, b"DBSIZE") == number_
            assert number(wire, b"STRLEN", b"k0") == 100_000
            assert wire.ask(request(b"EXPIRE", b"k0", b"50"), 4) == b":1\r\n"


def test_invariant_7_what_one_client_may_ask_for_is_bounded(node: LiveNode, wire: Wire) -> None:
    for data, text in (
        (b"a" * 70_000, b"-ERR Protocol error: too big inline request\r\n"),
        (b"*32769\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\n$16777217\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    ):
        other = node.connect()
        other.sock.sendall(data)
        assert other.rest() == text
        other.close()
    too_long = b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"
    assert wire.ask(request(b"SETRANGE", b"k", b"16777216", b"x"), len(too_long)) == too_long


def test_invariant_8_no_value_reaches_a_log_a_metric_or_a_trace(node: LiveNode) -> None:
    wire = node.connect()
    assert wire.ask(request(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0"), 5) == b"+OK\r\n"
    for argv in (
        [b"SET", b"k", MARKER], [b"APPEND", b"k", MARKER], [b"MSET", b"a", MARKER, b"b", MARKER],
        [b"GETSET", b"k", MARKER],
        [b"NOSUCH", MARKER], [b"SET", b"k", MARKER, MARKER], [b"INCRBY", b"k", MARKER], [b"AUTH", MARKER],
        [b"ECHO", MARKER],
        [b"HSET", b"h", b"f", MARKER], [b"EVAL", MARKER, b"0"], [b"PUBLISH", b"c", MARKER],
        [b"CLIENT", b"SETNAME", b"me"],
        [b"CONFIG", b"SET", MARKER, b"x"], [b"DEL", b"x" * LOGGED_KEY_BYTES_MAX + MARKER], [MARKER],
    ):  # fmt: skip
        wire.sock.sendall(request(*argv))
        read_some(wire)
    wire.sock.sendall(request(b"MULTI") + request(b"SET", b"k", MARKER) + request(b"EXEC"))
    read_some(wire)
    for argv in ([b"INFO", b"everything"], [b"SLOWLOG", b"GET", b"1000"], [b"CLIENT", b"LIST"],
                 [b"CONFIG", b"GET", b"*"],
                 [b"MEMORY", b"STATS"], [b"LATENCY", b"LATEST"]):  # fmt: skip
        wire.sock.sendall(request(*argv))
        seen = read_some(wire)
        assert len(seen) > 3 and MARKER not in seen, argv
    wire.sock.sendall(b"*1\r\n!" + MARKER + b"\r\n")
    read_some(wire)
    broken = node.connect()
    broken.sock.sendall(b"GET '" + MARKER + b"\r\n")
    assert MARKER not in broken.rest()
    assert MARKER.decode() not in node.log()
    broken.close()
    wire.close()
    wire = node.connect()
    assert wire.ask(request(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"10000"), 5) == b"+OK\r\n"
    wire.close()


def test_invariant_9_bytes_from_outside_never_crash_a_node(node: LiveNode) -> None:
    seed = random.randrange(1 << 32)
    draw = random.Random(seed)
    bystander = node.connect()
    seeds = [
        request(b"SET", b"k", b"v"),
        b"*3\r\n$-1\r\n",
        b"PING\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\n",
        b"*2\r\n",
    ]
    sent = 0
    for _ in range(300):
        wire = node.connect()
        noise = bytearray(draw.choice(seeds) * draw.randrange(1, 5) + draw.randbytes(draw.randrange(200)))
        for _ in range(draw.randrange(4)):
            noise[draw.randrange(len(noise))] = draw.randrange(256)
        wire.sock.sendall(noise)
        sent += len(noise)
        if draw.random() < 0.3:
            wire.reset()
        else:
            wire.close()
        assert bystander.ask(b"PING\r\n", 7) == b"+PONG\r\n", f"seed {seed}"
    assert sent > 10_000
    assert node.process.poll() is None
    assert "Traceback" not in node.log(), f"seed {seed}"
    bystander.close()


def read_some(wire: Wire) -> bytes:
    """What comes within a moment: enough for the rest of a reply that is on its way."""
    wire.sock.sendall(request(b"ECHO", b"::end::"))
    got = bytearray()
    wire.sock.settimeout(SOON_S)
    while not got.endswith(b"::end::\r\n") and b"Protocol error" not in got:
        piece = wire.sock.recv(1 << 16)
        if not piece:
            break
        got += piece
    return bytes(got).removesuffix(b"$7\r\n::end::\r\n")


def number(wire: Wire, *argv: bytes) -> int:
    wire.sock.sendall(request(*argv))
    text = read_some(wire)
    assert text.startswith(b":"), (argv, text)
    return int(text[1:])


def bulk(wire: Wire, *argv: bytes) -> bytes:
    wire.sock.sendall(request(*argv))
    return read_some(wire)
