"""Dispatches each message to its concern, by a table. An error of the peer's is raised as PeerError and costs its link,
nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from respram.errors import PeerError
from respram.gossip.agreement import Agreement
from respram.gossip.books import Books
from respram.gossip.bootstrap import Bootstrap
from respram.gossip.delivery import Delivery
from respram.gossip.dumps import Dumps
from respram.gossip.effects import Host
from respram.gossip.exchange import Exchange
from respram.gossip.expulsions import Expulsions
from respram.gossip.forwarding import Forwarding
from respram.gossip.greeting import Greeting
from respram.gossip.links import Link, acknowledge, arrives, handled
from respram.gossip.majority import Majority
from respram.gossip.neighbours import Neighbours
from respram.gossip.other_ids import OtherIds
from respram.gossip.probes import Probes
from respram.gossip.pulls import Pulls
from respram.gossip.quorum import Quorum
from respram.gossip.repair import Repair
from respram.gossip.rounds import Rounds
from respram.gossip.rumors import Rumors
from respram.gossip.seals import Seals
from respram.gossip.segment_keys import SegmentKeySharing
from respram.gossip.suffrage import Suffrage
from respram.gossip.tree import Tree
from respram.gossip.witnesses import Witnesses
from respram.wire import messages as wire
from respram.wire.messages import Message

ENCLAVE, NETWORK = True, False  # the possible senders: members of the own enclave, or of any


@dataclass(frozen=True, slots=True)
class Hearer:
    """The handler of a message, and the peers from whom it is accepted."""

    enclave_only: bool
    hear: Callable[[Link, Any], None]


@dataclass(slots=True, eq=False)
class Inbox:
    host: Host
    neighbours: Neighbours
    delivery: Delivery
    greeting: Greeting
    books: Books
    witnesses: Witnesses
    probes: Probes
    tree: Tree
    seals: Seals
    segment_keys: SegmentKeySharing
    agreement: Agreement
    expulsions: Expulsions
    rumors: Rumors
    quorum: Quorum
    rounds: Rounds
    repair: Repair
    exchange: Exchange
    other_ids: OtherIds
    boot: Bootstrap
    dumps: Dumps
    pulls: Pulls
    forwarding: Forwarding
    majority: Majority
    suffrage: Suffrage
    table: dict[type[Message], Hearer] = field(init=False)

    def __post_init__(self) -> None:
        self.table = {
            wire.Hello: Hearer(NETWORK, lambda link, message: None),  # a link's first frame may arrive twice
            wire.Refuse: Hearer(NETWORK, self.greeting.refused_there),
            wire.Bye: Hearer(NETWORK, self.greeting.left),
            wire.Ping: Hearer(NETWORK, self.probes.pinged),
            wire.Pong: Hearer(NETWORK, self.probes.ponged),
            wire.Probe: Hearer(NETWORK, self.probes.ask),
            wire.Probed: Hearer(NETWORK, self.probes.told),
            wire.Book: Hearer(NETWORK, self.books.compared),
            wire.Members: Hearer(NETWORK, self.books.told),
            wire.Vouch: Hearer(ENCLAVE, self.witnesses.receive),
            wire.Attach: Hearer(NETWORK, self.tree.asked),
            wire.Attached: Hearer(NETWORK, self.tree.answered),
            wire.Detach: Hearer(NETWORK, self.tree.detached),
            wire.Expulsions: Hearer(NETWORK, self.expulsions.heard),
            wire.Seals: Hearer(ENCLAVE, self.seals.heard),
            wire.Terms: Hearer(ENCLAVE, self.agreement.heard),
            wire.Keys: Hearer(ENCLAVE, self.segment_keys.receive),
            wire.Ack: Hearer(NETWORK, lambda link, message: self.acknowledged(link, message.seq, message.refused)),
            wire.Nudge: Hearer(NETWORK, lambda link, message: self.delivery.nudged(link)),
            wire.Push: Hearer(ENCLAVE, self.rumors.receive),
            wire.Announce: Hearer(ENCLAVE, self.rumors.announced),
            wire.Want: Hearer(ENCLAVE, self.rumors.asked),
            wire.Digest: Hearer(ENCLAVE, self.repair.digested),
            wire.Same: Hearer(ENCLAVE, self.repair.same),
            wire.Buckets: Hearer(ENCLAVE, self.repair.bucketed),
            wire.Filter: Hearer(ENCLAVE, self.exchange.filtered),
            wire.Records: Hearer(ENCLAVE, self.exchange.recorded),
            wire.Dump: Hearer(ENCLAVE, self.dumps.asked),
            wire.Busy: Hearer(ENCLAVE, self.boot.refused),
            wire.Dumped: Hearer(ENCLAVE, self.boot.chunk),
            wire.Pull: Hearer(ENCLAVE, self.pulls.asked),
            wire.Pulled: Hearer(ENCLAVE, self.pulls.answered),
            wire.Forward: Hearer(ENCLAVE, self.forwarding.heard),
            wire.Answer: Hearer(ENCLAVE, self.forwarding.answered),
            wire.Ballot: Hearer(ENCLAVE, self.suffrage.balloted),
            wire.Vote: Hearer(ENCLAVE, self.suffrage.voted),
        }

    def hear(self, link: Link, message: Message) -> None:
        peer = link.peer
        if peer is None:
            self.greeting.receive(link, message)
            return
        peer.heard_ms = self.host.now.ms
        hearer = self.table[type(message)]
        if hearer.enclave_only and not link.same_enclave:
            raise PeerError(f"{message.word.decode()} from another enclave")
        if not isinstance(message, wire.SEQUENCED):
            hearer.hear(link, message)
            return
        self.acknowledged(link, message.ack, b"")
        if arrives(link, message, self.host.policy):
            if isinstance(message, wire.Filter):  # a filter holds no records for the engine to store
                handled(link, message.seq, True)
            hearer.hear(link, message)
        self.delivery.arm_ack(link)

    def acknowledged(self, link: Link, seq: int, refused: bytes) -> None:
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
                self.quorum.acknowledged(peer, flight.batch, not flight.refused)
                peer.owed = peer.owed or flight.refused
            elif link.levels:
                self.other_ids.acknowledged(link, peer, flight)
            elif flight.refused:
                self.rounds.refused(peer)
        if done:
            self.delivery.pump(link)
