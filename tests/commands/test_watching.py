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


def test_nothing_is_observed_once_nobody_watches(rig: Rig, client: Client) -> None:
    for end in ([b"UNWATCH"], [b"MULTI"], [b"RESET"]):
        client(b"WATCH", b"k")
        assert rig.engine.observer is not None
        client(*end)
        if end == [b"MULTI"]:
            client(b"EXEC")
        assert rig.engine.observer is None, end
        assert not rig.node.awaited
    other = client.other()
    other(b"WATCH", b"k")
    other.close()
    assert rig.engine.observer is None


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
    before = rig.node.stats.commands
    for words in ((b"WATCH", b"k"), (b"GET", b"k"), (b"MULTI",), (b"SET", b"k", b"w"), (b"EXEC",)):
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
