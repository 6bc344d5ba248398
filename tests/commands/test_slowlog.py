"""SLOWLOG: what is slow is kept, what is secret is not."""

import pytest

from respram.commands.slowlog import SLOW_ARGS_MAX, SLOW_KEY_BYTES_MAX

from .rig import NOW, OK, Client, Reference, array, bulk


def logging(client: Client) -> Client:
    """Logs every command from now on; each takes 7 microseconds in virtual time."""
    assert client(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0") == OK
    client(b"SLOWLOG", b"RESET")
    return client


def entry(number: int, *argv: bytes, name: bytes = b"") -> bytes:
    return array(b":%d\r\n" % number, b":%d\r\n" % (NOW // 1000), b":7\r\n", array(*map(bulk, argv)),
                 bulk(b"127.0.0.1:50001"), bulk(name))  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["SLOWLOG", "SLOWLOG GET", "SLOWLOG GET -1", "SLOWLOG GET -2", "SLOWLOG GET x", "SLOWLOG GET 1 2", "SLOWLOG LEN",
             "SLOWLOG LEN x", "SLOWLOG RESET", "SLOWLOG FOO"],
)  # fmt: skip
def test_replies_are_those_of_a_real_server(client: Client, reference: Reference, line: str) -> None:
    reference(b"RESET")
    reference(b"SLOWLOG", b"RESET")
    words = line.encode().split()
    assert client(*words) == reference(*words)


def test_nothing_is_logged_below_the_threshold(client: Client) -> None:
    client(b"SET", b"a", b"1", b"EX", b"10", b"GET")
    assert client(b"SLOWLOG", b"LEN") == b":0\r\n"
    client(b"CONFIG", b"SET", b"slowlog-log-slower-than", b"-1")
    client(b"SET", b"a", b"1")
    assert client(b"SLOWLOG", b"LEN") == b":0\r\n"


def test_the_newest_comes_first_with_its_facts(client: Client) -> None:
    logging(client)
    client(b"CLIENT", b"SETNAME", b"me")
    client(b"GET", b"key")
    assert client(b"SLOWLOG", b"GET") == array(
        entry(3, b"GET", b"key", name=b"me"), entry(2, b"CLIENT", b"SETNAME", b"(2 bytes)", name=b"me"),
        entry(1, b"SLOWLOG", b"RESET"),
    )  # fmt: skip
    assert client(b"SLOWLOG", b"GET", b"1").count(b"127.0.0.1") == 1
    assert client(b"SLOWLOG", b"GET", b"-1").count(b"127.0.0.1") == 5


def test_a_command_that_fails_takes_its_time_too(client: Client) -> None:
    client(b"SET", b"word", b"x")
    logging(client)
    assert client(b"INCRBYFLOAT", b"word", b"1").startswith(b"-ERR")
    client(b"MULTI")
    client(b"DECR", b"word")
    client(b"EXEC")
    assert b"INCRBYFLOAT" in client(b"SLOWLOG", b"GET", b"-1")
    assert b"$4\r\nDECR\r\n" in client(b"SLOWLOG", b"GET", b"-1")


def test_no_value_is_ever_kept(client: Client) -> None:
    logging(client)
    client(b"SET", b"key", b"hidden-value", b"EX", b"10")
    client(b"AUTH", b"default", b"hidden-password")
    client(b"MSET", b"a", b"hidden-value", b"b", b"hidden-value")
    client(b"CONFIG", b"SET", b"requirepass", b"hidden-password")
    client(b"SET", b"k" * 1000, b"hidden-value")
    shown = client(b"SLOWLOG", b"GET", b"-1")
    assert b"hidden" not in shown
    assert array(*map(bulk, (b"SET", b"key", b"(12 bytes)", b"(2 bytes)", b"(2 bytes)"))) in shown
    assert bulk(b"k" * SLOW_KEY_BYTES_MAX + b"... (%d more bytes)" % (1000 - SLOW_KEY_BYTES_MAX)) in shown


def test_long_commands_and_long_logs_are_cut(client: Client) -> None:
    logging(client)
    client(b"MSET", *[b"x"] * 100)
    shown = client(b"SLOWLOG", b"GET", b"1")
    assert b"*%d\r\n" % SLOW_ARGS_MAX + bulk(b"MSET") in shown
    assert bulk(b"... (%d more arguments)" % (101 - SLOW_ARGS_MAX + 1)) in shown
    client(b"CONFIG", b"SET", b"slowlog-max-len", b"2", b"slowlog-log-slower-than", b"-1")
    assert len(client.rig.node.slow_log) == 2
    assert client(b"SLOWLOG", b"LEN") == b":2\r\n"
    assert client(b"SLOWLOG", b"HELP").startswith(b"*")


def test_commands_of_a_transaction_are_logged_one_by_one(client: Client) -> None:
    logging(client)
    client.raw(b"MULTI\r\nGET key\r\nEXEC\r\n")
    shown = client(b"SLOWLOG", b"GET", b"-1")
    assert array(*map(bulk, (b"GET", b"key"))) in shown
    assert bulk(b"EXEC") not in shown  # as in Redis: it is the sum of what is shown
