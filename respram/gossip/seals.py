"""Seal keys, from node to node of an enclave, and on each link before any record that is sealed with them.

Records travel as they lie, so who is to read them needs the key. When two nodes of an enclave meet, each sends the
keys it knows to be in use; when one learns of another, or takes its own into use, it tells all its links, and that leaves
before whatever else leaves. A record whose key is not known is refused all the same (a key may have been forgotten
here), and then the keys are asked for; comparison brings the record again.
"""

from typing import TYPE_CHECKING, Protocol

from respram.gossip.effects import Effect, Send
from respram.gossip.links import Link
from respram.wire.messages import Seals

if TYPE_CHECKING:
    from respram.gossip.core import Core

ASK_MS = 1_000  # between two questions for keys, to whomever
ASKING = 1


class Keyring(Protocol):
    """What seal.Ring is to peers."""

    version: int
    refused: int

    def export(self) -> bytes: ...
    def learn(self, exported: bytes, now_ms: int) -> int: ...


def greet(core: "Core", link: Link) -> None:
    """To a new neighbour in the enclave, before the first push."""
    if core.keyring is not None and (keys := core.keyring.export()):
        core.send(link, Seals(0, keys))


def announce(core: "Core", effects: list[Effect]) -> list[Effect]:
    """The effects, behind what has to be told first."""
    keyring = core.keyring
    if keyring is None or keyring.version == core.keyring_told:
        return effects
    core.keyring_told = keyring.version
    keys = keyring.export()
    return [Send(link.id, Seals(0, keys)) for link in core.greeted() if link.same_enclave] + effects


def heard(core: "Core", link: Link, message: Seals) -> None:
    if core.keyring is None:
        return
    refused = core.keyring.refused
    if core.keyring.learn(message.keys, core.now.wall_ms):
        core.report("seal_keys", f"learnt_from={link.peer.number if link.peer else 0:016x}")
    if core.keyring.refused != refused:
        core.report("seal_keys_full", f"refused={core.keyring.refused}")
    if message.asks == ASKING:
        greet(core, link)


def lack(core: "Core", link: Link) -> None:
    """The link brought records that cannot be opened here."""
    if core.keyring is not None and core.now.ms - core.keys_asked_ms >= ASK_MS:
        core.keys_asked_ms = core.now.ms
        core.send(link, Seals(ASKING, core.keyring.export()))
