"""EVAL of a user with key patterns, and of a client that tracks: a fast path as for everybody, with the same rights.

What a script reads is then wiped with all else (tests/server/test_guard.py looks for it).
"""

import pytest

from tests.commands.rig import Client, Rig, request
from tests.engine.conftest import ENGINES

TWICE = b"redis.call('set', KEYS[1], ARGV[1]) return redis.call('get', KEYS[1])"
OTHERS = b"return redis.call('get', 'other')"


@pytest.fixture(params=list(ENGINES))
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(ENGINES[request.param])


def user(rig: Rig, *rules: bytes) -> Client:
    client = rig.connect()
    client(b"ACL", b"SETUSER", b"app", b"on", b"nopass", b"+@all", *rules)
    assert client(b"AUTH", b"app", b"x") == b"+OK\r\n"
    return client


def fast(rig: Rig) -> int:
    counts = rig.engine.counters()
    return counts["hot_eval"] + counts["hot_evalsha"]


def test_a_script_of_a_user_with_patterns_has_a_fast_path_for_the_keys_it_may_write(rig: Rig) -> None:
    client = user(rig, b"~k*", b"%R~r*")
    assert client(b"EVAL", TWICE, b"1", b"k", b"v") == b"$1\r\nv\r\n"
    before = fast(rig)
    for _ in range(3):
        assert client(b"EVAL", TWICE, b"1", b"k", b"v") == b"$1\r\nv\r\n"
    assert fast(rig) == before + 3
    for key in (b"other", b"r"):
        assert client(b"EVAL", TWICE, b"1", key, b"v").startswith(b"-NOPERM"), key
    assert fast(rig) == before + 3 and client(b"EVAL", TWICE, b"2", b"k", b"other").startswith(b"-NOPERM")


def test_inside_a_script_each_command_is_asked_for(rig: Rig) -> None:
    client = user(rig, b"~k*")
    rig.connect()(b"SET", b"other", b"secret")
    for _ in range(3):
        reply = client(b"EVAL", OTHERS, b"1", b"k")
        assert reply.startswith(b"-") and b"secret" not in reply
    limited = user(rig, b"~k*", b"-set")
    for _ in range(3):
        assert limited(b"EVAL", TWICE, b"1", b"k", b"v").startswith(b"-")
    assert limited(b"EXISTS", b"k") == b":0\r\n"


def test_what_a_script_reads_is_tracked(rig: Rig) -> None:
    client, other = rig.connect(), rig.connect()
    client(b"HELLO", b"3")
    client(b"CLIENT", b"TRACKING", b"ON")
    text = b"return redis.call('get', KEYS[1])"
    other(b"SET", b"k", b"v")
    for number in range(3):
        before = fast(rig)
        assert client(b"EVAL", text, b"1", b"k").endswith(b"v\r\n")
        assert fast(rig) == before + (number > 0)
        other(b"SET", b"k", b"v")
        assert client.pushed() == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n", number


def test_a_script_that_writes_what_it_read_is_told_behind_its_reply(rig: Rig) -> None:
    client = rig.connect()
    client(b"HELLO", b"3")
    client(b"CLIENT", b"TRACKING", b"ON")
    text = b"local v = redis.call('get', KEYS[1]) redis.call('set', KEYS[1], 'w') return 'done'"
    replies = [client(b"EVAL", text, b"1", b"k") for _ in range(3)]
    assert len(set(replies)) == 1 and replies[0].startswith(b"$4\r\ndone\r\n"), replies
    assert client.raw(request(b"PING")) == b"+PONG\r\n"
