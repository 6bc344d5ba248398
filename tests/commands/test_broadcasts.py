"""Messages to many listeners wait, in order, and are handed over in slices."""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from respram.commands import broadcasts, pubsub
from respram.commands.broadcasts import (
    BROADCAST_BYTES,
    MANY,
    PIECE_BYTES,
    SLICE_US,
    TOGETHER_MAX,
    VISITS,
    WAITING_BYTES_MAX,
    WAITING_MAX,
    WOKEN,
    Broadcasts,
)
from respram.commands.pubsub import publish
from respram.engine.api import LISTENERS_MAX

from .rig import OK, ONE, ZERO, Client, Rig, array, bulk, request


@dataclass(slots=True)
class Proto:
    proto: int = 2


@dataclass(eq=False)
class One:
    """A listener that takes a message in 100 us."""

    loop: "Loop"
    heard: int = 0
    session: Proto = field(default_factory=Proto)
    pieces: list[bytes] = field(default_factory=list)
    woken: int = 0

    @property
    def transport(self) -> "One":
        return self

    def deliver(self, data: bytes) -> None:
        self.loop.now_us += 100
        self.pieces.append(data)

    def hand(self, data: bytes) -> None:
        self.deliver(data)

    def wake(self) -> None:
        self.woken += 1

    @property
    def texts(self) -> list[str]:
        words = b"".join(self.pieces).split(b"\r\n")
        return [word.decode() for word in words if word.startswith(b"m")]


class Loop:
    def __init__(self) -> None:
        self.now_us = 0
        self.due: list[Callable[[], None]] = []
        self.told: list[bool] = []
        self.sent: Broadcasts[One] = Broadcasts(self.due.append, lambda: self.now_us, self.told.append)

    def turn(self) -> None:
        for work in [self.due.pop(0) for _ in range(len(self.due))]:
            work()

    def listeners(self, count: int) -> dict[One, int]:
        return {One(self): self.sent.last for _ in range(count)}

    def publish(self, listeners: dict[One, int], text: str) -> None:
        self.sent.add([(listeners, b"1\r\n")], b"$%d\r\n%b\r\n" % (len(text), text.encode()))
        self.sent.begin()


def test_a_turn_has_time_for_some_and_the_others_follow() -> None:
    loop = Loop()
    listeners = loop.listeners(100)
    loop.publish(listeners, "m1")
    assert loop.told == [True] and not any(one.pieces for one in listeners), "nothing in the publisher's turn"
    turns = 0
    while loop.sent.waiting:
        before = sum(len(one.pieces) for one in listeners)
        loop.turn()
        turns += 1
        assert sum(len(one.pieces) for one in listeners) - before <= SLICE_US // 100 + VISITS
    assert turns >= 100 * 100 // SLICE_US and loop.told == [True, False] and not loop.due and not loop.sent.bytes
    assert [one.texts for one in listeners] == [["m1"]] * 100


def test_what_waits_for_one_listener_goes_in_one_piece_and_in_order() -> None:
    loop = Loop()
    everybody = loop.listeners(50)
    some = dict(list(everybody.items())[10:20])
    for number in range(TOGETHER_MAX):
        loop.publish(some if number % 3 == 1 else everybody, f"m{number:03}")
    while loop.sent.waiting:
        loop.turn()
    for one in everybody:
        wanted = [f"m{number:03}" for number in range(TOGETHER_MAX) if one in some or number % 3 != 1]
        assert one.texts == wanted and len(one.pieces) == 1


def test_who_came_later_or_left_hears_nothing_and_who_asks_hears_at_once() -> None:
    loop = Loop()
    listeners = loop.listeners(3)
    first, leaving, asking = listeners
    loop.publish(listeners, "m1")
    late = One(loop)
    listeners[late] = loop.sent.last
    loop.publish(listeners, "m2")
    del listeners[leaving]
    loop.sent.hear(asking)
    assert asking.texts == ["m1", "m2"] and not first.pieces
    loop.sent.hear(asking)
    loop.turn()
    assert (first.texts, late.texts, leaving.texts) == (["m1", "m2"], ["m2"], [])
    assert asking.texts == ["m1", "m2"] and not loop.sent.waiting


