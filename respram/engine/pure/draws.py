"""Numbers drawn from a seed. The twin of native/draws.c.

The generator is SplitMix64: 64 bits of state, one addition and one mixing a number, and it passes the tests for
randomness. It is no source of secrets: 64 bits of one draw tell all that follow. Both engines draw the same row, so
tests compare them, and a run of the simulator can be repeated.
"""

M64 = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15


class Draws:
    __slots__ = ("state",)

    def __init__(self, seed: int) -> None:
        self.state = seed & M64

    def next(self) -> int:
        """The next 64 bits that are drawn."""
        self.state = self.state + STEP & M64
        mixed = (self.state ^ self.state >> 30) * 0xBF58476D1CE4E5B9 & M64
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & M64
        return mixed ^ mixed >> 31

    def below(self, end: int) -> int:
        """One of the numbers below `end`: of a million, none is drawn more often than another by more than one in
        10^13."""
        return self.next() * end >> 64
