"""Scores and names as clients write them, and ranges of them as ranks. Nothing here reads or writes a record.

A score is a double. It is told with 17 digits, as Redis 7.0 tells it: 0.1 as 0.10000000000000001. A range is turned
into the ranks that it covers, so all that takes one is the same walk.
"""

from collections.abc import Callable
from math import isinf
from typing import NamedTuple

from respram.commands.reply import Double
from respram.errors import ClientError
from respram.integers import parse_double

NOT_A_FLOAT_RANGE = ClientError.saying(b"ERR min or max is not a float")
NOT_A_NAME_RANGE = ClientError.saying(b"ERR min or max not valid string range item")
# In a small sorted set Redis stores whole numbers up to this as integers, which shows in ZSCAN.
WHOLE_MAX = float(1 << 62)

# (score, name or None, after) -> how many members stand before: Engine.place, of one key at one time.
Place = Callable[[float, bytes | None, bool], int]


def digits_of(score: float) -> bytes:
    if isinf(score):
        return b"inf" if score > 0 else b"-inf"
    return b"%.17g" % score


def told(score: float) -> Double:
    return Double(digits_of(score))


def stored_score(score: float) -> float:
    """The score as it is stored. A small sorted set of Redis stores whole numbers as integers, which have no -0."""
    return score + 0.0


def scanned(score: float, small: bool) -> bytes:
    """The score as ZSCAN returns it."""
    if small and abs(score) <= WHOLE_MAX and score == score // 1:
        return b"%d" % score
    return digits_of(score)


class Range(NamedTuple):
    """A range of ranks, from `start` to before `stop`."""

    start: int
    stop: int


class ScoreBound(NamedTuple):
    score: float
    exclusive: bool


def score_bounds(low: bytes, high: bytes) -> tuple[ScoreBound, ScoreBound]:
    return _score_bound(low), _score_bound(high)


def _score_bound(word: bytes) -> ScoreBound:
    """Redis reads with C's `strtod` here, up to a NUL: blanks in front are skipped, and nothing at all is 0."""
    exclusive = word[:1] == b"("
    text = word[1:] if exclusive else word
    text = text.split(b"\0", 1)[0]
    score = parse_double(text.lstrip(b" \t\n\v\f\r")) if text else 0.0
    if score is None:
        raise NOT_A_FLOAT_RANGE
    return ScoreBound(score, exclusive)


def by_score(bounds: tuple[ScoreBound, ScoreBound], place: Place) -> Range:
    low, high = bounds
    return Range(place(low.score, None, low.exclusive), place(high.score, None, not high.exclusive))


class NameBound(NamedTuple):
    name: bytes
    exclusive: bool
    end: int  # -1: before all, 1: after all, 0: `name` decides


def name_bounds(low: bytes, high: bytes) -> tuple[NameBound, NameBound]:
    return _name_bound(low), _name_bound(high)


def _name_bound(word: bytes) -> NameBound:
    if word in (b"-", b"+"):
        return NameBound(b"", False, 1 if word == b"+" else -1)
    if word[:1] not in (b"[", b"("):
        raise NOT_A_NAME_RANGE
    return NameBound(word[1:], word[:1] == b"(", 0)


def by_name(bounds: tuple[NameBound, NameBound], place: Place, score: float, count: int) -> Range:
    """The range between two names, among members that all have this score. With several scores the result is undefined,
    in Redis too."""
    low, high = bounds
    start = (0 if low.end < 0 else count) if low.end else place(score, low.name, low.exclusive)
    stop = (0 if high.end < 0 else count) if high.end else place(score, high.name, not high.exclusive)
    return Range(start, stop)


def by_rank(first: int, last: int, count: int) -> Range:
    """The range between two ranks, both included. Negative ranks count from the end."""
    start = max(first + count if first < 0 else first, 0)
    end = last + count if last < 0 else last
    return Range(start, min(end + 1, count))
