"""Streams: readers, late ones, slow ones; writers in turn; sealed and closed ones."""

import pytest

from respram.patterns import (
    BadName,
    ChunkExpired,
    Contended,
    Sealer,
    StreamDecoder,
    StreamEncoder,
    StreamEnded,
    StreamRestarted,
    TimedOut,
    Unreadable,
    ValueTooLarge,
    WrongKey,
    live_stream,
    new_secret,
)  # fmt: skip
from respram.patterns.live_stream import LATE_S, READ_AHEAD, chunk_key, head_key
from tests.live import SOON_S
from tests.patterns.conftest import World

LIFE_S = 600  # of what is read before its end
MESSAGES = [b"", b"a", bytes(range(256)), b"x" * 100]


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000])
def test_several_readers_get_every_message_whole_and_in_order(world: World, chunk_bytes: int) -> None:
    encoder = StreamEncoder(world.client, world.name, LIFE_S, chunk_bytes)
    for message in MESSAGES:
        world(encoder.send(message))
    world(encoder.close())
    assert READ_AHEAD < 256  # so that a message of chunks of one byte takes several round trips
    for _ in range(2):
        decoder = StreamDecoder(world.another(), world.name)
        assert world.take(decoder.messages(SOON_S), len(MESSAGES)) == MESSAGES
        with pytest.raises(StreamEnded):
            world(decoder.receive(SOON_S))


def test_a_reader_that_waits_gets_what_is_sent_later(world: World) -> None:
    decoder, encoder = StreamDecoder(world.another(), world.name), StreamEncoder(world.client, world.name, LIFE_S)
    late = world.later(0.03, lambda: encoder.send(b"late"))
    assert world.together(lambda: decoder.receive(SOON_S), late) == [b"late", 0]
    with pytest.raises(TimedOut):
        world(decoder.receive(0.02))


def test_a_late_reader_begins_with_the_oldest_message_that_lives(world: World) -> None:
    for number in range(5):
        world(StreamEncoder(world.client, world.name, 0.1, 1).send(b"old%d" % number))
    world.until(lambda: not world.raw.exists(chunk_key(world.name, 19)))
    # The head of the old stream went with its last chunk, so one message with a longer life is written first.
    encoder = StreamEncoder(world.client, world.name, LIFE_S, 1)
    world(encoder.send(b"new1"))
    world(encoder.send(b"new2"))
    late = StreamDecoder(world.another(), world.name)
    assert [world(late.receive(SOON_S)), world(late.receive(SOON_S))] == [b"new1", b"new2"]


def test_a_chunk_that_expired_in_mid_stream_is_named_and_the_reader_can_go_on(world: World) -> None:
    brief, lasting = (StreamEncoder(world.client, world.name, ttl_s, 1) for ttl_s in (LIFE_S - 1, LIFE_S))
    world(brief.send(b"one"))
    decoder = StreamDecoder(world.another(), world.name)
    assert world(decoder.receive(SOON_S)) == b"one"
    world(brief.send(b"two"))
    world(lasting.send(b"three"))
    world.expire(*(chunk_key(world.name, seq) for seq in range(6)))
    with pytest.raises(ChunkExpired, match="skip_to_oldest") as caught:
        world(decoder.receive(SOON_S))
    assert caught.value.seq == 3 == decoder.position
    assert world(decoder.skip_to_oldest()) == 6
    assert world(decoder.receive(SOON_S)) == b"three"
    fresh = StreamDecoder(world.another(), world.name)
    assert world(fresh.pending()) == 5 and world(fresh.receive(SOON_S)) == b"three"


def test_a_chunk_that_is_only_late_is_waited_for(world: World) -> None:
    world(StreamEncoder(world.client, world.name, LIFE_S).send(b"one"))
    world.raw.set(head_key(world.name), live_stream.HEAD.pack(2, 1, 0), px=LIFE_S * 1000)
    decoder = StreamDecoder(world.another(), world.name, position=1, life=1)

    def arrive() -> None:
        world.raw.set(chunk_key(world.name, 1), live_stream.WHOLE + b"late", px=LIFE_S * 1000)

    async def arrive_async() -> None:
        arrive()

    late = world.later(LATE_S / 4, arrive_async if world.kind == "asyncio" else arrive)
    assert world.together(lambda: decoder.receive(SOON_S), late)[0] == b"late"


