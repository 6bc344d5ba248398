"""Who is told that a key changed, and when."""

import pytest

from respram.catalog import find
from respram.commands.acl_rights import BY_NAME
from respram.commands.acl_user import full_user
from respram.commands.invalidation import remember
from respram.config.limits import Limits
from tests.engine.rig import request

from .rig import NIL, OK, ONE, Client, array, bulk


def invalid(*keys: bytes) -> bytes:
    return b">2\r\n" + bulk(b"invalidate") + array(*map(bulk, keys))


def tracker(client: Client, *options: bytes) -> Client:
    """Another connection, in RESP3, that tracks."""
    other = client.other()
    other(b"HELLO", b"3")
    assert other(b"CLIENT", b"TRACKING", b"on", *options) == OK
    return other


def read(client: Client, *argv: bytes) -> bytes:
    """A read, and what it leaves in the table, whether or not dispatch has seen to that already."""
    caching = client.conn.tracking.caching if client.conn.tracking else None
    reply = client(*argv)
    command = find(argv[0].lower(), b"")
    assert command is not None
    if client.conn.tracking:
        left, client.conn.tracking.caching = client.conn.tracking.caching, caching
        remember(client.conn, command, list(argv))
        client.conn.tracking.caching = left
    return reply


def test_fast_reads_are_remembered_as_all_others_are(client: Client) -> None:
    reader, node = tracker(client), client.rig.node
    before = sum(count for name, count in client.rig.engine.counters().items() if name.startswith("hot_"))
    reader(b"GET", b"k")
    reader(b"MGET", b"a", b"b", b"a")
    reader(b"EXISTS", b"c", b"k")
    reader(b"PING")
    reader(b"SET", b"written", b"1")
    reader(b"GETEX", b"changed", b"EX", b"9")
    after = sum(count for name, count in client.rig.engine.counters().items() if name.startswith("hot_"))
    assert after - before == 6 * client.rig.hot
    assert list(node.tracked) == [b"k", b"a", b"b", b"c"] and all(
        list(one) == [reader.conn.id] for one in node.tracked.values()
    )
    client(b"MSET", b"k", b"1", b"c", b"1", b"other", b"1")
    assert reader.pushed() == invalid(b"k") + invalid(b"c")


def test_what_a_client_changes_itself_it_is_told_behind_the_reply_of_its_change(client: Client) -> None:
    """As Redis does: in a batch too the next reply comes after it."""
    reader, quiet = tracker(client), tracker(client, b"NOLOOP")
    batch = (
        request(b"GET", b"k")
        + request(b"SET", b"k", b"1")
        + request(b"GET", b"k")
        + request(b"SET", b"k", b"2")
        + request(b"ECHO", b"end")
    )
    told = invalid(b"k")
    for one, first in ((reader, b"_\r\n"), (quiet, bulk(b"2"))):
        replies, reply = [first, OK, bulk(b"1"), OK, bulk(b"end")], one.raw(batch)
        if one is quiet:
            assert reply == b"".join(replies)
        else:
            assert reply == b"".join([*replies[:2], told, *replies[2:4], told, replies[4]])
    assert reader.pushed() == b"" and quiet.pushed() == b""


def test_what_a_transaction_reads_is_remembered_and_what_it_changes_is_told(client: Client) -> None:
    reader = tracker(client)
    assert reader.raw(request(b"MULTI") + request(b"EXEC")).endswith(b"*0\r\n")
    for words in ((b"MULTI",), (b"GET", b"k"), (b"SET", b"l", b"1")):
        reader(*words)
    assert reader(b"EXEC") == b"*2\r\n_\r\n" + OK
    assert client.rig.node.tracked.keys() == {b"k"}
    client(b"SET", b"k", b"1")
    assert reader.pushed() == invalid(b"k")


def test_a_reader_is_told_once_that_its_key_changed(client: Client) -> None:
    reader = tracker(client)
    client(b"SET", b"k", b"1")
    assert reader.pushed() == b""
    assert read(reader, b"GET", b"k") == bulk(b"1")
    client(b"SET", b"k", b"2")
    assert reader.pushed() == invalid(b"k")
    client(b"SET", b"k", b"3")
    assert reader.pushed() == b""


def test_a_key_that_was_missing_is_tracked_as_well(client: Client) -> None:
    reader = tracker(client)
    assert read(reader, b"GET", b"k") == b"_\r\n"
    client(b"SETNX", b"k", b"1")
    assert reader.pushed() == invalid(b"k")


