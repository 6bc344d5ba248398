"""Who decides by what a key holds waits for the truth, who does not is served at once: command by command."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from respram.commands.notify import observe
from respram.commands.peers import Waiter

from .rig import Client, Rig

HOLD_MS = 500
LOADING = b"-LOADING respram is joining its peers or restoring its snapshot, and cannot know this key yet\r\n"


@dataclass
class Oracle:
    """Somebody to be asked; a test says when and what it has answered."""

    asked: list[tuple[int, bytes]] = field(default_factory=list)
    knows: bool = True
    patience_ms: int = HOLD_MS
    forgotten: int = 0

    def state(self) -> bytes:
        return b"joining"

    def ask(self, waiter: Waiter, names: Sequence[tuple[int, bytes]]) -> int:
        self.asked += names
        return self.patience_ms

    def learnt(self, waiter: Waiter) -> bool:
        return self.knows

    def forget(self, waiter: Waiter) -> None:
        self.forgotten += 1


@pytest.fixture
def oracle(rig: Rig) -> Oracle:
    oracle = Oracle()
    rig.node.truth = oracle
    observe(rig.node)
    return oracle


DECIDE = (  # and the keys that they decide by
    (b"INCR k", b"k"), (b"DECR k", b"k"), (b"INCRBY k 2", b"k"), (b"DECRBY k 2", b"k"), (b"INCRBYFLOAT k 1.5", b"k"),
    (b"INCREX k", b"k"),
    (b"APPEND k v", b"k"), (b"SETRANGE k 1 v", b"k"), (b"SETBIT k 1 1", b"k"), (b"SETNX k v", b"k"),
    (b"SET k v NX", b"k"),
    (b"SET k v EX 10 XX", b"k"), (b"SET k v KEEPTTL", b"k"), (b"SET k v GET", b"k"), (b"SET k v IFEQ w", b"k"),
    (b"GETSET k v", b"k"),
    (b"GETEX k EX 10", b"k"), (b"EXPIRE k 10", b"k"), (b"PEXPIRE k 10", b"k"), (b"EXPIREAT k 9999999999", b"k"),
    (b"PEXPIREAT k 9999999999999", b"k"), (b"MSETNX k v j w", b"k j"), (b"MSETEX 2 k v j w NX EX 10", b"k j"),
    (b"MSETEX 1 k v KEEPTTL", b"k"), (b"COPY k j", b"k j"), (b"COPY k j REPLACE", b"k j"), (b"BITOP AND k j i", b"j i"),
    (b"WATCH k j", b"k j"),
)  # fmt: skip
BLIND = (
    b"SET k v", b"SET k v EX 10", b"SET k v PX 10", b"SETEX k 10 v", b"PSETEX k 10 v", b"MSET k v j w",
    b"MSETEX 1 k v EX 10",
    b"PING", b"ECHO hello", b"DBSIZE", b"INFO", b"SELECT 1", b"MULTI", b"PUBLISH c m", b"RESPRAM STATE", b"CLIENT ID",
)  # fmt: skip
READ = (b"GET k", b"MGET k", b"STRLEN k", b"EXISTS k", b"TTL k", b"PTTL k", b"TYPE k", b"GETRANGE k 0 1", b"GETBIT k 0",
        b"BITCOUNT k",
        b"BITPOS k 1", b"TOUCH k", b"EXPIRETIME k", b"OBJECT ENCODING k", b"SUBSTR k 0 1")  # fmt: skip


@pytest.mark.parametrize(("words", "keys"), DECIDE)
def test_who_reads_before_it_writes_asks_even_for_what_is_here(
    client: Client, oracle: Oracle, words: bytes, keys: bytes
) -> None:
    client(b"SET", b"k", b"1")
    assert client(*words.split()) == b"" and oracle.asked == [(0, key) for key in keys.split()]
    answer = client.wake()
    assert answer and not answer.startswith(b"-LOADING") and len(oracle.asked) == len(keys.split()), "asked once"


@pytest.mark.parametrize("words", BLIND)
def test_who_writes_blindly_is_served_at_once(client: Client, oracle: Oracle, words: bytes) -> None:
    assert client(*words.split()) and not oracle.asked


@pytest.mark.parametrize("words", READ)
def test_who_reads_asks_for_what_is_missing_and_for_nothing_else(client: Client, oracle: Oracle, words: bytes) -> None:
    assert client(*words.split()) == b"" and oracle.asked == [(0, b"k")]
    assert client.wake()
    oracle.asked.clear()
    client(b"SET", b"k", b"1")
    assert client(*words.split()) and not oracle.asked


def test_the_command_acts_on_what_was_learnt(rig: Rig, client: Client, oracle: Oracle) -> None:
    assert client(b"INCR", b"k") == b""
    rig.engine.store(0, b"k", b"1000", rig.now_ms + 60_000, False, rig.now_ms, b"set")  # merged, as it were
    assert client.wake() == b":1001\r\n"


def test_beyond_its_patience_the_client_is_told_to_come_again_and_nothing_is_changed(
    rig: Rig, client: Client, oracle: Oracle
) -> None:
    oracle.knows = False
    assert client(b"INCR", b"k") == b""
    rig.advance(HOLD_MS - 1)
    assert client.wake() == b"" and len(oracle.asked) == 2, "woken early: it asks again"
    rig.advance(1)
    assert client.wake() == LOADING and oracle.forgotten
    oracle.patience_ms = 0
    assert client(b"SET", b"k", b"v", b"NX") == LOADING, "nobody can be asked"
    assert client(b"DBSIZE") == b":0\r\n"
    oracle.patience_ms, oracle.knows = HOLD_MS, True
    assert client(b"INCR", b"k") == b"" and client.wake() == b":1\r\n"


def test_two_commands_of_one_connection_ask_each_for_themselves(client: Client, oracle: Oracle) -> None:
    assert client.raw(b"INCR k\r\nINCR k\r\n") == b""
    assert client.wake() == b":1\r\n" and oracle.asked == [(0, b"k")] * 2
    assert client.wake() == b":2\r\n"


def test_a_pause_before_it_takes_nothing_away(rig: Rig, client: Client, oracle: Oracle) -> None:
    """A command that was resumed is not one whose truth is known."""
    assert client(b"INCR", b"k") == b"" and client.wake() == b":1\r\n"
    client.other()(b"CLIENT", b"PAUSE", b"100", b"WRITE")
    assert client(b"INCR", b"k") == b"" and len(oracle.asked) == 1
    rig.advance(101)
    assert client.wake() == b"" and len(oracle.asked) == 2
    assert client.wake() == b":2\r\n"


def test_a_transaction_waits_once_for_all_that_it_decides_by(rig: Rig, client: Client, oracle: Oracle) -> None:
    client(b"MULTI")
    for words in (b"INCR a", b"SET b v", b"SELECT 3", b"SETNX c v", b"GET d", b"COPY e f DB 5"):
        assert client(*words.split()) == b"+QUEUED\r\n"
    assert not oracle.asked
    assert client(b"EXEC") == b""
    assert oracle.asked == [(0, b"a"), (3, b"c"), (3, b"d"), (3, b"e"), (5, b"f")]
    rig.engine.store(0, b"a", b"41", rig.now_ms + 60_000, False, rig.now_ms, b"set")
    assert client.wake() == b"*6\r\n:42\r\n+OK\r\n+OK\r\n:1\r\n$-1\r\n:0\r\n"


def test_a_transaction_that_cannot_know_is_over_and_did_nothing(client: Client, oracle: Oracle) -> None:
    oracle.patience_ms = 0
    client(b"MULTI"), client(b"SET", b"x", b"v"), client(b"INCR", b"k")
    assert client(b"EXEC") == LOADING
    assert client(b"EXEC").startswith(b"-ERR EXEC without MULTI") and client(b"DBSIZE") == b":0\r\n"


def test_what_is_watched_is_looked_up_again_before_it_counts(rig: Rig, client: Client, oracle: Oracle) -> None:
    client(b"WATCH", b"k"), client.wake()
    client(b"MULTI"), client(b"SET", b"k", b"mine")
    oracle.asked.clear()
    assert client(b"EXEC") == b"" and oracle.asked == [(0, b"k")]
    rig.engine.store(0, b"k", b"theirs", rig.now_ms + 60_000, False, rig.now_ms, b"set")
    assert client.wake() == b"*-1\r\n"


def test_a_transaction_kept_by_the_session_waits_as_well(rig: Rig, client: Client) -> None:
    """Queued while this node knew everything; it is asked at EXEC."""
    client(b"MULTI"), client(b"INCR", b"k"), client(b"INCR", b"k")
    oracle = Oracle()
    rig.node.truth = oracle
    observe(rig.node)
    assert client(b"EXEC") == b"" and oracle.asked == [(0, b"k")]
    assert client.wake() == b"*2\r\n:1\r\n:2\r\n"


def test_fast_paths_are_off_while_this_node_may_not_know_and_come_back(
    rig: Rig, client: Client, oracle: Oracle
) -> None:
    assert not rig.engine.hot_reads and not rig.engine.hot_writes
    assert client(b"RESPRAM", b"STATE") == b"+joining\r\n"
    assert client(b"INCR", b"k") == b""
    rig.node.truth = None
    observe(rig.node)
    assert rig.engine.hot_reads and rig.engine.hot_writes
    assert client.wake() == b":1\r\n" and client(b"RESPRAM", b"STATE") == b"+ready\r\n"
