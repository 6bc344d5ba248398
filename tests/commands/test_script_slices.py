"""While a script runs in slices: it goes on whatever changes, and who already waits for a key or a count waits on."""

from itertools import count

import pytest

from respram.commands.redirects import slots_moved
from respram.config.settings import Config
from respram.slots import slot_of

from ..engine.conftest import ENGINES
from .rig import OK, Client, Rig, array, bulk
from .test_cluster_map import HALF, ME, OTHER, Others, fact

pytest.importorskip("lupa")
MILLISECOND = 1_000
LONG = b"redis.call('ZADD', 'z', '1', 'a') for i = 1, 3000000 do end return redis.call('ZCARD', 'z')"
POPPED = array(bulk(b"z"), bulk(b"a"), bulk(b"1"))
AWAY = next(b"k%d" % number for number in range(100) if slot_of(b"k%d" % number) >= HALF)


def ended(script: Client) -> bytes:
    """The reply of a script that gives way."""
    for _ in range(10_000):
        reply = script.wake()
        if reply:
            return reply
    raise AssertionError("the script never came to an end")


@pytest.fixture
def waiting(rig: Rig) -> Client:
    client = rig.connect()
    assert client(b"ACL", b"SETUSER", b"default", b"+bzpopmin") == OK
    return client


@pytest.mark.parametrize("told", [False, True])
def test_who_waits_for_a_key_waits_until_the_script_ends(rig: Rig, waiting: Client, told: bool) -> None:
    rig.ticks = count(0, MILLISECOND)
    assert waiting(b"BZPOPMIN", b"z", b"0") == b""
    script = rig.connect()
    assert script(b"EVAL", LONG, b"1", b"z") == b"" and waiting.line.woken == 1
    assert waiting.wake() == b"" and waiting.conn.session.suspended
    if told:
        rig.ticks = count(6_000_000, 1)
        assert rig.connect()(b"GET", b"k").startswith(b"-BUSY")
        assert waiting.wake() == b"" and waiting.conn.session.suspended
    rig.ticks = count(7_000_000, 7)
    assert ended(script) == b":1\r\n"
    assert waiting.line.woken == 2 and waiting.wake() == POPPED
    assert not rig.node.blocked and not waiting.conn.blocked_until_ms


def test_whose_time_is_up_meanwhile_is_answered_after_the_script(rig: Rig, waiting: Client) -> None:
    rig.ticks = count(0, MILLISECOND)
    assert waiting(b"BZPOPMIN", b"y", b"0.1") == b""
    script = rig.connect()
    assert script(b"EVAL", LONG, b"1", b"z") == b""
    rig.now_ms += 200
    assert waiting.wake() == b"" and waiting.conn.suspended_until_ms > rig.now_ms
    rig.ticks = count(1_000_000, 7)
    assert ended(script) == b":1\r\n" and waiting.line.woken == 1
    assert waiting.wake() == b"*-1\r\n" and not rig.node.blocked


def cluster_rig(engine: str) -> Rig:
    rig = Rig(ENGINES[engine], config=Config(cluster="yes"), number=ME)
    rig.node.peers = Others(fact(ME), fact(OTHER))
    rig.ticks = count(0, MILLISECOND)
    return rig


@pytest.mark.parametrize("engine", ENGINES)
def test_a_script_that_has_begun_is_not_sent_elsewhere(engine: str) -> None:
    """Its client would have MOVED, and nobody would resume the script: all others would be told BUSY."""
    rig = cluster_rig(engine)
    script = rig.connect()
    script(b"CLUSTER", b"SLOTS")
    assert script(b"EVAL", b"for i = 1, 3000000 do end return 7", b"1", AWAY) == b""
    slots_moved(rig.node, rig.now_ms)
    rig.ticks = count(1_000_000, 7)
    assert ended(script) == b":7\r\n" and rig.node.busy is None
    assert script(b"GET", AWAY).startswith(b"-MOVED"), "the hint is for the next command"


@pytest.mark.parametrize("engine", ENGINES)
def test_who_waited_for_a_key_and_is_sent_elsewhere_waits_no_more(engine: str) -> None:
    rig = cluster_rig(engine)
    client = rig.connect()
    client(b"ACL", b"SETUSER", b"default", b"+bzpopmin")
    client(b"CLUSTER", b"SLOTS")
    assert client(b"BZPOPMIN", AWAY, b"0") == b"" and rig.node.blocked
    slots_moved(rig.node, rig.now_ms)
    assert client.wake().startswith(b"-MOVED")
    assert not client.conn.blocked_until_ms and not rig.node.blocked


@pytest.mark.parametrize("engine", ENGINES)
def test_who_waits_for_a_count_of_peers_is_not_told_busy(engine: str) -> None:
    rig = cluster_rig(engine)
    client, script = rig.connect(), rig.connect()
    assert client(b"WAIT", b"1", b"100") == b""
    assert script(b"EVAL", LONG, b"1", b"z") == b""
    rig.ticks = count(6_000_000, 1)
    rig.now_ms += 200
    assert client.wake() == b"" and client.conn.session.suspended
    rig.ticks = count(7_000_000, 7)
    assert ended(script) == b":1\r\n"
    assert client.wake() == b":0\r\n" and client.conn.wait_state is None
