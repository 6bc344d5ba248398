"""The texts of scripts are shared with the peers: a script that one node was sent can be called at each of them."""

import pytest

from respram.commands import notify, shared_scripts
from respram.record import SCRIPTS
from respram.scripting.cache import digest_of

from ..engine.conftest import ENGINES
from .rig import Rig
from .test_cluster import FakePeers

pytest.importorskip("lupa")
TEXT = b"return redis.call('set', KEYS[1], ARGV[1], 'PX', 1000)"
DIGEST = digest_of(TEXT)
CALL = (b"EVALSHA", DIGEST, b"1", b"k", b"v")


def two(name: str) -> tuple[Rig, Rig]:
    rigs = Rig(ENGINES[name]), Rig(ENGINES[name])
    for rig in rigs:
        rig.node.peers = FakePeers()
        rig.engine.drain(1 << 20)
    return rigs


def exchange(one: Rig, other: Rig) -> None:
    other.engine.merge(one.engine.drain(1 << 20), other.now_ms)


@pytest.mark.parametrize("name", ENGINES)
def test_a_script_is_known_where_its_text_was_heard_of(name: str) -> None:
    one, other = two(name)
    here, there = one.connect(), other.connect()
    assert there(*CALL).startswith(b"-NOSCRIPT")
    assert there(b"SCRIPT", b"EXISTS", DIGEST) == b"*1\r\n:0\r\n"
    here(b"SCRIPT", b"LOAD", TEXT)
    exchange(one, other)
    assert there(b"SCRIPT", b"EXISTS", DIGEST) == b"*1\r\n:1\r\n"
    assert there(b"EVALSHA", DIGEST.upper(), b"1", b"k", b"v") == b"+OK\r\n"
    assert there(*CALL) == b"+OK\r\n"
    assert other.engine.counters()["hot_evalsha"] == 1
    assert there(b"DBSIZE") == b":1\r\n" and there(b"KEYS", b"*") == b"*1\r\n$1\r\nk\r\n"


@pytest.mark.parametrize("name", ENGINES)
def test_a_flush_forgets_the_text_everywhere(name: str) -> None:
    one, other = two(name)
    here, there = one.connect(), other.connect()
    for number in range(250):
        here(b"EVAL", b"return %d" % number, b"0")
    here(b"SCRIPT", b"LOAD", TEXT)
    exchange(one, other)
    assert other.engine.count(SCRIPTS, other.now_ms) == 251
    there(b"SCRIPT", b"FLUSH")
    assert there(*CALL).startswith(b"-NOSCRIPT")
    exchange(other, one)
    assert one.engine.count(SCRIPTS, one.now_ms) == 0
    assert here(*CALL) == b"+OK\r\n"  # what it had compiled stays
    exchange(one, other)
    assert here(b"SCRIPT", b"EXISTS", DIGEST) == b"*1\r\n:1\r\n"


@pytest.mark.parametrize("name", ENGINES)
def test_another_text_under_a_digest_is_not_run(name: str) -> None:
    one, other = two(name)
    one.engine.store(SCRIPTS, DIGEST, b"return 'evil'", one.now_ms + 10_000, False, one.now_ms, b"script")
    exchange(one, other)
    assert other.connect()(*CALL).startswith(b"-NOSCRIPT")


@pytest.mark.parametrize("name", ENGINES)
def test_a_script_that_a_peer_may_know_is_asked_for(name: str) -> None:
    one, other = two(name)
    peers = other.node.peers
    assert isinstance(peers, FakePeers)
    peers.useful = True
    notify.observe(other.node)
    one.connect()(b"SCRIPT", b"LOAD", TEXT)
    there = other.connect()
    assert there(*CALL) == b""
    assert peers.pulled == [(SCRIPTS, DIGEST)]
    exchange(one, other)
    peers.useful = False
    notify.observe(other.node)
    assert there.wake() == b"+OK\r\n"


@pytest.mark.parametrize("name", ENGINES)
def test_what_is_shared_is_bounded_and_ends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_scripts, "SHARED_MAX", 3)
    one, _ = two(name)
    here = one.connect()
    for number in range(10):
        here(b"EVAL", b"return %d" % number, b"0")
    assert one.engine.count(SCRIPTS, one.now_ms) == 3
    here(b"EVAL", b"return " + b" " * shared_scripts.TEXT_BYTES_MAX + b"1", b"0")
    assert one.engine.count(SCRIPTS, one.now_ms) == 3
    one.advance(shared_scripts.LIFE_MS)
    assert one.engine.count(SCRIPTS, one.now_ms) == 0


@pytest.mark.parametrize("name", ENGINES)
def test_a_text_that_is_sent_again_late_lives_on(name: str) -> None:
    one, _ = two(name)
    here = one.connect()
    here(b"SCRIPT", b"LOAD", TEXT)
    one.advance(shared_scripts.LIFE_MS - 1000)
    here(b"SCRIPT", b"LOAD", TEXT)
    one.advance(2000)
    assert one.engine.peek(SCRIPTS, DIGEST, one.now_ms) is not None


@pytest.mark.parametrize("name", ENGINES)
def test_nobody_is_told_of_a_text(name: str) -> None:
    one, other = two(name)
    for rig in (one, other):
        rig.connect()(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
    listener = other.connect()
    listener(b"PSUBSCRIBE", b"*")
    client = one.connect()
    ear = one.connect()
    ear(b"PSUBSCRIBE", b"*")
    client(b"SCRIPT", b"LOAD", TEXT)
    exchange(one, other)
    other.advance(shared_scripts.LIFE_MS)
    client(b"SCRIPT", b"FLUSH")
    assert listener.line.out == [] and ear.line.out == []


def test_a_node_without_peers_shares_nothing() -> None:
    rig = Rig(ENGINES["pure"])
    rig.connect()(b"SCRIPT", b"LOAD", TEXT)
    assert rig.engine.count(SCRIPTS, rig.now_ms) == 0


@pytest.mark.parametrize("name", ENGINES)
def test_a_text_whose_time_is_up_takes_no_database_of_clients(name: str) -> None:
    """Names of stubs have no room for the space of scripts: a stub of a text was one of a client's database."""
    rig = Rig(ENGINES[name])
    engine, soon, late = rig.engine, rig.now_ms + 1_000, rig.now_ms + 60_000
    engine.store(SCRIPTS, DIGEST, TEXT, late, False, rig.now_ms, b"")
    engine.store(SCRIPTS, DIGEST, TEXT, soon, False, rig.now_ms, b"")  # a shorter life: what it replaced has a shadow
    rig.advance(5_000)
    assert engine.peek(SCRIPTS, DIGEST, rig.now_ms) is None
    assert engine.counters()["stubs"] == 1
    engine.store(SCRIPTS, DIGEST, TEXT, late, False, rig.now_ms, b"")
    assert engine.counters()["stubs"] == 0
    rig.advance(60_000)
    assert engine.count(SCRIPTS, rig.now_ms) == 0 and not engine.counters()["stubs"]
