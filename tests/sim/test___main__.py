"""The command: figures, failures with the command that replays them."""

import pytest

from respram.sim.__main__ import main


def test_a_safe_run_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--seed", "5"]) == 0
    assert "seeds=2 failed=0" in capsys.readouterr().out


def test_a_failure_prints_the_command_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "1", "--mutant", "no-shadow"]) == 1
    printed = capsys.readouterr().out
    [line] = [line for line in printed.splitlines() if "replay:" in line]
    command = line.split("replay: python -m respram.sim ")[1].split()
    assert main([one for one in command if one != "--trace"]) == 1
    assert capsys.readouterr().out == printed


@pytest.mark.slow
def test_a_crowd_prints_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--nodes", "50", "--seed", "3", "--no-heal"]) == 0
    printed = capsys.readouterr().out
    assert "idle: messages_per_s=" in printed and printed.count("one write: after_pushes=") == 3
