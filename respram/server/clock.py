"""The clocks of the process. Everything else gets the time as an argument."""

import time


def now_ms() -> int:
    """Unix milliseconds: what deadlines are written in."""
    return time.time_ns() // 1_000_000


def wall_us() -> int:
    return time.time_ns() // 1_000


def micros() -> int:
    """Monotonic microseconds, for measuring how long something took."""
    return time.perf_counter_ns() // 1_000
