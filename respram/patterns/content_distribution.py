"""Content fetched from whichever of several nodes has it, with verification. Nothing else may live in this file.

    content = ContentDistribution((client_a, client_b, client_c), "library")
    content_id = content.publish(data)                # on the first node that takes it
    content.retrieve(content_id)                      # from the first that has it, and has it unharmed

A node that is away, has nothing, or has something else under the hash is passed over, and named in the error if no
other helps. Not promised: that nodes outside one enclave get each other's content: then publish with copies > 1.
"""

from dataclasses import dataclass
from typing import Generic

from respram.patterns.content_store import ContentRef, ContentStore, reference
from respram.patterns.effects import Ask, Steps
from respram.patterns.errors import ContentCorrupt, ContentMissing, StoreAway, StoreRefused
from respram.patterns.steps import C, operation, ttl_ms


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
        """Stores on so many nodes. Raises StoreAway when fewer took it; those that did keep it."""
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
        """The content, verified. Raises ContentMissing, which says why of each node."""
        reasons: list[str] = []
        for number, client in enumerate(self.clients, 1):
            try:
                (found,) = yield Ask((("GET", self.key(ref)),), client)
                if found is not None:
                    return ref.verified(found)
                reasons.append(f"node {number} does not have it")
            except ContentCorrupt:
                reasons.append(f"node {number} has something else under its hash")
            except (StoreAway, StoreRefused):
                reasons.append(f"node {number} is away or refused")
        raise ContentMissing(f"content {ref.hash[:12]}: {'; '.join(reasons)}")
