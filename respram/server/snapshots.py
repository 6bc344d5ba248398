"""Writes this node's segments to disk while it runs, and destroys them as their buckets pass.

Every `--snapshot-interval` the engine's digests are compared with those of the segments on disk. Buckets that differ
are written anew, under fresh keys; the others are left alone. Records come out of the engine as a dump, in steps of a
millisecond or two with pauses three times as long between them, so that clients are hardly held up; writing and syncing
happen in a thread. What is written in the meantime makes the bucket differ again: the sums are taken before the walk.
A record that gets a longer life in the meantime may have left its bucket before its turn: buckets that changed during
the walk are written by a second one, before any older version is destroyed (decision 0232).

    part files written and synced -> keys to the peers and the ring file -> renamed -> older versions' keys destroyed

So at every moment there is a version on disk whose key somebody has. A version whose key was destroyed is noise,
whether or not its file could be removed. Keys are destroyed on time even when nothing can be written: to forget comes
first.

A disk that is full, or fails, stops snapshots until it does not, and nothing else. Restoring is in restoring.py.
"""

import asyncio
import errno
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from respram.commands.node import Log
from respram.config.settings import Config
from respram.engine.api import Engine
from respram.engine.filters import RecordFilter
from respram.engine.ids import POINTS
from respram.engine.replication import DONE, GRANULE_SHIFT, Cut, Selection
from respram.errors import ConfigError
from respram.seal import Ring
from respram.server import clock, logs
from respram.server import snapshot_files as files
from respram.server.driver import Driver
from respram.server.restoring import Earlier, Restored
from respram.snapshot import buckets
from respram.snapshot.buckets import Bucket, Sum
from respram.snapshot.keys import (
    KEY_BYTES,
    MADE_HERE,
    PROOF_BYTES,
    SALT_BYTES,
    SegmentKey,
    SegmentKeys,
    commitment_to,
    lock_ring,
    segment_key,
)
from respram.snapshot.segment import FRAME_BYTES, Header, Sealer, owner_of

STEP_BYTES = 32 << 10  # of records in one step of the walk: 1 to 2 ms in the pure engine
PAUSE_SHARE = 3  # pauses are this many times as long as steps
WRITE_BYTES = 1 << 20  # passed to the thread at a time
LOOK_S = 1.0  # interval of the checks for buckets that have ended
URGENT_RECORDS = 2_000  # in one step of the last snapshot, when no client is served any more
URGENT_COMMIT_BYTES = 32 << 20  # of the last snapshot that are committed at a time
LAST_GRACE_S = 0.4  # for the step that is running when the time of the last snapshot is up
ANY_STAMP = (1 << 32) - 1
BUG = "bug"  # `snapshot_status` after a fault: nothing is written any more

T = TypeVar("T")


class Held(NamedTuple):
    """A segment on disk, as this boot wrote it."""

    path: Path
    key_id: bytes
    sum: Sum
    size: int
    stale_ms: int  # when the first value ends that the bucket would outlive; 0: none does
    proof: bytes


class Draft:
    """A segment in the making."""

    __slots__ = ("bucket", "sum", "entry", "part", "sealer", "pending", "stale_ms", "begun", "proof")

    def __init__(self, folder: Path, bucket: Bucket, sum: Sum, owner: bytes, now_ms: int) -> None:
        self.bucket, self.sum = bucket, sum
        self.proof = secrets.token_bytes(PROOF_BYTES)
        key = bytearray(secrets.token_bytes(KEY_BYTES))
        self.entry = segment_key(bucket.end_ms, key, commitment_to(self.proof))
        self.part = folder / (files.name_of(bucket, self.entry.id) + files.PART)
        self.sealer = Sealer(Header(bucket, owner, self.entry.id, now_ms, self.proof), self.entry.key)
        self.pending = bytearray()
        self.stale_ms = 0
        self.begun = False

    def take(self, share: buckets.Share) -> None:
        self.pending += b"".join(share.records)
        for end_ms in share.values_end_ms:
            self.stale_ms = min(self.stale_ms or end_ms, end_ms)

    def frame(self, last: bool) -> bytes:
        """What is pending, encrypted; the header before the first frame."""
        data = self.sealer.frame(self.pending, last)
        self.pending[:] = bytes(len(self.pending))
        self.pending = bytearray()
        head = b"" if self.begun else self.sealer.header
        self.begun = True
        return head + data

    @property
    def final(self) -> Path:
        return self.part.with_name(self.part.name.removesuffix(files.PART))

    def held(self, size: int) -> Held:
        return Held(self.final, self.entry.id, self.sum, size, self.stale_ms, self.proof)


