"""Probabilistic delivery: each frame is sent with a given probability, and both sides count the omitted frames.
Nothing else lives in this file.

    sender = ChanceSender(StreamEncoder(client, "camera-1"), chance=0.8, seed=7)
    sender.send(frame)  # True: sent; False: left out by chance
    sender.send(key_frame, chance=1.0)  # always sent
    reader = ChanceReader(StreamDecoder(other_client, "camera-1"))
    reader.receive(timeout_s=5)  # Frame(payload, missed=2): two frames before it never arrived

Lossy by design: for telemetry, previews, gossip, where less is enough and load is to be shed evenly. The seed makes a
run repeatable. Frames are numbered before the choice, so the reader knows how many it lacks, whether chance or expiry
took them. Not promised: that exactly the share `chance` arrives; that a frame that was left out can be had later.
"""

import random
import struct
from dataclasses import dataclass, field
from typing import Generic

from respram.patterns.effects import Steps
from respram.patterns.errors import BadName, ChunkExpired, Unreadable
from respram.patterns.live_stream import POLL_S, StreamDecoder, StreamEncoder
from respram.patterns.steps import C, operation

NUMBER = struct.Struct(">Q")  # of the frame, counting those left out


@dataclass(slots=True)
class ChanceSender(Generic[C]):
    encoder: StreamEncoder[C]
    chance: float = 1.0  # from 0 to 1
    seed: int | None = None  # None: every run chooses differently
    offered: int = 0
    sent: int = 0
    dropped: int = 0  # frames left out by chance
    draws: random.Random = field(init=False)

    def __post_init__(self) -> None:
        checked_chance(self.chance)
        self.draws = random.Random(self.seed)  # noqa: S311 (no secret: a share of frames)

    @property
    def client(self) -> C:
        return self.encoder.client

    @property
    def failed(self) -> int:
        """How many sends failed or had an unknown outcome, because the stream raised. The reader misses them too."""
        return self.offered - self.sent - self.dropped

    @operation
    def send(self, frame: bytes, chance: float | None = None) -> Steps[bool]:
        """Sends the frame with its chance (the sender's by default); returns whether it was sent.

        Raises what the stream raises.
        """
        wanted = self.chance if chance is None else checked_chance(chance)
        number, self.offered = self.offered, self.offered + 1
        # Every frame draws once, so another chance for one frame does not change the result of others.
        if self.draws.random() >= wanted:
            self.dropped += 1
            return False
        yield from self.encoder.send.steps(NUMBER.pack(number) + frame)
        self.sent += 1
        return True


@dataclass(frozen=True, slots=True)
class Frame:
    payload: bytes
    missed: int  # frames between the previous one and this that did not arrive


@dataclass(slots=True)
class ChanceReader(Generic[C]):
    decoder: StreamDecoder[C]
    expected: int = 0  # number of the next frame
    received: int = 0
    missed: int = 0  # in total

    @property
    def client(self) -> C:
        return self.decoder.client

    @operation
    def receive(self, timeout_s: float, poll_s: float = POLL_S) -> Steps[Frame]:
        """The next frame that arrives. Expired frames count as missed. Raises TimedOut, StreamEnded."""
        while True:
            try:
                message = yield from self.decoder.receive.steps(timeout_s, poll_s)
                break
            except ChunkExpired:
                yield from self.decoder.skip_to_oldest.steps()
        if len(message) < NUMBER.size:
            raise Unreadable(f"a message of stream {self.decoder.name!r} was not sent by ChanceSender")
        (number,) = NUMBER.unpack_from(message)
        # A restarted sender counts from 0: how many frames it offered before is unknown.
        missed = max(0, number - self.expected)
        self.expected = number + 1
        self.received += 1
        self.missed += missed
        return Frame(message[NUMBER.size :], missed)


def checked_chance(chance: float) -> float:
    if not 0 <= chance <= 1:
        raise BadName("a chance is a number from 0 to 1")
    return chance
