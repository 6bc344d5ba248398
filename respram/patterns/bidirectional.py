"""Bidirectional stream: two sides, each writing into its own stream and reading the other's. Nothing else lives here.

    left = Duplex(client, "call-7", "ada", "bob")
    right = Duplex(other_client, "call-7", "bob", "ada")
    left.send(b"hello"); right.receive(timeout_s=5)

Both sides may send at any time: in two threads, or under asyncio.gather. Each stream has one writer, so the two sides
may use different nodes. Not promised: more than the streams promise. A side that reads too late gets ChunkExpired.
"""

from dataclasses import dataclass, field
from typing import Generic

from respram.patterns.effects import Steps
from respram.patterns.live_stream import StreamDecoder, StreamEncoder
from respram.patterns.naming import level
from respram.patterns.sealing import Sealer
from respram.patterns.steps import C, operation


@dataclass(slots=True)
class Duplex(Generic[C]):
    client: C
    name: str
    me: str
    peer: str
    ttl_s: float = 10.0
    sealer: Sealer | None = None
    decoder: StreamDecoder[C] = field(init=False)
    encoder: StreamEncoder[C] = field(init=False)

    def __post_init__(self) -> None:
        there, back = (f"{self.name}:{level(one)}>{level(other)}" for one, other in self._ways())
        self.encoder = StreamEncoder(self.client, there, self.ttl_s, sealer=self.sealer)
        self.decoder = StreamDecoder(self.client, back, sealer=self.sealer)

    def _ways(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return (self.me, self.peer), (self.peer, self.me)

    @operation
    def send(self, message: bytes) -> Steps[int]:
        return (yield from self.encoder.send.steps(message))

    @operation
    def receive(self, timeout_s: float) -> Steps[bytes]:
        """The other side's next message. Raises TimedOut, ChunkExpired, or StreamEnded once that side closed."""
        return (yield from self.decoder.receive.steps(timeout_s))

    @operation
    def close(self) -> Steps[None]:
        """Closes this side's direction; it may still receive."""
        yield from self.encoder.close.steps()
