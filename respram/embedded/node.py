"""A node in a running event loop: that of its own process, or that of the program around it."""

import asyncio

from respram.config.settings import Config
from respram.server import clock
from respram.server.app import EXPIRY_STEP, App
from respram.server.guard import Guard


class Node:
    running = 0  # nodes running in this process, which share its clock

    def __init__(self, config: Config, guard: Guard | None = None) -> None:
        """Without a guard the seal keys are in memory that is not locked, because the process belongs to another
        program."""
        self.app = App(config, asyncio.get_running_loop(), guard)

    async def start(self) -> None:
        """Starts to listen; clients can connect at once. Raises BindError if a port is taken."""
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

    def advance(self, ms: int) -> None:
        """Advances the node's clock. Whatever is due by then is destroyed, and published, when this returns."""
        clock.advance(ms)
        while self.app.node.engine.expire(clock.now_ms(), EXPIRY_STEP) >= EXPIRY_STEP:
            pass

    async def stop(self) -> None:
        """Stops the node. The last one resets the clock, since a native node started later would expire keys too
        early."""
        self.app.stop("closed")
        await self.app.drain()
        Node.running -= 1
        if not Node.running:
            clock.advance(-clock.advanced_ms())
        if self.app.ring is not None:
            self.app.ring.wipe()
