"""What a majority decides, and lives longer by it: all of a majority remember the end before anybody has the record.

A decision that reached a minority, and was not accepted, can be outranked by what the majority decides next. If that
ends first, nobody would know of it any more, and the older decision would come up by gossip until its own deadline. So
where a command has prolonged the life of a string, the majority first accepts the *old* record with a shadow up to the
new end (record.py): whatever is decided about the key from then on is remembered for so long. Only then the new record
is made, and accepted like any other.

A shadow that is an eighth of the life longer than needed spares most decisions the second exchange: a limiter whose
every call prolongs its counter takes it eight times a life. What was not there before needs none: if it comes up late,
it has been decided late.
"""

from collections.abc import Iterable
from dataclasses import replace

from respram.record import DATABASES, HEADER, Record, pack, unpack

SPARE = 8  # the shadow passes the new end by this part of the new life

Pair = tuple[Record, Record]  # what a key held right before a run, and behind it


def prolonged(before: Iterable[bytes], after: Iterable[bytes]) -> list[Pair]:
    """The strings that live longer than all who hold their old records remember. Both arguments are packed records."""
    old = {(one.db, one.key): one for packed in before for one in unpack(packed) if _is_string(one)}
    found = []
    for packed in after if old else ():
        for new in unpack(packed):
            held = old.get((new.db, new.key))
            if held is not None and _is_string(new) and new.deadline_ms > max(held.deadline_ms, held.shadow_ms):
                found.append((held, new))
    return found


def reserved(pair: Pair, clock: int, node: int, now_ms: int) -> Record:
    """The old record under a new stamp: who holds it remembers the key's stamps for as long as the new one may live."""
    old, new = pair
    return replace(
        old, clock=clock, node=node, shadow_ms=new.deadline_ms + (new.deadline_ms - now_ms) // SPARE
    )


def decided(pair: Pair, clock: int, node: int, shadow_ms: int) -> Record:
    _, new = pair
    return replace(new, clock=clock, node=node, shadow_ms=max(new.shadow_ms, shadow_ms))


def stamp_of(packed: bytes) -> tuple[int, int]:
    """(0, 0): there is nothing."""
    return HEADER.unpack_from(packed)[4:6] if packed else (0, 0)


def packed_all(records: Iterable[Record]) -> bytes:
    return b"".join(map(pack, records))


def _is_string(record: Record) -> bool:
    return record.value is not None and not record.kind and record.db < DATABASES
