"""With whom links are kept: everybody while that is at most ten, else a random handful that slowly changes.

Beyond ten peers a node keeps about sqrt(N) + ln N + 3 links to random members of its enclave, half of them dialled by
itself, and replaces one every 10 s. At least 30% of them lie outside its own branch of the tree. To other
enclaves it keeps one link, for the topology; and one to some root, as far as there are any.

Of two links between a pair (both dialled at once) the one that the lower number dialled stays.
"""

from math import ceil, isqrt, log
from typing import TYPE_CHECKING

from respram.gossip import probes
from respram.gossip.bootstrap import ISOLATED
from respram.gossip.links import Link, Peer
from respram.gossip.members import ROOT
from respram.gossip.tree import branch_of

if TYPE_CHECKING:
    from respram.gossip.core import Core

SECOND_DIALLER_MS = 1_500  # the higher number waits so long for the lower to dial
DIALLING_MS_MAX = 10_000  # a dial without an outcome is forgotten


def degree(core: "Core") -> int:
    """How many links into its enclave a node wants."""
    count = len(core.book.enclave)
    if count <= core.policy.direct_peers_max:
        return count
    return min(count, isqrt(count) + ceil(log(count)) + 3)


def tend(core: "Core") -> None:
    """The timer of the second: dial what is missing."""
    core.timers.at(core.now.ms + core.jitter(core.policy.partner_ms), "partners")
    for address in [one for one, since_ms in core.dialling.items() if core.now.ms - since_ms > DIALLING_MS_MAX]:
        del core.dialling[address]
    everyone = list(core.book.enclave)
    if len(everyone) <= core.policy.direct_peers_max:
        for number in everyone:
            _dial_if_due(core, number)
    else:
        _dial_some(core, everyone)
    if core.me.parent:
        _dial_if_due(core, core.me.parent)
    probes.dial_the_dead(core)
    others = len(core.book.alive) - len(everyone)
    if others and not any(not link.same_enclave for link in core.greeted()):
        strangers = [number for number in core.book.alive if number not in core.book.enclave]
        _dial_if_due(core, core.rng.choice(strangers))


def _dial_if_due(core: "Core", number: int) -> None:
    member = core.book.members.get(number)
    if member is None or not member.is_alive or core.link_to(number) is not None or member.address in core.dialling:
        return
    peer = core.peer(number)
    if peer.redial_at_ms == 0:
        wait_ms = 0 if core.me.number < number else SECOND_DIALLER_MS
        peer.redial_at_ms = max(core.now.ms + wait_ms, 1)
    if peer.redial_at_ms > core.now.ms:
        return
    peer.redial_ms = min(max(core.policy.redial_ms, 2 * peer.redial_ms), core.policy.redial_ms_max)
    peer.redial_at_ms = core.now.ms + core.jitter(peer.redial_ms)
    core.dial(member.address)


def _dial_some(core: "Core", everyone: list[int]) -> None:
    linked = [link.peer.number for link in core.greeted() if link.same_enclave and link.peer]
    own = sum(link.dialled and link.same_enclave for link in core.greeted())
    missing = max(ceil(degree(core) / 2) - own, (degree(core) + 1) // 2 - len(linked))
    branch = branch_of(core.me)
    outside = sum(branch_of(core.book[number]) != branch for number in linked if number in core.book.alive)
    for _ in range(min(max(missing, 0), 8)):
        number = core.rng.choice(everyone)
        if outside * 100 < core.policy.outside_percent * (len(linked) + 1):
            number = next((one for one in core.rng.sample(everyone, min(8, len(everyone)))
                           if branch_of(core.book[one]) != branch), number)  # fmt: skip
        member = core.book[number]
        if core.link_to(number) is None and member.address not in core.dialling:
            core.dial(member.address)


def rotate(core: "Core") -> None:
    """Lets one random link go, so that over time everybody is compared with everybody."""
    core.timers.at(core.now.ms + core.jitter(core.policy.rotate_ms), "rotate")
    if len(core.book.enclave) <= core.policy.direct_peers_max:
        return
    own = [
        link
        for link in core.greeted()
        if link.dialled and link.same_enclave and link.peer and not is_needed(core, link, link.peer)
    ]
    if len(own) >= ceil(degree(core) / 2):
        core.hangup(core.rng.choice(own), "rotation", quietly=True)


def is_needed(core: "Core", link: Link, peer: Peer) -> bool:
    """Something is under way, or the tree hangs on it."""
    in_tree = peer.number == core.me.parent or peer.number in core.tree.children or peer.number == core.tree.asking
    in_use = link.in_flight or peer.queue or link.sync or link.dump_point is not None or core.boot.source == peer.number
    in_round = (core.repair.own is not None and core.repair.own.peer is peer) or peer.number in core.repair.others
    return in_tree or bool(in_use) or in_round


def call_roots(core: "Core") -> None:
    """Dials the roots while nobody else is there, while isolated, and while the book has no living root."""
    members = [core.book.get(link.peer.number) for link in core.greeted() if link.peer]
    core.timers.at(core.now.ms + core.jitter(core.policy.root_ms if members else core.policy.redial_ms_max), "roots")
    knows_root = any(core.book[number].role == ROOT for number in core.book.alive)
    if not members or core.state == ISOLATED or not knows_root:
        have = {member.address for member in members if member is not None}
        for address in core.roots:
            if address not in have and address not in core.own_addresses:
                core.dial(address)
