"""What a short request about a large collection, or a long one, may take of the node: no more than a request about
values may.
"""

import re
import time

import pytest

from respram.commands.running import READS_TOO_MUCH
from respram.config.limits import Limits
from respram.engine.api import LOOK_BYTES
from respram.engine.pure.draws import Draws
from tests import dear, timing
from tests.abuse.rig import endure, rss_bytes
from tests.commands.rig import Client, Rig, request
from tests.engine.conftest import ENGINES
from tests.live import LiveNode, Wire

REFUSED = b"-" + READS_TOO_MUCH.text + b"\r\n"
LIMITS = Limits()
MANY = 40_000  # members: more than a command's share of looks
SHARE = (2 * LIMITS.bulk_bytes_max + (1 << 20)) // LOOK_BYTES


RIGHTS = (b"+spop", b"+rename", b"+zremrangebyrank", b"+zpopmin", b"+srem", b"+del")


def names(count: int) -> list[bytes]:
    return [b"m%06d" % number for number in range(count)]


def filled(engine: str, count: int = MANY, hot: bool = True) -> tuple[Rig, Client]:
    rig = Rig(ENGINES[engine], hot=hot)
    client = rig.connect()
    client(b"ACL", b"SETUSER", b"default", *RIGHTS)
    every = names(count)
    for begin in range(0, count, 10_000):
        some = every[begin : begin + 10_000]
        client(b"SADD", b"s", *some)
        client(b"SADD", b"s2", *some)
        client(b"HSET", b"h", *(part for name in some for part in (name, b"v" + name)))
        client(b"ZADD", b"z", *(part for place, name in enumerate(some, begin) for part in (b"%d" % place, name)))
    assert client(b"HLEN", b"h") == client(b"SCARD", b"s2") == client(b"ZCARD", b"z") == b":%d\r\n" % count
    return rig, client


AT_ONE_MOMENT = (
    b"SINTERSTORE d s s2", b"SUNIONSTORE d s s2", b"SDIFFSTORE d s s2", b"ZUNIONSTORE d 2 z s", b"ZINTERSTORE d 2 z s",
    b"ZRANGESTORE d z 0 -1",
    b"SINTERCARD 2 s s2", b"ZINTERCARD 2 z s", b"ZUNION 2 z s", b"ZDIFF 2 z s", b"ZINTER 2 z s",
    b"SRANDMEMBER s -1000000000",
    b"HRANDFIELD h -1000000000 WITHVALUES", b"ZRANDMEMBER z -1000000000", b"SRANDMEMBER s 39000", b"HRANDFIELD h 39000",
    b"SRANDMEMBER s 13000", b"ZRANDMEMBER z 15000", b"ZRANDMEMBER z 25000", b"SPOP s 39000",
    b"COPY h d", b"COPY z d", b"RENAME s d", b"ZREMRANGEBYRANK z 0 -1", b"ZPOPMIN z 39000",
)  # fmt: skip


@pytest.mark.parametrize("engine", list(ENGINES))
def test_what_has_to_be_done_at_one_moment_has_a_share_of_looks(engine: str) -> None:
    """Whatever the command is: the engine counts the members that it is asked for. Who is refused has changed nothing.
    """
    _, client = filled(engine)
    assert MANY > SHARE
    for line in AT_ONE_MOMENT:
        assert client(*line.split()) == REFUSED, line
    assert client(b"EXISTS", b"d") == b":0\r\n"
    for length in (b"HLEN h", b"SCARD s", b"SCARD s2", b"ZCARD z"):
        assert client(*length.split()) == b":%d\r\n" % MANY, length
    client(b"MULTI")
    for line in (b"HGETALL h", b"SMEMBERS s", b"ZRANGE z 0 -1", b"SUNION s s2", b"PING"):
        client(*line.split())
    # The engine tells what is short of its own bound; SUNION uses up the share, and PING has none left. In the pure
    # engine members cost more, and one command uses it up.
    reply, told = client(b"EXEC"), 2 if engine == "native" else 0
    assert reply.startswith(b"*5\r\n*%d\r\n" % (2 * MANY)) and reply.count(b"*%d\r\n" % MANY) == told
    assert reply.count(REFUSED) == 4 - told and reply.endswith(REFUSED * (4 - told)), (
        "what is left of a share that is used up is said for each of the rest"
    )
    client(b"MULTI")
    for _ in range(400):
        client(b"HGETALL", b"h")
    reply = client(b"EXEC")
    assert len(reply) < 2 * LIMITS.bulk_bytes_max and reply.endswith(REFUSED * 300), "the same one after the other"
    assert client(b"PING") == b"+PONG\r\n"


