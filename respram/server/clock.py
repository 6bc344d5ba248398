"""The clocks of the process. Everything else gets the time as an argument.

A test may put them ahead (respram/embedded): the portable pump and all above it then live in a later time. The native
pump reads the system's clock by itself and does not follow.
"""

import time

_ahead_ns = 0


def now_ms() -> int:
    """Unix milliseconds: what deadlines are written in."""
    return (time.time_ns() + _ahead_ns) // 1_000_000


def wall_us() -> int:
    return (time.time_ns() + _ahead_ns) // 1_000


def put_ahead(ms: int) -> None:
    """Moves the clocks further ahead by this much."""
    global _ahead_ns
    _ahead_ns += ms * 1_000_000


def ahead_ms() -> int:
    """How far a test has put them ahead."""
    return _ahead_ns // 1_000_000


def micros() -> int:
    """Monotonic microseconds, for measuring how long something took."""
    return time.perf_counter_ns() // 1_000
