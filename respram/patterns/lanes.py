"""Lanes: streams that one process alone writes, so that nothing is decided before a message goes out.
No pattern's rule here.

A stream with several writers must be read before each message, and its home decides whose turn it is. A lane has one
writer, which knows the next number by itself. The chunks, the head and any further commands travel in one round trip,
through any node, whether or not the homes of their keys are up. A message that a client library sends twice is written
twice under one number, so it counts once.

A roster lists the lanes (roster.py), and readers look at it with each poll, so the number of lanes is kept small: a
process has one lane for each node's address and each ttl_s, and all objects that send through it take turns. A lane is
abandoned when it was not used for IDLE_S, or when the outcome of its last message is unknown. A forked process starts
lanes of its own.
"""

import os
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from respram.patterns import drivers, roster
from respram.patterns.effects import Ask, Command, Pause, Steps
from respram.patterns.errors import PatternError
from respram.patterns.live_stream import HEAD, chunk_key, cut, head_key
from respram.patterns.naming import key
from respram.patterns.sealing import Sealer
from respram.patterns.steps import ask_all, ttl_ms

T = TypeVar("T")

BASE = key("roster", "lane")
LANE_EXTRA_S = 120.0  # how long a lane's name and heads outlive its messages: it is registered again after half of this
IDLE_S = 60.0  # after this silence a writer begins another lane, well before the old one's heads expire
TURN_S = 0.001  # interval at which a waiting writer checks for a free lane: a message holds one for a round trip
LANES_MAX = 64  # lanes of one process, one for each address and ttl_s; beyond it the oldest ends
STREAMS_MAX = 10_000  # streams of one lane, 100 bytes each; another stream begins another lane
TOGETHER_BYTES_MAX = 8 * 1024 * 1024  # of the messages in one round trip, unless a single message is longer


@dataclass(slots=True, eq=False)
class Lane:
    ttl_s: float
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    life: int = field(default_factory=lambda: secrets.randbits(64) | 1)
    numbers: dict[str, int] = field(default_factory=dict)  # next number of each stream, by addressee
    entered_until_s: float = 0.0  # monotonic: until then the roster certainly holds its name
    used_s: float = field(default_factory=time.monotonic)
    writing: threading.Lock = field(default_factory=threading.Lock)  # held from step to step, also by tasks

    def send(self, copies: list[tuple[str, bytes, Sealer | None]], *asked: Command) -> Steps[list[Any]]:
        """Writes a message for each addressee; returns the replies to `asked`, which goes in the first round trip."""
        replies: list[Any] = []
        for group in _groups(copies) if copies else [[]]:
            writes = [command for of, message, sealer in group for command in self._writes(of, message, sealer)]
            found = yield from ask_all(*writes, roster.look(BASE, self.name), *asked)
            for reply in found[: len(writes)]:
                if isinstance(reply, list):
                    for failed in (each for each in reply if isinstance(each, Exception)):
                        raise drivers.readable(failed, Ask(tuple(writes)))
            if found[len(writes)][0] < ttl_ms(self.ttl_s):  # a restarted node has lost it
                yield from self.enter()
            replies += found[len(writes) + 1 :]
            asked = ()
        return replies

    def enter(self) -> Steps[None]:
        lasting_s = self.ttl_s + LANE_EXTRA_S
        until_s = time.monotonic() + lasting_s
        yield from ask_all(*roster.entering(BASE, self.name, lasting_s))
        self.entered_until_s = until_s

    def keep(self) -> Steps[None]:
        """Enters the lane in the roster when it is due. While the entry lasts long enough, its home may be away."""
        left_s = self.entered_until_s - time.monotonic() - self.ttl_s
        if left_s < LANE_EXTRA_S / 2:
            try:
                yield from self.enter()
            except PatternError:
                if left_s < 0:
                    raise

    def _writes(self, of: str, message: bytes, sealer: Sealer | None) -> list[Command]:
        stream, at = stream_name(self.name, of), self.numbers.get(of, 0)
        chunks = cut(message)
        keys = [chunk_key(stream, number) for number in range(at, at + len(chunks))]
        # A lane whose message failed is never used again, so the number may advance here.
        self.numbers[of] = at + len(chunks)
        head = HEAD.pack(at + len(chunks), self.life, 0)
        writes: list[Command] = [
            ("SET", name, sealer.seal(chunk, name) if sealer else chunk, "PX", ttl_ms(self.ttl_s))
            for name, chunk in zip(keys, chunks, strict=True)
        ]
        writes.append(("SET", head_key(stream), head, "PX", ttl_ms(self.ttl_s + LANE_EXTRA_S)))
        # The chunks of one message share one deadline; readers rely on it.
        return [("MULTI",), *writes, ("EXEC",)] if len(chunks) > 1 else writes


_lanes: dict[tuple[Any, ...], Lane] = {}
os.register_at_fork(after_in_child=_lanes.clear)


def alone(client: Any, ttl_s: float, make: Callable[[Lane], Steps[T]]) -> Steps[T]:
    """Runs steps with the process's lane for this client, one caller at a time across threads and tasks.

    When they fail the lane is abandoned; anything it wrote stays.
    """
    place = _place(client, ttl_s)
    while True:
        lane = _lane(place, ttl_s)
        if lane.writing.acquire(blocking=False):
            if _lanes.get(place) is lane:
                break
            lane.writing.release()
        yield Pause(TURN_S)
    try:
        yield from lane.keep()
        result = yield from make(lane)
        lane.used_s = time.monotonic()
        return result
    except BaseException:
        if _lanes.get(place) is lane:
            del _lanes[place]
        raise
    finally:
        lane.writing.release()


def stream_name(lane: str, of: str) -> str:
    return f"lane/{lane}/{of}"


def _lane(place: tuple[Any, ...], ttl_s: float) -> Lane:
    lane = _lanes.get(place)
    if lane is not None and (
        lane.writing.locked() or (time.monotonic() - lane.used_s < IDLE_S and len(lane.numbers) < STREAMS_MAX)
    ):
        return lane
    if lane is None and len(_lanes) >= LANES_MAX:
        _lanes.pop(next(iter(_lanes)), None)
    lane = Lane(ttl_s)
    _lanes[place] = lane
    return lane


def _place(client: Any, ttl_s: float) -> tuple[Any, ...]:
    """The node that the client connects to, according to its settings."""
    pool = client.connection_pool
    told = tuple(pool.connection_kwargs.get(word) for word in ("host", "port", "path", "db"))
    return (*(told if any(told[:3]) else (id(pool),)), ttl_s)


def _groups(copies: list[tuple[str, bytes, Sealer | None]]) -> list[list[tuple[str, bytes, Sealer | None]]]:
    """Groups the messages by round trip."""
    groups: list[list[tuple[str, bytes, Sealer | None]]] = [[]]
    held = 0
    for copy in copies:
        if groups[-1] and held + len(copy[1]) > TOGETHER_BYTES_MAX:
            groups.append([])
            held = 0
        groups[-1].append(copy)
        held += len(copy[1])
    return groups
