"""What a node reports of its peers: rows for RESPRAM PEERS and TOPOLOGY, figures for INFO replication. Read-only."""

from collections.abc import Mapping
from itertools import islice

from respram.commands.peers import HomeFacts, MemberFacts, PeerFacts
from respram.config.options import read_address
from respram.engine.ids import POINTS
from respram.gossip.links import Peer
from respram.gossip.members import ROLES, Member
from respram.replica import Replica

HOSTS_MAX = 1024  # addresses of members with reserved places at the door
STATUSES = (b"alive", b"suspect", b"dead", b"left")


def linked(replica: Replica, now_ms: int) -> list[PeerFacts]:
    """Peers in the order in which they were met."""
    core = replica.core
    rows = []
    for number, peer in core.neighbours.peers.items():
        member = core.book.get(number)
        if member is not None and (peer.link is not None or member.is_alive):
            rows.append(_peer_row(peer, member, now_ms))
    return rows


def _peer_row(peer: Peer, member: Member, now_ms: int) -> PeerFacts:
    host, port = _split(member.address)
    link = peer.link
    return PeerFacts(
        number=member.number, host=host, port=port, enclave=member.enclave, role=ROLES[member.role].encode(),
        state=_state(peer, member), rtt_us=-1 if peer.rtt_ms is None else round(peer.rtt_ms * 1000),
        lag_ms=lag_ms(peer, now_ms),
        queue_bytes=peer.queue_bytes, in_flight_bytes=link.in_flight_bytes if link is not None else 0,
        heard_ms=now_ms - peer.heard_ms if peer.heard_ms else -1,
    )  # fmt: skip


def _state(peer: Peer, member: Member) -> bytes:
    if peer.link is None:
        return b"unlinked"
    if peer.lagging_ms is not None:
        return b"lagging"
    if not member.ready:
        return b"joining"
    if peer.foreign:
        return b"foreign"
    return b"differs" if peer.differs else b"online"


def lag_ms(peer: Peer, now_ms: int) -> int:
    """The age of the oldest write on its way to a peer; since its queue was dropped, where it was."""
    since = [peer.lagging_ms] if peer.lagging_ms is not None else []
    if peer.link is not None:
        since += [flight.batch.made_ms for flight in peer.link.in_flight.values() if flight.batch is not None][:1]
    since += [peer.queue[0].made_ms] if peer.queue else []
    return max(now_ms - min(since), 0) if since else 0


def _split(address: bytes) -> tuple[bytes, int]:
    try:
        host, port = read_address(address.decode("ascii", "replace"))
    except ValueError:  # a peer can send any text
        return b"", 0
    return host.encode(), port


def hosts(replica: Replica) -> frozenset[str]:
    """The hosts of --join and of the members."""
    core = replica.core
    return frozenset(
        _split(one)[0].decode() for one in (*core.partners.roots, *islice(core.book.at_address, HOSTS_MAX))
    )


def members(replica: Replica) -> list[MemberFacts]:
    book = replica.core.book
    return [
        MemberFacts(one.number, one.address, one.enclave, ROLES[one.role].encode(), one.parent, STATUSES[one.status],
                    one.ready, one.incarnation,
                    one.clients)
        for one in (book.me, *book.members.values())
    ]


def filled(replica: Replica) -> int:
    """How far a joining node has filled up, in percent."""
    boot = replica.core.boot
    return 100 if boot.dumped or replica.core.state != "joining" else boot.point * 100 // POINTS


def map_version(replica: Replica) -> tuple[object, ...]:
    core = replica.core
    linked = frozenset(number for number, peer in core.neighbours.peers.items() if peer.link is not None)
    return core.homes.version, core.book.changes, linked


def home(replica: Replica, slot: int) -> HomeFacts:
    homes = replica.core.homes
    member = homes.member_of(slot)
    if member is None:
        return HomeFacts(0, b"", False, False)
    here = homes.is_here(slot)
    return HomeFacts(member.number, member.address, here, not here or homes.is_settled(slot))


