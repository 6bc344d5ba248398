"""Frames and their handlers."""

import pytest

from respram.patterns import BadName, FrameDispatcher, FrameSender, StreamDecoder, StreamEncoder, Unreadable
from tests.live import SOON_S
from tests.patterns.conftest import World

HANDSHAKE, DATA = 0x80, 0xFF


def test_each_frame_goes_to_the_handler_of_its_type(world: World) -> None:
    encoder = StreamEncoder(world.client, world.name, 600)
    sender = FrameSender(encoder)
    dispatcher = FrameDispatcher(StreamDecoder(world.another(), world.name))

    def handshake(payload: bytes) -> tuple[int, str]:
        return int.from_bytes(payload[:4], "big"), payload[4:].decode()

    async def handshake_async(payload: bytes) -> tuple[int, str]:
        return handshake(payload)

    dispatcher.register_handler(HANDSHAKE, handshake_async if world.kind == "asyncio" else handshake)
    dispatcher.register_handler(DATA, len)
    world(sender.send(DATA, b""))
    world(sender.send(HANDSHAKE, (7).to_bytes(4, "big") + "Zoë".encode()))
    assert world(dispatcher.dispatch_next(SOON_S)) == 0
    assert world(dispatcher.dispatch_next(SOON_S)) == (7, "Zoë")


def test_types_that_are_not_the_user_s_and_second_handlers_are_refused(world: World) -> None:
    dispatcher = FrameDispatcher(StreamDecoder(world.client, world.name))
    for frame_type in (0, 0x7F, 0x100, -1):
        with pytest.raises(BadName):
            dispatcher.register_handler(frame_type, len)
        with pytest.raises(BadName):
            world(FrameSender(StreamEncoder(world.client, world.name)).send(frame_type, b""))
    dispatcher.register_handler(DATA, len)
    with pytest.raises(BadName, match="already"):
        dispatcher.register_handler(DATA, len)


def test_a_frame_without_a_handler_is_skipped_with_a_word(world: World) -> None:
    encoder = StreamEncoder(world.client, world.name, 600)
    dispatcher = FrameDispatcher(StreamDecoder(world.client, world.name))
    dispatcher.register_handler(DATA, len)
    world(FrameSender(encoder).send(HANDSHAKE, b"x"))
    world(encoder.send(b""))
    world(FrameSender(encoder).send(DATA, b"xyz"))
    with pytest.raises(Unreadable, match="0x80"):
        world(dispatcher.dispatch_next(SOON_S))
    with pytest.raises(Unreadable, match="FrameSender"):
        world(dispatcher.dispatch_next(SOON_S))
    assert world(dispatcher.dispatch_next(SOON_S)) == 3
