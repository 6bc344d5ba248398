"""Watching keys that are missing: their coming is noticed, even when they are gone again."""

import pytest

from .rig import Client, Rig


def test_a_missing_key_that_came_and_went_has_changed(client: Client) -> None:
    other = client.other()
    client(b"WATCH", b"k", b"kept")
    other(b"SET", b"k", b"v", b"PX", b"30")
    client.advance(60)
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"


def test_a_missing_key_that_stays_missing_has_not_changed(client: Client) -> None:
    other = client.other()
    client(b"WATCH", b"k")
    other(b"SET", b"another", b"v", b"PX", b"30")
    client.advance(60)
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"


def test_another_database_is_another_key(client: Client) -> None:
    other = client.other()
    client(b"WATCH", b"k")
    other(b"SELECT", b"1")
    other(b"SET", b"k", b"v")
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"


@pytest.mark.parametrize("end", [b"UNWATCH", b"MULTI EXEC", b"MULTI DISCARD", b"RESET", b"close", b"*1\r\n+x\r\n"])
@pytest.mark.parametrize("between", [b"PING", b"CLIENT ID"])  # the latter is for dispatch, which takes over
def test_no_key_is_awaited_once_nobody_watches(rig: Rig, client: Client, end: bytes, between: bytes) -> None:
    assert client(b"WATCH", b"k", b"l", b"k") == b"+OK\r\n"
    client(*between.split())
    assert rig.engine.awaited == 2 and rig.engine.observer is None
    if end == b"close":
        client.close()
    elif end.startswith(b"*"):
        assert b"Protocol error" in client.raw(end)
    else:
        for word in end.split():
            client(word)
    assert rig.engine.awaited == 0


