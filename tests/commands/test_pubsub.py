"""SUBSCRIBE, PUBLISH and PUBSUB."""

import pytest

from respram.config.limits import Limits

from .rig import ONE, ZERO, Client, Reference, array, bulk


def said(word: bytes, name: bytes | None, count: int, mark: bytes = b"*") -> bytes:
    shown = bulk(name) if name is not None else b"$-1\r\n" if mark == b"*" else b"_\r\n"
    return b"%b3\r\n%b%b:%d\r\n" % (mark, bulk(word), shown, count)


def message(*items: bytes, mark: bytes = b"*") -> bytes:
    return b"%b%d\r\n" % (mark, len(items)) + b"".join(map(bulk, items))


@pytest.mark.parametrize(
    "line",
    ["PUBSUB", "PUBSUB CHANNELS", "PUBSUB CHANNELS a b", "PUBSUB NUMSUB a b", "PUBSUB NUMSUB", "PUBSUB NUMPAT",
     "PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB a", "PUBSUB FOO", "PUBLISH a b", "PUBLISH a", "SPUBLISH a b",
     "SUBSCRIBE",
     "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE x"],
)  # fmt: skip
def test_replies_are_those_of_a_real_server(client: Client, reference: Reference, line: str) -> None:
    reference(b"RESET")
    words = line.encode().split()
    assert client(*words) == reference(*words)


def test_every_channel_is_confirmed_with_the_count_so_far(client: Client) -> None:
    expected = said(b"subscribe", b"a", 1) + said(b"subscribe", b"b", 2) + said(b"subscribe", b"a", 2)
    assert client(b"SUBSCRIBE", b"a", b"b", b"a") == expected
    assert client(b"PSUBSCRIBE", b"p*") == said(b"psubscribe", b"p*", 3)
    assert client(b"UNSUBSCRIBE") == said(b"unsubscribe", b"a", 2) + said(b"unsubscribe", b"b", 1)
    assert client(b"PUNSUBSCRIBE", b"p*", b"q") == said(b"punsubscribe", b"p*", 0) + said(b"punsubscribe", b"q", 0)


def test_unsubscribing_from_nothing_is_answered_once(client: Client) -> None:
    assert client(b"UNSUBSCRIBE") == said(b"unsubscribe", None, 0)
    client(b"HELLO", b"3")
    assert client(b"PUNSUBSCRIBE") == said(b"punsubscribe", None, 0, b">")


def test_a_message_reaches_channels_then_patterns(client: Client) -> None:
    listener, third = client.other(), client.other()
    listener(b"SUBSCRIBE", b"news")
    listener(b"PSUBSCRIBE", b"n*", b"x*")
    third(b"HELLO", b"3")
    third(b"SUBSCRIBE", b"news")
    assert client(b"PUBLISH", b"news", b"a\r\nb") == b":3\r\n"
    assert listener.pushed() == message(b"message", b"news", b"a\r\nb") + message(
        b"pmessage", b"n*", b"news", b"a\r\nb"
    )
    assert third.pushed() == message(b"message", b"news", b"a\r\nb", mark=b">")
    assert client(b"PUBLISH", b"nobody", b"x") == ONE
    assert client(b"PUBLISH", b"other", b"x") == ZERO


def test_one_hears_oneself_before_the_reply_as_in_redis_7_0(client: Client, reference: Reference) -> None:
    client(b"HELLO", b"3")
    client(b"SUBSCRIBE", b"c")
    assert client(b"PUBLISH", b"c", b"m") == message(b"message", b"c", b"m", mark=b">") + ONE
    assert client.pushed() == b""


def test_a_resp2_subscriber_may_do_nothing_else(client: Client, reference: Reference) -> None:
    reference(b"RESET")
    for one in (client, reference):
        one(b"SUBSCRIBE", b"c")
    for words in ((b"GET", b"a"), (b"CLIENT", b"ID"), (b"PUBLISH", b"c", b"m")):
        assert client(*words) == reference(*words)
    reference(b"RESET")
    client(b"UNSUBSCRIBE")
    assert client(b"PUBLISH", b"c", b"m") == ZERO


def test_shard_channels_are_channels_of_their_own(client: Client) -> None:
    listener = client.other()
    assert listener(b"SSUBSCRIBE", b"s") == said(b"ssubscribe", b"s", 1)
    assert client(b"PUBLISH", b"s", b"m") == ZERO
    assert client(b"SPUBLISH", b"s", b"m") == ONE
    assert listener.pushed() == message(b"smessage", b"s", b"m")
    assert client(b"PUBSUB", b"SHARDCHANNELS") == array(bulk(b"s"))
    assert client(b"PUBSUB", b"SHARDNUMSUB", b"s") == array(bulk(b"s"), ONE)
    assert client(b"PUBSUB", b"CHANNELS") == array()


def test_pubsub_counts_listeners(client: Client) -> None:
    one, two = client.other(), client.other()
    one(b"SUBSCRIBE", b"a", b"b")
    two(b"SUBSCRIBE", b"a")
    two(b"PSUBSCRIBE", b"p")
    assert client(b"PUBSUB", b"NUMSUB", b"a", b"b", b"c") == array(
        bulk(b"a"), b":2\r\n", bulk(b"b"), ONE, bulk(b"c"), ZERO
    )
    assert client(b"PUBSUB", b"CHANNELS", b"[a]") == array(bulk(b"a"))
    assert client(b"PUBSUB", b"NUMPAT") == ONE


def test_a_connection_that_ends_leaves_nothing_behind(client: Client) -> None:
    listener = client.other()
    listener(b"SUBSCRIBE", b"a")
    listener(b"PSUBSCRIBE", b"a*")
    listener(b"RESET")
    listener(b"SSUBSCRIBE", b"a")
    listener.close()
    node = client.rig.node
    assert client(b"PUBLISH", b"a", b"x") == ZERO
    assert not node.channels and not node.patterns and not node.shard_channels
    assert listener.conn.subscription_bytes == 0 and listener.conn.id not in node.clients


def test_a_listener_that_is_closed_by_a_message_does_not_stop_the_others(client: Client) -> None:
    first, second = client.other(), client.other()
    for one in (first, second):
        one(b"SUBSCRIBE", b"a")
        one(b"PSUBSCRIBE", b"a*")
    first.line.deliver = lambda data: first.close() if first.conn.channels else None  # type: ignore[method-assign]
    client(b"PUBLISH", b"a", b"x")
    assert second.pushed() == message(b"message", b"a", b"x") + message(b"pmessage", b"a*", b"a", b"x")


def test_a_silent_connection_still_hears(client: Client) -> None:
    listener = client.other()
    listener(b"CLIENT", b"REPLY", b"OFF")
    assert listener(b"SUBSCRIBE", b"a") == said(b"subscribe", b"a", 1)
    client(b"PUBLISH", b"a", b"x")
    assert listener.pushed() == message(b"message", b"a", b"x")


def test_subscriptions_are_bounded_and_a_refused_one_changes_nothing(client: Client) -> None:
    client.rig.node.limits = Limits(subscriptions_max=3)
    client(b"SUBSCRIBE", b"a", b"b")
    client.conn.session.proto = 3
    assert client(b"PSUBSCRIBE", b"c", b"d").startswith(b"-ERR too many subscriptions")
    assert client(b"PUBSUB", b"NUMPAT") == ZERO
    assert client(b"SUBSCRIBE", b"a", b"b") == said(b"subscribe", b"a", 2, b">") + said(b"subscribe", b"b", 2, b">")
    assert client(b"SUBSCRIBE", b"c").endswith(b":3\r\n")
