"""Adaptive priority: several streams share one sender, each by its weight, and more while it falls behind.
Nothing else lives here.

    sender = PrioritySender(MultiplexSender(client, "meeting-3", ("video", "audio")), {"audio": 8, "video": 1})
    sender.enqueue("video", frame); sender.enqueue("audio", sample)
    sender.send_next()                       # "audio": the channel whose message went out
    sender.drain()                           # all of them; how many

Smooth weighted round robin: of 9 messages 8 are audio, spread evenly, and an idle channel costs nothing. A channel
counts up to `urgency` times its weight as its queue fills, so that a light channel that falls behind catches up and
none starves. Not promised: an order between channels; that a message in the queue outlives this process. The receiver
is MultiplexReceiver.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from respram.patterns.effects import Steps
from respram.patterns.errors import BadName, TooMany
from respram.patterns.multiplex import MultiplexSender
from respram.patterns.steps import C, operation

QUEUE_MAX = 1000  # messages of one channel that wait
URGENCY = 4.0  # a channel whose queue is full counts this many times its weight


@dataclass(slots=True)
class PrioritySender(Generic[C]):
    sender: MultiplexSender[C]
    weights: Mapping[str, float]
    queue_max: int = QUEUE_MAX
    urgency: float = URGENCY
    sent: dict[str, int] = field(init=False)
    queues: dict[str, deque[bytes]] = field(init=False)
    credit: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        for channel in self.sender.channels:
            if self.weights.get(channel, 0) <= 0:
                raise BadName(f"channel {channel!r} needs a weight above 0")
        self.sent = dict.fromkeys(self.sender.channels, 0)
        self.queues = {channel: deque() for channel in self.sender.channels}
        self.credit = dict.fromkeys(self.sender.channels, 0.0)

    @property
    def client(self) -> C:
        return self.sender.client

    def enqueue(self, channel: str, message: bytes) -> int:
        """Puts a message in its channel's queue; how many wait there. Raises TooMany when it is full: slow down, or
        drop.
        """
        if channel not in self.queues:
            raise BadName(f"{channel!r} is not a channel of {self.sender.name!r}")
        if len(self.queues[channel]) >= self.queue_max:
            raise TooMany(f"{self.queue_max} messages of channel {channel!r} wait already; this one was not taken")
        self.queues[channel].append(message)
        return len(self.queues[channel])

    def weight(self, channel: str) -> float:
        """What the channel counts now: its weight, and more as its queue fills."""
        return self.weights[channel] * (1 + (self.urgency - 1) * len(self.queues[channel]) / self.queue_max)

    @operation
    def send_next(self) -> Steps[str | None]:
        """Sends one message of the channel whose turn it is; the channel, or None when nothing waits.

        What the stream raises is raised, and the message stays the first of its queue.
        """
        waiting = [channel for channel, queue in self.queues.items() if queue]
        if not waiting:
            return None
        weights = {channel: self.weight(channel) for channel in waiting}
        chosen = max(waiting, key=lambda channel: self.credit[channel] + weights[channel])
        yield from self.sender.send.steps(chosen, self.queues[chosen][0])
        self.queues[chosen].popleft()
        for channel in waiting:
            self.credit[channel] += weights[channel]
        self.credit[chosen] -= sum(weights.values())
        if not self.queues[chosen]:
            self.credit[chosen] = 0.0  # an idle channel saves nothing up
        self.sent[chosen] += 1
        return chosen

    @operation
    def drain(self) -> Steps[int]:
        """Sends what waits, until nothing does; how many messages."""
        count = 0
        while (yield from self.send_next.steps()) is not None:
            count += 1
        return count
