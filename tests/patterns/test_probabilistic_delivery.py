"""Frames that go out by chance, and the counts of both sides."""

import pytest

from respram.patterns import BadName, ChanceReader, ChanceSender, StreamDecoder, StreamEncoder, StreamEnded, Unreadable
from respram.patterns.live_stream import chunk_key
from tests.live import SOON_S
from tests.patterns.conftest import World


def sender(world: World, name: str, chance: float, seed: int | None = 7) -> ChanceSender:  # type: ignore[type-arg]
    return ChanceSender(StreamEncoder(world.client, name, 60), chance, seed)


def test_a_seed_makes_a_run_repeatable_and_both_sides_count_what_is_missing(world: World) -> None:
    runs = []
    for number in (1, 2):
        name = f"{world.name}-{number}"
        one = sender(world, name, 0.5)
        sent = [world(one.send(b"%d" % frame)) for frame in range(40)]
        runs.append(sent)
        assert (one.offered, one.sent, one.dropped) == (40, sum(sent), 40 - sum(sent)) and 5 < sum(sent) < 35
        reader = ChanceReader(StreamDecoder(world.another(), name))
        frames = [world(reader.receive(SOON_S)) for _ in range(sum(sent))]
        assert [int(frame.payload) for frame in frames] == [at for at, there in enumerate(sent) if there]
        last = max(at for at, there in enumerate(sent) if there)
        assert reader.missed == sum(frame.missed for frame in frames) == last + 1 - sum(sent)
    assert runs[0] == runs[1]
    other = sender(world, f"{world.name}-3", 0.5, seed=8)
    assert [world(other.send(b"x")) for _ in range(40)] != runs[0]


def test_a_frame_may_have_a_chance_of_its_own_and_changes_no_other_s_fate(world: World) -> None:
    plain, keyed = sender(world, f"{world.name}-a", 0.5), sender(world, f"{world.name}-b", 0.5)
    fates = [world(plain.send(b"x")) for _ in range(20)]
    surely = [world(keyed.send(b"x", chance=1.0 if at % 5 == 0 else None)) for at in range(20)]
    assert all(surely[::5]) and [each for at, each in enumerate(surely) if at % 5] == [
        each for at, each in enumerate(fates) if at % 5
    ]
    never = sender(world, f"{world.name}-c", 0.0)
    assert not any(world(never.send(b"x")) for _ in range(20))


def test_frames_that_expired_count_as_missed(world: World) -> None:
    one = sender(world, world.name, 1.0)
    for number in range(4):
        world(one.send(b"%d" % number))
    reader = ChanceReader(StreamDecoder(world.another(), world.name))
    assert world(reader.receive(SOON_S)).payload == b"0"
    world.expire(chunk_key(world.name, 1), chunk_key(world.name, 2))
    frame = world(reader.receive(SOON_S))
    assert (frame.payload, frame.missed, reader.missed) == (b"3", 2, 2)


def test_what_is_no_chance_and_no_frame_is_said(world: World) -> None:
    for chance in (-0.1, 1.1, float("nan")):
        with pytest.raises(BadName):
            sender(world, world.name, chance)
    world(StreamEncoder(world.client, world.name, 60).send(b"short"))
    with pytest.raises(Unreadable):
        world(ChanceReader(StreamDecoder(world.client, world.name)).receive(SOON_S))


def test_a_frame_that_the_stream_refused_was_not_left_out_by_chance(world: World) -> None:
    one = sender(world, world.name, 1.0)
    world(one.send(b"a"))
    world(one.encoder.close())
    with pytest.raises(StreamEnded):
        world(one.send(b"b"))
    world(one.send(b"c", chance=0.0))
    assert (one.offered, one.sent, one.dropped, one.failed) == (3, 1, 1, 1)
