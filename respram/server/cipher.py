"""Measures once, at the start, which mode of the cipher is faster on this machine.

Long values can be sealed and opened by CTR or by GCM, to the same bytes (see seal.py). Which is faster depends on the
processor and on the library: with VAES, as servers have it since 2019 or so, `cryptography` takes 1.5 us for 16 KiB by
GCM and 2.6 by CTR, and without 4 to 6 us by GCM; OpenSSL 3.0, which Debian 12 has, takes 3.2 us by GCM and 1.9 by CTR.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from respram.engine import OwnCipher
from respram.seal import BLOCK_BYTES, GCM_TAG_BYTES, KEY_BYTES, LONG_FIRST
from respram.server import clock

VALUE_BYTES = 16 * 1024
CALLS = 20  # calls of one measurement: 30 us or more, if the clock resolves that
LOOKS = 5  # measurements; the shortest counts


def is_gcm_faster(own: type[OwnCipher] | None = None, micros: Callable[[], int] = clock.micros) -> bool:
    """Whether GCM is the faster mode. `own`: the engine's cipher, if that is not `cryptography`."""
    key, value, out = bytes(KEY_BYTES), bytes(VALUE_BYTES), bytearray(VALUE_BYTES + GCM_TAG_BYTES)
    if own is not None:
        by_gcm, by_ctr = (own(key, chosen) for chosen in (True, False))
        return _shortest(lambda: by_gcm.run_into(1, LONG_FIRST, value, out), micros) < _shortest(
            lambda: by_ctr.run_into(1, LONG_FIRST, value, out), micros
        )
    whole = getattr(AESGCM(key), "encrypt_into", None)
    if whole is None:  # an older library
        return False
    run, block, nonce = (
        Cipher(AES(key), CTR(bytes(BLOCK_BYTES))).encryptor(),
        bytes(BLOCK_BYTES),
        bytes(BLOCK_BYTES - 4),
    )

    def in_blocks() -> None:
        run.reset_nonce(block)
        run.update_into(value, out)

    return _shortest(lambda: whole(nonce, value, None, out), micros) < _shortest(in_blocks, micros)


def _shortest(call: Callable[[], object], micros: Callable[[], int]) -> int:
    took = []
    for _ in range(LOOKS):
        begun = micros()
        for _ in range(CALLS):
            call()
        took.append(micros() - begun)
    return min(took)
