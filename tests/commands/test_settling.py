"""Members of a large collection that end at one moment: who asks for the collection waits while they are destroyed a
slice at a time, and is then told of those that live (commands/settling.py).
"""

from collections.abc import Callable

import pytest

from respram.engine.settling import ENDED_AT_ONCE, SETTLED_AT_ONCE
from tests.commands.rig import Client, Rig
from tests.engine.conftest import ENGINES

END, STAY = ENDED_AT_ONCE + 1_500, 10  # members of each collection
TURNS_MAX = 50
KINDS = {b"h": b"HSET", b"s": b"SADD", b"z": b"ZADD"}
Filled = tuple[Rig, Client]


def crowd(client: Client, key: bytes, end_ms: int, count: int = END) -> None:
    """A collection of so many members that end at this moment, and of ten that stay."""
    for begin in range(0, count + STAY, 500):
        names = [b"m%d" % number for number in range(begin, min(begin + 500, count + STAY))]
        pairs = [part for name in names for part in (b"1", name)]
        words = {b"h": [*pairs[1:], b"v"], b"s": names, b"z": pairs}[key[:1]]
        assert client(KINDS[key[:1]], key, *words) == b":%d\r\n" % len(names)
        ending = [name for name in names if int(name[1:]) < count]
        if ending:
            client(b"HPEXPIREAT", key, b"%d" % end_ms, b"FIELDS", b"%d" % len(ending), *ending)


@pytest.fixture(params=list(ENGINES))
def filled(request: pytest.FixtureRequest) -> Filled:
    rig = Rig(ENGINES[request.param])
    client = rig.connect()
    client(b"ACL", b"SETUSER", b"default", b"+del", b"+spop")
    return rig, client


def end(rig: Rig, client: Client, *keys: bytes) -> None:
    """Makes these collections, and lets most of their members end."""
    for key in keys:
        crowd(client, key, rig.now_ms + 1_000)
    rig.now_ms += 1_001


def in_turns(rig: Rig, client: Client, *argv: bytes) -> tuple[bytes, int]:
    """The answer, and how many times it was waited for; never does one turn end many members."""
    return answer(rig, client, lambda: client(*argv))


def answer(rig: Rig, client: Client, ask: Callable[[], bytes]) -> tuple[bytes, int]:
    for turns in range(TURNS_MAX):
        before = rig.engine.counters()["expired"]
        reply = ask()
        assert rig.engine.counters()["expired"] - before <= ENDED_AT_ONCE + SETTLED_AT_ONCE
        if not client.conn.session.suspended:
            return reply, turns
        assert reply == b"", "nothing was begun"
        rig.engine.expire(rig.now_ms, 1_000)  # the server's timer
        rig.now_ms, ask = int(client.conn.suspended_until_ms), client.wake
    raise AssertionError("it was never answered")


ALIKE = {
    b"HLEN h": b":10\r\n", b"SCARD s": b":10\r\n", b"ZCARD z": b":10\r\n", b"ZCOUNT z -inf +inf": b":10\r\n",
    b"ZRANK z m3548": b":0\r\n", b"SINTERCARD 2 s z": None, b"EXISTS h s z": b":3\r\n", b"TYPE h": b"+hash\r\n",
    b"HSET h f v": b":1\r\n", b"SRANDMEMBER s 100000": None, b"SPOP s 100000": None, b"ZRANGE z 0 -1": None,
    b"SMEMBERS s": None, b"SUNIONSTORE d s s": b":10\r\n", b"DEL h": b":1\r\n", b"HSCAN h 0 COUNT 20000": None,
    b"OBJECT ENCODING h": None, b"COPY z d": b":1\r\n",
}  # fmt: skip


@pytest.mark.parametrize("line", ALIKE)
def test_whoever_asks_waits_and_is_told_of_those_that_live(filled: Filled, line: bytes) -> None:
    rig, client = filled
    end(rig, client, *(key for key in KINDS if key in line.split()))
    reply, turns = in_turns(rig, client, *line.split())
    assert turns, "it waited"
    wanted = ALIKE[line]
    assert not reply.startswith(b"-") or line.startswith(b"SINTERCARD")
    assert wanted is None or reply == wanted
    for number in (0, 1, END - 1):
        assert b"m%d\r" % number not in reply


