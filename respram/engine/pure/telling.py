"""Long replies in slices. The twin of native/telling.c; engine/telling.py has the contract."""

from respram.engine.pure import family, order
from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.ranks import digits_of
from respram.engine.pure.reads import bulk
from respram.engine.telling import TELL_NAMES, TELL_VALUES, Piece, RankedPiece

LOOKED_AT_ONCE = 128  # members of one slice, and their look-ups in other sets: some 0.2 ms
SHARDS = 256  # sets that share the hashes: of a million, each holds 4,000, freed in 0.1 ms


class PureTold:
    """Hashes of names, which take less than names; in small sets, which are freed one after the other."""

    def __init__(self) -> None:
        self.shards: list[set[int]] = [set() for _ in range(SHARDS)]

    def is_first(self, name: bytes) -> bool:
        mark = hash(name)
        marks = self.shards[mark % SHARDS]
        if mark in marks:
            return False
        marks.add(mark)
        return True

    def forget(self) -> bool:
        if self.shards:
            self.shards.pop()
        return bool(self.shards)


def tell_members(
    keyspace: Keyspace, told: PureTold, db: int, key: bytes, cursor: int, parts: int, others: list[bytes], among: bool,
    now_ms: int,
) -> Piece:  # fmt: skip
    step = family.members(keyspace, db, key, cursor, max(LOOKED_AT_ONCE // (1 + len(others)), 1), now_ms)
    pieces: list[bytes] = []
    count = 0
    for one in step.members:
        if not told.is_first(one.name):
            continue
        if not all((family.member(keyspace, db, other, one.name, now_ms) is not None) is among for other in others):
            continue
        if parts & TELL_NAMES:
            pieces.append(bulk(one.name))
        if parts & TELL_VALUES:
            pieces.append(bulk(one.value))
        count += 1
    return Piece(step.cursor, count, b"".join(pieces))


def tell_ranked(
    keyspace: Keyspace, db: int, key: bytes, start: int, most: int, downwards: bool, scores: bool, proto: int,
    now_ms: int,
) -> RankedPiece:  # fmt: skip
    items = order.ranked(keyspace, db, key, start, min(most, LOOKED_AT_ONCE), downwards, now_ms) if most > 0 else []
    pieces = (_with_score(name, score, proto) if scores else bulk(name) for score, name in items)
    return RankedPiece(len(items), b"".join(pieces), items[-1] if items else None)


def _with_score(name: bytes, score: float, proto: int) -> bytes:
    if proto == 3:
        return b"*2\r\n%b,%b\r\n" % (bulk(name), digits_of(score))
    return bulk(name) + bulk(digits_of(score))
