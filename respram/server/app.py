"""The node as a process: makes engine and node, listens, keeps time, stops in order.

One thread, one loop. Four things run on it: sockets, the expiry clock, a sweep once a second, and
the end of a batch that was too long for one turn.
"""

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from respram import __version__
from respram.commands import acl
from respram.commands.acl_user import DEFAULT
from respram.commands.connection import forget, greet
from respram.commands.dispatch import dispatch
from respram.commands.info import sample
from respram.commands.node import GONE, Conn, Node
from respram.commands.notify import observe, parse_classes
from respram.config.settings import Config, exposed
from respram.engine import own_cipher
from respram.engine.api import Engine, Settings
from respram.errors import BindError, ClientError, ConfigError
from respram.seal import KEY_BYTES, RING_BYTES, Ring
from respram.server import cipher, client_eviction, clock, expulsion, health, logs, peer_setup, process, stopping
from respram.server.beginning import Beginning
from respram.server.client import Client
from respram.server.driver import Driver
from respram.server.guard import Guard, guard_memory
from respram.server.health import Health
from respram.server.listener import Listener, prepare, spell
from respram.server.pump import PortablePump, make_pump
from respram.server.secret import Trust
from respram.server.snapshots import Snapshots
from respram.server.tls import Encryption, TlsSocket
from respram.server.users_file import UsersFile

if TYPE_CHECKING:
    from respram.server.telemetry import Telemetry

EXPIRY_TICK_S = 0.010  # how often the wheel is looked at while there are records
EXPIRY_IDLE_TICK_S = 0.025  # while there are none: a first key of a few ms must not wait long
EXPIRY_SLICE_US = 500  # time spent on forgetting before sockets get their turn
EXPIRY_STEP = 64  # records destroyed between two looks at the clock
SWEEP_S = 1.0
STOP_S = 3.0  # until when replies that were made are to be taken, out of the 5 s that a stop may take
READY_LOOK_S = 0.05  # between two looks whether the node is ready, for who waits at a terminal
SPARE_DESCRIPTORS = 64  # beyond the clients: listeners, peers, logs
GC_THRESHOLDS = (200_000, 50, 1000)  # nothing on the hot path makes cycles; long pauses cost more


