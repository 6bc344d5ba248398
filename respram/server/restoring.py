"""Restores this node's segments of an earlier start, through the engine's merge.

The merge makes this safe whatever the files hold: it refuses records that have passed their deadlines, and an older
record changes nothing. So a file can also be merged late, when its key arrives late. The keys of segments come from the
ring file, if the node has a key file for it, or from peers, which send them right after HELLO. A segment whose key has
not come after some seconds stays locked until its bucket has passed; the node gets those records from its peers.

Of files that cannot be used, the log has one line for each reason, with their number and the first names.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from respram.commands.node import Log
from respram.config.settings import Config
from respram.engine.api import Engine, Merged
from respram.errors import PeerError
from respram.gossip.agreement import cut_to
from respram.gossip.policy import Terms
from respram.record import pack, split
from respram.replica import VALUE_BYTES_MAX
from respram.seal import Ring
from respram.server import clock, logs
from respram.server import snapshot_files as files
from respram.server.driver import Driver
from respram.snapshot.keys import RING_BYTES_MAX, SegmentKeys, unlock_ring
from respram.snapshot.segment import Unreadable

FRAME_SPARE_BYTES = 1 << 20  # of a frame besides the longest key and value
READ_BYTES = 256 << 10  # of records that the thread decrypts at a time
PATIENCE_S = 10.0  # the longest wait for keys from peers
QUIET_S = 1.0  # the wait ends earlier when a peer is linked and no key has arrived for this long
POLL_S = 0.02
MERGE_BYTES, SLICE_RECORDS = 32 << 10, 2_000  # merged at a time by an engine that visits this many records in 5 ms
NAMES_SHOWN = 4

T = TypeVar("T")


class Restored(NamedTuple):
    """The result of reading a file, or the directory."""

    records: int = 0
    read: files.Found | None = None  # complete; no longer needed once its records are written again
    unusable: int = 0  # files that can never be read


class Earlier:
    """The segments of an earlier boot that are not read yet."""

    def __init__(
        self, config: Config, engine: Engine, owner: bytes, keys: SegmentKeys, seal_ring: Ring | None,
        in_thread: "Callable[..., asyncio.Future[Any]]", log: Log, number: int,
    ) -> None:  # fmt: skip
        self.config = config
        self.engine = engine
        self.folder = Path(config.snapshot_dir)
        self.owner = owner
        self.keys = keys
        self.seal_ring = seal_ring
        self.in_thread = in_thread
        self.log = log
        self.number = number  # of this boot
        # Files that are not read yet, by the id of their key: it has not come, or the file is being read.
        self.locked: dict[bytes, files.Found] = {}
        self.all_bytes = self.read_bytes = 0  # of the files found, and of the part that was read
        self.ring_is_open = False  # until then the ring file must not be overwritten: it may hold the only copy of keys
        self.ring_fault = ""  # why the ring file gave no keys
        # Values sealed with unknown keys, and the state of the seals at the last attempt.
        self._tried: dict[bytes, int] = {}

    async def restore(self, may_have_peers: bool, driver: Callable[[], Driver | None]) -> AsyncIterator[Restored]:
        """Restores what can be restored now. If peers may have keys, it waits for them, within bounds."""
        yield Restored(unusable=await self._look())
        await self._open_ring()
        self.ring_is_open = True
        async for one in self.unlock():
            yield one
        loop = asyncio.get_running_loop()
        begun_s = changed_s = loop.time()
        while may_have_peers and (self.locked or driver() is None):
            await asyncio.sleep(POLL_S)
            now_s = loop.time()
            if not _linked(driver()):
                changed_s = now_s
            async for one in self.unlock():
                changed_s = now_s
                yield one
            if driver() is not None and (now_s - changed_s > QUIET_S or now_s - begun_s > PATIENCE_S):
                break

    async def unlock(self) -> AsyncIterator[Restored]:
        """Reads the files whose keys are there, soonest to end first."""
        version = self.seal_ring.version if self.seal_ring is not None else 0
        ready = [
            one for id, one in self.locked.items() if self.keys.get(id) is not None and self._tried.get(id) != version
        ]
        for found in sorted(ready, key=lambda one: one.header.bucket.end_ms):
            yield await self._load(found, version)

    def tell_locked(self) -> None:
        """Logs one warning after restoring that names the segments whose keys are missing."""
        locked = sorted(self.locked.values(), key=lambda one: one.header.bucket.end_ms)
        if not locked:
            return
        why = self.ring_fault or "nobody has given their keys yet"
        shown = ",".join(one.path.name for one in locked[:NAMES_SHOWN]) + (",..." if len(locked) > NAMES_SHOWN else "")
        first, last = _spell(locked[0].header.bucket.start_ms), _spell(locked[-1].header.bucket.end_ms)
        self.log(
            f"event=snapshot_locked why='{why}' files={len(locked)} bytes={sum(one.size for one in locked)} "
            f"keys_that_end={first}..{last} names={shown}",
            logs.WARNING,
        )

    def forget(self, now_ms: int) -> list[Path]:
        """Removes files whose buckets have passed."""
        past = [one for one in self.locked.values() if one.header.bucket.end_ms <= now_ms]
        for one in past:
            del self.locked[one.header.key_id]
        return [one.path for one in past]

    async def _look(self) -> int:
        """Lists the directory, and removes files whose buckets have passed. Returns how many files cannot be used."""
        try:
            found, bad = await self.in_thread(files.look, self.folder, self.owner)
        except OSError as error:
            self.log(f"event=snapshot_unreadable why={error.strerror!r}")
            return 0
        now_ms = clock.now_ms()
        stale = [one for one in found if one.header.bucket.end_ms <= now_ms]
        await self.in_thread(files.remove, [one.path for one in stale])
        bad += [(one.path.name, "stale") for one in stale]
        for reason in sorted({reason for _, reason in bad}):
            self._tell(reason, [name for name, why in bad if why == reason])
        self.locked = {one.header.key_id: one for one in found if one.header.bucket.end_ms > now_ms}
        self.all_bytes = sum(one.size for one in self.locked.values())
        self.keys.wanted = set(self.locked)
        return len(bad)

    def _tell(self, reason: str, names: list[str]) -> None:
        shown = ",".join(ascii(name)[1:-1] for name in names[:NAMES_SHOWN])
        more = ",..." if len(names) > NAMES_SHOWN else ""
        self.log(f"event=snapshot_{reason} files={len(names)} names={shown}{more}")

    async def _open_ring(self) -> None:
        if not self.config.snapshot_key:
            return
        try:
            content = await self.in_thread(files.read_ring, self.folder, RING_BYTES_MAX)
            if not content:
                self.ring_fault = f"{files.RING} is missing or empty"
                return
            entries, seals = unlock_ring(self.config.snapshot_key, self.owner, content)
            if self.seal_ring is not None:
                self.seal_ring.learn(seals, clock.now_ms())
        except (OSError, ValueError, PeerError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self.ring_fault = f"{files.RING}: {why}"
            return
        now_ms = clock.now_ms()
        for entry in entries:
            if entry.end_ms > now_ms:
                self.keys.add(entry)

    async def _load(self, found: files.Found, version: int) -> Restored:
        """Reads one file and merges it. If some values are sealed with keys that are not here yet, the file stays in
        `locked`, and is read again when there are more seal keys.
        """
        key = self.keys.get(found.header.key_id)
        assert key is not None
        # A file may hold values that are longer than today's limit: they were written before it was lowered.
        frames = files.read(found, bytes(key), VALUE_BYTES_MAX + FRAME_SPARE_BYTES)
        merge_bytes = MERGE_BYTES * self.engine.slice_records // SLICE_RECORDS
        records = strange = 0
        while True:
            payloads, fault = await self.in_thread(_some, frames)
            self.read_bytes += sum(map(len, payloads))
            for payload in (part for whole in payloads for part in split(whole, merge_bytes)):
                merged = self._merge(payload)
                records += merged.new
                strange += merged.strange
                await asyncio.sleep(0)
            if fault:
                self._tell(fault, [found.path.name])
            if fault or not payloads:
                break
        if strange:
            self._tried[found.header.key_id] = version
            return Restored(records, unusable=bool(fault))
        self.locked.pop(found.header.key_id, None)  # its bucket may have ended in the meantime
        return Restored(records, found, bool(fault))

    def _merge(self, payload: bytes) -> Merged:
        """Merges records. Those that exceed a limit which was lowered since they were written are cut to it, as records
        from peers are.
        """
        now_ms = clock.now_ms()
        merged = self.engine.merge(payload, now_ms)
        if not merged.refused:
            return merged
        terms = Terms(self.config.max_ttl_s * 1000, self.config.limits.bulk_bytes_max, False)
        cuts = b"".join(map(pack, cut_to(terms, payload, self.number, now_ms, self.config.limits.clock_offset_ms_max)))
        again = self.engine.merge(cuts, now_ms)
        return merged._replace(new=merged.new + again.new, refused=merged.refused - again.new - again.known)


def _spell(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _linked(driver: Driver | None) -> bool:
    return driver is not None and bool(driver.replica.core.neighbours.greeted())


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
