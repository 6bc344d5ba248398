"""Numbers of nodes that belong to a key or to a name, so that no other node can claim them.

To a key: 48 bits of the key's hash, and 16 bits that say so.

A node that shares a secret with the others shows a certificate for a key that it made at its start, and that never
leaves it. Its number is made from that key. So nobody else can say that number in a HELLO, whoever else knows the
secret: it would have to find a key with the same 48 bits, for which about 2^48 keys have to be made (a core makes some
2^16 in a second).

To a name: a node that has a certificate of an operator keeps its key over many starts, and a number holds for one; and
the certificate may be renewed with another key while the node runs. What stays is whom the authority has named in it.
So such a number is 28 bits of the name's hash, 24 that are drawn at each start, and 12 that say so. Who has a
certificate with another name cannot say it. Nodes that the authority gave one name can say each other's.

Other numbers belong to nobody, and are taken as they are: those of nodes of an earlier version, and of nodes without
certificates.
"""

from hashlib import blake2b

CHECK_BITS = 16  # a random number looks like that of a key with a chance of 1 in 2**16
KEY_BYTES = 6
NAME_BITS, START_BITS, NAME_CHECK_BITS = 28, 24, 12


def number_of(key: bytes) -> int:
    """The number that belongs to a public key in DER form."""
    digest = blake2b(key, digest_size=KEY_BYTES, person=b"respram number").digest()
    return int.from_bytes(digest) << CHECK_BITS | _check(digest)


def belongs_to_a_key(number: int) -> bool:
    return number & (1 << CHECK_BITS) - 1 == _check((number >> CHECK_BITS).to_bytes(KEY_BYTES))


def _check(digest: bytes) -> int:
    return int.from_bytes(blake2b(digest, digest_size=CHECK_BITS // 8, person=b"respram check").digest())


def name_of(name: bytes) -> int:
    """The hash of the name in a certificate; never 0."""
    return int.from_bytes(blake2b(name, digest_size=8, person=b"respram name").digest()) >> 64 - NAME_BITS or 1


def number_of_start(name: int, drawn: int) -> int:
    """A number for one start of a node with this name; `drawn` are START_BITS random bits."""
    told = name << START_BITS | drawn
    return told << NAME_CHECK_BITS | _name_check(told)


def belongs_to(number: int) -> int:
    """The hash of the name to which a number belongs; 0: to none."""
    told = number >> NAME_CHECK_BITS
    return told >> START_BITS if number & (1 << NAME_CHECK_BITS) - 1 == _name_check(told) else 0


def _name_check(told: int) -> int:
    data = told.to_bytes(8)
    return int.from_bytes(blake2b(data, digest_size=2, person=b"respram start").digest()) >> 16 - NAME_CHECK_BITS
