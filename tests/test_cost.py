"""What is measured of a command includes those that outlive it."""

import subprocess
import sys

import pytest

from tests.live import SOON_S

BURN_S = 0.4
# The first process ends at once and leaves one behind, which works for a while.
LEAVES_ONE = f"""
import os, sys, time
if os.fork():
    os._exit(3)
while time.process_time() < {BURN_S}:
    pass
"""


@pytest.mark.skipif(sys.platform != "linux", reason="orphans find another parent on Linux alone")
def test_an_orphan_is_counted_and_the_exit_code_is_the_commands() -> None:
    words = [sys.executable, "-m", "tests.cost", sys.executable, "-S", "-c", LEAVES_ONE]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SOON_S, check=False)
    assert done.returncode == 3
    assert float(done.stderr.split()[0]) >= BURN_S
