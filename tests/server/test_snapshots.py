"""Snapshots in one process: which buckets are written, what becomes of keys and files, and what a broken disk costs."""

import asyncio
import errno
from collections.abc import Callable, Coroutine
from pathlib import Path
from secrets import randbits, token_bytes
from typing import Any

import pytest

from respram.config.settings import Config
from respram.engine import make
from respram.seal import RING_BYTES
from respram.seal import Ring as SealRing
from respram.server import clock, logs
from respram.server import snapshot_files as files
from respram.server.snapshots import Snapshots
from respram.snapshot.keys import commitment_to, lock_ring, segment_key, unlock_ring

SECRET = "k" * 43


class Bench:
    """An engine, a directory, and snapshots of the one in the other."""

    def __init__(self, folder: Path, kind: str = "pure", sealed: bool = False) -> None:
        self.folder, self.kind, self.sealed = folder, kind, sealed
        self.config = Config(snapshot_dir=str(folder), snapshot_key=SECRET, engine=kind)
        self.engine = make(kind, self.config.engine_settings(randbits(64), b"s" * 16, 5))
        self.engine.track(7)
        self.lines: list[str] = []
        self.seals = SealRing(bytearray(RING_BYTES), token_bytes(32), clock.now_ms()) if sealed else None
        if self.seals is not None:
            self.engine.use_seals(self.seals, True)
        self.snapshots = Snapshots(self.config, self.engine, asyncio.get_running_loop(), self.log, self.seals)

    def log(self, line: str, level: int = logs.INFO, /) -> None:
        self.lines.append(f"{'WARNING ' if level == logs.WARNING else ''}{line}")

    def set(self, key: bytes, life_ms: int, value: bytes = b"plain-marker") -> None:
        now_ms = clock.now_ms()
        self.engine.store(0, key, value, now_ms + life_ms, False, now_ms, b"set")

    def get(self, key: bytes) -> bytes | None:
        entry = self.engine.lookup(0, key, clock.now_ms())
        return None if entry is None else entry.value

    def segments(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.glob("*.segment")}

    async def start(self) -> None:
        """As the node does, until what an earlier boot left is restored."""
        self.snapshots.start()
        while self.snapshots.restoring:
            await asyncio.sleep(0.001)

    async def close(self) -> None:
        await self.snapshots.stop(0)


@pytest.fixture(params=["pure", "native"])
def kind(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


def run(test: Callable[[Path], Coroutine[Any, Any, None]], folder: Path) -> None:
    asyncio.run(test(folder))


def passes(monkeypatch: pytest.MonkeyPatch, time_ms: int) -> None:
    """So much time, at once."""
    before = clock.now_ms
    monkeypatch.setattr(clock, "now_ms", lambda: before() + time_ms)


async def reborn(bench: Bench) -> Bench:
    """The next boot on the same directory."""
    await bench.close()
    after = Bench(bench.folder, bench.kind, bench.sealed)
    await after.snapshots.restore()
    return after


@pytest.mark.parametrize("sealed", [False, True])
def test_everything_comes_back_and_nothing_lies_open_on_the_disk(tmp_path: Path, kind: str, sealed: bool) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder, kind, sealed)
        for number in range(3_000):
            bench.set(b"k%d" % number, 30_000 + number * 3_000)
        bench.set(b"large", 100_000, b"x" * 300_000)
        for length in (65_535, 65_536):  # the lengths up to which 16 bits tell them, and beyond (decision 0247)
            bench.set(b"k" * length, 100_000, b"x" * length)
        before = sorted(bench.engine.records(0))
        await bench.snapshots.write()
        files_ = bench.segments()
        assert len(files_) > 20 and not any(b"plain-marker" in data or b"xxxxxxxx" in data for data in files_.values())
        after = await reborn(bench)
        assert sorted(after.engine.records(0)) == before and after.snapshots.restored_records == 3_003
        assert after.get(b"k7") == b"plain-marker" and after.get(b"large") == b"x" * 300_000
        await after.close()

    run(main, tmp_path)


def test_only_buckets_that_changed_are_written_anew_under_fresh_keys(tmp_path: Path) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder)
        bench.set(b"a", 200_000)
        bench.set(b"b", 600_000)
        await bench.snapshots.write()
        before = bench.segments()
        await bench.snapshots.write()
        assert bench.segments() == before and bench.snapshots.last_segments == 0
        bench.set(b"b", 600_000, b"another")
        await bench.snapshots.write()
        after = bench.segments()
        assert len(before) == len(after) == 2 and len(before.keys() & after.keys()) == 1
        assert len(bench.snapshots.keys) == 2, "the key of the older version is destroyed"
        await bench.close()

    run(main, tmp_path)


class Moving:
    """An engine in which something happens just before the first step of a walk."""

    def __init__(self, engine: Any, happens: Callable[[], None]) -> None:
        self.engine, self.happens, self.walks = engine, happens, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def dump(self, point: int, wanted_bytes: int, now_ms: int) -> Any:
        self.walks += point == 0
        if point == 0 and self.walks == 1:
            self.happens()
        return self.engine.dump(point, wanted_bytes, now_ms)


