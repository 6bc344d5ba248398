"""The driver connects the replica, which makes all decisions about peers, with the loop, which has sockets and time.

It carries out what the replica asks for, in order (bytes to links, dials, lines for the log, publications, clients that
wait), hands it what arrives, and keeps one timer, at the replica's next deadline. Writes of clients are noticed after
each turn of the pump. There is no `if` about peers here: such a question belongs into gossip/.

The Driver is the `Peers` of `commands/cluster.py`: what commands ask of other nodes they ask here.
"""

import asyncio
import socket
from collections.abc import Callable, Hashable, Iterable, Sequence

from respram.commands import pubsub
from respram.commands.node import MAJORITY, Node
from respram.commands.notify import observe
from respram.commands.peers import HomeFacts, MemberFacts, PeerFacts, Waiter
from respram.commands.redirects import slots_moved
from respram.commands.serving import Served, Serving
from respram.gossip.effects import (
    Acknowledged,
    Agreed,
    Answered,
    Decided,
    Deliver,
    Dial,
    Expelled,
    Hangup,
    Learnt,
    Serve,
)
from respram.gossip.policy import Terms
from respram.gossip.quorum import Left
from respram.gossip.timers import Now
from respram.replica import FRAME_SPARE_BYTES, Bug, Output, Replica, Write
from respram.server import clock, discovery, expulsion, logs, peer_overview
from respram.server.decisions import Decisions
from respram.server.links import Links, now
from respram.server.secret import Trust
from respram.server.waiting import Name, Waiting
from respram.snapshot.keys import SegmentKey, Tombstone
from respram.wire.messages import LATER, Forward

LOOK_AGAIN_S = 60.0  # between two resolutions of the names of --join
# after a stop, received data is read before anything is sent: otherwise the kernel drops it if the peer is gone
HELD_S = 0.05
LOOK_SOON_S = 5.0  # between two resolutions of these names while no peer is linked
ASK_AGAIN_S, DRAIN_POLL_S = 0.1, 0.002  # intervals of the checks for acknowledgements while the node stops
AFTER_BUG_S = 1.0
LOCAL = b"local"  # a value of --decide
SHARD, PLAIN = b"s", b"p"  # prefix of a channel in a message to peers: the kind of channel


