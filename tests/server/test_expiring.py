"""What a stopped node's directory holds past its time is destroyed, and nothing else."""

import asyncio
from pathlib import Path

import pytest

from respram.errors import ConfigError
from respram.record import HASH, Record, member_key, pack, unpack
from respram.server import clock
from respram.server import snapshot_files as files
from respram.server.expiring import expire
from respram.snapshot.keys import unlock_ring
from respram.snapshot.segment import owner_of
from respram.stamp import from_ms
from tests.engine.conftest import ENGINES
from tests.server.test_snapshots import SECRET, Bench, run

OWNER = owner_of("respram", "default")


async def stopped(folder: Path, kind: str, *lives_ms: int) -> int:
    """A node with a key of each of these lives, stopped; the time."""
    bench = Bench(folder, kind, sealed=True)
    for life_ms in lives_ms:
        bench.set(b"k%d" % life_ms, life_ms)
    await bench.snapshots.write()
    await bench.close()
    return clock.now_ms()


async def restarted(folder: Path, kind: str, now_ms: int, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms)
    bench = Bench(folder, kind, sealed=True)
    await bench.start()
    return bench


def ring_ids(folder: Path) -> set[bytes]:
    content = files.read_ring(folder, 1 << 20)
    return {entry.id for entry in unlock_ring(SECRET, OWNER, content)[0]} if content else set()


