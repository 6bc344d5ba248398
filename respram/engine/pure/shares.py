"""Counters that several nodes count at once, and how two versions of one merge. The twin of native/shares.c.

A counter begins with an *epoch*: the stamp of the string that was counted first, or of the stub of what was there, or
zeros where nothing was known. Its *base* is the number that was there. Each node's start that counts adds to a *share*
of its own, which nobody else writes; the clock of a share is that of its owner's last count. The counter is the base
and all shares together.

Of two versions the higher epoch wins as a whole. In one epoch each share is the one with the higher clock, and the
deadline the one that was set later. That is a join: it commutes, is associative and idempotent. Where the join is
neither of the two versions, or one of them with the lower stamp, it is written here with a fresh stamp and sent on, so
that a stamp still says all that is in a record, and digests, filters and snapshots know nothing of counters.

A plain value is its own epoch: it replaces what was counted before it, and what others counted meanwhile without
having seen it. Texts, stubs and collections are merged by stamp alone. docs/decisions/0206 has the reasons.
"""

from functools import partial
from itertools import pairwise
from typing import NamedTuple

from respram.engine.pure.keyspace import Keyspace
from respram.engine.pure.record import Row
from respram.integers import INT64_MAX, INT64_MIN, parse_int
from respram.record import COUNTER, DATABASES, DIGITS_MAX, SHARE, SHARES_MAX, Record, Seal
from respram.stamp import advance

Stamp = tuple[int, int]


class Share(NamedTuple):
    node: int
    clock: int
    sum: int


class Counter(NamedTuple):
    epoch: Stamp
    base: int
    timed: int  # the clock of who set the deadline
    shares: tuple[Share, ...]  # by node

    @property
    def exact(self) -> int:
        return self.base + sum(share.sum for share in self.shares)

    @property
    def total(self) -> int:
        """What is read: two sides of a cut can have counted more than fits."""
        return min(max(self.exact, INT64_MIN), INT64_MAX)


class Timed(NamedTuple):
    """A counter and its life, as versions of it are merged."""

    counter: Counter
    deadline_ms: int
    implicit: bool


# -- the law -------------------------------------------------------------------------------------------
def join(one: Timed, other: Timed) -> Timed:
    if one.counter.epoch != other.counter.epoch:
        return max(one, other, key=lambda version: version.counter.epoch)
    later = max(one, other, key=lambda version: (version.counter.timed, version.deadline_ms, version.implicit))
    shares: dict[int, Share] = {}
    for share in (*one.counter.shares, *other.counter.shares):
        known = shares.get(share.node)
        if known is None or share[1:] > known[1:]:
            shares[share.node] = share
    joined = Counter(
        one.counter.epoch, max(one.counter.base, other.counter.base), later.counter.timed,
        tuple(shares[node] for node in sorted(shares)),
    )  # fmt: skip
    return Timed(joined, later.deadline_ms, later.implicit)


def counted(before: Counter, step: int, stamp: Stamp, timed: int) -> Counter:
    """One more count of this node. Where its share has no room, all that is known here begins a new epoch."""
    shares = {share.node: share for share in before.shares}
    known = shares.get(stamp[1])
    total = (0 if known is None else known.sum) + step
    if (known is None and len(shares) >= SHARES_MAX) or not INT64_MIN <= total <= INT64_MAX:
        return folded(before._replace(timed=timed), stamp, step)
    shares[stamp[1]] = Share(stamp[1], stamp[0], total)
    return Counter(before.epoch, before.base, timed, tuple(shares[node] for node in sorted(shares)))


def folded(counter: Counter, stamp: Stamp, step: int = 0) -> Counter:
    total = min(max(counter.exact + step, INT64_MIN), INT64_MAX)
    return Counter(stamp, total, counter.timed, ())


# -- as bytes, behind the digits -----------------------------------------------------------------------
def pack_counter(counter: Counter) -> bytes:
    head = COUNTER.pack(*counter.epoch, counter.base, counter.timed)
    return head + b"".join(SHARE.pack(*share) for share in counter.shares)


def unpack_counter(digits: bytes, shares: bytes, stamp: Stamp) -> Counter | None:
    """A counter of this version; a plain integer is one without shares. None: it is no integer."""
    number = parse_int(digits)
    if number is None:
        return None
    if shares:
        clock, node, base, timed = COUNTER.unpack_from(shares)
        those = tuple(map(Share._make, SHARE.iter_unpack(shares[COUNTER.size :])))
        counter = Counter((clock, node), base, timed, those)
        if _is_plausible(counter, number, stamp):
            return counter
    return Counter(stamp, number, stamp[0], ())


def _is_plausible(counter: Counter, number: int, stamp: Stamp) -> bool:
    """No peer makes another: its clocks would outrank all counts to come, or its sum be another than what is read."""
    nodes = [share.node for share in counter.shares]
    return (
        counter.total == number
        and counter.epoch <= stamp
        and counter.timed <= stamp[0]
        and all(share.clock <= stamp[0] for share in counter.shares)
        and all(one < other for one, other in pairwise(nodes))
    )


# -- counting ------------------------------------------------------------------------------------------
def begin(keyspace: Keyspace) -> None:
    keyspace.retime_counter = partial(retime, keyspace)


