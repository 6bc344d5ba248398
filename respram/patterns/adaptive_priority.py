"""Adaptive priority: several streams share one sender by weight, and a stream that falls behind gains weight.
Nothing else lives here.

    sender = PrioritySender(MultiplexSender(client, "meeting-3", ("video", "audio")), {"audio": 8, "video": 1})
    sender.enqueue("video", frame); sender.enqueue("audio", sample)
    sender.send_next()  # "audio": the channel whose message was sent
    sender.drain()  # sends all messages; returns their number

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

QUEUE_MAX = 1000  # waiting messages of one channel
UNDER_WAY_S = 0.005  # interval at which a drain checks for a message that another drain is sending
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
    sending: set[str] = field(default_factory=set)  # channels with a message that is being sent
    choosing: threading.Lock = field(default_factory=threading.Lock)  # two threads may drain at the same time

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
        """Puts a message in its channel's queue; returns the queue's length.

        Raises TooMany when the queue is full: slow down, or drop the message. Raises ValueTooLarge for a message that
        no stream accepts.
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
        """The channel's current weight, which rises as its queue fills."""
        return self.weights[channel] * (1 + (self.urgency - 1) * len(self.queues[channel]) / self.queue_max)

    @operation
    def send_next(self) -> Steps[str | None]:
        """Sends one message of the channel whose turn it is; returns the channel, or None when there is none to send.

        An exception of the stream passes through. The message then stays first in its queue, and the channel's turn is
        used up.
        """
        return (yield from self._send_next(set()))

    @operation
    def drain(self) -> Steps[int]:
        """Sends queued messages until the queues are empty; returns how many it sent.

        It waits for messages that another drain is sending. A channel whose stream refuses a message (StreamEnded,
        Contended) does not hold up the others; the first such exception is raised at the end. `discard` empties a queue
        that cannot be sent. StoreAway is raised at once.
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
        """Drops a channel's queue; returns how many messages it held."""
        count = len(self.queues[channel])
        self.queues[channel].clear()
        return count

    def _send_next(self, refused: set[str]) -> Steps[str | None]:
        """Like `send_next`, among the channels not in the set of refusers; a channel that refuses is added to the
        set."""
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
            # Each channel has one message in flight: its messages stay in order, and no message is sent twice.
            message = self.queues[chosen].popleft()
            self.sending.add(chosen)
            if not self.queues[chosen]:
                self.credit[chosen] = 0.0  # an idle channel accumulates no credit
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
