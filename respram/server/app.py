"""A node in an event loop: creates engine and node, listens, keeps time, stops in order. Its peers are in `meeting.py`,
the process around it in `serve.py`.

One thread, one loop. Four things run on it: sockets, the expiry clock, a sweep once a second, and
the end of a batch that was too long for one turn.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from functools import partial
from typing import TYPE_CHECKING

from respram.commands import acl
from respram.commands.connection import forget, greet
from respram.commands.dispatch import dispatch
from respram.commands.info import sample
from respram.commands.node import GONE, Conn, Node
from respram.commands.notify import observe, parse_classes
from respram.config.settings import Config, exposed
from respram.engine import own_cipher
from respram.engine.api import Engine, Settings
from respram.errors import ClientError, ConfigError
from respram.seal import KEY_BYTES, RING_BYTES, Ring
from respram.server import cipher, client_eviction, clock, expulsion, health, logs, peer_setup, process, stopping
from respram.server.client import Client
from respram.server.driver import Driver
from respram.server.guard import Guard
from respram.server.health import Health
from respram.server.listener import Listener, prepare, spell
from respram.server.meeting import Meeting
from respram.server.pump import PortablePump, make_pump
from respram.server.secret import Trust
from respram.server.snapshots import Snapshots
from respram.server.tls import Encryption, TlsSocket
from respram.server.users_file import UsersFile

if TYPE_CHECKING:
    from respram.server.telemetry import Telemetry

EXPIRY_TICK_S = 0.010  # interval of the checks for overdue records
EXPIRY_IDLE_TICK_S = 0.025  # while there are no records: a first key of a few ms must not wait long
EXPIRY_SLICE_US = 500  # of destroying before sockets are served
EXPIRY_STEP = 64  # records destroyed between two checks of the clock
CHECKED_AT_ONCE = 500  # clients that are looked at in one go, once a second,
CHECKED_EVERY_S = 0.005  # and what lies between two goes
SWEEP_S = 1.0
STOP_S = 3.0  # for delivering replies that were made, out of the 5 s for a stop
PEERS_FAILED = "peers_failed"  # why a node stops by itself


class App:
    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, guard: Guard | None = None) -> None:
        self.config = config
        self.loop = loop
        self.journal = logs.Journal(clock.now_ms)
        self.stopping: asyncio.Future[str] = loop.create_future()
        self.health: Health | None = None
        self.telemetry: Telemetry | None = None
        self.ended = False  # the loop may belong to another program and continue
        self.saved = True  # at the end: the disk or a peer holds all acknowledged writes
        trust = peer_setup.make_trust(config)
        if config.peer_crl and trust is not None:
            expulsion.read_file(config.peer_crl, trust)  # an invalid list is found before anything begins
        self.guard = guard
        self.ring = self._ring()
        self.sealing_with = self.ring.current if self.ring is not None else 0
        self.node = self._node(trust)
        self.meeting = Meeting(config, self.node, loop, self.journal, trust, self.ring)
        self.meeting.on_met, self.meeting.on_failed = self._met, partial(self.stop, PEERS_FAILED)
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
        self.snapshots = self.node.snapshots = self._snapshots() if config.snapshot_dir else None
        self.node.loading = self.snapshots is not None
        if self.snapshots is not None:
            self.meeting.segment_keys = self.snapshots.keys

    def _ring(self) -> Ring | None:
        """The seal keys. A node that does not seal may have to decrypt values of its peers, or of its own earlier
        start."""
        config = self.config
        if not (config.seal_memory or config.has_peers or config.may_meet or config.snapshot_dir):
            return None
        memory = self.guard.keys if self.guard is not None else bytearray(RING_BYTES)
        return Ring(memory, secrets.token_bytes(KEY_BYTES), clock.now_ms(),
                    by_gcm=cipher.is_gcm_faster(own_cipher(config.engine)))

    def _engine(self, settings: Settings, trust: Trust | None) -> Engine:
        engine = peer_setup.make_engine(self.config, settings, trust)
        if self.ring is not None:
            engine.use_seals(self.ring, self.config.seal_memory)
        return engine

    def _node(self, trust: Trust | None) -> Node:
        config = self.config
        number = peer_setup.draw_number(trust)
        outbox_bytes_max = config.limits.outbox_bytes_max if config.has_peers else 0
        settings = config.engine_settings(
            number, secrets.token_bytes(16), secrets.randbits(64), outbox_bytes_max=outbox_bytes_max
        )
        return Node(
            config=config, limits=config.limits, settings=settings,
            engine=self._engine(settings, trust),
            number=number, run_id=secrets.token_hex(20).encode(), started_ms=clock.now_ms(), pid=os.getpid(),
            micros=clock.micros, worked_us=clock.worked_us, wall_us=clock.wall_us,
            draw=partial(secrets.randbits, 64), usage=process.usage, stop=self.stop, log=self.journal,
            requirepass=config.requirepass.encode(), soon=self.loop.call_soon,
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
        """SIGHUP: reloads certificates and the cluster secret for new connections. Wrong files change nothing.
        """
        if self.encryption is not None:
            try:
                self.encryption.renew()
            except ConfigError as error:
                self.journal(f"event=reload_failed reason={error}", logs.ERROR)
            else:
                self.journal("event=reloaded what=certificates")
        self.meeting.reload()

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
        self.meeting.listen()
        for listener in self.listeners:
            listener.start(self.loop, self._welcome, self._accept_failed)

    def _port(self, encrypted: bool) -> int:
        listeners = (one for one in self.listeners if not one.path and (one.wrap is not None) is encrypted)
        return next((int(sock.getsockname()[1]) for one in listeners for sock in one.sockets), 0)

    def meet(self) -> None:
        """Looks for peers, if there can be any. Clients are served meanwhile."""
        self.meeting.begin()

    def _met(self, driver: Driver) -> None:
        if self.snapshots is not None:
            self.snapshots.driver = driver
        for pump in self.pumps:
            pump.after = driver.wrote

    async def show(self) -> None:
        """Starts the port for health and metrics, if there is to be one. Raises BindError, ConfigError."""
        config = self.config
        if config.metrics_port is not None:
            self.health = Health(self.node, local=not exposed(config.metrics_bind))
            await self.health.start(config.metrics_bind, config.metrics_port)
            self.journal(f"event=metrics listen={','.join(config.metrics_bind)} port={self.health.port}")

        if config.otlp_endpoint:
            self.telemetry = health.make_telemetry(self.node, self.loop, self.journal)
            self.telemetry.start()

    def remember(self) -> None:
        """Reads old snapshots and writes new ones, if there is a directory for them."""
        if self.snapshots is not None:
            self.snapshots.start()

    def _accept_failed(self, reason: str) -> None:
        self.journal(f"event=accept_failed reason={reason}")

    def _welcome(self, listener: Listener, sock: socket.socket) -> None:
        node = self.node
        node.stats.connections += 1
        if len(self.clients) >= node.limits.clients_max:
            node.stats.rejected_connections += 1
            with contextlib.suppress(OSError):
                if listener.wrap is None:  # behind TLS, an error text would take a handshake
                    sock.send(b"-ERR max number of clients reached\r\n")
            sock.close()
            return
        with contextlib.suppress(OSError):
            prepare(sock, node.limits.tcp_keepalive_s)
        try:
            address, local, fd = listener.path or sock.getpeername(), sock.getsockname(), sock.fileno()
            if listener.wrap is not None:
                sock = listener.wrap(sock)
        except OSError:  # the client is gone
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
        self._check_patience(list(self.clients.values()), now_ms)
        self.relieve()
        self.meeting.close_unproven()
        stats = self.node.stats
        for pump in self.pumps:
            input_bytes, output_bytes = pump.take_counts()
            stats.net_input_bytes += input_bytes
            stats.net_output_bytes += output_bytes
        sample(self.node, now_ms)
        if self.ring is not None:
            self._tend(self.ring, now_ms)
        self.loop.call_later(SWEEP_S, self.sweep)

    def _check_patience(self, clients: list[Client], now_ms: int) -> None:
        """In slices: 9,000 clients in one go take 20 ms."""
        for client in clients[-CHECKED_AT_ONCE:]:
            if client.closed:
                continue
            client.check_patience(now_ms)
            if isinstance(client.sock, TlsSocket) and client.sock.overdue(now_ms):
                client.close()
        del clients[-CHECKED_AT_ONCE:]
        if clients and not self.ended:
            self.loop.call_later(CHECKED_EVERY_S, self._check_patience, clients, now_ms)

    def _tend(self, ring: Ring, now_ms: int) -> None:
        """Makes a new seal key when it is time, and wipes old ones that no record needs."""
        if ring.is_due(now_ms) and ring.make(secrets.token_bytes(KEY_BYTES), now_ms):
            self.journal("event=seal_key_made")
        if ring.current != self.sealing_with:
            self.sealing_with = ring.current
            self.node.engine.leave_pad()
        if len(ring) > 1 and ring.forget(self.node.engine.seal_keys(), now_ms):
            self.node.engine.seal_keys()  # so that the engine drops the forgotten keys too

    def relieve(self) -> None:
        """Disconnects the clients that hold most, while all clients together hold too much."""
        for client, size in client_eviction.too_many(self.clients.values(), self.config.clients_bytes_max):
            self.node.stats.evicted_clients += 1
            self.journal(f"event=clients_limit client={client.conn.id} held_bytes={size}: closed")
            client.close()

    # -- the end ----------------------------------------------------------------------------------
    def stop(self, reason: str) -> None:
        if not self.stopping.done():
            self.stopping.set_result(reason)

    async def drain(self) -> None:
        """Stops in order, as stopping.py describes it, without losing an acknowledged write."""
        begun_s = self.loop.time()
        if self.health is not None:
            self.health.close()
        telling = self.loop.create_task(self.telemetry.close()) if self.telemetry is not None else None
        for listener in self.listeners:
            listener.close(self.loop)
        self.meeting.await_nobody()
        if self.meeting.driver is not None:
            self.meeting.driver.hand_over()
        await stopping.answer(
            self.clients.values,
            lambda: self.node.pause.is_on(clock.now_ms()),
            begun_s + stopping.ANSWER_S,
            self.journal,
        )
        await self.meeting.finish(begun_s + stopping.MEET_S)
        await stopping.finish(self.node.engine, begun_s + stopping.FINISH_S, self.journal)
        self.saved = await stopping.save(self.meeting.driver, self.snapshots, begun_s, self.journal)
        await stopping.flushed(self.clients.values, begun_s + STOP_S)
        for client in list(self.clients.values()):
            client.close()
        for pump in self.pumps:
            pump.close()
        if telling is not None:
            await telling
        self.ended = True


def _let_go(client: Client) -> None:
    """Cuts the rings of references, so that what was a client is freed at once and does not wait for the collector,
    which comes once in 50,000 connections: that was up to 25 MiB."""
    client.conn.transport = GONE
    client.session.owner = None