def test_a_transaction_waits_before_it_begins(filled: Filled) -> None:
    rig, client = filled
    end(rig, client, b"s", b"z")
    other = rig.connect()
    for cold in (False, True):
        crowd(other, b"h2", rig.now_ms + 1_000)
        client(b"MULTI")
        client(b"INCR", b"n")
        client(b"HLEN", b"h2")
        client(b"ZCARD", b"z")
        if cold:
            client(b"OBJECT", b"ENCODING", b"s")
        rig.now_ms += 1_001
        before = rig.engine.counters()["expired"]
        reply = client(b"EXEC")
        assert client.conn.session.suspended and not reply
        assert rig.engine.counters()["expired"] - before <= ENDED_AT_ONCE
        assert other(b"EXISTS", b"n") == b":%d\r\n" % cold, "nothing of it has run"
        reply, turns = answer(rig, client, client.wake)
        assert turns and reply.startswith(b"*%d\r\n:%d\r\n:10\r\n:10\r\n" % (3 + cold, 1 + cold)), reply
        other(b"DEL", b"h2")


def test_a_select_in_a_transaction_is_followed(filled: Filled) -> None:
    rig, client = filled
    end(rig, client, b"h")
    client(b"SELECT", b"1")
    client(b"MULTI")
    client(b"SELECT", b"0")
    client(b"HLEN", b"h")
    assert client(b"EXEC") == b"" and client.conn.session.suspended
    assert answer(rig, client, client.wake)[0] == b"*2\r\n+OK\r\n:10\r\n"


def test_a_script_waits_for_its_keys_before_it_begins(filled: Filled) -> None:
    rig, client = filled
    end(rig, client, b"h", b"z")
    text = b"redis.call('incr', KEYS[2]) return redis.call('hlen', KEYS[1])"
    for argv in ((b"EVAL", text, b"2", b"h", b"n"), (b"EVAL", text.replace(b"hlen", b"zcard"), b"2", b"z", b"n")):
        reply, turns = in_turns(rig, client, *argv)
        assert turns and reply == b":10\r\n"
    assert client(b"GET", b"n") == b"$1\r\n2\r\n", "each ran once"


def test_what_is_watched_is_looked_at_when_all_of_it_has_ended(filled: Filled) -> None:
    rig, client = filled
    crowd(client, b"h3", rig.now_ms + 1_000)
    assert client(b"WATCH", b"h3") == b"+OK\r\n"
    client(b"MULTI")
    client(b"PING")
    rig.now_ms += 1_001
    assert client(b"EXEC") == b"" and client.conn.session.suspended
    assert answer(rig, client, client.wake)[0] == b"*-1\r\n", "members have ended"


def test_many_small_collections_are_a_crowd_together(filled: Filled) -> None:
    rig, client = filled
    keys = [b"small%d" % number for number in range(20)]
    for key in keys:
        names = [b"m%d" % number for number in range(500)]
        client(b"SADD", key, *names, b"stays")
        client(b"HPEXPIREAT", key, b"%d" % (rig.now_ms + 1_000), b"FIELDS", b"500", *names)
    rig.now_ms += 1_001
    reply, turns = in_turns(rig, client, b"EXISTS", *keys, *[b"none"] * 100)
    assert turns > 1 and reply == b":20\r\n"


def test_a_long_reply_goes_on_when_members_that_ended_meanwhile_are_destroyed(filled: Filled) -> None:
    rig, client = filled
    client(b"HSET", b"long", *(part for number in range(500) for part in (b"a%d" % number, b"v")))
    for begin in range(0, 12_000, 500):
        client(b"HSET", b"long", *(part for number in range(begin, begin + 500) for part in (b"b%d" % number, b"v")))
    names = [b"b%d" % number for number in range(6_000)]
    for begin in range(0, 6_000, 500):
        client(b"HPEXPIREAT", b"long", b"%d" % (rig.now_ms + 500), b"FIELDS", b"500", *names[begin : begin + 500])
    rig.node.micros = iter(range(0, 1 << 60, 100)).__next__
    rig.engine.hot_reads = False
    client.rig.hot = False
    reply = client(b"HKEYS", b"long")
    assert client.conn.session.suspended
    rig.now_ms += 501
    before = rig.engine.counters()["expired"]
    for _ in range(TURNS_MAX * 100):
        reply += client.wake()
        now = rig.engine.counters()["expired"]
        assert now - before <= ENDED_AT_ONCE + SETTLED_AT_ONCE
        before = now
        if not client.conn.session.suspended:
            break
        rig.now_ms += 1
    assert not client.conn.session.suspended
    assert reply.count(b"\r\n$") == int(reply[1 : reply.index(b"\r")])
    for number in (0, 250, 499):
        assert reply.count(b"\r\na%d\r\n" % number) == 1


def test_thousands_that_wait_are_woken_one_after_the_other(filled: Filled) -> None:
    rig, client = filled
    end(rig, client, b"h")
    waiting = [rig.connect() for _ in range(200)]
    for other in waiting:
        assert other(b"HLEN", b"h") == b""
    times = [other.conn.suspended_until_ms - rig.now_ms for other in waiting]
    assert max(times) >= 200 // 20 and times == sorted(times)
