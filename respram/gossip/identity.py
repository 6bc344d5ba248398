"""A number that belongs to a key: 48 bits of the key's hash, and 16 bits that say so.

A node that shares a secret with the others shows a certificate for a key that it made at its start, and that never
leaves it. Its number is made from that key. So nobody else can say that number in a HELLO, whoever else knows the
secret: it would have to find a key with the same 48 bits, for which about 2^48 keys have to be made (a core makes some
2^16 in a second). Other numbers belong to nobody, and are taken as they are: those of nodes of an earlier version, of
nodes that have certificates of an operator (their keys outlive a start, and a number does not), and of nodes without
either.
"""

from hashlib import blake2b

CHECK_BITS = 16  # so few of the numbers that are drawn look as if they belonged to a key
KEY_BYTES = 6


def number_of(key: bytes) -> int:
    """Of a public key, in its DER form."""
    digest = blake2b(key, digest_size=KEY_BYTES, person=b"respram number").digest()
    return int.from_bytes(digest) << CHECK_BITS | _check(digest)


def belongs_to_a_key(number: int) -> bool:
    return number & (1 << CHECK_BITS) - 1 == _check((number >> CHECK_BITS).to_bytes(KEY_BYTES))


def _check(digest: bytes) -> int:
    return int.from_bytes(blake2b(digest, digest_size=CHECK_BITS // 8, person=b"respram check").digest())