def facts(replica: Replica, faults: Mapping[str, int], now_ms: int) -> list[tuple[str, object]]:
    core = replica.core
    peers = [peer for peer in core.neighbours.of_enclave() if peer.link is not None]
    boot, rounds, pulls, rumors = core.boot, core.rounds, core.pulls, core.rumors
    rows: list[tuple[str, object]] = [
        ("peer_state", core.state),
        ("tree_role", ROLES[core.me.role]),
        ("tree_parent", f"{core.me.parent:016x}" if core.me.parent else "none"),
        ("tree_children", len(core.tree.children)),
        ("tree_moves", core.tree.moves),
        ("advertised_address", core.me.address.decode("ascii", "replace")),
        ("enclave_members", len(core.book.enclave) + 1),
        ("enclave_members_unproven", sum(not core.witnesses.counts(one) for one in core.book.enclave)),
        ("network_members", len(core.book.alive) + 1),
        ("enclave_peers_linked", len(peers)),
        ("enclave_peers_lagging", sum(peer.lagging_ms is not None for peer in peers)),
        ("enclave_peers_differing", core.neighbours.differing),
        ("replication_lag_ms_max", max((lag_ms(peer, now_ms) for peer in peers), default=0)),
        ("replication_queue_bytes", sum(peer.queue_bytes for peer in core.neighbours.peers.values())),
        ("outbox_waiting_bytes", replica.engine.waiting_bytes()),
        ("bootstrap_percent", filled(replica)),
        ("bootstrap_records", boot.records),
        ("bootstrap_bytes", boot.bytes),
        ("batches_sent", rumors.number),
        ("rumors_new", rumors.firsts),
        ("rumors_duplicate", rumors.duplicates),
        ("compare_rounds", rounds.done),
        ("compare_equal", rounds.equal),
        ("compare_interval_ms", rounds.interval_ms),
        ("records_repaired", rounds.repaired),
        ("filters_sent", rounds.filters_sent),
        ("filter_bytes_sent", rounds.filter_bytes),
        ("pulls_sent", pulls.sent),
        ("pulls_found", pulls.found),
        ("truths_asked", replica.core.truths.asked),
        ("truths_failed", replica.core.truths.failed),
        ("homes_version", core.homes.version),
        ("homes_members", len(core.homes.map.members)),
        ("homes_slots_here", core.homes.slots_here()),
        ("forwarded_frames", core.forwarding.sent),
        ("forwarded_served", core.forwarding.served_here),
        ("forwards_open", len(core.forwarding.open)),
        ("forwards_not_home", core.forwarding.refused),
        ("forwards_retried", core.forwarding.retried),
        ("forwards_timed_out", core.forwarding.timed_out),
        ("forwards_unknown", core.forwarding.unknown),
        ("forwards_misled", core.forwarding.misled),
        ("counters_merged", replica.engine.counters()["counters_merged"]),
        ("majority_size", core.policy.enclave_size),
        ("majority_votes", int(core.promises.votes)),
        ("majority_decided", core.majority.chosen),
        ("majority_short", core.majority.short),
        ("majority_lost", core.majority.lost),
        ("majority_deposed", core.majority.deposed),
        ("records_refused", replica.refused_records),
        ("segment_keys_refused", core.segment_keys.keys.refused),
        ("payloads_malformed", replica.malformed_payloads),
        ("links_refused", core.greeting.refusals),
        ("links_ended_by_bugs", replica.bugs),
        ("members_implausible", core.book.implausible),
        *((f"links_{fault}", count) for fault, count in faults.items()),
        ("peer_received_bytes", replica.received_bytes),
        ("peer_sent_bytes", sum(traffic.bytes for traffic in replica.sent.values())),
    ]
    rows += [
        (f"peer_sent_{word.decode().lower()}", f"frames={traffic.frames},bytes={traffic.bytes}")
        for word, traffic in sorted(replica.sent.items())
    ]
    return rows
