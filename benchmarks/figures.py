"""The arithmetic behind every figure: median, spread, and when there is no ratio to be had.

A ratio is made turn by turn: in each turn both servers ran one after the other, so what slowed the machine in that
minute slowed both. The median of those is the ratio; their spread says whether it is worth printing. The spread is
the median absolute deviation times 1.4826 (which makes it a standard deviation where the noise is normal), relative
to the median: one wild turn of five does not move it, three do.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

TURNS_MIN = 3  # fewer turns say nothing about their spread
CPU_NOISE_MAX = 0.10  # relative spread of the ratios of CPU per command
LATENCY_NOISE_MAX = 0.20  # a 99th percentile varies more; with a wider spread it is not reported
CPU_S_MIN = 0.02  # CPU seconds of one run: below this, accepting connections dominates the figure
TO_DEVIATION = 1.4826


class Summary(NamedTuple):
    median: float
    low: float
    high: float
    noise: float  # relative spread
    turns: int


class Ratio(NamedTuple):
    value: float
    low: float
    high: float
    noise: float


class Refusal(NamedTuple):
    """Why there is no ratio."""

    reason: str


def summary(values: Sequence[float]) -> Summary:
    """Of at least one value; all finite."""
    if not values or not all(math.isfinite(one) for one in values):
        raise ValueError("a summary needs values, all of them finite")
    middle = median(values)
    deviation = median(abs(one - middle) for one in values) * TO_DEVIATION
    noise = deviation / abs(middle) if middle else math.inf if deviation else 0.0
    return Summary(middle, min(values), max(values), noise, len(values))


def ratio(ours: Sequence[float], theirs: Sequence[float], noise_max: float) -> Ratio | Refusal:
    """Ours to theirs, turn by turn, where both have as many turns; or why not."""
    if len(ours) != len(theirs):
        return Refusal("turns are missing")
    if len(ours) < TURNS_MIN:
        return Refusal(f"only {len(ours)} of {TURNS_MIN} turns")
    if min(*ours, *theirs) <= 0:
        return Refusal("too short to measure")
    found = summary([mine / other for mine, other in zip(ours, theirs, strict=True)])
    if found.noise > noise_max:
        return Refusal(f"too noisy: ±{found.noise:.0%}")
    return Ratio(found.median, found.low, found.high, found.noise)
