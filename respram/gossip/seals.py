"""Exchanges seal keys among the nodes of an enclave, on each link before any record that is sealed with them.

Records travel as they lie, so who is to read them needs the key. When two nodes of an enclave meet, each sends the
keys it knows to be in use; when one learns of another, or takes its own into use, it tells all its links, and that
leaves before whatever else leaves. A record whose key is not known is refused all the same (a key may have been
forgotten here), and then the keys are asked for; comparison brings the record again.
"""

from dataclasses import dataclass
from typing import Protocol

from respram.gossip.effects import Effect, Host, Send
from respram.gossip.links import Link
from respram.gossip.neighbours import Neighbours
from respram.wire import messages as wire

ASK_MS = 1_000  # between two requests for keys, to any peer
ASKING = 1


class Keyring(Protocol):
    """What seal.Ring is to peers."""

    version: int
    refused: int

    def export(self) -> bytes: ...
    def learn(self, exported: bytes, now_ms: int, teller: int = ...) -> int: ...


@dataclass(slots=True, eq=False)
class Seals:
    host: Host
    neighbours: Neighbours
    keyring: Keyring | None  # None: values are not sealed
    told: int = 0  # the keyring's version that all links know
    asked_ms: int = -ASK_MS

    def greet(self, link: Link) -> None:
        """Sends the keys in use to a new neighbour, before the first push."""
        if self.keyring is not None and (keys := self.keyring.export()):
            self.host.send(link.id, wire.Seals(0, keys))

    def announce(self, effects: list[Effect]) -> list[Effect]:
        """The effects, behind what has to be told first."""
        keyring = self.keyring
        if keyring is None or keyring.version == self.told:
            return effects
        self.told = keyring.version
        keys = keyring.export()
        return [Send(link.id, wire.Seals(0, keys)) for link in self.neighbours.greeted() if link.same_enclave] + effects

    def heard(self, link: Link, message: wire.Seals) -> None:
        if self.keyring is None:
            return
        refused = self.keyring.refused
        teller = link.peer.number if link.peer is not None else 0
        if self.keyring.learn(message.keys, self.host.now.wall_ms, teller):
            self.host.report("seal_keys", f"learnt_from={teller:016x}")
        if self.keyring.refused != refused:
            self.host.report("seal_keys_full", f"refused={self.keyring.refused}")
        if message.asks == ASKING:
            self.greet(link)

    def lack(self, link: Link) -> None:
        """Asks a peer for its keys, after it sent records that cannot be decrypted here."""
        if self.keyring is not None and self.host.now.ms - self.asked_ms >= ASK_MS:
            self.asked_ms = self.host.now.ms
            self.host.send(link.id, wire.Seals(ASKING, self.keyring.export()))
