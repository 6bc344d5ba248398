"""Acquaintance: HELLO and its refusals, which of two links stays, and what happens when a peer comes or goes."""

from dataclasses import replace
from typing import TYPE_CHECKING

from respram.errors import PeerError
from respram.gossip import bootstrap, foreign, handover, rounds, seals, tree
from respram.gossip.effects import TrustClock
from respram.gossip.links import FRAME_BYTES, Link, Peer, drop_queue, unsent_pushes
from respram.gossip.members import (
    ALIVE,
    DEAD,
    EVERY_BUCKET,
    LEFT,
    ROLES,
    SUSPECT,
    Member,
    outranks,
    pack_member,
    unpack_members,
)
from respram.wire.messages import VERSION, Hello, Members, Message, Refuse

if TYPE_CHECKING:
    from respram.gossip.core import Core

MARK = (1 << 32) - 1  # the bits of HELLO's capabilities that mark the key of the ids; the others are passed over
OWN_ADDRESSES_MAX = 64  # ways that lead back to this node; more than anybody would give one by mistake
RETURNED_LINKS = 4  # about so many of those who come back are dialled


def greet(core: "Core", link: Link) -> None:
    core.send(
        link,
        Hello(
            VERSION, core.policy.network, core.me.number, core.me.enclave, core.me.address, core.now.wall_ms,
            core.policy.ids_mark, pack_member(core.me),
        ),
    )  # fmt: skip
    core.timers.at(core.now.ms + core.policy.greeting_ms_max, "greeting", link.id)


def receive(core: "Core", link: Link, message: Message) -> None:
    """The first message of a link."""
    if isinstance(message, Refuse):
        refused_there(core, link, message)
        return
    if not isinstance(message, Hello):
        raise PeerError("the first message must be HELLO")
    member = _member_of(message)
    reason = _objection(core, message)
    if message.node == core.me.number and link.dialled and len(core.own_addresses) < OWN_ADDRESSES_MAX:
        core.own_addresses[link.address] = None  # it leads back here: never again
    if reason:
        core.refusals += 1
        core.send(link, Refuse(reason.encode()))
        core.report("refused", f"address={_shown(message.address)} why={reason.replace(' ', '_')}")
        core.hangup(link, reason, quietly=True)
        return
    peer = core.peer(member.number)
    if peer.link is not None and not _replaces(core, link, peer.link, member.number):
        core.hangup(link, "one link is enough", quietly=True)
        return
    foreign.meet(core, peer, message.capabilities & MARK)
    _welcome(core, link, peer, member)


def refused_there(core: "Core", link: Link, message: Refuse) -> None:
    """It may come after the other's HELLO, where only they know what is wrong."""
    to = f"peer={link.peer.number:016x} " if link.peer is not None else ""
    core.report("refused_there", f"{to}why={_shown(message.reason)[1:-1].replace(' ', '_')}")
    core.hangup(link, "refused there", quietly=True)


def _member_of(message: Hello) -> Member:
    members = list(unpack_members(message.member))
    if len(members) != 1 or members[0].status > SUSPECT:
        raise PeerError("HELLO names no member")
    member = members[0]
    if (member.number, member.enclave, member.address) != (message.node, message.enclave, message.address):
        raise PeerError("HELLO contradicts itself")
    return member


def _objection(core: "Core", message: Hello) -> str:
    policy = core.policy
    if message.version != VERSION:
        return f"protocol version {message.version} here {VERSION}"
    if message.network != policy.network:
        return "another network"
    if message.node == core.me.number:
        return "that is my own number"
    off_ms = message.clock_ms - core.now.wall_ms
    if abs(off_ms) > policy.clock_offset_ms_max:
        return f"clocks differ by {abs(off_ms)} ms limit {policy.clock_offset_ms_max}"
    if message.address == core.me.address:
        return "we both advertise this address"
    if _holder_speaks(core, message):
        return "another node advertises this address"
    if len(core.links) > policy.links_max:
        return "too many links"
    return ""


def _holder_speaks(core: "Core", message: Hello) -> bool:
    """Two who take turns at one address would drive each other out for ever. Who was restarted there is let in at once:
    the link of its earlier boot has ended with it, or is silent at least."""
    since_ms = core.now.ms - 2 * core.policy.probe_ms
    holders = [core.peers[number] for number in core.book.at_address.get(message.address, {}) if number in core.peers]
    return any(one.number != message.node and one.link is not None and one.heard_ms > since_ms for one in holders)


