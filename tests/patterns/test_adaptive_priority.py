"""Which channel goes first."""

import pytest

from respram.patterns import (
    BadName,
    MultiplexReceiver,
    MultiplexSender,
    PrioritySender,
    StoreAway,
    StreamEnded,
    TimedOut,
    TooMany,
    ValueTooLarge,
)
from respram.patterns.live_stream import MESSAGE_BYTES_MAX
from tests.live import SOON_S
from tests.patterns.conftest import World
from tests.ports import reserve

CHANNELS = ("audio", "video", "chat")


def sender(world: World, weights: dict[str, float], **options: float) -> PrioritySender:  # type: ignore[type-arg]
    channels = tuple(weights)
    return PrioritySender(MultiplexSender(world.client, world.name, channels, 60), weights, **options)  # type: ignore[arg-type]


def test_channels_go_out_by_their_weights_spread_evenly(world: World) -> None:
    one = sender(world, {"audio": 3, "video": 1}, urgency=1)
    for number in range(8):
        one.enqueue("audio", b"%d" % number)
        one.enqueue("video", b"%d" % number)
    order = [world(one.send_next()) for _ in range(8)]
    assert order.count("audio") == 6 and order[:4].count("video") == 1 == order[4:].count("video")
    assert world(one.drain()) == 8 and world(one.send_next()) is None
    assert one.sent == {"audio": 8, "video": 8}
    receiver = MultiplexReceiver(world.another(), world.name, ("audio", "video"))
    received = [world(receiver.receive(SOON_S)) for _ in range(16)]
    for channel in ("audio", "video"):
        assert [data for name, data in received if name == channel] == [b"%d" % number for number in range(8)]


def test_a_channel_that_falls_behind_counts_more_and_none_starves(world: World) -> None:
    one = sender(world, {"heavy": 4, "light": 1}, queue_max=10, urgency=4)
    assert one.weight("light") == 1
    for number in range(10):
        one.enqueue("light", b"%d" % number)
    assert one.weight("light") == 4 and one.weight("heavy") == 4
    one.enqueue("heavy", b"x")
    one.enqueue("heavy", b"x")
    order = [world(one.send_next()) for _ in range(4)]
    assert order.count("light") == 2, "a full light channel goes as often as an empty heavy one"


def test_a_full_queue_and_unknown_channels_are_said(world: World) -> None:
    one = sender(world, {"a": 1}, queue_max=2)
    assert [one.enqueue("a", b"") for _ in range(2)] == [1, 2]
    with pytest.raises(TooMany):
        one.enqueue("a", b"")
    with pytest.raises(BadName):
        one.enqueue("b", b"")
    with pytest.raises(BadName):
        sender(world, {"a": 0})


def test_a_message_that_could_not_be_sent_stays_the_first(world: World) -> None:
    away = MultiplexSender(world.another(port=reserve()), world.name, ("a",), 60)
    one = PrioritySender(away, {"a": 1})
    one.enqueue("a", b"first")
    with pytest.raises(StoreAway):
        world(one.send_next())
    assert list(one.queues["a"]) == [b"first"] and one.sent == {"a": 0}


def test_two_who_drain_send_each_message_once_and_in_order(world: World) -> None:
    one = sender(world, {"audio": 2, "video": 1})
    for number in range(40):
        one.enqueue("audio", b"%d" % number)
        one.enqueue("video", b"%d" % number)
    assert sum(world.together(one.drain, one.drain, one.drain)) == 80 and one.sent == {"audio": 40, "video": 40}
    receiver = MultiplexReceiver(world.another(), world.name, ("audio", "video"))
    received = [world(receiver.receive(SOON_S)) for _ in range(80)]
    for channel in ("audio", "video"):
        assert [data for name, data in received if name == channel] == [b"%d" % number for number in range(40)]
    with pytest.raises(TimedOut):
        world(receiver.receive(0.01))


def test_a_message_that_no_stream_takes_is_refused_and_a_closed_channel_holds_up_no_other(world: World) -> None:
    one = sender(world, {"audio": 1, "video": 8})
    with pytest.raises(ValueTooLarge):
        one.enqueue("video", b"x" * (MESSAGE_BYTES_MAX + 1))
    world(one.sender.close("video"))
    for number in range(5):
        one.enqueue("video", b"lost")
        one.enqueue("audio", b"%d" % number)
    with pytest.raises(StreamEnded):
        world(one.drain())
    assert one.sent == {"audio": 5, "video": 0} and one.discard("video") == 5 and world(one.drain()) == 0
