"""The driver: between the replica, which decides all about peers, and the loop, which has sockets and time.

It carries out what the replica asks for, in order (bytes to links, dials, lines for the log, publications, clients that
wait), hands it what arrives, and keeps one timer, at the replica's next deadline. Writes of clients are noticed after
each turn of the pump. There is no `if` about peers here: such a question belongs into gossip/.

The Driver is the `Peers` of `commands/cluster.py`: what commands ask of other nodes they ask here.
"""

import asyncio
import contextlib
import secrets
import socket
import ssl
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

from respram.commands import pubsub
from respram.commands.node import Node
from respram.commands.notify import observe
from respram.commands.peers import HomeFacts, MemberFacts, PeerFacts, Waiter
from respram.commands.redirects import slots_moved
from respram.commands.serving import Served, Serving
from respram.config.limits import of_policy
from respram.config.options import Address, read_address
from respram.config.settings import Config
from respram.engine.api import Engine
from respram.engine.ids import mark_of
from respram.gossip.core import Core
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
from respram.gossip.members import LEAF, ROOT, Member
from respram.gossip.policy import Policy, Terms
from respram.gossip.quorum import Left
from respram.gossip.seals import Keyring
from respram.gossip.timers import Now
from respram.replica import Bug, Output, Replica, Write
from respram.server import clock, discovery, expulsion, logs, peer_overview
from respram.server.decisions import Decisions
from respram.server.door import STRANGERS_MAX, Door, Places
from respram.server.peer import (
    CLIENT_PORT,
    CROWDED,
    EXPELLED,
    FAULTS,
    NO_PEER,
    TOLD,
    Link,
)
from respram.server.secret import Trust, number_shown
from respram.server.waiting import Name, Waiting
from respram.snapshot.keys import Entry, SegmentKeys
from respram.wire.messages import Forward

DIAL_S = 5.0  # until a connection stands; the handshake has its own time
WINDOW_BYTES = 16 << 20  # unsent on one link beside the largest frame: the core keeps fewer in flight
LOOK_AGAIN_S = 60.0  # between two looks at the names of --join
# after a stop: what lies in the sockets is read before anything is sent, or the kernel drops it where the peer is gone
HELD_S = 0.05
LOOK_SOON_S = 5.0  # the same while no peer is linked
FAREWELL_S = 0.3  # for the last bytes to the peers, when the node stops
ASK_AGAIN_S, DRAIN_POLL_S = 0.1, 0.002  # for acknowledgements, when the node stops
AFTER_BUG_S = 1.0
UNREACHED_MAX = 1024  # addresses remembered as told of in the log
HOME = b"home"  # of --decide
SHARD, PLAIN = b"s", b"p"  # before a channel on its way: which kind of channel it is
RENEWED = "renewed"  # why links end when a secret is believed no longer



def make_replica(
    engine: Engine, config: Config, number: int, address: Address, roots: list[bytes], is_root: bool, ids_key: int,
    keyring: Keyring | None = None, segment_keys: SegmentKeys | None = None, clients: bytes = b"",
) -> Replica:  # fmt: skip
    role = ROOT if is_root else LEAF
    me = Member(number, config.enclave.encode(), str(address).encode(), role=role, clients=clients)
    numbers = replace(Policy(), **of_policy(config.limits))  # type: ignore[arg-type]
    policy = replace(
        numbers, network=config.network.encode(), ids_mark=mark_of(ids_key),
        terms=Terms(config.max_ttl_s * 1000, config.limits.bulk_bytes_max, config.seal_memory),
        join_wait_ms=config.limits.join_wait_s * 1000, serve_alone=config.serve_alone == "yes",
    )  # fmt: skip
    core = Core(me, policy, engine, secrets.SystemRandom(), roots, keyring)
    if segment_keys is not None:
        core.segment_keys.keys, core.boot.restoring = segment_keys, bool(config.snapshot_dir)
    return Replica(engine, core, config.limits.bulk_bytes_max * 2)


