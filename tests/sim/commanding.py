"""Nodes of the simulator that run commands: the handlers, the forwarding and the homes of a server, in virtual time on
a virtual network, and the pushes between two nodes can be held back.
"""

from collections import deque
from collections.abc import Callable

import pytest

from respram.commands.acl_rights import BY_NAME
from respram.commands.serving import Served, Serving
from respram.config.settings import Config
from respram.gossip.effects import Decided, Serve
from respram.replica import Output
from respram.server import decisions
from respram.server.decisions import Decisions
from respram.sim.network import Connection
from respram.sim.world import Node, World
from respram.slots import slot_of
from tests.commands.rig import Rig, request

READY_MS = 60_000
ANSWER_MS = 1_400  # less than a client waits for a home
MEANWHILE_MS = 20
KEYS_TRIED = 1_000
CONFIG = Config(let_go=tuple(sorted(name.decode() for name in BY_NAME)))


class Wires(World):
    """`held`: from whom to whom nothing passes for now. It stays in order."""

    def begin(self) -> None:
        self.held: set[tuple[int, int]] = set()
        self.waiting: deque[tuple[Connection, int, bytes]] = deque()

    def _transmit(self, connection: Connection, end: int, data: bytes) -> None:
        if (connection.ends[end][0], connection.ends[1 - end][0]) in self.held:
            self.waiting.append((connection, end, data))
        else:
            super()._transmit(connection, end, data)

    def tear(self) -> None:
        """The links on which something waits break, and it is lost."""
        assert self.waiting
        self.held.clear()
        for connection in {connection for connection, _, _ in self.waiting}:
            self._break(connection)
        self.waiting.clear()

    def release(self) -> None:
        self.held.clear()
        while self.waiting:
            super()._transmit(*self.waiting.popleft())


class Loop:
    """Of asyncio's only what `Decisions` uses."""

    def __init__(self) -> None:
        self.calls: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()

    def call_soon(self, call: Callable[..., None], *args: object) -> None:
        self.calls.append((call, args))

    def run(self) -> None:
        while self.calls:
            call, args = self.calls.popleft()
            call(*args)


class Seat:
    """One node with its command layer, and a client of it."""

    def __init__(self, world: Wires, node: Node) -> None:
        self.world, self.node, self.loop = world, node, Loop()
        self.rig = Rig(lambda _: node.engine, config=CONFIG, number=node.replica.core.me.number)
        self.serving = Serving(self.rig.node)
        self.decisions = Decisions(node.replica, self.rig.node, self.loop, self.carry)  # type: ignore[arg-type]
        self.client = self.rig.connect()

    def carry(self, outputs: list[Output]) -> None:
        self.world.carry(self.node, outputs)

    def settle(self) -> None:
        """As the driver follows the map of homes."""
        homes = self.node.replica.core.homes
        table = homes.table()
        assert table is not None
        self.decisions.table, self.decisions.version = table, homes.version
        self.rig.engine.use_homes(table.tobytes())
        self.rig.node.homes = self.decisions

    def serve(self, serve: Serve) -> None:
        now = self.world.time_of(self.node)
        self.rig.now_ms = now.wall_ms
        assert self.node.replica.may_run(serve.who, serve.forward.number, now)
        served: list[Served] = []
        self.serving.serve(serve.forward, now.wall_ms, served.append, lambda at_ms, go_on: None)
        [one] = served
        self.carry(self.node.replica.served(serve.who, serve.forward, one.outcome, one.replies, now, one.beyond))
        self.world.touch(self.node)

    def ask(self, *argv: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        """The reply of one command, whoever decides."""
        world, client, node = self.world, self.client, self.node
        self.rig.now_ms = world.time_of(node).wall_ms
        reply, end_ms = client.raw(request(*argv)), world.now_ms + ANSWER_MS
        self.loop.run()
        while client.conn.session.suspended:
            for token in [token for token in self.decisions.open if token in node.decided]:
                self.decisions.decided(Decided(token, node.decided[token], node.replies[token]))
            self.loop.run()
            if client.line.out:
                reply += b"".join(client.line.out)
                client.line.out.clear()
                reply += client.wake()
                break
            assert world.now_ms < end_ms, f"{argv!r} is not answered"
            world.run_until(world.now_ms + 1)
            if meanwhile is not None and world.now_ms == end_ms - ANSWER_MS + MEANWHILE_MS:
                meanwhile()
            self.rig.now_ms = world.time_of(node).wall_ms
        world.touch(node)
        return reply


class Three:
    """Three nodes and their clients: `asked`, and the homes of two keys, `home` and `third`."""

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world = Wires(seed)
        world.begin()
        for _ in range(3):
            world.add(is_root=True)
        for node in world.nodes:
            world.start(node)
        while not all(node.replica.core.state == "ready" for node in world.nodes):
            assert world.now_ms < READY_MS
            world.run_until(world.now_ms + 100)
        world.run_until(world.now_ms + 2_000)  # homes have settled
        self.seats = [Seat(world, node) for node in world.nodes]
        for seat in self.seats:
            seat.settle()
        world.serve = lambda node, serve: self.seats[node.place].serve(serve)
        monkeypatch.setattr(decisions, "now", lambda: world.time_of(world.nodes[0]))
        self.asked, self.home, self.third = self.seats

    def keys(self, seat: Seat, prefix: bytes = b"key", count: int = 1) -> list[bytes]:
        """Keys that this node decides about."""
        homes, number = self.asked.node.replica.core.homes, seat.node.replica.core.me.number
        names = [b"%s %d" % (prefix, number) for number in range(KEYS_TRIED)]
        return [name for name in names if homes.home_of(slot_of(name)) == number][:count]

    def hold(self) -> None:
        """From now on `third` hears nothing from `home`."""
        self.world.held.add((self.home.node.place, self.third.node.place))

    def hold_answers(self) -> None:
        """From now on `asked` hears nothing from `home`."""
        self.world.held.add((self.home.node.place, self.asked.node.place))

    def level(self) -> None:
        self.world.release()
        self.world.run_until(self.world.now_ms + 100)