def test_frames_are_in_the_protocol_of_their_listener() -> None:
    loop = Loop()
    listeners = loop.listeners(2)
    old, new = listeners
    new.session.proto = 3
    loop.publish(listeners, "m1")
    loop.turn()
    assert (old.pieces, new.pieces) == ([b"*1\r\n$2\r\nm1\r\n"], [b">1\r\n$2\r\nm1\r\n"])


def test_a_listener_whose_delivery_fails_stops_nobody() -> None:
    loop = Loop()
    listeners = loop.listeners(3)
    faulty = list(listeners)[1]

    def deliver(data: bytes) -> None:
        raise RuntimeError

    faulty.deliver = deliver  # type: ignore[method-assign]
    loop.publish(listeners, "m1")
    with pytest.raises(RuntimeError):
        loop.turn()
    loop.turn()
    assert [one.texts for one in listeners] == [["m1"], [], ["m1"]] and not loop.sent.waiting


def test_publishers_wait_for_room_and_are_woken_a_few_at_a_time() -> None:
    loop = Loop()
    listeners, publishers = loop.listeners(1), [One(loop) for _ in range(3 * WOKEN)]
    while not loop.sent.is_full():
        loop.publish(listeners, "m1")
    assert len(loop.sent.waiting) == WAITING_MAX
    loop.sent.publishers.update(dict.fromkeys(publishers))
    for turn in range(1, 4):
        loop.turn()
        assert sum(one.woken for one in publishers) == turn * WOKEN
    loop.turn()
    assert loop.told == [True, False] and all(one.woken == 1 for one in publishers)
    loop.publish(listeners, "m" * WAITING_BYTES_MAX)
    assert loop.sent.is_full() and not loop.sent.is_closed()
    for _ in range(3):
        loop.publish(listeners, "m" * WAITING_BYTES_MAX)
    assert loop.sent.is_closed()


def test_what_one_listener_gets_is_made_piece_by_piece() -> None:
    """500 ways of one message of 100,000 bytes would be 50 MB."""
    loop = Loop()
    (one,) = listeners = loop.listeners(1)
    loop.sent.add([(listeners, b"2\r\n$3\r\n%03d\r\n" % way) for way in range(500)], b"$6\r\nm%05d\r\n" % 1)
    assert loop.sent.bytes < 500 * (BROADCAST_BYTES + 20) + 100
    loop.sent.add([(listeners, b"1\r\n")] * 500, b"$100000\r\n%b\r\n" % (b"m" * 100_000))
    assert loop.sent.bytes < 1000 * (BROADCAST_BYTES + 20) + 100_100, "the message is kept once"
    loop.sent.begin()
    loop.sent.hear(one)
    assert max(map(len, one.pieces)) < PIECE_BYTES + 100_100 and len(one.pieces) == 500
    assert one.texts[:500] == ["m00001"] * 500 and len(one.texts) == 1000
    loop.publish(listeners, "m2")
    loop.sent.add([(listeners, b"1\r\n")] * 500, b"$100000\r\n%b\r\n" % (b"m" * 100_000))
    one.pieces.clear()
    while loop.sent.waiting:
        loop.turn()
    assert max(map(len, one.pieces)) < PIECE_BYTES + 100_100 and len(one.texts) == 501 and not loop.sent.bytes


# -- with commands ------------------------------------------------------------------------------------
Turns = deque[Callable[[], None]]
COUNT = max(MANY, LISTENERS_MAX) + 1


@pytest.fixture
def turns(client: Client) -> Turns:
    """What the node wants to do in the loop's next turns."""
    due: Turns = deque()
    client.rig.node.soon = due.append
    return due


def run(turns: Turns) -> None:
    while turns:
        turns.popleft()()


