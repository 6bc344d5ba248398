"""What a change costs the loop, however many hear of it: some are told or woken at once, the others in later turns."""

from collections import deque
from collections.abc import Callable

import pytest

from respram.commands import telling
from respram.commands.acl_rights import BY_NAME
from respram.commands.acl_user import full_user
from respram.commands.blocking import KEYS_MAX as WAITED_KEYS_MAX

from .rig import OK, Client, array, bulk
from .test_invalidation import invalid, tracker

MANY = 3 * telling.AT_ONCE
ALL_KEYS = b">2\r\n" + bulk(b"invalidate") + b"_\r\n"


@pytest.fixture
def turns(client: Client) -> "deque[Callable[[], None]]":
    """What is to be done in later turns of the loop."""
    waiting: deque[Callable[[], None]] = deque()
    client.rig.node.soon = waiting.append
    return waiting


def run(turns: "deque[Callable[[], None]]") -> None:
    while turns:
        turns.popleft()()


def heard(clients: list[Client]) -> list[bytes]:
    return [one.pushed() for one in clients]


def test_a_key_that_many_have_read_is_told_to_some_at_once_and_to_all_in_the_end(
    client: Client, turns: "deque[Callable[[], None]]"
) -> None:
    readers = [tracker(client) for _ in range(MANY)]
    for one in readers:
        one(b"MGET", b"k", b"l")
    client(b"MSET", b"k", b"1", b"l", b"1")
    first = heard(readers)
    assert sum(said.count(b"invalidate") for said in first) == telling.AT_ONCE
    run(turns)
    for before, later in zip(first, heard(readers), strict=True):
        assert {key for key in (b"k", b"l") if bulk(key) in before + later} == {b"k", b"l"}
    assert not client.rig.node.untold and not client.rig.node.noted_bytes and not turns
    readers[0](b"GET", b"k")
    client(b"SET", b"k", b"2")
    assert readers[0].pushed() == invalid(b"k")


def test_many_who_hear_of_all_keys_hear_of_each_once(client: Client, turns: "deque[Callable[[], None]]") -> None:
    listeners = [tracker(client, b"BCAST") for _ in range(MANY)]
    keys = [b"k%d" % number for number in range(50)]
    client(b"MSET", *(part for key in keys for part in (key, b"v")))
    assert heard(listeners) == [b""] * MANY
    run(turns)
    assert heard(listeners) == [invalid(*keys)] * MANY
    assert not client.rig.node.gathered


def test_what_is_told_later_is_still_kept_from_its_author_and_from_who_may_not_know(
    client: Client, turns: "deque[Callable[[], None]]"
) -> None:
    assert client(b"ACL", b"SETUSER", b"app", b"on", b"nopass", b"+@all", b"~app:*") == OK
    crowd = [tracker(client, b"BCAST") for _ in range(telling.AT_ONCE)]
    author = tracker(client, b"BCAST", b"NOLOOP")
    limited = client.other()
    limited(b"AUTH", b"app", b"x")
    limited(b"HELLO", b"3")
    limited(b"CLIENT", b"TRACKING", b"ON", b"BCAST")
    author(b"MSET", b"app:1", b"v", b"other", b"v")
    client(b"SET", b"third", b"v")
    run(turns)
    assert crowd[0].pushed() == invalid(b"app:1", b"other", b"third")
    assert author.pushed() == invalid(b"third") and limited.pushed() == invalid(b"app:1")


@pytest.mark.parametrize("broadcast", [True, False])
def test_whoever_would_have_too_much_to_hear_is_told_that_all_may_have_changed(
    client: Client, turns: "deque[Callable[[], None]]", broadcast: bool
) -> None:
    count = telling.KEYS_MAX + 1
    crowd = [tracker(client, *[b"BCAST"] * broadcast) for _ in range(telling.AT_ONCE + 1)]
    keys = [b"k%d" % number for number in range(count)]
    if not broadcast:
        for one in crowd:
            one(b"MGET", *keys)
    client(b"MSET", *(part for key in [*keys, *keys[:1]] for part in (key, b"v")))
    node = client.rig.node
    assert node.noted_bytes <= telling.NOTED_BYTES_MAX + telling.NOTE_BYTES + 10
    heard(crowd)
    run(turns)
    assert crowd[-1].pushed() == ALL_KEYS
    client(b"MSET", b"x" * 600_000, b"1", b"y" * 600_000, b"1", b"z", b"1")
    run(turns)
    assert crowd[-1].pushed() in (ALL_KEYS, b""), "nor does one key of any length"


