"""`respram snapshot expire DIR`: destroys expired data of a stopped node.

A running node destroys keys on time. A stopped one cannot: with a key file, `keys.ring` and the segments beside it
would open values past their deadlines. This does for the directory what the node would do, once; a timer does it again
and again.

    without the key file   segments whose bucket is over are removed; so is the ring file where no segment is left
    with it                their keys leave the ring file, too; and segments with values that are over are written anew
                           without them, under fresh keys. All are read for that: a value that was given a shorter life
                           lies in the bucket of its first end, and a member is over with its collection

Files and keys are exchanged in the order of a node's own snapshot: at every moment there is a version on the disk whose
key is there.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from respram.errors import ConfigError, PeerError
from respram.record import DATABASES, MARKS, Record, is_member, key_of, pack, unpack
from respram.server import snapshot_files as files
from respram.snapshot.keys import (
    KEY_BYTES,
    PROOF_BYTES,
    RING_BYTES_MAX,
    SALT_BYTES,
    SegmentKey,
    commitment_to,
    lock_ring,
    segment_key,
    unlock_ring,
)
from respram.snapshot.segment import FRAME_BYTES, HEADER, MAGIC, Header, Sealer, Unreadable
from respram.stamp import from_ms

Ended = dict[tuple[int, bytes], int]  # collections by database and key: the clock up to which their members have ended
Tell = Callable[[int], None]

PASSES = 2  # over a segment: first for collections, then for values
FRAME_BYTES_MAX = 1 << 31  # a memory limit is not needed here: a segment is read frame by frame
OWNER = slice(len(MAGIC) + 10, len(MAGIC) + 26)  # of a header


@dataclass(slots=True)
class Done:
    segments: int = 0  # segments found
    removed: int = 0  # segments whose bucket has ended
    rewritten: int = 0
    values: int = 0  # values left out when segments were rewritten
    keys: int = 0  # keys destroyed in the ring file
    left: int = 0
    doubtful: int = 0  # segments that could not be rewritten in time: they may hold ended values
    ring_is_locked: bool = False  # there is a ring file, and no secret was given
    next_ms: int = 0  # end of the next bucket; 0: nothing is left


def expire(folder: Path, secret: str, now_ms: int, tell: Tell = lambda size: None) -> Done:
    """BlockingIOError: a node uses the directory, and forgets by itself. ConfigError: it cannot be done. `tell` hears
    of bytes that were read; each segment is read at most PASSES times.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a directory; name the directory of --snapshot-dir")
    claim = files.claim(folder)
    try:
        return _expire(folder, secret, now_ms, tell)
    finally:
        files.release(claim)


def _expire(folder: Path, secret: str, now_ms: int, tell: Tell) -> Done:
    done = Done()
    content = files.read_ring(folder, RING_BYTES_MAX)
    done.ring_is_locked = bool(content) and not secret
    for owner in _owners(folder):
        found, _ = files.look(folder, owner)
        keys, extra = _keys(content, secret, owner)
        done.segments += len(found)
        living = [one for one in found if one.header.bucket.end_ms > now_ms]
        over = [one for one in found if one.header.bucket.end_ms <= now_ms]
        ended = _ended(found, keys, now_ms, tell)
        fresh: dict[bytes, SegmentKey] = {}  # new key of a segment by the key that it replaces
        parts: list[Path] = []
        for one in living:
            entry = keys.get(one.header.key_id)
            if entry is None and one.header.bucket.start_ms > now_ms:
                continue
            made = None if entry is None else _rewrite(one, entry, now_ms, ended, done, tell)
            if made is None and content:  # without a ring file no key is on this machine
                done.doubtful += 1
            elif made is not None and made.id != one.header.key_id:
                fresh[one.header.key_id] = made
                parts.append(_part(one, made))
        needed = {one.header.key_id for one in living}
        before = [keys[id] for id in needed if id in keys]
        if keys and fresh:
            _write_ring(folder, secret, owner, [*before, *fresh.values()], extra)
            files.rename(folder, parts)
        files.remove([*(one.path for one in over), *(one.path for one in living if one.header.key_id in fresh)])
        files.sync([folder])
        if keys:
            left = [fresh.get(entry.id, entry) for entry in before]
            done.keys += len(keys) - len(before) + len(fresh)
            _write_ring(folder, secret, owner, left, extra if living else b"")
        done.removed += len(over)
        done.rewritten += len(fresh)
        done.left += len(living)
        ends = [one.header.bucket.end_ms for one in living] + ([done.next_ms] if done.next_ms else [])
        done.next_ms = min(ends, default=0)
    if content and not done.left and not _owners(folder):
        files.remove([folder / files.RING])
        files.sync([folder])
        done.ring_is_locked = False
    return done


