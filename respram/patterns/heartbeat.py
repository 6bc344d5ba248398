"""Heartbeat and presence: a key that its writer keeps alive, and the news when it stops. Nothing else may live here.

    Heartbeat(client, "worker-12", ttl_s=3).beat()          # every second or so
    board = Presence(other_client)
    board.members()                                         # ["worker-12"]
    for change in board.changes():                          # Change("worker-12", alive=False, source="expired")
        ...

The node's *expired* events are the failure signal; every `poll_s` the board also lists the keys, which finds newcomers,
and losses whose event was missed or is switched off. Each loss is reported once.
Not promised: that a silent member is dead (it may be cut off), nor that a beat missed by milliseconds is forgiven.
"""

import time
from dataclasses import dataclass
from typing import Generic

from respram.patterns.effects import Receive, Subscribe
from respram.patterns.naming import HEARTBEAT, key, level, scan, unlevel
from respram.patterns.steps import C, Steps, ask, exists, get, hand, operation, put, stream

POLL_S = 1.0  # events bring the news at once; polling is the net below them
CHANGES_KEPT_S = 0.2  # how long one wait for an event lasts, so that an iterator can be closed soon


@dataclass(frozen=True, slots=True)
class Change:
    member: str
    alive: bool
    source: str  # "expired": the node's event; "poll": the list of keys


@dataclass(frozen=True, slots=True)
class Heartbeat(Generic[C]):
    client: C
    member: str
    ttl_s: float = 3.0
    group: str = "all"

    @operation
    def beat(self, detail: bytes = b"") -> Steps[None]:
        """Says "alive" for another ttl_s. Beat at least three times as often, so that one lost beat is no alarm."""
        yield from put(key(HEARTBEAT, level(self.group), level(self.member)), detail, self.ttl_s)


@dataclass(frozen=True, slots=True)
class Presence(Generic[C]):
    client: C
    group: str = "all"

    @property
    def prefix(self) -> bytes:
        return key(HEARTBEAT, level(self.group)) + b":"

    @operation
    def alive(self, member: str) -> Steps[bool]:
        return (yield from exists(self.prefix + level(member).encode()))

    @operation
    def detail(self, member: str) -> Steps[bytes | None]:
        """What the member said with its last beat; None when it is not alive."""
        return (yield from get(self.prefix + level(member).encode()))

    @operation
    def members(self) -> Steps[list[str]]:
        """All that are alive, sorted."""
        return [unlevel(name[len(self.prefix) :]) for name in (yield from scan(self.prefix))]

    @operation
    def enable_events(self) -> Steps[None]:
        """Asks the node for *expired* events (`notify-keyspace-events Ex`), keeping those it already sends."""
        reply = yield from ask("CONFIG", "GET", "notify-keyspace-events")
        values = list(reply.values()) if isinstance(reply, dict) else list(reply)[1:]
        flags = values[0] if values else ""
        now = flags.decode() if isinstance(flags, bytes) else str(flags)
        wanted = now + "".join(flag for flag in "Ex" if flag not in now and not (flag == "x" and "A" in now))
        if wanted != now:
            yield from ask("CONFIG", "SET", "notify-keyspace-events", wanted)

    @stream
    def changes(self, poll_s: float = POLL_S) -> Steps[None]:
        """Who appears and who is gone, from now on, without end. Members alive at the start are reported first."""
        database = self.client.connection_pool.connection_kwargs.get("db") or 0
        yield Subscribe((f"__keyevent@{database}__:expired".encode(),))
        known: set[str] = set()
        polled_s = -poll_s
        while True:
            now_s = time.monotonic()
            if now_s - polled_s >= poll_s:
                polled_s = now_s
                present = set((yield from self.members.steps()))
                for member in sorted(present ^ known):
                    yield from hand(Change(member, member in present, "poll"))
                known = present
            event = yield Receive(max(0.001, min(poll_s - (time.monotonic() - polled_s), CHANGES_KEPT_S)))
            if event is not None and event[1].startswith(self.prefix):
                member = unlevel(event[1][len(self.prefix) :])
                if member in known:
                    known.discard(member)
                    yield from hand(Change(member, False, "expired"))