class App:
    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, guard: Guard | None = None) -> None:
        self.config = config
        self.loop = loop
        self.journal = logs.Journal(clock.now_ms)
        self.stopping: asyncio.Future[str] = loop.create_future()
        self.health: Health | None = None
        self.telemetry: Telemetry | None = None
        self.ended = False  # the loop may be somebody else's and go on
        self.saved = True  # at the end: the disk, or a peer, has what was acknowledged
        self.trust = peer_setup.make_trust(config)
        if config.peer_crl and self.trust is not None:
            expulsion.read_file(config.peer_crl, self.trust)  # a wrong one is found before anything begins
        self.guard = guard
        self.ring = self._ring()
        self.sealing_with = self.ring.current if self.ring is not None else 0
        self.node = self._node()
        self.beginning = Beginning() if config.has_peers else None
        self.node.truth = self.beginning
        self.node.event_flags = parse_classes(config.notify_keyspace_events.encode()) or 0
        observe(self.node)
        self.clients: dict[int, Client] = {}
        self.pump = make_pump(self.node.engine, loop)
        self.listeners = (
            [Listener("clients", self.pump)] if config.port or not (config.tls_port or config.unixsocket) else []
        )
        if config.unixsocket:
            self.listeners.append(Listener("unix_clients", self.pump, path=config.unixsocket))
        self.encryption = Encryption(config, self._tls_failed) if config.tls_port else None
        if self.encryption is not None:
            self.listeners.append(Listener("tls_clients", PortablePump(self.node.engine, loop), self.encryption))
        self.pumps = tuple(dict.fromkeys((self.pump, *(one.pump for one in self.listeners))))
        for pump in self.pumps:
            if config.clients_bytes_max:
                pump.weigh, pump.weigh_bytes = self.relieve, client_eviction.weigh_bytes(config.clients_bytes_max)
        self._load_users()
        self.peer_listeners: list[socket.socket] = []
        self.waiting_listeners: list[socket.socket] = []  # for the first peer of a node that is alone
        self.driver: Driver | None = None
        self.meeting: asyncio.Task[None] | None = None
        self.renewing: asyncio.Task[None] | None = None
        self.snapshots = self.node.snapshots = self._snapshots() if config.snapshot_dir else None
        self.node.loading = self.snapshots is not None

    def _ring(self) -> Ring | None:
        """Who does not seal may have to open what peers have sealed, or this node before its restart."""
        config = self.config
        if not (config.seal_memory or config.has_peers or config.may_meet or config.snapshot_dir):
            return None
        memory = self.guard.keys if self.guard is not None else bytearray(RING_BYTES)
        return Ring(memory, secrets.token_bytes(KEY_BYTES), clock.now_ms(),
                    by_gcm=cipher.is_gcm_faster(own_cipher(config.engine)))

    def _engine(self, settings: Settings) -> Engine:
        engine = peer_setup.make_engine(self.config, settings, self.trust)
        if self.ring is not None:
            engine.use_seals(self.ring, self.config.seal_memory)
        return engine

    def _node(self) -> Node:
        config = self.config
        number = peer_setup.draw_number(self.trust)
        outbox_bytes_max = config.limits.outbox_bytes_max if config.has_peers else 0
        settings = config.engine_settings(number, secrets.token_bytes(16), outbox_bytes_max=outbox_bytes_max)
        return Node(
            config=config, limits=config.limits, settings=settings,
            engine=self._engine(settings),
            number=number, run_id=secrets.token_hex(20).encode(), started_ms=clock.now_ms(), pid=os.getpid(),
            micros=clock.micros, wall_us=clock.wall_us, draw=partial(secrets.randbits, 64), usage=process.usage,
            stop=self.stop, log=self.journal, requirepass=config.requirepass.encode(), soon=self.loop.call_soon,
        )  # fmt: skip

    def _snapshots(self) -> Snapshots:
        return Snapshots(
            self.config, self.node.engine, self.loop, self.journal, self.ring, self.node.loaded, self.node.number
        )

    def _load_users(self) -> None:
        if not self.config.aclfile:
            return
        self.node.users_file = UsersFile(self.config.aclfile)
        try:
            acl.load(self.node, None)
        except ClientError as error:
            reason = str(error).removeprefix("ERR ").partition(". WARNING")[0]
            raise ConfigError(f"--aclfile {self.config.aclfile}: {reason}") from None

    def reload(self) -> None:
        """SIGHUP: certificates and the cluster secret anew, for those who connect from now on. Wrong ones change
        nothing.
        """
        if self.encryption is not None:
            try:
                self.encryption.renew()
            except ConfigError as error:
                self.journal(f"event=reload_failed reason={error}", logs.ERROR)
            else:
                self.journal("event=reloaded what=certificates")
        if self.config.cluster_secret_file or self.config.peer_cert:
            self.renewing = self.loop.create_task(self._renew_trust())

    async def _renew_trust(self) -> None:
        try:
            trust = await self.loop.run_in_executor(None, peer_setup.renewed_trust, self.config, self.trust)
        except ConfigError as error:
            logs.logger.error("event=peer_reload_failed reason=%s", error)
            return
        before, self.trust = self.trust, trust
        ended = self.driver.renew(trust) if self.driver is not None else 0
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
        """Whoever is out now knows the keys so far."""
        if self.ring is not None:
            self.ring.renew_by(clock.now_ms())

    # -- listening --------------------------------------------------------------------------------
    def listen(self) -> None:
        config = self.config
        for listener in self.listeners:
            if listener.path:
                listener.bind_path(listener.path, config.unixsocketperm, config.backlog)
                continue
            for host in config.bind:
                listener.bind(host, config.tls_port if listener.wrap else config.port, config.backlog)
        self.node.client_ports = self._port(encrypted=False), self._port(encrypted=True)
        if config.has_peers:
            self.peer_listeners = peer_setup.listen(config)
        elif config.may_meet:
            self._await_first_peer()
        for listener in self.listeners:
            listener.start(self.loop, self._welcome, self._accept_failed)

    def _port(self, encrypted: bool) -> int:
        listeners = (one for one in self.listeners if not one.path and (one.wrap is not None) is encrypted)
        return next((int(sock.getsockname()[1]) for one in listeners for sock in one.sockets), 0)

    def _await_first_peer(self) -> None:
        """Who is alone pays nothing for peers. Two nodes may start on one machine with the usual peer port: one has it.
        """
        try:
            self.waiting_listeners = peer_setup.listen(self.config)
        except BindError as error:
            if self.config.peer_port_given:
                raise
            self.journal(f"event=peers_off why='{error}'")
        for listener in self.waiting_listeners:
            self.loop.add_reader(listener, self._grow)
        if self.waiting_listeners:
            self.journal(
                "event=peers_awaited "
                f"listen={','.join(spell(one.getsockname()).decode() for one in self.waiting_listeners)}"
            )

    def _close_unproven(self) -> None:
        """Where clients need a password by now, the peer port, which asks nobody for a proof, is no way round it: as if
        the node had been started with that password.
        """
        if self.waiting_listeners and not self.config.peer_port_given and not self.node.users[DEFAULT].open:
            for listener in self.waiting_listeners:
                self.loop.remove_reader(listener)
                listener.close()
            self.waiting_listeners = []
            self.journal("event=peers_off why='clients need a password now, and peers could come in without one'")

    def _grow(self) -> None:
        self._close_unproven()
        if not self.waiting_listeners:
            return
        for listener in self.waiting_listeners:
            self.loop.remove_reader(listener)
        listeners, self.waiting_listeners = self.waiting_listeners, []
        begun = self.loop.time()
        try:
            peer_setup.grow(self.config, self.node, clock.now_ms())
        except MemoryError:
            self.journal("event=peers_failed why='no memory for digests: this node stays alone'", logs.ERROR)
            for listener in listeners:
                listener.close()
            return
        self.journal(f"event=first_peer took_ms={(self.loop.time() - begun) * 1000:.0f}")
        self.peer_listeners = listeners
        self.meet()

    def meet(self) -> None:
        """Where there can be peers. Who awaits the first one begins with it, and it may come before the loop's first
        turn is over.
        """
        if self.peer_listeners:
            self.meeting = self.loop.create_task(self._meet_peers())
            self.meeting.add_done_callback(self._met)

    async def _meet_peers(self) -> None:
        """Clients are served meanwhile."""
        self.driver = await peer_setup.start(
            self.config, self.node, self.loop, self.trust, self.peer_listeners, self.journal, self.ring,
            self.snapshots.ring if self.snapshots is not None else None,
        )  # fmt: skip
        self.driver.trust = self.trust  # it may have been renewed meanwhile
        self.driver.on_expelled = self._renew_seals
        if self.config.peer_crl and self.trust is not None:
            self.driver.expel(expulsion.read_file(self.config.peer_crl, self.trust))
        if self.beginning is not None:
            self.beginning.end()
        if self.snapshots is not None:
            self.snapshots.driver = self.driver
        for pump in self.pumps:
            pump.after = self.driver.wrote

    async def show(self) -> None:
        """Health and metrics, where they are asked for. BindError, ConfigError."""
        config = self.config
        if config.metrics_port is not None:
            self.health = Health(self.node, local=not exposed(config.metrics_bind))
            await self.health.start(config.metrics_bind, config.metrics_port)
            self.journal(f"event=metrics listen={','.join(config.metrics_bind)} port={self.health.port}")

        if config.otlp_endpoint:
            self.telemetry = health.make_telemetry(self.node, self.loop, self.journal)
            self.telemetry.start()

    def remember(self) -> None:
        """Snapshots, where they are wanted: the old ones read, new ones written."""
        if self.snapshots is not None:
            self.snapshots.start()

    def _met(self, meeting: "asyncio.Task[None]") -> None:
        """A node that was to have peers and cannot is not to look as if it had."""
        if not meeting.cancelled() and meeting.exception() is not None:
            self.loop.call_exception_handler({"exception": meeting.exception()})
            self.stop("peers_failed")

    def _accept_failed(self, reason: str) -> None:
        self.journal(f"event=accept_failed reason={reason}")

    def _welcome(self, listener: Listener, sock: socket.socket) -> None:
        node = self.node
        node.stats.connections += 1
        if len(self.clients) >= node.limits.clients_max:
            node.stats.rejected_connections += 1
            with contextlib.suppress(OSError):
                if listener.wrap is None:  # to say it behind TLS would take a handshake
                    sock.send(b"-ERR max number of clients reached\r\n")
            sock.close()
            return
        with contextlib.suppress(OSError):
            prepare(sock, node.limits.tcp_keepalive_s)
        try:
            address, local, fd = listener.path or sock.getpeername(), sock.getsockname(), sock.fileno()
            if listener.wrap is not None:
                sock = listener.wrap(sock)
        except OSError:  # gone already
            sock.close()
            return
        session = node.engine.session(dispatch)
        client = Client(sock, self.loop, listener.pump, node, session, self._gone)
        client.conn = session.owner = Conn(
            id=node.next_client_id, node=node, session=session, address=spell(address),
            local_address=spell(local), created_ms=clock.now_ms(), transport=client, fd=fd,
            encrypted=listener.wrap is not None,
        )  # fmt: skip
        client.conn.last_active_ms = client.conn.created_ms
        node.next_client_id += 1
        self.clients[client.conn.id] = client
        greet(client.conn)
        client.start()

    def _tls_failed(self, reason: str) -> None:
        self.journal(f"event=tls_failed reason={reason}")

    def _gone(self, client: Client) -> None:
        self.clients.pop(client.conn.id, None)
        forget(client.conn)
        self.loop.call_soon(_let_go, client)  # its own command may still be running

    # -- time -------------------------------------------------------------------------------------
    def keep_forgetting(self) -> None:
        """Destroys what is due, in slices; between two of them sockets are served."""
        if self.ended:
            return
        engine = self.node.engine
        now_ms, end_us = clock.now_ms(), clock.micros() + EXPIRY_SLICE_US
        if self.node.peers is not None:
            self.node.peers.beat(now_ms)
        while engine.expire(now_ms, EXPIRY_STEP) >= EXPIRY_STEP:
            if clock.micros() >= end_us:
                self.loop.call_soon(self.keep_forgetting)
                return
        idle = engine.next_due_ms(now_ms) is None
        self.loop.call_later(EXPIRY_IDLE_TICK_S if idle else EXPIRY_TICK_S, self.keep_forgetting)

    def sweep(self) -> None:
        """Once a second: clients that idle or do not read, and what INFO has to measure."""
        if self.ended:
            return
        now_ms = clock.now_ms()
        self.pump.note_activity()
        for client in list(self.clients.values()):
            client.check_patience(now_ms)
            if isinstance(client.sock, TlsSocket) and client.sock.overdue(now_ms):
                client.close()
        self.relieve()
        self._close_unproven()
        stats = self.node.stats
        for pump in self.pumps:
            input_bytes, output_bytes = pump.take_counts()
            stats.net_input_bytes += input_bytes
            stats.net_output_bytes += output_bytes
        sample(self.node, now_ms)
        if self.ring is not None:
            self._tend(self.ring, now_ms)
        self.loop.call_later(SWEEP_S, self.sweep)

    def _tend(self, ring: Ring, now_ms: int) -> None:
        """Seal keys: a new one where it is time, and the old ones wiped once no record needs them."""
        if ring.is_due(now_ms) and ring.make(secrets.token_bytes(KEY_BYTES), now_ms):
            self.journal("event=seal_key_made")
        if ring.current != self.sealing_with:
            self.sealing_with = ring.current
            self.node.engine.leave_pad()
        if len(ring) > 1 and ring.forget(self.node.engine.seal_keys(), now_ms):
            self.node.engine.seal_keys()  # so that the engine lets go of the forgotten too

    def relieve(self) -> None:
        """Closes those who hold most, while all clients together hold too much."""
        for client, size in client_eviction.too_many(self.clients.values(), self.config.clients_bytes_max):
            self.node.stats.evicted_clients += 1
            self.journal(f"event=clients_limit client={client.conn.id} held_bytes={size}: closed")
            client.close()

    # -- the end ----------------------------------------------------------------------------------
    def stop(self, reason: str) -> None:
        if not self.stopping.done():
            self.stopping.set_result(reason)

    async def drain(self) -> None:
        """The orderly stop, as stopping.py has it: nothing that was acknowledged is lost with this node."""
        begun_s = self.loop.time()
        if self.health is not None:
            self.health.close()
        telling = self.loop.create_task(self.telemetry.close()) if self.telemetry is not None else None
        for listener in self.listeners:
            listener.close(self.loop)
        for waiting in self.waiting_listeners:
            self.loop.remove_reader(waiting)
            waiting.close()
        if self.driver is not None:
            self.driver.hand_over()
        await stopping.answer(
            self.clients.values,
            lambda: self.node.pause.is_on(clock.now_ms()),
            begun_s + stopping.ANSWER_S,
            self.journal,
        )
        await self._finish_meeting(begun_s + stopping.MEET_S)
        self.saved = await stopping.save(self.driver, self.snapshots, begun_s, self.journal)
        await stopping.flushed(self.clients.values, begun_s + STOP_S)
        for client in list(self.clients.values()):
            client.close()
        for pump in self.pumps:
            pump.close()
        if telling is not None:
            await telling
        self.ended = True

    async def _finish_meeting(self, end_s: float) -> None:
        """A node that is stopped before it has its driver waits for it, if there is something to tell."""
        engine = self.node.engine
        if self.meeting is not None and not self.meeting.done():
            if engine.waiting_bytes():
                await asyncio.wait([self.meeting], timeout=end_s - self.loop.time())
            self.meeting.cancel()
        for idle in self.peer_listeners if self.driver is None else ():
            idle.close()
        if self.driver is None and engine.waiting_bytes():
            self.journal(f"event=stopping_left what=writes peers=0 bytes={engine.waiting_bytes()}")


