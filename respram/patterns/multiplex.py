"""Several streams of one application side by side: video, audio, chat. Nothing else may live in this file.

    sender = MultiplexSender(client, "meeting-3", ("video", "audio", "chat"))
    sender.send("chat", b"hello")
    receiver = MultiplexReceiver(other_client, "meeting-3", ("video", "audio", "chat"))
    receiver.receive(timeout_s=5)                     # ("chat", b"hello")

Each channel is a stream with numbers of its own: slow video does not hold up chat, and ChunkExpired names its channel.
`sealers` gives channels a secret each.
Not promised: an order between channels. Channels that have a message are served in turn.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from respram.patterns.effects import Steps
from respram.patterns.errors import BadName, StreamEnded, TimedOut
from respram.patterns.live_stream import POLL_S, StreamDecoder, StreamEncoder
from respram.patterns.naming import level
from respram.patterns.sealing import Sealer
from respram.patterns.steps import C, operation, pause


@dataclass(frozen=True, slots=True)
class MultiplexSender(Generic[C]):
    client: C
    name: str
    channels: tuple[str, ...]
    ttl_s: float = 10.0
    sealers: Mapping[str, Sealer] = field(default_factory=dict)  # by channel; the receiver needs the same ones

    def encoder(self, channel: str) -> StreamEncoder[C]:
        if channel not in self.channels:
            raise BadName(f"{channel!r} is not a channel of {self.name!r}")
        return StreamEncoder(self.client, stream_name(self.name, channel), self.ttl_s, sealer=self.sealers.get(channel))

    @operation
    def send(self, channel: str, message: bytes) -> Steps[int]:
        return (yield from self.encoder(channel).send.steps(message))

    @operation
    def close(self, channel: str) -> Steps[None]:
        yield from self.encoder(channel).close.steps()


@dataclass(slots=True)
class MultiplexReceiver(Generic[C]):
    client: C
    name: str
    channels: tuple[str, ...]
    sealers: Mapping[str, Sealer] = field(default_factory=dict)
    decoders: dict[str, StreamDecoder[C]] = field(init=False)
    turn: int = 0

    def __post_init__(self) -> None:
        self.decoders = {
            one: StreamDecoder(self.client, stream_name(self.name, one), sealer=self.sealers.get(one))
            for one in self.channels
        }

    @operation
    def receive(self, timeout_s: float, poll_s: float = POLL_S) -> Steps[tuple[str, bytes]]:
        """The next message of any channel, with its channel. Raises TimedOut; StreamEnded once all channels are closed.
        """
        end = time.monotonic() + timeout_s
        while True:
            ended = 0
            for _ in self.channels:
                channel = self.channels[self.turn % len(self.channels)]
                self.turn += 1
                try:
                    return channel, (yield from self.decoders[channel].receive.steps(0))
                except TimedOut:
                    continue
                except StreamEnded:
                    ended += 1
            if ended == len(self.channels):
                raise StreamEnded(f"all channels of {self.name!r} are closed")
            if time.monotonic() >= end:
                raise TimedOut(f"no channel of {self.name!r} had anything within {timeout_s} s")
            yield from pause(poll_s)


def stream_name(name: str, channel: str) -> str:
    return "/".join(level(each).replace("/", "%2F") for each in (name, channel))