class Driver:
    def __init__(
        self, replica: Replica, node: Node, loop: asyncio.AbstractEventLoop, trust: Trust | None,
        log: Callable[..., None],
    ) -> None:  # fmt: skip
        self.replica = replica
        self.node = node
        self.loop = loop
        self.trust = trust
        self.log = log
        self.links: dict[int, Link] = {}  # from the first byte on; the replica knows those that are open
        self.dials: dict[asyncio.Task[None], None] = {}
        self.waiting = Waiting()
        self.faults = dict.fromkeys(FAULTS, 0)
        self.expelled: frozenset[expulsion.Named] = frozenset()
        self.on_expelled: Callable[[], None] = lambda: None
        replica.core.expulsions.read = lambda data: expulsion.check(data, self.trust)
        self.unreached: dict[bytes, None] = {}  # addresses whose failure was logged
        self.stopped = False
        self.deaf = False
        self._unsure: bool | None = None  # not said yet: whoever stood in for this driver is relieved by its first word
        self._pulls_useful = False
        self.decisions = Decisions(self.replica, node, loop, self.carry)
        self.serving = Serving(node)
        self._homes_version = self._told_version = -1
        self._told_members: dict[int, int] = {}
        self._next_link = 1
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms: int | None = None
        self._held: list[Output] | None = None  # what is not sent yet, after a stop; see `beat`
        self._ahead_ms = clock.ahead_ms()  # at the last beat
        self.door = Door(loop, lambda: self.trust is not None, self._is_known, self._let_in, self._turned_away)
        self.strangers = Places(STRANGERS_MAX)  # numbers of links
        self.handshakes = ThreadPoolExecutor(1, "handshakes")  # a third of a millisecond each, and strangers begin them
        self._known: frozenset[str] = frozenset()  # hosts that were to be joined, or where members are; see `_is_known`
        self._known_until_s = 0.0
        self._looking: asyncio.Task[None] | None = None

    # -- start and end ----------------------------------------------------------------------------
    async def start(self, listeners: list[socket.socket]) -> None:
        self.door.open(listeners)
        self.carry(self.replica.start(now()))

    def hand_over(self) -> None:
        """The stop begins: others decide from here on."""
        self.carry(self.replica.hand_over(now()))

    async def drain(self, end_s: float) -> Left:
        """Until the peers have acknowledged all that was written here, or until then (loop time): what is left of it.
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
        """From here on nothing that peers send is taken: what they do not see acknowledged they keep for others."""
        self.deaf = True
        self.door.close()

    async def stop(self) -> None:
        """Says farewell, and gives it a moment to leave."""
        self.stopped = True
        if self._looking is not None:
            self._looking.cancel()
        self.door.close()
        self.carry(self.replica.leave(now()))
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self.dials):
            task.cancel()
        for link in tuple(self.links.values()):
            link.close("stopping")
        end = self.loop.time() + FAREWELL_S
        while self.links and self.loop.time() < end:
            await asyncio.sleep(0.005)
        for link in tuple(self.links.values()):
            link.abort("stopping")
        self.handshakes.shutdown(wait=False, cancel_futures=True)

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

    # -- links ------------------------------------------------------------------------------------
    def _let_in(self, sock: socket.socket, address: str) -> None:
        for one in [one for one in self.links.values() if one.number in self.strangers and self._greeted(one)]:
            self.strangers.remove(one.number)
        rival = self.links.get(cast(int, self.strangers.rival_of(address, self._is_known)))
        if rival is not None:
            self.strangers.remove(rival.number)
            rival.abort(CROWDED)
        link = self._link(b"", self.trust.accepting if self.trust else None)
        self.strangers.add(link.number, address)
        task = self.loop.create_task(self._begin(link, sock))
        self.dials[task] = None
        task.add_done_callback(self.dials.pop)

    async def _begin(self, link: Link, sock: socket.socket) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: link, sock)
        except OSError:  # gone already
            self.links.pop(link.number, None)
            self.strangers.remove(link.number)
            sock.close()

    def _turned_away(self, reason: str) -> None:
        if reason in self.faults:
            self.faults[reason] += 1

    def _is_known(self, host: str) -> bool:
        """Whether this node was told to join somebody there, or a member is there; found anew once a second."""
        if self.loop.time() >= self._known_until_s:
            self._known_until_s = self.loop.time() + 1.0
            self._known = peer_overview.hosts(self.replica)
        return host in self._known

    def _link(self, address: bytes, context: ssl.SSLContext | None) -> Link:
        link = Link(
            self._next_link, address, context, self.replica.frame_bytes_max + WINDOW_BYTES, self, self.handshakes
        )
        self._next_link += 1
        self.links[link.number] = link
        return link

    def renew(self, trust: Trust) -> int:
        """Other secrets or certificates, for links from now on. Where somebody is believed no longer, the present links
        end too, for theirs may be among them; whoever knows a good secret is linked again in a moment. How many ended.
        """
        before, self.trust = self.trust, trust
        if before is None or not before.believes_more_than(trust):
            return 0
        links = tuple(self.links.values())
        for link in links:
            link.close(RENEWED)
        return len(links)

    def expel(self, data: bytes) -> bool:
        good, outputs = self.replica.expel(data, now())
        self.carry(outputs)
        return good

    def _put_out(self, lists: tuple[bytes, ...]) -> None:
        self.expelled = expulsion.names(lists)
        for link in tuple(self.links.values()):
            if link.opened and expulsion.name_of(link.certificate()) in self.expelled:
                link.abort(EXPELLED)
        self.on_expelled()

    def _greeted(self, link: Link) -> bool:
        known = self.replica.core.neighbours.links.get(link.number)
        return known is not None and known.peer is not None

    def link_opened(self, link: Link) -> None:
        if self.expelled and expulsion.name_of(link.certificate()) in self.expelled:
            link.abort(EXPELLED)
            return
        self.carry(self.replica.opened(link.number, link.address, now(), number_shown(link.certificate())))

    def link_received(self, link: Link, data: bytes) -> None:
        if self.deaf:
            return
        self.carry(self.replica.received(link.number, data, now()))

    def link_ended(self, link: Link, reason: str) -> None:
        self.links.pop(link.number, None)
        self.strangers.remove(link.number)
        if reason in FAULTS:
            self.faults[reason] += 1
        if reason in TOLD:
            tls = f" tls='{link.told}'" if link.told else ""
            self.log(f"event=link_{reason} remote={link.remote} why={TOLD[reason]}{tls}", logs.WARNING)
        if self._greeted(link):
            self.unreached.pop(link.address, None)
        elif link.answered_as_redis:
            self._tell_unreached(link.address, CLIENT_PORT)
        elif link.address and reason in NO_PEER and link.address not in self.unreached:
            task = self.loop.create_task(self._find_out(link.address, NO_PEER[reason]))
            self.dials[task] = None
            task.add_done_callback(self.dials.pop)
        if link.opened:
            self.carry(self.replica.closed(link.number, now()))
        elif link.address:
            self.carry(self.replica.dial_failed(link.address, now()))

    async def _dial(self, address: bytes) -> None:
        link = self._link(address, self.trust.dialling if self.trust else None)
        try:
            host, port = read_address(address.decode())
            async with asyncio.timeout(DIAL_S):
                await self.loop.create_connection(lambda: link, host, port)
        except (OSError, ValueError, TimeoutError) as error:
            self.links.pop(link.number, None)
            self._tell_unreached(address, getattr(error, "strerror", None) or type(error).__name__)
            self.carry(self.replica.dial_failed(address, now(), isinstance(error, ConnectionRefusedError)))

    async def _find_out(self, address: bytes, why: str) -> None:
        """A port for clients waits for the end of a line, which no greeting of a peer has: it is asked what it would
        answer.
        """
        host, port = read_address(address.decode())
        answer = b""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(DIAL_S):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(b"PING\r\n")
                    answer = await reader.read(1)
                finally:
                    writer.transport.abort()
        self._tell_unreached(address, CLIENT_PORT if answer in (b"+", b"-") else why)

    def _tell_unreached(self, address: bytes, why: str) -> None:
        """Once, until somebody who can be a peer answers there."""
        is_told = address in self.unreached or address.startswith(b"srv:")  # that one as event=join_unresolved
        if not is_told and len(self.unreached) < UNREACHED_MAX:
            self.unreached[address] = None
            self.log(
                f"event=unreached address={ascii(address.decode('ascii', 'replace'))[1:-1]} why={why!r}", logs.WARNING
            )

    # -- the replica's wishes ---------------------------------------------------------------------
    def carry(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Write):
                link = self.links.get(output.link)
                if self._held is not None:
                    self._held.append(output)
                elif link is not None:
                    link.write(output.data)
            elif isinstance(output, Acknowledged):
                self.waiting.acknowledged(self.replica.holders)
            elif isinstance(output, Answered):
                self.waiting.answered((output.db, output.key))
            elif isinstance(output, Deliver):
                self._deliver(output.channel, output.message)
            elif isinstance(output, Dial):
                task = self.loop.create_task(self._dial(output.address))
                self.dials[task] = None
                task.add_done_callback(self.dials.pop)
            elif isinstance(output, Hangup):
                link = self.links.get(output.link)
                if link is not None:
                    link.close(output.reason)
            elif isinstance(output, Agreed):
                self._agree(output.terms)
            elif isinstance(output, Expelled):
                self._put_out(output.lists)
            elif isinstance(output, Bug):
                self.loop.call_exception_handler({"message": "a link ended by a mistake", "exception": output.error})
            elif isinstance(output, Learnt):
                self.waiting.told(output.token, output.known)
            elif isinstance(output, Serve):
                if output.who:
                    self._serve(output.who, output.forward)
                else:  # a command of this very moment may be on its way here
                    self.loop.call_soon(self._serve, 0, output.forward)
            elif isinstance(output, Decided):
                self.decisions.decided(output)
            else:
                self.log(f"event={output.event} {output.details}".rstrip(), *((logs.WARNING,) if output.warns else ()))
        self._settle()

    def _settle(self) -> None:
        """After anything the replica did: its deadline may be another, and misses may be worth a question."""
        unsure = self.replica.unsure()
        useful = self.replica.pulls_useful()
        if (unsure, useful) != (self._unsure, self._pulls_useful):
            self._unsure, self._pulls_useful = unsure, useful
            self.node.truth = self if unsure else None
            observe(self.node)
        self._use_homes()
        due_ms = self.replica.next_deadline()
        if due_ms == self._due_ms or self.stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_ms = due_ms
        self._timer = None if due_ms is None else self.loop.call_later(max(due_ms - now().ms, 0) / 1000, self._tick)

    # -- decisions --------------------------------------------------------------------------------
    def _use_homes(self) -> None:
        """The engine's table follows the map: commands that others decide about leave the fast paths."""
        homes = self.replica.core.homes
        if homes.version != self._told_version:
            self._told_version = homes.version
            if homes.map.members != self._told_members:
                self._told_members = dict(homes.map.members)
                slots_moved(self.node, clock.now_ms())
        version = homes.version if self.node.decide == HOME else 0
        if version == self._homes_version:
            return
        self._homes_version = version
        table = homes.table() if version else None
        self.decisions.table, self.decisions.version = table, version
        self.node.engine.use_homes(table.tobytes() if table is not None else None)
        self.node.homes = self.decisions if table is not None else None
        self.node.engine.gather = self.decisions.gather if table is not None else None

    def decide_anew(self) -> None:
        self._use_homes()

    def beat(self, now_ms: int) -> None:
        """Every few milliseconds, and before any command of `dispatch`. A gap means that this process was stopped: what
        it holds may be old, and before a client is answered by it that has to be known. (After such a gap the engine
        leaves all to `dispatch`.)
        """
        engine, patience_ms = self.node.engine, self.replica.core.policy.stopped_ms
        until_ms, ahead_ms = engine.awake_until_ms, clock.ahead_ms()
        if until_ms:
            until_ms += ahead_ms - self._ahead_ms  # a test that puts the clock ahead stops nobody
        engine.awake_until_ms, self._ahead_ms = now_ms + patience_ms, ahead_ms
        if until_ms and now_ms > until_ms:
            if self._held is None:
                self._held = []
                self.loop.call_later(HELD_S, self._release)
            self.carry(self.replica.stopped(now_ms - until_ms + patience_ms, now(), local=self.node.decide != HOME))
            observe(self.node)

    def _release(self) -> None:
        held, self._held = self._held or [], None
        self.carry(list(held))

    def limits_changed(self) -> None:
        settings, current = self.node.settings, self.replica.core.agreement.current
        if (settings.max_ttl_ms, settings.bulk_bytes_max) != (current.max_ttl_ms, current.value_bytes_max):
            self.carry(self.replica.choose(settings.max_ttl_ms, settings.bulk_bytes_max, now()))

    def _serve(self, who: int, forward: Forward) -> None:
        def done(served: Served) -> None:
            self.carry(self.replica.served(who, forward.number, served.outcome, served.replies, served.records, now()))

        def later(at_ms: int, go_on: Callable[[int], None]) -> None:
            self.loop.call_later(max(at_ms - clock.now_ms(), 0) / 1000, lambda: go_on(clock.now_ms()))

        self.serving.serve(forward, clock.now_ms(), done, later)
        self.wrote()

    def _tick(self) -> None:
        self._due_ms, self._timer = None, None
        try:
            outputs = self.replica.tick(now())
        except Exception:
            self._timer = self.loop.call_later(AFTER_BUG_S, self._tick)  # a bug must not end all gossip
            raise
        self.carry(outputs)

    def _deliver(self, channel: bytes, message: bytes) -> None:
        publish = pubsub.publish_to_shard if channel[:1] == SHARD else pubsub.publish
        publish(self.node, channel[1:], message)

    def _agree(self, terms: Terms) -> None:
        """Smaller limits for what clients write from now on. CONFIG GET shows them."""
        node = self.node
        max_ttl_ms = min(terms.max_ttl_ms, node.settings.max_ttl_ms)
        node.settings = node.settings._replace(
            max_ttl_ms=max_ttl_ms, default_ttl_ms=min(node.settings.default_ttl_ms, max_ttl_ms),
            bulk_bytes_max=min(terms.value_bytes_max, node.settings.bulk_bytes_max),
        )  # fmt: skip
        node.engine.configure(node.settings)

    # -- this node's clients ----------------------------------------------------------------------
    def wrote(self) -> bool:
        """After a turn of the pump: whether there were writes for the peers."""
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
        """What the engine has published by itself, behind what was written."""
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
        self.carry(questions)  # once it is known all that the client waits for
        return patience_ms

    def learnt(self, waiter: Waiter) -> bool:
        return self.waiting.learnt(waiter)

    def forget(self, waiter: Waiter) -> None:
        self.waiting.forget(waiter)

    def share_keys(self, entries: Iterable[Entry], dropped: Iterable[bytes]) -> None:
        self.carry(self.replica.share_keys(entries, dropped, now()))

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
            *peer_overview.facts(self.replica, self.faults, now().ms),
        ]


def now() -> Now:
    return Now(clock.micros() // 1000, clock.now_ms())
