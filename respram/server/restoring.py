"""Restoring: this node's own segments of an earlier boot, read back through the engine's merge.

Merging makes it safe whatever the files hold: what has passed its deadline is refused, what is older than what is here
changes nothing, and a file that opens late is merged late. Keys come from the ring file, where there is a key file, or
from the peers, whose first message after HELLO they are. What is still locked after some seconds waits until its bucket
has passed; meanwhile the node takes from its peers what it lacks.

Each kind of file that is of no use gets one line, with how many and the first names.
"""

import asyncio
from collections.abc import Iterator

from respram.errors import PeerError
from respram.gossip.links import split
from respram.server import clock, logs
from respram.server import snapshot_files as files
from respram.server.snapshots import Snapshots
from respram.snapshot.keys import RING_BYTES_MAX, unlock_ring
from respram.snapshot.segment import Unreadable

FRAME_SPARE_BYTES = 1 << 20  # of a frame beside a key and a value of the greatest size
READ_BYTES = 256 << 10  # of records that are decrypted ahead
PATIENCE_S = 10.0  # for keys, while there is no peer yet
QUIET_S = 1.0  # a peer is linked, and no key came for so long
POLL_S = 0.02
MERGE_BYTES, SLICE_RECORDS = 32 << 10, 2_000  # merged at a time by an engine that looks at so many records in 5 ms
NAMES_SHOWN = 4


async def restore(snapshots: Snapshots, may_have_peers: bool) -> None:
    """All that can be restored now. The driver is told, once it is there, whatever came of it."""
    began_us = clock.micros()
    await _look(snapshots)
    await _open_ring(snapshots)
    await unlock(snapshots)
    begun_s = changed_s = snapshots.loop.time()
    while may_have_peers and (snapshots.locked or snapshots.driver is None):
        await asyncio.sleep(POLL_S)
        now_s = snapshots.loop.time()
        if await unlock(snapshots) or not _linked(snapshots):
            changed_s = now_s
        if snapshots.driver is not None and (now_s - changed_s > QUIET_S or now_s - begun_s > PATIENCE_S):
            break
    snapshots.restoring = False
    if snapshots.restored_files or snapshots.locked:
        took_ms = (clock.micros() - began_us) // 1000
        snapshots.log(
            f"event=snapshot_restored files={snapshots.restored_files} records={snapshots.restored_records} "
            f"locked={len(snapshots.locked)} took_ms={took_ms}"
        )
    if snapshots.driver is not None:
        snapshots.driver.restored(snapshots.restored_records)


def _linked(snapshots: Snapshots) -> bool:
    return snapshots.driver is not None and bool(snapshots.driver.replica.core.neighbours.greeted())


async def _look(snapshots: Snapshots) -> None:
    try:
        found, bad = await snapshots.in_thread(files.look, snapshots.folder, snapshots.owner)
    except OSError as error:
        snapshots.log(f"event=snapshot_unreadable why={error.strerror!r}")
        return
    now_ms = clock.now_ms()
    stale = [one for one in found if one.header.bucket.end_ms <= now_ms]
    await snapshots.in_thread(files.remove, [one.path for one in stale])
    bad += [(one.path.name, "stale") for one in stale]
    for reason in sorted({reason for _, reason in bad}):
        _tell(snapshots, reason, [name for name, why in bad if why == reason])
    snapshots.unusable_files = len(bad)
    snapshots.locked = {one.header.key_id: one for one in found if one.header.bucket.end_ms > now_ms}


def _tell(snapshots: Snapshots, reason: str, names: list[str]) -> None:
    shown = ",".join(ascii(name)[1:-1] for name in names[:NAMES_SHOWN])
    more = ",..." if len(names) > NAMES_SHOWN else ""
    snapshots.log(f"event=snapshot_{reason} files={len(names)} names={shown}{more}")


async def _open_ring(snapshots: Snapshots) -> None:
    if not snapshots.config.snapshot_key:
        return
    try:
        content = await snapshots.in_thread(files.read_ring, snapshots.folder, RING_BYTES_MAX)
        if not content:
            return
        entries, seals = unlock_ring(snapshots.config.snapshot_key, snapshots.owner, content)
        if snapshots.seals is not None:
            snapshots.seals.learn(seals, clock.now_ms())
    except (OSError, ValueError, PeerError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        snapshots.log(f"event=snapshot_ring_unreadable why={why!r}")
        return
    now_ms = clock.now_ms()
    for entry in entries:
        if entry.end_ms > now_ms:
            snapshots.ring.add(entry)


async def unlock(snapshots: Snapshots) -> int:
    """Reads the files whose keys are there, soonest to end first. How many."""
    seals = snapshots.seals.version if snapshots.seals is not None else 0
    ready = [
        one for id, one in snapshots.locked.items()
        if snapshots.ring.get(id) is not None and snapshots.tried.get(id) != seals
    ]  # fmt: skip
    for found in sorted(ready, key=lambda one: one.header.bucket.end_ms):
        del snapshots.locked[found.header.key_id]
        if await _load(snapshots, found):
            snapshots.locked[found.header.key_id] = found
            snapshots.tried[found.header.key_id] = seals
    return len(ready)


async def _load(snapshots: Snapshots, found: files.Found) -> bool:
    """True: some values are sealed with keys that are not here yet; it is to be read again once there are more."""
    key = snapshots.ring.get(found.header.key_id)
    assert key is not None
    frame_bytes_max = 2 * snapshots.config.limits.bulk_bytes_max + FRAME_SPARE_BYTES
    frames = files.read(found, bytes(key), frame_bytes_max)
    merge_bytes = MERGE_BYTES * snapshots.engine.slice_records // SLICE_RECORDS
    strange = 0
    while True:
        payloads, fault = await snapshots.in_thread(_some, frames)
        for payload in (part for whole in payloads for part in split(whole, merge_bytes)):
            merged = snapshots.engine.merge(payload, clock.now_ms())
            snapshots.restored_records += merged.new
            strange += merged.strange
            await asyncio.sleep(0)
        if fault:
            snapshots.unusable_files += 1
            logs.logger.info("event=snapshot_%s files=1 names=%s", fault, found.path.name)
        if fault or not payloads:
            break
    if not strange:
        snapshots.loaded.append(found)
        snapshots.restored_files += 1
    return strange > 0


def _some(frames: Iterator[bytes]) -> tuple[list[bytes], str]:
    """The next frames, and why there are no more where that is a fault. In the thread."""
    payloads: list[bytes] = []
    size = 0
    try:
        for payload in frames:
            payloads.append(payload)
            size += len(payload)
            if size >= READ_BYTES:
                break
    except Unreadable as error:
        return payloads, str(error)
    except OSError:
        return payloads, "unreadable"
    return payloads, ""