class Driver:
    def __init__(
        self, replica: Replica, node: Node, loop: asyncio.AbstractEventLoop, trust: Trust | None,
        log: Callable[..., None],
    ) -> None:  # fmt: skip
        self.replica = replica
        self.node = node
        self.loop = loop
        self.log = log
        self.links = Links(replica, loop, trust, log, self.carry)
        self.waiting = Waiting()
        self.on_expelled: Callable[[], None] = lambda: None
        replica.core.expulsions.read = lambda data: expulsion.check(data, self.links.trust)
        self.stopped = False
        # None: not reported yet; the first report releases the stand-in for this driver.
        self._unsure: bool | None = None
        self._pulls_useful = False
        self.decisions = Decisions(self.replica, node, loop, self.carry)
        self.serving = Serving(node)
        self._homes_version = self._told_version = -1
        self._told_members: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms: int | None = None
        self._carrying = 0  # calls of `carry` that have not returned
        self._held: list[Output] | None = None  # output held back after a stop; see `beat`
        self._advanced_ms = clock.advanced_ms()  # at the last beat
        self._looking: asyncio.Task[None] | None = None

    # -- start and end ----------------------------------------------------------------------------
    async def start(self, listeners: list[socket.socket]) -> None:
        self.links.door.open(listeners)
        self.decide_anew()
        self.carry(self.replica.start(now()))

    def hand_over(self) -> None:
        """Begins the stop: other nodes decide from here on."""
        self.carry(self.replica.hand_over(now()))

    async def drain(self, end_s: float) -> Left:
        """Waits until the peers have acknowledged all writes, or until this loop time; returns what is left.
        """
        asked_s = 0.0
        while True:
            now_s = self.loop.time()
            if now_s - asked_s > ASK_AGAIN_S:
                asked_s = now_s
                self.flush()
            left = self.replica.left()
            if not left.peers or now_s > end_s:
                return left
            await asyncio.sleep(DRAIN_POLL_S)

    def deafen(self) -> None:
        """Accepts nothing more from peers: what is not acknowledged, they keep for other nodes."""
        self.links.deafen()

    async def stop(self) -> None:
        """Says goodbye to the peers, and waits a moment for it to be sent."""
        self.stopped = True
        if self._looking is not None:
            self._looking.cancel()
        self.links.door.close()
        self.carry(self.replica.leave(now()))
        if self._timer is not None:
            self._timer.cancel()
        await self.links.farewell()

    def expel(self, data: bytes) -> bool:
        good, outputs = self.replica.expel(data, now())
        self.carry(outputs)
        return good

    def keep_looking(self, roots_of: Callable[[discovery.Found], list[bytes]], failures: tuple[str, ...]) -> None:
        """Resolves --join again and again; names of machines stay, their addresses do not."""
        self._looking = self.loop.create_task(self._look(roots_of, failures))

    async def _look(self, roots_of: Callable[[discovery.Found], list[bytes]], last: tuple[str, ...]) -> None:
        while True:
            await asyncio.sleep(LOOK_AGAIN_S if self.replica.core.neighbours.greeted() else LOOK_SOON_S)
            found = await discovery.find(self.node.config.join)
            if found.failures and found.failures != last:
                self.log(f"event=join_unresolved why={found.failures[0]!r} entries={len(found.failures)}")
            last = found.failures
            if found.addresses:
                self.carry(self.replica.set_roots(roots_of(found), now()))

    # -- the replica's wishes ---------------------------------------------------------------------
    def carry(self, outputs: list[Output]) -> None:
        self._carrying += 1
        try:
            for output in outputs:
                if isinstance(output, Write):
                    if self._held is not None:
                        self._held.append(output)
                    else:
                        self.links.write(output.link, output.data)
                elif isinstance(output, Decided):
                    self.decisions.decided(output)
                elif isinstance(output, Serve):
                    if output.who:
                        self._serve(output.who, output.forward)
                    else:  # a command may be on its way here at this moment
                        self.loop.call_soon(self._serve, 0, output.forward)
                elif isinstance(output, Acknowledged):
                    self.waiting.acknowledged(self.replica.holders)
                elif isinstance(output, Answered):
                    self.waiting.answered((output.db, output.key))
                elif isinstance(output, Deliver):
                    self._deliver(output.channel, output.message)
                elif isinstance(output, Dial):
                    self.links.dial(output.address)
                elif isinstance(output, Hangup):
                    self.links.hang_up(output.link, output.reason)
                elif isinstance(output, Agreed):
                    self._agree(output.terms)
                elif isinstance(output, Expelled):
                    self.links.put_out(output.lists)
                    self.on_expelled()
                elif isinstance(output, Bug):
                    context = {"message": "a link ended by a mistake", "exception": output.error}
                    self.loop.call_exception_handler(context)
                elif isinstance(output, Learnt):
                    self.waiting.told(output.token, output.known)
                else:
                    line = f"event={output.event} {output.details}".rstrip()
                    self.log(line, *((logs.WARNING,) if output.warns else ()))
        finally:
            self._carrying -= 1
        if not self._carrying:  # what is carried out meanwhile, as the answer of a command, is settled with it
            self._settle()

    def _settle(self) -> None:
        """Updates the timer and the switch for pulls after the replica has run."""
        core = self.replica.core
        unsure, useful = core.unsure(), core.pulls_useful()
        if (unsure, useful) != (self._unsure, self._pulls_useful):
            self._unsure, self._pulls_useful = unsure, useful
            self.node.truth = self if unsure else None
            observe(self.node)
        if core.homes.version != self._told_version:
            self._use_homes()
        due_ms = self.replica.next_deadline()
        if due_ms is None or self.stopped or (self._due_ms is not None and self._due_ms <= due_ms):
            return  # a timer that comes too early finds nothing to do: cheaper than to set it anew for each message
        if self._timer is not None:
            self._timer.cancel()
        self._due_ms = due_ms
        self._timer = self.loop.call_later(max(due_ms - now().ms, 0) / 1000, self._tick)

    # -- decisions --------------------------------------------------------------------------------
    def _use_homes(self) -> None:
        """The engine's table follows the map: commands that others decide about leave the fast paths."""
        homes = self.replica.core.homes
        if homes.version != self._told_version:
            self._told_version = homes.version
            if homes.map.members != self._told_members:
                self._told_members = dict(homes.map.members)
                slots_moved(self.node, clock.now_ms())
        version = homes.version if self.node.decide != LOCAL else 0
        if version == self._homes_version:
            return
        self._homes_version = version
        table = homes.table() if version or self.node.decide == MAJORITY else None
        self.decisions.table, self.decisions.version = table, version
        self.node.engine.use_homes(table.tobytes() if table is not None else None)
        self.node.homes = self.decisions if table is not None else None
        self.node.engine.gather = self.decisions.gather if table is not None else None
        self.serving.moved()

    def decide_anew(self) -> None:
        self._use_homes()
        self.carry(self.replica.decide(self.node.decide == LOCAL, now()))

    def beat(self, now_ms: int) -> None:
        """Every few milliseconds, and before any command of `dispatch`. A gap means that this process was stopped: what
        it holds may be old, and before a client is answered by it that has to be known. (After such a gap the engine
        leaves all to `dispatch`.)
        """
        engine, patience_ms = self.node.engine, self.replica.core.policy.stopped_ms
        until_ms, advanced_ms = engine.awake_until_ms, clock.advanced_ms()
        if until_ms:
            until_ms += advanced_ms - self._advanced_ms  # moving the clock forward, as tests do, is not a stop
        engine.awake_until_ms, self._advanced_ms = now_ms + patience_ms, advanced_ms
        if until_ms and now_ms > until_ms:
            if self._held is None:
                self._held = []
                self.loop.call_later(HELD_S, self._release)
            self.carry(self.replica.stopped(now_ms - until_ms + patience_ms, now(), local=self.node.decide == LOCAL))
            observe(self.node)

    def _release(self) -> None:
        held, self._held = self._held or [], None
        self.carry(list(held))

    def limits_changed(self) -> None:
        settings, current = self.node.settings, self.replica.core.agreement.current
        frame_bytes = 2 * settings.bulk_bytes_max + FRAME_SPARE_BYTES
        # The bound of links' buffers follows from it.
        self.replica.frame_bytes_max = max(self.replica.frame_bytes_max, frame_bytes)
        if (settings.max_ttl_ms, settings.bulk_bytes_max) != (current.max_ttl_ms, current.value_bytes_max):
            self.carry(self.replica.choose(settings.max_ttl_ms, settings.bulk_bytes_max, now()))

    def _serve(self, who: int, forward: Forward) -> None:
        def done(served: Served) -> None:
            self.carry(self.replica.served(who, forward, served.outcome, served.replies, now(), served.beyond))

        def later(at_ms: int, go_on: Callable[[int], None]) -> None:
            self.loop.call_later(max(at_ms - clock.now_ms(), 0) / 1000, lambda: go_on(clock.now_ms()))

        at = now()  # the same time for the question and the run: stamps must lie within the promise
        if not self.replica.may_run(who, forward.number, at):
            done(Served(LATER))
            return
        self.serving.serve(forward, at.wall_ms, done, later)
        self.replica.runs_on(who, forward.number)
        self.wrote()

    def _tick(self) -> None:
        self._due_ms, self._timer = None, None
        try:
            outputs = self.replica.tick(now())
        except Exception:
            self._timer = self.loop.call_later(AFTER_BUG_S, self._tick)  # one fault must not end all gossip
            raise
        self.carry(outputs)

    def _deliver(self, channel: bytes, message: bytes) -> None:
        publish = pubsub.publish_to_shard if channel[:1] == SHARD else pubsub.publish
        publish(self.node, channel[1:], message)

    def _agree(self, terms: Terms) -> None:
        """Applies a peer's smaller limits to clients' writes from now on. CONFIG GET shows them."""
        node = self.node
        max_ttl_ms = min(terms.max_ttl_ms, node.settings.max_ttl_ms)
        node.settings = node.settings._replace(
            max_ttl_ms=max_ttl_ms, default_ttl_ms=min(node.settings.default_ttl_ms, max_ttl_ms),
            bulk_bytes_max=min(terms.value_bytes_max, node.settings.bulk_bytes_max),
        )  # fmt: skip
        node.engine.configure(node.settings)

    # -- this node's clients ----------------------------------------------------------------------
    def wrote(self) -> bool:
        """Takes the writes for peers after a turn of the pump, and returns whether there were any."""
        if self.replica.engine.published():
            self._spread()
            return True
        waiting_bytes = self.replica.engine.waiting_bytes()
        if not waiting_bytes:
            return False
        if not self.replica.will_flush(waiting_bytes):
            self.carry(self.replica.wrote(now()))
        return True

    def _spread(self) -> None:
        """Sends publications that the engine has answered itself, after the writes before them."""
        self.carry(self.replica.published(PLAIN, now()))

    def publish(self, channel: bytes, message: bytes, shard: bool) -> None:
        if self.replica.engine.published():
            self._spread()
        self.carry(self.replica.publish((SHARD if shard else PLAIN) + channel, message, now()))

    def last_number(self) -> int:
        return self.replica.core.last_number()

    def flush(self) -> int:
        number, outputs = self.replica.await_acks(now())
        self.carry(outputs)
        return number

    def holders(self, number: int) -> int:
        return self.replica.holders(number)

    def notice(self, waiter: Waiter, number: int, wanted: int) -> None:
        self.waiting.notice(waiter, number, wanted)

    def pulls_useful(self) -> bool:
        return self.replica.pulls_useful()

    def pull(self, waiter: Waiter, db: int, key: bytes) -> int:
        waits, outputs = self.replica.pull(db, key, now())
        self.carry(outputs)
        if not waits:
            return 0
        self.waiting.pull(waiter, (db, key))
        return self.replica.core.policy.pull_ms_max

    def ask(self, waiter: Waiter, names: Sequence[Name]) -> int:
        self.waiting.forget_asking(waiter)
        questions: list[Output] = []
        patience_ms = self.replica.core.policy.truth_ms
        for db, key in names:
            token, outputs = self.replica.ask(db, key, now())
            questions += outputs
            if not token:
                self.waiting.forget_asking(waiter)
                patience_ms = 0
                break
            self.waiting.ask(waiter, token)
        self.carry(questions)  # once all that the client waits for is known
        return patience_ms

    def learnt(self, waiter: Waiter) -> bool:
        return self.waiting.learnt(waiter)

    def forget(self, waiter: Waiter) -> None:
        self.waiting.forget(waiter)

    def share_keys(self, entries: Iterable[SegmentKey], tombstones: Iterable[Tombstone]) -> None:
        self.carry(self.replica.share_keys(entries, tombstones, now()))

    def restored(self, records: int) -> None:
        self.carry(self.replica.restored(records, now()))

    def digest(self, at_ms: int) -> tuple[int, int] | None:
        found = self.replica.digest(Now(now().ms, at_ms))
        return None if found is None else (found.records, found.sum)

    def state(self) -> bytes:
        return self.replica.core.state.encode()

    def linked(self) -> list[PeerFacts]:
        return peer_overview.linked(self.replica, now().ms)

    def members(self) -> list[MemberFacts]:
        return peer_overview.members(self.replica)

    def home(self, slot: int) -> HomeFacts:
        return peer_overview.home(self.replica, slot)

    def map_version(self) -> Hashable:
        return peer_overview.map_version(self.replica)

    def ranges(self) -> list[tuple[int, int, int]]:
        return self.replica.core.homes.ranges()

    def facts(self) -> list[tuple[str, object]]:
        return [
            ("forwarded_commands", self.decisions.forwarded),
            *peer_overview.facts(self.replica, self.links.faults, now().ms),
        ]
