"""The world: nodes, virtual time, and the delivery of their outputs.

Every event is a tuple in one heap; events of the same moment run in the order of their creation. A stalled node gets
its events when it wakes, as a stopped process does.
"""
# ruff: noqa: S311 (a simulation wants numbers that can be had again)

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from random import Random

from respram.engine import make
from respram.engine.api import Engine, Settings
from respram.engine.ids import mark_of
from respram.gossip.core import Core
from respram.gossip.effects import Decided, Deliver, Dial, Hangup, Learnt, Report, Serve
from respram.gossip.members import LEAF, ROOT, Member
from respram.gossip.policy import Policy
from respram.gossip.timers import Now
from respram.replica import Bug, Output, Replica, Write
from respram.sim.network import Connection, Network
from respram.wire.codec import encode
from respram.wire.frames import Frames

EPOCH_MS = 1_800_000_000_000
IDS_KEY = 0x5EEDED5EEDED5EED
EXPIRE_BUDGET = 10_000

ENGINE = "pure"  # its states can be inspected at every step; the tests use the other engine too

EngineMaker = Callable[[int, Settings], Engine]


def settings(node: int, memory_bytes_max: int = 0) -> Settings:
    return Settings(
        node=node, secret=b"simulated-secret", seed=node, default_ttl_ms=3_600_000, max_ttl_ms=31 * 86_400_000,
        memory_bytes_max=memory_bytes_max, bulk_bytes_max=16 << 20, key_bytes_max=64 << 10, args_max=1 << 20,
        inline_bytes_max=64 << 10,
        query_bytes_max=1 << 30, clock_offset_ms_max=2_000, feed_commands_max=512, feed_reply_bytes_max=1 << 20,
        outbox_bytes_max=64 << 20,
    )  # fmt: skip


def engine_of(_place: int, made_with: Settings) -> Engine:
    return make(ENGINE, made_with)


@dataclass(slots=True, eq=False)
class Node:
    place: int  # index in the world, the same through all boots
    address: bytes
    enclave: bytes
    role: int
    engine: Engine
    replica: Replica
    boot: int
    offset_ms: int = 0  # of its wall clock
    memory_bytes_max: int = 0
    is_up: bool = True
    is_silent: bool = False  # its machine is down too: a dial gets no answer
    stalled_until_ms: int = 0
    tick_at_ms: int = 1 << 62
    next_link: int = 1
    # By link number: the link, and which end.
    connections: dict[int, tuple[Connection, int]] = field(default_factory=dict)
    deliveries: list[tuple[bytes, bytes]] = field(default_factory=list)
    learnt: dict[int, bool] = field(default_factory=dict)  # by token: whether the newest record of a key is known
    decided: dict[int, str] = field(default_factory=dict)  # by token: the outcome of a forward
    replies: dict[int, bytes] = field(default_factory=dict)  # by token: the answer