def crowd(client: Client, *words: bytes, proto: bytes = b"2", count: int = COUNT) -> list[Client]:
    clients = [client.other() for _ in range(count)]
    for one in clients:
        one(b"HELLO", proto)
        one(*words)
    return clients


def message(*items: bytes, mark: bytes = b"*") -> bytes:
    return b"%b%d\r\n" % (mark, len(items)) + b"".join(map(bulk, items))


def texts(data: bytes) -> list[bytes]:
    return [word for word in data.split(b"\r\n") if word.startswith(b"m") and word[1:].isdigit()]


def test_publish_counts_all_and_hands_over_later(client: Client, turns: Turns) -> None:
    listeners = crowd(client, b"SUBSCRIBE", b"ch")
    new = crowd(client, b"PSUBSCRIBE", b"c*", proto=b"3", count=2)
    assert client(b"PUBLISH", b"ch", b"m1") == b":%d\r\n" % (COUNT + 2)
    assert not any(one.pushed() for one in (*listeners, *new))
    run(turns)
    assert {one.pushed() for one in listeners} == {message(b"message", b"ch", b"m1")}
    assert {one.pushed() for one in new} == {message(b"pmessage", b"c*", b"ch", b"m1", mark=b">")}
    assert client.rig.engine.hear is None


def test_a_message_to_few_goes_behind_those_to_many(client: Client, turns: Turns) -> None:
    listeners = crowd(client, b"SUBSCRIBE", b"ch", b"few")
    for one in listeners[1:]:
        one(b"UNSUBSCRIBE", b"few")
    sharded = client.other()
    sharded(b"SSUBSCRIBE", b"few")
    client.raw(b"".join(request(*words) for words in (
        (b"PUBLISH", b"ch", b"m1"), (b"PUBLISH", b"few", b"m2"), (b"SPUBLISH", b"few", b"m3"),
    )))
    assert not listeners[0].pushed() and not sharded.pushed()
    run(turns)
    assert texts(listeners[0].pushed()) == [b"m1", b"m2"] and texts(sharded.pushed()) == [b"m3"]
    client(b"PUBLISH", b"few", b"m4")
    assert texts(listeners[0].pushed()) == [b"m4"], "nothing waits any more: at once"


@pytest.mark.parametrize("words", [(b"PING",), (b"UNSUBSCRIBE", b"ch"), (b"RESET",), (b"QUIT",), (b"SUBSCRIBE", b"ch")])
def test_replies_to_own_commands_go_behind_what_was_published_before(
    client: Client, turns: Turns, words: tuple[bytes, ...]
) -> None:
    listeners = crowd(client, b"SUBSCRIBE", b"ch")
    client.raw(request(b"PUBLISH", b"ch", b"m1") + request(b"PUBLISH", b"ch", b"m2"))
    one = listeners[-1]
    assert one(*words) and texts(one.pushed()) == [b"m1", b"m2"]
    client(b"PUBLISH", b"ch", b"m3")
    run(turns)
    stays = words[0] in (b"PING", b"SUBSCRIBE", b"QUIT")
    assert texts(one.pushed()) == ([b"m3"] if stays else [])


def test_a_subscriber_of_protocol_3_reads_behind_what_was_published_before(client: Client, turns: Turns) -> None:
    listeners = crowd(client, b"SUBSCRIBE", b"ch", proto=b"3")
    client.raw(request(b"PUBLISH", b"ch", b"m1"))
    assert listeners[3](b"SET", b"k", b"v", b"EX", b"60") == OK
    assert texts(listeners[3].pushed()) == [b"m1"]


def test_a_publisher_hears_itself_in_front_of_its_reply(client: Client, turns: Turns) -> None:
    listeners = crowd(client, b"SUBSCRIBE", b"ch", proto=b"3")
    own = b"%b:%d\r\n"
    sent = listeners[0].raw(request(b"PUBLISH", b"ch", b"m1") + request(b"PUBLISH", b"ch", b"m2"))
    first, second = (own % (message(b"message", b"ch", text, mark=b">"), COUNT) for text in (b"m1", b"m2"))
    assert sent == first + second
    run(turns)
    assert not listeners[0].pushed() and texts(listeners[1].pushed()) == [b"m1", b"m2"]


