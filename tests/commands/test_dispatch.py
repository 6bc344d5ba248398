"""The checks that every command passes, in Redis's order; counting, timing, muffling, pushing."""

import gc

import pytest

from respram.catalog.hot import HOT
from respram.commands import running
from respram.commands.node import Conn
from respram.commands.reply import Reply
from respram.errors import ClientError

from .rig import OK, Client, Reference, Rig, bulk, request

OOM = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"


def test_unknown_commands_and_arities_in_redis_words(client: Client, reference: Reference) -> None:
    for argv in (
        [b"NOSUCH"], [b"nosuch", b"a", b"b c"], [b"No\r\nSuch", b"a\r\nb"], [b"NOSUCH", b"x" * 200, b"y"], [b"x" * 200],
        [b"GET"], [b"get", b"a", b"b"], [b"SET", b"a"], [b"CLIENT"], [b"CLIENT", b"NOSUCH"], [b"CLIENT", b""],
        [b"client", b"setname"], [b"CONFIG", b""], [b"OBJECT", b"x\r\ny"], [b""], [b"MGET"], [b"PING", b"a", b"b"],
        [b"EXEC", b"x"], [b"MULTI", b"x"], [b"COMMAND", b""],
    ):  # fmt: skip
        assert client(*argv) == reference(*argv), argv


def test_a_name_alone_is_a_mistake_like_any_other(client: Client) -> None:
    """A fast path may not take an argument for granted: its client would be gone."""
    named = [command.name for command in HOT if command.arity not in (-1, 1)]
    assert len(named) > 40
    for name in named:
        assert client(name) == b"-ERR wrong number of arguments for '%b' command\r\n" % name


def test_what_is_refused_in_multi_spoils_it(client: Client, reference: Reference) -> None:
    for server in (client, reference):
        assert server(b"MULTI") == b"+OK\r\n"
        assert server(b"SET", b"a", b"1") == b"+QUEUED\r\n"
        assert server(b"NOSUCH").startswith(b"-ERR unknown command")
        assert server(b"EXEC") == b"-EXECABORT Transaction discarded because of previous errors.\r\n"
        assert server(b"MULTI") == b"+OK\r\n"
        assert server(b"EXEC", b"x").startswith(
            b"-EXECABORT Transaction discarded because of: wrong number of arguments"
        )
        assert server(b"EXEC") == b"-ERR EXEC without MULTI\r\n"


def test_nothing_but_a_greeting_before_authentication(rig: Rig) -> None:
    rig.node.password = b"secret"
    client = rig.connect()
    for argv in ([b"GET", b"a"], [b"SET", b"a", b"1"], [b"MULTI"], [b"INFO"], [b"CLIENT", b"LIST"]):
        assert client(*argv) == b"-NOAUTH Authentication required.\r\n"
    assert client(b"NOSUCH").startswith(b"-ERR unknown command")
    assert client(b"GET").startswith(b"-ERR wrong number")
    assert client(b"AUTH", b"secret") == b"+OK\r\n"
    assert client(b"GET", b"a") == b"$-1\r\n"


def test_the_order_of_checks_is_memory_before_subscribed_mode_before_queueing(rig: Rig, client: Client) -> None:
    client(b"SUBSCRIBE", b"c")
    text = client(b"GET", b"a")
    assert text == (
        b"-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
        b"context\r\n"
    )
    rig.engine.configure(rig.node.settings._replace(memory_bytes_max=1))
    rig.engine.store(0, b"k", b"v" * 100, rig.now_ms + 1000, False, rig.now_ms, b"set")
    assert client(b"SET", b"a", b"1") == OOM
    other = client.other()
    assert other(b"MULTI") == b"+OK\r\n"
    assert other(b"SET", b"a", b"1") == OOM
    assert other(b"GET", b"k") == b"+QUEUED\r\n"
    assert other(b"EXEC").startswith(b"-EXECABORT")


def test_a_transaction_is_bounded(rig: Rig, client: Client) -> None:
    from dataclasses import replace

    for command, limits in (
        (b"TIME", {"multi_commands_max": 3}),
        (b"PING", {"multi_commands_max": 3, "multi_keys_max": 3}),
    ):
        rig.node.limits = replace(rig.node.limits, **limits)
        client.conn.settle()
        client(b"MULTI")
        for _ in range(3):
            assert client(command) == b"+QUEUED\r\n"
        assert client(command).startswith(b"-ERR too many commands")
        assert client(b"EXEC").startswith(b"-EXECABORT")
    rig.node.limits = replace(rig.node.limits, multi_commands_max=100, multi_bytes_max=1000)
    client(b"MULTI")
    assert client(b"SPUBLISH", b"k", b"x" * 830) == b"+QUEUED\r\n"
    assert client(b"ECHO", b"x" * 20).startswith(b"-ERR too many commands or bytes"), "48 bytes for each argument"


def test_plain_commands_may_be_many_more_than_others(rig: Rig, client: Client) -> None:
    from dataclasses import replace

    rig.node.limits = replace(rig.node.limits, multi_commands_max=3, multi_keys_max=9)
    client(b"MULTI")
    for number in range(7):
        assert client(b"INCR", b"n") == b"+QUEUED\r\n", number
    assert client(b"MGET", b"n", b"n") == b"+QUEUED\r\n"
    assert client(b"EXEC") == b"*8\r\n" + b"".join(b":%d\r\n" % (one + 1)
                                                   for one in range(7)) + b"*2\r\n$1\r\n7\r\n$1\r\n7\r\n"
    client(b"MULTI")
    for _ in range(4):
        assert client(b"INCR", b"n") == b"+QUEUED\r\n"
    assert client(b"TIME").startswith(b"-ERR too many commands"), "with another among them the smaller limit holds"
    assert client(b"EXEC").startswith(b"-EXECABORT")
    assert client(b"GET", b"n") == b"$1\r\n7\r\n"


