"""The score of a sorted set's member in the value of its record: a little-endian double at its beginning.

What a peer sends may be anything, so all of it has a score: too few bytes, and what is no number, count as 0.
"""

from math import isnan
from struct import Struct

SCORE = Struct("<d")


def score_of(value: bytes) -> float:
    if len(value) < SCORE.size:
        return 0.0
    score: float = SCORE.unpack_from(value)[0]
    return 0.0 if isnan(score) else score


def sum_of(one: float, other: float) -> float:
    """What adds two scores up to no number adds up to 0: `inf - inf`."""
    total = one + other
    return 0.0 if isnan(total) else total


def _least(one: float, other: float) -> float:
    return other if other < one else one  # a comparison with NaN is false, so the first value stays


def _greatest(one: float, other: float) -> float:
    return other if other > one else one


AGGREGATES = {b"sum": sum_of, b"min": _least, b"max": _greatest}  # of the scores that a member has in several sets


def with_score(score: float, rest: bytes = b"") -> bytes:
    return SCORE.pack(score) + rest
