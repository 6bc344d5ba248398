"""Secure relay: an encrypted payload passes through nodes that cannot read it. Nothing else may live in this file.

    secret = new_secret()  # pass it to the recipient by another channel
    SecureRelay(client, secret).drop(b"the papers", ttl_s=600)
    SecureRelay(other_client, secret).pick_up()              # b"the papers"

The key's name is derived from the secret, the payload sealed with it (AES-256-GCM, or ChaCha20-Poly1305); the node
sees neither the secret, nor a name with a meaning. Not promised: that nobody sees *when* and *how much* was
exchanged and from which address, that the payload is read only once, or that its size is hidden.
"""

from dataclasses import dataclass, field
from typing import Generic

from respram.patterns.errors import ContentMissing
from respram.patterns.naming import sized
from respram.patterns.sealing import Sealer, secret_bytes, stretched
from respram.patterns.steps import C, Steps, get, operation, put, wait_until

POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class SecureRelay(Generic[C]):
    client: C
    secret: str | bytes = field(repr=False)
    slot: str = "0"  # names one of several payloads under one secret
    algorithm: str = "aes-256-gcm"

    @property
    def key(self) -> bytes:
        """An opaque name: 32 hexadecimal digits that only holders of the secret can compute."""
        return sized(stretched(secret_bytes(self.secret), b"", b"slot " + self.slot.encode(), 16).hex().encode())

    @operation
    def drop(self, payload: bytes, ttl_s: float) -> Steps[None]:
        """Seals and stores the payload; the slot's earlier payload is overwritten."""
        sealed = Sealer(self.secret, self.algorithm).seal(payload, self.key)
        yield from put(self.key, sealed, ttl_s)

    @operation
    def pick_up(self) -> Steps[bytes]:
        """Opens the payload. Raises ContentMissing (not dropped, or expired), WrongKey, Tampered, Unreadable."""
        sealed = yield from get(self.key)
        if sealed is None:
            raise ContentMissing(
                "this slot is empty: nothing was dropped yet, its TTL has ended, or another secret was used"
            )
        return Sealer(self.secret, self.algorithm).open(sealed, self.key)

    @operation
    def wait(self, timeout_s: float, poll_s: float = POLL_S) -> Steps[bytes]:
        """Waits for a payload, then acts as `pick_up`. Raises TimedOut."""
        found = yield from wait_until(lambda: get(self.key), timeout_s, poll_s, "the payload")
        return Sealer(self.secret, self.algorithm).open(found, self.key)
