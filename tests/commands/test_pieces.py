"""A reply that was made in slices and is long leaves in pieces, which nobody joins: in order with all that goes before
and behind it.
"""

import pytest

from respram.commands.dispatch import PIECEWISE_BYTES
from tests.abuse.rig import endure
from tests.commands.rig import Client, Rig, request
from tests.engine.conftest import ENGINES
from tests.live import LiveNode, Wire, running

WIDE = 20_000  # of a key
KEYS = [b"%03d" % number + b"k" * WIDE for number in range(3 * PIECEWISE_BYTES // WIDE)]
MIB = 1 << 20


def filled(engine: str) -> Client:
    rig = Rig(ENGINES[engine], hot=False)
    client = rig.connect()
    for key in KEYS:
        assert client(b"SET", key, b"") == b"+OK\r\n"
    rig.node.micros = iter(range(0, 1 << 60, 200)).__next__
    return client


def whole(client: Client, data: bytes) -> bytes:
    reply = client.raw(data)
    turns = 0
    while client.conn.session.suspended:
        reply += client.wake()
        turns += 1
    assert turns > 2, "it was made in slices"
    return reply


def keys_in(reply: bytes) -> list[bytes]:
    head, _, rest = reply.partition(b"\r\n")
    assert head == b"*%d" % len(KEYS)
    found, at = [], 0
    while at < len(rest):
        found.append(rest[at:].partition(b"\r\n")[2][: len(KEYS[0])])
        at += len(b"$%d\r\n\r\n" % len(KEYS[0])) + len(KEYS[0])
    assert at == len(rest)
    return sorted(found)


@pytest.mark.parametrize("engine", ENGINES)
def test_its_pieces_stand_between_the_replies_before_and_behind(engine: str) -> None:
    client = filled(engine)
    before, behind = b"+PONG\r\n:%d\r\n" % len(KEYS), b"$2\r\nhi\r\n+PONG\r\n"
    reply = whole(client, b"PING\r\nDBSIZE\r\nKEYS *\r\nECHO hi\r\nPING\r\n")
    assert reply.startswith(before) and reply.endswith(behind)
    assert keys_in(reply[len(before) : -len(behind)]) == KEYS
    assert len(client.line.pieces) == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_push_goes_before_it_and_a_silent_client_gets_nothing(engine: str) -> None:
    client = filled(engine)
    other = client.other()
    client(b"HELLO", b"3")
    client(b"CLIENT", b"TRACKING", b"ON")
    client(b"GET", KEYS[0])
    client.raw(b"KEYS *\r\n")
    assert client.conn.session.suspended
    other(b"SET", KEYS[0], b"new")
    reply = b""
    while client.conn.session.suspended:
        reply += client.wake()
    push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%b\r\n" % (len(KEYS[0]), KEYS[0])
    told = client.pushed() + reply
    assert told.count(push) == 1 and keys_in(told.replace(push, b"")) == KEYS
    assert client(b"CLIENT", b"REPLY", b"OFF") == b""
    assert whole(client, b"KEYS *\r\nPING\r\n") == b""
    assert client(b"CLIENT", b"REPLY", b"ON") == b"+OK\r\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_what_another_node_asked_for_comes_as_a_whole(engine: str) -> None:
    """A transport that cannot take pieces says so, and loses none."""
    client = filled(engine)
    client.line.deliver_pieces = lambda pieces: False  # type: ignore[method-assign]
    assert keys_in(whole(client, b"KEYS *\r\n")) == KEYS


@pytest.mark.parametrize("engine", ENGINES)
def test_sixty_mebibytes_of_keys_stop_nobody(engine: str) -> None:
    with running(engine=engine) as node:
        count = 900 if engine == "native" else 90
        wire = fill_with_keys(node, count)

        def attack() -> None:
            for _ in range(8):
                wire.sock.sendall(request(b"KEYS", b"*") + b"PING\r\n")
                left = len(b"*%d\r\n" % count) + count * (len(b"$65536\r\n\r\n") + 65_536) + len(b"+PONG\r\n")
                while left > 7:
                    left -= len(wire.sock.recv(min(left - 7, MIB)))
                assert wire.take(7) == b"+PONG\r\n"

        endure(node, attack)


def fill_with_keys(node: LiveNode, count: int) -> Wire:
    wire = node.connect()
    for number in range(count):
        wire.sock.sendall(request(b"SET", b"%04d" % number + b"k" * (65_536 - 4), b"", b"EX", b"600"))
        assert wire.take(5) == b"+OK\r\n"
    return wire