def test_many_missing_keys_are_awaited_by_many(rig: Rig, client: Client) -> None:
    """More than the table of missing keys begins with, some of them by two."""
    watching = [rig.connect() for _ in range(300)]
    for number, one in enumerate(watching):
        one(b"WATCH", b"k%d" % number, b"k%d" % (number // 2), b"kept%d" % number)
    assert rig.engine.awaited == 600
    for number in range(0, 300, 3):
        client(b"SET", b"k%d" % number, b"v", b"PX", b"20")
    rig.advance(30)
    for number, one in enumerate(watching):
        one(b"MULTI")
        is_changed = not number % 3 or not number // 2 % 3
        assert one(b"EXEC") == (b"*-1\r\n" if is_changed else b"*0\r\n"), number
    assert rig.engine.awaited == 0


@pytest.mark.parametrize("come", [b"SET k v PX 20", b"HSET k f v", b"SADD k m", b"ZADD k 1 m", b"INCR k", b"MSET k v"])
def test_a_missing_key_that_comes_ends_the_transaction_however_it_comes(client: Client, come: bytes) -> None:
    other = client.other()
    for late in (False, True):
        client(b"WATCH", b"k")
        other(*come.split())
        client.rig.engine.let_go(0, b"k", client.rig.now_ms, b"del")
        if late:
            client(b"CLIENT", b"ID")  # dispatch takes over a key that has come
        client(b"MULTI")
        client(b"SET", b"l", b"v")
        assert client(b"EXEC") == b"*-1\r\n" and client(b"EXISTS", b"l") == b":0\r\n"


@pytest.mark.parametrize("come", [b"SET k v", b"HSET k f v"])
def test_a_missing_key_that_comes_from_a_peer_and_ends_has_changed(client: Client, come: bytes) -> None:
    there = client.rig.another()
    client(b"WATCH", b"k")
    there.connect()(*come.split())
    client.rig.engine.merge(there.engine.fetch(0, b"k", client.rig.now_ms), client.rig.now_ms)
    assert client.rig.engine.let_go(0, b"k", client.rig.now_ms, b"del")
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"


def test_a_session_may_outlive_the_engine_whose_keys_it_awaits(rig: Rig) -> None:
    engine = rig.make(rig.node.settings)
    first, second = (engine.session(lambda session, argv, now_ms: b"+OK\r\n") for _ in range(2))
    for session in (first, second, second):
        engine.await_key(session, 0, b"k")
    assert engine.awaited == 1
    del engine
    first.forget_watched()
    assert not second.has_come
    second.forget_watched()
    del first, second


def test_two_may_watch_the_same_missing_key(client: Client) -> None:
    other, third = client.other(), client.other()
    client(b"WATCH", b"k")
    other(b"WATCH", b"k")
    other(b"UNWATCH")
    third(b"SET", b"k", b"v")
    for one in (client, other):
        one(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"
    assert other(b"EXEC") == b"*0\r\n"


# -- keys that are there: the engine watches them by itself, until dispatch gets a command ---------------
def test_the_engine_answers_watch_multi_and_exec_by_itself(rig: Rig, client: Client) -> None:
    client(b"SET", b"k", b"v")
    client(b"HSET", b"h", b"f", b"v")
    before = rig.node.stats.commands
    for words in ((b"WATCH", b"k", b"missing", b"h"), (b"GET", b"k"), (b"MULTI",), (b"SET", b"k", b"w"), (b"EXEC",)):
        reply = client(*words)
    assert reply == b"*1\r\n+OK\r\n"
    assert rig.node.stats.commands == before or not rig.hot, "dispatch was asked"
    client(b"MULTI")
    client(b"GET", b"k")
    assert client(b"EXEC") == b"*1\r\n$1\r\nw\r\n", "what EXEC itself wrote was still watched"


@pytest.mark.parametrize("change", [
    (b"SET", b"k", b"w"), (b"SET", b"k", b"v"), (b"EXPIRE", b"k", b"9"), (b"APPEND", b"k", b"w"),
    (b"PEXPIRE", b"k", b"9"),
])  # fmt: skip
@pytest.mark.parametrize("proto", [b"2", b"3"])
def test_a_key_that_was_touched_or_ended_ends_the_transaction(
    client: Client, change: tuple[bytes, ...], proto: bytes
) -> None:
    other = client.other()
    client(b"HELLO", proto)
    client(b"SET", b"k", b"v")
    assert client(b"WATCH", b"k", b"k") == b"+OK\r\n"
    other(*change)
    client.advance(20)
    client(b"MULTI")
    client(b"SET", b"other", b"w")
    assert client(b"EXEC") == (b"_\r\n" if proto == b"3" else b"*-1\r\n")
    assert client(b"EXISTS", b"other") == b":0\r\n"
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n", "a transaction that failed has forgotten what it watched"


def test_a_key_that_only_the_clients_own_command_touched_has_changed(client: Client) -> None:
    client(b"SET", b"k", b"v")
    client(b"WATCH", b"k")
    client(b"INCR", b"n")
    client(b"SET", b"k", b"w")
    client(b"WATCH", b"k")
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n", "the first stamp counts"


@pytest.mark.parametrize("between", [(b"CLIENT", b"ID"), (b"SPUBLISH", b"c", b"m"), (b"WATCH", b"missing")])
@pytest.mark.parametrize("late", [False, True])
def test_dispatch_takes_over_what_the_engine_watches(client: Client, between: tuple[bytes, ...], late: bool) -> None:
    """Whether it gets its first command before MULTI or within."""
    other = client.other()
    for changes in (False, True):
        client(b"SET", b"k", b"v")
        client(b"WATCH", b"k")
        if not late or between[0] == b"WATCH":
            client(*between)
        if changes:
            other(b"SET", b"k", b"w")
        client(b"MULTI")
        if late and between[0] != b"WATCH":
            client(*between)
        client(b"GET", b"k")
        assert (client(b"EXEC") == b"*-1\r\n") == changes
    client(b"WATCH", b"k")
    client(*between)
    client(b"UNWATCH")
    other(b"SET", b"k", b"x")
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"


@pytest.mark.parametrize("end", [(b"UNWATCH",), (b"MULTI", b"DISCARD"), (b"MULTI", b"EXEC"), (b"RESET",)])
def test_every_end_of_watching_forgets_what_the_engine_watches(client: Client, end: tuple[bytes, ...]) -> None:
    other = client.other()
    client(b"SET", b"k", b"v")
    client(b"WATCH", b"k")
    for word in end:
        client(word)
    other(b"SET", b"k", b"w")
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"


def test_a_watched_key_is_that_of_the_database_it_was_watched_in(client: Client) -> None:
    other = client.other()
    client(b"SET", b"k", b"v")
    client(b"WATCH", b"k")
    client(b"SELECT", b"1")
    client(b"SET", b"k", b"v")
    client(b"MULTI")
    assert client(b"EXEC") == b"*0\r\n"
    client(b"SELECT", b"0")
    client(b"WATCH", b"k")
    client(b"SELECT", b"1")
    other(b"SET", b"k", b"w")
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"


def test_what_the_engine_watches_is_bounded_and_the_rest_is_counted(rig: Rig, client: Client) -> None:
    names = [b"%0100d" % number for number in range(64)]
    for name in names:
        client(b"SET", name, b"v")
    client(b"WATCH", *names[:8])
    assert client.conn.session.watched == rig.hot == (not client.conn.watched)
    for name in names[8:]:
        client(b"WATCH", name)
    assert len(client.conn.watched) == 64 and client.conn.watched_bytes == 6_400
    client.other()(b"SET", names[0], b"w")
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"


def test_a_collection_is_watched_with_all_its_members(client: Client) -> None:
    other = client.other()
    client(b"SET", b"k", b"v")
    client(b"HSET", b"h", b"f", b"v")
    client(b"WATCH", b"k", b"h")
    other(b"HSET", b"h", b"f", b"w")
    client(b"MULTI")
    assert client(b"EXEC") == b"*-1\r\n"
