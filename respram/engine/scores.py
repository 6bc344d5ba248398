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


def with_score(score: float, rest: bytes = b"") -> bytes:
    return SCORE.pack(score) + rest