def add(
    keyspace: Keyspace, db: int, key: bytes, step: int, deadline_ms: int, implicit: bool, now_ms: int, event: bytes
) -> int:
    row = keyspace.row(db, key, now_ms)
    if not keyspace.converges:
        number = 0 if row is None else parse_int(keyspace.read(row))
        assert number is not None, "the caller has looked at it"
        keyspace.store(db, key, b"%d" % (number + step), deadline_ms, implicit, now_ms, event)
        return number + step
    found = keyspace.found(db, key)
    stamp = advance(keyspace.clock, now_ms, 0 if found is None else found.clock), keyspace.settings.node
    if row is not None:
        before = _of_row(keyspace, row)
        assert before is not None, "the caller has looked at it"
        timed = before.timed if (deadline_ms, implicit) == (row.deadline_ms, row.implicit) else stamp[0]
    else:
        is_known = found is not None and max(found.deadline_ms, found.shadow_ms) > now_ms
        before = Counter((found.clock, found.node) if is_known and found is not None else (0, 0), 0, stamp[0], ())
        timed = stamp[0]
    counter = counted(before, step, stamp, timed)
    _store(keyspace, db, key, counter, deadline_ms, implicit, now_ms, event)
    return counter.total


def retime(keyspace: Keyspace, row: Row, deadline_ms: int, implicit: bool, now_ms: int, event: bytes) -> None:
    counter = _of_row(keyspace, row)
    clock = advance(keyspace.clock, now_ms, row.clock)
    if counter is None:  # a peer's, that is none
        assert row.value is not None
        keyspace.moved += len(row.value)
        keyspace.put(row.db, row.key, row.value, row.seal, deadline_ms, implicit, now_ms, event)
    else:
        _store(keyspace, row.db, row.key, counter._replace(timed=clock), deadline_ms, implicit, now_ms, event)


def _store(
    keyspace: Keyspace, db: int, key: bytes, counter: Counter, deadline_ms: int, implicit: bool, now_ms: int,
    event: bytes,
) -> None:  # fmt: skip
    value, shares, seal = _sealed(keyspace, counter)
    keyspace.moved += len(value)
    keyspace.put(db, key, value, seal, deadline_ms, implicit, now_ms, event, 0, shares)


def _sealed(keyspace: Keyspace, counter: Counter) -> tuple[bytes, bytes, Seal | None]:
    digits = b"%d" % counter.total
    sealed, seal = keyspace.sealed(0, digits + pack_counter(counter))
    return sealed[: len(digits)], sealed[len(digits) :], seal


def _opened(keyspace: Keyspace, value: bytes, shares: bytes, seal: Seal | None) -> tuple[bytes, bytes]:
    if seal is None:
        return value, shares
    assert keyspace.seals is not None
    opened = keyspace.seals.open(value + shares, seal)
    return opened[: len(value)], opened[len(value) :]


def _of_row(keyspace: Keyspace, row: Row) -> Counter | None:
    if row.value is None or len(row.value) > DIGITS_MAX:
        return None
    return unpack_counter(*_opened(keyspace, row.value, row.shares, row.seal), (row.clock, row.node))


def _of_record(keyspace: Keyspace, record: Record) -> Counter | None:
    if record.value is None or len(record.value) > DIGITS_MAX:
        return None
    return unpack_counter(*_opened(keyspace, record.value, record.shares, record.seal), record.stamp)


# -- merging -------------------------------------------------------------------------------------------
def meet(keyspace: Keyspace, record: Record, row: Row | None, now_ms: int) -> bool:
    """Whether these two are to be joined, and not merged by stamp: both live, and at least one of them with shares."""
    return (
        row is not None
        and row.value is not None
        and record.value is not None
        and bool(row.shares or record.shares)
        and keyspace.converges
        and record.db < DATABASES
        and not row.kind
        and not record.kind
        and (row.clock, row.node) != record.stamp
        and min(row.deadline_ms, record.deadline_ms) > now_ms
    )


def merge(keyspace: Keyspace, record: Record, row: Row, now_ms: int) -> bool:
    """Joins two versions that meet. False: the one with the higher stamp is all of it, and is to be merged as such."""
    mine, theirs = _of_row(keyspace, row), _of_record(keyspace, record)
    ours, stamp = (row.clock, row.node), record.stamp
    if mine is None or theirs is None:
        return False  # a text has no epoch: under a fresh stamp it would win over what replaced it
    here, there = Timed(mine, row.deadline_ms, row.implicit), Timed(theirs, record.deadline_ms, record.implicit)
    joined = join(here, there)
    if joined == (here if ours > stamp else there):
        return False
    # As early as it may be: what has replaced both, or let go of both, is later.
    clock = max(row.clock, record.clock) + 1
    counter = joined.counter
    if len(counter.shares) > SHARES_MAX:
        counter = folded(counter, (clock, keyspace.settings.node))
    value, shares, seal = _sealed(keyspace, counter)
    _write(keyspace, record, row, value, shares, seal, clock, joined.deadline_ms, joined.implicit, now_ms)
    return True


def _write(
    keyspace: Keyspace, record: Record, row: Row, value: bytes, shares: bytes, seal: Seal | None, clock: int,
    deadline_ms: int, implicit: bool, now_ms: int,
) -> None:  # fmt: skip
    """What became of both replaces both, under a fresh stamp."""
    last_ms = max(row.deadline_ms, row.shadow_ms, record.deadline_ms, record.shadow_ms)
    shadow_ms = last_ms if last_ms > deadline_ms else 0
    keyspace.clock, node = max(keyspace.clock, clock), keyspace.settings.node
    keyspace.write(
        row, row.db, row.key, value, seal, clock, node, deadline_ms, shadow_ms, implicit, now_ms, 0, shares
    )  # fmt: skip
    keyspace.counters_merged += 1
    if keyspace.outbox.bytes_max:
        keyspace.outbox.add(row.db, row.key, len(row.key) + len(value) + len(shares))
