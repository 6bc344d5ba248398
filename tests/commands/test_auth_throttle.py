"""Whoever guesses passwords waits longer and longer; everybody else does not wait."""

import itertools
from itertools import pairwise

from respram.commands import auth_throttle
from respram.commands.auth_throttle import (
    ADDRESSES_MAX,
    DELAY_MS_MAX,
    FREE_FAILURES,
    WAIT_MS_MAX,
    delay_ms,
    note_failure,
    origin,
)

from .rig import OK, Client, Rig, request

WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"


def locked(rig: Rig, address: bytes = b"10.0.0.1:1") -> Client:
    rig.node.password = b"secret"
    client = rig.connect()
    client.conn.address = address
    return client


def fail(rig: Rig, times: int) -> None:
    for _ in range(times):
        client = locked(rig)
        reply = client(b"AUTH", b"wrong")
        while client.conn.session.suspended:
            rig.advance(client.conn.suspended_until_ms - rig.now_ms)
            reply += client.wake()
        assert reply == WRONG


def test_the_delay_grows_and_is_bounded() -> None:
    delays = [delay_ms(failures) for failures in range(100)]
    assert delays == sorted(delays) and delays[FREE_FAILURES - 1] == 0 < delays[FREE_FAILURES]
    assert delays[-1] == DELAY_MS_MAX


def test_some_slips_are_free_and_then_the_address_waits(rig: Rig) -> None:
    started = rig.now_ms
    fail(rig, FREE_FAILURES)
    assert rig.now_ms == started
    fail(rig, 10)
    assert rig.now_ms - started >= sum(delay_ms(FREE_FAILURES + number) for number in range(10))


def test_the_right_password_waits_too_but_is_let_in(rig: Rig) -> None:
    fail(rig, FREE_FAILURES + 3)
    client = locked(rig)
    assert client(b"AUTH", b"secret") == b"" and client.conn.session.suspended
    rig.advance(client.conn.suspended_until_ms - rig.now_ms)
    assert client.wake() == OK


def test_being_woken_early_does_not_help(rig: Rig) -> None:
    fail(rig, FREE_FAILURES + 3)
    client = locked(rig)
    client(b"AUTH", b"wrong")
    assert client.wake() == b"" and client.conn.session.suspended


def test_other_addresses_do_not_wait(rig: Rig) -> None:
    fail(rig, FREE_FAILURES + 10)
    assert locked(rig, b"10.0.0.2:1")(b"AUTH", b"secret") == OK


def test_many_connections_guess_no_faster_than_one(rig: Rig) -> None:
    fail(rig, FREE_FAILURES + 10)
    clients = [locked(rig) for _ in range(50)]
    replies = [client(b"AUTH", b"wrong") for client in clients]
    waiting = [client for client in clients if client.conn.session.suspended]
    assert len(waiting) <= WAIT_MS_MAX // DELAY_MS_MAX + 1
    refused = [reply for reply in replies if reply]
    assert all(reply.startswith(b"-ERR too many failed authentications from this address") for reply in refused)
    slots = sorted(client.conn.suspended_until_ms for client in waiting)
    assert all(later - earlier >= DELAY_MS_MAX for earlier, later in itertools.pairwise(slots))


def test_those_that_wait_push_the_next_ones_further_away(rig: Rig) -> None:
    fail(rig, FREE_FAILURES)
    clients = [locked(rig) for _ in range(20)]
    for client in clients:
        client(b"AUTH", b"wrong")
    slots = [client.conn.suspended_until_ms - rig.now_ms for client in clients if client.conn.session.suspended]
    gaps = [later - earlier for earlier, later in pairwise(slots)]
    assert gaps == sorted(gaps) and gaps[0] < gaps[-1] == DELAY_MS_MAX


def test_a_transaction_full_of_guesses_is_one_guess(rig: Rig) -> None:
    client = locked(rig)
    client(b"AUTH", b"secret")
    batch = b"MULTI\r\n" + request(b"AUTH", b"wrong") * 100 + b"EXEC\r\n"
    reply = client.raw(batch)
    assert reply.count(b"-WRONGPASS") == FREE_FAILURES and reply.count(b"-ERR too many") == 100 - FREE_FAILURES


def test_it_is_forgotten_in_time(rig: Rig) -> None:
    fail(rig, FREE_FAILURES + 10)
    rig.advance(auth_throttle.FORGET_MS + 1)
    assert locked(rig)(b"AUTH", b"secret") == OK


def test_a_success_does_not_clear_the_count(rig: Rig) -> None:
    fail(rig, FREE_FAILURES - 1)
    assert locked(rig)(b"AUTH", b"secret") == OK
    fail(rig, 1)
    assert locked(rig)(b"AUTH", b"secret") == b""


def test_the_memory_of_addresses_is_bounded_and_one_line_is_logged(rig: Rig) -> None:
    client = locked(rig)
    client.conn.now_ms = rig.now_ms
    for number in range(ADDRESSES_MAX + 10):
        client.conn.address = b"10.%d.%d.1:1" % divmod(number, 250)
        note_failure(client.conn)
    assert len(rig.node.guessers) == ADDRESSES_MAX
    fail(rig, FREE_FAILURES + 5)
    assert len([line for line in rig.lines if line.startswith("event=auth_guessing address=10.0.0.1 ")]) == 1
    assert not any("wrong" in line for line in rig.lines)


def test_an_ipv6_network_is_one_place() -> None:
    assert origin(b"[2001:db8::1]:80") == origin(b"[2001:db8:0:0:ffff::9]:81") == b"2001:db8::/64"
    assert origin(b"192.0.2.7:1234") == b"192.0.2.7"