@pytest.mark.parametrize("longer_ms", [0, 2_000_000, 3_000_000], ids=["no", "bucket with a file", "bucket without"])
def test_a_record_that_gets_a_longer_life_during_the_walk_is_on_the_disk_afterwards(
    tmp_path: Path, kind: str, longer_ms: int
) -> None:
    """It had left the bucket that is written anew, for one that is not, and a node that was killed then lost it."""

    async def main(folder: Path) -> None:
        bench = Bench(folder, kind)
        bench.set(b"kept", 200_000)
        bench.set(b"other", 2_000_000)
        await bench.snapshots.write()
        bench.set(b"new", 200_000)
        happens = (lambda: bench.set(b"kept", longer_ms)) if longer_ms else (lambda: None)
        moving = Moving(bench.engine, happens)
        bench.snapshots.engine = moving
        await bench.snapshots.write()
        copied = folder.with_name("killed")
        copied.mkdir(mode=0o700)
        for path in folder.iterdir():
            if path.suffix != ".lock" and path.name != "lock":
                (copied / path.name).write_bytes(path.read_bytes())
        again = Bench(copied, kind)
        await again.snapshots.restore()
        for name in (b"kept", b"other", b"new"):
            assert again.get(name) == b"plain-marker", name
        assert moving.walks == 1 + bool(longer_ms), "a second walk is for what moved alone"
        await again.close()
        await bench.close()

    run(main, tmp_path / "node")


def test_a_value_that_dies_before_its_bucket_is_not_kept_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder)
        bench.set(b"a", 3_000_000)
        bench.set(b"a", 60_000, b"short")  # its shadow is the bucket's
        await bench.snapshots.write()
        (older,) = bench.segments()
        passes(monkeypatch, 60_000)
        bench.engine.expire(clock.now_ms(), 10)
        await bench.snapshots.write()
        (newer,) = bench.segments()
        assert older != newer and len(bench.snapshots.keys) == 1
        await bench.close()

    run(main, tmp_path)


def test_a_bucket_that_has_passed_takes_key_and_file_with_it(tmp_path: Path) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder)
        bench.set(b"a", 10_000)
        bench.set(b"b", 1_000_000)
        await bench.snapshots.write()
        stored, key_ids = bench.segments(), [held.key_id for held in bench.snapshots.current.values()]
        await bench.snapshots.forget(clock.now_ms() + 100_000)
        assert len(stored) == 2 and len(bench.segments()) == 1
        assert sum(bench.snapshots.keys.get(id) is not None for id in key_ids) == 1
        entries, _ = unlock_ring(SECRET, bench.snapshots.owner, files.read_ring(folder, 1 << 20))
        assert len(entries) == 1, "the ring file forgets with it"
        await bench.close()

    run(main, tmp_path)


def test_what_is_empty_or_from_before_goes_once_all_is_written_anew(tmp_path: Path) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder)
        bench.set(b"a", 1_000_000)
        await bench.snapshots.write()
        first = set(bench.segments())
        after = await reborn(bench)
        assert set(after.segments()) == first and after.get(b"a")
        await after.snapshots.write()
        second = set(after.segments())
        assert len(second) == 1 and not second & first
        last = await reborn(after)
        assert last.get(b"a")
        await last.close()

    run(main, tmp_path)


def test_a_record_that_has_expired_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder)
        bench.set(b"a", 30_000)
        bench.set(b"b", 6_000_000)
        await bench.snapshots.write()
        passes(monkeypatch, 45_000)
        after = await reborn(bench)
        assert after.get(b"a") is None and after.get(b"b") and after.engine.count(0, 0) == 1
        await after.close()

    run(main, tmp_path)


def test_a_full_disk_stops_snapshots_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder)
        bench.set(b"a", 1_000_000)
        await bench.snapshots.write()
        before, real = bench.segments(), files.append

        def full(pieces: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        bench.set(b"b", 1_000_000)
        monkeypatch.setattr(files, "append", full)
        await bench.snapshots.write()
        assert bench.lines == ["WARNING event=snapshot_failed why=no_space_left_on_device"]
        assert dict(bench.snapshots.facts())["snapshot_status"] == "no_space_left_on_device"
        assert bench.segments() == before and len(bench.snapshots.keys) == 1 and not list(folder.glob("*.part"))
        monkeypatch.setattr(files, "append", real)
        await bench.snapshots.write()
        assert bench.lines[1:] == ["event=snapshot_recovered"] and bench.snapshots.failure == ""
        after = await reborn(bench)
        assert after.get(b"a") and after.get(b"b")
        await after.close()

    run(main, tmp_path)


@pytest.mark.parametrize("step", ["sync", "rename", "replace"])
def test_whichever_step_fails_what_was_there_stays_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder)
        bench.set(b"a", 1_000_000)
        await bench.snapshots.write()
        bench.set(b"a", 1_000_000, b"newer")
        real = getattr(files, step)

        def broken(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(files, step, broken)
        await bench.snapshots.write()
        monkeypatch.setattr(files, step, real)
        assert bench.snapshots.failure == "input/output_error"
        after = await reborn(bench)
        assert after.get(b"a") == b"plain-marker"
        await after.close()

    run(main, tmp_path)


def test_the_last_snapshot_is_written_at_the_stop_as_far_as_time_allows(tmp_path: Path, kind: str) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder, kind)

        for number in range(2_000):
            bench.set(b"k%d" % number, 30_000 + number * 300)
        await bench.start()
        before = sorted(bench.engine.records(0))
        await bench.snapshots.stop(asyncio.get_running_loop().time() + 20)
        after = Bench(folder, kind)
        await after.start()
        assert sorted(after.engine.records(0)) == before
        after.set(b"late", 500_000)
        await after.snapshots.stop(asyncio.get_running_loop().time() - 1)
        assert any("snapshot_cut_short" in line for line in after.lines)

    run(main, tmp_path)


