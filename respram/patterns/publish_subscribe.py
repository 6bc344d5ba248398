"""Publish and subscribe on the node's own channels: no key, no memory, no wait. Nothing else may live in this file.

    pubsub = PubSub(client, publisher="station-4")
    for message in pubsub.messages("sensor_data"):           # Message("sensor_data", b"...", "station-4")
        ...
    pubsub.publish("sensor_data", reading)  # in another process
    pubsub.listen({"sensor_data": handle}, timeout_s=60)  # handle(topic, data, publisher) for each

Not promised: that anyone listens, or that a message is kept for one who comes later, or for one who reads too slowly
(the node closes its connection). For a value that late readers find, see overwrite_pubsub.py and live_stream.py.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.effects import Receive, Steps, Subscribe
from respram.patterns.errors import BadName, Unreadable
from respram.patterns.naming import key
from respram.patterns.steps import C, ask, call, hand, operation, stream

WAIT_S = 0.2  # the longest wait for one message, so that an iterator can be closed soon
PUBLISHER_BYTES_MAX = 255  # its length is stored in one byte


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    data: bytes
    publisher: str


@dataclass(frozen=True, slots=True)
class PubSub(Generic[C]):
    client: C
    publisher: str = ""

    @operation
    def publish(self, topic: str, data: bytes) -> Steps[int]:
        """Sends to all current listeners on every node of the enclave; returns how many of them are on *this* node.

        0 is no failure: listeners on other nodes are not counted, since this node does not know them.
        """
        name = self.publisher.encode()
        if len(name) > PUBLISHER_BYTES_MAX:
            raise BadName(f"a publisher's name has at most {PUBLISHER_BYTES_MAX} bytes")
        received: int = yield from ask("PUBLISH", channel(topic), bytes((len(name),)) + name + data)
        return received

    @stream
    def messages(self, *topics: str) -> Steps[None]:
        """Yields each message on the topics without end, starting at the first step of the iteration."""
        yield Subscribe(tuple(channel(topic) for topic in topics))
        while True:
            received = yield Receive(WAIT_S)
            if received is not None:
                yield from hand(unpacked(*received))

    @operation
    def listen(
        self,
        handlers: Mapping[str, Callable[..., Any]],
        timeout_s: float,
        count: int | None = None,
        ready: Callable[[], Any] | None = None,
    ) -> Steps[int]:
        """Calls handler(topic, data, publisher) for each message until the timeout or `count`; returns how many.

        `ready` is called once the node has confirmed: from then on nothing that is published is missed.
        """
        end = time.monotonic() + timeout_s
        yield Subscribe(tuple(channel(topic) for topic in handlers))
        if ready is not None:
            yield from call(ready)
        heard = 0
        while heard != count and (left := end - time.monotonic()) > 0:
            received = yield Receive(min(WAIT_S, left))
            if received is not None:
                message = unpacked(*received)
                yield from call(handlers[message.topic], message.topic, message.data, message.publisher)
                heard += 1
        return heard


def channel(topic: str) -> bytes:
    return key("topic", topic)


def unpacked(name: bytes, data: bytes) -> Message:
    topic = name.decode().removeprefix("topic:")
    if not data or len(data) < 1 + data[0]:
        raise Unreadable(f"a message on {topic!r} was not sent by PubSub")
    return Message(topic, data[1 + data[0] :], data[1 : 1 + data[0]].decode(errors="replace"))
