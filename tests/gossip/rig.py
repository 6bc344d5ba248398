"""A core on a bench: a real engine below it, hand-made peers around it, time as a number."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random
from typing import TypeVar

from respram.gossip.agreement import pack_said
from respram.gossip.core import Core
from respram.gossip.effects import Effect, Hangup, Merge, Report, Send, Take
from respram.gossip.members import Member, pack_member
from respram.gossip.policy import Policy, Said, Terms
from respram.gossip.timers import Now
from respram.sim.world import EPOCH_MS, IDS_KEY, engine_of, settings
from respram.wire.messages import VERSION, Hello, Message

M = TypeVar("M")
ME = 0x100
UNSAID = pack_said(Said(Terms(), Terms(), Terms()))


def member(
    number: int, enclave: bytes = b"main", ready: bool = True, clients: bytes = b"", votes: bool = True, **more: int
) -> Member:
    return Member(number, enclave, b"host-%d:7000" % number, ready=ready, clients=clients, votes=votes, **more)


def hello(one: Member, **changes: object) -> Hello:
    said = Hello(
        VERSION, b"respram", one.number, one.enclave, one.address, EPOCH_MS, 0, pack_member(one), UNSAID
    )
    return replace(said, **changes)  # type: ignore[arg-type]


class Bench:
    def __init__(
        self, policy: Policy | None = None, roots: Iterable[bytes] = (), seed: int = 1, memory_bytes_max: int = 0
    ) -> None:
        self.engine = engine_of(0, settings(ME, memory_bytes_max))
        self.engine.track(IDS_KEY)
        self.core = Core(replace(member(ME), ready=False), policy or Policy(), self.engine, Random(seed), roots)
        self.ms = 0
        self.effects: list[Effect] = []
        self.take(self.core.start(self.now))

    @property
    def now(self) -> Now:
        return Now(self.ms, EPOCH_MS + self.ms)

    def take(self, effects: list[Effect]) -> list[Effect]:
        """Merges at once, as a replica does; everything is remembered."""
        self.effects += effects
        for effect in effects:
            if isinstance(effect, Merge):
                done = self.engine.merge(effect.payload, self.now.wall_ms)
                self.take(self.core.merged(effect.link, effect.seq, done.new, done.refused + done.malformed, self.now))
            elif isinstance(effect, Take):
                done = self.engine.merge(effect.payload, self.now.wall_ms)
                self.take(self.core.taken(effect.token, not (done.refused or done.malformed), self.now))
        return effects

    def meet(self, link: int, one: Member, dialled: bool = False) -> None:
        """A link up to and with the peer's HELLO."""
        self.take(self.core.opened(link, one.address if dialled else b"", self.now))
        self.say(link, hello(one, clock_ms=self.now.wall_ms))

    def say(self, link: int, *messages: Message) -> None:
        for message in messages:
            self.take(self.core.receive(link, message, self.now))

    def write(self, key: bytes, value: bytes = b"v", ttl_ms: int = 600_000, db: int = 0) -> None:
        self.engine.store(db, key, value, self.now.wall_ms + ttl_ms, False, self.now.wall_ms, b"set")
        self.take(self.core.wrote(self.engine.drain(1 << 30), self.now))

    def wait(self, ms: int) -> None:
        """Lets timers come, each in its millisecond."""
        end_ms = self.ms + ms
        while (due_ms := self.core.next_deadline()) is not None and due_ms <= end_ms:
            self.ms = max(self.ms, due_ms)
            self.take(self.core.tick(self.now))
        self.ms = end_ms

    def sent(self, kind: type[M], link: int | None = None) -> list[M]:
        return [
            one.message
            for one in self.effects
            if isinstance(one, Send) and isinstance(one.message, kind) and link in (None, one.link)
        ]

    def reports(self, event: str) -> list[str]:
        return [one.details for one in self.effects if isinstance(one, Report) and one.event == event]

    def hangups(self) -> dict[int, str]:
        return {one.link: one.reason for one in self.effects if isinstance(one, Hangup)}

    def forget(self) -> None:
        self.effects.clear()
