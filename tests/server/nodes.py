"""Nodes with drivers in one loop, without processes: what the tests of the driver and its neighbours share."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from respram.commands.connection import forget, greet
from respram.commands.dispatch import dispatch
from respram.commands.node import Conn, Node
from respram.commands.notify import observe
from respram.config.options import Address
from respram.config.settings import Config
from respram.server import clock, peer_setup
from respram.server.driver import Driver
from respram.server.secret import Trust
from tests.live import SOON_S
from tests.ports import reserve


@dataclass(slots=True)
class Noted:
    """A connection's transport that notes what comes to it."""

    heard: list[bytes]
    woken: list[int]

    def deliver(self, data: bytes) -> None:
        self.heard.append(data)

    def deliver_pieces(self, pieces: list[bytes]) -> bool:
        return False

    def close(self) -> None: ...
    def answer(self, data: bytes) -> None:
        self.heard.append(data)

    def wake(self) -> None:
        self.woken.append(1)

    def waiting_bytes(self) -> int:
        return 0

    def is_gone(self) -> bool:
        return False


@dataclass(slots=True)
class Party:
    """One node: its driver, and what it logged."""

    driver: Driver
    node: Node
    port: int
    lines: list[str] = field(default_factory=list)

    def store(self, key: bytes, value: bytes, life_ms: int = 60_000) -> None:
        """As a client's SET, followed by what the pump does at the end of its turn."""
        now_ms = clock.now_ms()
        self.node.engine.store(0, key, value, now_ms + life_ms, False, now_ms, b"set")
        self.driver.wrote()

    def value(self, key: bytes) -> bytes | None:
        entry = self.node.engine.lookup(0, key, clock.now_ms())
        return None if entry is None else entry.value

    def connect(self, heard: list[bytes], woken: list[int]) -> Conn:
        session = self.node.engine.session(dispatch)
        conn = Conn(self.node.next_client_id, self.node, session, b"", b"", 0, Noted(heard, woken))
        session.owner = conn
        self.node.next_client_id += 1
        greet(conn)
        return conn


def make_node(config: Config, number: int, trust: Trust | None, log: Callable[[str], None]) -> Node:
    settings = config.engine_settings(number, b"s" * 16, 5, outbox_bytes_max=1 << 20)
    node = Node(
        config=config, limits=config.limits, settings=settings, engine=peer_setup.make_engine(config, settings, trust),
        number=number, run_id=b"a" * 40, started_ms=clock.now_ms(), pid=1, micros=clock.micros, wall_us=clock.wall_us,
        worked_us=clock.worked_us, draw=lambda: 4, usage=dict, stop=lambda _: None, log=lambda line, _=0, /: log(line),
    )  # fmt: skip
    observe(node)
    return node


def into(lines: list[str]) -> Callable[..., None]:
    """A log that is a list."""
    return lambda line, level=20: lines.append(line)


async def start_party(
    number: int,
    port: int,
    join: tuple[int, ...],
    trust: Trust | None = None,
    host: str = "127.0.0.1",
    **settings: object,
) -> Party:
    lines: list[str] = []
    config = Config(
        engine="pure", peer_port=port, join=tuple(Address(host, one) for one in join), **settings  # type: ignore[arg-type]
    )
    node = make_node(config, number, trust, lines.append)
    driver = await peer_setup.start(
        config, node, asyncio.get_running_loop(), trust, peer_setup.listen(config), into(lines)
    )
    return Party(driver, node, port, lines)


@contextlib.asynccontextmanager
async def parties(count: int, trust: Trust | None = None) -> AsyncIterator[list[Party]]:
    ports = tuple(reserve() for _ in range(count))
    started = [await start_party(number, port, ports, trust) for number, port in enumerate(ports, 1)]
    try:
        await until(lambda: all(len(one.driver.replica.core.neighbours.greeted()) == count - 1 for one in started))
        yield started
    finally:
        for one in started:
            if not one.driver.stopped:
                await one.driver.stop()
            for conn in tuple(one.node.clients.values()):
                forget(conn)


async def until(condition: Callable[[], object], seconds: float = SOON_S) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, "it did not happen"
        await asyncio.sleep(0.002)


def run(main: Callable[[], object]) -> None:
    """Runs a test's coroutine; an exception that nobody caught fails it."""
    bugs: list[dict[str, object]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context))
        await main()  # type: ignore[misc]

    asyncio.run(watched())
    assert not bugs, bugs
