"""What a pause holds back, and what it lets pass."""

from .rig import OK, ZERO, Client, bulk


def test_a_pause_holds_commands_back_until_its_end(client: Client) -> None:
    client(b"SET", b"a", b"1")
    other = client.other()
    assert client(b"CLIENT", b"PAUSE", b"100") == OK
    assert not client.rig.engine.hot_reads and not client.rig.engine.hot_writes
    assert other(b"GET", b"a") == b"" and other.conn.session.suspended
    assert other.conn.suspended_until_ms == client.rig.now_ms + 100
    client.advance(100)
    assert other.wake() == bulk(b"1")


def test_a_pause_of_writes_lets_reads_pass(client: Client) -> None:
    client(b"SET", b"a", b"1")
    other = client.other()
    assert client(b"CLIENT", b"PAUSE", b"100", b"WRITE") == OK
    assert client.rig.engine.hot_reads and not client.rig.engine.hot_writes
    assert other(b"GET", b"a") == bulk(b"1")
    assert other(b"SET", b"a", b"2") == b""
    assert client(b"CLIENT", b"UNPAUSE") == OK
    assert other.line.woken == 1 and client.rig.engine.hot_writes
    assert other.wake() == OK


def test_a_pause_of_writes_holds_messages_back_too(client: Client) -> None:
    """They go to the other nodes as writes do."""
    assert client(b"CLIENT", b"PAUSE", b"100", b"WRITE") == OK
    for name in (b"PUBLISH", b"SPUBLISH"):
        assert client.other()(name, b"channel", b"message") == b""
    queued = client.other()
    assert queued(b"MULTI") + queued(b"PUBLISH", b"channel", b"message") == OK + b"+QUEUED\r\n"
    assert queued(b"EXEC") == b""
    client.advance(100)
    assert queued.wake() == b"*1\r\n" + ZERO
