"""Binary storage by hash, sealed if a sealer is given. Nothing else may live in this file.

    storage = BinaryStorage(ContentStore(client, "sensors"), Sealer(secret))
    address = storage.store(json.dumps(reading).encode())      # the caller keeps the index: sensor and time to address
    storage.retrieve(address)

Without a sealer the address is the hash of the bytes. With one it is a keyed hash, so that the node cannot confirm a
guess at the content. The same bytes under the same secret still share an address.
Not promised: an index, a schema, or life beyond the store's ttl_s.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Generic

from respram.patterns.content_store import ContentRef, ContentStore
from respram.patterns.effects import Steps
from respram.patterns.errors import ContentCorrupt, ContentMissing
from respram.patterns.sealing import Sealer, secret_bytes, stretched
from respram.patterns.steps import C, ask_atomic, get, operation, ttl_ms


@dataclass(frozen=True, slots=True)
class BinaryStorage(Generic[C]):
    contents: ContentStore[C]
    sealer: Sealer | None = None

    @property
    def client(self) -> C:
        return self.contents.client

    def address(self, content: bytes) -> ContentRef:
        """The address that the content has, stored or not."""
        if self.sealer is None:
            return ContentRef(hashlib.sha256(content).hexdigest())
        addressing = stretched(secret_bytes(self.sealer.secret), b"", b"address")
        return ContentRef(hmac.digest(addressing, content, "sha256").hex())

    @operation
    def store(self, content: bytes) -> Steps[ContentRef]:
        if self.sealer is None:
            return (yield from self.contents.store.steps(content))
        address = self.address(content)
        if not (yield from self.contents.touch.steps(address)):
            # Sealing the same bytes twice gives different ciphertexts. Either is right, so the first one stays.
            sealed = self.sealer.seal(content, address.hash.encode())
            key, expiry = self.contents.content_key(address), ttl_ms(self.contents.ttl_s)
            yield from ask_atomic(("SET", key, sealed, "NX", "PX", expiry), ("PEXPIRE", key, expiry, "GT"))
        return address

    @operation
    def retrieve(self, address: ContentRef) -> Steps[bytes]:
        """The content, verified. Raises ContentMissing, ContentCorrupt, WrongKey, Tampered."""
        if self.sealer is None:
            return (yield from self.contents.get.steps(address))
        sealed = yield from get(self.contents.content_key(address))
        if sealed is None:
            raise ContentMissing(f"nothing is stored at {address.hash[:12]}: its time is up, or it never was")
        content = self.sealer.open(sealed, address.hash.encode())
        if self.address(content) != address:
            raise ContentCorrupt(f"what is stored at {address.hash[:12]} belongs to another address: use none of it")
        return content