def run(config: Config, say: Callable[[str], None] | None = None) -> int:
    """Serves until told to stop. Raises BindError where a port cannot be had; else the exit code. `say` is told once
    when the node is ready, and how to reach it.
    """
    logs.set_up(config.log_level, config.log_format)
    process.give_back_large_blocks()
    process.raise_descriptor_limit(config.limits.clients_max + SPARE_DESCRIPTORS)
    if config.otlp_endpoint:
        health.quiet_telemetry()
    runner = asyncio.Runner(loop_factory=loop_factory())
    with runner:
        return runner.run(_serve(config, say))


async def _serve(config: Config, say: Callable[[str], None] | None = None) -> int:
    loop = asyncio.get_running_loop()
    app = App(config, loop, guard_memory(RING_BYTES) if config.seal_memory else None)
    loop.set_exception_handler(partial(_report_bug, app.journal))
    # Before anybody can connect: who is stopped right after it was reached still answers, hands over and exits with 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop, signal.Signals(number).name)
    loop.add_signal_handler(signal.SIGHUP, app.reload)
    app.listen()
    await app.show()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    _announce(app)
    app.keep_forgetting()
    app.sweep()
    app.meet()
    app.remember()
    if say is not None:
        _say_ready(app, say)
    reason = await app.stopping
    logs.logger.info("event=stopping reason=%s clients=%d", reason, len(app.clients))
    await app.drain()
    if app.ring is not None:
        app.ring.wipe()
    logs.logger.info("event=stopped")
    # one more would end the end with an odd exit code
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    return 0 if app.saved else 1


