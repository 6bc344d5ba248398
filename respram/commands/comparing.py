"""Whether a key holds a value, said whole or by its digest: IFEQ, IFNE, IFDEQ and IFDNE of SET and DELEX, and DIGEST.

A missing key equals nothing: IFEQ and IFDEQ fail on it, IFNE and IFDNE hold.
"""

import re

from respram.commands.node import Conn
from respram.engine.api import Entry
from respram.errors import ClientError

DIGEST = re.compile(rb"[0-9a-fA-F]{16}")
NOT_A_DIGEST = ClientError.saying(b"ERR The digest must be exactly 16 hexadecimal characters")


def check_operand(comparison: bytes, operand: bytes) -> None:
    """Raises if the operand should be a digest and is none, whatever the key holds."""
    if comparison in (b"ifdeq", b"ifdne") and DIGEST.fullmatch(operand) is None:
        raise NOT_A_DIGEST


def holds(conn: Conn, entry: Entry | None, comparison: bytes, operand: bytes) -> bool:
    """Whether the comparison holds. `comparison` is in lower case; b"" always holds."""
    if not comparison:
        return True
    if comparison in (b"ifeq", b"ifne"):
        equal = entry is not None and entry.value == operand
    else:
        equal = entry is not None and digest_of(conn, entry.value) == operand.lower()
    return equal == (comparison in (b"ifeq", b"ifdeq"))


def digest_of(conn: Conn, value: bytes) -> bytes:
    return b"%016x" % conn.node.engine.digest_value(value)
