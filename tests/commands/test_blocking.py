"""Pops that wait: what they answer at once, who is woken by what, who comes first, and that nothing is taken for who is
gone.
"""

import pytest

from .rig import OK, Client, Reference, Rig, array, bulk

NOTHING = b"*-1\r\n"
POPPED = array(bulk(b"z"), bulk(b"a"), bulk(b"1"))


@pytest.fixture
def free(client: Client) -> Client:
    assert client(b"ACL", b"SETUSER", b"default", b"+bzpopmin", b"+bzpopmax", b"+bzmpop", b"+zpopmin", b"+zrem",
                  b"+del") == OK
    return client


STEPS = (
    "ZADD z 1 a 2 b 3 c", "BZPOPMIN z 0", "BZPOPMAX no z 0", "ZRANGE z 0 -1", "BZMPOP 0 2 no z MIN",
    "ZADD z 1 a 2 b 3 c 4 d",
    "BZMPOP 0 2 no z MAX COUNT 2", "BZMPOP 0.01 1 no MIN COUNT 0", "BZMPOP 0.01 0 MIN", "BZMPOP x 1 z MIN",
    "BZMPOP 1 1 z FOO", "BZMPOP -1 1 z MIN",
    "BZPOPMIN z x", "BZPOPMIN z -1", "BZPOPMIN z inf", "BZPOPMIN z 1e300", "BZPOPMIN z nan", "BZPOPMIN z 1e400",
    "BZPOPMIN z 1e5000",
    "BZPOPMIN z 9223372036854775807", "SET s v EX 100", "BZPOPMIN s 0", "BZPOPMIN no s 0",
    "BZPOPMIN z s 0", "BZPOPMIN z 0.5", "MULTI", "BZPOPMIN z 0", "BZPOPMAX z 0", "BZMPOP 0 1 z MIN", "EXEC",
    "BZPOPMIN z", "BZMPOP 0 1 z",
)  # fmt: skip


@pytest.mark.parametrize("hello", [b"2", b"3"])
def test_replies_are_those_of_redis(free: Client, reference: Reference, hello: bytes) -> None:
    reference(b"FLUSHALL")
    free(b"HELLO", hello)
    reference(b"HELLO", hello)
    for step in STEPS:
        words = step.encode().split()
        assert free(*words) == reference(*words), step


def waiting(free: Client, *argv: bytes) -> Client:
    other = free.other()
    assert other(*argv) == b"" and other.conn.session.suspended
    return other


def test_who_waits_is_woken_by_a_write_and_by_a_peers_record(free: Client, rig: Rig) -> None:
    other = waiting(free, b"BZPOPMIN", b"y", b"z", b"10")
    free(b"ZADD", b"x", b"1", b"a")
    assert other.line.woken == 0
    free(b"ZADD", b"z", b"1", b"a", b"2", b"b")
    assert other.line.woken == 1 and other.wake() == POPPED
    assert not rig.node.blocked and rig.node.engine.observer is None
    elsewhere = rig.another().connect()
    elsewhere(b"ZADD", b"w", b"7", b"m")
    late = waiting(free, b"BZMPOP", b"10", b"1", b"w", b"MAX")
    while payload := elsewhere.rig.engine.drain(1 << 20):
        rig.engine.merge(payload, rig.now_ms)
    assert late.line.woken >= 1 and late.wake() == array(bulk(b"w"), array(array(bulk(b"m"), bulk(b"7"))))


def test_a_set_whose_members_all_went_wakes_again(free: Client) -> None:
    free(b"ZADD", b"z", b"1", b"a")
    free(b"ZREM", b"z", b"a")
    other = waiting(free, b"BZPOPMIN", b"z", b"10")
    free(b"ZADD", b"z", b"1", b"a")
    assert other.line.woken == 1 and other.wake() == POPPED


def test_who_waits_longest_comes_first_and_the_others_wait_on(free: Client) -> None:
    one, two = waiting(free, b"BZPOPMIN", b"z", b"10"), waiting(free, b"BZPOPMIN", b"z", b"10")
    free(b"ZADD", b"z", b"1", b"a")
    assert (one.line.woken, two.line.woken) == (1, 1) and list(free.conn.node.blocked[0, b"z"]) == [one.conn, two.conn]
    assert one.wake() == POPPED and two.wake() == b"" and two.conn.session.suspended
    free(b"ZADD", b"z", b"1", b"a")
    assert two.line.woken == 2 and two.wake() == POPPED


def test_its_time_ends_and_counts_from_the_beginning(free: Client) -> None:
    other = waiting(free, b"BZPOPMIN", b"z", b"0.5")
    free.advance(400)
    assert other.wake() == b""
    free.advance(100)
    assert other.wake() == NOTHING and not free.conn.node.blocked
    assert waiting(free, b"BZPOPMIN", b"z", b"0").conn.suspended_until_ms > free.rig.now_ms


def test_another_type_under_the_key_is_waited_out(free: Client) -> None:
    other = waiting(free, b"BZPOPMIN", b"z", b"10")
    free(b"SET", b"z", b"v", b"EX", b"100")
    assert other.wake() == b""
    free(b"DEL", b"z")
    free(b"ZADD", b"z", b"1", b"a")
    assert other.wake() == POPPED


@pytest.mark.parametrize(
    ("words", "reply"), [((), NOTHING), ((b"ERROR",), b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")]
)
def test_client_unblock_ends_it(free: Client, words: tuple[bytes, ...], reply: bytes) -> None:
    other = waiting(free, b"BZPOPMIN", b"z", b"0")
    assert free(b"CLIENT", b"UNBLOCK", b"%d" % other.conn.id, *words) == b":1\r\n"
    assert other.wake() == reply and not free.conn.node.blocked


def test_nothing_is_taken_for_a_client_that_is_gone(free: Client) -> None:
    other = waiting(free, b"BZPOPMIN", b"z", b"0")
    other.line.closed = True
    free(b"ZADD", b"z", b"1", b"a")
    assert other.wake() == b"" and free(b"ZCARD", b"z") == b":1\r\n"
    other.close()
    assert not free.conn.node.blocked


def test_commands_behind_it_wait_for_it(free: Client) -> None:
    other = free.other()
    data = b"*3\r\n$8\r\nBZPOPMIN\r\n$1\r\nz\r\n$1\r\n0\r\n*2\r\n$5\r\nZCARD\r\n$1\r\nz\r\n"
    assert other.raw(data) == b""
    free(b"ZADD", b"z", b"1", b"a", b"2", b"b")
    assert other.wake() == POPPED + b":1\r\n"
