"""Expelled nodes: revocation lists that an authority has signed, sent to all nodes and kept by each.

A list is a certificate revocation list (X.509) of an authority that signs peers. Nodes do not have the authority's key,
so no node can expel another, and none can take itself off a list. The operator gives a list to any node, which sends it
to all links, and a new link begins with it. Of two lists of one authority the one with the higher number applies.

The caller interprets a list: `read` checks the signature and returns the authority's name and the list's number.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from respram.errors import PeerError
from respram.gossip.effects import Expelled, Host
from respram.gossip.links import Link
from respram.gossip.neighbours import Neighbours
from respram.wire.messages import Expulsions as Message

LISTS_MAX = 4  # authorities: the present one, and its neighbours during a rotation
LIST_BYTES_MAX = 256 << 10  # about 7,000 certificates
_SIZE = Struct("<I")

Read = Callable[[bytes], tuple[bytes, int] | None]


@dataclass(slots=True, eq=False)
class Expulsions:
    host: Host
    neighbours: Neighbours
    read: Read = lambda data: None  # None: no authority that this node trusts has signed it
    lists: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)  # by authority: number and list
    refused: int = 0

    def take(self, data: bytes, but: Link | None = None) -> bool:
        """Takes a list, and returns whether it is valid. If it is new, it applies from now on and is sent to all
        links."""
        found = self.read(data) if 0 < len(data) <= LIST_BYTES_MAX else None
        if found is None:
            return False
        authority, number = found
        if authority in self.lists and self.lists[authority][0] >= number:
            return True
        if authority not in self.lists and len(self.lists) >= LISTS_MAX:
            return False
        self.lists[authority] = number, data
        for link in self.neighbours.greeted():
            if link is not but:
                self.host.send(link.id, Message(_pack([data])))
        self.host.report("expulsions", f"number={number}", warns=True)
        self.host.emit(Expelled(tuple(one for _, one in self.lists.values())))
        return True

    def greet(self, link: Link) -> None:
        if self.lists:
            self.host.send(link.id, Message(_pack([data for _, data in self.lists.values()])))

    def heard(self, link: Link, message: Message) -> None:
        """Takes the lists of a peer. (A list of an unknown authority is no fault: the peer may trust it.)"""
        for data in _unpack(message.lists):
            self.refused += not self.take(data, link)


def _pack(lists: list[bytes]) -> bytes:
    return b"".join(_SIZE.pack(len(data)) + data for data in lists)


def _unpack(payload: bytes) -> list[bytes]:
    lists: list[bytes] = []
    at = 0
    while at < len(payload):
        if len(payload) - at < _SIZE.size or len(lists) >= LISTS_MAX:
            raise PeerError("the lists of expelled nodes cannot be read")
        (size,) = _SIZE.unpack_from(payload, at)
        at += _SIZE.size
        if size > len(payload) - at:
            raise PeerError("the lists of expelled nodes cannot be read")
        lists.append(payload[at : at + size])
        at += size
    return lists
