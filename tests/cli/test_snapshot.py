"""`respram snapshot expire`: words in, a report and an exit code out."""

from pathlib import Path

import pytest

from respram.cli.main import main
from respram.server import snapshot_files as files


def test_the_report_says_what_was_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "expire", str(tmp_path)], {}) == 0
    assert "0 segments; 0 expired and removed" in capsys.readouterr().out
    claim = files.claim(tmp_path)
    assert main(["snapshot", "expire", str(tmp_path)], {}) == 0
    assert "a running node uses it" in capsys.readouterr().out
    files.release(claim)
    (tmp_path / files.RING).write_bytes(b"locked")
    (tmp_path / "16-1-00000000000000000000000000000000.segment").write_bytes(b"RSPRSEG1")
    assert main(["snapshot", "expire", str(tmp_path)], {}) == 0
    assert not (tmp_path / files.RING).exists()


@pytest.mark.parametrize(
    ("words", "phrase"),
    [(["expire"], "needs the directory"), ([], "use respram snapshot expire"),
     (["expire", "/a", "/b"], "unknown argument"),
     (["expire", "/a", "--what"], "unknown argument"), (["expire", "/nowhere/at/all"], "not a directory"),
     (["expire", "/", "--key-file", "/nowhere/key"], "/nowhere/key")],
)  # fmt: skip
def test_wrong_words_change_nothing(words: list[str], phrase: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", *words], {}) == 2
    assert phrase in capsys.readouterr().err


def test_help_says_what_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshot", "--help"], {}) == 0
    assert "Let a timer run the command" in capsys.readouterr().out
