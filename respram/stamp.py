"""The hybrid logical clock: what orders two writes of one key, on one node or on many.

A clock is 64 bits: 48 bits of Unix milliseconds above a 16-bit counter, so that clocks compare as
plain integers and stay close to real time. With the 64-bit number of the node (fresh at every boot)
it makes a stamp, and stamps are unique: no two writes in an enclave carry the same one.
Pure arithmetic lives here; the current time always comes in as an argument.
"""

COUNTER_BITS = 16
STEP = 3  # between a version and the next one whose writer has seen it; slices.py says what is put between them


def from_ms(now_ms: int) -> int:
    """The lowest clock of this millisecond."""
    return now_ms << COUNTER_BITS


def to_ms(clock: int) -> int:
    """The millisecond in which this clock was issued (or later, where the counter overflowed)."""
    return clock >> COUNTER_BITS


def advance(last: int, now_ms: int, replaced: int = 0) -> int:
    """The next clock of a node: later than its last one, than the time, and by a step than what it replaces.

    A counter that overflows borrows from the next millisecond: at more than 65,536 writes a
    millisecond the clock runs ahead of time rather than repeating itself.
    """
    return max(last + 1, replaced + STEP, now_ms << COUNTER_BITS)
