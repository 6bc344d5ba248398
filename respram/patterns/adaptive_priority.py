"""Adaptive priority: several streams share one sender, each by its weight, and more while it falls behind.
Nothing else lives here.

    sender = PrioritySender(MultiplexSender(client, "meeting-3", ("video", "audio")), {"audio": 8, "video": 1})
    sender.enqueue("video", frame); sender.enqueue("audio", sample)
    sender.send_next()                       # "audio": the channel whose message went out
    sender.drain()                           # all of them; how many

Smooth weighted round robin: of 9 messages 8 are audio, spread evenly, and an idle channel costs nothing. A channel
counts up to `urgency` times its weight as its queue fills, so that a light channel that falls behind catches up and
none starves. Several tasks or threads may drain: each message is sent by one of them, and a channel's in their order.
Not promised: an order between channels; that a message in the queue outlives this process, or that one is sent once
where its sending broke off. The receiver is MultiplexReceiver.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic

from respram.patterns.effects import Steps
from respram.patterns.errors import BadName, PatternError, StoreAway, TooMany, ValueTooLarge
from respram.patterns.live_stream import MESSAGE_BYTES_MAX
from respram.patterns.multiplex import MultiplexSender
from respram.patterns.steps import C, operation, pause

QUEUE_MAX = 1000  # messages of one channel that wait
UNDER_WAY_S = 0.005  # how soon a drain looks again at what another one has under way
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
    sending: set[str] = field(default_factory=set)  # channels of which a message is under way
    choosing: threading.Lock = field(default_factory=threading.Lock)  # two threads may drain

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
        drop. Raises ValueTooLarge for one that no stream takes.
        """
        if channel not in self.queues:
            raise BadName(f"{channel!r} is not a channel of {self.sender.name!r}")
        if len(message) > MESSAGE_BYTES_MAX:
            raise ValueTooLarge(f"a message of {len(message)} bytes is over {MESSAGE_BYTES_MAX}; it was not taken")
        if len(self.queues[channel]) >= self.queue_max:
            raise TooMany(f"{self.queue_max} messages of channel {channel!r} wait already; this one was not taken")
        self.queues[channel].append(message)
        return len(self.queues[channel])

    def weight(self, channel: str) -> float:
        """What the channel counts now: its weight, and more as its queue fills."""
        return self.weights[channel] * (1 + (self.urgency - 1) * len(self.queues[channel]) / self.queue_max)

    @operation
    def send_next(self) -> Steps[str | None]:
        """Sends one message of the channel whose turn it is; the channel, or None when nothing waits that is not under
        way.

        What the stream raises is raised, and the message stays the first of its queue; its channel has had its turn.
        """
        return (yield from self._send_next(set()))

    @operation
    def drain(self) -> Steps[int]:
        """Sends what waits, until nothing does; how many messages. What another drain has under way is waited for.

        A channel whose stream refuses a message (StreamEnded, Contended) holds up no other; then what the first of them
        raised is raised at the end. `discard` empties a queue that cannot be sent. StoreAway is raised at once.
        """
        count, failure = 0, None
        refused: set[str] = set()
        while True:
            try:
                chosen = yield from self._send_next(refused)
            except StoreAway:
                raise
            except PatternError as error:
                failure = failure or error
                continue
            if chosen is not None:
                count += 1
            elif not any(queue for channel, queue in self.queues.items() if channel not in refused) and not (
                self.sending - refused
            ):
                break
            else:
                yield from pause(UNDER_WAY_S)
        if failure is not None:
            raise failure
        return count

    def discard(self, channel: str) -> int:
        """Forgets what waits in a channel; how many messages."""
        count = len(self.queues[channel])
        self.queues[channel].clear()
        return count

    def _send_next(self, refused: set[str]) -> Steps[str | None]:
        """Of the channels that have not refused; one that does is added to them."""
        with self.choosing:
            waiting = [
                channel for channel, queue in self.queues.items()
                if queue and channel not in refused and channel not in self.sending
            ]  # fmt: skip
            if not waiting:
                return None
            weights = {channel: self.weight(channel) for channel in waiting}
            chosen = max(waiting, key=lambda channel: self.credit[channel] + weights[channel])
            for channel in waiting:
                self.credit[channel] += weights[channel]
            self.credit[chosen] -= sum(weights.values())
            # One of each channel is under way at a time: its messages stay in order, and none is sent by two.
            message = self.queues[chosen].popleft()
            self.sending.add(chosen)
            if not self.queues[chosen]:
                self.credit[chosen] = 0.0  # an idle channel saves nothing up
        try:
            yield from self.sender.send.steps(chosen, message)
        except BaseException:
            self.queues[chosen].appendleft(message)
            refused.add(chosen)
            raise
        finally:
            self.sending.discard(chosen)
        self.sent[chosen] += 1
        return chosen
