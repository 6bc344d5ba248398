"""MOVED and CROSSSLOT: never without being asked for, once to those who know the map, always with `strict`."""

import pytest

from respram.commands.redirects import CALM_MS, slots_moved
from respram.config.settings import Config
from respram.slots import slot_of

from ..engine.conftest import ENGINES
from .rig import Client, Rig, bulk
from .test_cluster_map import HALF, ME, OTHER, Others, fact

HERE = next(b"k%d" % number for number in range(100) if slot_of(b"k%d" % number) < HALF)
AWAY = next(b"k%d" % number for number in range(100) if slot_of(b"k%d" % number) >= HALF)
MOVED = b"-MOVED %d 10.0.0.11:6379\r\n" % slot_of(AWAY)
CROSSSLOT = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"


def rig_of(engine: str, cluster: str) -> Rig:
    rig = Rig(ENGINES[engine], config=Config(cluster=cluster), number=ME)
    rig.node.peers = Others(fact(ME), fact(OTHER))
    return rig


@pytest.fixture(params=list(ENGINES))
def strict(request: pytest.FixtureRequest) -> Client:
    return rig_of(request.param, "strict").connect()


@pytest.fixture(params=list(ENGINES))
def told(request: pytest.FixtureRequest) -> Client:
    """One that asked for the map, before the homes were others."""
    client = rig_of(request.param, "yes").connect()
    client(b"CLUSTER", b"SLOTS")
    slots_moved(client.rig.node, client.rig.now_ms)
    return client


# -- strict ---------------------------------------------------------------------------------------
def test_a_key_of_another_node_is_sent_there(strict: Client) -> None:
    assert strict(b"SET", HERE, b"v") == b"+OK\r\n" and strict(b"GET", HERE) == bulk(b"v")
    for words in (
        (b"GET", AWAY),
        (b"SET", AWAY, b"v"),
        (b"INCR", AWAY),
        (b"EXISTS", AWAY),
        (b"WATCH", AWAY),
        (b"HSET", AWAY, b"f", b"v"),
    ):
        assert strict(*words) == MOVED
    assert strict(b"PING") == b"+PONG\r\n" and strict(b"SPUBLISH", AWAY, b"m") == b":0\r\n", (
        "publications reach all nodes"
    )


def test_the_fast_paths_see_it_in_a_pipeline_too(strict: Client) -> None:
    line = b"".join(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in (HERE, AWAY, HERE))
    assert strict.raw(line) == b"$-1\r\n" + MOVED + b"$-1\r\n"


def test_keys_of_two_slots_are_refused(strict: Client) -> None:
    assert strict(b"MGET", HERE, AWAY) == CROSSSLOT
    assert strict(b"MSET", b"{a}1", b"v", b"{b}1", b"v") == CROSSSLOT
    tag = next(b"{t%d}" % number for number in range(100) if slot_of(b"t%d" % number) < HALF)
    assert strict(b"MSET", tag + b"1", b"v", tag + b"2", b"v") == b"+OK\r\n"


def test_a_transaction_is_spoiled_by_it(strict: Client) -> None:
    strict(b"MULTI")
    assert strict(b"SET", HERE, b"v") == b"+QUEUED\r\n" and strict(b"SET", AWAY, b"v") == MOVED
    assert strict(b"EXEC").startswith(b"-EXECABORT") and strict(b"EXISTS", HERE) == b":0\r\n"


def test_a_transaction_has_one_slot(strict: Client) -> None:
    other = next(b"j%d" % number for number in range(100) if slot_of(b"j%d" % number) < HALF)
    strict(b"MULTI")
    assert strict(b"SET", HERE, b"v") == strict(b"SET", other, b"v") == b"+QUEUED\r\n"
    assert (
        strict(b"EXEC") == CROSSSLOT
        and strict(b"EXISTS", HERE) == b":0\r\n"
        and strict(b"EXEC") == b"-ERR EXEC without MULTI\r\n"
    )


def test_asking_lets_one_command_in(strict: Client) -> None:
    assert (
        strict(b"ASKING") == b"+OK\r\n" and strict(b"SET", AWAY, b"v") == b"+OK\r\n" and strict(b"GET", AWAY) == MOVED
    )