def _replaces(core: "Core", new: Link, old: Link, number: int) -> bool:
    """Both sides must come to the same answer: the link that the lower number dialled stays, else the newer."""
    if new.dialled == old.dialled:
        return True
    return new.dialled == (core.me.number < number)


def _welcome(core: "Core", link: Link, peer: Peer, member: Member) -> None:
    if peer.link is not None:
        core.hangup(peer.link, "a newer link replaces it", quietly=True)
    link.peer, link.member = peer, member
    link.same_enclave = member.enclave == core.me.enclave
    peer.link = link
    peer.heard_ms = core.now.ms
    peer.redial_ms = peer.redial_at_ms = 0
    _supersede_address(core, member)
    known = core.book.get(member.number)
    if known is not None and outranks(known, member) and known.status != ALIVE:
        core.tell(link, [known])  # it is thought dead or suspected: it may deny it
    core.learn_member(member)
    if not core.book_asked_ms or core.state == bootstrap.ISOLATED:
        core.book_asked_ms = core.now.ms + 1
        core.send(link, Members(EVERY_BUCKET, pack_member(core.me)))
    tree.linked(core, link)
    core.out.append(TrustClock())
    handover.linked(core, link)
    if link.same_enclave:
        seals.greet(core, link)
        core.pump(link)


def _supersede_address(core: "Core", member: Member) -> None:
    """Another number at this address was an earlier boot of the same node: it will not come back."""
    for number in list(core.book.at_address.get(member.address, {})):
        if number != member.number:
            old = core.book[number]
            core.learn_member(replace(old, status=LEFT))


def met(core: "Core", member: Member, came_back: bool) -> None:
    """A new name in the book. Links are a matter of partners.py; pushes wait from now on. Who comes back from
    the dead was cut off with others: a few links across the old cut level both sides soonest."""
    core.report("met", f"peer={member.number:016x} address={_shown(member.address)} role={ROLES[member.role]}")
    if member.enclave != core.me.enclave:
        return
    if came_back:
        rounds.reunited(core)
    count = len(core.book.enclave)
    if count <= core.policy.direct_peers_max:
        core.peer(member.number)
    elif came_back and core.rng.randrange(count) < RETURNED_LINKS and core.link_to(member.number) is None:
        core.dial(member.address)


def part(core: "Core", link: Link, peer: Peer) -> None:
    """A link has ended. Pushes that were not acknowledged wait at the head of the queue for the next one."""
    peer.link = None
    peer.owed = peer.owed or link.levels
    for batch in reversed(unsent_pushes(link)):
        peer.queue.appendleft(batch)
        peer.queue_bytes += len(batch.payload) + FRAME_BYTES
    if peer.queue_bytes > core.policy.queue_bytes_max:
        core.report("lagging", f"peer={peer.number:016x}")
        drop_queue(peer, core.now.ms, core.rumors.number)
    core.repair.others.pop(peer.number, None)
    if core.repair.own is not None and core.repair.own.peer is peer:
        core.repair.own = None
    bootstrap.avoid(core, peer.number)
    member = core.book.get(peer.number)
    if member is None or not member.is_alive:
        forget(core, peer)
    elif len(core.book.enclave) > core.policy.direct_peers_max:
        drop_queue(peer, core.now.ms, core.rumors.number)
        peer.lagging_ms = None  # one of many partners: rumors and comparison reach it without us


def lost(core: "Core", member: Member) -> None:
    """Somebody died or left."""
    peer = core.peers.get(member.number)
    event = "died" if member.status == DEAD else "left"
    core.report(event, f"peer={member.number:016x} address={_shown(member.address)}")
    core.tree.children.pop(member.number, None)
    if core.me.parent == member.number:
        tree.lose_parent(core, event)
        core.timers.at(core.now.ms + core.jitter(tree.FIRST_MS), "find_parent")
    if peer is None:
        return
    if peer.link is not None and member.status == DEAD and peer.heard_ms > core.now.ms - core.policy.probe_ms:
        core.tell(peer.link, [member])  # it speaks to us, and will deny it
        return
    if peer.link is not None:
        core.hangup(peer.link, event, quietly=True)
    forget(core, peer)


def forget(core: "Core", peer: Peer) -> None:
    if core.peers.get(peer.number) is peer and peer.link is None:
        del core.peers[peer.number]
        core.differing = sum(one.differs for one in core.peers.values())


def _shown(address: bytes) -> str:
    return ascii(address[:64].decode("ascii", "replace"))
