"""A node's start among its peers, from settings to a running driver: trust, an engine that can compare, the peer port,
the first look at the names of --join, the address to be found at, and whether this node is a root."""

import asyncio
import hashlib
import secrets
import socket
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import replace

from respram.commands.node import Node
from respram.config.limits import of_policy
from respram.config.options import Address
from respram.config.settings import Config, read_cluster_secret
from respram.engine import make
from respram.engine.api import Engine, Settings
from respram.engine.ids import mark_of
from respram.errors import BindError, ConfigError
from respram.gossip.core import Core
from respram.gossip.identity import START_BITS, belongs_to_a_key, number_of_start
from respram.gossip.members import LEAF, ROOT, Member
from respram.gossip.policy import Policy, Terms
from respram.gossip.seals import Keyring
from respram.replica import Replica
from respram.seal import Ring
from respram.server import discovery
from respram.server.discovery import Found
from respram.server.driver import Driver
from respram.server.secret import (
    OwnCertificates,
    Trust,
    ids_key_of,
    parse_secrets,
    trust_by_certificates,
    trust_by_secret,
)
from respram.snapshot.keys import SegmentKeys

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened at
PEER_BACKLOG = 128  # connections that wait to be accepted


def make_trust(config: Config) -> Trust | None:
    """The proof of identity for peers. None: peers link on loopback only, without proof."""
    if config.peer_cert:
        return trust_by_certificates(OwnCertificates(config.peer_cert, config.peer_key, config.peer_ca))
    return trust_by_secret(parse_secrets(config.cluster_secret)) if config.cluster_secret else None


def renewed_trust(config: Config, before: Trust | None = None) -> Trust:
    """The same from the files as they are now, with the key that this node's number belongs to. It takes a tenth of a
    second for each secret: not for the loop."""
    if config.cluster_secret_file:
        found = parse_secrets(read_cluster_secret(config.cluster_secret_file))
        return trust_by_secret(found, before.key if before is not None else None)
    trust = trust_by_certificates(OwnCertificates(config.peer_cert, config.peer_key, config.peer_ca))
    if before is not None and before.name != trust.name:
        raise ConfigError(
            f"--peer-cert {config.peer_cert} names another node than at the start, and this node's number belongs to "
            "the old name; restart the node"
        )
    return trust


def draw_number(trust: Trust | None) -> int:
    """This boot's number: that of the key, one of the certificate's name, or one that belongs to nobody's."""
    if trust is not None and trust.number:
        return trust.number
    if trust is not None and trust.name:
        while belongs_to_a_key(number := number_of_start(trust.name, secrets.randbits(START_BITS))):
            pass  # once in 65,536 times
        return number
    while not (number := secrets.randbits(64)) or belongs_to_a_key(number):
        pass  # once in 65,536 times
    return number


def make_engine(config: Config, settings: Settings, trust: Trust | None) -> Engine:
    """The engine asked for; where there can be peers or snapshots, one that keeps digests from its first record on."""
    engine = make(config.engine, settings)
    if config.has_peers or config.snapshot_dir:
        engine.track(_ids_key(config, trust))
    return engine


def grow(config: Config, node: Node, now_ms: int) -> None:
    """Makes a node that was alone ready for its first peer: digests of what it has, and an outbox. MemoryError when
    that is too much: then it stays alone."""
    if not config.snapshot_dir:  # snapshots need digests anyway
        node.engine.track(_ids_key(config, None), now_ms)
    node.settings = node.settings._replace(outbox_bytes_max=config.limits.outbox_bytes_max)
    node.engine.configure(node.settings)


def _ids_key(config: Config, trust: Trust | None) -> int:
    return (
        trust.ids_key if trust else ids_key_of(hashlib.sha256(b"respram network " + config.network.encode()).digest())
    )


def listen(config: Config) -> list[socket.socket]:
    """Listens on the peer port on each of its hosts. Raises BindError."""
    listeners: list[socket.socket] = []
    port = config.peer_port
    try:
        for host in config.peer_hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((host, port))
            listener.listen(PEER_BACKLOG)
            listener.setblocking(False)
            port = listener.getsockname()[1]
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise BindError(f"cannot listen for peers on {host}:{port}: {error.strerror}; choose another --peer-port or "
                        "--peer-bind") from None
    return listeners