@pytest.mark.parametrize(
    "argv",
    [
        (b"ZADD", b"k", b"2", b"m"), (b"ZINCRBY", b"k", b"1", b"m"), (b"HSET", b"k", b"f", b"2"),
        (b"HINCRBY", b"k", b"f", b"1"),
        (b"SADD", b"k", b"n"), (b"SREM", b"k", b"m"),
    ],
    ids=lambda argv: argv[0].decode(),
)  # fmt: skip
def test_a_change_of_a_collection_is_told_as_one_of_a_string(client: Client, argv: tuple[bytes, ...]) -> None:
    client.rig.node.users[b"default"] = client.conn.account = full_user(by_name=BY_NAME)
    client.conn.settle()
    reader = tracker(client)
    client(
        *{b"Z": (b"ZADD", b"k", b"1", b"m"), b"H": (b"HSET", b"k", b"f", b"1"), b"S": (b"SADD", b"k", b"m")}[
            argv[0][:1]
        ]
    )
    read(reader, b"TYPE", b"k")
    read(reader, b"EXISTS", b"k")
    assert client(*argv)[:1] in b":$"
    assert reader.pushed() == invalid(b"k")


def test_every_key_of_a_read_is_tracked(client: Client) -> None:
    reader = tracker(client)
    read(reader, b"MGET", b"a", b"b", b"c")
    client(b"MSET", b"c", b"1", b"a", b"1", b"z", b"1")
    assert reader.pushed() == invalid(b"c") + invalid(b"a")


def test_ones_own_write_is_told_behind_its_reply(client: Client) -> None:
    client(b"HELLO", b"3")
    client(b"CLIENT", b"TRACKING", b"on")
    read(client, b"GET", b"k")
    assert client(b"SET", b"k", b"1") == OK + invalid(b"k")
    read(client, b"GET", b"k")
    transaction = client.raw(b"MULTI\r\nSET k 2\r\nGET k\r\nEXEC\r\n")
    assert transaction == OK + b"+QUEUED\r\n" * 2 + array(OK, bulk(b"2")) + invalid(b"k")
    assert client.pushed() == b""


def test_noloop_spares_the_author(client: Client) -> None:
    reader = tracker(client, b"NOLOOP")
    read(reader, b"GET", b"k")
    assert reader(b"SET", b"k", b"1") == OK
    client(b"SET", b"k", b"2")
    assert reader.pushed() == b""  # as in Redis: its own write took the key out of the table
    read(reader, b"GET", b"k")
    client(b"SET", b"k", b"3")
    assert reader.pushed() == invalid(b"k")


def test_expiry_invalidates_without_any_command(client: Client) -> None:
    reader = tracker(client)
    client(b"SET", b"k", b"1", b"PX", b"50")
    read(reader, b"GET", b"k")
    client.advance(70)
    assert reader.pushed() == invalid(b"k")


def test_a_merge_from_a_peer_invalidates(client: Client) -> None:
    source = client.rig.__class__(type(client.rig.engine)).connect()
    source(b"SET", b"k", b"theirs")
    reader = tracker(client)
    read(reader, b"GET", b"k")
    client.rig.engine.merge(b"".join(source.rig.engine.records(0)), client.rig.now_ms)
    assert reader.pushed() == invalid(b"k")


def test_broadcast_tells_every_change_under_a_prefix(client: Client) -> None:
    reader = tracker(client, b"BCAST", b"PREFIX", b"user:", b"PREFIX", b"q")
    client(b"MSET", b"user:1", b"a", b"other", b"b", b"q", b"c")
    assert reader.pushed() == invalid(b"user:1") + invalid(b"q")
    client(b"SET", b"user:1", b"b", b"PX", b"10")
    reader.pushed()
    client.advance(30)
    assert reader.pushed() == invalid(b"user:1")
    everything = tracker(client, b"BCAST")
    client(b"SET", b"any", b"1")
    assert everything.pushed() == invalid(b"any") and reader.pushed() == b""


def test_optin_tracks_only_what_was_announced(client: Client) -> None:
    reader = tracker(client, b"OPTIN")
    read(reader, b"GET", b"a")
    reader(b"CLIENT", b"CACHING", b"yes")
    read(reader, b"GET", b"b")
    read(reader, b"GET", b"c")
    client(b"MSET", b"a", b"1", b"b", b"1", b"c", b"1")
    assert reader.pushed() == invalid(b"b")


def test_optout_tracks_all_but_what_was_announced(client: Client) -> None:
    reader = tracker(client, b"OPTOUT")
    read(reader, b"GET", b"a")
    reader(b"CLIENT", b"CACHING", b"no")
    read(reader, b"GET", b"b")
    client(b"MSET", b"a", b"1", b"b", b"1")
    assert reader.pushed() == invalid(b"a")


