"""Fan-out to named endpoints: each has a stream of its own, into which anyone may write. Nothing else may live here.

    endpoints = Endpoints(client)
    alice = endpoints.register("viewer_alice")          # a StreamDecoder
    endpoints.route("viewer_alice", segment)
    endpoints.broadcast(segment)                        # to all that are registered: ["viewer_alice"]

Registration expires; an endpoint registers again before ttl_s, which is its sign of life.
Not promised: that an endpoint reads in time (ChunkExpired tells it), or the order between senders on different nodes.
"""

from dataclasses import dataclass
from typing import Generic

from respram.patterns.effects import Steps
from respram.patterns.errors import ContentMissing
from respram.patterns.live_stream import StreamDecoder, StreamEncoder
from respram.patterns.naming import key, level, scan, unlevel
from respram.patterns.steps import C, exists, operation, put

PREFIX = key("endpoint") + b":"


@dataclass(frozen=True, slots=True)
class Endpoints(Generic[C]):
    client: C
    ttl_s: float = 30.0

    @operation
    def register(self, name: str) -> Steps[StreamDecoder[C]]:
        """Registers for ttl_s; a decoder that reads what is sent from now on."""
        decoder = StreamDecoder(self.client, f"endpoint:{name}")
        yield from decoder.skip_to_newest.steps()
        yield from self.keep.steps(name)
        return decoder

    @operation
    def keep(self, name: str) -> Steps[None]:
        """Registers for another ttl_s."""
        yield from put(PREFIX + level(name).encode(), b"registered", self.ttl_s)

    @operation
    def names(self) -> Steps[list[str]]:
        return sorted(unlevel(each[len(PREFIX) :]) for each in (yield from scan(PREFIX)))

    @operation
    def route(self, name: str, message: bytes) -> Steps[None]:
        """Sends to one endpoint. Raises ContentMissing when it is not registered: nobody would read it."""
        if not (yield from exists(PREFIX + level(name).encode())):
            raise ContentMissing(f"no endpoint {name!r} is registered: it is gone, or never was")
        yield from StreamEncoder(self.client, f"endpoint:{name}", self.ttl_s).send.steps(message)

    @operation
    def broadcast(self, message: bytes) -> Steps[list[str]]:
        """Sends to every endpoint; their names."""
        names = yield from self.names.steps()
        for name in names:
            yield from StreamEncoder(self.client, f"endpoint:{name}", self.ttl_s).send.steps(message)
        return names
