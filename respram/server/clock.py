"""The clocks of the process. Everything else gets the time as an argument.

A test may put them ahead (respram/embedded): the portable pump and all above it then live in a later time. The native
pump reads the system's clock by itself and does not follow.
"""

import time

_advanced_ns = 0


def now_ms() -> int:
    """Unix milliseconds: what deadlines are written in."""
    return (time.time_ns() + _advanced_ns) // 1_000_000


def wall_us() -> int:
    return (time.time_ns() + _advanced_ns) // 1_000


def advance(ms: int) -> None:
    """Moves the clocks further ahead by this much."""
    global _advanced_ns
    _advanced_ns += ms * 1_000_000


def advanced_ms() -> int:
    """How far a test has put them ahead."""
    return _advanced_ns // 1_000_000


def micros() -> int:
    """Monotonic microseconds, for measuring how long something took."""
    return time.perf_counter_ns() // 1_000


def both_ms() -> tuple[int, int]:
    """Monotonic and Unix milliseconds."""
    return time.perf_counter_ns() // 1_000_000, (time.time_ns() + _advanced_ns) // 1_000_000


def worked_us() -> int:
    """Processor time of this thread: whoever is served while the machine is busy owes nothing for that."""
    return time.thread_time_ns() // 1_000
