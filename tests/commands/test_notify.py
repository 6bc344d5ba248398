"""Keyspace notifications, and the switches that keep observed commands off the fast path."""

import pytest

from respram.commands import notify
from respram.commands.notify import format_classes, parse_classes

from .rig import OK, Client, Reference, bulk


def listen(client: Client, classes: bytes, pattern: bytes = b"__key*") -> Client:
    assert client(b"CONFIG", b"SET", b"notify-keyspace-events", classes) == OK
    listener = client.other()
    listener(b"PSUBSCRIBE", pattern)
    return listener


@pytest.mark.parametrize(
    "letters", ["KEA", "KEAnm", "mnzexE$gK", "g$lshzxetdE", "nE", "g", "", "AKE", "Ex", "KEQ", "xKm"]
)
def test_classes_are_printed_as_redis_prints_them(client: Client, reference: Reference, letters: str) -> None:
    reference(b"RESET")
    name = b"notify-keyspace-events"
    for words in ((b"CONFIG", b"SET", name, letters.encode()), (b"CONFIG", b"GET", name)):
        assert client(*words) == reference(*words)
    reference(b"CONFIG", b"SET", name, b"")


def test_printed_classes_read_back_as_the_same() -> None:
    for flags in range(1 << len(notify.EVENT_LETTERS)):
        hidden = notify.FRESH if flags & notify.ALL_CLASSES == notify.ALL_CLASSES else 0
        assert parse_classes(format_classes(flags)) == flags & ~hidden
    assert parse_classes(b"K\0") is None


def test_a_write_is_told_on_both_kinds_of_channel(client: Client) -> None:
    listener = listen(client, b"KEA")
    client(b"SET", b"k", b"2", b"EX", b"10")
    pattern = b"*4\r\n" + bulk(b"pmessage") + bulk(b"__key*")
    assert listener.pushed() == b"".join(
        pattern + bulk(channel) + bulk(payload)
        for channel, payload in (
            (b"__keyspace@0__:k", b"set"), (b"__keyevent@0__:set", b"k"),
            (b"__keyspace@0__:k", b"expire"), (b"__keyevent@0__:expire", b"k"),
        )
    )  # fmt: skip


def events(client: Client, classes: bytes, *commands: bytes) -> list[bytes]:
    """Names of the events that these commands caused, from the keyevent channels."""
    listener = listen(client, classes, b"__keyevent@*")
    for command in commands:
        assert not client(*command.split()).startswith(b"-"), command
    parts = listener.pushed().split(b"\r\n")
    return [part.split(b":", 1)[1] for part in parts if part.startswith(b"__keyevent@0__:")]


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (b"SET k 1", [b"set"]), (b"SET k 1 EX 10", [b"set", b"expire"]), (b"SETEX k 10 v", [b"set", b"expire"]),
        (b"PSETEX k 9000 v", [b"set", b"expire"]), (b"SETNX n v", [b"set"]), (b"GETSET k v", [b"set"]),
        (b"MSET k v n v", [b"set", b"set"]), (b"MSETNX n 1 o 1", [b"set", b"set"]), (b"INCR k", [b"incrby"]),
        (b"DECRBY k 2", [b"incrby"]), (b"INCRBYFLOAT k 1.5", [b"incrbyfloat"]), (b"APPEND k x", [b"append"]),
        (b"SETRANGE k 1 x", [b"setrange"]), (b"SETBIT k 1 1", [b"setbit"]), (b"EXPIRE k 100", [b"expire"]),
        (b"PEXPIREAT k 1800000100000", [b"expire"]), (b"GETEX k EX 5", [b"expire"]), (b"COPY k n", [b"copy_to"]),
        (b"BITOP NOT n k", [b"set"]), (b"GET k", []), (b"TTL k", []), (b"EXPIRE gone 5", []),
        (b"SET k 2 KEEPTTL", [b"set"]),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)  # fmt: skip
