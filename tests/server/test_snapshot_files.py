"""The directory: what is ours in it, what is written whole or not at all, and what breaks off."""

import subprocess
import sys
from pathlib import Path

import pytest

from respram.server import snapshot_files as files
from respram.snapshot.buckets import Bucket
from respram.snapshot.segment import Header, Sealer, Unreadable, owner_of
from tests.live import SOON_S

OWNER = owner_of("respram", "default")
KEY = b"k" * 32


def segment(
    folder: Path, number: int = 26_000_000, parts: tuple[bytes, ...] = (b"one", b"two"), owner: bytes = OWNER
) -> Path:
    header = Header(Bucket(16, number), owner, b"%016d" % number, 1, b"p" * 32)
    sealer = Sealer(header, KEY)
    data = sealer.header + b"".join(sealer.frame(part, last=part == parts[-1]) for part in parts)
    path = folder / files.name_of(header.bucket, header.key_id)
    path.write_bytes(data)
    return path


def test_a_directory_is_made_for_its_owner_and_claimed_by_one_process(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    files.claim(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    probe = f"import pathlib; from respram.server.snapshot_files import claim; claim(pathlib.Path({str(folder)!r}))"
    refused = subprocess.run([sys.executable, "-c", probe], capture_output=True, timeout=SOON_S)
    assert refused.returncode == 1 and b"BlockingIOError" in refused.stderr


def test_what_is_found_is_ours_and_the_rest_is_named_or_left_alone(tmp_path: Path) -> None:
    good = segment(tmp_path)
    foreign = segment(tmp_path, 26_000_001, owner=owner_of("respram", "blue"))
    (tmp_path / "cut.segment").write_bytes(good.read_bytes()[:20])
    (tmp_path / "alien.segment").write_bytes(b"something else entirely")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "notes.txt.part").write_text("mine too")
    (tmp_path / (good.name + files.PART)).write_bytes(b"left over")
    (tmp_path / (files.RING + files.PART)).write_bytes(b"left over")
    found, bad = files.look(tmp_path, OWNER)
    assert [one.path for one in found] == [good] and found[0].size == good.stat().st_size
    assert sorted(bad) == sorted(
        [("cut.segment", "truncated"), ("alien.segment", "foreign"), (foreign.name, "foreign")]
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [good.name, foreign.name, "cut.segment", "alien.segment", "notes.txt", "notes.txt.part"]
    )


def test_records_are_read_back_and_a_fault_comes_after_what_is_good(tmp_path: Path) -> None:
    path = segment(tmp_path)
    whole = path.read_bytes()

    def read() -> list[bytes]:
        (found,), _ = files.look(tmp_path, OWNER)
        got: list[bytes] = []
        try:
            for records in files.read(found, KEY, 1 << 20):
                got.append(records)
        except Unreadable as fault:
            got.append(str(fault).encode())
        return got

    assert read() == [b"one", b"two"]
    for data, expected in (
        (whole[:-1], [b"one", b"truncated"]),
        (whole[:-1] + bytes([whole[-1] ^ 1]), [b"one", b"corrupt"]),
        (whole + b"x", [b"one", b"two", b"corrupt"]),
        (whole[:90] + b"\xff\xff\xff\x7f" + whole[94:], [b"corrupt"]),
        (whole[:90] + b"\xff\xff\x0f\x00" + whole[94:], [b"truncated"]),
    ):
        path.write_bytes(data)
        assert read() == expected


def test_another_content_takes_the_place_whole(tmp_path: Path) -> None:
    path = tmp_path / files.RING
    assert files.read_ring(tmp_path, 100) == b""
    for content in (b"first", b"second" * 1_000):
        files.replace(path, content)
        assert files.read_ring(tmp_path, 100_000) == content
        assert [one.name for one in tmp_path.iterdir()] == [files.RING] and path.stat().st_mode & 0o777 == 0o600
    assert len(files.read_ring(tmp_path, 10)) == 11


def test_appended_parts_get_their_names_and_sizes(tmp_path: Path) -> None:
    one, two = tmp_path / ("a" + files.PART), tmp_path / ("b" + files.PART)
    files.append([(one, b"12"), (two, b"3"), (one, b"45")])
    assert files.sync([one, two]) == 5
    files.rename(tmp_path, [one, two])
    assert (tmp_path / "a").read_bytes() == b"1245" and (tmp_path / "b").read_bytes() == b"3"
    files.remove([tmp_path / "a", tmp_path / "missing"])
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_failed_write_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        files.append([(tmp_path / "missing" / "x", b"1")])
