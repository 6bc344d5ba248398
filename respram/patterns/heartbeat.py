"""Heartbeat and presence: a member keeps a key alive, and a board reports when it expires. Nothing else may live here.

    Heartbeat(client, "worker-12", ttl_s=3).beat()  # about every second
    board = Presence(other_client)
    board.members()                                         # ["worker-12"]
    for change in board.changes():                          # Change("worker-12", alive=False, source="expired")
        ...

A member without a group beats under `heartbeat:worker-12`, a member of a group under `heartbeat:billing:worker-12`. A
roster lists each group's members (roster.py), so that the cost of a board depends on its members alone, not on the
node's other keys. Other programs may beat without the roster, and earlier versions of this library beat under
`heartbeat:all:worker-12`. A walk over the node's keys finds both, one page at each look. The node's *expired*
events are the failure signal. Every `poll_s` the board also asks for its members; this finds new members, and losses
whose event was missed or is switched off. Each loss is reported once. Not promised: that a silent member is dead (it
may be cut off), nor that a beat that is milliseconds late still counts.
"""

import time
from dataclasses import dataclass, field
from typing import Generic

from respram.patterns import roster
from respram.patterns.effects import Receive, Subscribe
from respram.patterns.errors import TooMany
from respram.patterns.naming import HEARTBEAT, KEYS_MAX, SCAN_COUNT, glob_escaped, key, level, unlevel
from respram.patterns.steps import C, Steps, ask, ask_all, exists, hand, operation, stream, ttl_ms

POLL_S = 1.0  # interval of polls, in case an event is lost
CHANGES_WAIT_S = 0.2  # the longest wait for one event, so that an iterator can be closed soon
EARLIER_GROUP = "all"  # group of members without one in earlier versions; readable for one more version


@dataclass(frozen=True, slots=True)
class Change:
    member: str
    alive: bool
    source: str  # "expired": an event of the node; "poll": found by polling


@dataclass(frozen=True, slots=True)
class Heartbeat(Generic[C]):
    client: C
    member: str
    ttl_s: float = 3.0
    group: str = ""

    @property
    def key(self) -> bytes:
        return group_prefix(self.group) + key(level(self.member))

    @operation
    def beat(self, detail: bytes = b"") -> Steps[None]:
        """Reports the member alive for another ttl_s. Beat at least three times per ttl_s, to survive a lost beat."""
        base = roster_base(self.group)
        beat = ("SET", self.key, detail, "PX", ttl_ms(self.ttl_s))
        _, left_ms = yield from ask_all(beat, roster.look(base, self.member))
        yield from roster.entered(base, self.member, left_ms, self.ttl_s)


@dataclass(slots=True)
class Presence(Generic[C]):
    client: C
    group: str = ""
    cursor: bytes | int = 0  # of the scan over the node's keys
    strangers: set[str] = field(default_factory=set)  # members found by the scan, which are not in the roster

    @property
    def prefix(self) -> bytes:
        return group_prefix(self.group)

    @operation
    def alive(self, member: str) -> Steps[bool]:
        for name in self._keys(member):
            if (yield from exists(name)):
                return True
        return False

    @operation
    def detail(self, member: str) -> Steps[bytes | None]:
        """The detail of the member's last beat; None when it is not alive."""
        (found,) = yield from ask_all(("MGET", *self._keys(member)))
        return next((each for each in found if each is not None), None)

    @operation
    def members(self) -> Steps[list[str]]:
        """The members that are alive, sorted. Raises TooMany.

        Each call also reads one page of the walk, so a stranger is found at the latest by the call that ends a walk.
        """
        walk = ("SCAN", self.cursor, "MATCH", glob_escaped(self.prefix) + b"*", "COUNT", SCAN_COUNT)
        fields, (cursor, page) = yield from ask_all(roster.reading(roster_base(self.group)), walk)
        self.cursor = 0 if int(cursor) == 0 else cursor
        entered: list[str] = roster.names(fields)
        self.strangers |= {met for each in page if (met := self._member(each)) is not None} - set(entered)
        if len(self.strangers) > KEYS_MAX:
            raise TooMany(f"more than {KEYS_MAX} keys begin with {self.prefix!r}: make several groups")
        every = sorted({*entered, *self.strangers})
        there: set[str] = set((yield from roster.alive(every, lambda name: self._keys(name)[0])))
        if earlier := [name for name in every if name not in there and self.group == ""]:
            there |= set((yield from roster.alive(earlier, lambda name: self._keys(name)[-1])))
        self.strangers &= there
        return sorted(there)

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
        """Yields each member that appears or disappears, without end. Members alive at the start come first."""
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
            event = yield Receive(max(0.001, min(poll_s - (time.monotonic() - polled_s), CHANGES_WAIT_S)))
            gone = self._member(event[1]) if event is not None else None
            if gone in known:
                known.discard(gone)
                yield from hand(Change(gone, False, "expired"))

    def _keys(self, member: str) -> tuple[bytes, ...]:
        """The member's keys: its own and, without a group, that of earlier versions."""
        own = self.prefix + key(level(member))
        return (own,) if self.group else (own, group_prefix(EARLIER_GROUP) + key(level(member)))

    def _member(self, name: bytes) -> str | None:
        """The member whose beat a key is; None for a key of another group."""
        if not name.startswith(self.prefix):
            return None
        rest = name[len(self.prefix) :]
        if not self.group:
            rest = rest.removeprefix(EARLIER_GROUP.encode() + b":")
        return None if b":" in rest else unlevel(rest)


def group_prefix(group: str) -> bytes:
    return key(HEARTBEAT, level(group)) + b":" if group else HEARTBEAT.encode() + b":"


def roster_base(group: str) -> bytes:
    return key("roster", HEARTBEAT) + b":" + level(group).encode()