def test_a_redirect_goes_to_a_resp2_subscriber(client: Client) -> None:
    target, reader = client.other(), client.other()
    number = b"%d" % target.conn.id
    target(b"SUBSCRIBE", b"__redis__:invalidate")
    assert reader(b"CLIENT", b"TRACKING", b"on", b"REDIRECT", number) == OK
    assert reader(b"CLIENT", b"GETREDIR") == b":%b\r\n" % number
    read(reader, b"GET", b"k")
    client(b"SET", b"k", b"1")
    assert target.pushed() == array(bulk(b"message"), bulk(b"__redis__:invalidate"), array(bulk(b"k")))
    assert reader.pushed() == b""
    again = (b"CLIENT", b"TRACKING", b"on", b"REDIRECT", number, b"REDIRECT", number)
    assert reader(*again) == b"-ERR A client can only redirect to a single other client\r\n"


def test_a_redirect_to_a_connection_that_ended_is_reported(client: Client) -> None:
    target = client.other()
    number = target.conn.id
    reader = tracker(client, b"REDIRECT", b"%d" % number)
    read(reader, b"GET", b"k")
    target.close()
    client(b"SET", b"k", b"1")
    assert reader.pushed() == b">2\r\n" + bulk(b"tracking-redir-broken") + b":%d\r\n" % number
    assert bulk(b"broken_redirect") in reader(b"CLIENT", b"TRACKINGINFO")
    assert b" flags=tR " in reader(b"CLIENT", b"INFO")


def test_the_table_is_bounded_and_the_forgotten_are_invalidated(client: Client) -> None:
    client.rig.node.limits = Limits(tracked_keys_max=2)
    reader = tracker(client)
    replies = b"".join(read(reader, b"GET", key) for key in (b"a", b"b", b"c"))
    assert replies + reader.pushed() == b"_\r\n" * 3 + invalid(b"a")
    assert list(client.rig.node.tracked) == [b"b", b"c"]
    client(b"CONFIG", b"SET", b"tracking-table-max-keys", b"1")
    assert reader.pushed() == invalid(b"b")


def test_a_reader_that_left_is_skipped(client: Client) -> None:
    first, second = tracker(client), tracker(client)
    for reader in (first, second):
        read(reader, b"GET", b"k")
    first(b"CLIENT", b"TRACKING", b"off")
    assert client(b"SET", b"k", b"1") == OK
    assert first.pushed() == b"" and second.pushed() == invalid(b"k")


def test_counts_stand_in_info(client: Client) -> None:
    reader = tracker(client)
    read(reader, b"MGET", b"a", b"b")
    text = client(b"INFO", b"stats", b"clients")
    assert b"tracking_total_keys:2\r\n" in text and b"tracking_clients:1\r\n" in text
    assert client(b"EXISTS", b"a") == b":0\r\n" and client(b"GET", b"a") == NIL and client(b"INCR", b"a") == ONE
    assert reader.pushed() == invalid(b"a")


def test_a_broadcast_tells_nobody_the_names_of_keys_that_its_user_may_not_read(client: Client) -> None:
    """Redis tells them all. Here the pattern of the user counts, as for a command that reads."""
    for name, rules in ((b"app", (b"~app:*",)), (b"writer", (b"%W~*",)), (b"two", (b"~none", b"(%R~b:* +get)"))):
        assert client(b"ACL", b"SETUSER", name, b"on", b">pw", b"+@all", *rules) == OK
    listeners = {}
    for name in (b"app", b"writer", b"two", b"default"):
        listeners[name] = one = client.other()
        if name != b"default":
            assert one(b"AUTH", name, b"pw") == OK
        one(b"HELLO", b"3")
        assert one(b"CLIENT", b"TRACKING", b"ON", b"BCAST") == OK
    keys = (b"app:1", b"b:1", b"other")
    for key in keys:
        assert client(b"SET", key, b"v") == OK
    heard = {
        name: (said := one.pushed()) and [key for key in keys if bulk(key) in said] for name, one in listeners.items()
    }
    assert heard == {b"default": [*keys], b"app": [b"app:1"], b"writer": b"", b"two": [b"b:1"]}


ORDERED = (
    (b"PUBLISH", b"news", b"1"), (b"SET", b"a", b"1"), (b"PUBLISH", b"news", b"2"), (b"INCR", b"b"),
    (b"SET", b"c", b""), (b"PUBLISH", b"news", b"3"),
)  # fmt: skip
SCRIPT = b" ".join(b"redis.call(%b)" % b",".join(b"'%b'" % word for word in argv) for argv in ORDERED)