def test_a_last_snapshot_that_is_cut_amid_a_step_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was silent: on a machine without time to spare a node left 30,000 keys behind, and its log did not say so."""

    async def hang(self: Snapshots, end_s: float | None = None) -> bool:
        await asyncio.Event().wait()
        return True

    async def main(folder: Path) -> None:
        bench = Bench(folder)
        bench.set(b"k", 30_000)
        await bench.start()
        monkeypatch.setattr(Snapshots, "write", hang)
        assert not await bench.snapshots.stop(asyncio.get_running_loop().time() - 1)
        assert any("event=snapshot_cut_short segments_left=unknown" in line for line in bench.lines)

    run(main, tmp_path)


def test_values_under_a_seal_that_is_not_here_yet_are_read_again_when_it_is(tmp_path: Path) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder, sealed=True)
        bench.set(b"a", 1_000_000)
        await bench.snapshots.write()
        assert bench.seals is not None
        keys = bench.seals.export()
        content = files.read_ring(folder, 1 << 20)
        entries, seals = unlock_ring(SECRET, bench.snapshots.owner, content)
        assert seals == keys
        await bench.close()
        files.replace(folder / files.RING, lock_ring(SECRET, b"s" * 32, bench.snapshots.owner, entries))
        after = Bench(folder, sealed=True)
        await after.snapshots.restore()
        assert after.get(b"a") is None and len(after.snapshots.earlier.locked) == 1
        assert await after.snapshots.unlock() == 0, "nothing has changed"
        assert after.seals is not None and after.seals.learn(keys, clock.now_ms()) == 1
        assert await after.snapshots.unlock() == 1
        assert after.get(b"a") == b"plain-marker" and not after.snapshots.earlier.locked
        await after.close()

    run(main, tmp_path)


def test_the_bucket_that_is_passing_is_left_alone_until_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a node whose records end all the time would walk over all of them at every interval."""
    async def main(folder: Path) -> None:
        bench = Bench(folder)
        now_ms = (clock.now_ms() >> 16 << 16) + 1_000  # both keys are to lie in the present bucket
        monkeypatch.setattr(clock, "now_ms", lambda: now_ms)
        bench.set(b"a", 600)
        bench.set(b"b", 40_000)
        await bench.snapshots.write()
        before = bench.segments()
        now_ms += 3_000
        bench.engine.expire(now_ms, 10)
        await bench.snapshots.write()
        assert bench.segments() == before and len(before) == 1 and bench.snapshots.last_segments == 0
        await bench.snapshots.write(asyncio.get_running_loop().time() + 20)
        assert bench.snapshots.last_segments == 1 and bench.segments() != before
        await bench.close()

    run(main, tmp_path)


def test_a_bug_is_reported_and_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(folder: Path) -> None:
        bench, bugs = Bench(folder), []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context["exception"]))

        async def broken() -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(bench.snapshots, "restore", broken)
        bench.snapshots.start()
        while not bugs:
            await asyncio.sleep(0)
        assert isinstance(bugs[0], RuntimeError) and dict(bench.snapshots.facts())["snapshot_status"] == "bug"
        await bench.close()

    run(main, tmp_path)


def test_a_ring_that_a_peer_has_filled_holds_up_no_snapshot_and_a_key_without_room_fails_it_loudly(
    tmp_path: Path,
) -> None:
    async def main(folder: Path) -> None:
        bench = Bench(folder)
        ring = bench.snapshots.keys
        ring.keys_max = 4
        for number in range(10):
            ring.add(segment_key(clock.now_ms() + 1_000_000, b"%032d" % number, commitment_to(b"p" * 32)), teller=7)
        bench.set(b"a", 1_000_000)
        await bench.snapshots.write()
        assert bench.snapshots.failure == "" and dict(bench.snapshots.facts())["snapshot_status"] == "ok"
        stored = bench.segments()
        ring.keys_max = 0
        bench.set(b"b", 6_000_000)
        await bench.snapshots.write()
        assert dict(bench.snapshots.facts())["snapshot_status"] == "no_room_for_a_key"
        assert bench.segments() == stored, "what was there before is left alone"
        ring.keys_max = 4
        await bench.snapshots.write()
        assert dict(bench.snapshots.facts())["snapshot_status"] == "ok"
        after = await reborn(bench)
        assert after.get(b"a") and after.get(b"b")
        await after.close()

    run(main, tmp_path)
