"""The users file on a disk: whole or not at all, and for its owner's eyes."""

import stat
from pathlib import Path

import pytest

from respram.server.users_file import UsersFile
from tests.engine.rig import request
from tests.live import running


def test_what_is_written_is_read_again_and_belongs_to_its_owner(tmp_path: Path) -> None:
    file = UsersFile(str(tmp_path / "users"))
    file.write(b"user one on\n")
    file.write(b"user two on\n")
    assert file.read() == b"user two on\n"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["users"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = UsersFile(str(tmp_path / "users"))
    file.write(b"old\n")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        file.write(b"new\n")
    assert file.read() == b"old\n" and [one.name for one in tmp_path.iterdir()] == ["users"]


def test_a_node_starts_with_its_users_and_keeps_what_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("user default off\nuser admin on >first +@all ~* &*\n")
    with running("--aclfile", str(path)) as live:
        wire = live.connect()
        wire.sock.sendall(b"PING\r\n")
        assert wire.take(9) == b"-NOAUTH A"
        wire = live.connect()
        assert wire.ask(request(b"AUTH", b"admin", b"first"), 5) == b"+OK\r\n"
        assert wire.ask(request(b"ACL", b"SETUSER", b"app", b"on", b">second", b"+@all", b"~*"), 5) == b"+OK\r\n"
        assert wire.ask(b"ACL SAVE\r\n", 5) == b"+OK\r\n"
    assert "first" not in path.read_text()
    with running("--aclfile", str(path)) as live:
        assert live.connect().ask(request(b"AUTH", b"app", b"second"), 5) == b"+OK\r\n"


def test_a_wrong_file_ends_the_start_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("user default on >hunter2 nonsense\n")
    with pytest.raises(AssertionError, match="line 1: Syntax error") as caught, running("--aclfile", str(path)):
        pass
    assert "hunter2" not in str(caught.value) and "Traceback" not in str(caught.value)