def test_readonly_lets_reads_in(strict: Client) -> None:
    strict(b"READONLY")
    assert (
        strict(b"GET", AWAY) == b"$-1\r\n"
        and strict(b"SET", AWAY, b"v") == MOVED
        and strict(b"MGET", HERE, AWAY) == CROSSSLOT
    )
    strict(b"READWRITE")
    assert strict(b"GET", AWAY) == MOVED
    strict(b"READONLY")
    strict(b"RESET")
    assert strict(b"GET", AWAY) == MOVED


def test_there_is_one_database(strict: Client) -> None:
    assert (
        strict(b"SELECT", b"1") == b"-ERR SELECT is not allowed in cluster mode\r\n"
        and strict(b"SELECT", b"0") == b"+OK\r\n"
    )


def test_where_nobody_serves_a_slot_it_is_said(strict: Client) -> None:
    strict.rig.node.peers = Others(fact(ME, ready=False))
    assert strict(b"GET", HERE) == b"-CLUSTERDOWN Hash slot not served\r\n"


def test_a_node_alone_sends_nobody_away(strict: Client) -> None:
    strict.rig.node.peers = None
    assert strict(b"GET", AWAY) == b"$-1\r\n" and strict(b"MGET", HERE, AWAY) == CROSSSLOT


def test_tls_is_sent_to_tls(strict: Client) -> None:
    strict.rig.node.peers = Others(fact(ME), fact(OTHER, b"b:2/22"))
    strict.conn.encrypted = True
    assert strict(b"GET", AWAY) == b"-MOVED %d b:22\r\n" % slot_of(AWAY)


def test_while_views_may_differ_nobody_is_sent_anywhere(strict: Client) -> None:
    slots_moved(strict.rig.node, strict.rig.now_ms)
    assert strict(b"GET", AWAY) == b"$-1\r\n"
    strict.rig.advance(CALM_MS)
    assert strict(b"GET", AWAY) == MOVED


# -- yes ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("engine", list(ENGINES))
@pytest.mark.parametrize("cluster", ["no", "yes"])
def test_who_knows_no_map_is_served_anywhere(engine: str, cluster: str) -> None:
    client = rig_of(engine, cluster).connect()
    for _ in range(2):
        assert client(b"SET", AWAY, b"v") == b"+OK\r\n" and client(b"MGET", HERE, AWAY) == b"*2\r\n$-1\r\n" + bulk(b"v")
        slots_moved(client.rig.node, client.rig.now_ms)
        client.rig.advance(CALM_MS)
    assert client(b"SELECT", b"1") == b"+OK\r\n" and client.conn.session.hot is client.rig.hot


def test_who_knows_the_map_of_before_is_told_once(told: Client) -> None:
    assert told(b"PING") == b"+PONG\r\n" and told(b"MGET", HERE, AWAY) == b"*2\r\n$-1\r\n$-1\r\n", (
        "these have no one slot"
    )
    assert told(b"GET", AWAY) == MOVED and told(b"GET", AWAY) == b"$-1\r\n"
    assert told.conn.session.hot is told.rig.hot, "the fast paths are back"
    slots_moved(told.rig.node, told.rig.now_ms)
    assert told(b"SET", HERE, b"v") == b"-MOVED %d 10.0.0.10:6379\r\n" % slot_of(HERE), (
        "to where it is: the map is to be read anew"
    )
    assert told(b"SET", HERE, b"v") == b"+OK\r\n"


def test_the_hint_is_the_reply_to_the_first_of_a_pipeline(told: Client) -> None:
    line = b"".join(b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (len(key), key) for key in (AWAY, AWAY, HERE))
    assert told.raw(line) == MOVED + b"$-1\r\n$-1\r\n"


def test_who_asked_for_the_map_since_is_told_nothing(told: Client) -> None:
    told(b"CLUSTER", b"NODES")
    assert told(b"GET", AWAY) == b"$-1\r\n"


def test_no_hint_comes_into_a_transaction(told: Client) -> None:
    told(b"MULTI")
    assert told(b"SET", AWAY, b"v") == b"+QUEUED\r\n" and told(b"EXEC") == b"*1\r\n+OK\r\n"
    assert told(b"GET", AWAY) == MOVED


def test_where_nobody_serves_there_is_nothing_to_tell(told: Client) -> None:
    told.rig.node.peers = others = Others(fact(ME, ready=False))
    others.version = 2
    assert told(b"GET", AWAY) == b"$-1\r\n"
