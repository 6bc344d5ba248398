"""Content fetched from whichever of several nodes has it, with verification. Nothing else may live in this file.

    content = ContentDistribution((client_a, client_b, client_c), "library")
    content_id = content.publish(data)  # on the first node that accepts it
    content.retrieve(content_id)  # from the first node that returns it intact

All nodes are asked at the same time, so a dead node costs no time while another has the content.

A node is skipped when it is away, lacks the content, or holds other bytes under the hash. If no node has the content,
the error names each node's reason. Not promised: that nodes of different enclaves get each other's content; publish
with copies > 1 for that.
"""

from dataclasses import dataclass
from typing import Any, Generic

from respram.patterns.content_store import ContentRef, ContentStore, reference
from respram.patterns.effects import Ask, AskAny, Steps
from respram.patterns.errors import ContentMissing, StoreAway, StoreRefused
from respram.patterns.steps import C, operation, ttl_ms

HARMED = "has something else under its hash"


@dataclass(frozen=True, slots=True)
class ContentDistribution(Generic[C]):
    clients: tuple[C, ...]
    store_id: str
    ttl_s: float = 3600.0

    @property
    def client(self) -> C:
        return self.clients[0]

    def key(self, ref: ContentRef) -> bytes:
        return ContentStore(self.client, self.store_id).content_key(ref)

    @operation
    def publish(self, content: bytes, copies: int = 1) -> Steps[ContentRef]:
        """Stores the content on `copies` nodes. Raises StoreAway when fewer took it; those that took it keep it."""
        ref = reference(content)
        store = ("SET", self.key(ref), content, "NX", "PX", ttl_ms(self.ttl_s))
        lengthen = ("PEXPIRE", self.key(ref), ttl_ms(self.ttl_s), "GT")
        stored = 0
        for client in self.clients:
            if stored < copies:
                try:
                    yield Ask((store, lengthen), client)
                    stored += 1
                except (StoreAway, StoreRefused):
                    continue
        if stored < copies:
            raise StoreAway(f"{stored} of {copies} copies were stored: the other nodes are away or refused")
        return ref

    @operation
    def retrieve(self, ref: ContentRef) -> Steps[bytes]:
        """The content, verified, from the first node that has it. Raises ContentMissing, with each node's reason."""
        outcomes: list[Any] = yield AskAny(
            (("GET", self.key(ref)),), self.clients, lambda replies: unharmed(replies, ref)
        )
        reasons: list[str] = []
        for number, outcome in enumerate(outcomes, 1):
            if isinstance(outcome, Exception):
                reasons.append(f"node {number} is away or refused")
            elif outcome is not None and unharmed(outcome, ref):
                content: bytes = outcome[0]
                return content
            elif outcome is not None:
                reasons.append(f"node {number} " + ("does not have it" if outcome[0] is None else HARMED))
        raise ContentMissing(f"content {ref.hash[:12]}: {'; '.join(reasons)}")


def unharmed(replies: list[Any], ref: ContentRef) -> bool:
    return replies[0] is not None and reference(replies[0]) == ref