def _announce(app: App) -> None:
    config, log = app.config, logs.logger.info
    log(
        "event=start version=%s engine=%s pump=%s pid=%d python=%s",
        __version__,
        app.node.engine.name,
        app.pump.name,
        os.getpid(),
        sys.version.split()[0],
    )
    by_name = sorted(name.decode() for name in app.node.users[b"default"].by_name)
    if by_name:
        logs.logger.warning("event=let_go user=default commands=%s: every client without AUTH may use them",
                            ",".join(by_name))
    ways = {one.name: one.spelled() for one in app.listeners}
    spelled = [ways.get(name, "none") for name in ("clients", "tls_clients", "unix_clients")]
    log("event=listen clients=%s tls_clients=%s unix_clients=%s enclave=%s", *spelled, config.enclave)
    guard = app.guard
    log(
        "event=memory sealed=%s keys=%s all=%s dumps=%s",
        "yes" if config.seal_memory else "no",
        "locked" if guard is not None and guard.keys_locked else "not_locked",
        "locked" if guard is not None and guard.all_locked else "not_locked",
        "off" if guard is not None and guard.dumps_off else "on",
    )
    log("event=policy default_ttl_s=%d max_ttl_s=%d maxmemory_bytes=%d", config.default_ttl_s, config.max_ttl_s,
        config.maxmemory_bytes)  # fmt: skip