class Snapshots:
    def __init__(
        self, config: Config, engine: Engine, loop: asyncio.AbstractEventLoop, log: Log,
        seal_ring: Ring | None = None, on_restored: Callable[[], None] = lambda: None, number: int = 1,
    ) -> None:  # fmt: skip
        self.config = config
        self.on_restored = on_restored
        self.engine = engine
        self.seal_ring = seal_ring
        self.loop = loop
        self.log = log
        self.folder = Path(config.snapshot_dir)
        self.owner = owner_of(config.network, config.enclave)
        self.keys = SegmentKeys()
        self.driver: Driver | None = None  # set once it runs, if there are peers
        self.current: dict[Bucket, Held] = {}
        self.loaded: list[files.Found] = []  # of an earlier boot: read, and not yet written again
        self.earlier = Earlier(config, self.engine, self.owner, self.keys, seal_ring, self.in_thread, log, number)
        self.restored_records = self.restored_files = self.unusable_files = 0
        self.restoring = True
        self.writing = self.cut_short = False
        self.passes = self.written = 0
        self.last_ms = 0  # Unix time at which the last pass was complete
        self.last_took_ms = self.last_segments = 0
        self.failure = ""
        self._thread = ThreadPoolExecutor(1, "snapshots")
        self._task: asyncio.Task[None] | None = None
        try:
            self._claim = files.claim(self.folder)
        except OSError as error:
            why = "another node uses it" if isinstance(error, BlockingIOError) else error.strerror
            raise ConfigError(f"--snapshot-dir {config.snapshot_dir} cannot be used: {why}") from None

    def in_thread(self, work: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return self.loop.run_in_executor(self._thread, partial(work, *args))

    # -- keeping them up --------------------------------------------------------------------------
    def start(self) -> None:
        """Starts to restore, and then to write."""
        self._task = self.loop.create_task(self._keep())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Reports that the task has ended by a bug; the node goes on without snapshots."""
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self.failure = BUG
            self.loop.call_exception_handler({"exception": fault})
            if self.restoring:
                self._end_restoring()

    async def _keep(self) -> None:
        await self.restore()
        due_ms = clock.now_ms() + self.config.snapshot_interval_s * 1000
        while True:
            await asyncio.sleep(LOOK_S)
            await self.forget(clock.now_ms())
            await self.unlock()
            if clock.now_ms() >= due_ms:
                await self.write()
                due_ms = clock.now_ms() + self.config.snapshot_interval_s * 1000

    async def restore(self) -> None:
        """Restores what an earlier start left, and tells the driver the result once there is a driver."""
        began_us = clock.micros()
        async for one in self.earlier.restore(self.config.has_peers, lambda: self.driver):
            self._take(one)
        if self.restored_files or self.earlier.locked:
            took_ms = (clock.micros() - began_us) // 1000
            self.log(
                f"event=snapshot_restored files={self.restored_files} records={self.restored_records} "
                f"locked={len(self.earlier.locked)} took_ms={took_ms}"
            )
        self.earlier.tell_locked()
        self._end_restoring()

    def _end_restoring(self) -> None:
        self.restoring = False
        if self.driver is not None:
            self.driver.restored(self.restored_records)
        self.on_restored()

    async def unlock(self) -> int:
        """Reads files whose keys came later, and returns how many."""
        count = 0
        async for one in self.earlier.unlock():
            self._take(one)
            count += 1
        return count

    def _take(self, restored: Restored) -> None:
        self.restored_records += restored.records
        self.unusable_files += restored.unusable
        if restored.read is not None:
            self.loaded.append(restored.read)
            self.restored_files += 1

    async def stop(self, end_s: float) -> bool:
        """The last snapshot, as much of it as can be had until then (loop time); False: not all of it. Nobody is served
        any more. What an earlier boot left and is not read yet stays as it is, with its keys: the next boot reads both.
        """
        complete = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if self.earlier.ring_is_open and self.failure != BUG:
                complete = False
                try:
                    async with asyncio.timeout_at(end_s + LAST_GRACE_S):
                        complete = await self.write(end_s)
                except TimeoutError:  # amid a step, which is taken back
                    self.log("event=snapshot_cut_short segments_left=unknown", logs.WARNING)
        self._thread.shutdown(wait=False, cancel_futures=True)
        files.release(self._claim)
        return complete

    async def forget(self, now_ms: int) -> None:
        """Destroys the keys, then the files, of buckets that have passed."""
        self.keys.expire(now_ms)
        past = [bucket for bucket in self.current if bucket.end_ms <= now_ms]
        gone = [self.current.pop(bucket).path for bucket in past]
        gone += [one.path for one in self.loaded if one.header.bucket.end_ms <= now_ms] + self.earlier.forget(now_ms)
        if gone:
            self.loaded = [one for one in self.loaded if one.header.bucket.end_ms > now_ms]
            await self.in_thread(files.remove, gone)
            await self._try(self._write_ring())

    async def write(self, end_s: float | None = None) -> bool:
        """Rewrites everything that differs, and returns whether that was complete. With `end_s` without pauses, and
        until then.
        """
        began_us = clock.micros()
        self.writing, self.cut_short = True, False
        try:
            complete = await self._try(self._pass(end_s))
        finally:
            self.writing = False
        if complete:
            self.passes += 1
            self.last_ms, self.last_took_ms = clock.now_ms(), (clock.micros() - began_us) // 1000
        await self._drop_stale(clock.now_ms())
        return complete and not self.cut_short

    async def _try(self, work: Awaitable[None]) -> bool:
        try:
            await work
        except OSError as error:
            self.failure = (error.strerror or type(error).__name__).lower().replace(" ", "_")
            self.log(f"event=snapshot_failed why={self.failure}", logs.WARNING)
            return False
        if self.failure:
            self.log("event=snapshot_recovered")
            self.failure = ""
        return True

    async def _drop_stale(self, now_ms: int) -> None:
        """Destroys the keys of segments with expired values that could not be rewritten, and so the whole segments."""
        stale = [
            bucket
            for bucket, held in self.current.items()
            if held.stale_ms and held.stale_ms <= now_ms - self._patience_ms
        ]
        if stale:
            await self._try(self._retire([self.current.pop(bucket) for bucket in stale]))

    @property
    def _patience_ms(self) -> int:
        """A pass may take as long as an interval; then it was the disk."""
        return 2000 * self.config.snapshot_interval_s

    # -- one pass ---------------------------------------------------------------------------------
    async def _pass(self, end_s: float | None) -> None:
        now_ms = clock.now_ms()
        edges = buckets.edges_at(now_ms)
        sums = self._sums(edges, now_ms)
        changed = {
            bucket: sum
            for bucket, sum in sums.items()
            if self._differs(bucket, sum, now_ms) and (end_s or not self._passes(bucket, now_ms))
        }
        self.last_segments = len(changed)
        late: Collection[Bucket] = ()
        if end_s is None:
            late = await self._write_dump(changed, edges, now_ms)
        elif not await self._write_urgently(changed, now_ms, end_s):
            left = sum(self._differs(*one, now_ms) for one in changed.items())
            self.log(f"event=snapshot_cut_short segments_left={left}", logs.WARNING)
            self.cut_short = True
            return
        # All living records are in segments of this boot now: older and empty files are useless.
        gone = [self.current.pop(bucket) for bucket in list(self.current) if not (bucket in sums or bucket in late)]
        gone += [Held(one.path, one.header.key_id, Sum(0, 0), 0, 0, one.header.proof) for one in self.loaded]
        self.loaded = []
        if gone:
            await self._retire(gone)

    def _sums(self, edges: buckets.Edges, now_ms: int) -> dict[Bucket, Sum]:
        """Counts and sums of what the engine has, by bucket. `now_ms` as when the pass began."""
        cut = Cut(ANY_STAMP, (now_ms >> GRANULE_SHIFT) - 1)
        return buckets.folded(self.engine.bucket_digests(cut, buckets.DIGEST_SHIFT, now_ms), edges)

    def _differs(self, bucket: Bucket, sum: Sum, now_ms: int) -> bool:
        held = self.current.get(bucket)
        return held is None or held.sum != sum or 0 < held.stale_ms <= now_ms

    def _passes(self, bucket: Bucket, now_ms: int) -> bool:
        """The bucket that is just passing loses records all the time. It is not for that written anew, least of all by
        a walk over everything: what is on disk will do for its last minute, unless a value in it has to go.
        """
        held = self.current.get(bucket)
        return held is not None and bucket.number == now_ms >> bucket.shift and not 0 < held.stale_ms <= now_ms

    async def _write_dump(
        self, changed: dict[Bucket, Sum], edges: buckets.Edges, now_ms: int
    ) -> Collection[Bucket]:
        """Writes these buckets, and returns those that were written besides, for what moved into them meanwhile."""
        if not changed:
            return ()
        drafts: dict[Bucket, Draft] = {}
        try:
            await self._draw(changed, edges, now_ms, drafts)
            # A record whose life was made longer during the walk may have left a bucket of these before its turn, for
            # one that is not among them: it would be in neither.
            late = {
                bucket: sum
                for bucket, sum in self._sums(edges, now_ms).items()
                if bucket not in drafts and self._differs(bucket, sum, now_ms) and not self._passes(bucket, now_ms)
            }
            if late:
                await self._draw(late, edges, now_ms, drafts)
            await self._commit(list(drafts.values()))
        except BaseException:
            self._abandon(drafts.values())
            raise
        return late

    async def _draw(
        self, wanted: dict[Bucket, Sum], edges: buckets.Edges, now_ms: int, drafts: dict[Bucket, Draft]
    ) -> None:
        """Writes the records of these buckets into drafts, in one walk over all records, and adds the drafts."""
        begun = {bucket: Draft(self.folder, bucket, sum, self.owner, now_ms) for bucket, sum in wanted.items()}
        drafts |= begun
        out: list[tuple[Path, bytes]] = []
        size = point = 0
        while point < POINTS:
            began_us = clock.micros()
            found = self.engine.dump(point, STEP_BYTES, now_ms)
            point = found.cursor
            for bucket, share in buckets.scattered(found.payload, edges, begun).items():
                draft = begun[bucket]
                draft.take(share)
                if len(draft.pending) >= FRAME_BYTES:
                    out.append((draft.part, draft.frame(last=False)))
                    size += len(out[-1][1])
            if size >= WRITE_BYTES:
                await self.in_thread(files.append, out)
                out, size = [], 0
            await asyncio.sleep((clock.micros() - began_us) * PAUSE_SHARE / 1e6)
        for draft in begun.values():
            out.append((draft.part, draft.frame(last=True)))
            if len(out) % 8 == 0:
                await asyncio.sleep(0)
        await self.in_thread(files.append, out)

    async def _write_urgently(self, changed: dict[Bucket, Sum], now_ms: int, end_s: float) -> bool:
        """Bucket by bucket, soonest first, made final in groups. False: time was up before the last.

        Values that die before their bucket are not looked for: the next boot writes everything anew.
        """
        drafts: list[Draft] = []
        size = 0
        try:
            for bucket in sorted(changed, key=lambda one: one.end_ms):
                if self.loop.time() > end_s:
                    return False
                draft = Draft(self.folder, bucket, changed[bucket], self.owner, now_ms)
                drafts.append(draft)
                for payload in self._of_bucket(bucket, now_ms):
                    draft.pending += payload
                    await self.in_thread(files.append, [(draft.part, draft.frame(last=False))])
                    size += len(payload)
                await self.in_thread(files.append, [(draft.part, draft.frame(last=True))])
                if size >= URGENT_COMMIT_BYTES:
                    await self._commit(drafts)
                    drafts, size = [], 0
            await self._commit(drafts)
            drafts = []
        finally:
            self._abandon(drafts)
        return True

    def _of_bucket(self, bucket: Bucket, now_ms: int) -> Iterator[bytes]:
        """The records of a bucket, granule by granule. Nothing is written meanwhile, so that the walk misses none."""
        cut = Cut(ANY_STAMP, (now_ms >> GRANULE_SHIFT) - 1)
        selection = Selection(cut, buckets.DIGEST_SHIFT, frozenset(buckets.narrow_numbers(bucket)), 0)
        nothing, cursor = RecordFilter(1, 0), 0
        while cursor != DONE:
            payload, cursor = self.engine.lacking(nothing, selection, cursor, 1 << 62, URGENT_RECORDS)
            if payload:
                yield payload

    def _abandon(self, drafts: Iterable[Draft]) -> None:
        """Removes drafts that did not become final. The thread works in order, so nothing is written after the
        removal."""
        paths: list[Path] = []
        for draft in drafts:
            held = self.current.get(draft.bucket)
            if held is None or held.key_id != draft.entry.id:
                self.keys.drop(draft.entry.id, draft.proof)
                paths += [draft.part, draft.final]
        if paths:
            self._thread.submit(files.remove, paths)

    async def _commit(self, drafts: list[Draft]) -> None:
        """Makes segments final, in place of the earlier versions of their buckets."""
        if not drafts:
            return
        sizes = await self.in_thread(lambda: [files.sync([draft.part]) for draft in drafts])
        entries = [draft.entry for draft in drafts]
        for entry in entries:
            if not self.keys.add(entry, MADE_HERE):
                raise OSError(errno.ENOSPC, "no room for a key")
        await self._write_ring(entries)
        if self.driver is not None:
            self.driver.share_keys(entries, ())
        await self.in_thread(files.rename, self.folder, [draft.part for draft in drafts])
        older = [held for draft in drafts if (held := self.current.get(draft.bucket)) is not None]
        for draft, size in zip(drafts, sizes, strict=True):
            self.current[draft.bucket] = draft.held(size)
            draft.entry.key[:] = bytes(KEY_BYTES)  # type: ignore[index]  # the ring stores a copy of its own
        self.written += len(drafts)
        await self._retire(older)

    async def _retire(self, old: list[Held]) -> None:
        """Destroys versions that are no longer needed; their files are noise from then on."""
        if not old:
            return
        tombstones = [made for held in old if (made := self.keys.drop(held.key_id, held.proof)) is not None]
        if self.driver is not None:
            self.driver.share_keys((), tombstones)
        await self.in_thread(files.remove, [held.path for held in old])
        await self._write_ring()

    async def _write_ring(self, more: list[SegmentKey] = []) -> None:  # noqa: B006 - never changed
        """Writes the keys of this node's own segments, for a restart without peers."""
        if not self.config.snapshot_key:
            return
        ids = [held.key_id for held in self.current.values()] + [entry.id for entry in more]
        ids += [one.header.key_id for one in self.loaded] + list(self.earlier.locked)
        salt = secrets.token_bytes(SALT_BYTES)
        seals = self.seal_ring.export() if self.seal_ring is not None else b""
        content = lock_ring(self.config.snapshot_key, salt, self.owner, self.keys.entries(ids), seals)
        await self.in_thread(files.replace, self.folder / files.RING, content)

    # -- for INFO ---------------------------------------------------------------------------------
    def facts(self) -> list[tuple[str, object]]:
        held = self.current.values()
        return [
            ("snapshot_status", self.failure or "ok"),
            ("snapshot_in_progress", int(self.writing)),
            ("snapshot_restoring", int(self.restoring)),
            ("snapshot_last_time", self.last_ms // 1000),
            ("snapshot_last_took_ms", self.last_took_ms),
            ("snapshot_last_segments", self.last_segments),
            ("snapshot_passes", self.passes),
            ("snapshot_segments_written", self.written),
            ("snapshot_segments", len(held)),
            ("snapshot_records", sum(one.sum.records for one in held)),
            ("snapshot_bytes", sum(one.size for one in held)),
            ("snapshot_keys_held", len(self.keys)),
            ("snapshot_keys_refused", self.keys.refused),
            ("snapshot_restored_records", self.restored_records),
            ("snapshot_restored_files", self.restored_files),
            ("snapshot_locked_files", len(self.earlier.locked)),
            ("snapshot_unusable_files", self.unusable_files),
        ]