@pytest.mark.parametrize("how", ["batch", "transaction", "program", "script", "handed over"])
def test_a_change_is_told_before_what_is_published_after_it(client: Client, how: str) -> None:
    """As in Redis. Who is told by a message that a key has changed would else read what it has kept of it."""
    if how in ("program", "script", "handed over"):
        pytest.importorskip("lupa")
    reader = tracker(client)
    reader(b"SUBSCRIBE", b"news")
    for _ in range(3):
        for key in (b"a", b"b", b"c"):
            read(reader, b"GET", key)
        reader.pushed()
        if how == "batch":
            client.raw(b"".join(request(*argv) for argv in ORDERED))
        elif how == "transaction":
            for argv in ((b"MULTI",), *ORDERED, (b"EXEC",)):
                client(*argv)
        else:
            more = {"program": b"", "script": b"local f = function() end ", "handed over": b"collectgarbage('step') "}
            assert client(b"EVAL", more[how] + SCRIPT + b" return 1", b"3", b"a", b"b", b"c") == ONE
        news = [b">3\r\n" + array(bulk(b"message"), bulk(b"news"), bulk(text))[4:] for text in (b"1", b"2", b"3")]
        assert reader.pushed() == news[0] + invalid(b"a") + news[1] + invalid(b"b") + invalid(b"c") + news[2]


def test_a_script_of_ones_own_is_answered_before_its_changes_are_told(client: Client) -> None:
    pytest.importorskip("lupa")
    own = tracker(client)
    for more in (b"", b"local f = function() end ", b"collectgarbage('step') "):
        read(own, b"GET", b"a")
        text = more + b"redis.call('SET', 'a', 1) redis.call('PUBLISH', 'none', 1) return 1"
        assert own(b"EVAL", text, b"1", b"a") == ONE + invalid(b"a")


@pytest.mark.parametrize(
    "late",
    [(b"SINTERCARD", b"1", b"k"), (b"GET", b"s"), (b"OBJECT", b"ENCODING", b"k"), (b"EVAL", b"return 1", b"0")],
    ids=lambda late: late[0].decode(),
)
def test_no_push_stands_in_the_reply_of_a_transaction(client: Client, late: tuple[bytes, ...]) -> None:
    """A command that is no longer for a fast path ends the engine's part of EXEC; what it changed is told behind it."""
    me = tracker(client)
    me(b"SET", b"k", b"1")
    me(b"SADD", b"s", b"m")
    me(b"GET", b"k")
    assert me(b"MULTI") == OK
    me(b"INCR", b"k")
    me(*late)
    me(b"PING", b"end")
    reply = me(b"EXEC")
    assert reply.startswith(b"*3\r\n:2\r\n") and reply.endswith(bulk(b"end") + invalid(b"k"))
    assert reply.count(b">") == 1 and not me.pushed()


@pytest.mark.parametrize("options", [(), (b"BCAST",)])
def test_a_script_of_its_own_client_is_told_behind_the_reply(client: Client, options: tuple[bytes, ...]) -> None:
    """Also where the engine runs it and asks Python for one command, in the script's protocol."""
    pytest.importorskip("lupa")
    me = tracker(client, *options)
    script = b"redis.call('SET', KEYS[1], ARGV[1]) redis.call('OBJECT', 'ENCODING', KEYS[1]) return 7"
    for number in range(4):
        me(b"GET", b"k")
        assert me(b"EVAL", script, b"1", b"k", b"%d" % number) == b":7\r\n" + invalid(b"k")
        assert not me.pushed()


def test_what_a_script_publishes_to_its_own_client_is_a_push(client: Client) -> None:
    pytest.importorskip("lupa")
    me = tracker(client)
    me(b"SUBSCRIBE", b"ch")
    message = b">3\r\n" + bulk(b"message") + bulk(b"ch") + bulk(b"m")
    for _ in range(4):
        assert me(b"EVAL", b"redis.call('PUBLISH', 'ch', 'm') return 7", b"0") + me.pushed() == message + b":7\r\n"
    assert me(b"CLIENT", b"ID") == b":%d\r\n" % me.conn.id


@pytest.mark.parametrize(
    "argv",
    [
        (b"SINTERCARD", b"2", b"s", b"t"), (b"ZUNION", b"2", b"s", b"t"), (b"ZINTER", b"2", b"s", b"t", b"WITHSCORES"),
        (b"ZDIFF", b"2", b"s", b"t"), (b"ZINTERCARD", b"2", b"s", b"t", b"LIMIT", b"1"), (b"SUNION", b"s", b"t"),
    ],
    ids=lambda argv: argv[0].decode(),
)  # fmt: skip
def test_all_keys_of_a_command_that_counts_them_are_tracked(client: Client, argv: tuple[bytes, ...]) -> None:
    client(b"SADD", b"s", b"a", b"b")
    client(b"SADD", b"t", b"a")
    for key in (b"s", b"t"):
        reader = tracker(client)
        assert not reader(*argv).startswith(b"-")
        client(b"SADD", key, b"new")
        assert reader.pushed() == invalid(key)
        reader.close()
