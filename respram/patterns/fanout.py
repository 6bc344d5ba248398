"""Fan-out to named endpoints: each has a stream of its own, into which anyone may write. Nothing else may live here.

    endpoints = Endpoints(client)
    alice = endpoints.register("viewer_alice")  # returns an EndpointReader
    endpoints.route("viewer_alice", segment)
    endpoints.broadcast(segment)  # to all registered endpoints: ["viewer_alice"]

A broadcast is one message in the sender's lane (lanes.py), which every endpoint reads beside its own stream: a thousand
viewers cost as much as one, a single round trip. Two senders write two lanes, so neither waits for the other, and no
message is lost or doubled, whichever nodes they use and whichever of these dies. A registration expires; an endpoint
registers again before ttl_s, which is its sign of life. A roster lists the registered endpoints (roster.py). `sealers`
gives endpoints a secret each: messages to them are sealed with it, and a broadcast goes to each of them separately. Not
promised: that an endpoint reads in time (ChunkExpired tells it), or an order between senders, or between routed
messages and broadcasts.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

from respram.patterns import lanes, roster
from respram.patterns.effects import Command, Steps
from respram.patterns.errors import BadName, ContentMissing, StreamEnded, TimedOut, TooMany
from respram.patterns.live_stream import HEAD, POLL_S, StreamDecoder, StreamEncoder, chunk_key, cut, head_key, head_of
from respram.patterns.naming import encoded, key
from respram.patterns.sealing import Sealer
from respram.patterns.steps import C, ask, ask_all, hand, operation, pause, stream

BASE = key("roster", "endpoint")
SHARED = "endpoint:"  # key of broadcasts in earlier versions; readable for one more version
ALL = ""  # addressee of the stream that every endpoint reads; no endpoint has this name
LANES_MAX = 4096  # lanes that an endpoint follows: each costs two keys at each check


@dataclass(slots=True)
class Seen:
    """The endpoints registered at the last broadcast: a guess for the next one."""

    names: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Endpoints(Generic[C]):
    client: C
    ttl_s: float = 30.0
    sealers: Mapping[str, Sealer] = field(default_factory=dict)  # by endpoint; both sides need the same one
    sealer: Sealer | None = None  # for endpoints without a sealer of their own
    seen: Seen = field(default_factory=Seen, compare=False, repr=False)

    @operation
    def register(self, name: str) -> Steps["EndpointReader[C]"]:
        """Registers for ttl_s; returns a reader of messages that are sent from now on."""
        if not name:
            raise BadName("an endpoint needs a name")
        own, alone = self.sealers.get(name, self.sealer), name in self.sealers
        decoders = [StreamDecoder(self.client, f"endpoint:{name}", sealer=own)]
        if not alone:
            decoders.append(StreamDecoder(self.client, SHARED, sealer=self.sealer))
        reader = EndpointReader(self.client, name, decoders, own, self.sealer, alone)
        yield from reader.skip_to_newest.steps()
        yield from self.keep.steps(name)
        return reader

    @operation
    def keep(self, name: str) -> Steps[None]:
        """Registers for another ttl_s."""
        yield from ask_all(*roster.entering(BASE, name, self.ttl_s))

    @operation
    def names(self) -> Steps[list[str]]:
        return (yield from roster.members(BASE))

    @operation
    def route(self, name: str, message: bytes) -> Steps[None]:
        """Sends to one endpoint. Raises ContentMissing when it is not registered."""
        if not (yield from ask("HEXISTS", BASE, encoded(name))):
            raise ContentMissing(f"no endpoint {name!r} is registered: it is gone, or never was")
        yield from self._send(name, message)

    @operation
    def broadcast(self, message: bytes) -> Steps[list[str]]:
        """Sends to every endpoint; returns their names. Raises ValueTooLarge."""
        cut(message)  # fails before anything is sent
        return (yield from lanes.alone(self.client, self.ttl_s, lambda lane: self._broadcast(lane, message)))

    def _broadcast(self, lane: lanes.Lane, message: bytes) -> Steps[list[str]]:
        """Sends to the previously known endpoints while it asks for the current ones, then to the new ones."""
        sent = self._guessed(self.seen.names)
        replies: list[Any] = yield from lane.send(self._copies(sent, message), roster.reading(BASE))
        names: list[str] = roster.names(replies[0])
        self.seen.names = names
        others: list[str] = self._others(names)
        late: set[str] = {*others, *([ALL] if len(others) < len(names) else [])} - set(sent)
        if late:
            yield from lane.send(self._copies(sorted(late), message))
        return names

    def _guessed(self, names: list[str]) -> list[str]:
        """Addressees that can be sent to before the answer; an unsealed copy waits until it has a known reader."""
        others: list[str] = self._others(names)
        if not self.sealers or (self.sealer is not None and (not names or len(others) < len(names))):
            return [ALL, *others]
        return others

    def _others(self, names: list[str]) -> list[str]:
        """The endpoints to which a broadcast goes separately."""
        return [name for name in names if name in self.sealers]

    def _copies(self, streams: list[str], message: bytes) -> list[tuple[str, bytes, Sealer | None]]:
        return [(of, message, self.sealers.get(of, self.sealer)) for of in streams]

    def _send(self, name: str, message: bytes) -> Steps[None]:
        sealer = self.sealers.get(name, self.sealer)
        yield from StreamEncoder(self.client, f"endpoint:{name}", self.ttl_s, sealer=sealer).send.steps(message)


@dataclass(slots=True)
class EndpointReader(Generic[C]):
    """One endpoint's reader, for its own stream and for broadcasts."""

    client: C
    name: str
    decoders: list[StreamDecoder[C]]
    own: Sealer | None = None
    shared: Sealer | None = None
    alone: bool = False  # broadcasts are sent to this endpoint separately
    lanes: dict[str, list[StreamDecoder[C]]] = field(default_factory=dict)
    turn: int = 0

    @operation
    def receive(self, timeout_s: float, poll_s: float = POLL_S) -> Steps[bytes]:
        """The next message of any stream. Raises what a stream's `receive` raises, and TooMany.

        ChunkExpired names its stream.
        """
        end = time.monotonic() + timeout_s
        while True:
            for decoder in (yield from self._ready()):
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
        """Continues with the oldest complete messages of the streams that lost something, or of all if none did."""
        yield from self._look()
        every = self.decoders + self._followed()
        for decoder in [each for each in every if each.missing_since_s is not None] or every:
            yield from decoder.skip_to_oldest.steps()

    @operation
    def skip_to_newest(self) -> Steps[None]:
        """Continues with messages that are sent from now on."""
        for decoder in self.decoders:
            yield from decoder.skip_to_newest.steps()
        yield from self._look()  # finds the lanes
        heads, _ = yield from self._look()
        for decoder in self._followed():
            # A stream without a head has no messages yet, so its oldest message will be new.
            found = heads.get(decoder.name)
            decoder.position, decoder.missing_since_s = None, None
            if found is not None:
                decoder.position, decoder.life, _ = head_of(found, decoder.name)

    def _followed(self) -> list[StreamDecoder[C]]:
        return [decoder for each in self.lanes.values() for decoder in each]

    def _ready(self) -> Steps[list[StreamDecoder[C]]]:
        """The decoders that may have a message, in turn."""
        placed = {each.name: each.position for each in self._followed() if each.position is not None}
        # A head that was sent twice may for a moment name less than there is, so the next chunk is asked for itself.
        next_chunks: list[Command] = [("EXISTS", chunk_key(name, at)) for name, at in placed.items()]
        heads, found = yield from self._look(*next_chunks)
        there = {name for name, one in zip(placed, found, strict=True) if one}
        every: list[StreamDecoder[C]] = self.decoders + self._followed()
        start = self.turn % len(every)
        return [
            decoder
            for decoder in every[start:] + every[:start]
            if decoder.name in there or decoder.name not in heads or _behind(decoder, heads[decoder.name])
        ]

    def _look(self, *more: Command) -> Steps[tuple[dict[str, bytes | None], list[Any]]]:
        """Refreshes the lanes; returns the heads of all streams known before, by name, and the replies to `more`."""
        known: list[StreamDecoder[C]] = self.decoders + self._followed()
        heads_of: Command = ("MGET", *(head_key(decoder.name) for decoder in known))
        replies: list[Any] = yield from ask_all(roster.reading(lanes.BASE), heads_of, *more)
        heads: dict[str, bytes | None] = dict(zip((decoder.name for decoder in known), replies[1], strict=True))
        there: list[str] = roster.names(replies[0])
        if len(there) > LANES_MAX:
            raise TooMany(f"more than {LANES_MAX} processes broadcast, or did minutes ago: let one do it for all")
        for lane in set(self.lanes) - set(there):
            if not any(heads[decoder.name] for decoder in self.lanes[lane]):
                del self.lanes[lane]
        for lane in there:
            if lane not in self.lanes:
                self.lanes[lane] = [self._decoder(lane, self.name, self.own)]
                if not self.alone:
                    self.lanes[lane].append(self._decoder(lane, ALL, self.shared))
        return heads, replies[2:]

    def _decoder(self, lane: str, of: str, sealer: Sealer | None) -> StreamDecoder[C]:
        return StreamDecoder(self.client, lanes.stream_name(lane, of), sealer=sealer, lone=True)

    @stream
    def messages(self, timeout_s: float) -> Steps[None]:
        """Yields each message until a stream is closed. Raises what `receive` raises, except StreamEnded."""
        while True:
            try:
                message = yield from self.receive.steps(timeout_s)
            except StreamEnded:
                return
            yield from hand(message)


def _behind(decoder: StreamDecoder[C], head: bytes | None) -> bool:
    """Whether the stream's head says that the reader has a message or an error to receive."""
    if decoder.missing_since_s is not None:
        return True
    if head is None:
        return False
    if decoder.position is None or len(head) != HEAD.size:
        return True
    seq, life, closed = HEAD.unpack(head)
    return bool(closed) or seq > decoder.position or decoder.life not in (0, life)
