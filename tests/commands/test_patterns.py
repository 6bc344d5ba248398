"""The index of subscribed patterns: it finds what comparing with each would find, and has room for a bounded number."""

import random
import time

import pytest

from respram.commands import patterns
from respram.commands.patterns import PatternIndex, head_of, searches
from respram.glob import Glob, compile_glob, fits, glob_match
from tests import timing
from tests.commands.rig import Client, Rig
from tests.engine.conftest import ENGINES
from tests.engine.rig import SETTINGS

PARTS = (b"a", b"b", b"news:", b"*", b"**", b"?", b"[ab]", b"[^a]", b"\\*", b"[b-a]", b"\\", b"[", b"c" * 40, b"")
TEXTS = (b"a", b"b", b"news:", b"c" * 40, b"*", b"[", b"\\", b"ab", b"")


@pytest.fixture(params=list(ENGINES))
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(ENGINES[request.param])


def drawn(chance: random.Random, parts: tuple[bytes, ...]) -> bytes:
    return b"".join(chance.choice(parts) for _ in range(chance.randrange(6)))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_index_finds_what_comparing_with_each_pattern_finds(engine: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    index, held, met = PatternIndex(ENGINES[engine](SETTINGS).patterns), dict[bytes, Glob](), 0
    for _ in range(600):
        pattern = drawn(chance, PARTS)
        if pattern in held and chance.random() < 0.7:
            del held[pattern]
            index.remove(pattern)
        elif pattern not in held:
            held[pattern] = compile_glob(pattern)
            index.add(pattern)
        text = drawn(chance, TEXTS)
        found = index.matching(text)
        assert sorted(found) == sorted(one for one, glob in held.items() if fits(glob, text)), text
        met += len(found)
        assert (index.count, index.searches) == (len(held), sum(map(searches, held)))
    assert met > 300
    for pattern in held:
        index.remove(pattern)
    assert (index.count, index.searches, index.matching(b"a")) == (0, 0, [])


def test_heads_and_what_a_pattern_counts_for() -> None:
    assert [head_of(one) for one in (b"news:*", b"a?", b"*", b"a\\*", b"x" * 50)] == [
        b"news:",
        b"a",
        b"",
        b"a",
        b"x" * 32,
    ]
    assert [searches(one) for one in (b"a*", b"*a", b"a*b", b"**", b"*a*", b"*[ab]c*", b"a*?*")] == [
        0,
        0,
        0,
        0,
        1,
        7,
        4,
    ]


def test_keys_scan_and_channels_are_matched_by_the_engine_as_by_the_judge(rig: Rig) -> None:
    chance, client = random.Random(5), rig.connect()
    names = {drawn(chance, TEXTS) for _ in range(60)} - {b""}
    for name in names:
        client(b"SET", name, b"v")
        rig.connect()(b"SUBSCRIBE", name)
    for _ in range(60):
        pattern = drawn(chance, PARTS)
        wanted = sorted(name for name in names if glob_match(pattern, name))
        for argv in ([b"KEYS", pattern], [b"PUBSUB", b"CHANNELS", pattern]):
            reply = client(*argv).split(b"\r\n")
            assert sorted(reply[2::2]) == wanted, argv


def test_room_is_made_again_by_whoever_leaves(rig: Rig) -> None:
    client, other = rig.connect(), rig.connect()
    dear = [b"*[ab]%07d*" % number for number in range(patterns.CLIENT_SEARCHES_MAX // 13)]
    for _ in range(3):
        client(b"PSUBSCRIBE", *dear)
        assert b"too many patterns" in client(b"PSUBSCRIBE", b"*[ab]aaaaaaaaaaa*")
        assert client(b"PSUBSCRIBE", b"plain*").startswith(b"*3\r\n")
        client(b"PUNSUBSCRIBE")
    assert (client.conn.searches, client.conn.subscription_bytes, rig.node.pattern_index.count) == (0, 0, 0)
    assert b"a pattern may have" in other(b"PSUBSCRIBE", b"x" * (patterns.PATTERN_BYTES_MAX + 1))
    client(b"PSUBSCRIBE", *dear)
    client.close()
    assert rig.node.pattern_index.count == 0


def test_the_node_has_room_for_so_many_whoever_brings_them(rig: Rig) -> None:
    clients: list[Client] = []
    refused = b""
    while b"on this node" not in refused:
        clients.append(rig.connect())
        dear = [b"*[ab]%09d*" % (1_000 * len(clients) + number) for number in range(patterns.CLIENT_SEARCHES_MAX // 15)]
        refused = clients[-1](b"PSUBSCRIBE", *dear)
    assert 2 < len(clients) < 10 and rig.node.pattern_index.searches <= patterns.SEARCHES_MAX
    assert clients[-1].conn.searches == 0 == clients[-1].conn.subscription_bytes


def test_a_channel_that_would_take_too_long_is_refused_and_an_event_passes_such_patterns_by(rig: Rig) -> None:
    client, writer = rig.connect(), rig.connect()
    client(b"PSUBSCRIBE", *(b"*x%d*" % number for number in range(9_000)), b"__keyspace*")
    assert writer(b"PUBLISH", b"-x17-", b"m") == b":2\r\n"  # `*x1*` and `*x17*`
    assert writer(b"PUBLISH", b"c" * 5_000, b"m").startswith(b"-ERR the channel name is too long")
    writer(b"CONFIG", b"SET", b"notify-keyspace-events", b"KA")
    client.pushed()
    assert writer(b"SET", b"c" * 5_000, b"v") == b"+OK\r\n"
    assert client.pushed().count(b"__keyspace*") == 1


def test_ten_thousand_patterns_of_one_client_hold_no_publisher_up(rig: Rig) -> None:
    """Each PUBLISH took 3.7 s. 2 ms are allowed, judged by the best of several on a machine that is not busy."""
    writer = rig.connect()
    for form in (b"*:%d:*", b"user:%d:*", b"*%d"):
        client = rig.connect()
        for begin in range(0, 10_000, 1_000):
            client(b"PSUBSCRIBE", *(form % number for number in range(begin, begin + 1_000)))
        best = 1e9
        for number in range(20):
            began = time.perf_counter()
            assert writer(b"PUBLISH", b"user:%d:x" % (7_000 + number), b"m") == (
                b":0\r\n" if form == b"*%d" else b":1\r\n"
            )
            best = min(best, time.perf_counter() - began)
        if rig.engine.name == "native":
            timing.in_time(best, 0.002, f"PUBLISH among 10,000 patterns {form!r}")
        print(f"{rig.engine.name} {form!r}: {best * 1000:.2f} ms")  # noqa: T201
        client.close()


def test_whoever_listens_by_thousands_of_patterns_that_match_gets_them_all_in_pieces(rig: Rig) -> None:
    client, writer = rig.connect(), rig.connect()
    client(b"PSUBSCRIBE", *(b"news%b" % (b"*" * (1 + number)) for number in range(900)))
    client.line.out.clear()
    assert writer(b"PUBLISH", b"news:1", b"m") == b":900\r\n"
    assert len(client.line.out) < 40 and client.pushed().count(b"pmessage") == 900