def test_a_pause_holds_back_what_it_should_and_lets_it_run_later(rig: Rig, client: Client) -> None:
    other = client.other()
    assert other(b"CLIENT", b"PAUSE", b"500", b"WRITE") == b"+OK\r\n"
    assert client(b"GET", b"a") == b"$-1\r\n"
    assert client(b"SET", b"a", b"1") == b""
    assert client.conn.suspended_until_ms == rig.now_ms + 500
    assert client(b"PING") == b""
    client.advance(500)
    assert client.wake() == b"+OK\r\n+PONG\r\n"
    assert rig.node.stats.commands == rig.node.stats.by_command[b"client|pause"].calls + sum(
        stat.calls for name, stat in rig.node.stats.by_command.items() if name != b"client|pause"
    )


def test_replies_off_and_skipped_while_commands_run(client: Client) -> None:
    batch = b"".join(
        request(*argv) for argv in ([b"CLIENT", b"REPLY", b"SKIP"], [b"SET", b"a", b"1"], [b"GET", b"a"],
                                    [b"CLIENT", b"REPLY", b"OFF"], [b"SET", b"a", b"2"], [b"NOSUCH"],
                                    [b"CLIENT", b"REPLY", b"ON"], [b"GET", b"a"])
    )  # fmt: skip
    assert client.raw(batch) == b"$1\r\n1\r\n+OK\r\n$1\r\n2\r\n"


def test_pushes_to_oneself_stand_before_or_behind_the_reply(client: Client) -> None:
    client(b"HELLO", b"3")
    client(b"SUBSCRIBE", b"c")
    client.pushed()
    assert client(b"PUBLISH", b"c", b"m") == b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n:1\r\n"
    assert client.pushed() == b""
    assert client.other()(b"PUBLISH", b"c", b"m") == b":1\r\n"
    assert client.pushed() == b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"


def test_calls_failures_and_times_are_counted(rig: Rig, client: Client) -> None:
    client(b"OBJECT", b"ENCODING", b"a")
    client(b"OBJECT", b"ENCODING", b"a")
    client(b"SETRANGE", b"a", b"-1", b"x")
    stat = rig.node.stats.by_command[b"object|encoding"]
    assert (stat.calls, stat.failed) == (2, 0) and stat.micros > 0
    assert rig.node.stats.by_command[b"setrange"].failed == 1
    assert rig.node.stats.errors[b"ERR"] == 1
    client(b"MULTI")
    client(b"OBJECT", b"ENCODING", b"a")
    client(b"EXEC")
    assert rig.node.stats.by_command[b"object|encoding"].calls == 3
    assert rig.node.stats.commands == 6 - rig.hot, "MULTI is the engine's"


def test_the_kinds_of_errors_counted_are_bounded(rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(10_000))

    def fails(conn: Conn, argv: list[bytes]) -> Reply:
        raise ClientError(b"KIND%d no" % next(numbers))

    monkeypatch.setitem(running.HANDLERS, b"incrbyfloat", fails)
    for _ in range(1000):
        client(b"INCRBYFLOAT", b"a", b"b")
    assert len(rig.node.stats.errors) == rig.node.limits.error_kinds_max


def test_an_error_keeps_nothing_of_its_command_alive(client: Client) -> None:
    gc.collect()
    gc.disable()
    for argv in ([b"SET", b"a", b"1", b"NOSUCHOPTION"], [b"GETRANGE", b"a", b"0"], [b"INCRBYFLOAT", b"a", b"x"]):
        client(*argv)
    kept = [one for one in gc.get_objects() if isinstance(one, ClientError)]
    gc.enable()
    assert not kept


def test_memory_that_cannot_be_had_is_an_error_reply(rig: Rig, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(conn: Conn, argv: list[bytes]) -> Reply:
        raise MemoryError

    monkeypatch.setitem(running.HANDLERS, b"incrbyfloat", fails)
    assert client(b"INCRBYFLOAT", b"a", b"b") == OOM
    assert client(b"PING") == b"+PONG\r\n"


def test_an_http_request_closes_without_a_word(rig: Rig) -> None:
    for word in (b"POST", b"host:"):
        client = rig.connect()
        assert client.raw(word + b" / HTTP/1.1\r\nPING\r\n") == b""
        assert client.conn.session.closing
    assert rig.lines and all("event=http_request" in line for line in rig.lines)


def test_a_node_that_loads_answers_what_redis_answers_then_and_nothing_about_keys(client: Client) -> None:
    other = client.other()
    assert client(b"SET", b"a", b"1") == OK
    assert other(b"MULTI") == OK
    client.rig.node.loading = True
    for one in (client, other):
        one.conn.settle()
    refused = b"-LOADING Redis is loading the dataset in memory\r\n"
    for argv in (
        (b"GET", b"a"),
        (b"SET", b"a", b"2"),
        (b"INCR", b"a"),
        (b"PING",),
        (b"DBSIZE",),
        (b"EXPIRE", b"a", b"9"),
        (b"MGET", b"a"),
    ):
        assert client(*argv) == refused, argv
    assert other(b"INCR", b"a") == refused and other(b"EXEC").startswith(b"-EXECABORT")
    assert client(b"ECHO", b"x") == bulk(b"x") and client(b"SELECT", b"0") == OK
    assert client(b"RESPRAM", b"STATE") == b"+loading\r\n"
    client.rig.node.loaded()
    assert (
        client(b"INCR", b"a") == b":2\r\n"
        and client(b"PING") == b"+PONG\r\n"
        and client.conn.session.hot is client.rig.hot
    )
