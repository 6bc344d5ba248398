"""Large messages by reference: the payload is stored, and a small text that names it is sent. Nothing else here.

    message = ReferenceMessages(store).wrap("process_data", large)  # a short JSON text: send it by any means
    command, data = ReferenceReader(other_client).unwrap(message)

The message names store and hash; the receiver needs a client, nothing else. Not promised: that the payload waits. A
message that is read after the store's ttl_s raises ContentMissing.
"""

from dataclasses import dataclass
from typing import Generic

from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.effects import Steps
from respram.patterns.json_values import document, to_json
from respram.patterns.steps import C, operation


@dataclass(frozen=True, slots=True)
class ReferenceMessages(Generic[C]):
    store: ContentStore[C]

    @property
    def client(self) -> C:
        return self.store.client

    @operation
    def wrap(self, command: str, payload: bytes) -> Steps[bytes]:
        """Stores the payload and returns the message to send."""
        ref = yield from self.store.store.steps(payload)
        return to_json({"command": command, "store_id": self.store.id, "data_ref": ref.hash})


@dataclass(frozen=True, slots=True)
class ReferenceReader(Generic[C]):
    client: C

    @operation
    def unwrap(self, message: bytes) -> Steps[tuple[str, bytes]]:
        """Command and payload, verified. Raises Unreadable, ContentMissing or ContentCorrupt."""
        fields = document(message, "the message", command=str, store_id=str, data_ref=str)
        store = ContentStore(self.client, fields["store_id"])
        return fields["command"], (yield from store.get.steps(ContentRef(fields["data_ref"])))
