"""Streams: readers, late ones, slow ones; writers in turn; sealed and closed ones."""

import pytest

from respram.patterns import (
    ChunkExpired,
    Contended,
    Sealer,
    StreamDecoder,
    StreamEncoder,
    StreamEnded,
    TimedOut,
    Unreadable,
    ValueTooLarge,
    WrongKey,
    live_stream,
    new_secret,
)  # fmt: skip
from respram.patterns.live_stream import LATE_S, READ_AHEAD, chunk_key, head_key
from tests.patterns.conftest import World

MESSAGES = [b"", b"a", bytes(range(256)), b"x" * 100]


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000])
def test_several_readers_get_every_message_whole_and_in_order(world: World, chunk_bytes: int) -> None:
    encoder = StreamEncoder(world.client, world.name, 5, chunk_bytes)
    for message in MESSAGES:
        world(encoder.send(message))
    world(encoder.close())
    assert READ_AHEAD < 256  # so that a message of chunks of one byte takes several round trips
    for _ in range(2):
        decoder = StreamDecoder(world.another(), world.name)
        assert world.take(decoder.messages(5), len(MESSAGES)) == MESSAGES
        with pytest.raises(StreamEnded):
            world(decoder.receive(5))


def test_a_reader_that_waits_gets_what_is_sent_later(world: World) -> None:
    decoder, encoder = StreamDecoder(world.another(), world.name), StreamEncoder(world.client, world.name, 5)
    assert world.together(lambda: decoder.receive(5), world.later(0.03, lambda: encoder.send(b"late"))) == [b"late", 0]
    with pytest.raises(TimedOut):
        world(decoder.receive(0.02))


def test_a_late_reader_begins_with_the_oldest_message_that_lives(world: World) -> None:
    for number in range(5):
        world(StreamEncoder(world.client, world.name, 0.1, 1).send(b"old%d" % number))
    world.until(lambda: not world.raw.exists(chunk_key(world.name, 19)))
    # The head of the old stream went with its last chunk, so one message with a longer life is written first.
    encoder = StreamEncoder(world.client, world.name, 5, 1)
    world(encoder.send(b"new1"))
    world(encoder.send(b"new2"))
    late = StreamDecoder(world.another(), world.name)
    assert [world(late.receive(1)), world(late.receive(1))] == [b"new1", b"new2"]


def test_a_chunk_that_expired_in_mid_stream_is_named_and_the_reader_can_go_on(world: World) -> None:
    brief, lasting = (StreamEncoder(world.client, world.name, ttl_s, 1) for ttl_s in (4, 5))
    world(brief.send(b"one"))
    decoder = StreamDecoder(world.another(), world.name)
    assert world(decoder.receive(1)) == b"one"
    world(brief.send(b"two"))
    world(lasting.send(b"three"))
    world.expire(*(chunk_key(world.name, seq) for seq in range(6)))
    with pytest.raises(ChunkExpired, match="skip_to_oldest") as caught:
        world(decoder.receive(5))
    assert caught.value.seq == 3 == decoder.position
    assert world(decoder.skip_to_oldest()) == 6
    assert world(decoder.receive(1)) == b"three"
    fresh = StreamDecoder(world.another(), world.name)
    assert world(fresh.pending()) == 5 and world(fresh.receive(1)) == b"three"


def test_a_chunk_that_is_only_late_is_waited_for(world: World) -> None:
    world(StreamEncoder(world.client, world.name, 5).send(b"one"))
    world.raw.set(head_key(world.name), live_stream.HEAD.pack(2, 1, 0), px=5000)
    decoder = StreamDecoder(world.another(), world.name, position=1)

    def arrive() -> None:
        world.raw.set(chunk_key(world.name, 1), live_stream.LAST + b"late", px=5000)

    async def arrive_async() -> None:
        arrive()

    late = world.later(LATE_S / 4, arrive_async if world.kind == "asyncio" else arrive)
    assert world.together(lambda: decoder.receive(5), late)[0] == b"late"


def test_a_reader_may_skip_to_what_comes_next(world: World) -> None:
    encoder, decoder = StreamEncoder(world.client, world.name, 5), StreamDecoder(world.another(), world.name)
    world(encoder.send(b"1"))
    assert world(decoder.skip_to_newest()) == 1
    world(encoder.send(b"2"))
    assert world(decoder.receive(1)) == b"2"


def test_writers_at_once_take_turns(world: World) -> None:
    encoders = [StreamEncoder(world.another(), world.name, 5, 2) for _ in range(5)]
    sent = [str(at).encode() * 5 for at in range(5)]
    world.together(*(lambda each=each, text=text: each.send(text) for each, text in zip(encoders, sent, strict=True)))
    decoder = StreamDecoder(world.client, world.name)
    assert sorted(world.take(decoder.messages(1), 5)) == sent


def test_a_closed_stream_takes_nothing_more_and_a_message_too_large_is_not_begun(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = StreamEncoder(world.client, world.name, 5)
    monkeypatch.setattr(live_stream, "MESSAGE_BYTES_MAX", 10)
    with pytest.raises(ValueTooLarge, match="FileTransfer"):
        world(encoder.send(b"x" * 11))
    assert not world.raw.exists(head_key(world.name))
    world(encoder.close())
    with pytest.raises(StreamEnded):
        world(encoder.send(b"x"))


def test_a_sealed_stream_is_read_with_its_secret_only(world: World) -> None:
    sealer = Sealer(new_secret())
    world(StreamEncoder(world.client, world.name, 5, 4, sealer).send(b"sealed words"))
    assert world(StreamDecoder(world.client, world.name, sealer=sealer).receive(1)) == b"sealed words"
    with pytest.raises(WrongKey):
        world(StreamDecoder(world.client, world.name, sealer=Sealer(new_secret())).receive(1))
    with pytest.raises(Unreadable):
        world(StreamDecoder(world.client, world.name).receive(1))
    assert b"seal" not in world.raw.get(chunk_key(world.name, 0))


def test_a_stream_that_expired_and_began_anew_is_read_from_its_new_beginning(world: World) -> None:
    world(StreamEncoder(world.client, world.name, 0.05, 1).send(b"old life"))
    decoder = StreamDecoder(world.another(), world.name, position=8)
    world.until(lambda: not world.raw.exists(head_key(world.name)))
    world(StreamEncoder(world.client, world.name, 5).send(b"new life"))
    assert world(decoder.receive(1)) == b"new life"


def test_a_new_life_with_more_messages_than_the_old_one_is_read_from_its_beginning_too(world: World) -> None:
    decoder = StreamDecoder(world.another(), world.name)
    waiting = StreamDecoder(world.another(), world.name)
    world(waiting.skip_to_newest())
    world(StreamEncoder(world.client, world.name, 5, 1).send(b"old"))
    assert world(decoder.receive(1)) == b"old" and decoder.position == 3
    world.expire(head_key(world.name), *(chunk_key(world.name, seq) for seq in range(3)))
    for word in (b"new", b"and", b"more"):
        world(StreamEncoder(world.client, world.name, 5, 1).send(word))
    assert world(decoder.pending()) == 10
    for reader in (decoder, waiting):
        assert [world(reader.receive(1)) for _ in range(3)] == [b"new", b"and", b"more"]


def test_a_race_that_is_always_lost_ends_with_a_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "CHANGE_TRIES_MAX", 0)
    with pytest.raises(Contended):
        world(StreamEncoder(world.client, world.name, 5).send(b"x"))
    assert not world.raw.exists(head_key(world.name))
