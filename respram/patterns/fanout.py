"""Fan-out to named endpoints: each has a stream of its own, into which anyone may write. Nothing else may live here.

    endpoints = Endpoints(client)
    alice = endpoints.register("viewer_alice")          # an EndpointReader
    endpoints.route("viewer_alice", segment)
    endpoints.broadcast(segment)                        # to all that are registered: ["viewer_alice"]

A broadcast is one message in a lane of the sender's (lanes.py), which every endpoint reads beside its own stream: a
thousand viewers cost what one costs, and one round trip. Two senders write two lanes, so neither waits for the other,
and no message is lost or doubled, whichever nodes they use and whichever of these dies. Registration expires; an
endpoint registers again before ttl_s, which is its sign of life. A roster lists the registered endpoints (roster.py).
`sealers` gives endpoints a secret each: what goes to them is sealed with it, and a broadcast goes to each of them by
itself. Not promised: that an endpoint reads in time (ChunkExpired tells it), or an order between senders, or between
what is routed to an endpoint and what is broadcast.
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
SHARED = "endpoint:"  # where earlier versions broadcast; read for one version more
ALL = ""  # whom a lane's stream is for that every endpoint reads: no endpoint has that name
LANES_MAX = 4096  # that an endpoint follows: each costs it two keys at each look


@dataclass(slots=True)
class Seen:
    """The endpoints registered at the last broadcast: a guess for the next one."""

    names: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Endpoints(Generic[C]):
    client: C
    ttl_s: float = 30.0
    sealers: Mapping[str, Sealer] = field(default_factory=dict)  # by endpoint; both sides need the same
    sealer: Sealer | None = None  # of what is sent to those who have none of their own
    seen: Seen = field(default_factory=Seen, compare=False, repr=False)

    @operation
    def register(self, name: str) -> Steps["EndpointReader[C]"]:
        """Registers for ttl_s; a reader of what is sent from now on."""
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
        """Sends to one endpoint. Raises ContentMissing when it is not registered: nobody would read it."""
        if not (yield from ask("HEXISTS", BASE, encoded(name))):
            raise ContentMissing(f"no endpoint {name!r} is registered: it is gone, or never was")
        yield from self._send(name, message)

    @operation
    def broadcast(self, message: bytes) -> Steps[list[str]]:
        """Sends to every endpoint; their names. Raises ValueTooLarge."""
        cut(message)  # before anything is sent
        return (yield from lanes.alone(self.client, self.ttl_s, lambda lane: self._broadcast(lane, message)))

    def _broadcast(self, lane: lanes.Lane, message: bytes) -> Steps[list[str]]:
        """Sends to those of the last time while it asks who is there, then to those who have come since."""
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
        """Whom a message surely may go to. What is not sealed waits for the answer that somebody reads it in plain."""
        others: list[str] = self._others(names)
        if not self.sealers or (self.sealer is not None and (not names or len(others) < len(names))):
            return [ALL, *others]
        return others

    def _others(self, names: list[str]) -> list[str]:
        """Those to whom a broadcast goes by itself."""
        return [name for name in names if name in self.sealers]

    def _copies(self, streams: list[str], message: bytes) -> list[tuple[str, bytes, Sealer | None]]:
        return [(of, message, self.sealers.get(of, self.sealer)) for of in streams]

    def _send(self, name: str, message: bytes) -> Steps[None]:
        sealer = self.sealers.get(name, self.sealer)
        yield from StreamEncoder(self.client, f"endpoint:{name}", self.ttl_s, sealer=sealer).send.steps(message)


@dataclass(slots=True)
class EndpointReader(Generic[C]):
    """One endpoint's reader: of its own stream, and of what is broadcast."""

    client: C
    name: str
    decoders: list[StreamDecoder[C]]
    own: Sealer | None = None
    shared: Sealer | None = None
    alone: bool = False  # what is broadcast comes to it by itself
    lanes: dict[str, list[StreamDecoder[C]]] = field(default_factory=dict)
    turn: int = 0

    @operation
    def receive(self, timeout_s: float, poll_s: float = POLL_S) -> Steps[bytes]:
        """The next message. Raises what a stream's `receive` raises, and TooMany; ChunkExpired names the stream it is
        of.
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
        """Goes on with the oldest messages that are whole: in the streams of which something is gone; where nothing
        is, in all of them.
        """
        yield from self._look()
        every = self.decoders + self._followed()
        for decoder in [each for each in every if each.missing_since_s is not None] or every:
            yield from decoder.skip_to_oldest.steps()

    @operation
    def skip_to_newest(self) -> Steps[None]:
        """Goes on with whatever is sent from now on."""
        for decoder in self.decoders:
            yield from decoder.skip_to_newest.steps()
        yield from self._look()  # finds the lanes
        heads, _ = yield from self._look()
        for decoder in self._followed():
            # Where there is no head yet, whatever comes is from now on: the oldest that is there then.
            found = heads.get(decoder.name)
            decoder.position, decoder.missing_since_s = None, None
            if found is not None:
                decoder.position, decoder.life, _ = head_of(found, decoder.name)

    def _followed(self) -> list[StreamDecoder[C]]:
        return [decoder for each in self.lanes.values() for decoder in each]

    def _ready(self) -> Steps[list[StreamDecoder[C]]]:
        """The decoders that may have something, in turn."""
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
        """Which lanes there are. The heads of all streams that were known before it, by name; the replies to more."""
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
        """Each message, until a stream is closed. Raises what `receive` raises, but StreamEnded."""
        while True:
            try:
                message = yield from self.receive.steps(timeout_s)
            except StreamEnded:
                return
            yield from hand(message)


def _behind(decoder: StreamDecoder[C], head: bytes | None) -> bool:
    """Whether a reader at its place has something to read, or to be told, by the stream's head."""
    if decoder.missing_since_s is not None:
        return True
    if head is None:
        return False
    if decoder.position is None or len(head) != HEAD.size:
        return True
    seq, life, closed = HEAD.unpack(head)
    return bool(closed) or seq > decoder.position or decoder.life not in (0, life)
