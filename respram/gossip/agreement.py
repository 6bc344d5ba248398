"""Settings that must be equal in an enclave: HELLO carries them, and the smaller of two applies on both sides.

A record that lives longer, or is larger, than one node allows would be refused there by every comparison, for ever. So
a node that hears of a smaller limit applies it to its clients' writes from now on and tells its own links, and both
sides log a WARNING. An older record is cut by the node that may not keep it, and the cut travels back: `cut` makes a
version that follows at once on the one that came, so that any later write still wins, and that remembers the old end.

Stamps are ordered by clock, then by node. A cut keeps the clock of what came and takes a node number just above its
own: the next write of another node may have the very next clock, and a mark has the clock of the last member that it
cleared. Two nodes that cut one record take different numbers, since they may give it different ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from struct import Struct

from respram.errors import PeerError
from respram.gossip.effects import Agreed, Host
from respram.gossip.links import Link
from respram.gossip.neighbours import Neighbours
from respram.gossip.policy import Said, Terms
from respram.record import Record, is_too_large, pack, unpack
from respram.stamp import to_ms
from respram.wire import messages as wire

_TERMS = Struct("<QQB")
_BOUNDS = Struct("<QQQQ")  # own, near
_NODE_BITS = 64
_SPREAD = 0x9E3779B97F4A7C15  # numbers of nodes, in the high half of the product, look drawn
_ABOVE_BITS = 32  # a cut's number is this far above that of what it cuts: no other number is there
_SIZE = Struct("<I")  # of the enclave, where a majority decides
_ALONE = Struct("<?")  # whether the node decides alone. More fields may follow; unknown ones are ignored
NAMES = {"max_ttl_ms": "max-ttl", "value_bytes_max": "proto-max-bulk-len", "seals": "seal-memory"}


def pack_said(said: Said) -> bytes:
    current, own, near = said.current, said.own, said.near
    return _TERMS.pack(current.max_ttl_ms, current.value_bytes_max, current.seals) + _BOUNDS.pack(
        own.max_ttl_ms, own.value_bytes_max, near.max_ttl_ms, near.value_bytes_max
    ) + _SIZE.pack(said.enclave_size) + _ALONE.pack(said.alone)  # fmt: skip


def unpack_said(payload: bytes) -> Said:
    """An older node says only what holds there now."""
    if len(payload) < _TERMS.size:
        raise PeerError("settings cannot be read")
    max_ttl_ms, value_bytes_max, seals = _TERMS.unpack_from(payload)
    current = Terms(max_ttl_ms, value_bytes_max, bool(seals))
    if len(payload) < _TERMS.size + _BOUNDS.size:
        return Said(current, current, current)
    own_ttl_ms, own_bytes, near_ttl_ms, near_bytes = _BOUNDS.unpack_from(payload, _TERMS.size)
    own, near = Terms(own_ttl_ms, own_bytes, bool(seals)), Terms(near_ttl_ms, near_bytes, bool(seals))
    at = _TERMS.size + _BOUNDS.size
    size = _SIZE.unpack_from(payload, at)[0] if len(payload) >= at + _SIZE.size else 0
    at += _SIZE.size
    return Said(current, own, near, size, len(payload) >= at + _ALONE.size and _ALONE.unpack_from(payload, at)[0])


def smaller(one: int, other: int) -> int:
    """The smaller of two limits; 0 means that none is given."""
    return min(one, other) if one and other else one or other


def least(one: Terms, other: Terms) -> Terms:
    """The smaller limits of both, and the first one's sealing."""
    return Terms(
        smaller(one.max_ttl_ms, other.max_ttl_ms), smaller(one.value_bytes_max, other.value_bytes_max), one.seals
    )


