"""Two benches, one link, and everything that passes between them written down."""

from respram.gossip import exchange
from respram.gossip.effects import Hangup, Send
from respram.gossip.policy import Policy
from respram.record import Record, pack
from respram.sim.world import EPOCH_MS
from respram.wire.codec import encode
from respram.wire.messages import Buckets, Digest, Filter, Message, Records, Same

from .rig import ME, Bench, hello, member

OTHER = 0x200
OLD_MS = EPOCH_MS - 60_000  # of stamps: settled long ago


class Pair:
    """Two benches, one link, everything that passes written down."""

    def __init__(self, policy: Policy | None = None, memory_bytes_max: int = 0) -> None:
        quiet = policy or Policy()
        self.one = Bench(quiet, seed=1)
        self.other = Bench(quiet, seed=2, memory_bytes_max=memory_bytes_max)
        other = self.other.core
        other.book.me = member(OTHER)
        other.book.sum = self.one.core.book.sum
        self.one.meet(1, member(OTHER))
        self.other.take(other.opened(1, b"", self.other.now))
        self.other.say(1, hello(member(ME)))
        other.book.sum = self.one.core.book.sum  # of no interest here
        for bench in (self.one, self.other):
            bench.forget()
        self.lines: list[str] = []
        self.bytes = 0

    def stock(
        self,
        bench: Bench,
        keys: range,
        ttl_ms: int = 100_000,
        clock_ms: int = OLD_MS,
        size: int = 20,
        apart_ms: int = 10,
    ) -> None:
        for key in keys:
            record = Record(0, b"k%d" % key, b"v" * size, clock_ms << 16, 5, EPOCH_MS + ttl_ms + key * apart_ms)
            bench.engine.merge(pack(record), bench.now.wall_ms)

    def round(self) -> list[str]:
        """One comparison begun by `one`, until nobody has anything to say."""
        self.lines, self.bytes = [], 0
        self.one.core.now = self.one.now
        self.one.core.repair.begin()
        self.one.take(self.one.core._taken())
        benches = (self.one, self.other)
        for _ in range(10_000):
            spoken = False
            for bench, hearer in (benches, benches[::-1]):
                while bench.core.jobs and bench.take(bench.core.tick(bench.now)):
                    pass  # a job that has nothing to say may wait for what the other side says
                effects, bench.effects = bench.effects, []
                for effect in effects:
                    if isinstance(effect, Send) and isinstance(
                        effect.message, Digest | Same | Buckets | Filter | Records
                    ):
                        spoken = True
                        self.note("A" if bench is self.one else "B", effect.message)
                        hearer.say(1, effect.message)
                    elif isinstance(effect, Hangup):
                        self.lines.append(f"hangup: {effect.reason}")
                for link in bench.core.neighbours.greeted():  # acknowledged at once: the window is not the matter here
                    bench.core.inbox.acknowledged(link, link.next_seq - 1, b"")
                bench.take(bench.core._taken())
            if not spoken and not any(bench.effects or bench.core.jobs for bench in benches):
                break
        return self.lines

    def note(self, who: str, message: Message) -> None:
        self.bytes += len(encode(message))
        line = f"{who} {message.word.decode()}"
        if isinstance(message, Buckets):
            line += f" {len(message.payload) // 16}"
        elif isinstance(message, Filter):
            selection = exchange.unpack_selection(message.selection)
            kind = "since" if selection.since else f"{len(selection.buckets)} buckets"
            line += f" {'answer' if message.answer else 'offer'} {kind}" if message.parts else " nothing wanted"
        elif isinstance(message, Records):
            line += f" {('', 'all', 'more')[message.last]}"
        self.lines.append(line.rstrip())

    def held(self) -> tuple[int, int]:
        return self.one.engine.count(0, EPOCH_MS), self.other.engine.count(0, EPOCH_MS)
