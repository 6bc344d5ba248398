"""What shells offer behind `respram`."""

import shutil
import subprocess

import pytest

from respram.cli.main import COMMANDS, main
from tests.live import SOON_S


def test_bash_offers_commands_and_their_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    program = script + """
offer() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _respram; echo "${COMPREPLY[*]}"; }
offer respram ""; offer respram serve --max-t; offer respram status --j; offer respram top --u
offer respram check --m; offer respram snapshot --k
"""
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True, timeout=SOON_S)
    commands, serve, status, top, check, snapshot = done.stdout.splitlines()
    assert commands.split() == list(COMMANDS)
    assert (serve, status, top) == ("--max-ttl", "--json", "--url --url-file")
    assert (check, snapshot) == ("--monitor", "--key-file")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_read_theirs(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "max-ttl" in script and "snapshot-dir" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", script], check=True, timeout=SOON_S)


def test_another_shell_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "cmd"]) == 2 and "bash, zsh or fish" in capsys.readouterr().err
    assert main(["completion", "--help"]) == 0
