"""Sealing: authenticated encryption under a shared secret for payloads on a node. No keys of a store live here.

    sealer = Sealer(new_secret())
    sealed = sealer.seal(b"plain", context=b"what this is for")
    sealer.open(sealed, context=b"what this is for")

Layout: 1 byte for the algorithm, 16 bytes of salt, 8 bytes that tell a wrong secret from a changed ciphertext, then the
ciphertext with its 16-byte tag. Each payload has a key of its own, from HKDF-SHA256 over secret and salt, so the nonce
may be constant and there is no number of messages after which a secret wears out. The 8 bytes depend on the salt as
well: two payloads under one secret do not look related.
"""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from respram.patterns.errors import Tampered, Unreadable, WrongKey

SECRET_BYTES_MIN = 32
SALT_BYTES, CHECK_BYTES, TAG_BYTES = 16, 8, 16
SEALED_EXTRA_BYTES = 1 + SALT_BYTES + CHECK_BYTES + TAG_BYTES
NONCE = bytes(12)
ALGORITHMS: dict[str, tuple[int, type[AESGCM] | type[ChaCha20Poly1305]]] = {
    "aes-256-gcm": (1, AESGCM),
    "chacha20-poly1305": (2, ChaCha20Poly1305),
}
BY_NUMBER = dict(ALGORITHMS.values())


def new_secret() -> str:
    """32 random bytes as text, to be given to the other side over another channel."""
    return base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES_MIN)).decode().rstrip("=")


def secret_bytes(secret: str | bytes) -> bytes:
    """The secret as bytes: as they are, or from the text of `new_secret`. Raises WrongKey when it is too short."""
    try:
        raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)) if isinstance(secret, str) else secret
    except (ValueError, binascii.Error):
        raise WrongKey("the secret is not a text that new_secret() made: copy it whole") from None
    if len(raw) < SECRET_BYTES_MIN:
        raise WrongKey(f"a secret needs at least {SECRET_BYTES_MIN} bytes; new_secret() makes one, a password is none")
    return raw


def stretched(secret: bytes, salt: bytes, purpose: bytes, length: int = 32) -> bytes:
    return HKDF(SHA256(), length, salt, b"respram patterns 1 " + purpose).derive(secret)


@dataclass(frozen=True, slots=True)
class Sealer:
    secret: str | bytes = field(repr=False)
    algorithm: str = "aes-256-gcm"

    def __post_init__(self) -> None:
        secret_bytes(self.secret)
        if self.algorithm not in ALGORITHMS:
            raise Unreadable(f"no such algorithm: {self.algorithm!r}; there are {', '.join(ALGORITHMS)}")

    def seal(self, plain: bytes, context: bytes = b"") -> bytes:
        """Encrypts the payload. `context` is not in the result, and must be the same when it is opened."""
        number, cipher = ALGORITHMS[self.algorithm]
        salt = secrets.token_bytes(SALT_BYTES)
        keys = stretched(secret_bytes(self.secret), salt, b"seal", 32 + CHECK_BYTES)
        header = bytes((number,)) + salt + keys[32:]
        return header + cipher(keys[:32]).encrypt(NONCE, plain, header + context)

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """Decrypts and verifies. Raises WrongKey, Tampered or Unreadable; never returns unauthenticated bytes."""
        if len(sealed) < SEALED_EXTRA_BYTES or sealed[0] not in BY_NUMBER:
            raise Unreadable("these bytes were not sealed by this package, or were cut short")
        header = sealed[: 1 + SALT_BYTES + CHECK_BYTES]
        keys = stretched(secret_bytes(self.secret), header[1 : 1 + SALT_BYTES], b"seal", 32 + CHECK_BYTES)
        if not hmac.compare_digest(keys[32:], header[1 + SALT_BYTES :]):
            raise WrongKey("this secret does not open this payload: compare the secrets of both sides")
        try:
            return BY_NUMBER[sealed[0]](keys[:32]).decrypt(NONCE, sealed[len(header) :], header + context)
        except InvalidTag:
            raise Tampered(
                "the payload was changed after it was sealed, or sealed for another purpose: use none of it"
            ) from None