@dataclass(slots=True, eq=False)
class World:
    seed: int
    policy: Policy = field(default_factory=Policy)
    make_engine: EngineMaker = engine_of
    memory_bytes_max: int = 0
    counters: bool = True  # converge, unless a majority decides
    ids_key: int = IDS_KEY  # for nodes that boot from now on
    apart: bool = False  # each frame travels by itself, even where a node has sent several in one write
    tracing: bool = False
    now_ms: int = 0
    nodes: list[Node] = field(default_factory=list)
    rng: Random = field(init=False)
    network: Network = field(init=False)
    events: int = 0
    reports: dict[str, int] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)
    after_event: Callable[[Node], None] | None = None
    serve: Callable[[Node, Serve], None] | None = None  # runs what a home receives
    roots: list[bytes] = field(default_factory=list)
    _heap: list[tuple[int, int, str, int, int, object]] = field(default_factory=list)
    _ties: int = 0

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.network = Network(Random(self.seed ^ 0x6E6574))

    # -- nodes --------------------------------------------------------------------------------------
    def add(
        self, enclave: bytes = b"main", is_root: bool = False, offset_ms: int = 0, memory_bytes_max: int = 0
    ) -> Node:
        place = len(self.nodes)
        address = b"10.%d.%d.%d:7000" % (place >> 16, place >> 8 & 255, place & 255)
        role = ROOT if is_root else LEAF
        if is_root:
            self.roots.append(address)
        limit = memory_bytes_max or self.memory_bytes_max
        engine, replica = self._boot(place, 1, address, enclave, role, limit)
        node = Node(place, address, enclave, role, engine, replica, 1, offset_ms, limit)
        self.nodes.append(node)
        return node

    def _boot(
        self, place: int, boot: int, address: bytes, enclave: bytes, role: int, memory_bytes_max: int
    ) -> tuple[Engine, Replica]:
        number = (place + 1) << 16 | boot
        counters = self.counters and not self.policy.enclave_size
        engine = self.make_engine(place, settings(number, memory_bytes_max)._replace(counters=counters))
        engine.track(self.ids_key)
        policy = replace(self.policy, ids_mark=mark_of(self.ids_key))
        core = Core(Member(number, enclave, address, role=role), policy, engine, Random(self.seed << 20 ^ number))
        return engine, Replica(engine, core, 16 << 20)

    def start(self, node: Node) -> None:
        node.replica.core.partners.roots = [root for root in self.roots if root != node.address]
        self.carry(node, node.replica.start(self.time_of(node)))

    def time_of(self, node: Node) -> Now:
        return Now(self.now_ms, EPOCH_MS + self.now_ms + node.offset_ms)

    def crash(self, node: Node, silently: bool = False) -> None:
        """Ends a node's process. Its connections break, unless its machine is down too."""
        node.is_up, node.is_silent = False, silently
        for connection, _ in list(node.connections.values()):
            if silently:
                connection.is_open = False
            else:
                self._break(connection)
        node.connections.clear()

    def restart(self, node: Node) -> None:
        """Restarts a node empty, under a new number. Its old connections that are still open are reset now."""
        node.boot += 1
        for other in self.nodes:
            for connection, end in list(other.connections.values()):
                if connection.ends[1 - end][0] == node.place:
                    self._break(connection)
        node.engine, node.replica = self._boot(
            node.place, node.boot, node.address, node.enclave, node.role, node.memory_bytes_max
        )
        node.is_up, node.tick_at_ms, node.stalled_until_ms = True, 1 << 62, 0
        node.connections, node.deliveries, node.learnt, node.decided, node.replies = {}, [], {}, {}, {}
        self.start(node)

    def stall(self, node: Node, for_ms: int) -> None:
        node.stalled_until_ms = self.now_ms + for_ms

    def step_clock(self, node: Node, by_ms: int) -> None:
        node.offset_ms += by_ms

    # -- time ---------------------------------------------------------------------------------------
    def at(self, due_ms: int, kind: str, place: int, argument: int = 0, payload: object = None) -> None:
        self._ties += 1
        heappush(self._heap, (due_ms, self._ties, kind, place, argument, payload))

    def run_until(self, end_ms: int) -> None:
        while self._heap and self._heap[0][0] <= end_ms:
            due_ms, _, kind, place, argument, payload = heappop(self._heap)
            self.now_ms = max(self.now_ms, due_ms)
            if kind == "tick" and due_ms != self.nodes[place].tick_at_ms:
                continue  # replaced by an earlier tick, which has run
            self._event(kind, self.nodes[place], argument, payload)
        self.now_ms = end_ms

    def _event(self, kind: str, node: Node, argument: int, payload: object) -> None:
        if not node.is_up or (kind == "tick" and argument != node.boot):
            return
        if node.stalled_until_ms > self.now_ms:
            if kind == "tick":
                node.tick_at_ms = node.stalled_until_ms
            self.at(node.stalled_until_ms, kind, node.place, argument, payload)
            return
        self.events += 1
        now = self.time_of(node)
        if self.tracing:
            size = len(payload[1]) if isinstance(payload, tuple) and isinstance(payload[1], bytes) else 0
            self.trace.append(f"{self.now_ms} {node.place} {kind} {argument} {size}")
        if kind == "tick":
            node.tick_at_ms = 1 << 62
            node.engine.expire(now.wall_ms, EXPIRE_BUDGET)
            self.carry(node, node.replica.tick(now))
        elif kind == "chunk":
            connection, data = payload  # type: ignore[misc]
            if connection.is_open and argument in node.connections:  # type: ignore[has-type]
                self.carry(node, node.replica.received(argument, data, now))  # type: ignore[has-type]
        elif kind == "closed":
            if argument in node.connections and node.connections[argument][0] is payload:
                del node.connections[argument]
                self.carry(node, node.replica.closed(argument, now))
        elif kind == "dial":
            assert isinstance(payload, bytes)
            self._connect(node, payload)
        if self.after_event is not None:
            self.after_event(node)

    def touch(self, node: Node) -> None:
        """Carries out the node's outputs after a write from outside."""
        self.carry(node, node.replica.wrote(self.time_of(node)))

    # -- outputs ------------------------------------------------------------------------------------
    def carry(self, node: Node, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Write):
                if output.link in node.connections:
                    connection, end = node.connections[output.link]
                    for data in _frames_of(output.data) if self.apart else [output.data]:
                        self._transmit(connection, end, data)
            elif isinstance(output, Dial):
                self.at(self.now_ms + 1 + self.rng.randrange(3), "dial", node.place, 0, output.address)
            elif isinstance(output, Hangup):
                if output.link in node.connections:
                    self._close(node, output.link)
            elif isinstance(output, Report):
                self.reports[output.event] = self.reports.get(output.event, 0) + 1
                if self.tracing:
                    self.trace.append(f"{self.now_ms} {node.place} event={output.event} {output.details}")
            elif isinstance(output, Deliver):
                node.deliveries.append((output.channel, output.message))
            elif isinstance(output, Learnt):
                node.learnt[output.token] = output.known
            elif isinstance(output, Decided):
                node.decided[output.token], node.replies[output.token] = output.outcome, output.replies
            elif isinstance(output, Serve) and self.serve is not None:
                self.serve(node, output)
            elif isinstance(output, Bug):
                raise output.error
        due_ms = node.replica.next_deadline()
        if due_ms is not None and due_ms < node.tick_at_ms:
            node.tick_at_ms = max(due_ms, self.now_ms)
            self.at(node.tick_at_ms, "tick", node.place, node.boot)

    def _transmit(self, connection: Connection, end: int, data: bytes) -> None:
        place, link = connection.ends[1 - end]
        for at_ms in self.network.arrivals(connection, end, len(data), self.now_ms):
            self.at(at_ms, "chunk", place, link, (connection, data))

    def _connect(self, node: Node, address: bytes) -> None:
        others = [one for one in self.nodes if one.address == address] if address else []
        other = others[0] if others else None
        now = self.time_of(node)
        reachable = other is not None and other.is_up and other is not node
        if not reachable or other is None or not self._both_ways(node, other):
            answers = other is not None and not other.is_silent and self._both_ways(node, other)
            self.carry(node, node.replica.dial_failed(address, now, refused=answers))
            return
        mine, theirs = node.next_link, other.next_link
        node.next_link += 1
        other.next_link += 1
        connection = Connection(((node.place, mine), (other.place, theirs)))
        node.connections[mine] = (connection, 0)
        other.connections[theirs] = (connection, 1)
        self.carry(node, node.replica.opened(mine, address, now))
        self.carry(other, other.replica.opened(theirs, b"", self.time_of(other)))

    def _both_ways(self, one: Node, other: Node) -> bool:
        return self.network.passes(one.place, other.place) and self.network.passes(other.place, one.place)

    def _close(self, node: Node, link: int) -> None:
        """Closes this end at once; the other end notices after it has received what was sent before."""
        connection, end = node.connections.pop(link)
        place, theirs = connection.ends[1 - end]
        self.at(max(self.now_ms + 3, connection.last_ms[end]), "closed", place, theirs, connection)

    def _break(self, connection: Connection) -> None:
        connection.is_open = False
        for place, link in connection.ends:
            self.at(self.now_ms + 1, "closed", place, link, connection)

    # -- questions ----------------------------------------------------------------------------------
    @property
    def up(self) -> list[Node]:
        return [node for node in self.nodes if node.is_up]

    def digests(self, enclave: bytes = b"main") -> set[tuple[int, int] | None]:
        """The digests of all nodes at one moment of one clock; a single element when all are equal."""
        now = Now(self.now_ms, EPOCH_MS + self.now_ms)
        return {node.replica.digest(now) for node in self.up if node.enclave == enclave}


def _frames_of(data: bytes) -> list[bytes]:
    frames = Frames(len(data))
    frames.greeted = True
    return [encode(message) for message in frames.push(data)]
