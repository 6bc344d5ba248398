"""From a client's number to a deadline: default, cut, overflow."""

import pytest

from respram.commands.connection import forget
from respram.commands.deadlines import deadline_for, expiry_argument, ttl_ms_from
from respram.commands.texts import NOT_AN_INTEGER
from respram.errors import ClientError

from .rig import NOW, Client

WRONG = ClientError(b"ERR wrong")
INT64_MAX = (1 << 63) - 1


def test_no_ttl_means_the_default_one_and_an_implicit_deadline(client: Client) -> None:
    assert _at(client, None) == (NOW + 3_600_000, True)
    assert client.conn.node.stats.ttl_defaulted == 1
    assert _at(client, 1) == (NOW + 1, False)
    assert client.conn.node.stats.ttl_defaulted == 1


def test_a_ttl_is_cut_to_the_maximum_and_counted(client: Client) -> None:
    top = client.conn.node.settings.max_ttl_ms
    assert _at(client, top) == (NOW + top, False)
    assert client.conn.node.stats.ttl_cut == 0
    assert _at(client, top + 1) == (NOW + top, False)
    assert client.conn.node.stats.ttl_cut == 1


def test_settings_count_as_they_stand_now(client: Client) -> None:
    node = client.conn.node
    node.settings = node.settings._replace(default_ttl_ms=5_000, max_ttl_ms=2_000)
    assert _at(client, None) == (NOW + 2_000, True)
    assert _at(client, 3_000) == (NOW + 2_000, False)


def test_units_and_origins_are_removed(client: Client) -> None:
    client.conn.now_ms = NOW
    for seconds, absolute, number, expected in (
        (True, False, b"7", 7_000),
        (False, False, b"7", 7),
        (True, True, b"%d" % (NOW // 1000 + 7), 7_000),
        (False, True, b"%d" % (NOW - 7), -7),
    ):
        assert expiry_argument(client.conn, b"set", number, seconds=seconds, absolute=absolute) == expected


@pytest.mark.parametrize("number", [b"0", b"-1", b"9223372036854775807", b"9223372036854775"])
def test_what_is_not_positive_or_overflows_is_an_invalid_expire_time(client: Client, number: bytes) -> None:
    client.conn.now_ms = NOW
    with pytest.raises(ClientError) as caught:
        expiry_argument(client.conn, b"setex", number, seconds=True, absolute=False)
    assert caught.value.text == b"ERR invalid expire time in 'setex' command"


def test_what_is_no_number_is_told_so(client: Client) -> None:
    for number in (b"x", b"", b"1.5", b"9223372036854775808"):
        with pytest.raises(ClientError) as caught:
            expiry_argument(client.conn, b"set", number, seconds=True, absolute=True)
        assert caught.type is NOT_AN_INTEGER


def test_the_edges_of_64_bits_are_those_of_redis(client: Client) -> None:
    client.conn.now_ms = NOW

    def left(value: int, *, seconds: bool = False, absolute: bool = False) -> int:
        return ttl_ms_from(client.conn, value, seconds=seconds, absolute=absolute, overflow=WRONG)

    assert left(INT64_MAX - NOW) == INT64_MAX - NOW
    assert left(INT64_MAX, absolute=True) == INT64_MAX - NOW
    assert left(-INT64_MAX - 1) == -INT64_MAX - 1
    for value, seconds in ((INT64_MAX - NOW + 1, False), (INT64_MAX // 1000 + 1, True), (-INT64_MAX // 1000 - 1, True)):
        with pytest.raises(ClientError):
            left(value, seconds=seconds)


def _at(client: Client, ttl_ms: int | None) -> tuple[int, bool]:
    client.conn.now_ms = NOW
    return deadline_for(client.conn, ttl_ms)


def test_who_names_no_ttl_is_counted_by_name_and_told_of_once(client: Client) -> None:
    rig = client.rig
    client(b"CLIENT", b"SETNAME", b"constance")
    for _ in range(3):
        client(b"SET", b"setting", b"1")
    client(b"MSET", b"a", b"1", b"b", b"2")
    client(b"SET", b"setting", b"1", b"EX", b"9")
    other = client.other()
    other(b"APPEND", b"new", b"1")
    assert b"ttl_defaulted:6\r\nttl_defaulted_by_client_name:constance=5,unnamed=1\r\n" in client(b"INFO", b"respram")
    told = [line for line in rig.lines if line.startswith("event=ttl_defaulted ")]
    assert told[0] == (
        "event=ttl_defaulted client_name='constance' user='default' writes=5 ttl_s=3600: without a TTL they got the "
        "default"
    )
    client(b"SET", b"setting", b"1")
    other(b"QUIT")
    forget(other.conn)
    assert b"constance=6,unnamed=1\r\n" in client(b"INFO", b"respram")
    assert len([line for line in rig.lines if line.startswith("event=ttl_defaulted ")]) == 2


def test_what_a_transaction_writes_without_a_ttl_is_counted_too(client: Client) -> None:
    client(b"MULTI")
    client(b"SET", b"a", b"1")
    client(b"EXEC")
    assert b"ttl_defaulted_by_client_name:unnamed=1\r\n" in client(b"INFO", b"respram")
