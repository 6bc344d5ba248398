"""Settings that must be equal in an enclave: HELLO carries them, and the smaller of two applies on both sides.

A record that lives longer, or is larger, than one node allows would be refused there by every comparison, for ever. So
a node that hears of a smaller limit applies it to its clients' writes from now on and tells its own links, and both
sides log a WARNING. An older record is cut by the node that may not keep it, and the cut travels back: `cut` makes a
version that follows at once on the one that came, so that any later write still wins, and that remembers the old end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from struct import Struct

from respram.errors import PeerError
from respram.gossip.effects import Agreed, Host
from respram.gossip.links import Link
from respram.gossip.neighbours import Neighbours
from respram.gossip.policy import Terms
from respram.record import Record, pack, unpack
from respram.stamp import to_ms
from respram.wire import messages as wire

_TERMS = Struct("<QQB")  # more may follow: what is not known is passed over
NAMES = {"max_ttl_ms": "max-ttl", "value_bytes_max": "proto-max-bulk-len", "seals": "seal-memory"}


def pack_terms(terms: Terms) -> bytes:
    return _TERMS.pack(terms.max_ttl_ms, terms.value_bytes_max, terms.seals)


def unpack_terms(payload: bytes) -> Terms:
    if len(payload) < _TERMS.size:
        raise PeerError("settings cannot be read")
    max_ttl_ms, value_bytes_max, seals = _TERMS.unpack_from(payload)
    return Terms(max_ttl_ms, value_bytes_max, bool(seals))


def smaller(one: int, other: int) -> int:
    """The smaller of two limits; 0 means that none is given."""
    return min(one, other) if one and other else one or other


@dataclass(slots=True, eq=False)
class Agreement:
    host: Host
    neighbours: Neighbours
    current: Terms
    cuts: int = 0

    def hello(self) -> bytes:
        return pack_terms(self.current)

    def heard(self, link: Link, message: wire.Hello | wire.Terms) -> None:
        theirs, peer = unpack_terms(message.settings), link.peer
        if peer is None or peer.terms == theirs:
            return
        peer.terms = theirs
        here = self.current
        for field, name in NAMES.items():
            mine, other = getattr(here, field), getattr(theirs, field)
            if mine != other and (mine and other or field == "seals"):
                now = "each_its_own" if field == "seals" else min(mine, other)
                told = f"peer={peer.number:016x} setting={name} here={mine} there={other} now={now}"
                self.host.report("unequal_settings", told, warns=True)
        new = Terms(
            smaller(here.max_ttl_ms, theirs.max_ttl_ms),
            smaller(here.value_bytes_max, theirs.value_bytes_max),
            here.seals,
        )
        if new != here:
            self.current = new
            self.host.emit(Agreed(new))
            self._tell()

    def choose(self, max_ttl_ms: int, value_bytes_max: int) -> None:
        """Applies a limit that the operator has changed, as far as the peers allow it, and tells all of them."""
        wanted, asked = Terms(max_ttl_ms, value_bytes_max, self.current.seals), self.current
        new = wanted
        for peer in self.neighbours.of_enclave():
            if peer.terms is not None:
                theirs = peer.terms
                new = Terms(
                    smaller(new.max_ttl_ms, theirs.max_ttl_ms),
                    smaller(new.value_bytes_max, theirs.value_bytes_max),
                    new.seals,
                )
        for field, name in NAMES.items():
            mine, holds = getattr(wanted, field), getattr(new, field)
            if mine != holds:
                self.host.report(
                    "unequal_settings", f"setting={name} here={mine} peers={holds} now={holds}", warns=True
                )
        self.current = new
        if new != wanted:
            self.host.emit(Agreed(new))
        if new != asked:
            self._tell()

    def _tell(self) -> None:
        for link in self.neighbours.greeted():
            if link.same_enclave:
                self.host.send(link.id, wire.Terms(pack_terms(self.current)))

    def cut(self, payload: bytes) -> tuple[bytes, int]:
        """From a payload with refused records: those that exceed a limit, cut to what this node may keep, and their
        number. Equal settings are no reason not to look: the peer may have written them under larger ones, or got them
        from a node that is gone.
        """
        me, now_ms = self.neighbours.book.me.number, self.host.now.wall_ms
        cuts = list(cut_to(self.current, payload, me, now_ms, self.host.policy.clock_offset_ms_max))
        self.cuts += len(cuts)
        return b"".join(map(pack, cuts)), len(cuts)


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
            later = replace(record, clock=record.clock + 1, node=me, shadow_ms=shadow_ms)
            if 0 < size_max < len(record.key) + len(record.value):
                yield replace(later, value=None, deadline_ms=now_ms, seal=None, kind=0)
            elif terms.max_ttl_ms and record.deadline_ms > last_ms + clock_offset_ms_max:
                yield replace(later, deadline_ms=last_ms)
    except PeerError:
        return  # it broke off here, which is counted already
