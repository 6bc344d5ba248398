"""A Host for one concern on its own: it notes what it is asked for, and time is a number."""

from collections.abc import Iterator
from random import Random

from respram.gossip.effects import Effect, Report, Send
from respram.gossip.members import AddressBook
from respram.gossip.neighbours import Neighbours
from respram.gossip.policy import Policy
from respram.gossip.states import JOINING
from respram.gossip.timers import Now, Timer
from respram.sim.world import EPOCH_MS, engine_of, settings
from respram.wire.messages import Message

from .rig import ME, member


class Alone:
    def __init__(self) -> None:
        self.now = Now(0, EPOCH_MS)
        self.policy = Policy()
        self.store = engine_of(0, settings(ME))
        self.rng = Random(1)
        self.state = JOINING
        self.effects: list[Effect] = []
        self.timers: list[tuple[int, Timer]] = []
        self.woken = 0

    def emit(self, effect: Effect) -> None:
        self.effects.append(effect)

    def send(self, link: int, message: Message) -> None:
        self.emit(Send(link, message))

    def report(self, event: str, details: str = "", warns: bool = False) -> None:
        self.emit(Report(event, details, warns))

    def at(self, due_ms: int, timer: Timer) -> None:
        self.timers.append((due_ms, timer))

    def jitter(self, period_ms: int) -> int:
        return period_ms

    def run(self, job: Iterator[bool]) -> None:
        for _ in job:
            pass

    def defer(self, job: Iterator[bool]) -> None:
        self.run(job)

    def wake(self) -> None:
        self.woken += 1

    def near(self) -> Neighbours:
        return Neighbours(self, AddressBook(member(ME), 100, 16))
