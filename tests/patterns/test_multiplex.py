"""Channels side by side."""

import pytest

from respram.patterns import (
    BadName,
    ChunkExpired,
    MultiplexReceiver,
    MultiplexSender,
    Sealer,
    StreamEnded,
    TimedOut,
    WrongKey,
    multiplex,
    new_secret,
)
from respram.patterns.live_stream import chunk_key
from respram.patterns.multiplex import stream_name
from tests.live import SOON_S
from tests.patterns.conftest import World

CHANNELS = ("video", "audio", "chat")


def test_channels_are_served_in_turn_and_a_busy_one_holds_up_no_other(world: World) -> None:
    sender = MultiplexSender(world.client, world.name, CHANNELS, 600)
    receiver = MultiplexReceiver(world.another(), world.name, CHANNELS)
    for number in range(5):
        world(sender.send("video", b"frame %d" % number))
    world(sender.send("chat", b"hello"))
    received = [world(receiver.receive(SOON_S)) for _ in range(6)]
    assert ("chat", b"hello") in received[:2]
    assert [message for channel, message in received if channel == "video"] == [b"frame %d" % at for at in range(5)]
    with pytest.raises(TimedOut):
        world(receiver.receive(0.01))


def test_senders_at_once_do_not_mix(world: World) -> None:
    sender = MultiplexSender(world.client, world.name, CHANNELS, 600)
    receiver = MultiplexReceiver(world.another(), world.name, CHANNELS)
    world.together(*(lambda channel=channel: sender.send(channel, channel.encode()) for channel in CHANNELS))
    assert dict(world(receiver.receive(SOON_S)) for _ in CHANNELS) == {each: each.encode() for each in CHANNELS}


def test_it_ends_when_all_channels_are_closed(world: World) -> None:
    sender = MultiplexSender(world.client, world.name, CHANNELS, 600)
    receiver = MultiplexReceiver(world.another(), world.name, CHANNELS)
    world(sender.send("chat", b"bye"))
    for channel in CHANNELS:
        world(sender.close(channel))
    assert world(receiver.receive(SOON_S)) == ("chat", b"bye")
    with pytest.raises(StreamEnded):
        world(receiver.receive(SOON_S))
    with pytest.raises(BadName):
        world(sender.send("smell", b""))


def test_an_expired_chunk_names_its_channel(world: World) -> None:
    receiver = MultiplexReceiver(world.another(), world.name, CHANNELS)
    receiver.decoders["audio"].position = 0
    for ttl_s in (60, 600):
        world(MultiplexSender(world.client, world.name, CHANNELS, ttl_s).send("audio", b"x"))
    world.expire(chunk_key(stream_name(world.name, "audio"), 0))
    with pytest.raises(ChunkExpired, match="audio"):
        world(receiver.receive(SOON_S))


def test_a_channel_with_a_secret_of_its_own_is_read_with_it_only(world: World) -> None:
    sealers = {"chat": Sealer(new_secret())}
    sender = MultiplexSender(world.client, world.name, CHANNELS, 60, sealers)
    world(sender.send("chat", b"private"))
    world(sender.send("video", b"public"))
    receiver = MultiplexReceiver(world.another(), world.name, CHANNELS, sealers)
    assert {world(receiver.receive(SOON_S)) for _ in range(2)} == {("chat", b"private"), ("video", b"public")}
    with pytest.raises(WrongKey):
        world(MultiplexReceiver(world.another(), world.name, ("chat",), {"chat": Sealer(new_secret())}).receive(SOON_S))


def test_no_two_names_with_their_channels_are_one_stream() -> None:
    pairs = [("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"), ("a", "b:c"), ("a:b", "c"), ("a", "b")]
    assert len({multiplex.stream_name(*each) for each in pairs}) == len(pairs)
    assert multiplex.stream_name("meeting-3", "video") == "meeting-3/video"
