"""Fan-out to named endpoints: each has a stream of its own, into which anyone may write. Nothing else may live here.

    endpoints = Endpoints(client)
    alice = endpoints.register("viewer_alice")          # an EndpointReader
    endpoints.route("viewer_alice", segment)
    endpoints.broadcast(segment)                        # to all that are registered: ["viewer_alice"]

A broadcast is one message in a stream that every endpoint reads beside its own: a thousand viewers cost what one costs.
Registration expires; an endpoint registers again before ttl_s, which is its sign of life. Who is registered stands in a
roster (roster.py). `sealers` gives endpoints a secret each: what goes to them is sealed with it, and a broadcast goes
to each of them by itself. Not promised: that an endpoint reads in time (ChunkExpired tells it), or an order between
senders on different nodes, or between what is routed to an endpoint and what is broadcast.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from respram.patterns import roster
from respram.patterns.effects import Steps
from respram.patterns.errors import BadName, ContentMissing, StreamEnded, TimedOut
from respram.patterns.live_stream import POLL_S, StreamDecoder, StreamEncoder
from respram.patterns.naming import encoded, key
from respram.patterns.sealing import Sealer
from respram.patterns.steps import C, ask, ask_all, hand, operation, pause, stream

BASE = key("roster", "endpoint")
SHARED = "endpoint:"  # the stream of what is broadcast: of an endpoint without a name, which there is none


@dataclass(frozen=True, slots=True)
class Endpoints(Generic[C]):
    client: C
    ttl_s: float = 30.0
    sealers: Mapping[str, Sealer] = field(default_factory=dict)  # by endpoint; both sides need the same
    sealer: Sealer | None = None  # of what is sent to those who have none of their own

    @operation
    def register(self, name: str) -> Steps["EndpointReader[C]"]:
        """Registers for ttl_s; a reader of what is sent from now on."""
        if not name:
            raise BadName("an endpoint needs a name")
        own = StreamDecoder(self.client, f"endpoint:{name}", sealer=self.sealers.get(name, self.sealer))
        decoders = [own]
        if name not in self.sealers:
            decoders.append(StreamDecoder(self.client, SHARED, sealer=self.sealer))
        for decoder in decoders:
            yield from decoder.skip_to_newest.steps()
        yield from self.keep.steps(name)
        return EndpointReader(self.client, name, decoders)

    @operation
    def keep(self, name: str) -> Steps[None]:
        """Registers for another ttl_s."""
        yield from ask_all(*roster.entering(BASE, name, self.ttl_s))

    @operation
    def names(self) -> Steps[list[str]]:
        return (yield from roster.members(BASE))

    @operation
    def route(self, name: str, message: bytes) -> Steps[None]:
        """Sends to one endpoint. Raises ContentMissing when it is not registered: nobody would read it."""
        if not (yield from ask("HEXISTS", BASE, encoded(name))):
            raise ContentMissing(f"no endpoint {name!r} is registered: it is gone, or never was")
        yield from self._send(name, message)

    @operation
    def broadcast(self, message: bytes) -> Steps[list[str]]:
        """Sends to every endpoint; their names."""
        names: list[str] = yield from self.names.steps()
        if any(name not in self.sealers for name in names):
            yield from StreamEncoder(self.client, SHARED, self.ttl_s, sealer=self.sealer).send.steps(message)
        for name in names:
            if name in self.sealers:
                yield from self._send(name, message)
        return names

    def _send(self, name: str, message: bytes) -> Steps[None]:
        sealer = self.sealers.get(name, self.sealer)
        yield from StreamEncoder(self.client, f"endpoint:{name}", self.ttl_s, sealer=sealer).send.steps(message)


@dataclass(slots=True)
class EndpointReader(Generic[C]):
    """One endpoint's reader: of its own stream, and of what is broadcast."""

    client: C
    name: str
    decoders: list[StreamDecoder[C]]
    turn: int = 0

    @operation
    def receive(self, timeout_s: float, poll_s: float = POLL_S) -> Steps[bytes]:
        """The next message. Raises what a stream's `receive` raises; ChunkExpired names the stream it is of."""
        end = time.monotonic() + timeout_s
        while True:
            for _ in self.decoders:
                decoder = self.decoders[self.turn % len(self.decoders)]
                self.turn += 1
                try:
                    return (yield from decoder.receive.steps(0))
                except TimedOut:
                    continue
            left = end - time.monotonic()
            if left <= 0:
                raise TimedOut(f"nothing came for endpoint {self.name!r} within {timeout_s} s")
            yield from pause(min(poll_s, left))

    @operation
    def skip_to_oldest(self) -> Steps[None]:
        """Goes on with the oldest messages that are whole."""
        for decoder in self.decoders:
            yield from decoder.skip_to_oldest.steps()

    @operation
    def skip_to_newest(self) -> Steps[None]:
        """Goes on with whatever is sent from now on."""
        for decoder in self.decoders:
            yield from decoder.skip_to_newest.steps()

    @stream
    def messages(self, timeout_s: float) -> Steps[None]:
        """Each message, until a stream is closed. Raises what `receive` raises, but StreamEnded."""
        while True:
            try:
                message = yield from self.receive.steps(timeout_s)
            except StreamEnded:
                return
            yield from hand(message)
