"""Watchers of keys: one subscription to the node for each user, shared by all its watchers, and a bounded queue for
each of them.

A node publishes keyspace events where `notify-keyspace-events` says so. Before an event is shown, the user's link is
asked for the key's remaining life: that adds the life to the event, and names of keys that the user may not read stay
hidden. A watcher that reads too slowly loses events and is told how many; it never holds up the node's link.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import NamedTuple

from respram.gateway.faults import Busy, NodesGone, Refusal, WrongLogin
from respram.gateway.link import NodeLink, Reply
from respram.gateway.nodes import Nodes
from respram.gateway.store import pattern_of
from respram.gateway.target import Login

EVENTS_MAX = 1_000  # events queued for one watcher
FRESH_MAX = 10_000  # events queued for a lookup of their deadlines
WATCHERS_MAX = 4_000  # of all users together
FEEDS_MAX = 32  # users who watch at the same time: each takes a link to the node
SAME_S = 0.05  # deadlines that differ by less count as equal
RETRY_S = 0.5  # between two attempts to subscribe again
NAMES = {b"expired": "expired", b"expire": "expire"}  # all other events are writes


class Event(NamedTuple):
    name: str  # set, expire (a new deadline), expired, or lost
    key: bytes
    ttl_ms: int  # remaining; 0 if the key is gone
    lost: int = 0  # number of dropped events


class Silent(Exception):
    """The node publishes no events."""


@dataclass(slots=True, eq=False)
class Watcher:
    prefix: bytes
    waiting: deque[Event] = field(default_factory=deque)
    lost: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event: Event) -> None:
        if len(self.waiting) >= EVENTS_MAX:
            self.lost += 1
        else:
            self.waiting.append(event)
        self.woken.set()

    async def next(self, patience_s: float) -> list[Event]:
        """All waiting events, or none if the time is up."""
        if not self.waiting and not self.lost:
            self.woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self.woken.wait()
        events = list(self.waiting)
        self.waiting.clear()
        if self.lost:
            events.append(Event("lost", b"", 0, self.lost))
            self.lost = 0
        return events


class Feed:
    """The events for one user, over a link of its own."""

    def __init__(self, nodes: Nodes, login: Login | None, db: int) -> None:
        self.nodes = nodes
        self.login = login
        self.channel = b"__keyspace@%d__:" % db
        self.watchers: dict[bytes, set[Watcher]] = {}  # by pattern
        self.closed = False
        self._link: NodeLink | None = None
        self._asked: deque[asyncio.Future[None]] = deque()
        self._set: dict[bytes, tuple[bytes, float]] = {}  # by pattern: the last key written, and its deadline
        self._fresh: deque[tuple[bytes, bytes, bytes]] = deque()  # pattern, key, event
        self._looking: asyncio.Task[None] | None = None
        self._mending: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def add(self, watcher: Watcher) -> None:
        pattern = self.pattern(watcher)
        async with self._lock:
            if self._link is None or self._link.ended:
                await self._open()
            if pattern not in self.watchers:
                await self._subscribe(pattern)
            self.watchers.setdefault(pattern, set()).add(watcher)

    def remove(self, watcher: Watcher) -> None:
        pattern = self.pattern(watcher)
        watchers = self.watchers.get(pattern, set())
        watchers.discard(watcher)
        if not watchers and pattern in self.watchers:
            del self.watchers[pattern]
            self._set.pop(pattern, None)
            if self._link is not None:
                self._link.send(b"PUNSUBSCRIBE", pattern)
        if not self.watchers:
            self.close()

    def close(self) -> None:
        self.closed = True
        if self._link is not None:
            self._link.close()

    def pattern(self, watcher: Watcher) -> bytes:
        return self.channel + pattern_of(watcher.prefix)

    async def _open(self) -> None:
        link = await self.nodes.fresh(self.login)
        (reply,) = await link.batch([(b"CONFIG", b"GET", b"notify-keyspace-events")])
        if isinstance(reply, list) and len(reply) == 2 and not _publishes(reply[1]):
            link.close()
            raise Silent
        link.heard, link.on_end = self._hear, self._ended
        self._link = link

    async def _subscribe(self, pattern: bytes) -> None:
        assert self._link is not None
        if self._link.ended:
            raise NodesGone("the node ended before it answered", sent=True)
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._link.send(b"PSUBSCRIBE", pattern)
        await asked

    def _hear(self, reply: Reply) -> None:
        kind = reply[0] if isinstance(reply, list) and reply else b""
        if isinstance(reply, Refusal) or kind == b"psubscribe":
            asked = self._asked.popleft() if self._asked else None
            if asked is not None and not asked.done():
                asked.set_exception(reply) if isinstance(reply, Refusal) else asked.set_result(None)
        elif kind == b"pmessage" and isinstance(reply, list):
            _, pattern, channel, name = reply
            assert isinstance(pattern, bytes)
            assert isinstance(channel, bytes)
            assert isinstance(name, bytes)
            self._note(pattern, channel.removeprefix(self.channel), name)

    def _note(self, pattern: bytes, key: bytes, name: bytes) -> None:
        if len(self._fresh) >= FRESH_MAX:
            self._tell(pattern, None)
            return
        self._fresh.append((pattern, key, name))
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        """Lives of all that is new, in one batch; events in their order."""
        try:
            while self._fresh:
                fresh = [self._fresh.popleft() for _ in range(min(len(self._fresh), EVENTS_MAX))]
                link = await self.nodes.link(self.login)
                lives = await link.batch([(b"PTTL", key) for _, key, _ in fresh])
                for (pattern, key, name), life in zip(fresh, lives, strict=True):
                    if not isinstance(life, Refusal):  # a key that this user may not read
                        left = max(life, 0) if isinstance(life, int) else 0
                        self._show(pattern, Event(NAMES.get(name, "set"), key, 0 if name == b"expired" else left))
        except (NodesGone, Busy, WrongLogin):
            self._fresh.clear()
            for pattern in self.watchers:
                self._tell(pattern, None)
        finally:
            self._looking = None

    def _show(self, pattern: bytes, event: Event) -> None:
        """SET with a time to live is two events of the node, and one here."""
        deadline_s = asyncio.get_running_loop().time() + event.ttl_ms / 1000
        key, known_s = self._set.get(pattern, (b"", 0.0))
        if event.name == "expire" and key == event.key and abs(known_s - deadline_s) < SAME_S:
            return
        if event.name == "set":
            self._set[pattern] = event.key, deadline_s
        self._tell(pattern, event)

    def _tell(self, pattern: bytes, event: Event | None) -> None:
        """Queues an event. None: one or more events were lost."""
        for watcher in self.watchers.get(pattern, ()):
            if event is None:
                watcher.lost += 1
                watcher.woken.set()
            else:
                watcher.tell(event)

    def _ended(self) -> None:
        for asked in self._asked:
            if not asked.done():
                asked.set_exception(NodesGone("the node ended before it answered", sent=True))
        self._asked.clear()
        if not self.closed and self.watchers and self._mending is None:
            for pattern in self.watchers:
                self._tell(pattern, None)
            self._mending = asyncio.get_running_loop().create_task(self._mend())

    async def _mend(self) -> None:
        """Subscribes anew, on the next node that answers, for as long as somebody watches."""
        try:
            while self.watchers and not self.closed:
                try:
                    async with self._lock:
                        await self._open()
                        for pattern in tuple(self.watchers):
                            await self._subscribe(pattern)
                    return
                except (NodesGone, Busy, WrongLogin, Silent, Refusal):
                    await asyncio.sleep(RETRY_S)
        finally:
            self._mending = None


class Hub:
    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.count = 0
        self._feeds: dict[Login | None, Feed] = {}

    @contextlib.asynccontextmanager
    async def watch(self, login: Login | None, prefix: bytes) -> AsyncIterator[Watcher]:
        """Silent, NodesGone, Refusal, Busy where it cannot be."""
        if self.count >= WATCHERS_MAX:
            raise Busy("too many event streams are open")
        feed = self._feeds.get(login)
        if feed is None or feed.closed:
            if len(self._feeds) >= FEEDS_MAX:
                raise Busy("too many users have event streams open")
            feed = self._feeds[login] = Feed(self.nodes, login, self.nodes.targets[self.nodes.at].db)
        watcher = Watcher(prefix)
        self.count += 1
        try:
            await feed.add(watcher)
            yield watcher
        finally:
            self.count -= 1
            feed.remove(watcher)
            if feed.closed and self._feeds.get(login) is feed:
                del self._feeds[login]

    def close(self) -> None:
        for feed in self._feeds.values():
            feed.close()


def _publishes(letters: Reply) -> bool:
    return isinstance(letters, bytes) and b"K" in letters and any(letter in letters for letter in b"A$gx")