def _say_ready(app: App, say: Callable[[str], None]) -> None:
    """Looks again and again until the node has restored and joined; only who waits at a terminal asks for it."""
    if app.stopping.done():
        return
    if is_ready(app.node):
        say(f"ready: {reach(app.listeners[0].name, app.listeners[0].spelled())}")
    else:
        app.loop.call_later(READY_LOOK_S, _say_ready, app, say)


def is_ready(node: Node) -> bool:
    return not node.loading and (node.peers is None or node.peers.state() == b"ready")


def reach(listener: str, spelled: str) -> str:
    """How redis-cli reaches the first address of a listener."""
    host, _, port = spelled.partition(",")[0].rpartition(":")
    tls = " --tls" if listener == "tls_clients" else ""
    if listener == "unix_clients":
        return f"redis-cli -s {host}"
    elsewhere = "" if host in ("127.0.0.1", "0.0.0.0", "[::]") else f" -h {host.strip('[]')}"  # noqa: S104
    return f"redis-cli{tls}{elsewhere} -p {port}"


def _let_go(client: Client) -> None:
    """Cuts the rings of references, so that what was a client is freed at once and does not wait for the collector,
    which comes once in 50,000 connections: that was up to 25 MiB."""
    client.conn.transport = GONE
    client.session.owner = None


def _report_bug(journal: logs.Journal, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """An exception nobody expected: its kind and place. Its message may hold a value and stays out."""
    error = context.get("exception")
    frames = traceback.extract_tb(error.__traceback__) if isinstance(error, BaseException) else []
    place = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))
    journal(f"event=bug kind={type(error).__name__} place={place or 'unknown'}", logs.ERROR)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