STORES = (
    b"COPY h d", b"COPY z d", b"RENAME s d", b"ZRANGESTORE d z 0 -1", b"SUNIONSTORE d s none", b"ZUNIONSTORE d 1 z",
)  # fmt: skip


@pytest.mark.parametrize("engine", list(ENGINES))
def test_what_is_stored_counts_beside_what_was_looked_at(engine: str) -> None:
    """A member that is looked at and stored takes half as long again as one that is looked at."""
    _, client = filled(engine, 24_000)  # fewer than may be looked at
    assert client(b"SUNIONSTORE", b"other", b"few", b"few") == b":0\r\n"
    for line in STORES:
        assert client(*line.split()) == REFUSED, line
        assert client(b"EXISTS", b"d") == b":0\r\n"
    assert client(b"SCARD", b"s") == b":24000\r\n"
    client(b"ZREMRANGEBYRANK", b"z", b"0", b"3999")
    for line in (b"COPY z d", b"ZRANGESTORE d z 0 -1"):
        assert client(*line.split()) in (b":1\r\n", b":20000\r\n"), "this many may be stored"
        assert client(b"ZCARD", b"d") == b":20000\r\n"


IN_STEPS = {
    b"HGETALL h": 2, b"HKEYS h": 1, b"HVALS h": 1, b"SMEMBERS s": 1, b"SUNION s s2 s none": 1, b"SINTER s s2": 1,
    b"SDIFF s none": 1,
    b"ZRANGE z 0 -1": 1, b"ZRANGE z 0 -1 REV": 1, b"ZRANGE z 0 -1 WITHSCORES": 2, b"ZREVRANGE z 0 -1 WITHSCORES": 2,
    b"ZRANGEBYSCORE z -inf +inf": 1, b"ZREVRANGEBYLEX z + -": 1, b"ZRANGEBYLEX z - + LIMIT 0 39999": 1,
}  # fmt: skip
# Each engine and each protocol first.
CROSSED = [(engine, 2 + (place + turn) % 2) for turn in (0, 1) for place, engine in enumerate(ENGINES)]


