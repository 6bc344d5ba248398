"""A connection's first and last moment."""

from respram.commands.connection import forget

from .rig import Client, Rig


def test_a_connection_is_trusted_at_once_only_without_a_password(rig: Rig) -> None:
    assert rig.connect().conn.authenticated
    rig.node.password = b"secret"
    stranger = rig.connect().conn
    assert not stranger.authenticated
    assert not stranger.session.trusted


def test_whoever_leaves_is_in_no_registry_any_more(rig: Rig, client: Client) -> None:
    other = client.other()
    other(b"HELLO", b"3")
    other(b"SUBSCRIBE", b"c")
    other(b"PSUBSCRIBE", b"p*")
    other(b"SSUBSCRIBE", b"s")
    other(b"CLIENT", b"TRACKING", b"ON")
    other(b"GET", b"k")
    assert other.conn.id in rig.node.clients
    forget(other.conn)
    assert other.conn.id not in rig.node.clients
    assert client(b"PUBLISH", b"c", b"m") == client(b"PUBLISH", b"px", b"m") == b":0\r\n"
    assert client(b"PUBSUB", b"NUMPAT") == b":0\r\n"
    assert not rig.node.trackers
    client(b"SET", b"k", b"v")
    assert other.pushed().count(b"invalidate") == 0
    forget(other.conn)
