"""Ends overdue members of a collection a slice at a time (engine/settling.py says why). The twin of settling.c."""

from collections.abc import Iterable

from respram.catalog import Command
from respram.catalog.keys import keys_of
from respram.engine.pure import family
from respram.engine.pure.keyspace import Keyspace
from respram.engine.settling import ENDED_AT_ONCE, ENDED_BYTES, KEYS_UNASKED_MAX, PASSED_AT_ONCE, SETTLED_AT_ONCE
from respram.integers import parse_uint
from respram.record import DATABASES

Queued = tuple[Command, list[bytes]]


def settle(keyspace: Keyspace, db: int, key: bytes, now_ms: int) -> int:
    """Ends overdue members, and says how many; -1: there may be more."""
    head = keyspace.head(db, key, now_ms)
    if head is None:
        return 0
    its = family.family_of(keyspace, head)
    if not its.rows or now_ms < its.soonest_ms:
        return 0
    before = len(its.rows)
    if before <= SETTLED_AT_ONCE:
        family.settled(keyspace, head, now_ms)
        ended = before - len(its.rows)
    elif keyspace.families.sliced_ms == now_ms:
        return -1
    else:
        ended, is_whole = 0, True
        rows = keyspace.wheel.overdue(now_ms, PASSED_AT_ONCE)
        for row in rows:
            if row.family is not its or row.deadline_ms > now_ms:
                continue
            if ended == ENDED_AT_ONCE:
                is_whole = False
                break
            keyspace.wheel.remove(row)
            keyspace.end(row, now_ms)
            ended += 1
        if not is_whole or len(rows) == PASSED_AT_ONCE:
            keyspace.moved += ended * ENDED_BYTES
            keyspace.families.sliced_ms = now_ms
            return -1
        its.soonest_ms = now_ms + 1
    keyspace.moved += ended * ENDED_BYTES
    return ended


def settles(keyspace: Keyspace, db: int, keys: Iterable[bytes], now_ms: int) -> bool:
    """Whether nothing that is overdue is left in these collections, after some of it was ended."""
    left = ENDED_AT_ONCE
    for key in keys:
        ended = settle(keyspace, db, key, now_ms)
        if ended < 0 or ended > left:
            return False
        left -= ended
    return True


def may_begin(keyspace: Keyspace, db: int, command: Command, argv: list[bytes], now_ms: int) -> bool:
    """Whether a fast path can look at its collections: what it finds there has not ended."""
    if not keyspace.families.crowds and (len(argv) <= KEYS_UNASKED_MAX or not keyspace.families.found):
        return True
    return settles(keyspace, db, keys_of(command, argv), now_ms)


def queued_may_begin(keyspace: Keyspace, db: int, commands: Iterable[Queued], now_ms: int) -> bool:
    """The same for a transaction, all of which is run at one moment."""
    if not keyspace.families.crowds:
        return True
    for command, argv in commands:
        if command.name == b"select" and len(argv) == 2:
            number = parse_uint(argv[1])
            db = number if number is not None and number < DATABASES else db
        elif command.key_specs and not settles(keyspace, db, keys_of(command, argv), now_ms):
            return False
    return True