def test_a_change_is_compared_with_no_prefix_that_it_has_not(client: Client) -> None:
    """300 clients with 128 prefixes each made a SET take 6 ms."""
    for number in range(60):
        prefixes = (part for one in range(128) for part in (b"PREFIX", b"%05d:%03d:" % (number, one)))
        tracker(client, b"BCAST", *prefixes)
    node = client.rig.node
    assert len(node.prefixes) == 60 * 128 and node.prefix_lengths == {10: 60 * 128}
    last = tracker(client, b"BCAST", b"PREFIX", b"0")
    client(b"SET", b"00059:127:x", b"v")
    assert last.pushed() == invalid(b"00059:127:x")
    last(b"CLIENT", b"TRACKING", b"OFF")
    assert node.prefix_lengths == {10: 60 * 128}


def test_of_many_who_wait_for_a_key_some_are_woken_in_each_turn_and_none_for_nothing(
    client: Client, turns: "deque[Callable[[], None]]"
) -> None:
    client.rig.node.users[b"default"] = client.conn.account = full_user(by_name=BY_NAME)
    client.conn.settle()
    waiting = [client.other() for _ in range(4 * telling.WAKES)]
    for one in waiting:
        assert one(b"BZPOPMIN", b"z", b"10") == b""
    client(b"ZADD", b"z", b"1", b"a")
    assert [one.line.woken for one in waiting] == [1] * telling.WAKES + [0] * (3 * telling.WAKES)
    turns.popleft()()
    assert sum(one.line.woken for one in waiting) == 2 * telling.WAKES
    assert waiting[0].wake() == array(bulk(b"z"), bulk(b"a"), bulk(b"1"))
    run(turns)
    assert sum(one.line.woken for one in waiting) == 2 * telling.WAKES and not client.rig.node.ripe
    client(b"ZADD", b"z", b"1", b"a")
    run(turns)
    assert [one.line.woken for one in waiting[1:]] == [2] * (2 * telling.WAKES - 1) + [1] * (2 * telling.WAKES)


def test_nobody_waits_for_more_keys_than_can_be_looked_at(client: Client) -> None:
    client.rig.node.users[b"default"] = client.conn.account = full_user(by_name=BY_NAME)
    client.conn.settle()
    keys = [b"k%d" % number for number in range(WAITED_KEYS_MAX + 1)]
    assert client(b"BZPOPMIN", *keys, b"1").startswith(b"-ERR a client may wait for at most")
    assert not client.rig.node.blocked
    client(b"ZADD", keys[-1], b"1", b"a")
    assert client(b"BZPOPMIN", *keys, b"1").startswith(b"*3\r\n"), "what is there needs no waiting"


# -- keyspace events ----------------------------------------------------------------------------------
def event(key: bytes) -> bytes:
    return b"*4\r\n" + bulk(b"pmessage") + bulk(b"__keyevent*") + bulk(b"__keyevent@0__:set") + bulk(key)


def test_events_of_one_command_are_published_for_a_bounded_time_and_then_in_later_turns(
    client: Client, turns: "deque[Callable[[], None]]"
) -> None:
    """An MSET of 5,000 keys held everybody up for 2 s, where 10,000 patterns listened."""
    listener = client.other()
    listener(b"PSUBSCRIBE", b"__keyevent*")
    assert client(b"CONFIG", b"SET", b"notify-keyspace-events", b"E$") == OK
    keys = [b"k%d" % number for number in range(3_000)]
    client(b"MSET", *(part for key in keys for part in (key, b"v")))
    first = listener.pushed()
    ticks = telling.EVENTS_US // 7 + 1  # a look at this rig's clock takes 7 us
    assert 0 < first.count(b"pmessage") <= ticks, "they were all published in the turn of the command"
    client(b"SET", b"late", b"v")
    assert listener.pushed() == b"", "it comes behind those that wait"
    count = 0
    while turns:
        turns.popleft()()
        some = listener.pushed()
        assert some.count(b"pmessage") <= ticks
        first, count = first + some, count + 1
    assert first == b"".join(map(event, [*keys, b"late"])) and count > 3
    assert not client.rig.node.events_bytes and not client.rig.node.events_us
    client(b"SET", b"k", b"v")
    assert listener.pushed() == event(b"k"), "at once again"


def test_events_that_wait_are_bounded_and_who_makes_more_publishes_the_oldest(
    client: Client, turns: "deque[Callable[[], None]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "EVENTS_US", 0)
    monkeypatch.setattr(telling, "EVENTS_MAX", 10)
    listener = client.other()
    listener(b"PSUBSCRIBE", b"__keyevent*")
    client(b"CONFIG", b"SET", b"notify-keyspace-events", b"E$")
    keys = [b"k%d" % number for number in range(50)]
    for key in keys:
        client(b"SET", key, b"v")
    assert listener.pushed() == b"".join(map(event, keys[:40])) and len(client.rig.node.events) == 10
    monkeypatch.setattr(telling, "EVENTS_BYTES_MAX", 100)
    client(b"SET", b"last", b"v")
    assert client.rig.node.events_bytes <= 100 and listener.pushed().endswith(event(b"k46"))