@dataclass(slots=True, eq=False)
class Agreement:
    host: Host
    neighbours: Neighbours
    current: Terms
    own: Terms
    alone: bool = False  # this node decides about all keys for its own clients
    cuts: int = 0

    def said(self) -> bytes:
        return pack_said(Said(self.current, self.own, self._near(self.own), self.host.policy.enclave_size, self.alone))

    def heard(self, link: Link, message: wire.Hello | wire.Terms) -> None:
        """A peer that was told of a smaller limit tells it on while it holds. Who meets a peer hears of the limits of
        those who are there: what another has left behind, which is gone, binds no newcomer. Else no restart of one node
        after the other would end it.
        """
        said, peer = unpack_said(message.settings), link.peer
        if peer is None or peer.said == said:
            return
        size, before = self.host.policy.enclave_size, peer.said
        if said.enclave_size != size and (before is None or before.enclave_size != said.enclave_size):
            told = f"peer={peer.number:016x} setting=enclave-size here={size} there={said.enclave_size}"
            self.host.report("unequal_settings", f"{told} now=each_its_own", warns=True)
        elif said.alone != self.alone and (before is None or before.alone != said.alone):
            self._warn_of_decisions(f"peer={peer.number:016x}", said.alone)
        peer.said = said
        here = self.current
        new = least(here, least(said.own, said.near) if isinstance(message, wire.Hello) else said.current)
        for field, name in NAMES.items():
            mine, other = getattr(here, field), getattr(said.current, field)
            if mine != other and (mine and other or field == "seals"):
                now = "each_its_own" if field == "seals" else getattr(new, field)
                told = f"peer={peer.number:016x} setting={name} here={mine} there={other} now={now}"
                self.host.report("unequal_settings", told, warns=True)
        if new != here:
            self.current = new
            self.host.emit(Agreed(new))
            self._tell()

    def choose(self, max_ttl_ms: int, value_bytes_max: int) -> None:
        """Applies a limit that the operator has changed, as far as those of the peers allow it, and tells all of them.
        """
        wanted, asked = Terms(max_ttl_ms, value_bytes_max, self.current.seals), (self.current, self.own)
        self.own, new = wanted, self._near(wanted)
        for field, name in NAMES.items():
            mine, holds = getattr(wanted, field), getattr(new, field)
            if mine != holds:
                self.host.report(
                    "unequal_settings", f"setting={name} here={mine} peers={holds} now={holds}", warns=True
                )
        self.current = new
        if new != wanted:
            self.host.emit(Agreed(new))
        # Sent also if nothing changes yet: otherwise each side would wait for the other's operator.
        if (new, wanted) != asked:
            self._tell()

    def decide(self, alone: bool) -> None:
        """Whether this node decides alone from now on. That a peer does not, both sides are warned of."""
        if alone == self.alone:
            return
        self.alone = alone
        others = [peer.said for peer in self.neighbours.of_enclave() if peer.link is not None and peer.said is not None]
        differ = sum(said.alone != alone for said in others)
        if differ:
            self._warn_of_decisions(f"peers={differ}", not alone)
        self._tell()

    def _warn_of_decisions(self, who: str, there: bool) -> None:
        names = {False: "home", True: "local"}
        self.host.report(
            "unequal_settings", f"{who} setting=decide here={names[self.alone]} there={names[there]} now=each_its_own",
            warns=True,
        )  # fmt: skip

    def _near(self, terms: Terms) -> Terms:
        """The smallest of these and of what the operators of the linked peers have given."""
        for peer in self.neighbours.of_enclave():
            if peer.link is not None and peer.said is not None:
                terms = least(terms, peer.said.own)
        return terms

    def _tell(self) -> None:
        said = self.said()
        for link in self.neighbours.greeted():
            if link.same_enclave:
                self.host.send(link.id, wire.Terms(said))

    def cut(self, payload: bytes) -> list[bytes]:
        """From a payload with refused records: those that exceed a limit, packed, each cut to what this node may keep.
        Equal settings are no reason not to look: the peer may have written them under larger ones, or got them from a
        node that is gone.
        """
        me, now_ms = self.neighbours.book.me.number, self.host.now.wall_ms
        cuts = list(cut_to(self.current, payload, me, now_ms, self.host.policy.clock_offset_ms_max))
        self.cuts += len(cuts)
        return [pack(cut) for cut in cuts]


def _just_after(clock: int, node: int, me: int) -> tuple[int, int]:
    """The stamp of a cut: later than this one, earlier than any of the next clock. Only behind the last of all numbers
    of nodes is it of the next clock, under a number that is lower than theirs.
    """
    above = (me * _SPREAD & (1 << _NODE_BITS) - 1) >> _NODE_BITS - _ABOVE_BITS
    return divmod((clock << _NODE_BITS | node) + 1 + above, 1 << _NODE_BITS)


def cut_to(terms: Terms, payload: bytes, me: int, now_ms: int, clock_offset_ms_max: int) -> Iterator[Record]:
    """The records of a payload that exceed these limits, cut to them by the node of this number. A value or a key that
    is too large leaves a stub, which may be as large as its key.
    """
    last_ms = now_ms + terms.max_ttl_ms
    size_max = terms.value_bytes_max
    try:
        for record in unpack(payload):
            if to_ms(record.clock) > now_ms + clock_offset_ms_max or record.value is None:
                continue  # refused for another reason
            shadow_ms = max(record.shadow_ms, record.deadline_ms)
            clock, node = _just_after(record.clock, record.node, me)
            later = replace(record, clock=clock, node=node, shadow_ms=shadow_ms)
            value_bytes = len(record.value) + len(record.shares)
            if size_max and is_too_large(record.db, record.key, value_bytes, size_max):
                yield replace(later, value=None, deadline_ms=now_ms, seal=None, kind=0)
            elif terms.max_ttl_ms and record.deadline_ms > last_ms + clock_offset_ms_max:
                yield replace(later, deadline_ms=last_ms)
    except PeerError:
        return  # the payload cannot be read from here on, which is already counted
