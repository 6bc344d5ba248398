"""HELLO, AUTH, SELECT, PING, ECHO, QUIT and RESET."""

import pytest

from .rig import NIL, OK, Client, Reference, Rig, bulk

WRONGPASS = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"


def locked(rig: Rig) -> Client:
    """A connection to a node with a password, not authenticated yet."""
    rig.node.password = b"secret"
    return rig.connect()


def test_hello_tells_its_fields_in_the_order_that_clients_expect(client: Client) -> None:
    body = (
        bulk(b"server") + bulk(b"redis") + bulk(b"version") + bulk(b"7.2.4") + bulk(b"proto") + b":%d\r\n"
        + bulk(b"id") + b":%d\r\n" % client.conn.id + bulk(b"mode") + bulk(b"standalone")
        + bulk(b"role") + bulk(b"master") + bulk(b"modules") + b"*0\r\n"
    )  # fmt: skip
    assert client(b"HELLO") == b"*14\r\n" + body % 2
    assert client(b"HELLO", b"3") == b"%7\r\n" + body % 3
    assert client(b"hello") == b"%7\r\n" + body % 3
    assert client(b"HELLO", b"2") == b"*14\r\n" + body % 2


@pytest.mark.parametrize(
    "words",
    [
        (b"HELLO", b"4"), (b"HELLO", b"1"), (b"HELLO", b"x"), (b"HELLO", b"2", b"AUTH", b"a"), (b"HELLO", b"2", b"FOO"),
        (b"HELLO", b"2", b"SETNAME", b"a b"), (b"HELLO", b"3", b"AUTH", b"u", b"p"), (b"HELLO", b"2", b"SETNAME"),
        (b"AUTH", b"p"), (b"AUTH", b"u", b"p"), (b"AUTH", b"default", b"p"), (b"AUTH", b"a", b"b", b"c"),
        (b"SELECT", b"16"), (b"SELECT", b"-1"), (b"SELECT", b"a"), (b"SELECT", b"99999999999"), (b"SELECT", b"15"),
        (b"PING",), (b"PING", b"a"), (b"PING", b"a", b"b"), (b"ECHO", b"a\r\n\0b"), (b"ECHO",),
    ],
    ids=lambda words: b" ".join(words).decode("latin-1"),
)  # fmt: skip
def test_replies_are_those_of_a_real_server(client: Client, reference: Reference, words: tuple[bytes, ...]) -> None:
    reference(b"RESET")
    assert client(*words) == reference(*words)


def test_a_failed_hello_changes_nothing(client: Client) -> None:
    assert client(b"HELLO", b"3", b"SETNAME", b"fine", b"AUTH", b"nobody", b"x") == WRONGPASS
    assert client(b"CLIENT", b"GETNAME") == NIL  # neither the name nor RESP3


def test_hello_authenticates_and_names_in_one_go(rig: Rig) -> None:
    client = locked(rig)
    assert client(b"HELLO", b"3").startswith(b"-NOAUTH HELLO must be called with the client already authenticated")
    assert client(b"HELLO", b"3", b"AUTH", b"default", b"wrong") == WRONGPASS
    assert client(b"HELLO", b"3", b"SETNAME", b"me", b"AUTH", b"default", b"secret").startswith(b"%7\r\n")
    assert client(b"CLIENT", b"GETNAME") == bulk(b"me")


def test_a_locked_node_answers_a_handshake_command_by_command(rig: Rig) -> None:
    client = locked(rig)
    batch = b"AUTH wrong\r\nSELECT 1\r\nPING\r\nAUTH secret\r\nSELECT 1\r\nGET a\r\n"
    assert client.raw(batch) == WRONGPASS + NOAUTH + NOAUTH + OK + OK + NIL


def test_failed_logins_are_counted_and_keep_what_was(rig: Rig) -> None:
    client = locked(rig)
    assert client(b"AUTH", b"default", b"secret") == OK
    assert client(b"AUTH", b"nope") == WRONGPASS
    assert client(b"GET", b"a") == NIL
    assert rig.node.stats.auth_failures == 1


def test_select_separates_the_databases(client: Client) -> None:
    client(b"SET", b"a", b"0")
    assert client(b"SELECT", b"9") == OK
    assert client(b"GET", b"a") == NIL
    assert client(b"SELECT", b"0") == OK
    assert client(b"GET", b"a") == bulk(b"0")


def test_ping_of_a_subscriber_is_an_array_in_resp2_only(client: Client) -> None:
    client(b"SUBSCRIBE", b"c")
    assert client(b"PING") == b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
    assert client(b"PING", b"x") == b"*2\r\n$4\r\npong\r\n$1\r\nx\r\n"
    other = client.other()
    other(b"HELLO", b"3")
    other(b"SUBSCRIBE", b"c")
    assert other(b"PING") == b"+PONG\r\n"
    assert other(b"PING", b"x") == bulk(b"x")


def test_quit_answers_and_executes_nothing_after_it(client: Client) -> None:
    assert client.raw(b"QUIT\r\nSET a 1\r\n") == OK
    assert client.conn.session.closing
    assert client.other()(b"GET", b"a") == NIL


def test_reset_brings_a_connection_back_to_its_beginning(client: Client) -> None:
    for command in (b"HELLO 3 SETNAME me", b"SELECT 5", b"CLIENT TRACKING on", b"CLIENT NO-EVICT on", b"SUBSCRIBE c",
                    b"WATCH a", b"MULTI", b"SET a 1"):  # fmt: skip
        assert not client(*command.split()).startswith(b"-")
    assert client(b"RESET") == b"+RESET\r\n"
    line = client(b"CLIENT", b"INFO")
    assert line.startswith(b"$")  # RESP2 again
    assert b" name= " in line and b" db=0 " in line and b" sub=0 " in line and b" multi=-1 " in line
    assert b" flags=N " in line and b" resp=2 " in line and b" redir=-1 " in line
    assert client(b"GET", b"a") == NIL
    assert client.conn.session.hot or not client.rig.hot


def test_reset_ends_silence_and_is_answered(client: Client) -> None:
    assert client(b"CLIENT", b"REPLY", b"OFF") == b""
    assert client(b"PING") == b""
    assert client(b"RESET") == b"+RESET\r\n"
    assert client(b"PING") == b"+PONG\r\n"


def test_reset_asks_for_the_password_again(rig: Rig) -> None:
    client = locked(rig)
    client(b"AUTH", b"secret")
    client(b"RESET")
    assert client(b"GET", b"a") == NOAUTH
