"""`respram man`: every command and option is on it, and the tools that read manual pages have nothing to say about it.
"""

import re
import shutil
import subprocess

import pytest

from respram.cli.main import COMMANDS, main
from respram.cli.manual import escape
from respram.config.options import OPTIONS
from tests.live import SOON_S


def test_the_manual_names_every_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["man"]) == 0
    text = capsys.readouterr().out.replace("\\-", "-")
    assert all(f"respram {name}" in text for name in COMMANDS)
    assert all(f".BR --{option.name}" in text for option in OPTIONS)
    if shutil.which("man"):
        command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=SOON_S)
        assert not done.stderr and "SERVE: OTHER NODES" in re.sub(".\x08", "", done.stdout)


def test_no_text_is_a_request() -> None:
    assert escape(".TH -x \\") == "\\&.TH \\-x \\e"
    assert escape("'quoted'") == "\\&'quoted'"


def test_an_argument_too_many_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["man", "serve"]) == 2 and "respram man | man -l -" in capsys.readouterr().out
