"""The directory of snapshots and the key file: nobody else of the machine may read or replace them."""

import os
import tempfile
from pathlib import Path

import pytest

from respram.errors import ConfigError
from respram.server import snapshot_files as files
from respram.snapshot.buckets import Bucket
from tests.forked import Forked
from tests.live import SOON_S
from tests.ports import reserve

SECRET = "k" * 43


def refused(folder: Path, key_file: Path) -> str:
    """The one line with which a node ends that does not want to begin."""
    words = [
        "--snapshot-dir",
        str(folder),
        "--snapshot-key-file",
        str(key_file),
        "--port",
        str(reserve()),
        "--peer-port",
        str(reserve()),
    ]
    with tempfile.TemporaryFile() as log:
        assert Forked(["serve", *words], os.environ, log).wait(SOON_S) == 2
        log.seek(0)
        said = log.read().decode()
    assert said.count("\n") == 1, said
    return said


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "snapshot.key"
    path.touch(0o600)
    path.write_text(SECRET + "\n")
    return path


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_directory_that_others_may_write_in_is_refused(tmp_path: Path, key_file: Path, mode: int) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    folder.chmod(mode)
    assert f"others may write in it (mode 0{mode:o}); chmod 700 it" in refused(folder, key_file)
    assert not (folder / "lock").exists()


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660])
def test_a_key_file_that_others_may_read_or_write_is_refused(tmp_path: Path, key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    assert f"is open to others (mode 0{mode:o}); chmod 600 it" in refused(tmp_path / "snapshots", key_file)


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path, key_file: Path) -> None:
    folder, target = tmp_path / "snapshots", tmp_path / "elsewhere"
    folder.mkdir(0o700)
    (folder / "lock").symlink_to(target)
    assert "--snapshot-dir" in refused(folder, key_file) and not target.exists()


def test_no_file_of_the_directory_is_read_or_written_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"theirs")
    link = tmp_path / files.RING
    link.symlink_to(target)
    segment = tmp_path / files.name_of(Bucket(16, 1), b"k" * 16)
    segment.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        files.read_ring(tmp_path, 100)
    with pytest.raises(OSError, match="symbolic links"):
        files.append([(segment, b"ours")])
    with pytest.raises(OSError, match="symbolic links"):
        files.sync([segment])
    assert files.look(tmp_path, b"o" * 16) == ([], []) and target.read_bytes() == b"theirs"


def test_a_pipe_in_the_directory_is_not_waited_for(tmp_path: Path) -> None:
    """A node that opened one stopped at no signal."""
    os.mkfifo(tmp_path / files.RING)
    with pytest.raises(OSError, match="regular file"):
        files.read_ring(tmp_path, 100)
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(OSError, match="regular file"):
        files.claim(tmp_path)


def test_what_belongs_to_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "snapshots").mkdir(0o700)
    os.chown(tmp_path / "snapshots", 12_345, -1) if os.geteuid() == 0 else monkeypatch.setattr(
        os, "geteuid", lambda: 12_345
    )
    with pytest.raises(PermissionError, match="belongs to user"):
        files.claim(tmp_path / "snapshots")


def test_a_group_may_read_the_key(tmp_path: Path, key_file: Path) -> None:
    from respram.config.settings import load

    key_file.chmod(0o440)
    given = {"RESPRAM_SNAPSHOT_DIR": str(tmp_path / "s"), "RESPRAM_SNAPSHOT_KEY_FILE": str(key_file)}
    assert load({}, given).snapshot_key == SECRET
    key_file.chmod(0o444)
    with pytest.raises(ConfigError, match="open to others"):
        load({}, given)