@pytest.mark.parametrize("kind", ENGINES)
def test_what_is_over_goes_with_its_keys_and_what_is_not_can_be_restored(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(folder: Path) -> None:
        now_ms = await stopped(folder, kind, 100_000, 400_000, 6_000_000)
        old = {path.name: path.read_bytes() for path in folder.glob("*.segment")}
        ring = files.read_ring(folder, 1 << 20)
        assert len(old) == 3 == len(ring_ids(folder))
        done = expire(folder, SECRET, now_ms + 1)
        assert (done.removed, done.keys, done.left) == (0, 0, 3) and done.next_ms > now_ms + 100_000
        done = expire(folder, SECRET, now_ms + 600_000)
        assert (done.segments, done.removed, done.keys, done.left, done.ring_is_locked) == (3, 2, 2, 1, False)
        assert len(ring_ids(folder)) == 1 and files.read_ring(folder, 1 << 20) != ring
        for name, content in old.items():  # an old copy of the segments is of no use beside the new ring
            (folder / name).write_bytes(content)
        bench = await restarted(folder, kind, now_ms + 50_000, monkeypatch)
        assert (
            bench.get(b"k6000000") == b"plain-marker"
            and bench.get(b"k100000") is None
            and bench.get(b"k400000") is None
        )
        await bench.close()

    run(main, tmp_path)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_value_that_is_over_leaves_a_segment_that_is_not(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far buckets are wide: of two values in one, the first is over long before the second."""
    async def main(folder: Path) -> None:
        day_ms = 86_400_000
        now_ms = await stopped(folder, kind, *(day_ms * number for number in range(10, 31)))
        before = ring_ids(folder)
        done = expire(folder, SECRET, now_ms + 20 * day_ms)
        assert done.rewritten == 1 and done.values >= 1 and done.doubtful == 0 and done.removed >= 2
        assert len(ring_ids(folder) - before) == 1, "under a fresh key"
        assert not list(folder.glob("*.part")) and len(list(folder.glob("*.segment"))) == done.left
        assert expire(folder, SECRET, now_ms + 20 * day_ms).rewritten == 0
        # by a clock that was set back: the files are as they are
        bench = await restarted(folder, kind, now_ms + day_ms, monkeypatch)
        held = {number for number in range(10, 31) if bench.get(b"k%d" % (day_ms * number))}
        assert held == set(range(21, 31)), held
        await bench.close()

    run(main, tmp_path)


@pytest.mark.parametrize("kind", ENGINES)
def test_a_collection_that_is_over_leaves_what_keeps_its_members_away(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its life was shortened while a peer was away, who still has all of it for longer."""
    async def main(folder: Path) -> None:
        day_ms, now_ms = 86_400_000, clock.now_ms()
        bench = Bench(folder, kind, sealed=True)
        bench.engine.found(0, b"h", HASH, now_ms + 30 * day_ms, False, now_ms)
        assert bench.engine.put_member(0, b"h", b"f", b"old", None, now_ms)
        away = bench.engine.dump(0, 1 << 20, now_ms).payload
        bench.engine.retime(0, b"h", now_ms + 11 * day_ms, False, now_ms + 1, b"expire")
        # younger than its head
        assert bench.engine.put_member(0, b"h", b"late", b"old", now_ms + 30 * day_ms, now_ms + 2)
        away += bench.engine.dump(0, 1 << 20, now_ms + 2).payload
        assert sorted(record.db for record in unpack(away)) == [0, 0, 16, 16, 16]
        unseen = Record(16, member_key(b"h", b"unseen"), b"old", from_ms(now_ms + 3), 9, now_ms + 30 * day_ms)
        away += pack(unseen)  # by a third node, which this one never heard of
        bench.set(b"k%d" % now_ms, 30 * day_ms)  # its segment is not over
        await bench.snapshots.write()
        await bench.close()
        done = expire(folder, SECRET, now_ms + 12 * day_ms)
        assert (done.rewritten, done.values, done.doubtful) == (1, 3, 0), "the head's value and those of its members"
        bench = await restarted(folder, kind, now_ms + 12 * day_ms, monkeypatch)
        engine = bench.engine
        assert engine.peek(0, b"h", now_ms + 12 * day_ms) is None and bench.get(b"k%d" % now_ms) == b"plain-marker"
        engine.merge(away, now_ms + 12 * day_ms)
        assert engine.peek(0, b"h", now_ms + 12 * day_ms) is None, "an older head came back"
        held = [record.value for packed in engine.records(16) for record in unpack(packed)]
        assert held == [None] * 3, "a member of what is over was taken back"
        engine.found(0, b"h", HASH, now_ms + 20 * day_ms, True, now_ms + 12 * day_ms)
        assert engine.put_member(0, b"h", b"g", b"new", None, now_ms + 12 * day_ms)
        names = {one.name for one in engine.members(0, b"h", 0, 100, now_ms + 12 * day_ms).members}
        assert names == {b"g"}, "a member of what is over belongs to what was begun behind it"
        await bench.close()

    run(main, tmp_path)


def test_without_the_secret_files_go_and_the_report_says_what_stays(tmp_path: Path) -> None:
    async def main(folder: Path) -> None:
        now_ms = await stopped(folder, "pure", 100_000, 6_000_000)
        done = expire(folder, "", now_ms + 600_000)
        assert (done.removed, done.keys, done.left, done.ring_is_locked) == (1, 0, 1, True)
        done = expire(folder, "", now_ms + 60_000_000)
        assert (done.removed, done.left, done.ring_is_locked, done.next_ms) == (1, 0, False, 0)
        assert not (folder / files.RING).exists(), "where nothing is left, neither is the ring"

    run(main, tmp_path)


def test_a_directory_in_use_a_wrong_secret_and_no_directory(tmp_path: Path) -> None:
    async def main(folder: Path) -> None:
        now_ms = await stopped(folder, "pure", 100_000)
        stored = sorted(folder.iterdir())
        with pytest.raises(ConfigError, match="cannot be opened with that key file"):
            expire(folder, "w" * 43, now_ms + 600_000)
        assert sorted(folder.iterdir()) == stored
        bench = Bench(folder)
        with pytest.raises(BlockingIOError):
            expire(folder, SECRET, now_ms)
        await bench.close()
        with pytest.raises(ConfigError, match="not a directory"):
            expire(folder / "none", SECRET, now_ms)

    asyncio.run(main(tmp_path))
