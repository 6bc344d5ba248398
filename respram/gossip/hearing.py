"""Who handles which message. An error of the peer's is raised as PeerError and costs its link, nothing else."""

from typing import TYPE_CHECKING

from respram.errors import PeerError
from respram.gossip import (
    bootstrap,
    exchange,
    foreign,
    greeting,
    handover,
    probes,
    pulls,
    quorum,
    repair,
    rounds,
    rumors,
    seals,
    tree,
)
from respram.gossip.links import Link, ack, acknowledge, arrives, kept
from respram.gossip.members import SUMS_BYTES
from respram.wire import messages as wire
from respram.wire.messages import Message

if TYPE_CHECKING:
    from respram.gossip.core import Core


def hear(core: "Core", link: Link, message: Message) -> None:
    peer = link.peer
    if peer is None:
        greeting.receive(core, link, message)
        return
    peer.heard_ms = core.now.ms
    if isinstance(message, wire.SEQUENCED):
        if not link.same_enclave:
            raise PeerError(f"{message.word.decode()} from another enclave")
        acknowledged(core, link, message.ack, b"")
        if arrives(link, message, core.policy):
            _data(core, link, message)
        core.mind_ack(link)
        return
    match message:
        case wire.Ack():
            acknowledged(core, link, message.seq, message.refused)
        case wire.Ping():
            probes.pinged(core, link, message)
        case wire.Pong():
            probes.ponged(core, link, message)
        case wire.Probe():
            probes.ask(core, link, message)
        case wire.Probed():
            probes.told(core, message)
        case wire.Members():
            members = core.learn(message.entries)
            if message.buckets:
                known = {member.number: member for member in members}
                core.send(link, wire.Members(0, core.book.of_buckets(message.buckets, known)))
        case wire.Book():
            if len(message.sums) != SUMS_BYTES:
                raise PeerError("BOOK cannot be read")
            buckets = core.book.differing_buckets(message.sums)
            core.send(link, wire.Members(buckets, core.book.of_buckets(buckets)))
        case wire.Attach():
            tree.asked(core, link, message)
        case wire.Attached():
            tree.answered(core, link, message)
        case wire.Detach():
            tree.detached(core, link)
        case wire.Nudge():
            if link.pending:
                link.nudged = True
            else:
                ack(link, core.out)
        case wire.Bye():
            core.hangup(link, "it leaves", quietly=True)
        case wire.Refuse():
            greeting.refused_there(core, link, message)
        case wire.Hello():
            pass  # a duplicate of the first frame
        case _:
            if not link.same_enclave:
                raise PeerError(f"{message.word.decode()} from another enclave")
            _enclave(core, link, message)


def _data(core: "Core", link: Link, message: wire.Sequenced) -> None:
    match message:
        case wire.Push():
            rumors.receive(core, link, message)
        case wire.Records():
            exchange.recorded(core, link, message)
        case wire.Dumped():
            bootstrap.dumped(core, link, message)
        case wire.Filter():
            kept(link, message.seq, True)
            exchange.filtered(core, link, message)


def _enclave(core: "Core", link: Link, message: Message) -> None:
    match message:
        case wire.Announce():
            rumors.announced(core, link, message)
        case wire.Want():
            rumors.asked(core, link, message)
        case wire.Digest():
            repair.digested(core, link, message)
        case wire.Same():
            repair.same(core, link, message)
        case wire.Buckets():
            repair.bucketed(core, link, message)
        case wire.Dump():
            bootstrap.asked(core, link, message)
        case wire.Busy():
            if link.peer is not None:
                bootstrap.avoid(core, link.peer.number)
        case wire.Seals():
            seals.heard(core, link, message)
        case wire.Keys():
            handover.receive(core, link, message)
        case wire.Pull():
            pulls.asked(core, link, message)
        case wire.Pulled():
            pulls.answered(core, link, message)
        case _:
            raise PeerError(f"{message.word.decode()} is out of place")


def acknowledged(core: "Core", link: Link, seq: int, refused: bytes) -> None:
    if len(refused) % 8 or seq >= link.next_seq:
        raise PeerError("an acknowledgement cannot be")
    peer = link.peer
    assert peer is not None
    for at in range(0, len(refused), 8):
        flight = link.in_flight.get(int.from_bytes(refused[at : at + 8], "little"))
        if flight is not None:
            flight.refused = True
    done = acknowledge(link, seq)
    for _, flight in done:
        if flight.batch is not None:
            quorum.acknowledged(core, peer, flight.batch, not flight.refused)
            peer.owed = peer.owed or flight.refused
        elif link.levels:
            foreign.acknowledged(core, link, peer, flight)
        elif flight.refused:
            rounds.refused(core, peer)
    if done:
        core.pump(link)
