"""Replies with many members, made in slices: what they say in both protocols, and that a client's limit holds."""

from dataclasses import replace

import pytest

from respram.commands import collections, dispatch, sets, sorted_ranges

from ..engine.conftest import ENGINES
from .rig import Client, Rig

FEW, COUNT = 50, 700  # members that are told in one go, and members
FIELDS = {b"f%d" % number: b"value %d" % number for number in range(COUNT)}
HALF = {b"f%d" % number for number in range(0, COUNT, 2)}


@pytest.fixture(params=list(ENGINES))
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(dispatch, "SLICE_US", -1)  # others are let in after each slice
    for module in (collections, sets, sorted_ranges):
        monkeypatch.setattr(module, "TOLD_AT_ONCE", FEW)
    client = Rig(ENGINES[request.param], hot=False).connect()
    client(b"HSET", b"h", *(word for pair in FIELDS.items() for word in pair))
    client(b"SADD", b"s", *FIELDS)
    client(b"SADD", b"half", *HALF)
    client(b"ZADD", b"z", *(word for number in range(COUNT) for word in (b"%d.5" % number, b"f%d" % number)))
    return client


def parsed(reply: bytes) -> tuple[bytes, list[bytes]]:
    """The head, and all texts and scores behind it."""
    head, rest = reply.split(b"\r\n", 1)
    lines = rest.split(b"\r\n")[:-1]
    return head, [line.removeprefix(b",") for line in lines if line[:1] not in b"$*"]


def whole(client: Client, *words: bytes) -> bytes:
    """The reply, where another command of another client is answered between two of its slices."""
    reply, slices, other = client(*words), 1, client.other()
    while client.conn.session.suspended:
        assert other(b"PING") == b"+PONG\r\n" and slices < 10 * COUNT
        reply += client.wake()
        slices += 1
    assert slices > 1
    return reply


@pytest.mark.parametrize("proto", [b"2", b"3"])
def test_all_is_told_once(client: Client, proto: bytes) -> None:
    client(b"HELLO", proto)
    is_new = proto == b"3"
    head, found = parsed(whole(client, b"HGETALL", b"h"))
    assert head == (b"%%%d" % COUNT if is_new else b"*%d" % (2 * COUNT))
    assert dict(zip(found[::2], found[1::2], strict=True)) == FIELDS and len(found) == 2 * COUNT
    for command, expected in ((b"HKEYS", [*FIELDS]), (b"HVALS", [*FIELDS.values()])):
        head, found = parsed(whole(client, command, b"h"))
        assert head == b"*%d" % COUNT and sorted(found) == sorted(expected)
    for words, members in (
        ((b"SMEMBERS", b"s"), {*FIELDS}),
        ((b"SUNION", b"half", b"s", b"none"), {*FIELDS}),
        ((b"SINTER", b"s", b"half"), HALF),
        ((b"SDIFF", b"s", b"half", b"none"), {*FIELDS} - HALF),
        ((b"SDIFF", b"s", *(b"none%d" % number for number in range(70)), b"half"), {*FIELDS} - HALF),
    ):
        head, found = parsed(whole(client, *words))
        assert head == b"%b%d" % (b"~" if is_new else b"*", len(members)) and sorted(found) == sorted(members)


@pytest.mark.parametrize("proto", [b"2", b"3"])
@pytest.mark.parametrize("downwards", [False, True])
def test_ranges_are_told_in_order(client: Client, proto: bytes, downwards: bool) -> None:
    client(b"HELLO", proto)
    order = [b"f%d" % number for number in range(COUNT)]
    scores = [b"%d.5" % number for number in range(COUNT)]
    pairs = [part for pair in zip(order, scores, strict=True) for part in pair]
    if downwards:
        order.reverse()
        pairs = [part for pair in zip(order, reversed(scores), strict=True) for part in pair]
    words = (b"REV",) if downwards else ()
    head, found = parsed(whole(client, b"ZRANGE", b"z", b"0", b"-1", *words))
    assert head == b"*%d" % COUNT and found == order
    head, found = parsed(whole(client, b"ZRANGE", b"z", b"0", b"-1", *words, b"WITHSCORES"))
    assert head == (b"*%d" % COUNT if proto == b"3" else b"*%d" % (2 * COUNT)) and found == pairs
    ends = (b"600", b"(100.5") if downwards else (b"(100.5", b"600")
    head, found = parsed(whole(client, b"ZREVRANGEBYSCORE" if downwards else b"ZRANGEBYSCORE", b"z", *ends))
    expected = [b"f%d" % number for number in range(101, 600)]
    assert found == (expected[::-1] if downwards else expected)


@pytest.mark.parametrize("words", [(b"HGETALL", b"h"), (b"SUNION", b"s", b"half"), (b"ZRANGE", b"z", b"0", b"-1")])
def test_a_reply_beyond_what_a_client_may_hold_unread_closes_it(client: Client, words: tuple[bytes, ...]) -> None:
    rig = client.rig
    rig.node.limits = replace(rig.node.limits, output_buffer_bytes_max=3_000)
    greedy = client.other()
    reply = greedy(*words)
    while greedy.conn.session.suspended:
        reply += greedy.wake()
    assert reply == b"" and greedy.conn.session.closing
