"""A node in a loop that runs already: its own process's, or that of the program around it."""

import asyncio

from respram.config.settings import Config
from respram.server import clock
from respram.server.app import EXPIRY_STEP, App
from respram.server.guard import Guard


class Node:
    running = 0  # in this process: they share its clock

    def __init__(self, config: Config, guard: Guard | None = None) -> None:
        """Without a guard the seal keys lie in memory that is not locked: the process is somebody else's."""
        self.app = App(config, asyncio.get_running_loop(), guard)

    async def start(self) -> None:
        """BindError where a port is taken. Clients can connect at once."""
        self.app.listen()
        Node.running += 1
        await self.app.show()
        self.app.keep_forgetting()
        self.app.sweep()
        self.app.meet()
        self.app.remember()

    @property
    def port(self) -> int:
        return self._port(0)

    @property
    def tls_port(self) -> int:
        return self._port(1) if len(self.app.listeners) > 1 else 0

    def _port(self, which: int) -> int:
        port: int = self.app.listeners[which].sockets[0].getsockname()[1]
        return port

    @property
    def metrics_port(self) -> int:
        return self.app.health.port if self.app.health is not None else 0

    @property
    def peer_port(self) -> int:
        sockets = self.app.meeting.listeners or self.app.meeting.awaiting
        return int(sockets[0].getsockname()[1]) if sockets else 0

    def put_ahead(self, ms: int) -> None:
        """Lives so much later from now on: whatever is due by then is destroyed, and told, when this returns."""
        clock.put_ahead(ms)
        while self.app.node.engine.expire(clock.now_ms(), EXPIRY_STEP) >= EXPIRY_STEP:
            pass

    async def stop(self) -> None:
        """The last one puts the clock back: a native node that came after would sweep keys before their time."""
        self.app.stop("closed")
        await self.app.drain()
        Node.running -= 1
        if not Node.running:
            clock.put_ahead(-clock.ahead_ms())
        if self.app.ring is not None:
            self.app.ring.wipe()
