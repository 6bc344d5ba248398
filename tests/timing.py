"""Times that a server is held to: judged with `--timed` alone, on a machine that has nothing else to do (`make
test-timing`).

Without it a test says what must happen and not how fast: another process may have the core, and then no time means
anything.
"""

JUDGED = False  # set from the command line, in conftest.py


def in_time(took_s: float, limit_s: float, what: str) -> None:
    assert not JUDGED or took_s < limit_s, f"{what}: {took_s:.3f} s of {limit_s} s"