def test_a_reader_may_skip_to_what_comes_next(world: World) -> None:
    encoder, decoder = StreamEncoder(world.client, world.name, LIFE_S), StreamDecoder(world.another(), world.name)
    world(encoder.send(b"1"))
    assert world(decoder.skip_to_newest()) == 1
    world(encoder.send(b"2"))
    assert world(decoder.receive(SOON_S)) == b"2"


def test_writers_at_once_take_turns(world: World) -> None:
    encoders = [StreamEncoder(world.another(), world.name, LIFE_S, 2) for _ in range(5)]
    sent = [str(at).encode() * 5 for at in range(5)]
    world.together(*(lambda each=each, text=text: each.send(text) for each, text in zip(encoders, sent, strict=True)))
    decoder = StreamDecoder(world.client, world.name)
    assert sorted(world.take(decoder.messages(SOON_S), 5)) == sent


def test_a_closed_stream_takes_nothing_more_and_a_message_too_large_is_not_begun(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = StreamEncoder(world.client, world.name, LIFE_S)
    monkeypatch.setattr(live_stream, "MESSAGE_BYTES_MAX", 10)
    with pytest.raises(ValueTooLarge, match="FileTransfer"):
        world(encoder.send(b"x" * 11))
    assert not world.raw.exists(head_key(world.name))
    world(encoder.close())
    with pytest.raises(StreamEnded):
        world(encoder.send(b"x"))


def test_a_sealed_stream_is_read_with_its_secret_only(world: World) -> None:
    sealer = Sealer(new_secret())
    world(StreamEncoder(world.client, world.name, LIFE_S, 4, sealer).send(b"sealed words"))
    assert world(StreamDecoder(world.client, world.name, sealer=sealer).receive(SOON_S)) == b"sealed words"
    with pytest.raises(WrongKey):
        world(StreamDecoder(world.client, world.name, sealer=Sealer(new_secret())).receive(SOON_S))
    with pytest.raises(Unreadable):
        world(StreamDecoder(world.client, world.name).receive(SOON_S))
    assert b"seal" not in world.raw.get(chunk_key(world.name, 0))


@pytest.mark.parametrize("sealed", [False, True])
def test_a_message_behind_an_unreadable_one_is_not_skipped_if_both_end_in_the_same_millisecond(
    world: World, sealed: bool
) -> None:
    name, sealer = world.name, Sealer(new_secret())
    messages = [b"strange", b"alone", b"two words", b"strange too", b"three words!"]
    for number, message in enumerate(messages):
        other = sealer if not sealed else Sealer(new_secret())
        world(StreamEncoder(
            world.client, name, LIFE_S, 4, other if number in (0, 3) else sealer if sealed else None
        ).send(message))
    decoder = StreamDecoder(world.another(), name, sealer=sealer if sealed else None)
    count = live_stream.HEAD.unpack(world.raw.get(head_key(name)))[0]
    end_ms = world.raw.pexpiretime(chunk_key(name, count - 1)) + 10_000
    for seq in range(count):
        world.raw.pexpireat(chunk_key(name, seq), end_ms)
    heard = []
    for _ in messages:
        try:
            heard.append(world(decoder.receive(SOON_S)))
        except (Unreadable, WrongKey):
            world(decoder.skip_unreadable())
    assert heard == [b"alone", b"two words", b"three words!"]


def test_no_part_of_a_message_is_taken_for_a_whole_one(world: World) -> None:
    """One chunk was overwritten: what follows it is not a message, though it can be read."""
    world(StreamEncoder(world.client, world.name, LIFE_S, 4).send(b"one two six ten"))
    world(StreamEncoder(world.client, world.name, LIFE_S, 4).send(b"next"))
    for at in (0, 2):
        world.raw.set(chunk_key(world.name, at), b"by another program", keepttl=True)
        decoder = StreamDecoder(world.another(), world.name)
        with pytest.raises(Unreadable):
            world(decoder.receive(SOON_S))
        assert world(decoder.skip_unreadable()) == 4
        assert world(decoder.receive(SOON_S)) == b"next"
    behind = StreamDecoder(world.another(), world.name, 1, life=decoder.life)
    with pytest.raises(Unreadable):
        world(behind.receive(SOON_S))


def test_a_pause_longer_than_the_ttl_is_a_gap_with_a_word(world: World) -> None:
    encoder = StreamEncoder(world.client, world.name, 30)
    for frame in (b"f0", b"f1", b"f2"):
        world(encoder.send(frame))
    decoder = StreamDecoder(world.another(), world.name)
    assert world(decoder.receive(SOON_S)) == b"f0"
    world.expire(*(chunk_key(world.name, seq) for seq in range(3)))
    world(encoder.send(b"f3"))
    with pytest.raises(ChunkExpired) as caught:
        world(decoder.receive(SOON_S))
    assert caught.value.seq == 1 and not isinstance(caught.value, StreamRestarted)
    assert world(decoder.skip_to_oldest()) == 3
    assert world(decoder.receive(SOON_S)) == b"f3"


def test_the_head_outlives_the_chunks_until_the_stream_is_closed(world: World) -> None:
    encoder, longer = (StreamEncoder(world.client, world.name, ttl_s) for ttl_s in (200, LIFE_S))
    world(encoder.send(b"one"))
    assert world.raw.pttl(head_key(world.name)) > 500_000
    world(longer.send(b"two"))
    world(encoder.close())
    assert 200_000 < world.raw.pttl(head_key(world.name)) <= 600_000, "as long as the longest chunk, and no longer"
    world(encoder.close())
    assert 200_000 < world.raw.pttl(head_key(world.name)) <= 600_000


def test_a_stream_that_was_forgotten_whole_and_began_anew_is_told(world: World) -> None:
    encoder, decoder = StreamEncoder(world.client, world.name, 30), StreamDecoder(world.another(), world.name)
    for frame in (b"f0", b"f1"):
        world(encoder.send(frame))
    assert world(decoder.receive(SOON_S)) == b"f0"
    world.expire(head_key(world.name), chunk_key(world.name, 0))
    world(encoder.send(b"new life"))
    for _ in range(2):
        with pytest.raises(StreamRestarted, match="skip_to_oldest") as caught:
            world(decoder.receive(SOON_S))
    assert caught.value.seq == decoder.position
    assert world(decoder.skip_to_oldest()) == 0
    assert world(decoder.receive(SOON_S)) == b"new life"
    with pytest.raises(BadName, match="which life"):
        StreamDecoder(world.another(), world.name, position=8)


def test_a_reader_goes_on_by_place_and_life_and_waits_where_the_node_is_behind(world: World) -> None:
    encoder, first = StreamEncoder(world.client, world.name, 30), StreamDecoder(world.another(), world.name)
    for frame in (b"f0", b"f1"):
        world(encoder.send(frame))
    assert world(first.receive(SOON_S)) == b"f0"
    second = StreamDecoder(world.another(), world.name, first.position, life=first.life)
    assert world(second.receive(SOON_S)) == b"f1"
    ahead = StreamDecoder(world.another(), world.name, 3, life=first.life)
    with pytest.raises(TimedOut):
        world(ahead.receive(2 * LATE_S))
    world(encoder.send(b"f2"))
    world(encoder.send(b"f3"))
    assert world(ahead.receive(SOON_S)) == b"f3"


def test_a_race_that_is_always_lost_ends_with_a_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_stream, "CHANGE_TRIES_MAX", 0)
    with pytest.raises(Contended):
        world(StreamEncoder(world.client, world.name, LIFE_S).send(b"x"))
    assert not world.raw.exists(head_key(world.name))


def test_a_reader_goes_on_behind_a_hole_and_not_with_what_it_has_read(world: World) -> None:
    encoder = StreamEncoder(world.client, world.name, 60)
    for number in range(4):
        world(encoder.send(b"%d" % number))
    decoder = StreamDecoder(world.client, world.name)
    assert world(decoder.receive(SOON_S)) == b"0"
    world.expire(live_stream.chunk_key(world.name, 1))  # a node died before it had passed it on; what is older lives
    with pytest.raises(ChunkExpired):
        world(decoder.receive(SOON_S))
    assert world(decoder.skip_to_oldest()) == 2
    assert [world(decoder.receive(SOON_S)) for _ in range(2)] == [b"2", b"3"]
