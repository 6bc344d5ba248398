"""Reading and rewriting one key: the events that are owed, the deadline that is kept."""

import pytest

from respram.commands.access import check_length, current, exists, glance, read, rewrite, write
from respram.errors import ClientError

from .rig import NOW, Client


@pytest.fixture
def listener(client: Client) -> Client:
    client(b"CONFIG", b"SET", b"notify-keyspace-events", b"Em")
    client.conn.now_ms = NOW
    other = client.other()
    other(b"SUBSCRIBE", b"__keyevent@0__:keymiss")
    other.pushed()
    return other


def test_reads_that_find_nothing_are_events_and_looks_before_a_write_are_not(client: Client, listener: Client) -> None:
    for look in (current, exists):
        assert not look(client.conn, b"no")
        assert listener.pushed() == b""
    for look in (read, glance):
        assert look(client.conn, b"no") is None
        assert b"keymiss\r\n$2\r\nno\r\n" in listener.pushed()


@pytest.mark.parametrize(
    "command", [b"GET", b"MGET", b"STRLEN", b"EXISTS", b"TTL", b"PTTL", b"TYPE", b"GETEX", b"BITCOUNT"]
)
def test_commands_that_read_announce_a_miss(client: Client, listener: Client, command: bytes) -> None:
    client(command, b"no")
    assert listener.pushed().count(b"keymiss\r\n$2\r\nno\r\n") == 1


def test_only_a_full_look_brings_the_value(client: Client) -> None:
    client(b"SET", b"a", b"value")
    for look, value in ((read, b"value"), (current, b"value"), (glance, b"")):
        entry = look(client.conn, b"a")
        assert entry is not None
        assert (entry.value, entry.length) == (value, 5)


def test_rewriting_keeps_deadline_and_mark_and_writing_does_not(client: Client) -> None:
    conn = client.conn
    conn.now_ms = NOW
    client(b"SET", b"a", b"1", b"PX", b"70")
    rewrite(conn, b"a", current(conn, b"a"), b"2", b"append")
    entry = current(conn, b"a")
    assert entry is not None and (entry.value, entry.deadline_ms, entry.implicit) == (b"2", NOW + 70, False)
    write(conn, b"a", b"3", None, b"set")
    entry = current(conn, b"a")
    assert entry is not None and (entry.value, entry.deadline_ms, entry.implicit) == (b"3", NOW + 3_600_000, True)
    rewrite(conn, b"a", entry, b"4", b"append")
    entry = current(conn, b"a")
    assert entry is not None and (entry.deadline_ms, entry.implicit) == (NOW + 3_600_000, True)
    rewrite(conn, b"new", None, b"4", b"append")
    entry = current(conn, b"new")
    assert entry is not None and entry.implicit


def test_a_length_is_bounded_by_what_one_command_could_send(client: Client) -> None:
    limit = client.conn.node.settings.bulk_bytes_max
    check_length(client.conn, limit)
    with pytest.raises(ClientError, match="maximum allowed size"):
        check_length(client.conn, limit + 1)