@pytest.mark.parametrize(("engine", "proto"), dear.first(2, CROSSED))
def test_a_long_reply_is_made_in_steps_between_which_others_write(engine: str, proto: int) -> None:
    """Who is there all the while is told once, whoever comes and goes; in the order that there is, where there is one.
    (The fast paths tell up to 8 MiB in one go, which takes them 20 ms.)
    """
    rig, client = filled(engine, hot=False)
    rig.node.micros = iter(range(0, 1 << 60, 100)).__next__  # each look at the clock finds it a bit on
    other = rig.connect()
    client(b"HELLO", b"%d" % proto)
    every = names(MANY)
    for line, width in IN_STEPS.items():
        reply, turns = client(*line.split()), 1
        while client.conn.session.suspended:
            late = b"late%d" % turns
            assert other(b"SADD", b"s", late) == other(b"ZADD", b"z", b"%d.5" % (turns * 7), late) == b":1\r\n", line
            assert other(b"HSET", b"h", late, b"x") == b":1\r\n"
            if turns > 2:
                assert other(b"SREM", b"s", b"late%d" % (turns - 1)) == b":1\r\n"
            reply += client.wake()
            turns += 1
        assert turns > 10, line
        head = re.match(rb"([*~%])(\d+)\r\n", reply)
        assert head is not None
        told = list(re.findall(rb"\r\nv?(m\d{6})(?=\r)", reply))
        assert len(told) == (2 if line == b"HGETALL h" else 1) * MANY - (line[-5:] == b"39999"), line
        wanted = every[: 39_999] if line.endswith(b"39999") else every
        assert set(told) == set(wanted), line
        if line.startswith(b"Z"):
            assert told == sorted(told, reverse=b"REV" in line), line
        parts = reply.count(b"\r\n$") + reply.count(b"\r\n,")
        assert parts == int(head[2]) * (width if proto == 3 and width == 2 else 1), line
        kind = b"%" if line == b"HGETALL h" else b"~" if line[:1] == b"S" else b"*"
        assert head[1] == (kind if proto == 3 else b"*"), line
        for turn in range(1, turns):
            other(b"SREM", b"s", b"late%d" % turn)
        other(b"ACL", b"SETUSER", b"default", b"+hdel", b"+zrem")
        other(b"HDEL", b"h", *(b"late%d" % turn for turn in range(1, turns)))
        other(b"ZREM", b"z", *(b"late%d" % turn for turn in range(1, turns)))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_draw_that_would_be_refused_is_not_begun(engine: str) -> None:
    rig, client = filled(engine, 1_000)
    undrawn = Draws(rig.node.settings.seed)
    for line in (b"SRANDMEMBER s -1000000000", b"HRANDFIELD h -20000", b"ZRANDMEMBER z -9223372036854775807"):
        assert client(*line.split()) == REFUSED, line
        assert rig.engine.draw(1 << 63) == undrawn.below(1 << 63), line
    assert client(b"SRANDMEMBER", b"s", b"-5000").startswith(b"*5000\r\n")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_collection_that_goes_ends_its_reply(engine: str) -> None:
    rig, client = filled(engine, hot=False)
    rig.node.micros = iter(range(0, 1 << 60, 100)).__next__
    other = rig.connect()
    for line, key in ((b"HGETALL h", b"h"), (b"SMEMBERS s", b"s"), (b"ZRANGE z 0 -1", b"z"), (b"SINTER s2 s2", b"s2")):
        reply = client(*line.split())
        assert client.conn.session.suspended
        assert other(b"DEL", key) == b":1\r\n" and other(b"SET", key, b"x") == b"+OK\r\n"
        while client.conn.session.suspended:
            reply += client.wake()
        head = re.match(rb"\*(\d+)\r\n", reply)
        assert head is not None and 0 < int(head[1]) < MANY and reply.count(b"\r\n$") == int(head[1]), line
        assert client(b"GET", key) == b"$1\r\nx\r\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_no_more_arguments_are_taken_than_what_they_cost_allows(engine: str) -> None:
    """The longest commands allowed are done as a whole: a share grows with what a command brought."""
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    most = LIMITS.args_max
    every = names(most)
    assert client(b"SADD", b"s", *every[2:]) == b":%d\r\n" % (most - 2)
    assert client(b"SADD", b"s", *every[2:]) == b":0\r\n"
    assert client(b"SMISMEMBER", b"s", *every[2:]) == b"*%d\r\n" % (most - 2) + b":1\r\n" * (most - 2)
    pairs = [part for place, name in enumerate(every[: most // 2 - 1]) for part in (b"%d" % place, name)]
    assert client(b"ZADD", b"z", *pairs) == b":%d\r\n" % (most // 2 - 1)
    assert client(b"ZADD", b"z", b"CH", *pairs[2:]) == b":0\r\n"
    assert client(b"HSET", b"h", *pairs) == b":%d\r\n" % (most // 2 - 1)
    fields = pairs[::2]
    assert client(b"HEXPIRE", b"h", b"100", b"FIELDS", b"%d" % len(fields), *fields).count(b":1\r\n") == len(fields)
    client(b"MULTI")
    client(b"SADD", b"t", *every[2:])
    client(b"HMGET", b"h", *fields[:4_000])
    assert client(b"EXEC").startswith(b"*2\r\n:%d\r\n*4000\r\n" % (most - 2))
    client(b"MULTI")
    assert client(b"OBJECT", b"ENCODING", b"s") == b"+QUEUED\r\n"
    assert client(b"SADD", b"u", *every[2:]) == b"+QUEUED\r\n"
    assert client(b"SADD", b"u", *every[2 : LIMITS.multi_args_max - most - 4]) == b"+QUEUED\r\n"
    assert client(b"PING") == b"+QUEUED\r\n"
    assert client(b"PING") == b"-ERR too many commands or bytes queued in MULTI\r\n"
    assert client(b"EXEC").startswith(b"-EXECABORT")
    assert (
        client(b"EXISTS", *every) == b"-ERR Protocol error: invalid multibulk length\r\n"
        and client.conn.session.closing
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_filter_takes_so_many_items_at_once_and_no_more(engine: str) -> None:
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    client(b"BF.RESERVE", b"f", b"0.0000001", b"1000000")
    for name in (b"BF.MADD", b"BF.MEXISTS"):
        assert client(name, b"f", *names(1_000)).startswith(b"*1000\r\n")
        assert client(name, b"f", *names(30_000)) == REFUSED
    assert client(b"BF.EXISTS", b"f", names(2_000)[-1]) == b":0\r\n", "all of them were refused before the first"
    client(b"MULTI")
    for _ in range(3):
        client(b"BF.MADD", b"f", *names(1_000))
    assert client(b"EXEC").endswith(REFUSED)


# -- live -----------------------------------------------------------------------------------------------
def test_collections_of_a_hundred_thousand_hold_nobody_up(node: LiveNode) -> None:
    count = 100_000 if "engine=native" in node.log() else 20_000
    wire = node.connect()
    every = names(count)
    for begin in range(0, count, 5_000):
        some = every[begin : begin + 5_000]
        batch = request(b"SADD", b"s", *some) + request(
            b"HSET", b"h", *(part for name in some for part in (name, b"v"))
        )
        batch += request(b"ZADD", b"z", *(part for name in some for part in (b"1", name)))
        assert wire.ask(batch, 21) == b":5000\r\n" * 3
    before = rss_bytes(node)

    def attack() -> None:
        for line in (b"HGETALL h", b"SMEMBERS s", b"ZRANGE z 0 -1 WITHSCORES", b"SINTER s s", b"SUNIONSTORE d s s",
                     b"ZUNIONSTORE d 2 z s",
                     b"SRANDMEMBER s -1000000000", b"COPY h d REPLACE", b"HSCAN h 0 COUNT 1000000000"):
            whole(wire, *line.split())
        whole(wire, b"SADD", b"t", *names(LIMITS.args_max - 2))

    endure(node, attack)
    assert rss_bytes(node) - before < 64 << 20


def whole(wire: Wire, *argv: bytes) -> None:
    """Sends it, with a PING behind, and reads until that is answered."""
    wire.sock.sendall(request(*argv) + request(b"ECHO", b"the end of it"))
    tail = b""
    while not tail.endswith(b"the end of it\r\n"):
        piece = wire.sock.recv(1 << 16)
        assert piece, argv[:2]
        tail = tail[-64:] + piece


OTHERS, ENDS_TOGETHER = 200_000, 60_000  # keys of others, and members, that end at one moment
# Of processor time, for all questions about them. The first alone once took the native engine 2 s.
ASKED_S = {"native": 0.5, "pure": 10.0}
SLICE = 1_000  # records that the server's timer destroys at a time


def fill_others(rig: Rig, client: Client, end_ms: bytes) -> None:
    for begin in range(0, OTHERS, 500):
        some = [b"%d" % number for number in range(begin, begin + 500)]
        client.raw(b"".join(request(b"SET", b"other:" + name, b"v", b"PXAT", end_ms) for name in some))


@pytest.mark.parametrize("engine", list(ENGINES))
def test_members_that_end_among_keys_of_others_are_ended_in_slices(engine: str) -> None:
    """Whoever asks for a collection waits until its overdue members are ended. They were looked for 64 at a time, and
    each time from the beginning, past all keys of others that ended at the same moment.
    """
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    end_ms = b"%d" % (rig.now_ms + 1_000)
    fill_others(rig, client, end_ms)
    client(b"HSET", b"h", b"stays", b"v")
    for begin in range(0, ENDS_TOGETHER, 500):
        some = [b"%d" % number for number in range(begin, begin + 500)]
        words = [b"HSETEX", b"h", b"PXAT", end_ms, b"FIELDS", b"500", *(part for name in some for part in (name, b"v"))]
        assert client(*words) == b":1\r\n"
    small = [b"small:%d" % number for number in range(200)]
    for key in small:
        client(b"HSET", key, b"stays", b"v")
        client(b"HSETEX", key, b"PXAT", end_ms, b"FIELDS", b"1", b"f", b"v")
    rig.now_ms += 1_001
    before = time.process_time()
    for key in small:
        assert client(b"HLEN", key) == b":1\r\n", "who asks for a small one does not wait for the large one"
    reply = client(b"HLEN", b"h")
    for _ in range(2 * (OTHERS + ENDS_TOGETHER) // SLICE):
        if not client.conn.session.suspended:
            break
        rig.engine.expire(rig.now_ms, SLICE)
        rig.now_ms += 1
        reply += client.wake()
    assert reply == b":1\r\n" and client(b"HLEN", b"h") == b":1\r\n"
    timing.in_time(time.process_time() - before, ASKED_S[engine], f"{engine}: collections whose members end")


@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_turn_ends_after_so_many_records_of_others_that_were_passed(engine: str) -> None:
    rig = Rig(ENGINES[engine])
    client = rig.connect()
    fill_others(rig, client, b"%d" % (rig.now_ms + 1_000))
    client(b"HSET", b"h", b"stays", b"v")
    rig.now_ms += 1_001
    session = client.conn.session
    reply = bytes(rig.engine.feed(session, request(b"DBSIZE") * 400, rig.now_ms))
    assert session.more and reply.count(b"\r\n") < 100
    assert client.raw(b"").count(b"\r\n") > 300


AT_ONCE = {"native": 500_000, "pure": 40_000}  # members that end in one millisecond
ABOUT_IT = (
    b"HLEN half", b"HGETALL half", b"HRANDFIELD half 10", b"HSCAN half 0", b"EXISTS half", b"HSET half new v",
    b"OBJECT ENCODING half", b"HGET half f1",
)  # fmt: skip


def test_half_a_million_members_that_end_at_once_hold_nobody_up(node: LiveNode) -> None:
    """The first question about them once took 163 ms, in which nobody else was served."""
    count = AT_ONCE["native" if "engine=native" in node.log() else "pure"]
    asking = [node.connect() for _ in range(100)]

    def attack() -> None:
        wire = asking[0]
        end_ms = time.time_ns() // 1_000_000 + 1_000 + count // 100
        wire.ask(request(b"HSET", b"half", b"stays", b"v"), 4)
        for begin in range(0, count, 500):
            pairs = [part for number in range(begin, begin + 500) for part in (b"f%d" % number, b"v")]
            wire.ask(request(b"HSETEX", b"half", b"PXAT", b"%d" % end_ms, b"FIELDS", b"500", *pairs), 4)
        time.sleep(max(end_ms / 1000 - time.time(), 0))
        for number, one in enumerate(asking):
            one.sock.sendall(request(*ABOUT_IT[number % len(ABOUT_IT)].split()) + request(b"ECHO", b"the end of it"))
        for one in asking:
            tail = b""
            while not tail.endswith(b"the end of it\r\n"):
                tail = tail[-64:] + one.sock.recv(1 << 16)
        wire.sock.sendall(request(b"HLEN", b"half"))
        assert wire.sock.recv(64) in (b":1\r\n", b":2\r\n")

    endure(node, attack)
