"""`respram snapshot expire DIR`: forgets, for a node that is stopped, what has ended since.

A running node destroys keys on time. A stopped one cannot: with a key file, `keys.ring` and the segments beside it would open values past
their deadlines. This does for the directory what the node would do, once; a timer does it again and again.

    without the key file   segments whose bucket is over are removed; so is the ring file where no segment is left
    with it                their keys leave the ring file, too; and segments whose bucket has begun are written anew without the values that
                           are over, under fresh keys

Files and keys are exchanged in the order of a node's own snapshot: at every moment there is a version on the disk whose key is there.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from respram.errors import ConfigError, PeerError
from respram.record import MARKS, Record, pack, unpack
from respram.server import snapshot_files as files
from respram.snapshot.keys import KEY_BYTES, RING_BYTES_MAX, SALT_BYTES, Entry, id_of, lock_ring, unlock_ring
from respram.snapshot.segment import FRAME_BYTES, HEADER, MAGIC, Header, Sealer, Unreadable
from respram.stamp import from_ms

FRAME_BYTES_MAX = 1 << 31  # nobody asks for less memory here: a segment is read by frames as they are
OWNER = slice(len(MAGIC) + 10, len(MAGIC) + 26)  # of a header


@dataclass(slots=True)
class Done:
    segments: int = 0  # that were there
    removed: int = 0  # their bucket is over
    rewritten: int = 0
    values: int = 0  # that left with rewriting
    keys: int = 0  # destroyed in the ring file
    kept: int = 0
    doubtful: int = 0  # begun, and not written anew: values in them may be over
    ring_is_locked: bool = False  # there is a ring file, and no secret was given
    next_ms: int = 0  # when the next bucket ends; 0: nothing is left


def expire(folder: Path, secret: str, now_ms: int) -> Done:
    """BlockingIOError: a node uses the directory, and forgets by itself. ConfigError: it cannot be done."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no directory; name that of --snapshot-dir")
    claim = files.claim(folder)
    try:
        return _expire(folder, secret, now_ms)
    finally:
        files.release(claim)


def _expire(folder: Path, secret: str, now_ms: int) -> Done:
    done = Done()
    content = files.read_ring(folder, RING_BYTES_MAX)
    done.ring_is_locked = bool(content) and not secret
    for owner in _owners(folder):
        found, _ = files.look(folder, owner)
        keys, extra = _keys(content, secret, owner)
        done.segments += len(found)
        living = [one for one in found if one.header.bucket.end_ms > now_ms]
        over = [one for one in found if one.header.bucket.end_ms <= now_ms]
        fresh: dict[bytes, Entry] = {}  # by the key that it replaces
        parts: list[Path] = []
        for one in living:
            entry = keys.get(one.header.key_id)
            if one.header.bucket.start_ms > now_ms:
                continue
            made = None if entry is None else _rewrite(one, entry, now_ms, done)
            if made is None and content:  # without a ring file nobody on this machine has a key
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
        done.kept += len(living)
        ends = [one.header.bucket.end_ms for one in living] + ([done.next_ms] if done.next_ms else [])
        done.next_ms = min(ends, default=0)
    if content and not done.kept and not _owners(folder):
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


def _keys(content: bytes, secret: str, owner: bytes) -> tuple[dict[bytes, Entry], bytes]:
    if not content or not secret:
        return {}, b""
    try:
        entries, extra = unlock_ring(secret, owner, content)
    except (ValueError, PeerError) as error:
        raise ConfigError(f"{files.RING} cannot be opened with that key file: {error}") from None
    return {entry.id: entry for entry in entries}, extra


def _write_ring(folder: Path, secret: str, owner: bytes, entries: list[Entry], extra: bytes) -> None:
    files.replace(folder / files.RING, lock_ring(secret, secrets.token_bytes(SALT_BYTES), owner, entries, extra))


def _part(one: files.Found, made: Entry) -> Path:
    return one.path.with_name(files.name_of(one.header.bucket, made.id) + files.PART)


def _rewrite(one: files.Found, entry: Entry, now_ms: int, done: Done) -> Entry | None:
    """The segment without what is over, as a part file; its old key where nothing is; None where it cannot be read whole."""
    values = 0
    pieces: list[bytes] = []
    try:
        for record in _records(one, bytes(entry.key)):
            if record.value is None and not record.kind or record.deadline_ms > now_ms:
                pieces.append(pack(record))
                continue
            values += 1
            if record.shadow_ms > now_ms:  # it still outranks what is older
                if record.kind:  # what it took with it; a stub has no end that would say so
                    ended = max(record.clock, from_ms(record.deadline_ms))
                    pieces.append(pack(Record(MARKS + record.db, record.key, None, ended, record.node, 0, record.shadow_ms)))
                pieces.append(pack(replace(record, value=None, seal=None, kind=0)))
    except (Unreadable, OSError, PeerError):
        return None
    if not values:
        return entry
    key = secrets.token_bytes(KEY_BYTES)
    made = Entry(id_of(key), one.header.bucket.end_ms, key)
    sealer = Sealer(Header(one.header.bucket, one.header.owner, made.id, now_ms), key)
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


def _records(one: files.Found, key: bytes) -> Iterator[Record]:
    for payload in files.read(one, key, FRAME_BYTES_MAX):
        yield from unpack(payload)