@pytest.mark.parametrize("words", [(b"UNSUBSCRIBE",), (b"SUBSCRIBE", b"other"), (b"RESET",), (b"PUNSUBSCRIBE",)])
def test_events_of_own_fast_reads_are_heard_whatever_follows_them(
    client: Client, turns: Turns, words: tuple[bytes, ...]
) -> None:
    """Fields that a fast read finds expired make an event, which is told before the next command that is not fast."""
    client(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
    channel = b"__keyspace@0__:h"
    one = crowd(client, b"SUBSCRIBE", channel, proto=b"3", count=MANY)[0]
    one(b"PSUBSCRIBE", b"nothing*")
    client(b"HSET", b"h", b"f", b"v", b"g", b"w")
    client(b"EXPIRE", b"h", b"60", b"NX")
    client(b"HPEXPIRE", b"h", b"1", b"FIELDS", b"1", b"f")
    run(turns)
    one.pushed()
    client.rig.now_ms += 1000  # nothing is destroyed but by who looks
    read = one.raw(request(b"HGET", b"h", b"f") + request(*words)) + one.pushed()
    run(turns)
    assert (read + one.pushed()).count(b"hexpired") == 1
    told = read.index(b"hexpired")
    assert told < read.index(b"+RESET" if words[0] == b"RESET" else words[0].lower())


@pytest.mark.parametrize("filled", [0, WAITING_MAX - 10, WAITING_MAX + 10])
def test_a_transactions_message_does_not_overtake_an_event_of_it(client: Client, turns: Turns, filled: int) -> None:
    client(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA")
    listeners = crowd(client, b"SUBSCRIBE", b"__keyspace@0__:k", b"ch")
    client(b"MULTI")
    for number in range(filled):
        client(b"PUBLISH", b"ch", b"m%d" % number)
    client(b"EXEC")
    client(b"MULTI")
    client(b"SET", b"k", b"v", b"EX", b"60")
    client(b"PUBLISH", b"ch", b"m9999")
    client(b"EXEC")
    run(turns)
    for one in listeners:
        pushed = one.pushed()
        assert 0 <= pushed.index(b"\r\nset\r\n") < pushed.index(b"m9999")
        assert len(texts(pushed)) == filled + 1


def test_who_publishes_too_much_to_itself_is_closed(client: Client, turns: Turns) -> None:
    node, one = client.rig.node, crowd(client, b"SUBSCRIBE", b"ch", proto=b"3")[0]
    node.limits = replace(node.limits, pubsub_output_bytes_max=100_000, pubsub_output_soft_bytes_max=100_000)
    one(b"MULTI")
    for _ in range(50):
        one(b"PUBLISH", b"ch", b"m" * 10_000)
    one(b"EXEC")
    assert one.conn.session.closing and not one.conn.pushed_bytes and not one.conn.pushes_before
    assert node.stats.output_limit_disconnections == 1
    assert sum("event=output_limit" in line for line in client.rig.lines) == 1


@pytest.mark.parametrize("count", [1, COUNT], ids=["few", "many"])
def test_nothing_overtakes_what_a_script_has_said_to_its_client_before_it_gives_way(
    client: Client, turns: Turns, count: int
) -> None:
    one = crowd(client, b"SUBSCRIBE", b"ch", proto=b"3", count=count)[0]
    client(b"CONFIG", b"SET", b"lua-time-limit", b"1", b"script-time-max", b"1000")
    said = one(b"EVAL", b"redis.call('PUBLISH', 'ch', 'm1') while true do end", b"0")
    assert one.conn.session.suspended, "it gives way"
    said += one.pushed()
    assert publish(client.rig.node, b"ch", b"m2") == count
    run(turns)
    said += one.pushed()
    assert client(b"SCRIPT", b"KILL") == OK
    said += one.wake()
    assert texts(said) == [b"m1", b"m2"] and said.index(b"m2") < said.index(b"-ERR Script killed")


def test_what_a_client_that_listens_to_nothing_tells_itself_is_bounded_as_replies_are(client: Client) -> None:
    """Invalidations of the keys that it has read and writes in one command."""
    node, one, names = client.rig.node, client.other(), [b"k%05d" % number for number in range(2_000)]
    node.limits = replace(node.limits, pubsub_output_bytes_max=64 << 10, pubsub_output_soft_bytes_max=64 << 10)
    one(b"HELLO", b"3")
    one(b"CLIENT", b"TRACKING", b"ON")
    one(b"MGET", *names)
    said = one(b"MSET", *(word for name in names for word in (name, b"v"))) + one.pushed()
    assert said.count(b"invalidate") == len(names) and not one.conn.session.closing


def test_an_invalidation_goes_behind_a_message(client: Client, turns: Turns) -> None:
    listeners = crowd(client, b"SUBSCRIBE", b"ch", proto=b"3")
    one = listeners[0]
    one(b"CLIENT", b"TRACKING", b"ON")
    one(b"GET", b"k")
    client(b"PUBLISH", b"ch", b"m1")
    client(b"SET", b"k", b"v", b"EX", b"60")
    pushed = one.pushed()
    assert 0 <= pushed.index(b"m1") < pushed.index(b"invalidate")


def test_a_transaction_and_a_script_publish_in_order(client: Client, turns: Turns) -> None:
    listeners = crowd(client, b"SUBSCRIBE", b"ch")
    client(b"MULTI")
    client(b"PUBLISH", b"ch", b"m1")
    client(b"PUBLISH", b"ch", b"m2")
    assert client(b"EXEC") == array(b":%d\r\n" % COUNT, b":%d\r\n" % COUNT)
    client(b"EVAL", b"return redis.call('PUBLISH', 'ch', 'm3')", b"0")
    run(turns)
    assert {tuple(texts(one.pushed())) for one in listeners} == {(b"m1", b"m2", b"m3")}


def test_a_publisher_waits_when_too_many_messages_wait(client: Client, turns: Turns) -> None:
    listeners = crowd(client, b"SUBSCRIBE", b"ch")
    answer = b":%d\r\n" % COUNT
    sent = b"".join(request(b"PUBLISH", b"ch", b"m%d" % number) for number in range(WAITING_MAX + 2))
    assert client.raw(sent) == answer * WAITING_MAX and client.conn.session.suspended
    shard = client.other()
    shard(b"SPUBLISH", b"nobody", b"m")
    assert shard.conn.session.suspended, "also where nobody listens: who knows before"
    while not client.line.woken:
        turns.popleft()()
    assert client.wake() == answer * 2 and shard.wake() == ZERO
    run(turns)
    for one in listeners:
        assert texts(one.pushed()) == [b"m%d" % number for number in range(WAITING_MAX + 2)]


def test_who_cannot_wait_is_refused_in_the_end_and_events_are_dropped(
    client: Client, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "ALL_MAX", WAITING_MAX + 2)
    listeners = crowd(client, b"SUBSCRIBE", b"ch")
    client.raw(request(b"PUBLISH", b"ch", b"m0") * WAITING_MAX)
    client.raw(request(b"MULTI") + request(b"PUBLISH", b"ch", b"m1") * 3)
    reply = client(b"EXEC")
    assert reply.count(b":%d\r\n" % COUNT) == 2 and reply.count(b"-ERR too many messages wait") == 1
    assert publish(client.rig.node, b"ch", b"m2") == 0
    assert b"pubsub_messages_dropped:1\r\n" in client.other()(b"INFO", b"stats")
    run(turns)
    assert {tuple(texts(one.pushed())) for one in listeners} == {(b"m0",) * WAITING_MAX + (b"m1", b"m1")}


def test_a_listener_that_is_gone_costs_nothing(client: Client, turns: Turns) -> None:
    listeners = crowd(client, b"SUBSCRIBE", b"ch")
    client(b"PUBLISH", b"ch", b"m1")
    for one in listeners[:-1]:
        one.close()
    run(turns)
    assert texts(listeners[-1].pushed()) == [b"m1"] and not client.rig.node.broadcasts.waiting
    assert client(b"PUBLISH", b"ch", b"m2") == ONE


def test_one_client_with_thousands_of_matching_patterns(client: Client, turns: Turns) -> None:
    listener = client.other()
    patterns = [b"c" + b"*" * (number % 7) + b"h" + b"*" * (number // 7 + 1) for number in range(70)]
    listener(b"PSUBSCRIBE", *patterns)
    count = len(set(patterns))
    assert client(b"PUBLISH", b"ch", b"m1") == b":%d\r\n" % count
    run(turns)
    pushed = listener.pushed()
    assert texts(pushed) == [b"m1"] * count and len(listener.line.out) == 0
    at = [pushed.index(bulk(pattern)) for pattern in dict.fromkeys(patterns)]
    assert len(set(at)) == count


@pytest.mark.parametrize("seed", range(6))
def test_each_client_reads_what_it_would_read_if_all_were_sent_at_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The same commands of 12 clients at two nodes, of which one hands messages over in turns that come by chance."""
    chance, now = random.Random(seed), rig.another()
    turns: Turns = deque()
    rig.node.soon = turns.append
    channels, pattern = [b"a", b"b", b"ab"], b"a*"  # in which order several patterns are told is nobody's promise
    sides = [(side, [side.connect() for _ in range(12)]) for side in (rig, now)]
    read: list[list[bytes]] = [[b""] * 12, [b""] * 12]
    for number in range(600):
        who, name, word = chance.randrange(12), chance.choice(channels), b"m%d" % number
        argv = chance.choice([
            [b"SUBSCRIBE", name], [b"UNSUBSCRIBE", name], [b"PSUBSCRIBE", pattern],
            [b"PUNSUBSCRIBE", pattern], [b"SSUBSCRIBE", name], [b"SUNSUBSCRIBE", name], [b"UNSUBSCRIBE"],
            [b"PING"], [b"RESET"], [b"HELLO", chance.choice([b"2", b"3"])], [b"SET", name, word, b"EX", b"60"],
            [b"GET", name], [b"CLIENT", b"TRACKING", b"ON"], [b"MULTI"], [b"EXEC"],
            *([[b"PUBLISH", name, word]] * 9), *([[b"SPUBLISH", name, word]] * 3),
            [b"EVAL", b"return redis.call('PUBLISH', KEYS[1], ARGV[1])", b"1", name, word],
        ])
        slow, some = chance.random() < 0.5, chance.randrange(4)
        for place, (_, clients) in enumerate(sides):
            monkeypatch.setattr(pubsub, "MANY", 10**9 if place else 3)
            client = clients[who]
            read[place][who] += client.pushed()
            client.conn.settle()
            client.conn.session.hot = client.conn.session.hot and not slow
            reply = client(*argv)
            read[place][who] += client.pushed() + reply
        for _ in range(min(some, len(turns)) if len(rig.node.broadcasts.waiting) < WAITING_MAX // 2 else 10**6):
            if turns:
                turns.popleft()()
    run(turns)
    for place, (_, clients) in enumerate(sides):
        for who, client in enumerate(clients):
            read[place][who] += client.pushed()
    for late, at_once in zip(*read, strict=True):
        same = next((at for at, (one, other) in enumerate(zip(late, at_once, strict=False)) if one != other), None)
        assert late == at_once, (late[(same or 0) - 200 :][:300], at_once[(same or 0) - 200 :][:300])
    assert sum(stream.count(b"message") for stream in read[0]) > 50
