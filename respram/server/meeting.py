"""Starts a node's dealings with peers: the peer port, the first peer of a node without any, the driver, and the reload
of secrets and certificates on SIGHUP.

A node without peers pays nothing for them: it listens, and makes digests and an outbox when the first peer comes.
"""

import asyncio
import os
import socket
from collections.abc import Callable

from respram.commands.acl_user import DEFAULT
from respram.commands.node import Node
from respram.config.settings import Config
from respram.errors import BindError, ConfigError
from respram.seal import Ring
from respram.server import clock, expulsion, logs, peer_setup
from respram.server.beginning import Beginning
from respram.server.driver import Driver
from respram.server.listener import spell
from respram.server.secret import Trust
from respram.snapshot.keys import SegmentKeys

LOOK_S = 60.0  # between two checks of the files with this node's certificates


def _state_of(path: str) -> tuple[int, int, int] | None:
    """The state of a file. Another file in its place, or other content, is another state. None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


class Meeting:
    def __init__(
        self, config: Config, node: Node, loop: asyncio.AbstractEventLoop, log: logs.Journal, trust: Trust | None,
        ring: Ring | None,
    ) -> None:  # fmt: skip
        self.config = config
        self.node = node
        self.loop = loop
        self.log = log
        self.trust = trust
        self.ring = ring
        self.segment_keys: SegmentKeys | None = None  # set if there are snapshots
        self.driver: Driver | None = None
        self.listeners: list[socket.socket] = []
        self.awaiting: list[socket.socket] = []  # listeners of a lone node, for its first peer
        self.task: asyncio.Task[None] | None = None
        self.renewing: asyncio.Task[None] | None = None
        self.looking: asyncio.Task[None] | None = None
        self.in_use = self._files()
        self.on_met: Callable[[Driver], None] = lambda driver: None
        self.on_failed: Callable[[], None] = lambda: None
        self.beginning = Beginning() if config.has_peers else None
        node.truth = self.beginning

    # -- listening, and the first peer ------------------------------------------------------------
    def listen(self) -> None:
        """Listens on the peer port. Raises BindError if it is taken."""
        if self.config.has_peers:
            self.listeners = peer_setup.listen(self.config)
        elif self.config.may_meet:
            self._await_first_peer()

    def _await_first_peer(self) -> None:
        """Waits for a first peer, if the default peer port is free: of two nodes on one machine only one has it."""
        try:
            self.awaiting = peer_setup.listen(self.config)
        except BindError as error:
            if self.config.peer_port_given:
                raise
            self.log(f"event=peers_off why='{error}'")
        for listener in self.awaiting:
            self.loop.add_reader(listener, self.grow)
        if self.awaiting:
            spelled = ",".join(spell(one.getsockname()).decode() for one in self.awaiting)
            self.log(f"event=peers_awaited listen={spelled}")

    def close_unproven(self) -> None:
        """Where clients need a password by now, the peer port, which asks nobody for a proof, is no way round it: as if
        the node had been started with that password.
        """
        if self.awaiting and not self.config.peer_port_given and not self.node.users[DEFAULT].open:
            self.await_nobody()
            self.log("event=peers_off why='clients need a password now, and peers could come in without one'")

    def await_nobody(self) -> None:
        for listener in self.awaiting:
            self.loop.remove_reader(listener)
            listener.close()
        self.awaiting = []

    def grow(self) -> None:
        """A first peer has connected to a node without peers."""
        self.close_unproven()
        if not self.awaiting:
            return
        for listener in self.awaiting:
            self.loop.remove_reader(listener)
        listeners, self.awaiting = self.awaiting, []
        begun = self.loop.time()
        try:
            peer_setup.grow(self.config, self.node, clock.now_ms())
        except MemoryError:
            self.log("event=peers_failed why='no memory for digests: this node stays alone'", logs.ERROR)
            for listener in listeners:
                listener.close()
            return
        self.log(f"event=first_peer took_ms={(self.loop.time() - begun) * 1000:.0f}")
        self.listeners = listeners
        self.begin()

    # -- the driver -------------------------------------------------------------------------------
    def begin(self) -> None:
        """Begins with the peers, if there can be any. A node that waits for its first peer begins when that comes,
        perhaps before the loop's first turn is over.
        """
        if self.listeners:
            self.task = self.loop.create_task(self._meet())
            self.task.add_done_callback(self._met)
        if self.config.peer_cert:
            self.looking = self.loop.create_task(self._look_for_renewed())

    async def _meet(self) -> None:
        """Clients are served meanwhile."""
        driver = self.driver = await peer_setup.start(
            self.config, self.node, self.loop, self.trust, self.listeners, self.log, self.ring, self.segment_keys
        )
        driver.links.trust = self.trust  # the certificates may have been renewed
        driver.on_expelled = self._renew_seals
        if self.config.peer_crl and self.trust is not None:
            driver.expel(expulsion.read_file(self.config.peer_crl, self.trust))
        if self.beginning is not None:
            self.beginning.end()
        self.on_met(driver)

    def _met(self, meeting: "asyncio.Task[None]") -> None:
        """Stops a node that was to have peers and cannot, so that it does not look as if it had."""
        if not meeting.cancelled() and meeting.exception() is not None:
            self.loop.call_exception_handler({"exception": meeting.exception()})
            self.on_failed()

    async def finish(self, end_s: float) -> None:
        """Waits for the driver, if the node is stopped before it has one and has something to tell the peers."""
        engine = self.node.engine
        if self.looking is not None:
            self.looking.cancel()
        if self.task is not None and not self.task.done():
            if engine.waiting_bytes():
                await asyncio.wait([self.task], timeout=end_s - self.loop.time())
            self.task.cancel()
        for idle in self.listeners if self.driver is None else ():
            idle.close()
        if self.driver is None and engine.waiting_bytes():
            self.log(f"event=stopping_left what=writes peers=0 bytes={engine.waiting_bytes()}")

    # -- what proves peers ------------------------------------------------------------------------
    def _files(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Which state of its own certificates this node has in use."""
        config = self.config
        return tuple(map(_state_of, (config.peer_cert, config.peer_key, config.peer_ca, config.peer_crl)))

    async def _look_for_renewed(self) -> None:
        """Certificates that are renewed are taken without a signal."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        if self.config.peer_cert and self._files() != self.in_use:
            self.reload()

    def reload(self) -> None:
        """Reloads the cluster secret and the certificates for peers. Wrong files change nothing."""
        if self.config.cluster_secret_file or self.config.peer_cert:
            self.renewing = self.loop.create_task(self._renew_trust())

    async def _renew_trust(self) -> None:
        files = self._files()
        try:
            trust = await self.loop.run_in_executor(None, peer_setup.renewed_trust, self.config, self.trust)
        except ConfigError as error:
            logs.logger.error("event=peer_reload_failed reason=%s", error)
            return
        before, self.trust, self.in_use = self.trust, trust, files
        ended = self.driver.links.renew(trust) if self.driver is not None else 0
        if self.config.peer_crl and self.driver is not None:
            self._expel_by_file(self.driver, trust)
        if before is not None and before.believes_more_than(trust):
            self._renew_seals()
        logs.logger.info("event=peer_reloaded what=%s links_ended=%d", trust.source, ended)

    def _expel_by_file(self, driver: Driver, trust: Trust) -> None:
        try:
            driver.expel(expulsion.read_file(self.config.peer_crl, trust))
        except ConfigError as error:
            logs.logger.error("event=peer_reload_failed reason=%s", error)

    def _renew_seals(self) -> None:
        """Makes a new seal key after a peer was excluded, since it knows the present ones."""
        if self.ring is not None:
            self.ring.renew_by(clock.now_ms())