def _owners(folder: Path) -> list[bytes]:
    """Of the segments: networks and enclaves. A directory has one, unless somebody has put files together."""
    owners = set()
    for path in sorted(folder.glob("*.segment"))[: files.FILES_MAX]:
        with path.open("rb") as file:
            head = file.read(HEADER.size)
        if head.startswith(MAGIC) and len(head) == HEADER.size:
            owners.add(head[OWNER])
    return sorted(owners)


def _keys(content: bytes, secret: str, owner: bytes) -> tuple[dict[bytes, SegmentKey], bytes]:
    if not content or not secret:
        return {}, b""
    try:
        entries, extra = unlock_ring(secret, owner, content)
    except (ValueError, PeerError) as error:
        raise ConfigError(f"{files.RING} cannot be opened with that key file: {error}") from None
    return {entry.id: entry for entry in entries}, extra


def _write_ring(folder: Path, secret: str, owner: bytes, entries: list[SegmentKey], extra: bytes) -> None:
    files.replace(folder / files.RING, lock_ring(secret, secrets.token_bytes(SALT_BYTES), owner, entries, extra))


def _part(one: files.Found, made: SegmentKey) -> Path:
    return one.path.with_name(files.name_of(one.header.bucket, made.id) + files.PART)


def _ended(found: list[files.Found], keys: dict[bytes, SegmentKey], now_ms: int, tell: Tell) -> Ended:
    """A member ends with its collection, whatever its own end: so the head, or a mark, has to be known first. It may
    lie in another file.
    """
    ended: Ended = {}
    for one in found:
        entry = keys.get(one.header.key_id)
        if entry is None:
            continue
        try:
            for record in _records(one, bytes(entry.key), tell):
                is_head = bool(record.kind) and record.deadline_ms <= now_ms
                if is_head or MARKS <= record.db < MARKS + DATABASES:
                    name = (record.db % DATABASES, record.key)
                    clock = max(record.clock, from_ms(record.deadline_ms)) if is_head else record.clock
                    ended[name] = max(ended.get(name, 0), clock)
        except (Unreadable, OSError, PeerError):
            continue
    return ended


def _is_over(record: Record, ended: Ended, now_ms: int) -> bool:
    if record.value is None and not record.kind:
        return False
    if record.deadline_ms <= now_ms:
        return True
    return is_member(record.db) and record.clock <= ended.get((record.db % DATABASES, key_of(record.key)), -1)


def _rewrite(
    one: files.Found, entry: SegmentKey, now_ms: int, ended: Ended, done: Done, tell: Tell
) -> SegmentKey | None:
    """The segment without what is over, as a part file; its old key where nothing is; None where it cannot be read
    whole.
    """
    values = 0
    pieces: list[bytes] = []
    try:
        for record in _records(one, bytes(entry.key), tell):
            if not _is_over(record, ended, now_ms):
                pieces.append(pack(record))
                continue
            values += 1
            if record.deadline_ms > now_ms:  # a member that ended with its collection: a running node stores it too
                pieces.append(pack(replace(record, value=None, seal=None)))
            elif record.shadow_ms > now_ms:  # it still outranks older records
                if record.kind:  # it carries the end of its members; a stub has no deadline for that
                    clock = max(record.clock, from_ms(record.deadline_ms))
                    pieces.append(
                        pack(Record(MARKS + record.db, record.key, None, clock, record.node, 0, record.shadow_ms))
                    )
                pieces.append(pack(replace(record, value=None, seal=None, kind=0)))
    except (Unreadable, OSError, PeerError):
        return None
    if not values:
        return entry
    key, proof = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(PROOF_BYTES)
    made = segment_key(one.header.bucket.end_ms, key, commitment_to(proof))
    sealer = Sealer(Header(one.header.bucket, one.header.owner, made.id, now_ms, proof), key)
    path, data, pending = _part(one, made), [sealer.header], b""
    for piece in pieces:
        pending += piece
        if len(pending) >= FRAME_BYTES:
            data.append(sealer.frame(pending, last=False))
            pending = b""
    data.append(sealer.frame(pending, last=True))
    files.append([(path, b"".join(data))])
    files.sync([path])
    done.values += values
    return made


def _records(one: files.Found, key: bytes, tell: Tell) -> Iterator[Record]:
    for payload in files.read(one, key, FRAME_BYTES_MAX):
        tell(len(payload))
        yield from unpack(payload)
