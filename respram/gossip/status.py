"""What can be seen from outside: for INFO replication, ROLE, RESPRAM PEERS and RESPRAM TOPOLOGY. Reads, never changes."""

from typing import TYPE_CHECKING, NamedTuple

from respram.gossip.bootstrap import JOINING
from respram.gossip.members import ROLES, Member

if TYPE_CHECKING:
    from respram.gossip.core import Core


class PeerLine(NamedTuple):
    number: int
    address: bytes
    enclave: bytes
    role: str
    state: str  # "unlinked", "joining", "lagging", "differs", "online"
    rtt_ms: float | None
    silent_ms: int  # since something was heard
    in_flight_bytes: int  # sent and not acknowledged
    queued_bytes: int  # waiting for the window
    is_parent: bool
    is_child: bool


class Status(NamedTuple):
    """Every field becomes one of INFO's, under its name."""

    state: str  # "joining", "ready", "isolated"
    role: str
    number: int
    parent: int
    children: int
    members: int  # alive, of all enclaves, with this node
    enclave_members: int
    links: int
    lagging_peers: int
    differing_peers: int
    batches_sent: int  # of this node's own
    rounds: int
    rounds_equal: int
    round_interval_ms: int
    filters_sent: int
    filter_bytes: int
    records_repaired: int
    rumors_first: int
    rumors_again: int
    pulls_sent: int
    pulls_found: int
    links_refused: int
    tree_moves: int
    bootstrap_percent: int
    bootstrap_records: int
    bootstrap_bytes: int


def status_of(core: "Core") -> Status:
    peers = core.enclave_peers()
    percent = core.boot.point * 100 >> 32 if core.state == JOINING else 100
    return Status(
        state=core.state, role=ROLES[core.me.role], number=core.me.number, parent=core.me.parent,
        children=len(core.tree.children), members=len(core.book.alive) + 1, enclave_members=len(core.book.enclave) + 1,
        links=len(core.greeted()), lagging_peers=sum(peer.lagging_ms is not None for peer in peers),
        differing_peers=core.differing, batches_sent=core.rumors.number, rounds=core.repair.rounds,
        rounds_equal=core.repair.equal, round_interval_ms=core.repair.interval_ms, filters_sent=core.repair.filters_sent,
        filter_bytes=core.repair.filter_bytes, records_repaired=core.repair.repaired, rumors_first=core.rumors.firsts,
        rumors_again=core.rumors.duplicates, pulls_sent=core.pulls.sent, pulls_found=core.pulls.found,
        links_refused=core.refusals, tree_moves=core.tree.moves, bootstrap_percent=percent,
        bootstrap_records=core.boot.records, bootstrap_bytes=core.boot.bytes,
    )  # fmt: skip


def peers_of(core: "Core") -> list[PeerLine]:
    lines = []
    for number, peer in core.peers.items():
        member = core.book.members.get(number)
        if member is None:
            continue
        if peer.link is None:
            state = "unlinked"
        elif not member.ready:
            state = "joining"
        elif peer.lagging_ms is not None:
            state = "lagging"
        else:
            state = "differs" if peer.differs else "online"
        lines.append(
            PeerLine(
                number,
                member.address,
                member.enclave,
                ROLES[member.role],
                state,
                peer.rtt_ms,
                core.now.ms - peer.heard_ms,
                peer.link.in_flight_bytes if peer.link else 0,
                peer.queue_bytes,
                number == core.me.parent,
                number in core.tree.children,
            )
        )
    return sorted(lines, key=lambda line: line.address)


def topology_of(core: "Core") -> list[Member]:
    others = [core.book[number] for number in core.book.alive]
    return [core.me, *sorted(others, key=lambda member: (member.enclave, -member.role, member.address))]
