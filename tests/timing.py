"""Times that a server is held to: judged with `--timed` alone, on a machine that has nothing else to do (`make
test-timing`).

Without it a test says what must happen and not how fast: another process may have the core, and then no time means
anything.
"""

import os
from pathlib import Path

JUDGED = False  # set from the command line, in conftest.py


def in_time(took_s: float, limit_s: float, what: str) -> None:
    assert not JUDGED or took_s < limit_s, f"{what}: {took_s:.3f} s of {limit_s} s"


def note(text: str) -> None:
    """A measured time, into the file that RESPRAM_FIGURES names: one line, after the name of the test."""
    name = os.environ.get("RESPRAM_FIGURES")
    if JUDGED and name:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
        with Path(name).open("a") as file:
            file.write(f"{test}\t{text}\n")