def clients_address(config: Config, peer_host: str, port: int, tls_port: int) -> bytes:
    """The address at which cluster clients find this node, as the other nodes are told it. Its own host where it
    listens at one; who listens everywhere is found where its peers find it.
    """
    if config.cluster == "no" or not (port or tls_port or config.cluster_announce):
        return b""
    everywhere = not set(EVERYWHERE).isdisjoint(config.bind)
    host = peer_host if everywhere or peer_host in config.bind else config.bind[0]
    plain = config.cluster_announce or Address(host, port or tls_port)
    tls = config.cluster_announce_tls_port or tls_port
    return (f"{plain}/{tls}" if tls else str(plain)).encode()


def roots_of(found: Found, own: AbstractSet[Address]) -> list[bytes]:
    """The addresses to dial. A name that could not be resolved stays a root: there is a peer to look for.
    """
    return [str(one).encode() for one in (*found.addresses, *found.unresolved) if one not in own]


def _leads_here(one: Address, here: AbstractSet[Address]) -> bool:
    """Whether an address leads to this node. A node that listens at all addresses is reached at each of the
    machine's."""
    return any(at.port == one.port and at.host in EVERYWHERE and discovery.is_local(one.host) for at in here)


def make_replica(
    engine: Engine, config: Config, number: int, address: Address, roots: list[bytes], is_root: bool, ids_key: int,
    keyring: Keyring | None = None, segment_keys: SegmentKeys | None = None, clients: bytes = b"",
) -> Replica:  # fmt: skip
    role = ROOT if is_root else LEAF
    me = Member(
        number, config.enclave.encode(), str(address).encode(), role=role, clients=clients, weight=config.home_weight
    )
    numbers = replace(Policy(), **of_policy(config.limits))  # type: ignore[arg-type]
    policy = replace(
        numbers, network=config.network.encode(), ids_mark=mark_of(ids_key),
        terms=Terms(config.max_ttl_s * 1000, config.limits.bulk_bytes_max, config.seal_memory),
        join_wait_ms=config.limits.join_wait_s * 1000, serve_alone=config.serve_alone == "yes",
        enclave_size=config.enclave_size if config.decide == "majority" else 0,
    )  # fmt: skip
    core = Core(me, policy, engine, secrets.SystemRandom(), roots, keyring)
    if segment_keys is not None:
        core.segment_keys.keys, core.boot.restoring = segment_keys, bool(config.snapshot_dir)
    return Replica(engine, core, config.limits.bulk_bytes_max * 2)


async def start(
    config: Config, node: Node, loop: asyncio.AbstractEventLoop, trust: Trust | None, listeners: list[socket.socket],
    log: Callable[..., None], ring: Ring | None = None, segment_keys: SegmentKeys | None = None,
) -> Driver:  # fmt: skip
    """Starts a driver. If DNS does not answer, that takes some seconds, and DNS is asked again later."""
    port = listeners[0].getsockname()[1]
    found = await discovery.find(config.join)
    if found.failures:
        log(f"event=join_unresolved why={found.failures[0]!r} entries={len(found.failures)}")
    address = config.advertise or discovery.own_address(config.peer_hosts, port, found.addresses)
    advertised = {address, *(await discovery.find([address])).addresses}
    here = {Address(one.getsockname()[0], port) for one in listeners}
    own = here | {one for one in {*found.addresses, *advertised} if _leads_here(one, here)}
    if not config.advertise or not own.isdisjoint(advertised):
        own |= advertised
    names_itself = not own.isdisjoint(found.addresses) or not advertised.isdisjoint(found.addresses)
    is_root = config.root == "yes" or config.root == "auto" and (not config.join or names_itself)
    replica = make_replica(
        node.engine, config, node.number, address, roots_of(found, own), is_root, _ids_key(config, trust), ring,
        segment_keys,
        clients_address(config, address.host, *node.client_ports),
    )  # fmt: skip
    if address not in own:  # a port that is mapped to this node, or a wrong address: dialling it will tell
        replica.core.neighbours.own_addresses.clear()
    driver = Driver(replica, node, loop, trust, log)
    node.peers = driver
    await driver.start(listeners)
    if config.join:
        driver.keep_looking(lambda found: roots_of(found, own), found.failures)
    spelled = ",".join(str(Address(*one.getsockname()[:2])) for one in listeners)
    log(
        f"event=peers listen={spelled} address={address} proof={trust.source if trust else 'none'} "
        f"root={'yes' if is_root else 'no'}"
    )
    return driver
