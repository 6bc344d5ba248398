"""Ephemeral pub/sub by overwriting: subscribers read a topic's latest message. Nothing else may live in this file.

    OverwritePublisher(client, "dashboard", ttl_s=10).publish(b"42 orders a minute")  # whenever there is news
    subscriber = OverwriteSubscriber(other_client, "dashboard")
    subscriber.poll()  # Update(b"42 orders a minute", missed=0), or None without news

Not promised: every message. A subscriber gets the latest and is told how many it missed; when the publisher
stops, the topic is silent, then gone.
"""

import secrets
import struct
from dataclasses import dataclass, field
from typing import Generic

from respram.patterns.errors import Unreadable
from respram.patterns.naming import key
from respram.patterns.steps import C, Steps, get, hand, operation, pause, put, stream

HEADER = struct.Struct(">8sQ")  # publisher's id, and number of its updates
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Update:
    payload: bytes
    missed: int  # updates of this publisher that were overwritten before this subscriber read them


@dataclass(slots=True)
class OverwritePublisher(Generic[C]):
    client: C
    topic: str
    ttl_s: float = 10.0
    published: int = 0
    publisher: bytes = field(default_factory=lambda: secrets.token_bytes(8))

    @operation
    def publish(self, payload: bytes) -> Steps[None]:
        self.published += 1
        yield from put(key("topic", self.topic), HEADER.pack(self.publisher, self.published) + payload, self.ttl_s)


@dataclass(slots=True)
class OverwriteSubscriber(Generic[C]):
    client: C
    topic: str
    publisher: bytes = b""
    seen: int = 0

    @operation
    def poll(self) -> Steps[Update | None]:
        """The latest update if it is new to this subscriber."""
        found = yield from get(key("topic", self.topic))
        if found is None:
            return None
        if len(found) < HEADER.size:
            raise Unreadable(f"topic {self.topic!r} was not written by OverwritePublisher")
        publisher, number = HEADER.unpack_from(found)
        if (publisher, number) == (self.publisher, self.seen):
            return None
        # A publisher that started anew, or that this subscriber has not met: what came before is not missed but
        # unknown.
        missed = max(0, number - self.seen - 1) if publisher == self.publisher else 0
        self.publisher, self.seen = publisher, number
        return Update(found[HEADER.size :], missed)

    @stream
    def updates(self, poll_s: float = POLL_S) -> Steps[None]:
        """Yields each update that a poll finds, without end."""
        while True:
            if (update := (yield from self.poll.steps())) is not None:
                yield from hand(update)
            yield from pause(poll_s)
