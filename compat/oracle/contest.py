"""A contest: streams of the families, played to Redis and to the other side, within a time limit.

The other side is respram, or a second Redis: then every family that is mirrored must reach 100 %, or the oracle itself
is not to be trusted. (Rules are needed there too: two Redis have two clocks, two orders and two counts of clients.)
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from compat.oracle.compare import Difference, Tally, compare
from compat.oracle.families import FAMILIES, stream_of
from compat.oracle.servers import Place
from compat.oracle.shrink import shrink
from compat.oracle.stream import Raw, Send, Stream, command_count
from compat.oracle.transcript import WAYS, Heard, Server, Transcript, play, watching


@dataclass(slots=True)
class Row:
    """One family's result."""

    family: str
    streams: int = 0
    commands: int = 0  # number drawn; each is played several times
    tally: Tally = field(default_factory=Tally)
    replay: "Replay | None" = None  # of the first difference


@dataclass(frozen=True, slots=True)
class Replay:
    stream: Stream
    difference: Difference


def hold(
    redis: Place, other: Place, seed: int, commands: int, families: Sequence[str], seconds: float,
    progress: Callable[[Row], None] = lambda row: None,
) -> list[Row]:  # fmt: skip
    """Plays about so many commands, the same number in each family; fewer when the time is over first."""
    end = time.monotonic() + seconds
    rows = []
    with watching(redis) as left, watching(other) as right:
        for position, family in enumerate(families):
            share = (end - time.monotonic()) / (len(families) - position)
            row = _family(left, right, family, seed, commands // len(families), time.monotonic() + share)
            rows.append(row)
            progress(row)
    return rows


def _family(redis: Server, other: Server, family: str, seed: int, commands: int, end: float) -> Row:
    row = Row(family)
    if not FAMILIES[family].mirrored and other.place.is_redis:
        return row
    while row.commands < commands and time.monotonic() < end:
        stream = stream_of(family, seed, row.streams)
        before = len(row.tally.differences)
        contend(redis, other, stream, row.tally)
        if row.replay is None and len(row.tally.differences) > before:
            row.replay = _replay(redis, other, stream, row.tally.differences[before])
        row.streams += 1
        row.commands += command_count(stream)
    assert row.streams, f"{family}: no stream was played in its time"
    return row


def contend(redis: Server, other: Server, stream: Stream, tally: Tally, ways: Sequence[str] = WAYS) -> None:
    """One stream in each way; Redis's whole way is what everything is compared with."""
    base_ms = time.time_ns() // 1_000_000
    mirrored = FAMILIES[stream.family].mirrored
    reference = play(redis, stream, "whole", base_ms) if mirrored else said(stream)
    for way in ways:
        if way == "whole":
            compare(stream, reference, play(other, stream, way, base_ms), way, tally)
        elif not stream.whole_only:
            compare(stream, reference, play(other, stream, way, base_ms, reference), way, tally)


def said(stream: Stream) -> Transcript:
    """The replies that a stream says itself are right."""
    heard = []
    for number, step in enumerate(stream.steps):
        if isinstance(step, Send | Raw) and not step.silent:
            assert step.expect, f"{stream.family}: a step without an expected reply"
            heard += [Heard(number, step.conn, frame) for frame in step.expect]
    return Transcript(time.time_ns() // 1_000_000, heard)


def _replay(redis: Server, other: Server, stream: Stream, first: Difference) -> Replay:
    """The shortest stream found that fails in the same way of sending."""

    def found(candidate: Stream) -> Iterator[Difference]:
        tally = Tally()
        contend(redis, other, candidate, tally, (first.way,))
        yield from tally.differences

    small = shrink(stream, lambda candidate: any(True for _ in found(candidate)))
    again = next(found(small), None)
    return Replay(small, again) if again is not None else Replay(stream, first)
