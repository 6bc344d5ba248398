"""Hot commands that ask for a whole value, or for its digest, before they let go of it: GETDEL, DELIFEQ, DELEX; and
DIGEST. SET asks in the same way (writes.py). The twin of native/comparing.c.
"""

import re

from respram.engine.api import DRAFT_BYTES_MAX, Session
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.reads import NIL, bulk, old_value
from respram.engine.pure.record import Row
from respram.engine.pure.xxh3 import xxh3

DIGEST = re.compile(rb"[0-9a-fA-F]{16}")
COMPARISONS = (b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE")


def is_comparison(word: bytes, operand: bytes) -> bool:
    """Whether a word in capitals asks for a value, and the operand is a digest where it has to be one."""
    return word in COMPARISONS and (word in (b"IFEQ", b"IFNE") or DIGEST.fullmatch(operand) is not None)


def holds(keyspace: Keyspace, row: Row | None, comparison: bytes, operand: bytes) -> bool | None:
    """Whether a key holds what was asked for; a missing key holds nothing. None: the value is too long to look here."""
    wanted, by_digest = comparison in (b"IFEQ", b"IFDEQ"), comparison in (b"IFDEQ", b"IFDNE")
    if row is None or row.value is None or (not by_digest and len(row.value) != len(operand)):
        return not wanted
    if len(row.value) > DRAFT_BYTES_MAX:
        return None
    value = keyspace.opened(row)
    equal = b"%016x" % xxh3(value) == operand.lower() if by_digest else value == operand
    return equal == wanted


def digest(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    row = keyspace.row(session.db, argv[1], now_ms) if len(argv) == 2 else None
    if len(argv) != 2 or (row is not None and row.value is not None and len(row.value) > DRAFT_BYTES_MAX):
        return None
    if row is None:
        keyspace.misses += 1
        return NIL[session.proto]
    keyspace.hits += 1
    return bulk(b"%016x" % xxh3(keyspace.opened(row)))


# -- letting go, for who has the right by name --------------------------------------------------------
def getdel(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    if len(argv) != 2:
        return None
    answer = old_value(keyspace, session, keyspace.row(session.db, argv[1], now_ms))
    keyspace.let_go(session.db, argv[1], now_ms, b"del")
    return answer


def delifeq(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    return _let_go_if(keyspace, session, argv[1], b"IFEQ", argv[2], now_ms) if len(argv) == 3 else None


def delex(keyspace: Keyspace, session: Session, argv: list[bytes], now_ms: int) -> bytes | None:
    """DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest]."""
    if len(argv) == 2:
        return _let_go_if(keyspace, session, argv[1], b"", b"", now_ms)
    if len(argv) != 4 or not is_comparison(argv[2].upper(), argv[3]):
        return None
    return _let_go_if(keyspace, session, argv[1], argv[2].upper(), argv[3], now_ms)


def _let_go_if(
    keyspace: Keyspace, session: Session, key: bytes, comparison: bytes, operand: bytes, now_ms: int
) -> bytes | None:
    row = keyspace.row(session.db, key, now_ms)
    goes = row is not None and (not comparison or holds(keyspace, row, comparison, operand))
    if goes is None:
        return None
    keyspace.hits += row is not None
    keyspace.misses += row is None
    return b":%d\r\n" % (goes and keyspace.let_go(session.db, key, now_ms, b"del"))