def test_each_command_has_the_events_of_redis(client: Client, command: bytes, names: list[bytes]) -> None:
    client(b"SET", b"k", b"1")
    assert events(client, b"EA", command) == names


def test_a_real_server_tells_the_same_events(client: Client, reference: Reference) -> None:
    """The table above is checked against the server itself: it would be worth little as a memory."""
    commands = [b"SET k 1 EX 10", b"SETEX k 10 v", b"SET k 1", b"DECRBY k 2", b"INCRBYFLOAT k 1.5", b"GETEX k EX 5",
                b"MSET k v n v", b"COPY k c", b"SETBIT k 0 1", b"APPEND k x", b"GETSET k v",
                b"BITOP NOT b k"]  # fmt: skip
    reference(b"RESET")
    reference(b"HELLO", b"3")
    reference(b"CONFIG", b"SET", b"notify-keyspace-events", b"EA")
    reference(b"PSUBSCRIBE", b"__keyevent@*")
    theirs = []
    for command in commands:
        reply = reference(*command.split())
        while reply.startswith(b">"):  # one's own events come before the reply
            theirs.append(reply.split(b"__keyevent@0__:")[1].split(b"\r\n")[0])
            reply = reference._reply()
    for key in (b"k", b"n", b"c", b"b"):
        reply = reference(b"DEL", key)
        while reply.startswith(b">"):
            reply = reference._reply()
    reference(b"CONFIG", b"SET", b"notify-keyspace-events", b"")
    reference(b"RESET")
    assert events(client, b"EA", *commands) == theirs
    assert len(theirs) > len(commands)


def test_new_comes_before_the_first_write_of_a_missing_key(client: Client) -> None:
    assert events(client, b"EAn", b"SET k 1", b"SET k 2") == [b"new", b"set", b"set"]


def test_a_miss_is_told_when_it_is_asked_for(client: Client) -> None:
    assert events(client, b"EAm", b"GET gone", b"SET k 1", b"GET k", b"GET gone") == [b"keymiss", b"set", b"keymiss"]
    assert events(client, b"EA", b"GET gone") == []


def test_expired_is_told_when_the_key_expires_untouched(client: Client) -> None:
    listener = listen(client, b"Ex")
    client(b"SET", b"k", b"1", b"PX", b"100")
    assert listener.pushed() == b""
    client.advance(120)
    assert bulk(b"__keyevent@0__:expired") + bulk(b"k") in listener.pushed()


def test_expired_alone_leaves_the_fast_paths_on(client: Client) -> None:
    engine = client.rig.engine
    for classes, reads, writes in (
        (b"Ex", True, True), (b"KEA", True, False), (b"K$", True, False), (b"Eg", True, False), (b"En", True, False),
        (b"Em", False, True), (b"Exm", False, True), (b"A", True, True), (b"", True, True),
    ):  # fmt: skip
        client(b"CONFIG", b"SET", b"notify-keyspace-events", classes)
        assert (engine.hot_reads, engine.hot_writes) == (reads, writes), classes
        assert (engine.observer is not None) == (b"K" in classes or b"E" in classes), classes


def test_a_low_slow_log_threshold_has_every_command_timed(client: Client) -> None:
    engine = client.rig.engine
    for threshold, fast in ((b"0", False), (b"999", False), (b"1000", True), (b"-1", True)):
        client(b"CONFIG", b"SET", b"slowlog-log-slower-than", threshold)
        assert (engine.hot_reads, engine.hot_writes) == (fast, fast), threshold


def test_databases_and_classes_are_told_apart(client: Client) -> None:
    listener = listen(client, b"Kg")
    client(b"SELECT", b"3")
    client(b"SET", b"k", b"1", b"EX", b"10")
    data = listener.pushed()
    assert bulk(b"__keyspace@3__:k") + bulk(b"expire") in data
    assert bulk(b"set") not in data and b"__keyevent" not in data
