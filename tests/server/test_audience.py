"""Messages to many clients: some leave at once, the others in turns, and nothing overtakes them."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from respram.server.audience import LATER_BYTES, LATER_BYTES_MAX, SEND_BYTES, SENDS_MAX, Audience
from tests.engine.conftest import PURE_ONLY
from tests.engine.rig import request
from tests.live import SOON_S, LiveNode, Wire, running

ENGINES = ["pure"] if PURE_ONLY else ["native", "pure"]
MANY = SENDS_MAX + 100


@dataclass(eq=False)
class Receiver:
    later_bytes: int = 10
    turns: int = 0

    def go_on(self) -> None:
        self.turns += 1
        self.later_bytes = 0


def test_a_turn_sends_to_so_many_and_the_others_follow_in_theirs() -> None:
    async def main() -> None:
        audience = Audience(asyncio.get_running_loop())
        receivers = [Receiver() for _ in range(3 * SENDS_MAX)]
        late = [one for one in receivers if not audience.may_send(10)]
        assert late == receivers[SENDS_MAX:]
        shared = b"m" * 10
        for one in late:
            audience.add(one, shared)
        assert audience.bytes == len(late) * LATER_BYTES + 10, "shared bytes count once"
        for count in (SENDS_MAX, 2 * SENDS_MAX):
            await asyncio.sleep(0)
            assert [one.turns for one in late] == [1] * count + [0] * (len(late) - count)
        await asyncio.sleep(0)
        assert audience.may_send(10) and not audience.clients and not audience.bytes

    asyncio.run(main())


def test_long_messages_count_more_and_what_waits_is_bounded() -> None:
    async def main() -> None:
        audience = Audience(asyncio.get_running_loop())
        assert audience.may_send(SEND_BYTES * (SENDS_MAX - 1)) and not audience.may_send(1)
        assert not audience.is_full()
        while not audience.is_full():
            audience.add(Receiver(), bytes(1 << 20))
        assert audience.bytes <= LATER_BYTES_MAX + (1 << 20) + LATER_BYTES
        receivers = list(audience.clients)
        await asyncio.sleep(0)
        assert not audience.is_full() and not audience.clients and len(receivers) >= 8

    asyncio.run(main())


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
    wires = [node.connect() for _ in range(MANY)]
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
        assert publisher.take(len(b":%d\r\n" % MANY) * each) == b":%d\r\n" % MANY * each
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
    wires = [node.connect() for _ in range(MANY)]
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
