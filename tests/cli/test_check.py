"""`respram check` as a command: what is printed where, the exit codes, and a server that answers or does not."""

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat.tls import issue
from respram.cli.main import main
from tests import live
from tests.cli.test_workload import line
from tests.ports import reserve


def test_the_report_shows_no_key_and_no_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = tmp_path / "capture"
    capture.write_bytes(line("set", "private-key", "private-value") + line("del", "private-key"))
    assert main(["check", "--monitor", str(capture)], {}) == 1
    out = capsys.readouterr().out
    assert "del" in out and "2 commands" in out and "private" not in out


def test_a_capture_that_would_be_served_whole_exits_with_0(tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    capture.write_bytes(line("get", "k") * 3)
    assert main(["check", "--monitor", str(capture)], {}) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["check"], 2, "a URL"),
        (["check", "--monitor", "/nowhere/at/all"], 2, "/nowhere/at/all"),
        (["check", "http://127.0.0.1"], 2, "redis://"),
        (["check", "redis://127.0.0.1:none"], 2, "port"),
        (["check", "redis://127.0.0.1:1"], 1, "127.0.0.1:1"),
        (["check", "--monitor", "a", "redis://127.0.0.1"], 2, "not both"),
    ],
)
def test_what_cannot_be_checked_is_one_line_that_says_why(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words, {}) == code
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_file_that_is_no_capture_is_said_to_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").write_text("not a capture\n")
    assert main(["check", "--monitor", str(tmp_path / "notes")], {}) == 2
    assert "MONITOR" in capsys.readouterr().err


@pytest.fixture
def node() -> Iterator[live.LiveNode]:
    with live.running("--requirepass", "open-sesame") as one:
        yield one


def test_a_running_server_is_asked_with_the_password_of_the_url(
    node: live.LiveNode, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", f"redis://:open-sesame@127.0.0.1:{node.port}/0"], {}) == 0
    assert re.search(r"\d+ commands: .* 0 refused", capsys.readouterr().out)


def test_a_wrong_password_is_said_without_repeating_it(node: live.LiveNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"redis://:wrong-word@127.0.0.1:{node.port}"], {}) == 1
    err = capsys.readouterr().err
    assert "WRONGPASS" in err and "wrong-word" not in err


def test_a_server_is_asked_by_tls_if_an_authority_vouches_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    issue(tmp_path)
    port = reserve()
    words = ["--tls-port", str(port), "--tls-cert", str(tmp_path / "node.pem"), "--tls-key", str(tmp_path / "node.key")]
    with live.running(*words, "--tls-auth-clients", "no", "--requirepass", "open-sesame"):
        assert main(["check", f"rediss://:open-sesame@localhost:{port}"], {}) == 1
        assert "certificate verify failed" in capsys.readouterr().err.lower()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert main(["check", f"rediss://:open-sesame@localhost:{port}"], {}) == 0
        assert " 0 refused" in capsys.readouterr().out


def test_a_server_that_closes_in_the_middle_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer_half() -> None:
            peer, _ = listener.accept()
            peer.recv(1000)
            peer.sendall(b"$100\r\nhalf")
            peer.close()

        thread = threading.Thread(target=answer_half)
        thread.start()
        assert main(["check", f"redis://127.0.0.1:{port}"], {}) == 1
        thread.join()
    assert "closed" in capsys.readouterr().err
