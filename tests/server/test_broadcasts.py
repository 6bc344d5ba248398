"""Messages to many clients leave in slices, and nothing overtakes them."""

import re
import time
from collections.abc import Iterator

import pytest

from respram.commands.broadcasts import MANY, WAITING_MAX
from respram.engine.api import LISTENERS_MAX
from tests.engine.conftest import PURE_ONLY
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, Wire, running

ENGINES = ["pure"] if PURE_ONLY else ["native", "pure"]
COUNT = 10 * MANY
assert COUNT == 640 > LISTENERS_MAX


@pytest.fixture(params=ENGINES)
def node(request: pytest.FixtureRequest) -> Iterator[LiveNode]:
    with running(engine=request.param) as node:
        yield node


def text(number: int, size: int) -> bytes:
    return (b"%d " % number).ljust(size, b"-")


def message(number: int, size: int) -> bytes:
    return b"*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$%d\r\n%b\r\n" % (size, text(number, size))


@pytest.mark.parametrize("size", [10, 1000])
def test_many_subscribers_hear_all_in_order_and_their_own_replies_behind_it(node: LiveNode, size: int) -> None:
    wires = [node.connect() for _ in range(COUNT)]
    for wire in wires:
        wire.sock.sendall(request(b"SUBSCRIBE", b"ch"))
    for wire in wires:
        wire.take(len(b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n"))
    publisher = node.connect()
    rounds, each = 3, 4
    said = [message(number, size) for number in range(1, rounds * each + 1)]
    pong = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
    for round_ in range(rounds):
        some = range(round_ * each + 1, (round_ + 1) * each + 1)
        publisher.sock.sendall(b"".join(request(b"PUBLISH", b"ch", text(one, size)) for one in some))
        assert publisher.take(len(b":%d\r\n" % COUNT) * each) == b":%d\r\n" % COUNT * each
        for wire in wires:
            wire.sock.sendall(b"PING\r\n")
    for wire in wires:
        heard = take_until(wire, pong, rounds)
        assert heard.replace(pong, b"") == b"".join(said)
        at = 0
        for number in range(rounds):  # what was published before it was asked came before the answer
            at = heard.index(pong, at) + len(pong)
            assert heard[:at].count(b"message") >= (number + 1) * each
    for wire in wires:
        wire.close()


def take_until(wire: Wire, word: bytes, count: int) -> bytes:
    heard = b""
    while heard.count(word) < count:
        piece = wire.sock.recv(1 << 16)
        assert piece, heard
        heard += piece
    return heard


def test_a_subscriber_that_goes_before_its_turn_costs_nothing(node: LiveNode) -> None:
    wires = [node.connect() for _ in range(COUNT)]
    for wire in wires:
        wire.sock.sendall(request(b"SUBSCRIBE", b"ch"))
    for wire in wires:
        wire.take(len(b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n"))
    publisher = node.connect()
    publisher.sock.sendall(request(b"PUBLISH", b"ch", b"m" * 1000) * 20)
    for wire in wires:
        wire.reset()
    asker, end = node.connect(), time.monotonic() + SOON_S
    while asker.ask(b"PUBSUB NUMSUB ch\r\n", len(b"*2\r\n$2\r\nch\r\n:0\r\n"))[-4:] != b":0\r\n":
        assert time.monotonic() < end, "they do not go"
        asker.close()
        asker = node.connect()
    assert "event=bug" not in node.log() and "Traceback" not in node.log()


def subscribers(node: LiveNode) -> list[Wire]:
    wires = [node.connect() for _ in range(COUNT)]
    for wire in wires:
        wire.sock.sendall(request(b"SUBSCRIBE", b"ch"))
    for wire in wires:
        wire.take(len(b"*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n"))
    return wires


def test_a_pipeline_of_more_than_may_wait_is_answered_and_heard_whole(node: LiveNode) -> None:
    wires = subscribers(node)
    publisher, count = node.connect(), 3 * WAITING_MAX
    publisher.sock.sendall(b"".join(request(b"PUBLISH", b"ch", text(number, 10)) for number in range(count)))
    said = b"".join(message(number, 10) for number in range(count))
    for wire in wires:
        assert wire.take(len(said)) == said
    assert publisher.take(len(b":%d\r\n" % COUNT) * count) == b":%d\r\n" % COUNT * count
    for wire in wires:
        wire.close()


def test_what_was_published_before_the_node_stops_is_heard(node: LiveNode) -> None:
    wires = subscribers(node)
    publisher, count = node.connect(), WAITING_MAX // 2
    publisher.sock.sendall(b"".join(request(b"PUBLISH", b"ch", text(number, 10)) for number in range(count)))
    publisher.take(len(b":%d\r\n" % COUNT) * count)
    node.process.terminate()
    said = b"".join(message(number, 10) for number in range(count))
    for wire in wires:
        assert wire.take(len(said)) == said
    assert node.process.wait(SOON_S) == 0


def test_a_subscriber_that_does_not_read_is_closed_and_stops_nobody(node: LiveNode) -> None:
    wires = subscribers(node)
    deaf, publisher, size = wires[0], node.connect(), 100_000
    publisher.ask(request(b"CONFIG", b"SET", b"pubsub-output-buffer-limit", b"1mb"), 5)
    asker, number = node.connect(), 0
    end = time.monotonic() + SOON_S
    while asker.ask(request(b"PUBSUB", b"NUMSUB", b"ch"), len(b"*2\r\n$2\r\nch\r\n:%d\r\n" % COUNT))[-5:] == b"640\r\n":
        assert time.monotonic() < end, "it stays"
        publisher.sock.sendall(request(b"PUBLISH", b"ch", text(number, size)))
        publisher.take(len(b":%d\r\n" % COUNT))
        for wire in wires[1:]:
            assert wire.take(len(message(number, size))) == message(number, size)
        number += 1
    for wire in (deaf, *wires[1:]):
        wire.close()
    assert "event=bug" not in node.log() and "Traceback" not in node.log()


def test_a_stop_answers_all_publishers_that_wait(node: LiveNode) -> None:
    """Each has a PUBLISH that waits, and commands behind it. A stop answers what was received, or says what it left."""
    wires, publishers = subscribers(node), [node.connect() for _ in range(30)]
    pong, count = b"+PONG\r\n", 8
    for number, one in enumerate(publishers):
        one.sock.sendall(request(b"PUBLISH", b"ch", text(number, 200)) * count + b"PING\r\n" * 5)
    asker = node.connect()
    asker.ask(b"PING\r\n", len(pong))  # all was read, or is waited for
    node.process.terminate()
    whole, short = b":%d\r\n" % COUNT * count + pong * 5, 0
    for one in publishers:
        read = one.rest()
        assert whole.startswith(read), read[:200]
        short += read != whole
    assert node.process.wait(SOON_S) == 0
    left = re.search(r"event=stopping_left what=requests clients=(\d+)", node.log())  # on a busy machine
    assert short <= (int(left[1]) if left else 0), f"{short} were not answered, and the log says {left and left[0]}"
    for wire in wires:
        wire.close()


def test_a_script_that_says_too_much_to_its_own_client_ends_and_stops_nobody(node: LiveNode) -> None:
    """Its client is closed while the script is running, and gives way to others between its slices."""
    asker = node.connect()
    assert asker.ask(request(b"CONFIG", b"SET", b"pubsub-output-buffer-limit", b"100kb"), 5) == b"+OK\r\n"
    talker = node.connect()
    talker.sock.sendall(request(b"HELLO", b"3") + request(b"SUBSCRIBE", b"me"))
    script = b"for i = 1, 5e6 do end for i = 1, 1e5 do redis.call('PUBLISH', 'me', string.rep('y', 50000)) end"
    talker.sock.sendall(request(b"EVAL", script, b"0"))
    assert talker.rest().count(b"message") < 1e5
    assert asker.ask(request(b"EVAL", b"return 7", b"0"), 4) == b":7\r\n"
    assert node.log().count("event=output_limit") == 1
