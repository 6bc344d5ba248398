"""Watching keys that are missing: their coming is noticed, even when they are gone again."""

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
